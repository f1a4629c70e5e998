//! What a sink gets and answers: borrowed views of a batch's records, and the ones that failed.

use std::fmt::Display;

use serde::Deserialize;
use transom_batch::{Failure, Format, Headers, Limits, MAX_BYTES, OutcomeWriter};

use crate::{Error, error::Kind};

/// The records of one call, borrowed from the bytes the worker passed.
#[derive(Debug)]
pub struct Batch<'a>(transom_batch::Batch<'a>);

impl<'a> Batch<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        // The worker's own limits are tighter; the parser allocates only what it has seen.
        let limits = Limits { bytes: MAX_BYTES, records: u32::MAX };
        let parsed = transom_batch::Batch::parse(bytes, &limits);
        parsed
            .map(Self)
            .map_err(|error| Error::fatal(format!("the worker passed a malformed batch: {error}")))
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none: the worker only gives the sink a chance to do something.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The records, those of a partition in the order of their offsets.
    pub fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        self.0.records().map(Record)
    }

    /// The batch as the format has it: runs, marks, dictionaries.
    pub fn raw(&self) -> &transom_batch::Batch<'a> {
        &self.0
    }
}

/// One record, borrowed from its batch.
#[derive(Debug, Clone)]
pub struct Record<'b>(transom_batch::Record<'b>);

impl<'b> Record<'b> {
    /// The topic.
    #[inline]
    pub fn topic(&self) -> &'b str {
        self.0.run.topic
    }

    /// The Kafka partition; -1 in a source's batch whose partition is not decided.
    #[inline]
    pub fn partition(&self) -> i32 {
        self.0.run.partition.unwrap_or(-1)
    }

    /// The Kafka offset; -1 in a source's batch.
    #[inline]
    pub fn offset(&self) -> i64 {
        self.0.offset.unwrap_or(-1)
    }

    /// The key; none: null.
    #[inline]
    pub fn key(&self) -> Option<&'b [u8]> {
        self.0.key
    }

    /// The value; none: null, a tombstone.
    #[inline]
    pub fn value(&self) -> Option<&'b [u8]> {
        self.0.value
    }

    /// The key as text.
    ///
    /// # Errors
    /// A bad record: it is no UTF-8.
    pub fn key_str(&self) -> Result<Option<&'b str>, Error> {
        self.text("key", self.0.key)
    }

    /// The value as text.
    ///
    /// # Errors
    /// A bad record: it is no UTF-8.
    pub fn value_str(&self) -> Result<Option<&'b str>, Error> {
        self.text("value", self.0.value)
    }

    /// The key, parsed as JSON. Null for a null key.
    ///
    /// # Errors
    /// A bad record: it is no JSON, or not of this type.
    pub fn key_json<T: Deserialize<'b>>(&self) -> Result<T, Error> {
        self.json("key", self.0.key)
    }

    /// The value, parsed as JSON. Null for a null value.
    ///
    /// # Errors
    /// A bad record: it is no JSON, or not of this type.
    pub fn value_json<T: Deserialize<'b>>(&self) -> Result<T, Error> {
        self.json("value", self.0.value)
    }

    /// What the key's bytes are.
    pub fn key_format(&self) -> Format {
        self.0.run.key_format
    }

    /// What the value's bytes are.
    pub fn value_format(&self) -> Format {
        self.0.run.value_format
    }

    /// The key's Connect schema, as `JsonConverter` writes it.
    pub fn key_schema(&self) -> Option<&'b str> {
        self.0.run.key_schema
    }

    /// The value's Connect schema, as `JsonConverter` writes it.
    pub fn value_schema(&self) -> Option<&'b str> {
        self.0.run.value_schema
    }

    /// Milliseconds since the epoch.
    pub fn timestamp(&self) -> Option<i64> {
        self.0.timestamp
    }

    /// The headers, in order; names may repeat.
    pub fn headers(&self) -> Headers<'b> {
        self.0.headers()
    }

    /// An error that names this record: `<topic>-<partition> at offset <offset> <what is wrong>`.
    pub fn bad(&self, what_is_wrong: impl Display) -> Error {
        let (topic, partition, offset) = (self.topic(), self.partition(), self.offset());
        Error::bad_record(format!("{topic}-{partition} at offset {offset} {what_is_wrong}"))
    }

    /// The record as the format has it.
    pub fn raw(&self) -> &transom_batch::Record<'b> {
        &self.0
    }

    fn text(&self, what: &str, bytes: Option<&'b [u8]>) -> Result<Option<&'b str>, Error> {
        bytes
            .map(std::str::from_utf8)
            .transpose()
            .map_err(|error| self.bad(format!("has a bad {what}: {error}")))
    }

    fn json<T: Deserialize<'b>>(&self, what: &str, bytes: Option<&'b [u8]>) -> Result<T, Error> {
        serde_json::from_slice(bytes.unwrap_or(b"null"))
            .map_err(|error| self.bad(format!("has a bad {what}: {error}")))
    }
}

/// The records that a sink could not write: they go to the dead letters, or fail the task.
#[derive(Debug, Default)]
pub struct Failures {
    writer: OutcomeWriter,
    failed: Option<Error>,
}

impl Failures {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Names a record of this batch.
    pub fn record(&mut self, record: &Record<'_>, why: impl AsRef<str>) {
        self.at(record.topic(), record.partition(), record.offset(), why);
    }

    /// Names a record that was put earlier and is not yet committed.
    pub fn at(&mut self, topic: &str, partition: i32, offset: i64, why: impl AsRef<str>) {
        let code = Kind::BadRecord.code();
        let failure = Failure { topic, partition, offset, code, message: why.as_ref() };
        if let Err(error) = self.writer.fail(failure) {
            let error =
                Error::fatal(format!("cannot report {topic}-{partition} at offset {offset}: {error}"));
            self.failed.get_or_insert(error);
        }
    }

    /// After a put: the outcome batch, empty if nothing failed.
    pub(crate) fn take(&mut self) -> Result<Vec<u8>, Error> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(self.writer.finish()),
        }
    }
}
