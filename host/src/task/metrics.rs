//! What a task counts. Counters are bumped once a batch, never once a record.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::plugin::Meters;

/// A counter that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A value that goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicI64);

impl Gauge {
    pub(crate) fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The figures of one task; they outlive its restarts and swaps.
#[derive(Debug, Default)]
pub(crate) struct TaskMetrics {
    /// Records polled from the guest (source) or consumed from Kafka (sink).
    pub(crate) records_in: Counter,
    /// Bytes of keys and values of those.
    pub(crate) bytes_in: Counter,
    /// Records acknowledged by Kafka (source) or taken by the guest (sink).
    pub(crate) records_out: Counter,
    /// Bytes of keys and values of those.
    pub(crate) bytes_out: Counter,
    /// Batches that crossed the boundary.
    pub(crate) batches: Counter,
    /// Saves of source offsets or commits of consumer offsets that succeeded.
    pub(crate) commits: Counter,
    /// Those that did not.
    pub(crate) commit_failures: Counter,
    /// Calls of the guest that ended with a retriable error.
    pub(crate) retries: Counter,
    /// Records that a sink's plugin could not take and that went to the dead letters.
    pub(crate) dead_letters: Counter,
    /// Those that were left out, because they are tolerated and there are no dead letters.
    pub(crate) records_skipped: Counter,
    /// Failures of the task.
    pub(crate) failures: Counter,
    /// Starts after a failure.
    pub(crate) restarts: Counter,
    /// Replacements of the plugin that succeeded.
    pub(crate) swaps: Counter,
    /// Replacements that failed.
    pub(crate) swap_failures: Counter,
    /// Replacements that were taken back, because the new code failed soon.
    pub(crate) rollbacks: Counter,
    /// Records handed to Kafka and not yet acknowledged (source).
    pub(crate) in_flight_records: Gauge,
    /// Bytes of those.
    pub(crate) in_flight_bytes: Gauge,
    /// Records of the assigned partitions not yet put (sink).
    pub(crate) lag: Gauge,
    /// Partitions assigned (sink).
    pub(crate) partitions: Gauge,
    /// What the guest itself is measured by.
    pub(crate) guest: Arc<Meters>,
}
