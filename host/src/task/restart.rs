//! When a failed task starts again, and when it does not.
//!
//! Each failure without progress doubles the wait; progress (something was committed since the last
//! failure) forgives everything before it. What can only fail again, a wrong configuration, is not tried
//! again at all.

use std::time::Duration;

/// The longest wait between two starts.
const LONGEST: Duration = Duration::from_secs(60);

/// What is waited for where nothing starts by itself.
pub(crate) const BY_HAND: &str = "a restart by hand or another configuration";

/// How many failures in a row a task may have, and how long it waits after each.
#[derive(Debug, Clone)]
pub(crate) struct RestartBudget {
    max: u32,
    first_wait: Duration,
    failures: u32,
}

impl RestartBudget {
    /// At most `max` starts after failures without progress, the first after `first_wait`.
    pub(crate) fn new(max: u32, first_wait: Duration) -> Self {
        Self { max, first_wait, failures: 0 }
    }

    /// Forgives the failures so far.
    pub(crate) fn progress(&mut self) {
        self.failures = 0;
    }

    /// Counts a failure. How long to wait before the next start; `None`: never.
    pub(crate) fn failed(&mut self) -> Option<Duration> {
        if self.failures >= self.max {
            return None;
        }
        let wait = self.first_wait.saturating_mul(1 << self.failures.min(16));
        self.failures += 1;
        Some(wait.min(LONGEST))
    }

    /// What is waited for after a failure, in words; `wait` is what [`failed`](Self::failed) said.
    pub(crate) fn waits_for(&self, wait: Option<Duration>) -> String {
        match wait {
            Some(wait) => {
                format!("the next start, {:.1} s after failure {}", wait.as_secs_f64(), self.failures)
            }
            None => BY_HAND.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_minute_and_then_the_budget_ends() {
        let mut budget = RestartBudget::new(9, Duration::from_secs(1));
        let waits: Vec<u64> = std::iter::from_fn(|| budget.failed()).map(|wait| wait.as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(budget.failed(), None);
    }

    #[test]
    fn progress_forgives_all_failures() {
        let mut budget = RestartBudget::new(1, Duration::from_millis(5));
        assert!(budget.failed().is_some());
        budget.progress();
        assert_eq!(budget.failed(), Some(Duration::from_millis(5)));
        assert_eq!(budget.failed(), None);
    }

    #[test]
    fn a_budget_of_none_never_starts_again() {
        assert_eq!(RestartBudget::new(0, Duration::from_secs(1)).failed(), None);
    }
}
