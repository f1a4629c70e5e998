//! What a source fills: records, written straight into the packed batch.
//!
//! Nothing is kept per record. Topic, partition, formats and schemas are said once and hold for the
//! records that follow; the bytes of a key or value go into the batch's arena as they come. The
//! worker says how much it likes ([`Records::is_full`]) and accepts up to twice as much.

mod entry;

use std::time::Duration;

use serde::Serialize;
use transom_batch::{Format, Run, TimestampType, WriteError, Writer};

pub use entry::{Added, Entry};

use crate::Error;
use entry::Key;

/// The batch that a poll fills.
///
/// ```
/// use serde_json::json;
/// use transom_sdk::{Error, Records};
///
/// fn fill(records: &mut Records) -> Result<(), Error> {
///     records.topic("orders");
///     records.string("a line");
///     records.key_string("k1").timestamp(1_700_000_000_000).json(&json!({ "id": 1 }))?.header("by", b"shop");
///     records.key_bytes(b"k2").null();
///     records.position(&json!({ "table": "orders" }), &json!({ "id": 2 }))
/// }
/// # let mut records = transom_sdk::testing::records();
/// # fill(&mut records).unwrap();
/// # assert_eq!(records.len(), 3);
/// ```
#[derive(Debug)]
pub struct Records {
    writer: Writer,
    shared: Shared,
    /// Whether `shared` has changed since the writer was told.
    changed: bool,
    key: Vec<u8>,
    value: Vec<u8>,
    partition_json: Vec<u8>,
    offset_json: Vec<u8>,
    limits: Limits,
    /// Why the batch cannot be: told when the poll returns, so that adding a record cannot fail.
    failed: Option<Error>,
}

/// What a call of `poll` may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    pub(crate) wait: Duration,
}

/// What records have in common until it is changed.
#[derive(Debug)]
struct Shared {
    topic: String,
    partition: Option<i32>,
    key_format: Format,
    value_format: Format,
    key_schema: Option<String>,
    value_schema: Option<String>,
}

impl Records {
    pub(crate) fn new() -> Self {
        Self {
            writer: Writer::new(),
            shared: Shared {
                topic: String::new(),
                partition: None,
                key_format: Format::Bytes,
                value_format: Format::Bytes,
                key_schema: None,
                value_schema: None,
            },
            changed: true,
            key: Vec::new(),
            value: Vec::new(),
            partition_json: Vec::new(),
            offset_json: Vec::new(),
            limits: Limits { records: 0, bytes: 0, wait: Duration::ZERO },
            failed: None,
        }
    }

    /// Before a poll: what it may take. What a failed poll left is forgotten.
    pub(crate) fn begin(&mut self, limits: Limits) {
        if !self.writer.is_empty() {
            self.writer = Writer::new();
        }
        self.limits = limits;
        self.changed = true;
        self.failed = None;
    }

    /// After a poll: the batch, or nothing.
    pub(crate) fn take(&mut self) -> Result<Vec<u8>, Error> {
        match self.failed.take() {
            Some(error) => Err(error),
            None if self.writer.is_empty() => Ok(Vec::new()),
            None => Ok(self.writer.finish()),
        }
    }

    /// The topic of the records that follow.
    #[inline]
    pub fn topic(&mut self, topic: &str) -> &mut Self {
        if self.shared.topic != topic {
            topic.clone_into(&mut self.shared.topic);
            self.changed = true;
        }
        self
    }

    /// The Kafka partition of the records that follow; none: the partitioner decides by the key.
    #[inline]
    pub fn partition(&mut self, partition: Option<i32>) -> &mut Self {
        if self.shared.partition != partition {
            self.shared.partition = partition;
            self.changed = true;
        }
        self
    }

    /// The Connect schemas, as `JsonConverter` writes them, of the keys and values that follow.
    pub fn schemas(&mut self, key: Option<&str>, value: Option<&str>) -> &mut Self {
        self.shared.key_schema = key.map(str::to_owned);
        self.shared.value_schema = value.map(str::to_owned);
        self.changed = true;
        self
    }

    /// Begins a record with a key that is text.
    #[inline]
    pub fn key_string<'r>(&'r mut self, key: &'r str) -> Entry<'r> {
        self.key_format(Format::String);
        Entry { records: self, key: Key::Borrowed(key.as_bytes()), timestamp: None }
    }

    /// Begins a record with a key of bytes.
    #[inline]
    pub fn key_bytes<'r>(&'r mut self, key: &'r [u8]) -> Entry<'r> {
        self.key_format(Format::Bytes);
        Entry { records: self, key: Key::Borrowed(key), timestamp: None }
    }

