//! Writing a batch: [`Writer`] takes records one by one and lays them down in columns.
//!
//! Keys and values, which are nearly all of a batch, go straight to their place in the final buffer
//! behind a space for header and directory; the small columns are kept aside and appended by
//! [`Writer::finish`]. Columns that say nothing (no null, no timestamp, offsets without a gap) are
//! left out, and cost nothing until the first record that needs them.
//!
//! A writer is meant to be used for batch after batch: it keeps the capacity of its small columns
//! and the texts of its dictionaries, and with [`Writer::finish_into`] two buffers take turns, so
//! that in steady state nothing is allocated.
//!
//! Every call that adds something first checks that the whole batch, at worst, stays below
//! [`MAX_BYTES`]; so no position in it can exceed what the format can express. A call that is
//! refused leaves the writer as it was.

use std::mem;

use crate::assemble::{ARENA_AT, Assembler, PADDING};
use crate::columns::{Ends, Headers, Row};
use crate::dictionary::Dictionary;
use crate::error::WriteError;
use crate::key_value::KeyValue;
use crate::layout::{Column, MAX_BASE_OFFSET, MAX_BYTES, NO_ENTRY, RUN_LEN};
use crate::reader::Run;
use crate::records::Record;

/// What a record takes at most beside its key and value: two ends, two bits of null, a timestamp, a
/// count of headers, an offset delta.
const RECORD_SIDE: u64 = 25;
/// What a header takes at most beside its name and value.
const HEADER_SIDE: u64 = 9;
const NO_OFFSET: i64 = -1;
const NO_TIMESTAMP: i64 = -1;

/// Writes batches, one after the other.
#[derive(Debug, Default)]
pub struct Writer {
    /// Empty, or the reserved space and the arena.
    pub(crate) buffer: Vec<u8>,
    /// The size of the previous batch, with which the next buffer begins.
    hint: usize,
    /// Bytes at most of everything that is neither arena nor counted by the record.
    side: u64,
    keys: Ends,
    values: Ends,
    /// As long as the last record with a timestamp needs.
    timestamps: Vec<i64>,
    headers: Headers,
    rows: Vec<Row>,
    /// The run of the records that come; not among `rows` yet.
    row: Option<Row>,
    /// Empty as long as every offset follows from the run.
    deltas: Vec<u32>,
    topics: Dictionary,
    schemas: Dictionary,
    source_partitions: Dictionary,
    marks: Vec<[u32; 3]>,
    mark_bytes: Vec<u8>,
}

impl Writer {
    /// A writer for the first batch. Nothing is allocated yet.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// What the records that follow share. Equal to the present one: nothing happens, and the
    /// records go on counting from its base offset.
    ///
    /// `base_offset` is for records whose Kafka offsets are known. With one, [`Writer::push`] gives
    /// the record the offset `base + index in the run`. Without, [`Writer::push_at`] chooses the base.
    pub fn run(&mut self, run: &Run<'_>) -> Result<(), WriteError> {
        if let Some(partition @ ..0) = run.partition {
            return Err(WriteError::Partition(partition));
        }
        if let Some(base) = run.base_offset {
            check_offset(base)?;
            if base > MAX_BASE_OFFSET {
                return Err(WriteError::Offset(base));
            }
        }
        let schemas = [run.key_schema, run.value_schema];
        let texts = run.topic.len() + schemas.iter().flatten().map(|schema| schema.len()).sum::<usize>();
        self.check_room((RUN_LEN + 24 + texts) as u64)?;

        let before = self.topics.size() + self.schemas.size();
        let guess = self.row.map_or([NO_ENTRY; 3], |row| [row.topic, row.schemas[0], row.schemas[1]]);
        let base = run.base_offset.unwrap_or(NO_OFFSET);
        let row = Row {
            records: 0,
            topic: self.topics.index(run.topic, guess[0]),
            partition: run.partition.unwrap_or(-1),
            schemas: [0, 1].map(|i| schemas[i].map_or(NO_ENTRY, |s| self.schemas.index(s, guess[i + 1]))),
            formats: [run.key_format as u8, run.value_format as u8, run.timestamp_type as u8],
            base,
            given_base: base,
        };
        self.side += self.topics.size() + self.schemas.size() - before;
        if let Some(present) = self.row {
            if (Row { records: 0, base, ..present }) == row {
                return Ok(());
            }
            self.close_row(present);
        }
        self.row = Some(row);
        Ok(())
    }

    fn close_row(&mut self, row: Row) {
        if row.records > 0 {
            self.side += RUN_LEN as u64;
            self.rows.push(row);
        }
    }

    /// Adds a record. Its Kafka offset, if it has one, follows from the run. A timestamp of -1 is
    /// none.
    #[inline]
    pub fn push(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: Option<i64>,
    ) -> Result<(), WriteError> {
        self.append(None, key, value, timestamp)
    }

