//! What a sink's guest asked of its task during a call (`sink-context`). It takes effect when the call
//! has returned: the task takes the requests then.
//!
//! Only assigned partitions are accepted, and the last word about a partition wins, so what is kept is
//! bounded by what is assigned.

use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// A Kafka partition, by name.
pub(crate) type TopicPartition = (String, i32);

/// What was asked since it was last taken.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct SinkRequests {
    /// Go on reading at these offsets.
    pub(crate) seeks: BTreeMap<TopicPartition, i64>,
    /// Stop (true) or go on with (false) the delivery of these.
    pub(crate) pauses: BTreeMap<TopicPartition, bool>,
    /// A pre-commit soon.
    pub(crate) commit: bool,
    /// A put after at most this time.
    pub(crate) timeout: Option<Duration>,
}

impl SinkRequests {
    /// Whether nothing was asked.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Takes requests for one sink task.
#[derive(Debug, Default)]
pub(crate) struct SinkDesk {
    assigned: HashSet<TopicPartition>,
    requests: SinkRequests,
}

#[derive(Deserialize)]
struct Position {
    topic: String,
    partition: i32,
    offset: i64,
}

#[derive(Deserialize)]
struct Place {
    topic: String,
    partition: i32,
}

impl SinkDesk {
    /// From now on these are assigned; what was asked about others is forgotten.
    pub(crate) fn assign(&mut self, assigned: HashSet<TopicPartition>) {
        self.requests.seeks.retain(|place, _| assigned.contains(place));
        self.requests.pauses.retain(|place, _| assigned.contains(place));
        self.assigned = assigned;
    }

    pub(crate) fn take(&mut self) -> SinkRequests {
        std::mem::take(&mut self.requests)
    }

    pub(crate) fn seek(&mut self, offsets: &str) -> Result<(), String> {
        let positions: Vec<Position> = serde_json::from_str(offsets)
            .map_err(|error| format!("seek takes a list of offsets: {error}"))?;
        for Position { topic, partition, offset } in &positions {
            if *offset < 0 {
                return Err(format!("{topic}-{partition} cannot be read from offset {offset}"));
            }
            if !self.assigned.contains(&(topic.clone(), *partition)) {
                return Err(format!("{topic}-{partition} is not assigned to this task"));
            }
        }
        for Position { topic, partition, offset } in positions {
            self.requests.seeks.insert((topic, partition), offset);
        }
        Ok(())
    }

    /// Answers with what was wrong, for the log: the guest cannot be told.
    pub(crate) fn pause(&mut self, partitions: &str, pause: bool) -> Result<(), String> {
        let places: Vec<Place> = serde_json::from_str(partitions)
            .map_err(|error| format!("pause and resume take a list of partitions: {error}"))?;
        let mut wrong = None;
        for Place { topic, partition } in places {
            let place = (topic, partition);
            if self.assigned.contains(&place) {
                self.requests.pauses.insert(place, pause);
            } else {
                wrong = Some(format!("{}-{} is not assigned to this task", place.0, place.1));
            }
        }
        wrong.map_or(Ok(()), Err)
    }

    pub(crate) fn request_commit(&mut self) {
        self.requests.commit = true;
    }

    pub(crate) fn timeout(&mut self, after: Duration) {
        let timeout = &mut self.requests.timeout;
        *timeout = Some(timeout.map_or(after, |earlier| earlier.min(after)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk() -> SinkDesk {
        let mut desk = SinkDesk::default();
        desk.assign([("t".to_owned(), 0), ("t".to_owned(), 1)].into());
        desk
    }

    #[test]
    fn only_assigned_partitions_are_sought() {
        let mut desk = desk();
        desk.seek(r#"[{"topic":"t","partition":0,"offset":42}]"#).unwrap();
        assert!(
            desk.seek(r#"[{"topic":"t","partition":1,"offset":1},{"topic":"u","partition":0,"offset":1}]"#)
                .is_err()
        );
        assert!(desk.seek(r#"[{"topic":"t","partition":1,"offset":-1}]"#).is_err());
        assert!(desk.seek("42").is_err());
        assert_eq!(desk.take().seeks, [(("t".to_owned(), 0), 42)].into());
        assert!(desk.take().is_empty());
    }

    #[test]
    fn the_last_word_about_a_partition_wins() {
        let mut desk = desk();
        let zero = r#"[{"topic":"t","partition":0}]"#;
        desk.pause(zero, true).unwrap();
        desk.pause(zero, false).unwrap();
        assert!(desk.pause(r#"[{"topic":"u","partition":0}]"#, true).is_err());
        assert_eq!(desk.take().pauses, [(("t".to_owned(), 0), false)].into());
    }

    #[test]
    fn what_goes_takes_its_requests_along() {
        let mut desk = desk();
        desk.seek(r#"[{"topic":"t","partition":0,"offset":42},{"topic":"t","partition":1,"offset":7}]"#)
            .unwrap();
        desk.assign([("t".to_owned(), 1)].into());
        assert_eq!(desk.take().seeks, [(("t".to_owned(), 1), 7)].into());
    }

    #[test]
    fn the_shortest_timeout_counts() {
        let mut desk = desk();
        desk.timeout(Duration::from_secs(2));
        desk.timeout(Duration::from_secs(1));
        desk.timeout(Duration::from_secs(3));
        desk.request_commit();
        let requests = desk.take();
        assert_eq!((requests.timeout, requests.commit), (Some(Duration::from_secs(1)), true));
    }
}
