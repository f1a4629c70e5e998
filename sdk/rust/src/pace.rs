//! At most so many a second.

use std::time::{Duration, Instant};

use crate::host::wait;

/// How far behind it may fall and still catch up: what was missed before is not made up for.
const MOST_BEHIND: f64 = 1.0;
/// Small amounts are collected for so long, so that a fast source does not make tiny batches.
const TICK: f64 = 0.01;

/// A source's speed limit: at most so many records (or requests) a second.
///
/// ```
/// # use std::time::Duration;
/// # use transom_sdk::Pace;
/// let mut unlimited = Pace::new(0.0);
/// assert_eq!(unlimited.due(Duration::from_secs(1)), u64::MAX);
/// ```
#[derive(Debug)]
pub struct Pace {
    rate: f64,
    since: Instant,
    took: u64,
    /// What was due already at the beginning.
    credit: f64,
}

impl Pace {
    /// A limit of so many a second; 0: none.
    pub fn new(rate: f64) -> Self {
        Self { rate, since: Instant::now(), took: 0, credit: 0.0 }
    }

    /// How many may be taken now. Waits at most so long until some may be, less when the worker wants
    /// the call back.
    pub fn due(&mut self, max_wait: Duration) -> u64 {
        if self.rate <= 0.0 {
            return u64::MAX;
        }
        let enough = (self.rate * TICK).max(1.0);
        let mut due = self.behind();
        if due < enough {
            let missing = Duration::from_secs_f64((enough - due) / self.rate);
            wait(missing.min(max_wait));
            due = self.behind();
        }
        if due > self.rate * MOST_BEHIND + 1.0 {
            // The beginning moves, as if it had been so long ago.
            self.since = Instant::now();
            self.credit = self.rate * MOST_BEHIND;
            self.took = 0;
            due = self.credit;
        }
        due as u64
    }

    /// So many were taken.
    pub fn took(&mut self, amount: u64) {
        self.took += amount;
    }

    /// What was due since the beginning and was not taken.
    fn behind(&self) -> f64 {
        (self.credit + self.since.elapsed().as_secs_f64() * self.rate - self.took as f64).max(0.0)
    }
}