    /// Adds a record that has this Kafka offset.
    #[inline]
    pub fn push_at(
        &mut self,
        offset: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: Option<i64>,
    ) -> Result<(), WriteError> {
        check_offset(offset)?;
        self.append(Some(offset), key, value, timestamp)
    }

    #[inline]
    fn append(
        &mut self,
        offset: Option<i64>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: Option<i64>,
    ) -> Result<(), WriteError> {
        self.check_room(payload_len(key, value) + Writer::ROOM_OF_RECORD)?;
        self.place(offset)?;
        self.begin();
        self.buffer.extend_from_slice(key.unwrap_or_default());
        let key_end = self.buffer.len();
        self.buffer.extend_from_slice(value.unwrap_or_default());
        self.seal(key_end, [key.is_none(), value.is_none()], timestamp);
        Ok(())
    }

    /// Adds a copy of a record of another batch: run, offset, key, value, timestamp and headers.
    pub fn push_record(&mut self, record: &Record<'_>) -> Result<(), WriteError> {
        let headers = record.headers();
        let sizes =
            headers.map(|(name, value)| HEADER_SIDE + (name.len() + value.map_or(0, <[u8]>::len)) as u64);
        self.run(record.run)?;
        self.check_room(sizes.sum::<u64>() + payload_len(record.key, record.value) + Writer::ROOM_OF_RECORD)?;
        self.append(record.offset, record.key, record.value, record.timestamp)?;
        record.headers().try_for_each(|(name, value)| self.header(name, value))
    }

    /// A record whose key and value are written piece by piece, straight to where they belong.
    pub fn key_value(&mut self) -> KeyValue<'_> {
        self.begin();
        KeyValue::new(self)
    }

    /// Adds a header to the record that was pushed last.
    pub fn header(&mut self, name: &str, value: Option<&[u8]>) -> Result<(), WriteError> {
        let Some(record) = self.len().checked_sub(1) else { return Err(WriteError::NoRecord) };
        let size = HEADER_SIDE + (name.len() + value.map_or(0, <[u8]>::len)) as u64;
        self.check_room(size)?;
        self.side += size;
        self.headers.push(record, name, value);
        Ok(())
    }

    /// Says that after the records so far the source partition stands at this source offset. Both
    /// are JSON objects, which is not checked here. Marks may come before the first record, and
    /// without any.
    pub fn mark(&mut self, partition: &str, offset: &str) -> Result<(), WriteError> {
        let size = 12 + offset.len() as u64;
        self.check_room(size + 4 + partition.len() as u64)?;
        let before = self.source_partitions.size();
        let guess = self.marks.last().map_or(NO_ENTRY, |mark| mark[1]);
        let index = self.source_partitions.index(partition, guess);
        self.side += size + self.source_partitions.size() - before;
        self.mark_bytes.extend_from_slice(offset.as_bytes());
        self.marks.push([self.len() as u32, index, self.mark_bytes.len() as u32]);
        Ok(())
    }

    /// How many records the batch has so far.
    pub fn len(&self) -> usize {
        self.keys.ends.len()
    }

    /// How many bytes the batch takes at most, as it stands.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.needed(0) as usize
    }

    /// Whether there are neither records nor marks.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.marks.is_empty()
    }

    /// Takes the batch. The writer is then empty: also of its run.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.finish_into(&mut out);
        out
    }

    /// As [`Writer::finish`], into `out`, whose content is dropped and whose memory serves the next
    /// batch.
    pub fn finish_into(&mut self, out: &mut Vec<u8>) {
        self.finish_with(out, |_| {});
    }

    /// `more` adds the columns with ids above 17.
    pub(crate) fn finish_with(&mut self, out: &mut Vec<u8>, more: impl FnOnce(&mut Assembler<'_>)) {
        let records = self.len();
        if let Some(row) = self.row.take() {
            self.close_row(row);
        }
        let mut buffer = mem::take(&mut self.buffer);
        let mut to = Assembler::new(&mut buffer);
        self.write_records(&mut to);
        self.write_runs_and_marks(&mut to);
        more(&mut to);
        to.finish(records as u32);
        self.hint = buffer.len();
        self.buffer = mem::replace(out, buffer);
        self.buffer.clear();
        self.side = 0;
    }

    fn write_records(&mut self, to: &mut Assembler<'_>) {
        let records = self.len();
        self.keys.write_ends(Column::KEY_ENDS, to);
        self.values.write_ends(Column::VALUE_ENDS, to);
        self.keys.write_nulls(Column::KEY_NULLS, to);
        self.values.write_nulls(Column::VALUE_NULLS, to);
        if !self.timestamps.is_empty() {
            self.timestamps.resize(records, NO_TIMESTAMP);
            to.i64s(Column::TIMESTAMPS, &self.timestamps);
            self.timestamps.clear();
        }
        self.headers.write(records, to);
    }

    fn write_runs_and_marks(&mut self, to: &mut Assembler<'_>) {
        if !self.rows.is_empty() {
            to.column(Column::RUNS, |out| self.rows.drain(..).for_each(|row| out.extend(row.to_bytes())));
        }
        if !self.deltas.is_empty() {
            to.u32s(Column::OFFSET_DELTAS, &self.deltas);
            self.deltas.clear();
        }
        let dictionaries = [
            (Column::TOPICS, &mut self.topics),
            (Column::SCHEMAS, &mut self.schemas),
            (Column::SOURCE_PARTITIONS, &mut self.source_partitions),
        ];
        for (column, dictionary) in dictionaries {
            if !dictionary.ends().is_empty() {
                to.dictionary(column, dictionary.ends(), dictionary.bytes());
            }
            dictionary.clear();
        }
        if !self.marks.is_empty() {
            to.u32s(Column::MARKS, self.marks.as_flattened());
            to.bytes(Column::MARK_BYTES, &self.mark_bytes);
            self.marks.clear();
            self.mark_bytes.clear();
        }
    }
}

