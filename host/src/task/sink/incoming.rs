//! From librdkafka's queue to a batch, in one pass: each record's key and value are converted where they lie
//! and written once, into the buffer that crosses the boundary.

use std::collections::HashMap;

use transom_batch::{Format, Run, TimestampType, Writer};

use super::partitions::Tp;
use crate::convert::{ConvertError, Converters, Deserialized};
use crate::kafka::{Message, TimestampKind};
use crate::task::failure::Failure;

/// Collects records for one `put`.
#[derive(Debug)]
pub(super) struct Incoming {
    writer: Writer,
    converters: Converters,
    key_scratch: Vec<u8>,
    value_scratch: Vec<u8>,
    /// First offset and next offset of each partition in the batch. Small: a batch has few partitions.
    spans: Vec<Span>,
    failed: Option<Failure>,
}

/// What of one partition is in a batch.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) tp: Tp,
    pub(super) first: i64,
    pub(super) next: i64,
}

/// A batch that is ready to be put.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) bytes: Vec<u8>,
    pub(super) records: u64,
    pub(super) payload: u64,
    pub(super) spans: Vec<Span>,
}

impl Ready {
    /// A batch of no records: the guest hears from the worker all the same.
    pub(super) fn empty() -> Self {
        Self { bytes: Writer::new().finish(), records: 0, payload: 0, spans: Vec::new() }
    }
}

impl Incoming {
    pub(super) fn new(converters: Converters) -> Self {
        Self {
            writer: Writer::new(),
            converters,
            key_scratch: Vec::new(),
            value_scratch: Vec::new(),
            spans: Vec::new(),
            failed: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.writer.len()
    }

    /// Adds a record. After one that could not be converted the rest is ignored: `take` tells.
    pub(super) fn push(&mut self, message: &Message<'_>) {
        if self.failed.is_none()
            && let Err((part, source)) = self.try_push(message)
        {
            let topic = message.topic().to_owned();
            self.failed = Some(Failure::Convert { topic, part, source });
        }
    }

    fn try_push(&mut self, message: &Message<'_>) -> Result<(), (&'static str, ConvertError)> {
        let key = self
            .converters
            .key
            .deserialize(message.key(), &mut self.key_scratch)
            .map_err(|source| ("key", source))?;
        let value = self
            .converters
            .value
            .deserialize(message.value(), &mut self.value_scratch)
            .map_err(|source| ("value", source))?;
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        self.writer.run(&Run {
            topic,
            partition: Some(partition),
            key_format: key.format,
            value_format: value.format,
            key_schema: key.schema.as_deref(),
            value_schema: value.schema.as_deref(),
            timestamp_type: timestamp_type(message.timestamp_kind()),
            base_offset: Some(offset),
        });
        self.writer.push_at(offset, key.data, value.data, message.timestamp());
        for (name, value) in message.headers() {
            self.writer.header(name, value);
        }
        match self.spans.last_mut() {
            Some(span) if span.tp.partition == partition && span.tp.topic == topic => span.next = offset + 1,
            _ => self.spans.push(Span {
                tp: Tp { topic: topic.to_owned(), partition },
                first: offset,
                next: offset + 1,
            }),
        }
        Ok(())
    }

    /// The batch, or why there is none.
    pub(super) fn take(&mut self) -> Result<Ready, Failure> {
        let spans = std::mem::take(&mut self.spans);
        let (records, payload) = (self.writer.len() as u64, self.writer.bytes() as u64);
        let bytes = self.writer.finish();
        match self.failed.take() {
            Some(failure) => Err(failure),
            None => Ok(Ready { bytes, records, payload, spans }),
        }
    }
}

fn timestamp_type(kind: TimestampKind) -> TimestampType {
    match kind {
        TimestampKind::None => TimestampType::None,
        TimestampKind::Create => TimestampType::Create,
        TimestampKind::LogAppend => TimestampType::LogAppend,
    }
}
