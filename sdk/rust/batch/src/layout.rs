//! The shape of a batch, version 1: header, directory, columns, and how each of them is checked.
//!
//! [`Directory::parse`] looks at the header and at every directory entry and leaves a table of the
//! known columns, so that what follows never looks for a column twice. The functions that hand out
//! columns check their length against the number of elements before anything is allocated; all
//! sums are `u64`, because on a 32-bit guest `usize` could overflow. What comes out are arrays of
//! byte arrays (`&[[u8; 4]]`): they need no alignment in memory, and reading an element is one load.

use std::fmt;
use std::str;

use crate::error::{Malformed, Problem};
use crate::reader::Limits;

/// The first four bytes of a batch, `TRMB` in file order.
pub const MAGIC: u32 = 0x424D_5254;
/// The version of the format that this crate reads and writes.
pub const VERSION: u16 = 1;
/// A batch is at most this long, so that every position in it fits a signed 32-bit integer.
pub const MAX_BYTES: usize = i32::MAX as usize;

pub(crate) const HEADER_LEN: usize = 16;
pub(crate) const ENTRY_LEN: usize = 12;
pub(crate) const RUN_LEN: usize = 32;
pub(crate) const MARK_LEN: usize = 12;
/// "None" of an index into a dictionary.
pub(crate) const NO_ENTRY: u32 = u32::MAX;
/// The largest base offset: any delta can be added to it.
pub(crate) const MAX_BASE_OFFSET: i64 = i64::MAX - u32::MAX as i64;

/// How the bytes of a column are to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    /// Plain bytes.
    Bytes = 1,
    /// An array of `u32`.
    U32 = 2,
    /// An array of `i64`.
    I64 = 3,
    /// A bit an element, the lowest bit of a byte first; 1 is null.
    Bitmap = 4,
    /// Count, ends, UTF-8.
    Dictionary = 5,
    /// Rows of a fixed size.
    Table = 6,
}

/// The id of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Column(pub u16);

macro_rules! columns {
    ($($name:ident $id:literal $kind:ident $text:literal, $doc:literal;)*) => {
        impl Column {
            /// Not a column: the header or the directory.
            pub const HEADER: Column = Column(0);
            $(#[doc = $doc] pub const $name: Column = Column($id);)*

            /// The name in the specification; none for ids that this version does not know.
            pub fn name(self) -> Option<&'static str> {
                match self.0 { 0 => Some("header"), $($id => Some($text),)* _ => None }
            }

            /// The kind the specification asks for; none for ids that this version does not know.
            pub fn kind(self) -> Option<Kind> {
                match self.0 { $($id => Some(Kind::$kind),)* _ => None }
            }
        }
    };
}

columns! {
    ARENA 1 Bytes "arena", "Keys and values.";
    KEY_ENDS 2 U32 "key ends", "Where each key ends in the arena.";
    VALUE_ENDS 3 U32 "value ends", "Where each value ends in the arena.";
    KEY_NULLS 4 Bitmap "key nulls", "Which keys are null.";
    VALUE_NULLS 5 Bitmap "value nulls", "Which values are null.";
    TIMESTAMPS 6 I64 "timestamps", "Milliseconds since the epoch, -1 for none.";
    HEADER_COUNTS 7 U32 "header counts", "How many headers each record has.";
    HEADER_ENDS 8 U32 "header ends", "Per header, the end of its name and of its value.";
    HEADER_NULLS 9 Bitmap "header nulls", "Which header values are null.";
    HEADER_BYTES 10 Bytes "header bytes", "Names and values of headers.";
    RUNS 11 Table "runs", "What consecutive records share.";
    OFFSET_DELTAS 12 U32 "offset deltas", "Kafka offsets, from the base of the run.";
    TOPICS 13 Dictionary "topics", "Names of topics.";
    SCHEMAS 14 Dictionary "schemas", "Connect schemas, as JsonConverter writes them.";
    SOURCE_PARTITIONS 15 Dictionary "source partitions", "Source partitions, JSON objects.";
    MARKS 16 Table "marks", "Where source partitions stand.";
    MARK_BYTES 17 Bytes "mark bytes", "The source offsets of the marks, JSON objects.";
    OUTCOME_CODES 18 U32 "outcome codes", "Why a record failed, as a number.";
    OUTCOME_MESSAGE_ENDS 19 U32 "outcome message ends", "Where each message ends.";
    OUTCOME_MESSAGES 20 Bytes "outcome messages", "Why a record failed, in words.";
    TRANSACTION_MARKS 21 Table "transaction marks", "Reserved.";
    LEADER_EPOCHS 22 U32 "leader epochs", "Reserved.";
}

/// Ids below this have a place in the table of [`Directory`].
const KNOWN: usize = 23;

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |cell| u16::from_le_bytes(*cell))
}

