//! One budget for what all consumers of a worker fetch ahead.
//!
//! librdkafka's own default is 64 MB a consumer, which a thousand sinks turn into 64 GB. Here each consumer
//! gets an equal share. What it was made with it keeps, so a sink makes its consumer anew once its share has
//! shrunk to half of that; and because it may hold twice its share until then, shares are of half the budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// No consumer gets less: it must hold a record.
const LEAST: usize = 256 << 10;
/// No consumer gets more: beyond it nothing gets faster.
const MOST: usize = 64 << 20;

/// The budget. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct PrefetchBudget {
    bytes: usize,
    shares: Arc<AtomicUsize>,
}

/// One consumer's share, given back when dropped.
#[derive(Debug)]
pub(crate) struct PrefetchShare(PrefetchBudget);

impl PrefetchBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { bytes, shares: Arc::default() }
    }

    pub(crate) fn share(&self) -> PrefetchShare {
        let _ = self.shares.fetch_add(1, Ordering::Relaxed);
        PrefetchShare(self.clone())
    }
}

impl PrefetchShare {
    /// What it comes to now.
    pub(crate) fn bytes(&self) -> usize {
        let shares = self.0.shares.load(Ordering::Relaxed).max(1);
        (self.0.bytes / 2 / shares).clamp(LEAST, MOST)
    }
}

impl Drop for PrefetchShare {
    fn drop(&mut self) {
        let _ = self.0.shares.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_divided_among_those_who_hold_a_share() {
        let budget = PrefetchBudget::new(200 << 20);
        let one = budget.share();
        assert_eq!(one.bytes(), MOST);
        let others: Vec<_> = (0..9).map(|_| budget.share()).collect();
        assert_eq!(one.bytes(), 10 << 20);
        drop(others);
        assert_eq!(one.bytes(), MOST);
    }

    #[test]
    fn a_share_can_always_hold_a_record() {
        let budget = PrefetchBudget::new(1);
        assert_eq!(budget.share().bytes(), LEAST);
    }
}
