//! What is counted of a task's guest, for `/metrics` and the status.
//!
//! The task owns the [`Meters`] and hands the same ones to every instance it makes, so that counters
//! live on over a swap or a crash. Readers take no lock that a guest call holds for longer than an
//! insertion.

use crate::lock::unpoisoned;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Metrics a task may name.
const NAMES: usize = 32;
/// Bytes of a metric's name.
const NAME_BYTES: usize = 64;

/// Counters and gauges of one task's guest.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    memory: AtomicUsize,
    busy: AtomicU64,
    held: AtomicU64,
    calls: AtomicU64,
    refusals: AtomicU64,
    lines_dropped: AtomicU64,
    connections: AtomicU64,
    requests: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    named: Mutex<BTreeMap<String, f64>>,
}

impl Meters {
    /// Bytes of the instance that lives now.
    pub(crate) fn memory(&self) -> usize {
        self.memory.load(Relaxed)
    }

    /// Time the guest's code ran (waiting not included).
    pub(crate) fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy.load(Relaxed))
    }

    /// Time for which its share of the processor held it back.
    pub(crate) fn held(&self) -> Duration {
        Duration::from_nanos(self.held.load(Relaxed))
    }

    /// Calls into the guest.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    /// Things the guest asked for and was not granted.
    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.load(Relaxed)
    }

    /// Log lines beyond the rate.
    pub(crate) fn lines_dropped(&self) -> u64 {
        self.lines_dropped.load(Relaxed)
    }

    /// Connections made for the guest.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// Requests of HTTP that were sent for it.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Bytes that went out, and that came in, over connections of HTTP.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        (self.sent.load(Relaxed), self.received.load(Relaxed))
    }

    /// The gauges the guest set, by name.
    pub(crate) fn named(&self) -> Vec<(String, f64)> {
        self.with_named(|named| named.iter().map(|(name, value)| (name.clone(), *value)).collect())
    }

    pub(crate) fn set_memory(&self, bytes: usize) {
        self.memory.store(bytes, Relaxed);
    }

    pub(crate) fn add_busy(&self, time: Duration) {
        self.busy.fetch_add(nanoseconds(time), Relaxed);
    }

    pub(crate) fn add_held(&self, time: Duration) {
        self.held.fetch_add(nanoseconds(time), Relaxed);
    }

    pub(crate) fn add_call(&self) {
        self.calls.fetch_add(1, Relaxed);
    }

    pub(crate) fn add_refusal(&self) {
        self.refusals.fetch_add(1, Relaxed);
    }

    pub(crate) fn add_dropped_line(&self) {
        self.lines_dropped.fetch_add(1, Relaxed);
    }

    pub(crate) fn add_connection(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(crate) fn add_request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(crate) fn add_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn add_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
    }

    /// Sets a gauge; false: the name is not acceptable, or there are too many.
    pub(crate) fn set_named(&self, name: &str, value: f64) -> bool {
        if !is_metric_name(name) {
            return false;
        }
        self.with_named(|named| {
            if let Some(old) = named.get_mut(name) {
                *old = value;
            } else if named.len() < NAMES {
                named.insert(name.to_owned(), value);
            } else {
                return false;
            }
            true
        })
    }

    fn with_named<T>(&self, f: impl FnOnce(&mut BTreeMap<String, f64>) -> T) -> T {
        let mut named = unpoisoned(self.named.lock());
        f(&mut named)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// `[a-z_][a-z0-9_]*`: what needs no escaping in any place where a metric's name is shown.
fn is_metric_name(name: &str) -> bool {
    let first = name.bytes().next();
    name.len() <= NAME_BYTES
        && first.is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_become_metrics() {
        let meters = Meters::default();
        for bad in ["", "9a", "a b", "A", "a\"b", &"a".repeat(65)] {
            assert!(!meters.set_named(bad, 1.0), "{bad:?}");
        }
        assert!(meters.set_named("rows_read", 1.0) && meters.set_named("rows_read", 2.0));
        assert_eq!(meters.named(), [("rows_read".to_owned(), 2.0)]);
    }

    #[test]
    fn a_guest_cannot_make_metrics_without_bound() {
        let meters = Meters::default();
        let set = (0..100).filter(|i| meters.set_named(&format!("m{i}"), 0.0)).count();
        assert_eq!((set, meters.named().len()), (NAMES, NAMES));
        assert!(meters.set_named("m0", 5.0), "an existing one may still change");
    }
}