/// The `u32` at `at`, which was checked to be there.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |cell| u32::from_le_bytes(*cell))
}

pub(crate) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |cell| i64::from_le_bytes(*cell))
}

/// Whether bit `index` is set; bits of an absent bitmap are not.
#[inline]
pub(crate) fn bit(bitmap: &[u8], index: usize) -> bool {
    bitmap.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

/// The bytes of one column, and where they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section<'a> {
    pub(crate) column: Column,
    pub(crate) offset: usize,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Section<'a> {
    /// The error that `problem` is, `at` bytes into this column.
    pub(crate) fn fail(&self, at: usize, problem: Problem) -> Malformed {
        Malformed { column: self.column, offset: self.offset + at, problem }
    }

    fn cells<const N: usize>(&self, count: u64) -> Result<&'a [[u8; N]], Malformed> {
        let expected = count.saturating_mul(N as u64);
        if self.bytes.len() as u64 != expected {
            return Err(self.fail(0, Problem::Length { found: self.bytes.len(), expected }));
        }
        Ok(self.bytes.as_chunks().0)
    }

    fn text(&self, at: usize) -> Result<&'a str, Malformed> {
        str::from_utf8(&self.bytes[at..]).map_err(|e| self.fail(at + e.valid_up_to(), Problem::Utf8))
    }
}

/// The header and the directory of a batch, checked.
#[derive(Debug)]
pub(crate) struct Directory<'a> {
    pub(crate) records: u32,
    /// Columns that are there; the offset of those that are not is the end of the directory.
    sections: [Option<Section<'a>>; KNOWN],
    end: usize,
}

impl<'a> Directory<'a> {
    pub(crate) fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Directory<'a>, Malformed> {
        let mut directory = Directory { records: 0, sections: [None; KNOWN], end: 0 };
        if bytes.is_empty() {
            return Ok(directory);
        }
        let columns = directory.header(bytes, limits)?;
        let mut previous = 0;
        for index in 0..columns {
            let at = HEADER_LEN + index * ENTRY_LEN;
            let id = u16_at(bytes, at);
            let section = directory.entry(bytes, at)?;
            if id <= previous {
                return Err(at_header(at, Problem::Order { id, previous }));
            }
            previous = id;
            if let Some(place) = directory.sections.get_mut(usize::from(id)) {
                *place = Some(section);
            }
        }
        Ok(directory)
    }

    /// Checks the header; the number of columns is what comes out.
    fn header(&mut self, bytes: &[u8], limits: &Limits) -> Result<usize, Malformed> {
        let len = bytes.len();
        let limit = limits.bytes.min(MAX_BYTES);
        if len > limit {
            return Err(at_header(0, Problem::TooLong { len, limit }));
        }
        if len < HEADER_LEN {
            return Err(at_header(0, Problem::Truncated { needed: HEADER_LEN as u64, len }));
        }
        match (u32_at(bytes, 0), u16_at(bytes, 4), u16_at(bytes, 6)) {
            (MAGIC, VERSION, 0) => {}
            (MAGIC, VERSION, flags) => return Err(at_header(6, Problem::Flags(flags))),
            (MAGIC, version, _) => return Err(at_header(4, Problem::Version(version))),
            (magic, _, _) => return Err(at_header(0, Problem::Magic(magic))),
        }
        self.records = u32_at(bytes, 8);
        if self.records > limits.records {
            let problem = Problem::TooManyRecords { records: self.records, limit: limits.records };
            return Err(at_header(8, problem));
        }
        let columns = u32_at(bytes, 12);
        let needed = HEADER_LEN as u64 + u64::from(columns) * ENTRY_LEN as u64;
        if needed > len as u64 {
            return Err(at_header(12, Problem::Truncated { needed, len }));
        }
        self.end = needed as usize;
        Ok(columns as usize)
    }

    fn entry(&self, bytes: &'a [u8], at: usize) -> Result<Section<'a>, Malformed> {
        let column = Column(u16_at(bytes, at));
        let found = u16_at(bytes, at + 2);
        let (offset, length) = (u32_at(bytes, at + 4), u32_at(bytes, at + 8));
        let fail = |at, problem| Malformed { column, offset: at, problem };
        if let Some(expected) = column.kind().filter(|kind| *kind as u16 != found) {
            return Err(fail(at + 2, Problem::Kind { found, expected }));
        }
        if !offset.is_multiple_of(8) || (offset as usize) < self.end {
            return Err(fail(at + 4, Problem::Misplaced(offset)));
        }
        let needed = u64::from(offset) + u64::from(length);
        match bytes.get(offset as usize..).and_then(|rest| rest.get(..length as usize)) {
            Some(bytes) => Ok(Section { column, offset: offset as usize, bytes }),
            None => Err(fail(at + 8, Problem::Truncated { needed, len: bytes.len() })),
        }
    }

    /// The column, or an empty one that stands at the end of the directory.
    pub(crate) fn section(&self, column: Column) -> Section<'a> {
        self.find(column).unwrap_or(Section { column, offset: self.end, bytes: &[] })
    }

    pub(crate) fn find(&self, column: Column) -> Option<Section<'a>> {
        self.sections.get(usize::from(column.0)).copied().flatten()
    }

    /// An array of exactly `count` elements of `N` bytes, or an empty one if the column is absent.
    pub(crate) fn cells<const N: usize>(
        &self,
        column: Column,
        count: u64,
    ) -> Result<&'a [[u8; N]], Malformed> {
        self.find(column).map_or(Ok(&[][..]), |section| section.cells(count))
    }

    /// A table; no rows if the column is absent.
    pub(crate) fn rows<const N: usize>(&self, column: Column) -> Result<&'a [[u8; N]], Malformed> {
        let section = self.section(column);
        match section.bytes.as_chunks() {
            (rows, []) => Ok(rows),
            _ => Err(section.fail(0, Problem::Rows { found: section.bytes.len(), row: N })),
        }
    }

    /// A bitmap of exactly `count` bits, none of them set behind the last.
    pub(crate) fn bitmap(&self, column: Column, count: u64) -> Result<&'a [u8], Malformed> {
        let Some(section) = self.find(column) else { return Ok(&[]) };
        section.cells::<1>(count.div_ceil(8))?;
        match section.bytes.last() {
            Some(last) if !count.is_multiple_of(8) && last >> (count % 8) != 0 => {
                Err(section.fail(section.bytes.len() - 1, Problem::StrayBit))
            }
            _ => Ok(section.bytes),
        }
    }

    /// The bytes of a column that must be UTF-8.
    pub(crate) fn text(&self, column: Column) -> Result<&'a str, Malformed> {
        self.section(column).text(0)
    }

    /// A dictionary; empty if the column is absent.
    pub(crate) fn dictionary(&self, column: Column) -> Result<Vec<&'a str>, Malformed> {
        let Some(section) = self.find(column) else { return Ok(Vec::new()) };
        let len = section.bytes.len();
        let count = u32_at(section.bytes, 0) as usize;
        let needed = 4 + 4 * count as u64;
        if len < 4 || needed > len as u64 {
            return Err(section.fail(0, Problem::Length { found: len, expected: needed }));
        }
        let text = section.text(needed as usize)?;
        let ends =
            Section { bytes: &section.bytes[4..needed as usize], offset: section.offset + 4, ..section };
        let cells = ends.cells(count as u64)?;
        check_text_ends(&ends, cells, text)?;
        let mut start = 0;
        let entry = |cell: &[u8; 4]| {
            let end = u32::from_le_bytes(*cell) as usize;
            text.get(std::mem::replace(&mut start, end)..end).unwrap_or_default()
        };
        Ok(cells.iter().map(entry).collect())
    }
}

