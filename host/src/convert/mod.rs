//! Converters: from what a plugin speaks (a format, perhaps a Connect schema) to bytes in Kafka, and back.
//!
//! What passes most often is not looked at: text with `StringConverter`, bytes with `ByteArrayConverter` and JSON
//! with `JsonConverter` without schemas are the bytes that lie in Kafka, so both directions borrow. With schemas
//! the envelope `{"schema":…,"payload":…}` is put around the payload and taken off it as text, without building
//! a tree of it. Only what has to change is written, into a buffer of the caller's that is used again.
//!
//! Results are byte for byte Java's where the two can be compared, and so are the messages of errors.

mod json;
mod text;

use std::borrow::Cow;

use thiserror::Error;
use transom_batch::Format;

pub(crate) use self::text::write_java_json;
pub(crate) use crate::config::{Converter, Converters};

/// Why a key or value could not be converted. The messages are those of Kafka Connect's `DataException`s.
#[derive(Debug, Error)]
pub(crate) enum ConvertError {
    /// The converter cannot take such data.
    #[error("Invalid schema type for ByteArrayConverter: {0}")]
    NoBytes(String),
    /// The bytes are not JSON.
    #[error("Converting byte[] to Kafka Connect data failed due to serialization error: ")]
    Json(#[source] serde_json::Error),
    /// The JSON is no envelope.
    #[error(
        "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may not contain additional \
         fields. If you are trying to deserialize plain JSON data, set schemas.enable=false in your converter \
         configuration."
    )]
    NoEnvelope,
    /// The schema of a record is none.
    #[error("the schema {schema} of the record cannot be read")]
    Schema { schema: String, source: serde_json::Error },
    /// Null, where the schema allows none, from a plugin.
    #[error("Conversion error: null value for field that is required and has no default value")]
    NullToKafka,
    /// Null, where the schema allows none, from Kafka.
    #[error("Invalid null value for required {0} field")]
    NullFromKafka(String),
    /// A payload of bytes that is not base64.
    #[error("the payload of type bytes is not base64")]
    Base64,
    /// A format promises text.
    #[error("the plugin calls it text, but it is not UTF-8")]
    NoText(#[from] std::str::Utf8Error),
}

/// What a plugin gets of a key or value from Kafka.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Deserialized<'a> {
    pub(crate) format: Format,
    pub(crate) schema: Option<Cow<'a, str>>,
    pub(crate) data: Option<&'a [u8]>,
}

impl<'a> Deserialized<'a> {
    fn plain(format: Format, data: Option<&'a [u8]>) -> Self {
        Self { format, schema: None, data }
    }
}

impl Converter {
    /// Whether data of this format goes to Kafka as it is, if it has no schema.
    pub(crate) fn passes_through(&self, format: Format) -> bool {
        matches!(
            (self, format),
            (Self::String, Format::String | Format::Bytes)
                | (Self::ByteArray, Format::Bytes)
                | (Self::Json { schemas: false, .. }, Format::Json)
        )
    }

    /// A source's key or value as bytes for Kafka. `None` is null, in and out.
    ///
    /// # Errors
    /// The converter cannot take such data.
    pub(crate) fn serialize<'a>(
        &self,
        format: Format,
        schema: Option<&str>,
        data: Option<&'a [u8]>,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>, ConvertError> {
        match (*self, data) {
            (Self::Json { schemas, replace_null_with_default }, data) => {
                json::Settings { schemas, replace_null_with_default }.serialize(format, schema, data, scratch)
            }
            (_, None) => Ok(None),
            (Self::String, Some(data)) if format == Format::Json => json::text_of(data, scratch),
            (Self::String, Some(data)) => Ok(Some(data)),
            (Self::ByteArray, Some(data)) => bytes_of(format, schema, data, scratch),
        }
    }

    /// A sink's key or value from Kafka's bytes. `None` is null, in and out.
    ///
    /// # Errors
    /// The bytes are not what the converter expects.
    pub(crate) fn deserialize<'a>(
        &self,
        data: Option<&'a [u8]>,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Deserialized<'a>, ConvertError> {
        match (*self, data) {
            (Self::Json { schemas, replace_null_with_default }, data) => {
                json::Settings { schemas, replace_null_with_default }.deserialize(data, scratch)
            }
            (Self::ByteArray, data) => Ok(Deserialized::plain(Format::Bytes, data)),
            (Self::String, data) => {
                Ok(Deserialized::plain(Format::String, data.map(|data| text::well_formed(data, scratch))))
            }
        }
    }
}

/// `ByteArrayConverter` takes nothing but bytes; in JSON they are base64, and only a schema says so.
fn bytes_of<'a>(
    format: Format,
    schema: Option<&str>,
    data: &'a [u8],
    scratch: &'a mut Vec<u8>,
) -> Result<Option<&'a [u8]>, ConvertError> {
    match format {
        Format::Bytes => Ok(Some(data)),
        Format::String => Err(ConvertError::NoBytes("STRING".to_owned())),
        Format::Json => {
            let kind = schema.map(json::Schema::parse).transpose()?.map(|schema| schema.kind.into_owned());
            match kind.as_deref() {
                Some("bytes") => json::bytes_of(data, scratch),
                Some(kind) => Err(ConvertError::NoBytes(kind.to_uppercase())),
                None => Err(ConvertError::NoBytes("json without a schema".to_owned())),
            }
        }
    }
}

#[cfg(test)]
mod tests;
