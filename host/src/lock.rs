//! Locks that outlive a panic.
//!
//! The standard library poisons a lock when a thread panics while it holds it, because what it guards may be
//! half-written. All that this crate guards is changed in steps that cannot panic, or replaced whole; so poison
//! says nothing here, and giving up over it would carry one task's panic to every other (invariant 7).

use std::sync::{LockResult, PoisonError};

/// The guard of a lock, poisoned or not: `unpoisoned(self.state.lock())`.
pub(crate) fn unpoisoned<Guard>(locked: LockResult<Guard>) -> Guard {
    locked.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_panic_under_a_lock_leaves_it_usable() {
        let value = Mutex::new(1);
        let panicked = std::thread::scope(|scope| {
            let hold = scope.spawn(|| {
                let _held = value.lock();
                panic!("on purpose");
            });
            hold.join().is_err()
        });
        assert!(panicked && value.is_poisoned());
        *unpoisoned(value.lock()) += 1;
        assert_eq!(*unpoisoned(value.lock()), 2);
    }
}
