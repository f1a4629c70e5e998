//! Request bodies. What Jackson coerces in Kafka Connect is coerced here too (a number or boolean
//! for a string), and what it refuses is refused with the words that clients look for: `Cannot deserialize
//! value`, `Cannot construct instance`, `Unrecognized field`. All of that is 500 there, and so it is here.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::error::ApiError;
use crate::config::{Draft, NULL_VALUE, Problem, Problems};
use crate::worker::api::{RawConfig, Target, WorkerError};
use crate::worker::offsets::Position;

/// A body, whole, of a route that takes JSON.
pub(super) struct Body(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_typed = request.headers().contains_key(header::CONTENT_TYPE);
        match Bytes::from_request(request, state).await {
            Ok(bytes) if bytes.is_empty() || is_typed => Ok(Self(bytes)),
            Ok(_) => Err(ApiError::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
            Err(rejection) => Err(ApiError::new(rejection.status(), rejection.body_text())),
        }
    }
}

/// The body of `POST /connectors`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CreateRequest {
    pub(super) name: String,
    pub(super) config: ConfigBody,
    pub(super) target: Target,
}

/// A connector's configuration as it came: JSON null is told apart, to be reported with its key.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct ConfigBody {
    pub(super) values: RawConfig,
    pub(super) nulls: Vec<String>,
}

impl ConfigBody {
    pub(super) fn decode(body: &[u8]) -> Result<Self, ApiError> {
        match document(body)? {
            Some(config) => Self::of(config),
            None => Err(missing("connectorConfig")),
        }
    }

    fn of(config: &RawValue) -> Result<Self, ApiError> {
        let mut body = Self::default();
        for (key, raw) in members(config, Shape::Map)? {
            match text(&key, raw)? {
                Some(value) => drop(body.values.insert(key, value)),
                None => body.nulls.push(key),
            }
        }
        Ok(body)
    }

    /// What is to be validated.
    pub(super) fn draft(self) -> Draft {
        Draft { values: self.values, nulls: self.nulls }
    }

    /// What is wrong with the keys whose value is null.
    fn null_problems(&self) -> Problems {
        Problems(self.nulls.iter().map(|key| Problem::without_value(key, NULL_VALUE)).collect())
    }

    /// The configuration of a connector, in which no value may be null.
    pub(super) fn of_connector(self) -> Result<RawConfig, ApiError> {
        let mut problems = self.null_problems();
        // Missing is what is said of the class; the name is said by the path, or the request.
        problems.0.retain(|problem| !["connector.class", "name"].contains(&problem.key.as_str()));
        problems.or(self.values).map_err(|problems| WorkerError::InvalidConfig(problems).into())
    }

    /// Changes of a configuration: a null takes the key away.
    pub(super) fn of_patch(self) -> BTreeMap<String, Option<String>> {
        let values = self.values.into_iter().map(|(key, value)| (key, Some(value)));
        // The path says the name.
        let nulls = self.nulls.into_iter().filter(|key| key != "name");
        values.chain(nulls.map(|key| (key, None))).collect()
    }
}

impl CreateRequest {
    pub(super) fn decode(body: &[u8]) -> Result<Self, ApiError> {
        let Some(request) = document(body)? else { return Err(missing("createRequest")) };
        let (mut name, mut config, mut target) = (None, None, Target::Running);
        for (member, raw) in members(request, Shape::Known)? {
            match member.as_str() {
                "name" => name = text(&member, raw)?,
                "config" if is_null(raw) => {}
                "config" => config = Some(ConfigBody::of(raw)?),
                "initial_state" => target = initial_state(&member, raw)?,
                _ => {
                    return Err(unrecognized(
                        &member,
                        "3 known properties: \"config\", \"name\", \"initial_state\"",
                    ));
                }
            }
        }
        let config = config.ok_or_else(|| missing("connectorConfig"))?;
        Ok(Self { name: name.unwrap_or_default().trim().to_owned(), config, target })
    }
}

/// The body of `PATCH /connectors/{name}/offsets`.
pub(super) fn positions(body: &[u8]) -> Result<Vec<Position>, ApiError> {
    let Some(offsets) = document(body)? else { return Err(missing("offsets")) };
    let mut list = None;
    for (member, raw) in members(offsets, Shape::Known)? {
        match member.as_str() {
            "offsets" if is_null(raw) => list = None,
            "offsets" => list = Some(items(raw)?),
            _ => return Err(unrecognized(&member, "one known property: \"offsets\"")),
        }
    }
    let positions = list.unwrap_or_default().into_iter().map(position).collect::<Result<Vec<_>, _>>()?;
    if positions.is_empty() {
        return Err(ApiError::bad_request(
            "Partitions / offsets need to be provided for an alter offsets request",
        ));
    }
    Ok(positions)
}

