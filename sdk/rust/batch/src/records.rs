//! The cursor over the records of a batch, and the columns it walks along.
//!
//! A record starts where the one before it ended, and its headers follow those of the one before
//! it; so the cursor carries both positions, and nothing is looked up or kept per record.

use std::iter::FusedIterator;

use crate::error::{Malformed, Problem};
use crate::layout::{self, Column, Directory, Section};
use crate::reader::{Batch, Run};

/// Keys and values.
#[derive(Debug, Clone)]
pub(crate) struct Payloads<'a> {
    pub(crate) arena: &'a [u8],
    /// Empty: every key is null.
    key_ends: &'a [[u8; 4]],
    /// Empty: every value is null.
    value_ends: &'a [[u8; 4]],
    key_nulls: &'a [u8],
    value_nulls: &'a [u8],
}

impl<'a> Payloads<'a> {
    pub(crate) fn parse(directory: &Directory<'a>) -> Result<Payloads<'a>, Malformed> {
        let records = u64::from(directory.records);
        let payloads = Payloads {
            arena: directory.section(Column::ARENA).bytes,
            key_ends: directory.cells(Column::KEY_ENDS, records)?,
            value_ends: directory.cells(Column::VALUE_ENDS, records)?,
            key_nulls: directory.bitmap(Column::KEY_NULLS, records)?,
            value_nulls: directory.bitmap(Column::VALUE_NULLS, records)?,
        };
        payloads.check_ends(directory)?;
        let keys = directory.section(Column::KEY_NULLS);
        let values = directory.section(Column::VALUE_NULLS);
        check_nulls(&keys, payloads.key_ends, |i| payloads.key(i))?;
        check_nulls(&values, payloads.value_ends, |i| (payloads.key(i).1, payloads.value_end(i)))?;
        Ok(payloads)
    }

    fn check_ends(&self, directory: &Directory<'a>) -> Result<(), Malformed> {
        let keys = directory.section(Column::KEY_ENDS);
        let values = directory.section(Column::VALUE_ENDS);
        let len = self.arena.len();
        match (self.key_ends, self.value_ends) {
            (key_ends, []) if !key_ends.is_empty() => layout::check_ends(&keys, key_ends, len),
            ([], value_ends) => layout::check_ends(&values, value_ends, len),
            (key_ends, value_ends) => {
                check_order(&values, key_ends, value_ends, 0)?;
                check_order(&keys, value_ends, &key_ends[1..], 1)?;
                layout::check_last(&values, value_ends, len)
            }
        }
    }

    /// Where key `index` starts and ends.
    fn key(&self, index: usize) -> (u32, u32) {
        let ends = if self.value_ends.is_empty() { self.key_ends } else { self.value_ends };
        let start = index.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, le);
        (start, self.key_ends.get(index).map_or(start, le))
    }

    fn value_end(&self, index: usize) -> u32 {
        self.value_ends.get(index).map_or(0, le)
    }
}

#[inline]
fn le(cell: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*cell)
}

/// `ends[i]` of `section`, which begin at element `first`, must not lie before `starts[i]`.
fn check_order(
    section: &Section<'_>,
    starts: &[[u8; 4]],
    ends: &[[u8; 4]],
    first: usize,
) -> Result<(), Malformed> {
    match layout::first_above(starts, ends) {
        None => Ok(()),
        Some(index) => {
            let problem = Problem::Decreasing { start: le(&starts[index]), end: le(&ends[index]) };
            Err(section.fail((index + first) * 4, problem))
        }
    }
}

/// What is null must be empty, and must have ends.
fn check_nulls(
    nulls: &Section<'_>,
    ends: &[[u8; 4]],
    place: impl Fn(usize) -> (u32, u32),
) -> Result<(), Malformed> {
    if !nulls.bytes.is_empty() && ends.is_empty() {
        return Err(nulls.fail(0, Problem::NullsWithoutEnds));
    }
    for (at, &byte) in nulls.bytes.iter().enumerate() {
        let mut left = byte;
        while left != 0 {
            let index = at * 8 + left.trailing_zeros() as usize;
            left &= left - 1;
            let (start, end) = place(index);
            if start != end {
                return Err(nulls.fail(at, Problem::NullWithBytes { index, len: end - start }));
            }
        }
    }
    Ok(())
}