fn at_header(offset: usize, problem: Problem) -> Malformed {
    Malformed { column: Column::HEADER, offset, problem }
}

#[inline]
fn le(cell: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*cell)
}

/// The first index at which `low` is above `high`. Found in two passes, because one that never
/// leaves early is turned into vector instructions.
pub(crate) fn first_above(low: &[[u8; 4]], high: &[[u8; 4]]) -> Option<usize> {
    let above = low.iter().zip(high).fold(false, |above, (low, high)| above | (le(low) > le(high)));
    if !above {
        return None;
    }
    low.iter().zip(high).position(|(low, high)| le(low) > le(high))
}

/// Ends must not decrease, and the last must be `len` (0 without any).
pub(crate) fn check_ends(section: &Section<'_>, ends: &[[u8; 4]], len: usize) -> Result<(), Malformed> {
    let behind = ends.get(1..).unwrap_or_default();
    if let Some(index) = first_above(ends, behind) {
        let problem = Problem::Decreasing { start: le(&ends[index]), end: le(&ends[index + 1]) };
        return Err(section.fail((index + 1) * 4, problem));
    }
    check_last(section, ends, len)
}

pub(crate) fn check_last(section: &Section<'_>, ends: &[[u8; 4]], len: usize) -> Result<(), Malformed> {
    let end = ends.last().map_or(0, le);
    if end as usize == len {
        return Ok(());
    }
    Err(section.fail(ends.len().saturating_sub(1) * 4, Problem::LastEnd { end, len }))
}

/// As [`check_ends`], and every end must lie between characters.
pub(crate) fn check_text_ends(section: &Section<'_>, ends: &[[u8; 4]], text: &str) -> Result<(), Malformed> {
    check_ends(section, ends, text.len())?;
    match ends.iter().position(|end| !text.is_char_boundary(le(end) as usize)) {
        Some(index) => Err(section.fail(index * 4, Problem::Utf8)),
        None => Ok(()),
    }
}