fn position(raw: &RawValue) -> Result<Position, ApiError> {
    if is_null(raw) {
        return Err(missing("offset"));
    }
    let mut position = Position { partition: None, offset: None };
    for (member, raw) in members(raw, Shape::Known)? {
        match member.as_str() {
            "partition" => position.partition = object(raw)?,
            "offset" => position.offset = object(raw)?,
            _ => return Err(unrecognized(&member, "2 known properties: \"partition\", \"offset\"")),
        }
    }
    Ok(position)
}

/// The body of `PUT /admin/loggers/{name}`: the level, if there is one.
pub(super) fn level(body: &[u8]) -> Result<Option<String>, ApiError> {
    let Some(levels) = document(body)? else { return Err(missing("levelMap")) };
    let mut level = None;
    for (member, raw) in members(levels, Shape::Map)? {
        let text = text(&member, raw)?;
        if member == "level" {
            level = text;
        }
    }
    Ok(level)
}

fn initial_state(member: &str, raw: &RawValue) -> Result<Target, ApiError> {
    if raw.get().starts_with('{') {
        return Err(ApiError::unreadable(
            "Cannot deserialize value: an Object, where `initial_state` should be",
        ));
    }
    if raw.get().starts_with('[') {
        let message = "Input mismatch reading Enum `initial_state`: it must be RUNNING, PAUSED or STOPPED";
        return Err(ApiError::unreadable(message));
    }
    let Some(word) = text(member, raw)? else { return Ok(Target::Running) };
    Target::parse(&word).ok_or_else(|| {
        ApiError::unreadable(format!(
            "Cannot construct instance of `initial_state` from \"{word}\": it must be RUNNING, PAUSED or STOPPED"
        ))
    })
}

/// A body, checked to be JSON; `None` for none, or for null.
fn document(body: &[u8]) -> Result<Option<&RawValue>, ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let document: &RawValue = serde_json::from_slice(body).map_err(|error| broken(&error))?;
    Ok((!is_null(document)).then_some(document))
}

/// What is no JSON, or a text in it that is no Unicode.
fn broken(error: &serde_json::Error) -> ApiError {
    ApiError::unreadable(format!("Unexpected character or end: {error}"))
}

fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// What an object is read as: Jackson refuses a number in its place in different words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Any members.
    Map,
    /// Certain members.
    Known,
}

/// The members of an object, their values not yet parsed; of equal names the last counts.
fn members(raw: &RawValue, shape: Shape) -> Result<BTreeMap<String, &RawValue>, ApiError> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => serde_json::from_str(text).map_err(|error| broken(&error)),
        Some(b'[') => {
            Err(ApiError::unreadable("Cannot deserialize value: an Array, where an Object should be"))
        }
        Some(b'"') if text == "\"\"" => {
            Err(ApiError::unreadable("Cannot coerce empty String (\"\"), where an Object should be"))
        }
        Some(b'"') => {
            Err(ApiError::unreadable("Cannot construct instance: a String, where an Object should be"))
        }
        _ if shape == Shape::Known => {
            Err(ApiError::unreadable(format!("Cannot construct instance: {text}, where an Object should be")))
        }
        _ => {
            Err(ApiError::unreadable(format!("Cannot deserialize value: {text}, where an Object should be")))
        }
    }
}

/// An object as it is, or null.
fn object(raw: &RawValue) -> Result<Option<Map<String, Value>>, ApiError> {
    if is_null(raw) {
        return Ok(None);
    }
    let _ = members(raw, Shape::Map)?;
    serde_json::from_str(raw.get()).map_err(|error| broken(&error))
}

/// The items of an array, not yet parsed.
fn items(raw: &RawValue) -> Result<Vec<&RawValue>, ApiError> {
    let wrong = |error| ApiError::unreadable(format!("Cannot deserialize value: {error}"));
    serde_json::from_str(raw.get()).map_err(wrong)
}

/// There is no body, or null in a place where nothing can be done without; 500, as Kafka Connect has it.
fn missing(what: &str) -> ApiError {
    ApiError::unreadable(format!("The request has no body, or null for \"{what}\" in it"))
}

fn unrecognized(member: &str, known: &str) -> ApiError {
    ApiError::unreadable(format!("Unrecognized field \"{member}\", not marked as ignorable ({known})"))
}

