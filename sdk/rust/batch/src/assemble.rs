//! Putting a batch together: the columns behind the arena, the directory and the header before it.
//!
//! The directory grows towards the arena in a space that is reserved for [`MAX_COLUMNS`] entries;
//! what is not used stays zero, which the format allows ("gaps").

use crate::layout::{Column, ENTRY_LEN, HEADER_LEN, MAGIC, VERSION};

/// Columns a writer may write: ids 1 to 20.
const MAX_COLUMNS: usize = 20;
/// Where the arena starts: behind the header and the longest directory.
pub(crate) const ARENA_AT: usize = HEADER_LEN + MAX_COLUMNS * ENTRY_LEN;
/// What columns can lose to alignment, all together.
pub(crate) const PADDING: usize = MAX_COLUMNS * 7;

/// A batch that is being put together. Columns come in ascending order of their ids.
#[derive(Debug)]
pub(crate) struct Assembler<'b> {
    out: &'b mut Vec<u8>,
    columns: u32,
}

impl<'b> Assembler<'b> {
    /// `out` holds [`ARENA_AT`] zeros and the arena, or nothing at all.
    pub(crate) fn new(out: &'b mut Vec<u8>) -> Assembler<'b> {
        if out.is_empty() {
            out.resize(ARENA_AT, 0);
        }
        let mut assembler = Assembler { out, columns: 0 };
        if assembler.out.len() > ARENA_AT {
            assembler.enter(Column::ARENA, ARENA_AT);
        }
        assembler
    }

    pub(crate) fn bytes(&mut self, column: Column, bytes: &[u8]) {
        self.column(column, |out| out.extend_from_slice(bytes));
    }

    pub(crate) fn u32s(&mut self, column: Column, values: &[u32]) {
        self.column(column, |out| extend_u32s(out, values));
    }

    pub(crate) fn i64s(&mut self, column: Column, values: &[i64]) {
        self.column(column, |out| {
            let at = out.len();
            out.resize(at + values.len() * 8, 0);
            for (cell, value) in out[at..].as_chunks_mut::<8>().0.iter_mut().zip(values) {
                *cell = value.to_le_bytes();
            }
        });
    }

    pub(crate) fn dictionary(&mut self, column: Column, ends: &[u32], bytes: &[u8]) {
        self.column(column, |out| {
            out.extend_from_slice(&(ends.len() as u32).to_le_bytes());
            extend_u32s(out, ends);
            out.extend_from_slice(bytes);
        });
    }

    pub(crate) fn column(&mut self, column: Column, write: impl FnOnce(&mut Vec<u8>)) {
        self.out.resize(self.out.len().next_multiple_of(8), 0);
        let start = self.out.len();
        write(self.out);
        self.enter(column, start);
    }

    /// Adds the column that reaches from `start` to the end of `out` to the directory.
    fn enter(&mut self, column: Column, start: usize) {
        let Some(kind) = column.kind() else { return };
        let length = (self.out.len() - start) as u32;
        let at = HEADER_LEN + self.columns as usize * ENTRY_LEN;
        let entry = &mut self.out[at..at + ENTRY_LEN];
        entry[..2].copy_from_slice(&column.0.to_le_bytes());
        entry[2..4].copy_from_slice(&(kind as u16).to_le_bytes());
        entry[4..8].copy_from_slice(&(start as u32).to_le_bytes());
        entry[8..].copy_from_slice(&length.to_le_bytes());
        self.columns += 1;
    }

    /// Writes the header.
    pub(crate) fn finish(self, records: u32) {
        if self.columns == 0 {
            self.out.truncate(HEADER_LEN);
        }
        self.out[..4].copy_from_slice(&MAGIC.to_le_bytes());
        self.out[4..6].copy_from_slice(&VERSION.to_le_bytes());
        self.out[6..8].fill(0);
        self.out[8..12].copy_from_slice(&records.to_le_bytes());
        self.out[12..16].copy_from_slice(&self.columns.to_le_bytes());
    }
}

fn extend_u32s(out: &mut Vec<u8>, values: &[u32]) {
    let at = out.len();
    out.resize(at + values.len() * 4, 0);
    for (cell, value) in out[at..].as_chunks_mut::<4>().0.iter_mut().zip(values) {
        *cell = value.to_le_bytes();
    }
}
