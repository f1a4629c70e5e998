//! A record becomes an action: what stands in the body of a request to `_bulk` for it.
//!
//! | records | action | id | version |
//! |---|---|---|---|
//! | `write.method=insert` | `index` | key, or topic+partition+offset | the offset, or a header's number |
//! | `write.method=upsert` | `update` | likewise | none: updates take none |
//! | tombstones that delete | `delete` | key | as the document's |
//! | to a data stream | `create` | topic+partition+offset | none: a second one is refused |
//!
//! The value is the document, byte for byte, as long as nothing has to be put into it: it is not parsed. What is no
//! JSON the server refuses by itself, each document for itself. Updates are the exception: a document that is none
//! breaks the line it is in and with it the whole request, so it is looked at here.

use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use transom_sdk::{Format, Record};

use crate::config::{Nulls, Settings};
use crate::naming::Names;

/// What Elasticsearch takes as an id.
const LONGEST_ID: usize = 512;
const TIMESTAMP: &str = "@timestamp";

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// An action. `document` tells documents apart where their order matters, else it is 0; `alone`: it must not be
    /// under way together with another action of its document.
    Action { document: u64, alone: bool },
    /// Nothing, as it was configured.
    Nothing,
}

/// Writes a record's action.
///
/// # Errors
/// Why there can be none; then nothing was written.
pub(crate) fn write(
    record: &Record<'_>,
    settings: &Settings,
    names: &mut Names,
    body: &mut Vec<u8>,
) -> Result<Written, String> {
    let before = body.len();
    let written = action(record, settings, names, body);
    if written.is_err() {
        body.truncate(before);
    }
    written
}

fn action(
    record: &Record<'_>,
    settings: &Settings,
    names: &mut Names,
    body: &mut Vec<u8>,
) -> Result<Written, String> {
    let own_id = settings.data_stream || settings.key_ignored(record.topic());
    let Some(value) = record.value() else {
        return match settings.nulls {
            Nulls::Ignore => Ok(Written::Nothing),
            Nulls::Fail => Err("has no value, and behavior.on.null.values=fail".into()),
            // Its document is not known, and the one it names is another record's.
            Nulls::Delete if own_id || record.key().is_none() => Ok(Written::Nothing),
            Nulls::Delete => delete(record, settings, names, body),
        };
    };
    let id = if own_id { own(record) } else { key(record)? };
    let index = names.of(record.topic(), record.timestamp())?;
    let document = if own_id { 0 } else { settings.document(index, &id) };
    let value = object(value)?;
    if settings.data_stream {
        begin(body, "create", index, &id);
        body.extend_from_slice(b"}}\n");
        with_time(value, record, settings, body)?;
    } else if settings.upsert {
        serde_json::from_slice::<Fields<'_>>(value).map_err(|error| not_json(&error))?;
        begin(body, "update", index, &id);
        body.extend_from_slice(br#","retry_on_conflict":5}}"#);
        body.extend_from_slice(b"\n{\"doc\":");
        line(value, body);
        body.extend_from_slice(br#","doc_as_upsert":true}"#);
    } else {
        begin(body, "index", index, &id);
        version(record, settings, own_id, body)?;
        body.extend_from_slice(b"}}\n");
        line(value, body);
    }
    body.push(b'\n');
    Ok(Written::Action { document, alone: settings.upsert && !own_id })
}

/// A later delete must not overtake an earlier write: Elasticsearch forgets the versions of what was deleted after a
/// minute, and the document would be back. So it waits for what is under way.
fn delete(
    record: &Record<'_>,
    settings: &Settings,
    names: &mut Names,
    body: &mut Vec<u8>,
) -> Result<Written, String> {
    let id = key(record)?;
    let index = names.of(record.topic(), record.timestamp())?;
    begin(body, "delete", index, &id);
    if !settings.upsert {
        version(record, settings, false, body)?;
    }
    body.extend_from_slice(b"}}\n");
    Ok(Written::Action { document: settings.document(index, &id), alone: true })
}

/// Names of indices have no signs that JSON would escape.
fn begin(body: &mut Vec<u8>, action: &str, index: &str, id: &str) {
    let _ = write!(body, "{{\"{action}\":{{\"_index\":\"{index}\",\"_id\":");
    let _ = serde_json::to_writer(&mut *body, id);
}

fn version(record: &Record<'_>, settings: &Settings, own_id: bool, body: &mut Vec<u8>) -> Result<(), String> {
    let version = match &settings.version_header {
        Some(name) if !own_id => {
            let value =
                record.headers().filter(|(header, _)| header == name).last().and_then(|(_, value)| value);
            let number = value
                .and_then(|value| std::str::from_utf8(value).ok())
                .and_then(|text| text.trim().parse().ok());
            number.filter(|number| *number >= 0).ok_or_else(|| {
                format!("has no number from 0 in its header {name}, which is to be the version")
            })?
        }
        _ => record.offset(),
    };
    let _ = write!(body, ",\"version\":{version},\"version_type\":\"external\"");
    Ok(())
}

/// The id of a record that has no better one: the same whenever it comes.
fn own<'a>(record: &Record<'_>) -> Cow<'a, str> {
    Cow::Owned(format!("{}+{}+{}", record.topic(), record.partition(), record.offset()))
}

