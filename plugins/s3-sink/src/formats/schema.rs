//! Connect's schemas, as JsonConverter writes them, and the payloads that go with them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use transom_sdk::{Error, Format, Record};

const LOGICAL: &str = "org.apache.kafka.connect.data.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Int8,
    Int16,
    Int32,
    Int64,
    Float,
    Double,
    Boolean,
    String,
    Bytes,
    Array,
    Map,
    Struct,
}

/// What a number or bytes stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logical {
    None,
    Decimal { precision: i32, scale: i32 },
    Date,
    Time,
    Timestamp,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Schema {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) optional: bool,
    #[serde(default)]
    pub(super) name: Option<String>,
    /// Of a struct's field: its name.
    #[serde(default)]
    pub(super) field: String,
    #[serde(default)]
    pub(super) fields: Vec<Schema>,
    #[serde(default)]
    pub(super) items: Option<Box<Schema>>,
    #[serde(default)]
    pub(super) keys: Option<Box<Schema>>,
    #[serde(default)]
    pub(super) values: Option<Box<Schema>>,
    #[serde(default)]
    pub(super) parameters: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(super) default: Option<Value>,
}

impl Schema {
    /// # Errors
    /// There is none, or it is not of this form.
    pub(super) fn parse(text: Option<&str>, format: &str) -> Result<Self, Error> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Err(Error::bad_record(format!(
                "has no schema, which {format} needs: set value.converter to JsonConverter with \
                 value.converter.schemas.enable=true, or format.class to JsonFormat"
            )));
        };
        let wrong = |why| Error::bad_record(format!("has a schema that {format} cannot be made of: {why}"));
        let schema: Self = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        schema.check().map_err(wrong)?;
        Ok(schema)
    }

    fn check(&self) -> Result<(), String> {
        let part = |part: &Option<Box<Self>>, what| match part {
            Some(part) => part.check(),
            None => Err(format!("{} {:?} has no {what}", self.field, self.kind)),
        };
        match self.kind {
            Kind::Array => part(&self.items, "items"),
            Kind::Map if self.keys.as_ref().is_none_or(|keys| keys.kind != Kind::String) => {
                Err(format!("the map {} has keys that are no strings", self.field))
            }
            Kind::Map => part(&self.values, "values"),
            Kind::Struct => self.fields.iter().try_for_each(Self::check),
            _ => Ok(()),
        }
    }

    pub(super) fn logical(&self) -> Logical {
        let name = self.name.as_deref().and_then(|name| name.strip_prefix(LOGICAL));
        let number = |key: &str| self.parameters.as_ref()?.get(key)?.parse().ok();
        match (name, self.kind) {
            (Some("Decimal"), Kind::Bytes) => Logical::Decimal {
                precision: number("connect.decimal.precision").unwrap_or(64),
                scale: number("scale").unwrap_or(0),
            },
            (Some("Date"), Kind::Int32) => Logical::Date,
            (Some("Time"), Kind::Int32) => Logical::Time,
            (Some("Timestamp"), Kind::Int64) => Logical::Timestamp,
            _ => Logical::None,
        }
    }

    /// The value, or what stands for one that is missing; none: null.
    pub(super) fn or_default<'v>(&'v self, value: Option<&'v Value>) -> Result<Option<&'v Value>, Error> {
        match (value.filter(|value| !value.is_null()), &self.default) {
            (Some(value), _) => Ok(Some(value)),
            (None, Some(default)) if !self.optional && !default.is_null() => Ok(Some(default)),
            (None, _) if self.optional => Ok(None),
            _ => Err(Error::bad_record(format!("has no value for {}, which its schema wants", self.label()))),
        }
    }

    /// A value that is not of this schema.
    pub(super) fn mismatch(&self) -> Error {
        Error::bad_record(format!("has a value for {} that is no {:?}", self.label(), self.kind))
    }

    pub(super) fn int(&self, value: &Value) -> Result<i64, Error> {
        value.as_i64().ok_or_else(|| self.mismatch())
    }

    pub(super) fn double(&self, value: &Value) -> Result<f64, Error> {
        let special = || match value.as_str()? {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        };
        value.as_f64().or_else(special).ok_or_else(|| self.mismatch())
    }

    pub(super) fn bytes<'v>(&self, value: &'v Value) -> Result<Cow<'v, [u8]>, Error> {
        let text = value.as_str().ok_or_else(|| self.mismatch())?;
        match self.kind {
            Kind::Bytes => STANDARD.decode(text).map(Cow::Owned).map_err(|_| self.mismatch()),
            _ => Ok(Cow::Borrowed(text.as_bytes())),
        }
    }

    fn label(&self) -> &str {
        if self.field.is_empty() { "itself" } else { &self.field }
    }
}

/// A record's payload.
pub(super) fn payload(record: &Record<'_>) -> Result<Value, Error> {
    match record.value_format() {
        Format::Json => record.value_json(),
        Format::String => Ok(record.value_str()?.into()),
        Format::Bytes => Ok(record.value().map(|value| STANDARD.encode(value)).into()),
    }
}
