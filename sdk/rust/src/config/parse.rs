//! From strings to the plugin's configuration type.
//!
//! Two steps, so that a user sees all problems at once: first every described key is parsed by its
//! type and checked by its validator, in Kafka Connect's words; only when nothing is wrong does serde
//! build the plugin's type, which can still refuse a value (an enum, a type of its own).

use serde::de::DeserializeOwned;
use serde_json::{Number, Value};

use super::fields::{self, Field};
use super::{ConfigKey, ConfigMap, Problems, Type, Validator};

/// Parses a configuration by its description.
///
/// Keys that are not described (`name`, `tasks.max`, …) reach the type as strings, so that it can
/// collect them with `#[serde(flatten)]`; `#[serde(deny_unknown_fields)]` would always fail.
///
/// ```
/// use transom_sdk::{ConfigKey, ConfigMap, config};
///
/// #[derive(Debug, serde::Deserialize)]
/// struct Settings {
///     topic: String,
///     #[serde(rename = "batch.size")]
///     batch_size: u32,
/// }
///
/// let keys = [ConfigKey::string("topic"), ConfigKey::int("batch.size").default(2000).min(1)];
/// let good: Settings = config::parse(&keys, &ConfigMap::from([("topic", "lines")])).unwrap();
/// assert_eq!((good.topic.as_str(), good.batch_size), ("lines", 2000));
///
/// let bad = config::parse::<Settings>(&keys, &ConfigMap::from([("batch.size", "many")])).unwrap_err();
/// assert_eq!(
///     bad.to_string(),
///     "Missing required configuration \"topic\" which has no default value.\n\
///      Invalid value many for configuration batch.size: Not a number of type INT"
/// );
/// ```
///
/// # Errors
/// All problems with the values.
pub fn parse<T: DeserializeOwned>(keys: &[ConfigKey], map: &ConfigMap) -> Result<T, Problems> {
    let mut problems = Problems::new();
    let mut values = Vec::new();
    for key in keys {
        let Some(text) = map.get(&key.name).or(key.default_value.as_deref()) else {
            if key.required {
                problems.add(&key.name, missing(&key.name));
            }
            continue;
        };
        let secret = key.kind == Type::Password;
        let shown = if secret { "[hidden]" } else { text };
        match value_of(key.kind, text).and_then(|value| check(key.validator.as_ref(), &value).map(|()| value))
        {
            Ok(value) => values.push(Field { key: key.name.clone(), value, secret }),
            Err(message) => problems.invalid(&key.name, shown, message),
        }
    }
    let values = problems.or(values)?;
    let described = |name: &str| keys.iter().any(|key| key.name == name);
    let others = map.iter().filter(|(name, _)| !described(name));
    let others = others.map(|(key, value)| Field { key: key.into(), value: value.into(), secret: true });
    fields::deserialize(values.into_iter().chain(others))
}

/// Kafka Connect's words for a key that must be there.
pub(super) fn missing(key: &str) -> String {
    format!("Missing required configuration \"{key}\" which has no default value.")
}

/// The value of a text, by type.
fn value_of(kind: Type, text: &str) -> Result<Value, String> {
    let text = text.trim();
    let number = |number: Option<Number>| {
        number.map(Value::Number).ok_or_else(|| format!("Not a number of type {}", kind.name()))
    };
    match kind {
        Type::Boolean if text.eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
        Type::Boolean if text.eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
        Type::Boolean => Err("Expected value to be either true or false".into()),
        Type::Int => number(text.parse::<i32>().ok().map(Into::into)),
        Type::Short => number(text.parse::<i16>().ok().map(Into::into)),
        Type::Long => number(text.parse::<i64>().ok().map(Into::into)),
        Type::Double => number(text.parse::<f64>().ok().and_then(Number::from_f64)),
        Type::List if text.is_empty() => Ok(Value::Array(Vec::new())),
        Type::List => Ok(text.split(',').map(|item| Value::from(item.trim())).collect()),
        Type::String | Type::Class | Type::Password => Ok(text.into()),
    }
}

