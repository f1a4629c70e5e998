//! Which topics a connector uses: noted by its tasks, a batch at a time, and read by whoever asks.
//!
//! What is noted stays until somebody has it forgotten, also over restarts of tasks, so that it tells of topics that
//! were used once, too. It is as large as the number of topics.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crate::lock::unpoisoned;

/// The topics of one connector. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Topics(Arc<Mutex<BTreeSet<String>>>);

impl Topics {
    /// A topic was written to, or read from.
    pub(crate) fn note(&self, topic: &str) {
        let mut topics = unpoisoned(self.0.lock());
        if !topics.contains(topic) {
            let _ = topics.insert(topic.to_owned());
        }
    }

    /// All that were noted, in the order of their names.
    pub(crate) fn list(&self) -> Vec<String> {
        unpoisoned(self.0.lock()).iter().cloned().collect()
    }

    /// Begins anew.
    pub(crate) fn forget(&self) {
        unpoisoned(self.0.lock()).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_noted_once_until_they_are_forgotten() {
        let topics = Topics::default();
        let task = topics.clone();
        for topic in ["b", "a", "b"] {
            task.note(topic);
        }
        assert_eq!(topics.list(), ["a", "b"]);
        topics.forget();
        assert!(topics.list().is_empty());
        task.note("b");
        assert_eq!(topics.list(), ["b"]);
    }
}
