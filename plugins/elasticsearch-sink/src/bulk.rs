//! The body of one request to `_bulk`: lines of actions and documents, and which record each is of.
//!
//! A body is kept until its answer is there, because the server may refuse any part of it for now; what is then sent
//! again is cut out of it.

use std::collections::HashSet;

use crate::tracker::Place;

/// One action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    /// The record it was made of.
    pub(crate) place: Place,
    /// Tells documents apart, where their order matters; else 0.
    pub(crate) document: u64,
    /// It must not be under way together with another action of its document.
    pub(crate) alone: bool,
    /// Behind its last byte.
    end: usize,
}

/// Actions that are sent together.
#[derive(Debug, Default)]
pub(crate) struct Bulk {
    pub(crate) body: Vec<u8>,
    pub(crate) items: Vec<Item>,
    /// How often it was sent in vain.
    pub(crate) attempts: u32,
    /// It is a part of a request that was divided.
    pub(crate) part: bool,
    /// To which of the servers it was sent last.
    pub(crate) server: usize,
    /// Whether its documents are among those that are under way.
    pub(crate) counted: bool,
}

impl Bulk {
    /// What was written to the body is an action of this record.
    pub(crate) fn push(&mut self, place: Place, document: u64, alone: bool) {
        self.items.push(Item { place, document, alone, end: self.body.len() });
    }

    /// Those of its items that are wanted, in their order.
    pub(crate) fn select(&self, wanted: impl Fn(usize, &Item) -> bool) -> Self {
        let Self { attempts, counted, part, server, .. } = *self;
        let mut selected = Self { body: Vec::new(), items: Vec::new(), attempts, part, server, counted };
        let mut start = 0;
        for (index, item) in self.items.iter().enumerate() {
            if wanted(index, item) {
                selected.body.extend_from_slice(&self.body[start..item.end]);
                selected.push(item.place, item.document, item.alone);
            }
            start = item.end;
        }
        selected
    }

    /// Which items go again if these have to: of each document all behind the first one too, so that its last action
    /// is the last one again.
    pub(crate) fn again(&self, refused: &HashSet<usize>) -> Vec<bool> {
        let mut documents = HashSet::new();
        let goes = |(index, item): (usize, &Item)| {
            let goes = refused.contains(&index) || documents.contains(&item.document);
            if goes && item.document != 0 {
                documents.insert(item.document);
            }
            goes
        };
        self.items.iter().enumerate().map(goes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracker::Tracker;

    fn bulk(documents: &[u64]) -> Bulk {
        let (mut bulk, mut tracker) = (Bulk::default(), Tracker::default());
        for (offset, document) in documents.iter().enumerate() {
            bulk.body.extend_from_slice(format!("{offset}\n").as_bytes());
            bulk.push(tracker.take("t", 0, offset as i64), *document, false);
        }
        bulk
    }

    #[test]
    fn what_is_cut_out_keeps_its_bytes_and_order() {
        let cut = bulk(&[0; 5]).select(|index, _| index % 2 == 1);
        assert_eq!((cut.body.as_slice(), cut.items.len()), (&b"1\n3\n"[..], 2));
        assert_eq!(cut.select(|index, _| index == 1).body, b"3\n");
    }

    #[test]
    fn later_actions_of_a_document_go_again_with_one_that_has_to() {
        let bulk = bulk(&[7, 8, 7, 0, 0]);
        assert_eq!(bulk.again(&HashSet::from([0, 3])), [true, false, true, true, false]);
        assert_eq!(bulk.again(&HashSet::from([2])), [false, false, true, false, false]);
    }
}
