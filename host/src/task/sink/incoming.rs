//! From librdkafka's queue to a batch, in one pass: each record's key and value are converted where they lie
//! and written once, into the buffer that crosses the boundary.

use transom_batch::{Run, TimestampType, WriteError, Writer};

use super::partitions::Tp;
use crate::convert::Converters;
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
    /// Bytes of keys and values.
    payload: u64,
    /// Where dead letters may need them: the records as they came.
    originals: Option<Writer>,
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
    /// The records as they came, where they are kept; else empty.
    pub(super) originals: Vec<u8>,
}

impl Ready {
    /// A batch of no records: the guest hears from the worker all the same.
    pub(super) fn empty() -> Self {
        Self {
            bytes: Writer::new().finish(),
            records: 0,
            payload: 0,
            spans: Vec::new(),
            originals: Vec::new(),
        }
    }
}

impl Incoming {
    /// `keep`: the records are wanted as they came, too.
    pub(super) fn new(converters: Converters, keep: bool) -> Self {
        Self {
            writer: Writer::new(),
            originals: keep.then(Writer::new),
            converters,
            key_scratch: Vec::new(),
            value_scratch: Vec::new(),
            spans: Vec::new(),
            payload: 0,
            failed: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.writer.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.writer.bytes()
    }

    /// Adds a record. After one that could not be added the rest is ignored: `take` tells.
    pub(super) fn push(&mut self, message: &Message<'_>) {
        // Taken is taken, whatever becomes of it: a failure goes back to here.
        self.note(message);
        if self.failed.is_none()
            && let Err(failure) = self.try_push(message)
        {
            self.failed = Some(failure);
        }
    }

    fn try_push(&mut self, message: &Message<'_>) -> Result<(), Failure> {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        let convert = |part| move |source| Failure::Convert { topic: topic.to_owned(), part, source };
        let Converters { key, value } = &self.converters;
        let key = key.deserialize(message.key(), &mut self.key_scratch).map_err(convert("key"))?;
        let value = value.deserialize(message.value(), &mut self.value_scratch).map_err(convert("value"))?;
        let (time, kind) = message.timestamp();
        let write = |source| Failure::Write { topic: topic.to_owned(), partition, offset, source };
        self.writer
            .run(&Run {
                topic,
                partition: Some(partition),
                key_format: key.format,
                value_format: value.format,
                key_schema: key.schema.as_deref(),
                value_schema: value.schema.as_deref(),
                timestamp_type: timestamp_type(kind),
                base_offset: None,
            })
            .map_err(write)?;
        self.writer.push_at(offset, key.data, value.data, time).map_err(write)?;
        for (name, value) in message.headers() {
            self.writer.header(name, value).map_err(write)?;
        }
        if let Some(originals) = &mut self.originals {
            copy(originals, message).map_err(write)?;
        }
        self.payload += [key.data, value.data].into_iter().flatten().map(<[u8]>::len).sum::<usize>() as u64;
        Ok(())
    }

    fn note(&mut self, message: &Message<'_>) {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        match self.spans.last_mut() {
            Some(span) if span.tp.partition == partition && span.tp.topic == topic => span.next = offset + 1,
            _ => self.spans.push(Span {
                tp: Tp { topic: topic.to_owned(), partition },
                first: offset,
                next: offset + 1,
            }),
        }
    }

    /// The batch so far, and why it is not all of it.
    pub(super) fn take(&mut self) -> (Ready, Option<Failure>) {
        let spans = std::mem::take(&mut self.spans);
        let (records, payload) = (self.writer.len() as u64, std::mem::take(&mut self.payload));
        let bytes = self.writer.finish();
        let originals = self.originals.as_mut().map(Writer::finish).unwrap_or_default();
        (Ready { bytes, records, payload, spans, originals }, self.failed.take())
    }
}

/// Adds a record as it came.
fn copy(originals: &mut Writer, message: &Message<'_>) -> Result<(), WriteError> {
    let (time, kind) = message.timestamp();
    originals.run(&Run {
        topic: message.topic(),
        partition: Some(message.partition()),
        timestamp_type: timestamp_type(kind),
        ..Run::default()
    })?;
    originals.push_at(message.offset(), message.key(), message.value(), time)?;
    message.headers().try_for_each(|(name, value)| originals.header(name, value))
}

fn timestamp_type(kind: TimestampKind) -> TimestampType {
    match kind {
        TimestampKind::None => TimestampType::None,
        TimestampKind::Create => TimestampType::Create,
        TimestampKind::LogAppend => TimestampType::LogAppend,
    }
}