/// What is common to records that come whole and those that come piece by piece.
impl Writer {
    /// What a record takes at most beside its key and value, with the run that it may begin.
    pub(crate) const ROOM_OF_RECORD: u64 = RECORD_SIDE + RUN_LEN as u64;

    /// Reserves the space of header and directory, if this is the first record of the batch.
    #[inline]
    fn begin(&mut self) {
        if self.buffer.is_empty() {
            self.buffer.reserve(self.hint.max(ARENA_AT));
            self.buffer.resize(ARENA_AT, 0);
        }
    }

    #[inline]
    fn needed(&self, more: u64) -> u64 {
        let records = self.len() as u64;
        let open = RUN_LEN as u64;
        let fixed = (self.buffer.len().max(ARENA_AT) + PADDING) as u64 + 12 + open;
        fixed + self.side + records * RECORD_SIDE + more
    }

    /// Whether the batch could take so many bytes more.
    #[inline]
    pub(crate) fn check_room(&self, more: u64) -> Result<(), WriteError> {
        match self.needed(more) {
            needed if needed > MAX_BYTES as u64 => Err(WriteError::Full { needed }),
            _ => Ok(()),
        }
    }

    /// Finds the run and the offset delta of the record that comes. The last thing that can fail.
    #[inline]
    pub(crate) fn place(&mut self, offset: Option<i64>) -> Result<(), WriteError> {
        let Some(row) = &mut self.row else { return Err(WriteError::NoRun) };
        let delta = match offset {
            None if row.base == row.given_base => Some(row.records),
            None => None,
            Some(_) if row.base == NO_OFFSET => None,
            Some(offset) => offset.checked_sub(row.base).and_then(|delta| u32::try_from(delta).ok()),
        };
        if delta == Some(row.records) && self.deltas.is_empty() {
            row.records += 1;
            return Ok(());
        }
        let mut row = *row;
        let delta = delta.unwrap_or_else(|| {
            self.close_row(row);
            row.records = 0;
            // Every offset is a base and a delta: those beyond the largest base are that, and a delta.
            row.base = offset.map_or(row.given_base, |offset| offset.min(MAX_BASE_OFFSET));
            offset.map_or(0, |offset| (offset - row.base) as u32)
        });
        if delta != row.records || !self.deltas.is_empty() {
            self.add_delta(delta, row.records);
        }
        row.records += 1;
        self.row = Some(row);
        Ok(())
    }

    fn add_delta(&mut self, delta: u32, records_of_row: u32) {
        if self.deltas.is_empty() {
            self.deltas.extend(self.rows.iter().flat_map(|row| 0..row.records));
            self.deltas.extend(0..records_of_row);
        }
        self.deltas.push(delta);
    }

    /// Completes the record whose bytes end the arena.
    #[inline]
    pub(crate) fn seal(&mut self, key_end: usize, [key_null, value_null]: [bool; 2], timestamp: Option<i64>) {
        let index = self.len();
        self.keys.push((key_end - ARENA_AT) as u32, key_null);
        self.values.push((self.buffer.len() - ARENA_AT) as u32, value_null);
        if let Some(timestamp) = timestamp {
            self.timestamps.resize(index, NO_TIMESTAMP);
            self.timestamps.push(timestamp);
        }
    }
}

#[inline]
fn payload_len(key: Option<&[u8]>, value: Option<&[u8]>) -> u64 {
    key.map_or(0, <[u8]>::len) as u64 + value.map_or(0, <[u8]>::len) as u64
}

#[inline]
pub(crate) fn check_offset(offset: i64) -> Result<(), WriteError> {
    if offset >= 0 { Ok(()) } else { Err(WriteError::Offset(offset)) }
}
