//! What became of the records: confirmed, or refused and not yet told.
//!
//! A record that cannot be written is named to the worker by a later `put`, which then has dead letters of it or fails
//! the task. Until it is named it holds back its partition's offset (invariant 3), so whatever happens in between, it
//! comes again. There are never more of them than records that waited for an answer.

use std::collections::VecDeque;

use transom_sdk::{Failures, log, metric};

use crate::config::Malformed;
use crate::tracker::{Place, Tracker};

/// So many are named in one answer.
const MOST_NAMED: usize = 10_000;

/// The books of a task.
pub(crate) struct Ledger {
    pub(crate) tracker: Tracker,
    malformed: Malformed,
    drop_invalid: bool,
    refused: VecDeque<(Place, String)>,
    counts: Counts,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    conflicts: u64,
    refused: u64,
    retried: u64,
    failed: u64,
}

impl Ledger {
    pub(crate) fn new(malformed: Malformed, drop_invalid: bool) -> Self {
        let (tracker, refused) = (Tracker::default(), VecDeque::new());
        Self { tracker, malformed, drop_invalid, refused, counts: Counts::default() }
    }

    pub(crate) fn owns(&self, place: Place) -> bool {
        self.tracker.owns(place)
    }

    /// It is written.
    pub(crate) fn confirm(&mut self, place: Place) {
        self.tracker.confirm(place);
    }

    /// A newer version is written, or the record was before.
    pub(crate) fn conflict(&mut self, place: Place) {
        self.counts.conflicts += 1;
        self.tracker.confirm(place);
    }

    /// Parts of a request are sent again.
    pub(crate) fn retried(&mut self) {
        self.counts.retried += 1;
    }

    /// A request failed as a whole.
    pub(crate) fn failed(&mut self) {
        self.counts.failed += 1;
    }

    /// The server takes a document neither now nor later.
    pub(crate) fn refuse(&mut self, place: Place, reason: String) {
        match self.malformed {
            Malformed::Fail => self.keep(place, reason),
            Malformed::Warn => self.drop(place, log::Level::Warn, &reason),
            Malformed::Ignore => self.drop(place, log::Level::Debug, &reason),
        }
    }

    /// No document can be made of a record.
    pub(crate) fn invalid(&mut self, place: Place, reason: String) {
        if self.drop_invalid {
            self.drop(place, log::Level::Warn, &reason);
        } else {
            self.keep(place, reason);
        }
    }

    fn keep(&mut self, place: Place, reason: String) {
        self.counts.refused += 1;
        self.refused.push_back((place, reason));
    }

    /// As it was configured: the record is left out, and counted.
    fn drop(&mut self, place: Place, level: log::Level, reason: &str) {
        self.counts.refused += 1;
        if let Some((topic, partition, offset)) = self.tracker.name(place) {
            log::log!(level, "{topic}-{partition} at offset {offset} is left out: {reason}");
        }
        self.tracker.confirm(place);
    }

    /// Whether there are records to be named.
    pub(crate) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Names them. From now on they are the worker's.
    pub(crate) fn name(&mut self, failures: &mut Failures) {
        let most = self.refused.len().min(MOST_NAMED);
        for (place, reason) in self.refused.drain(..most) {
            if let Some((topic, partition, offset)) = self.tracker.name(place) {
                failures.at(topic, partition, offset, &reason);
            }
            self.tracker.confirm(place);
        }
    }

    pub(crate) fn show(&self) {
        metric("version_conflicts", self.counts.conflicts as f64);
        metric("refused_records", self.counts.refused as f64);
        metric("retried_requests", self.counts.retried as f64);
        metric("failed_requests", self.counts.failed as f64);
    }
}
