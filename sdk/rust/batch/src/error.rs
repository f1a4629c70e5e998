//! What can be wrong with a batch: [`Malformed`] for those that are read, [`WriteError`] for those
//! that are written.
//!
//! A malformed batch comes from the other side of the plugin boundary, so its author needs to know
//! where to look: the error names the column and the byte (counted from the start of the batch).

use crate::layout::{Column, Kind, MAGIC, MAX_BYTES, VERSION};

/// Bytes that are no batch, or no batch that the limits allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("batch column `{column}` at byte {offset}: {problem}")]
pub struct Malformed {
    /// The column in which the fault was seen; [`Column::HEADER`] for what precedes the columns.
    pub column: Column,
    /// Where, in bytes from the start of the batch.
    pub offset: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Longer than the reader's limit.
    #[error("the batch has {len} bytes, the limit is {limit}")]
    TooLong {
        /// Bytes of the batch.
        len: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// More records than the reader's limit.
    #[error("the batch has {records} records, the limit is {limit}")]
    TooManyRecords {
        /// Records of the batch.
        records: u32,
        /// Records that are allowed.
        limit: u32,
    },
    /// The batch ends before something that the header or the directory announces.
    #[error("it reaches to byte {needed}, but the batch has {len} bytes")]
    Truncated {
        /// Where it should end.
        needed: u64,
        /// Where the batch ends.
        len: usize,
    },
    /// Not a batch at all.
    #[error("the magic number is {0:#010x} instead of {MAGIC:#010x}")]
    Magic(u32),
    /// A version this reader does not know.
    #[error("the version is {0}, this reader knows {VERSION}")]
    Version(u16),
    /// Flags this reader does not know, and which it therefore cannot ignore.
    #[error("unknown flags {0:#06x}")]
    Flags(u16),
    /// The directory is not in strictly ascending order of ids.
    #[error("id {id} follows id {previous}: ids must ascend, and each occurs once")]
    Order {
        /// The id that is out of order.
        id: u16,
        /// The id before it.
        previous: u16,
    },
    /// A known column that is not of the kind it should be.
    #[error("kind {found} instead of {} ({expected:?})", *expected as u16)]
    Kind {
        /// What the directory says.
        found: u16,
        /// What the specification says.
        expected: Kind,
    },
    /// A column that does not start at a multiple of 8 behind the directory.
    #[error("it starts at byte {0}, which is not a multiple of 8 behind the directory")]
    Misplaced(u32),
    /// A column whose length does not fit the number of its elements.
    #[error("it has {found} bytes instead of {expected}")]
    Length {
        /// Bytes it has.
        found: usize,
        /// Bytes its elements take.
        expected: u64,
    },
    /// A table whose length is not a multiple of its row.
    #[error("its {found} bytes are no whole number of rows of {row} bytes")]
    Rows {
        /// Bytes it has.
        found: usize,
        /// Bytes of a row.
        row: usize,
    },
    /// A column that must be there with the columns and records that are there.
    #[error("it is missing")]
    Missing,
    /// A bitmap of nulls without the ends it belongs to.
    #[error("it is there without the ends of what it calls null")]
    NullsWithoutEnds,
    /// An end that lies before the end of the previous element.
    #[error("end {end} lies before {start}, where its element starts")]
    Decreasing {
        /// Where the element starts.
        start: u32,
        /// Where it ends.
        end: u32,
    },
    /// The last element does not end where the bytes end.
    #[error("the last element ends at {end}, but there are {len} bytes")]
    LastEnd {
        /// The last end, 0 without elements.
        end: u32,
        /// The bytes there are.
        len: usize,
    },
    /// A null that occupies bytes.
    #[error("null {index} occupies {len} bytes instead of 0")]
    NullWithBytes {
        /// Which element.
        index: usize,
        /// Bytes it occupies.
        len: u32,
    },
    /// A bit of a bitmap that belongs to no element.
    #[error("a bit behind the last element is set")]
    StrayBit,
    /// Text that is not UTF-8, or that is cut within a character.
    #[error("the text is not UTF-8")]
    Utf8,
    /// An index into a dictionary that has fewer entries.
    #[error("entry {index} of a dictionary of {entries} entries")]
    Index {
        /// The index.
        index: u32,
        /// How many entries there are.
        entries: usize,
    },
    /// A field of a row whose value has no meaning.
    #[error("{field} cannot be {value}")]
    Field {
        /// The field's name in the specification.
        field: &'static str,
        /// What was found.
        value: i64,
    },
    /// The runs do not cover the records.
    #[error("the runs have {sum} records, the batch has {records}")]
    RunSum {
        /// Records of all runs.
        sum: u64,
        /// Records of the batch.
        records: u32,
    },
    /// A mark that lies before the previous one, or behind the last record.
    #[error("a mark after record {after} may not follow one after record {previous} of {records} records")]
    MarkOrder {
        /// Records before this mark.
        after: u32,
        /// Records before the previous mark.
        previous: u32,
        /// Records of the batch.
        records: u32,
    },
}

/// Why a writer refused something. It is then as if the call had not been made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The batch would be larger than the format allows: finish it, and write a new one.
    #[error("a batch of {needed} bytes would exceed the format's limit of {MAX_BYTES}")]
    Full {
        /// Bytes the batch would need at most.
        needed: u64,
    },
    /// A record before the first call of `Writer::run`.
    #[error("a record needs a run (topic, formats): call Writer::run first")]
    NoRun,
    /// A header before the first record.
    #[error("a header needs a record: call Writer::push first")]
    NoRecord,
    /// A record's key was written after its value.
    #[error("the key was written after the value: the arena holds the key first")]
    KeyAfterValue,
    /// A Kafka offset that is negative, or the base of a run from which no delta could be counted.
    #[error("offset {0} is negative, or is a base above 2^63 - 2^32")]
    Offset(i64),
    /// A negative partition.
    #[error("partition {0} is negative")]
    Partition(i32),
}
