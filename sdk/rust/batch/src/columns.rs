//! What a writer keeps aside until a batch is finished: the columns that are not the arena.

use crate::assemble::Assembler;
use crate::layout::{Column, RUN_LEN};

/// A bitmap that is as long as the last null needs.
#[derive(Debug, Default)]
pub(crate) struct Nulls {
    bytes: Vec<u8>,
    count: usize,
}

impl Nulls {
    pub(crate) fn set(&mut self, index: usize) {
        if self.bytes.len() <= index / 8 {
            self.bytes.resize(index / 8 + 1, 0);
        }
        self.bytes[index / 8] |= 1 << (index % 8);
        self.count += 1;
    }

    /// Writes the column over `len` elements, unless nothing is null, and clears it.
    pub(crate) fn write(&mut self, column: Column, len: usize, to: &mut Assembler<'_>) {
        if self.count > 0 {
            self.bytes.resize(len.div_ceil(8), 0);
            to.bytes(column, &self.bytes);
        }
        self.bytes.clear();
        self.count = 0;
    }
}

/// The ends of keys or of values, with their nulls.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) ends: Vec<u32>,
    pub(crate) nulls: Nulls,
}

impl Ends {
    #[inline]
    pub(crate) fn push(&mut self, end: u32, null: bool) {
        if null {
            self.nulls.set(self.ends.len());
        }
        self.ends.push(end);
    }

    /// Writes the ends. Where every element is null, their absence says so, and no bitmap needs to.
    pub(crate) fn write_ends(&mut self, column: Column, to: &mut Assembler<'_>) {
        if self.nulls.count < self.ends.len() {
            to.u32s(column, &self.ends);
        } else {
            self.nulls.count = 0;
        }
    }

    pub(crate) fn write_nulls(&mut self, column: Column, to: &mut Assembler<'_>) {
        self.nulls.write(column, self.ends.len(), to);
        self.ends.clear();
    }
}

/// The headers of all records.
#[derive(Debug, Default)]
pub(crate) struct Headers {
    /// As long as the last record with a header needs.
    counts: Vec<u32>,
    ends: Vec<u32>,
    nulls: Nulls,
    bytes: Vec<u8>,
}

impl Headers {
    pub(crate) fn push(&mut self, record: usize, name: &str, value: Option<&[u8]>) {
        self.counts.resize(record + 1, 0);
        self.counts[record] += 1;
        self.bytes.extend_from_slice(name.as_bytes());
        self.ends.push(self.bytes.len() as u32);
        match value {
            Some(value) => self.bytes.extend_from_slice(value),
            None => self.nulls.set(self.ends.len() / 2),
        }
        self.ends.push(self.bytes.len() as u32);
    }

    /// Writes the columns, unless there are no headers, and clears them.
    pub(crate) fn write(&mut self, records: usize, to: &mut Assembler<'_>) {
        if self.counts.is_empty() {
            return;
        }
        self.counts.resize(records, 0);
        to.u32s(Column::HEADER_COUNTS, &self.counts);
        to.u32s(Column::HEADER_ENDS, &self.ends);
        self.nulls.write(Column::HEADER_NULLS, self.ends.len() / 2, to);
        to.bytes(Column::HEADER_BYTES, &self.bytes);
        self.counts.clear();
        self.ends.clear();
        self.bytes.clear();
    }
}

/// A run as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) records: u32,
    pub(crate) topic: u32,
    pub(crate) partition: i32,
    /// Of keys and of values.
    pub(crate) schemas: [u32; 2],
    /// Key format, value format, timestamp type.
    pub(crate) formats: [u8; 3],
    pub(crate) base: i64,
    /// The base that `Writer::run` was given; that of a row may come from its first record.
    pub(crate) given_base: i64,
}

impl Row {
    pub(crate) fn to_bytes(self) -> [u8; RUN_LEN] {
        let mut bytes = [0; RUN_LEN];
        bytes[..4].copy_from_slice(&self.records.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.topic.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.partition.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.schemas[0].to_le_bytes());
        bytes[16..20].copy_from_slice(&self.schemas[1].to_le_bytes());
        bytes[20..23].copy_from_slice(&self.formats);
        bytes[24..].copy_from_slice(&self.base.to_le_bytes());
        bytes
    }
}