    /// Begins a record with a key that becomes JSON.
    ///
    /// # Errors
    /// The key cannot be written as JSON.
    pub fn key_json(&mut self, key: &(impl Serialize + ?Sized)) -> Result<Entry<'_>, Error> {
        to_json(&mut self.key, key)?;
        self.key_format(Format::Json);
        Ok(Entry { records: self, key: Key::Written, timestamp: None })
    }

    /// Begins a record without a key, at this time (milliseconds since the epoch).
    #[inline]
    pub fn timestamp(&mut self, milliseconds: i64) -> Entry<'_> {
        self.entry().timestamp(milliseconds)
    }

    /// Adds a record without a key whose value is text.
    #[inline]
    pub fn string(&mut self, value: &str) -> Added<'_> {
        self.entry().string(value)
    }

    /// Adds a record without a key whose value is bytes.
    #[inline]
    pub fn bytes(&mut self, value: &[u8]) -> Added<'_> {
        self.entry().bytes(value)
    }

    /// Adds a record without a key whose value becomes JSON.
    ///
    /// # Errors
    /// The value cannot be written as JSON.
    pub fn json(&mut self, value: &(impl Serialize + ?Sized)) -> Result<Added<'_>, Error> {
        self.entry().json(value)
    }

    /// Says that the source stands here after the records so far: once all of them are durable in
    /// Kafka, a new start goes on from this offset. Also without records: positions move by
    /// themselves where nothing is worth a record.
    ///
    /// The records since the last positions belong to every partition that gets one now.
    ///
    /// # Errors
    /// The partition or offset cannot be written as a JSON object.
    pub fn position(
        &mut self,
        partition: &(impl Serialize + ?Sized),
        offset: &(impl Serialize + ?Sized),
    ) -> Result<(), Error> {
        to_json(&mut self.partition_json, partition)?;
        to_json(&mut self.offset_json, offset)?;
        let partition = object(&self.partition_json, "source partition")?;
        let offset = object(&self.offset_json, "source offset")?;
        self.writer.mark(partition, offset).map_err(refused)
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.writer.len()
    }

    /// Whether there is no record. (There may be positions.)
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the batch has as much as the worker likes: time to return.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.writer.len() >= self.limits.records || self.writer.bytes() >= self.limits.bytes
    }

    /// How many records the worker likes at most.
    pub fn max_records(&self) -> usize {
        self.limits.records
    }

    /// How many bytes the worker likes at most.
    pub fn max_bytes(&self) -> usize {
        self.limits.bytes
    }

    /// How long the poll may wait for the first record.
    pub fn max_wait(&self) -> Duration {
        self.limits.wait
    }

    #[inline]
    fn entry(&mut self) -> Entry<'_> {
        Entry { records: self, key: Key::Null, timestamp: None }
    }

    #[inline]
    fn key_format(&mut self, format: Format) {
        if self.shared.key_format != format {
            self.shared.key_format = format;
            self.changed = true;
        }
    }

    #[inline]
    fn value_format(&mut self, format: Format) {
        if self.shared.value_format != format {
            self.shared.value_format = format;
            self.changed = true;
        }
    }

    /// Tells the writer what the records have in common, if it does not know.
    #[inline]
    fn share(&mut self) {
        if std::mem::take(&mut self.changed) {
            if self.shared.topic.is_empty() {
                self.fail(Error::fatal("a record needs a topic: call `Records::topic` first"));
            }
            let told = self.writer.run(&Run {
                topic: &self.shared.topic,
                partition: self.shared.partition,
                key_format: self.shared.key_format,
                value_format: self.shared.value_format,
                key_schema: self.shared.key_schema.as_deref(),
                value_schema: self.shared.value_schema.as_deref(),
                timestamp_type: TimestampType::Create,
                base_offset: None,
            });
            self.check(told);
        }
    }

    #[inline]
    fn check(&mut self, result: Result<(), WriteError>) {
        if let Err(error) = result {
            self.fail(refused(error));
        }
    }

    /// Only the first failure is told: the others follow from it.
    fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }
}

fn refused(error: WriteError) -> Error {
    Error::fatal(format!("cannot add to the batch: {error}"))
}

fn to_json(buffer: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
    buffer.clear();
    Ok(serde_json::to_writer(buffer, value)?)
}

/// Source partitions and offsets are JSON objects; serde makes anything of anything.
fn object<'j>(json: &'j [u8], what: &str) -> Result<&'j str, Error> {
    let text = std::str::from_utf8(json).expect("serde_json writes UTF-8");
    if text.starts_with('{') {
        Ok(text)
    } else {
        Err(Error::fatal(format!("a {what} must be a JSON object (a struct or a map), not {text}")))
    }
}
