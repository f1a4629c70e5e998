//! When the objects of a Kafka partition are closed.
//!
//! All that are open are closed together: where reading starts again after a crash is then one offset, before which
//! everything is in the bucket and behind which nothing is. Records, bytes and the span of the timestamps are cuts
//! that follow from the records since the last cut alone, so whoever reads these again cuts at the same places and
//! makes the same objects. A cut by the clock is not; see `note.rs`.

use crate::time_path::Zone;

/// What the user wants.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) records: u64,
    pub(crate) bytes: Option<u64>,
    /// Milliseconds of the records' own time.
    pub(crate) interval: Option<i64>,
    pub(crate) schedule: Option<Schedule>,
}

/// Times of the day.
#[derive(Debug)]
pub(crate) struct Schedule {
    pub(crate) interval: i64,
    pub(crate) zone: Zone,
}

/// What came since the last cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Since {
    records: u64,
    bytes: u64,
    /// Timestamp of the first record, where there is one, and the folder of the last.
    first: Option<i64>,
    folder: String,
}

impl Since {
    pub(crate) fn add(&mut self, bytes: usize, timestamp: Option<i64>, folder: &str) {
        self.records += 1;
        self.bytes += bytes as u64;
        if self.records == 1 {
            self.first = timestamp;
        }
        if self.folder != folder {
            folder.clone_into(&mut self.folder);
        }
    }
}

impl Rules {
    /// Whether to cut in front of a record.
    pub(crate) fn cut_before(&self, since: &Since, timestamp: Option<i64>, folder: &str) -> bool {
        let (Some(interval), Some(first), Some(now)) = (self.interval, since.first, timestamp) else {
            return false;
        };
        since.records > 0 && (now.saturating_sub(first) >= interval || folder != since.folder)
    }

    /// Whether to cut behind the last record.
    pub(crate) fn cut_after(&self, since: &Since) -> bool {
        since.records >= self.records || self.bytes.is_some_and(|bytes| since.bytes >= bytes)
    }

    /// The next time at which the clock cuts.
    pub(crate) fn next(&self, now: i64) -> Option<i64> {
        self.schedule.as_ref().map(|schedule| schedule.zone.next(now, schedule.interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_follow_from_the_records() {
        let rules = Rules { records: 3, bytes: Some(100), interval: Some(1000), schedule: None };
        let mut since = Since::default();
        assert!(!rules.cut_before(&since, Some(5000), "a"), "there is nothing to cut");
        since.add(10, Some(5000), "a");
        assert!(!rules.cut_before(&since, Some(5999), "a") && rules.cut_before(&since, Some(6000), "a"));
        assert!(rules.cut_before(&since, Some(5001), "b"), "another folder");
        assert!(!rules.cut_before(&since, Some(0), "a"), "older records stay");
        since.add(10, Some(5000), "a");
        assert!(!rules.cut_after(&since));
        since.add(10, Some(5000), "a");
        assert!(rules.cut_after(&since));
        let mut large = Since::default();
        large.add(100, None, "");
        assert!(rules.cut_after(&large) && !rules.cut_before(&large, None, "b"));
    }
}
