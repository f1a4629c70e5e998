//! The dictionaries of a writer: each text once a batch, at the cost of a comparison when it is the
//! same as the last.
//!
//! A text keeps its place in the map when a batch ends, marked by the batch's generation, so that a
//! task that writes the same topics for ever allocates for none of them. What bounds the map: it is
//! dropped at the end of a batch that leaves more than [`KEPT_BYTES`] in it.

use std::collections::HashMap;

/// Text a map may hold on to between two batches.
const KEPT_BYTES: usize = 1 << 20;

#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    /// Text → the generation in which it was last used, and its index then.
    map: HashMap<Box<str>, (u64, u32)>,
    generation: u64,
    /// The texts of the map, with what an entry takes beside its text.
    kept: usize,
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Dictionary {
    /// The index of `text`, which is `guess` if it is the same text. The caller has seen to it that
    /// the batch has room for it.
    pub(crate) fn index(&mut self, text: &str, guess: u32) -> u32 {
        if self.get(guess) == Some(text.as_bytes()) {
            return guess;
        }
        let next = self.ends.len() as u32;
        match self.map.get_mut(text) {
            Some((generation, index)) if *generation == self.generation => return *index,
            Some(entry) => *entry = (self.generation, next),
            None => {
                self.kept += text.len() + 64;
                self.map.insert(text.into(), (self.generation, next));
            }
        }
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len() as u32);
        next
    }

    fn get(&self, index: u32) -> Option<&[u8]> {
        let index = index as usize;
        let end = *self.ends.get(index)? as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        self.bytes.get(start..end)
    }

    /// Bytes of the column, once it is written.
    pub(crate) fn size(&self) -> u64 {
        4 + self.ends.len() as u64 * 4 + self.bytes.len() as u64
    }

    pub(crate) fn ends(&self) -> &[u32] {
        &self.ends
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Begins the next batch.
    pub(crate) fn clear(&mut self) {
        self.generation += 1;
        self.ends.clear();
        self.bytes.clear();
        if self.kept > KEPT_BYTES {
            self.map.clear();
            self.kept = 0;
        }
    }
}
