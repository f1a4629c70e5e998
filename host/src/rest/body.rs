//! Request bodies. What Jackson coerces in Kafka Connect is coerced here too (a number or boolean
//! for a string), and what it refuses is refused with the words that clients look for.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::value::RawValue;

use super::error::ApiError;
use crate::config::{Problem, Problems};
use crate::worker::api::{RawConfig, Target, WorkerError};

/// A body that claims to be JSON.
///
/// Anything else is refused before it is read. This is also what keeps a web page in an operator's
/// browser from posting to the worker: a page cannot send this type to another host unasked.
pub(super) struct JsonBytes(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBytes {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        match Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(rejection) => Err(ApiError::new(rejection.status(), rejection.body_text())),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let media_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
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

/// The complaint about a null, in Kafka Connect's words.
const NULL_VALUE: &str = "Null value can not be supplied as the configuration value.";

impl ConfigBody {
    pub(super) fn decode(body: &[u8]) -> Result<Self, ApiError> {
        Self::from_members(members(body)?)
    }

    fn from_members(members: BTreeMap<String, &RawValue>) -> Result<Self, ApiError> {
        let mut config = Self::default();
        for (key, raw) in members {
            match text(&key, raw)? {
                Some(value) => {
                    config.values.insert(key, value);
                }
                None => config.nulls.push(key),
            }
        }
        Ok(config)
    }

    /// What is wrong with the keys whose value is null.
    pub(super) fn null_problems(&self) -> Problems {
        Problems(self.nulls.iter().map(|key| Problem::without_value(key, NULL_VALUE)).collect())
    }

    /// The configuration of a connector, in which no value may be null.
    pub(super) fn of_connector(self) -> Result<RawConfig, ApiError> {
        let problems = self.null_problems();
        problems.or(self.values).map_err(|problems| WorkerError::InvalidConfig(problems).into())
    }
}

impl CreateRequest {
    pub(super) fn decode(body: &[u8]) -> Result<Self, ApiError> {
        let mut name = None;
        let mut config = None;
        let mut target = Target::Running;
        for (member, raw) in members(body)? {
            match member.as_str() {
                "name" => name = text(&member, raw)?,
                "config" if raw.get() == "null" => {}
                "config" => config = Some(ConfigBody::from_members(members(raw.get().as_bytes())?)?),
                "initial_state" => {
                    target = text(&member, raw)?.map_or(Ok(target), |word| initial_state(&word))?
                }
                _ => {
                    return Err(ApiError::unreadable(format!(
                        "Unrecognized field \"{member}\", not marked as ignorable (3 known properties: \"name\", \"config\", \"initial_state\")"
                    )));
                }
            }
        }
        let config = config.ok_or_else(|| ApiError::bad_request("The request has no \"config\""))?;
        Ok(Self { name: name.unwrap_or_default().trim().to_owned(), config, target })
    }
}

fn initial_state(word: &str) -> Result<Target, ApiError> {
    match word.to_ascii_uppercase().as_str() {
        "RUNNING" => Ok(Target::Running),
        "PAUSED" => Ok(Target::Paused),
        "STOPPED" => Ok(Target::Stopped),
        _ => Err(ApiError::unreadable(format!(
            "Cannot construct instance of initial_state from \"{word}\": it must be RUNNING, PAUSED or STOPPED"
        ))),
    }
}

/// The members of an object, their values not yet parsed; of equal names the last counts.
fn members(body: &[u8]) -> Result<BTreeMap<String, &RawValue>, ApiError> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => {
            ApiError::unreadable(format!("Cannot deserialize value: {error}"))
        }
        _ => ApiError::unreadable(error.to_string()),
    })
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
        Some(b'"') => {
            serde_json::from_str(written).map(Some).map_err(|error| ApiError::unreadable(error.to_string()))
        }
        _ => Ok(Some(written.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

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
        for body in [r#"{"a": {}}"#, r#"{"a": []}"#, "[]", "3", "null"] {
            let error = message(ConfigBody::decode(body.as_bytes()).unwrap_err());
            assert!(error.contains("500") && error.contains("Cannot deserialize value"), "{body}: {error}");
        }
    }

    #[test]
    fn malformed_json_is_refused_with_the_parsers_words() {
        for body in [&b"{"[..], b"", b"{\"a\" 1}", b"{} x", b"{\"a\":\"\xff\"}"] {
            let error = message(ConfigBody::decode(body).unwrap_err());
            assert!(error.contains("500") && error.contains("line 1"), "{error}");
        }
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
            (r#"{"name": "n"}"#, "no \\\"config\\\""),
        ];
        for (body, expected) in refused {
            let error = message(CreateRequest::decode(body.as_bytes()).unwrap_err());
            assert!(error.contains(expected), "{body}: {error}");
        }
    }

    #[test]
    fn only_json_is_taken() {
        let of = |value: &'static str| {
            is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]))
        };
        assert!(
            of("application/json")
                && of("Application/JSON; charset=utf-8")
                && of("application/merge-patch+json")
        );
        assert!(!of("text/plain") && !of("application/x-www-form-urlencoded"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