/// What the validator says about a value.
fn check(validator: Option<&Validator>, value: &Value) -> Result<(), String> {
    match validator {
        Some(Validator::NonEmpty { .. }) if value.as_str() == Some("") => {
            Err("String must be non-empty".into())
        }
        Some(Validator::Range { min: Some(min), .. }) if below(value, min) => {
            Err(format!("Value must be at least {min}"))
        }
        Some(Validator::Range { max: Some(max), .. }) if above(value, max) => {
            Err(format!("Value must be no more than {max}"))
        }
        Some(Validator::OneOf { one_of })
            if !value.as_str().is_some_and(|text| one_of.iter().any(|v| v == text)) =>
        {
            Err(format!("String must be one of: {}", one_of.join(", ")))
        }
        _ => Ok(()),
    }
}

fn below(value: &Value, bound: &Number) -> bool {
    match (value.as_i64(), bound.as_i64()) {
        (Some(value), Some(bound)) => value < bound,
        _ => value.as_f64() < bound.as_f64(),
    }
}

fn above(value: &Value, bound: &Number) -> bool {
    match (value.as_i64(), bound.as_i64()) {
        (Some(value), Some(bound)) => value > bound,
        _ => value.as_f64() > bound.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Fast,
        Safe,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Settings {
        url: String,
        size: u16,
        wide: i64,
        ratio: f64,
        on: bool,
        names: Vec<String>,
        mode: Mode,
        token: Option<String>,
    }

    fn keys() -> Vec<ConfigKey> {
        vec![
            ConfigKey::string("url").non_empty(),
            ConfigKey::int("size").default(10).min(1).max(100),
            ConfigKey::long("wide").default(1i64 << 40),
            ConfigKey::double("ratio").default(0.5),
            ConfigKey::boolean("on").default(false),
            ConfigKey::list("names").default(""),
            ConfigKey::string("mode").default("fast"),
            ConfigKey::password("token").optional().one_of(["a"]),
        ]
    }

    fn problems(map: &[(&str, &str)]) -> Vec<String> {
        let map = map.iter().copied().collect();
        parse::<Settings>(&keys(), &map).unwrap_err().iter().map(|(_, message)| message.to_owned()).collect()
    }

    #[test]
    fn every_type_is_parsed_from_its_text() {
        let map = ConfigMap::from([
            ("url", " http://x "),
            ("on", "TRUE"),
            ("names", "a, b ,,c"),
            ("mode", "safe"),
            ("wide", "-7"),
            ("name", "not described"),
        ]);
        let settings: Settings = parse(&keys(), &map).unwrap();
        let names = ["a", "b", "", "c"].map(String::from).to_vec();
        let expected = Settings {
            url: "http://x".into(),
            size: 10,
            wide: -7,
            ratio: 0.5,
            on: true,
            names,
            mode: Mode::Safe,
            token: None,
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn all_problems_come_at_once_in_kafka_connects_words() {
        let map = [("size", "0"), ("wide", "x"), ("ratio", "NaN"), ("on", "yes"), ("token", "canary")];
        let expected = [
            "Missing required configuration \"url\" which has no default value.",
            "Invalid value 0 for configuration size: Value must be at least 1",
            "Invalid value x for configuration wide: Not a number of type LONG",
            "Invalid value NaN for configuration ratio: Not a number of type DOUBLE",
            "Invalid value yes for configuration on: Expected value to be either true or false",
            "Invalid value [hidden] for configuration token: String must be one of: a",
        ];
        assert_eq!(problems(&map), expected);
        let expected = [
            "Invalid value  for configuration url: String must be non-empty",
            "Invalid value 101 for configuration size: Value must be no more than 100",
        ];
        assert_eq!(problems(&[("url", ""), ("size", "101")]), expected);
    }

    #[test]
    fn a_value_that_the_type_refuses_is_named_with_its_key() {
        let found = problems(&[("url", "u"), ("mode", "slow")]);
        assert_eq!(
            found,
            ["Invalid value slow for configuration mode: unknown variant `slow`, expected `fast` or `safe`"]
        );
    }

    #[test]
    fn a_field_without_a_description_is_a_missing_key() {
        let found = parse::<Settings>(&keys()[..7], &ConfigMap::from([("url", "u")])).map(|s| s.token);
        assert_eq!(found.unwrap(), None);
        let found = parse::<Settings>(&keys()[1..], &ConfigMap::new()).unwrap_err();
        assert_eq!(found.to_string(), missing("url"));
    }
}
