//! A record as tests see it.

use std::fmt;

use serde::de::DeserializeOwned;
use transom_batch::{Format, Run, TimestampType, WriteError, Writer};

/// A record that owns its bytes: what a source made, or what a sink shall get.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TestRecord {
    /// The topic.
    pub topic: String,
    /// The Kafka partition, where the source decided it, or where a sink's record comes from.
    pub partition: Option<i32>,
    /// The offset of a sink's record; none: the next of its partition.
    pub offset: Option<i64>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// What the key's bytes are.
    pub key_format: Format,
    /// What the value's bytes are.
    pub value_format: Format,
    /// The key's schema.
    pub key_schema: Option<String>,
    /// The value's schema.
    pub value_schema: Option<String>,
    /// Milliseconds since the epoch.
    pub timestamp: Option<i64>,
    /// Names and values.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// In a line, with text where there is text: for the messages of failed tests.
impl fmt::Debug for TestRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |bytes: &Option<Vec<u8>>| match bytes {
            Some(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
            None => "null".into(),
        };
        write!(f, "{}", self.topic)?;
        self.partition.map_or(Ok(()), |partition| write!(f, "-{partition}"))?;
        self.offset.map_or(Ok(()), |offset| write!(f, "@{offset}"))?;
        write!(f, " {}={}", shown(&self.key), shown(&self.value))?;
        self.headers.iter().try_for_each(|(name, value)| write!(f, " {name}:{}", shown(value)))
    }
}

impl TestRecord {
    /// A record for a sink.
    pub fn new(topic: &str, partition: i32, format: Format, value: Option<&[u8]>) -> Self {
        Self {
            topic: topic.into(),
            partition: Some(partition),
            offset: None,
            key: None,
            value: value.map(Into::into),
            key_format: Format::Bytes,
            value_format: format,
            key_schema: None,
            value_schema: None,
            timestamp: None,
            headers: Vec::new(),
        }
    }

    /// A record for a sink whose value is text.
    pub fn string(topic: &str, partition: i32, value: &str) -> Self {
        Self::new(topic, partition, Format::String, Some(value.as_bytes()))
    }

    /// With a key of bytes.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// At this offset.
    #[must_use]
    pub fn at(mut self, offset: i64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// The key as text; panics if it is null or no UTF-8.
    pub fn key_str(&self) -> &str {
        text(self.key.as_deref(), "key")
    }

    /// The value as text; panics if it is null or no UTF-8.
    pub fn value_str(&self) -> &str {
        text(self.value.as_deref(), "value")
    }

    /// The value, parsed as JSON; panics if it cannot be.
    pub fn value_json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(self.value_str()).expect("the value is JSON of this type")
    }

    pub(super) fn read(record: &transom_batch::Record<'_>) -> Self {
        let run = record.run;
        Self {
            topic: run.topic.into(),
            partition: run.partition,
            offset: record.offset,
            key: record.key.map(Into::into),
            value: record.value.map(Into::into),
            key_format: run.key_format,
            value_format: run.value_format,
            key_schema: run.key_schema.map(Into::into),
            value_schema: run.value_schema.map(Into::into),
            timestamp: record.timestamp,
            headers: record.headers().map(|(name, value)| (name.into(), value.map(Into::into))).collect(),
        }
    }

    pub(super) fn write(&self, offset: i64, writer: &mut Writer) -> Result<(), WriteError> {
        writer.run(&Run {
            topic: &self.topic,
            partition: self.partition,
            key_format: self.key_format,
            value_format: self.value_format,
            key_schema: self.key_schema.as_deref(),
            value_schema: self.value_schema.as_deref(),
            timestamp_type: TimestampType::Create,
            base_offset: None,
        })?;
        writer.push_at(offset, self.key.as_deref(), self.value.as_deref(), self.timestamp)?;
        self.headers.iter().try_for_each(|(name, value)| writer.header(name, value.as_deref()))
    }
}

fn text<'a>(bytes: Option<&'a [u8]>, what: &str) -> &'a str {
    let bytes = bytes.unwrap_or_else(|| panic!("the {what} is null"));
    std::str::from_utf8(bytes).unwrap_or_else(|_| panic!("the {what} is no UTF-8: {bytes:?}"))
}
