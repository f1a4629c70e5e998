//! A serde deserializer over parsed values that says at which key it failed.
//!
//! `serde_json`'s own errors about a value do not name the member it belongs to.

use std::fmt::{self, Display};

use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess};
use serde_json::Value;

use super::Problems;
use super::parse::missing;

/// One parsed value.
pub(super) struct Field {
    pub(super) key: String,
    pub(super) value: Value,
    /// Not to be shown in an error.
    pub(super) secret: bool,
}

/// Builds a type from its fields.
pub(super) fn deserialize<T: DeserializeOwned>(fields: impl Iterator<Item = Field>) -> Result<T, Problems> {
    T::deserialize(MapAccessDeserializer::new(Fields { fields, next: None })).map_err(|refused| {
        let mut problems = Problems::new();
        match refused {
            Refused::At { key, value, message } => problems.invalid(&key, value, message),
            Refused::Missing(key) => problems.add(key, missing(key)),
            Refused::Other(message) => problems.add("", message),
        }
        problems
    })
}

struct Fields<I> {
    fields: I,
    next: Option<Field>,
}

impl<'de, I: Iterator<Item = Field>> MapAccess<'de> for Fields<I> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        self.next = self.fields.next();
        match &self.next {
            Some(field) => seed.deserialize(StringDeserializer::new(field.key.clone())).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let field =
            self.next.take().ok_or_else(|| Refused::custom("a value was asked for before its key"))?;
        let shown = match &field.value {
            _ if field.secret => "[hidden]".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let refused = |error: serde_json::Error| Refused::At {
            key: field.key,
            value: shown,
            // Serde's messages quote the value.
            message: if field.secret {
                "It has not the form it should have".into()
            } else {
                error.to_string()
            },
        };
        seed.deserialize(field.value).map_err(refused)
    }
}

/// Why serde could not build the type.
#[derive(Debug)]
enum Refused {
    At { key: String, value: String, message: String },
    Missing(&'static str),
    Other(String),
}

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At { message, .. } | Self::Other(message) => f.write_str(message),
            Self::Missing(key) => write!(f, "missing field `{key}`"),
        }
    }
}

impl std::error::Error for Refused {}

impl serde::de::Error for Refused {
    fn custom<T: Display>(message: T) -> Self {
        Self::Other(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}