fn key<'r>(record: &Record<'r>) -> Result<Cow<'r, str>, String> {
    let key = record.key().ok_or("has no key, which is to be the document's id (or set key.ignore=true)")?;
    let id = match record.key_format() {
        Format::Json => match serde_json::from_slice(key) {
            Ok(Scalar::Text(text)) => text,
            Ok(Scalar::Number(number)) => Cow::Owned(number.to_string()),
            Err(_) => {
                return Err(
                    "has a key that is neither a text nor a whole number, and no id can be made of it".into(),
                );
            }
        },
        _ => Cow::Borrowed(
            std::str::from_utf8(key)
                .map_err(|_| "has a key that is no UTF-8, and no id can be made of it")?,
        ),
    };
    match id.len() {
        0 => Err("has an empty key, and no id may be empty".into()),
        bytes if bytes > LONGEST_ID => {
            Err(format!("has a key of {bytes} bytes, and an id has at most {LONGEST_ID}"))
        }
        _ => Ok(id),
    }
}

/// A key that can be an id.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar<'a> {
    Number(i64),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

impl Settings {
    /// A number for a document, where the order of its actions matters.
    fn document(&self, index: &str, id: &str) -> u64 {
        if !self.upsert && self.nulls != Nulls::Delete {
            return 0;
        }
        let mut hasher = DefaultHasher::new();
        (index, id).hash(&mut hasher);
        hasher.finish().max(1)
    }
}

/// Every document is a JSON object.
fn object(value: &[u8]) -> Result<&[u8], String> {
    let value = value.trim_ascii();
    if value.first() == Some(&b'{') {
        Ok(value)
    } else {
        Err("has a value that is no JSON object, and no document can be made of it".into())
    }
}

/// A document in one line. A line's end within it is white space: in a text of JSON it would be escaped.
fn line(value: &[u8], body: &mut Vec<u8>) {
    let start = body.len();
    body.extend_from_slice(value);
    for byte in &mut body[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

/// A document of a data stream has a time: that of one of its fields, its own, or the record's.
fn with_time(
    value: &[u8],
    record: &Record<'_>,
    settings: &Settings,
    body: &mut Vec<u8>,
) -> Result<(), String> {
    let Fields(fields) = serde_json::from_slice(value).map_err(|error| not_json(&error))?;
    let of = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.get());
    let chosen = settings.timestamps.iter().find_map(|name| of(name));
    if chosen.is_none() && of(TIMESTAMP).is_some() {
        line(value, body);
        return Ok(());
    }
    let _ = write!(body, "{{\"{TIMESTAMP}\":");
    match (chosen, record.timestamp()) {
        (Some(time), _) => line(time.as_bytes(), body),
        (None, Some(time)) => drop(write!(body, "{time}")),
        (None, None) => return Err(format!("has no timestamp, and its value no {TIMESTAMP}")),
    }
    for (name, value) in fields.iter().filter(|(name, _)| name != TIMESTAMP) {
        body.push(b',');
        let _ = serde_json::to_writer(&mut *body, name);
        body.push(b':');
        line(value.get().as_bytes(), body);
    }
    body.push(b'}');
    Ok(())
}

fn not_json(error: &serde_json::Error) -> String {
    format!("has a value that is no JSON: {error}")
}

/// The members of an object, as they were written.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    fields.push((name, map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
