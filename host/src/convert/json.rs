//! `JsonConverter`: payloads, and the envelope around them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use transom_batch::Format;

use super::{ConvertError, Deserialized, text};
use crate::base64;

/// The settings that matter here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) schemas: bool,
    pub(super) replace_null_with_default: bool,
}

/// Of a schema what a payload's outside depends on.
#[derive(Deserialize)]
pub(super) struct Schema<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default)]
    optional: bool,
    #[serde(default, borrow)]
    default: Option<&'a RawValue>,
}

impl<'a> Schema<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, ConvertError> {
        let unreadable = |source| ConvertError::Schema { schema: text.to_owned(), source };
        serde_json::from_str(text).map_err(unreadable)
    }

    /// What stands for null: the default, or nothing if it is optional.
    fn null(&self, settings: Settings) -> Result<Option<&'a str>, ()> {
        match self.default {
            Some(default) if settings.replace_null_with_default || !self.optional => Ok(Some(default.get())),
            _ if self.optional => Ok(None),
            _ => Err(()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    schema: &'a RawValue,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// The schema of a format for which a plugin gives none.
fn implied(format: Format) -> &'static str {
    match format {
        Format::String => r#"{"type":"string","optional":false}"#,
        Format::Bytes => r#"{"type":"bytes","optional":false}"#,
        Format::Json => "null",
    }
}

impl Settings {
    pub(super) fn serialize<'a>(
        self,
        format: Format,
        schema: Option<&str>,
        data: Option<&'a [u8]>,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>, ConvertError> {
        match (data, schema) {
            // No schema and no value: a tombstone, never an envelope.
            (None, None) => return Ok(None),
            (Some(data), _) if format == Format::Json && !self.schemas => return Ok(Some(data)),
            _ => scratch.clear(),
        }
        if self.schemas {
            scratch.extend_from_slice(b"{\"schema\":");
            scratch.extend_from_slice(schema.unwrap_or(implied(format)).as_bytes());
            scratch.extend_from_slice(b",\"payload\":");
        }
        match data {
            Some(data) => write_payload(format, data, scratch)?,
            None => self.write_null(schema.unwrap_or_default(), scratch)?,
        }
        if self.schemas {
            scratch.push(b'}');
        }
        Ok(Some(scratch))
    }

    fn write_null(self, schema: &str, out: &mut Vec<u8>) -> Result<(), ConvertError> {
        let schema = Schema::parse(schema)?;
        let null = schema.null(self).map_err(|()| ConvertError::NullToKafka)?;
        out.extend_from_slice(null.unwrap_or("null").as_bytes());
        Ok(())
    }

    pub(super) fn deserialize<'a>(
        self,
        data: Option<&'a [u8]>,
        scratch: &'a mut Vec<u8>,
    ) -> Result<Deserialized<'a>, ConvertError> {
        let Some(data) = data else { return Ok(Deserialized::plain(Format::Json, None)) };
        if !self.schemas {
            // To Java, nothing but blanks and `null` are both null.
            let null = is_blank_or_null(data);
            return Ok(Deserialized::plain(Format::Json, (!null).then_some(data)));
        }
        let Envelope { schema, payload } = open(data)?;
        let (schema, payload) = (schema.get(), payload.get());
        if schema == "null" {
            let data = (payload != "null").then_some(payload.as_bytes());
            return Ok(Deserialized::plain(Format::Json, data));
        }
        let parsed = Schema::parse(schema)?;
        let payload = if payload == "null" {
            parsed.null(self).map_err(|()| ConvertError::NullFromKafka(parsed.kind.to_uppercase()))?
        } else {
            Some(payload)
        };
        let (format, data) = match (payload, &*parsed.kind) {
            (None, "string") => (Format::String, None),
            (None, "bytes") => (Format::Bytes, None),
            (Some(payload), "string") if payload.starts_with('"') => {
                (Format::String, text_of(payload.as_bytes(), scratch)?)
            }
            (Some(payload), "bytes") => (Format::Bytes, bytes_of(payload.as_bytes(), scratch)?),
            (payload, _) => (Format::Json, payload.map(str::as_bytes)),
        };
        Ok(Deserialized { format, schema: Some(Cow::Borrowed(schema)), data })
    }
}

/// Takes the envelope off. What follows it is ignored, as in Java.
fn open(data: &[u8]) -> Result<Envelope<'_>, ConvertError> {
    let mut reader = serde_json::Deserializer::from_slice(data);
    Envelope::deserialize(&mut reader).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => ConvertError::NoEnvelope,
        // To Java, nothing at all is not malformed.
        _ if data.trim_ascii().is_empty() => ConvertError::NoEnvelope,
        _ => ConvertError::Json(error),
    })
}

fn write_payload(format: Format, data: &[u8], out: &mut Vec<u8>) -> Result<(), ConvertError> {
    match format {
        Format::Json => out.extend_from_slice(data),
        Format::String => text::write_json_string(std::str::from_utf8(data)?, out),
        Format::Bytes => {
            out.push(b'"');
            base64::encode(data, out);
            out.push(b'"');
        }
    }
    Ok(())
}

/// What a JSON value is as text: a string without quotes and escapes, null as nothing, others as they are written.
pub(super) fn text_of<'a>(
    json: &'a [u8],
    scratch: &'a mut Vec<u8>,
) -> Result<Option<&'a [u8]>, ConvertError> {
    match json.trim_ascii() {
        b"null" => Ok(None),
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') && !inner.contains(&b'"') => Ok(Some(inner)),
        string @ [b'"', ..] => {
            let text: String = serde_json::from_slice(string).map_err(ConvertError::Json)?;
            scratch.clear();
            scratch.extend_from_slice(text.as_bytes());
            Ok(Some(scratch))
        }
        other => Ok(Some(other)),
    }
}

/// The bytes that a JSON string in base64 stands for.
pub(super) fn bytes_of<'a>(json: &[u8], scratch: &'a mut Vec<u8>) -> Result<Option<&'a [u8]>, ConvertError> {
    let json = json.trim_ascii();
    if json == b"null" {
        return Ok(None);
    }
    // A solidus may be written as an escape, so the text has to be read.
    let text: Cow<'_, str> = serde_json::from_slice(json).map_err(|_| ConvertError::Base64)?;
    scratch.clear();
    base64::decode(text.as_bytes(), scratch).ok_or(ConvertError::Base64)?;
    Ok(Some(scratch))
}

fn is_blank_or_null(data: &[u8]) -> bool {
    match data.first() {
        None => true,
        Some(b'n' | b' ' | b'\t' | b'\r' | b'\n') => matches!(data.trim_ascii(), b"" | b"null"),
        Some(_) => false,
    }
}
