//! Records for a sink, made up: of each offset of a partition always the same one, so that it can be delivered
//! again.

use std::ops::Range;

use transom_batch::{Format, Run, TimestampType, WriteError, Writer};

use crate::config::{Converter, Problems, RawConfig};

/// The topic, where the settings name none.
const TOPIC: &str = "plugin-test";
/// When the first record was written, in milliseconds since the epoch.
const BEGIN: i64 = 1_767_225_600_000;

/// Where records come from.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) topic: String,
    key: Format,
    value: Format,
    /// Values are null.
    tombstones: bool,
}

impl Feed {
    /// Of the first topic that the settings name, in the formats of their converters; else of texts as keys and
    /// JSON as values.
    pub(super) fn new(raw: &RawConfig) -> Self {
        let topic = raw.get("topics").and_then(|topics| topics.split(',').next()).map(str::trim);
        let topic = topic.filter(|topic| !topic.is_empty()).unwrap_or(TOPIC).to_owned();
        let format = |key: &str| {
            Converter::read(key, raw, &mut Problems::default()).map(|converter| match converter {
                Converter::String => Format::String,
                Converter::ByteArray => Format::Bytes,
                Converter::Json { .. } => Format::Json,
            })
        };
        let key = format("key.converter").unwrap_or(Format::String);
        Self { topic, key, value: format("value.converter").unwrap_or(Format::Json), tombstones: false }
    }

    /// The same records with null values.
    pub(super) fn of_tombstones(raw: &RawConfig) -> Self {
        Self { tombstones: true, ..Self::new(raw) }
    }

    /// A batch with these offsets of these partitions.
    pub(super) fn batch(&self, spans: &[(i32, Range<i64>)]) -> Result<Vec<u8>, WriteError> {
        let mut writer = Writer::new();
        for (partition, offsets) in spans {
            writer.run(&Run {
                topic: &self.topic,
                partition: Some(*partition),
                key_format: self.key,
                value_format: self.value,
                timestamp_type: TimestampType::Create,
                ..Run::default()
            })?;
            for offset in offsets.clone() {
                self.push(&mut writer, *partition, offset)?;
            }
        }
        Ok(writer.finish())
    }

    fn push(&self, writer: &mut Writer, partition: i32, offset: i64) -> Result<(), WriteError> {
        let key = format!("{partition}-{offset}");
        let key = if self.key == Format::Json { format!("{key:?}") } else { key };
        let value = format!(
            r#"{{"id":"{partition}-{offset}","partition":{partition},"offset":{offset},"text":"record {offset}"}}"#
        );
        let value = (!self.tombstones).then_some(value.as_bytes());
        writer.push_at(offset, Some(key.as_bytes()), value, Some(BEGIN + offset))?;
        writer.header("made-by", Some(b"transom plugin test"))
    }
}