/// A scalar as text, a number just as it was written; `None` for null.
fn text(member: &str, raw: &RawValue) -> Result<Option<String>, ApiError> {
    let nested = |kind: &str| {
        let message =
            format!("Cannot deserialize value of type `String` from {kind} value (member \"{member}\")");
        Err(ApiError::unreadable(message))
    };
    let written = raw.get();
    match written.as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'{') => nested("Object"),
        Some(b'[') => nested("Array"),
        Some(b'"') => serde_json::from_str(written).map(Some).map_err(|error| broken(&error)),
        _ => Ok(Some(written.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(error: ApiError) -> String {
        format!("{error:?}")
    }

    #[test]
    fn numbers_and_booleans_become_strings_as_they_were_written() {
        let body = br#"{"a": 1, "b": 1.0, "c": 1e3, "d": true, "e": "x\ny", "f": 12345678901234567890123}"#;
        let config = ConfigBody::decode(body).unwrap().values;
        let values: Vec<_> = config.values().map(String::as_str).collect();
        assert_eq!(values, ["1", "1.0", "1e3", "true", "x\ny", "12345678901234567890123"]);
    }

    #[test]
    fn nulls_are_told_with_their_keys() {
        let config = ConfigBody::decode(br#"{"a": null, "b": "x", "c": null}"#).unwrap();
        assert_eq!(config.nulls, ["a", "c"]);
        let error = message(config.of_connector().unwrap_err());
        assert!(
            error.contains("400") && error.contains("a: Null value") && error.contains("c: Null value"),
            "{error}"
        );
    }

    #[test]
    fn nested_values_are_refused_with_jacksons_words() {
        for body in [r#"{"a": {}}"#, r#"{"a": []}"#, "[]", "3"] {
            let error = message(ConfigBody::decode(body.as_bytes()).unwrap_err());
            assert!(error.contains("500") && error.contains("Cannot deserialize value"), "{body}: {error}");
        }
    }

    #[test]
    fn malformed_json_is_refused_with_the_parsers_words() {
        for body in [&b"{"[..], b"{\"a\" 1}", b"{} x", b"{\"a\":\"\xff\"}"] {
            let error = message(ConfigBody::decode(body).unwrap_err());
            assert!(error.contains("500") && error.contains("line 1"), "{error}");
        }
    }

    #[test]
    fn a_patch_takes_away_what_is_null() {
        let patch = ConfigBody::decode(br#"{"a": null, "b": 1, "name": null}"#).unwrap().of_patch();
        let expected = [("a".to_owned(), None), ("b".to_owned(), Some("1".to_owned()))];
        assert_eq!(patch, expected.into());
    }

    #[test]
    fn offsets_are_decoded_and_have_to_be_some() {
        let body = br#"{"offsets": [{"partition": {"f": "x"}, "offset": {"p": 7}}, {"offset": null}]}"#;
        let positions = positions(body).unwrap();
        assert_eq!(positions.len(), 2);
        assert_eq!(positions[0].offset.as_ref().unwrap()["p"], 7);
        assert_eq!(positions[1], Position { partition: None, offset: None });
        for none in ["{}", r#"{"offsets": null}"#, r#"{"offsets": []}"#] {
            assert!(message(super::positions(none.as_bytes()).unwrap_err()).contains("400"), "{none}");
        }
        for wrong in [r#"{"offsets": {}}"#, r#"{"offsets": [7]}"#, r#"{"offsets": [{"x": 1}]}"#, "[]", ""] {
            assert!(message(super::positions(wrong.as_bytes()).unwrap_err()).contains("500"), "{wrong}");
        }
    }

    #[test]
    fn a_level_is_a_text_beside_which_anything_may_stand() {
        assert_eq!(level(br#"{"level": "DEBUG", "more": 1}"#).unwrap().as_deref(), Some("DEBUG"));
        assert_eq!(level(b"{}").unwrap(), None);
        assert!(level(br#"{"level": []}"#).is_err() && level(b"").is_err());
    }

    #[test]
    fn a_create_request_is_decoded() {
        let request =
            CreateRequest::decode(br#"{"name": " n ", "config": {"a": 1}, "initial_state": "stopped"}"#)
                .unwrap();
        assert_eq!((request.name.as_str(), request.target), ("n", Target::Stopped));
        assert_eq!(request.config.values.get("a").map(String::as_str), Some("1"));
        let request = CreateRequest::decode(br#"{"config": {}, "initial_state": null}"#).unwrap();
        assert_eq!((request.name.as_str(), request.target), ("", Target::Running));
    }

    #[test]
    fn a_create_request_with_anything_else_is_refused() {
        let refused = [
            (r#"{"name": "n", "config": {}, "more": 1}"#, "Unrecognized field \\\"more\\\""),
            (r#"{"name": "n", "config": {}, "initial_state": "LAZY"}"#, "Cannot construct instance"),
            (r#"{"name": ["n"], "config": {}}"#, "Cannot deserialize value"),
            (r#"{"name": "n", "config": 3}"#, "Cannot deserialize value"),
            (r#"{"name": "n"}"#, "null for \\\"connectorConfig\\\""),
            ("null", "The request has no body"),
            (" ", "The request has no body"),
            ("3", "Cannot construct instance"),
        ];
        for (body, expected) in refused {
            let error = message(CreateRequest::decode(body.as_bytes()).unwrap_err());
            assert!(error.contains(expected), "{body}: {error}");
        }
    }
}