/// The headers of all records.
#[derive(Debug, Clone)]
pub(crate) struct HeaderColumns<'a> {
    counts: &'a [[u8; 4]],
    /// Per header the end of its name and the end of its value.
    ends: &'a [[u8; 4]],
    nulls: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> HeaderColumns<'a> {
    pub(crate) fn parse(directory: &Directory<'a>) -> Result<HeaderColumns<'a>, Malformed> {
        let counts = directory.cells(Column::HEADER_COUNTS, directory.records.into())?;
        let total: u64 = counts.iter().map(|count| u64::from(le(count))).sum();
        let ends = directory.section(Column::HEADER_ENDS);
        if total > 0 && ends.bytes.is_empty() {
            return Err(ends.fail(0, Problem::Missing));
        }
        let bytes = directory.section(Column::HEADER_BYTES);
        let headers = HeaderColumns {
            counts,
            ends: directory.cells(Column::HEADER_ENDS, total * 2)?,
            nulls: directory.bitmap(Column::HEADER_NULLS, total)?,
            bytes: bytes.bytes,
        };
        layout::check_ends(&ends, headers.ends, headers.bytes.len())?;
        check_nulls(&directory.section(Column::HEADER_NULLS), headers.ends, |i| {
            let (_, name_end, value_end) = headers.place(i);
            (name_end as u32, value_end as u32)
        })?;
        for index in 0..headers.ends.len() / 2 {
            let (start, end, _) = headers.place(index);
            let name = headers.bytes.get(start..end).unwrap_or_default();
            if let Err(e) = std::str::from_utf8(name) {
                return Err(bytes.fail(start + e.valid_up_to(), Problem::Utf8));
            }
        }
        Ok(headers)
    }

    /// Where header `index` starts, where its name ends and where its value ends.
    #[inline]
    fn place(&self, index: usize) -> (usize, usize, usize) {
        let end = |at: usize| self.ends.get(at).map_or(0, le) as usize;
        let start = if index == 0 { 0 } else { end(index * 2 - 1) };
        (start, end(index * 2), end(index * 2 + 1))
    }
}

/// All records of a batch, in order.
#[derive(Debug, Clone)]
pub struct Records<'b> {
    batch: &'b Batch<'b>,
    index: u32,
    /// Where the next record starts in the arena.
    start: usize,
    /// The first header of the next record.
    header: usize,
    run: usize,
    /// The first record of the run.
    run_start: u32,
}

impl<'b> Records<'b> {
    pub(crate) fn new(batch: &'b Batch<'b>) -> Records<'b> {
        Records { batch, index: 0, start: 0, header: 0, run: 0, run_start: 0 }
    }
}

impl<'b> Iterator for Records<'b> {
    type Item = Record<'b>;

    #[inline]
    fn next(&mut self) -> Option<Record<'b>> {
        let batch = self.batch;
        if self.index >= batch.len {
            return None;
        }
        let (mut run, mut run_end) = batch.runs.get(self.run).map(|(run, end)| (run, *end))?;
        if self.index >= run_end {
            self.run += 1;
            self.run_start = run_end;
            (run, run_end) = batch.runs.get(self.run).map(|(run, end)| (run, *end))?;
        }
        debug_assert!(self.index < run_end, "no run is empty");

        let index = self.index;
        let i = index as usize;
        let payloads = &batch.payloads;
        let key_end = payloads.key_ends.get(i).map(|end| le(end) as usize);
        let value_start = key_end.unwrap_or(self.start);
        let value_end = payloads.value_ends.get(i).map(|end| le(end) as usize);
        let slice = |start: usize, end: usize| payloads.arena.get(start..end).unwrap_or_default();
        let key = key_end.filter(|_| !layout::bit(payloads.key_nulls, i)).map(|end| slice(self.start, end));
        let value =
            value_end.filter(|_| !layout::bit(payloads.value_nulls, i)).map(|end| slice(value_start, end));
        let timestamp = batch.timestamps.get(i).map(|cell| i64::from_le_bytes(*cell)).filter(|&at| at != -1);
        let delta = batch.deltas.get(i).map_or(index - self.run_start, le);
        let offset = run.base_offset.map(|base| base + i64::from(delta));
        let count = batch.headers.counts.get(i).map_or(0, le) as usize;
        let headers = Headers { columns: &batch.headers, next: self.header, end: self.header + count };

        self.index += 1;
        self.start = value_end.unwrap_or(value_start);
        self.header += count;
        Some(Record { index, run, key, value, timestamp, offset, headers })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.batch.len - self.index) as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Records<'_> {}
impl FusedIterator for Records<'_> {}

/// One record, borrowed from its batch.
#[derive(Debug, Clone)]
pub struct Record<'b> {
    /// Its place in the batch, from 0.
    pub index: u32,
    /// What it shares with its neighbours.
    pub run: &'b Run<'b>,
    /// The key; none: null.
    pub key: Option<&'b [u8]>,
    /// The value; none: null.
    pub value: Option<&'b [u8]>,
    /// Milliseconds since the epoch.
    pub timestamp: Option<i64>,
    /// The Kafka offset.
    pub offset: Option<i64>,
    headers: Headers<'b>,
}

impl<'b> Record<'b> {
    /// The headers, in order; names may repeat.
    pub fn headers(&self) -> Headers<'b> {
        self.headers.clone()
    }
}

/// The headers of a record: names and values.
#[derive(Debug, Clone)]
pub struct Headers<'b> {
    columns: &'b HeaderColumns<'b>,
    next: usize,
    end: usize,
}

impl<'b> Iterator for Headers<'b> {
    type Item = (&'b str, Option<&'b [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let (start, name_end, value_end) = self.columns.place(self.next);
        let null = layout::bit(self.columns.nulls, self.next);
        self.next += 1;
        let slice = |start: usize, end: usize| self.columns.bytes.get(start..end).unwrap_or_default();
        // Checked by `parse`; to check again is what it costs to do without unsafe code.
        let name = std::str::from_utf8(slice(start, name_end)).unwrap_or_default();
        Some((name, (!null).then(|| slice(name_end, value_end))))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.end - self.next, Some(self.end - self.next))
    }
}

impl ExactSizeIterator for Headers<'_> {}
impl FusedIterator for Headers<'_> {}
