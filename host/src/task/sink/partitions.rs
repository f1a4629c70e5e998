//! The partitions a sink task owns and how far each has come: a pure type, no client, no guest.
//!
//! For each partition it knows what was taken from the consumer's queue, what was put (the guest has it) and what is committed (Kafka knows that
//! it is durable). What may be committed is only ever what the guest's `pre-commit` answered, of partitions
//! that are owned, and never beyond what was put (invariant 1), never backwards (invariant 2).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::kafka::TopicPartition;

/// A topic's name and a partition's number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Tp {
    pub(crate) topic: String,
    pub(crate) partition: i32,
}

impl From<TopicPartition> for Tp {
    fn from(partition: TopicPartition) -> Self {
        Self { topic: partition.topic.as_ref().to_owned(), partition: partition.partition }
    }
}

impl From<Tp> for TopicPartition {
    fn from(tp: Tp) -> Self {
        Self::new(tp.topic, tp.partition)
    }
}

impl From<(String, i32)> for Tp {
    fn from((topic, partition): (String, i32)) -> Self {
        Self { topic, partition }
    }
}

impl From<Tp> for (String, i32) {
    fn from(tp: Tp) -> Self {
        (tp.topic, tp.partition)
    }
}

/// How far one partition has come. Offsets are those of the next record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Progress {
    /// After the last record that left the consumer's queue, put or not.
    taken: Option<i64>,
    /// After the last record put; `None` until the first one.
    put: Option<i64>,
    /// As Kafka knows it; `None`: nothing was ever committed.
    committed: Option<i64>,
    /// The first record delivered since the assignment: where to begin again when nothing is committed.
    first: Option<i64>,
    /// What the guest said is durable and a commit was sent for.
    sent: Option<i64>,
    /// Stopped by the guest.
    held: bool,
}

/// All partitions of a task.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    owned: BTreeMap<Tp, Progress>,
}

/// An entry of the JSON that `pre-commit` answers and `seek` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct At {
    #[serde(flatten)]
    pub(crate) tp: Tp,
    pub(crate) offset: i64,
}

/// What is wrong with offsets that a guest named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) at: At,
    pub(crate) why: &'static str,
}

impl Partitions {
    pub(crate) fn assign(&mut self, tp: Tp, committed: Option<i64>) {
        let _ = self.owned.insert(tp, Progress { committed, ..Progress::default() });
    }

    pub(crate) fn revoke(&mut self, tp: &Tp) {
        let _ = self.owned.remove(tp);
    }

    pub(crate) fn owns(&self, tp: &Tp) -> bool {
        self.owned.contains_key(tp)
    }

    /// What Kafka knows of it.
    pub(crate) fn committed_of(&self, tp: &Tp) -> Option<i64> {
        self.owned.get(tp).and_then(|progress| progress.committed)
    }

    /// The next record of each partition that any was put of.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (&Tp, i64)> {
        self.owned.iter().filter_map(|(tp, progress)| Some((tp, progress.put.or(progress.committed)?)))
    }

    pub(crate) fn len(&self) -> usize {
        self.owned.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.owned.is_empty()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Tp> {
        self.owned.keys()
    }

    /// Those that the guest does not hold back.
    pub(crate) fn flowing(&self) -> impl Iterator<Item = &Tp> {
        self.owned.iter().filter(|(_, progress)| !progress.held).map(|(tp, _)| tp)
    }

    pub(crate) fn hold(&mut self, tp: &Tp, held: bool) {
        if let Some(progress) = self.owned.get_mut(tp) {
            progress.held = held;
        }
    }

    /// Records `first..next` left the consumer's queue.
    pub(crate) fn taken(&mut self, tp: &Tp, first: i64, next: i64) {
        if let Some(progress) = self.owned.get_mut(tp) {
            progress.taken = Some(next);
            progress.first = progress.first.or(Some(first));
        }
    }

    /// All that was taken up to `next` was put.
    pub(crate) fn put(&mut self, tp: &Tp, next: i64) {
        if let Some(progress) = self.owned.get_mut(tp) {
            progress.put = Some(next);
        }
    }

    /// Whether the guest has the record at this offset and may still say that it failed.
    pub(crate) fn may_fail(&self, tp: &Tp, offset: i64) -> bool {
        let Some(progress) = self.owned.get(tp) else { return false };
        progress.put.is_some_and(|put| offset < put) && progress.committed.is_none_or(|done| offset >= done)
    }

    /// Reading goes on elsewhere: what was put before says nothing about what may be committed.
    pub(crate) fn sought(&mut self, tp: &Tp, offset: i64) {
        if let Some(progress) = self.owned.get_mut(tp) {
            progress.taken = Some(offset);
            progress.put = None;
            progress.sent = None;
            progress.first = progress.first.or(Some(offset));
        }
    }

    /// The argument of `pre-commit`: where each of `of` stands of which something is not committed.
    pub(crate) fn to_commit<'a>(&self, of: impl Iterator<Item = &'a Tp>) -> Vec<At> {
        of.filter_map(|tp| {
            let progress = self.owned.get(tp)?;
            let offset = progress.put.filter(|_| progress.dirty())?;
            Some(At { tp: tp.clone(), offset })
        })
        .collect()
    }

    /// Sorts what `pre-commit` answered into what may be committed and what must not be.
    pub(crate) fn accept(&mut self, answer: Vec<At>) -> (Vec<At>, Vec<Refused>) {
        let mut accepted = Vec::with_capacity(answer.len());
        let mut refused = Vec::new();
        for at in answer {
            match self.owned.get_mut(&at.tp).map_or(Err("it is not assigned"), |p| p.accept(at.offset)) {
                Ok(true) => accepted.push(at),
                Ok(false) => {}
                Err(why) => refused.push(Refused { at, why }),
            }
        }
        (accepted, refused)
    }

    /// Kafka has it.
    pub(crate) fn committed(&mut self, tp: &Tp, offset: i64) {
        if let Some(progress) = self.owned.get_mut(tp) {
            progress.committed = progress.committed.max(Some(offset));
        }
    }

    /// A commit failed: what it was sent for must be sent again.
    pub(crate) fn commit_failed(&mut self, tp: &Tp) {
        if let Some(progress) = self.owned.get_mut(tp) {
            progress.sent = progress.committed;
        }
    }

    /// Where to read again what was taken and never put.
    pub(crate) fn untake(&mut self) -> Vec<At> {
        let mut seeks = Vec::new();
        for (tp, progress) in &mut self.owned {
            let back = progress.put.or(progress.committed).or(progress.first);
            if let (Some(back), Some(taken)) = (back, progress.taken)
                && back < taken
            {
                progress.taken = Some(back);
                seeks.push(At { tp: tp.clone(), offset: back });
            }
        }
        seeks
    }

    /// Where a new instance goes on, for each partition from which it will not get the very next record
    /// anyway.
    pub(crate) fn rewind(&mut self) -> Vec<At> {
        let mut seeks = Vec::new();
        for (tp, progress) in &mut self.owned {
            let back = progress.committed.or(progress.first);
            if let (Some(back), Some(taken)) = (back, progress.taken)
                && back < taken
            {
                seeks.push(At { tp: tp.clone(), offset: back });
            }
            *progress =
                Progress { committed: progress.committed, first: progress.first, ..Progress::default() };
        }
        seeks
    }

    /// The argument of `assign`: each partition with its committed offset, or null.
    pub(crate) fn assignment<'a>(&self, of: impl Iterator<Item = &'a Tp>) -> String {
        let list: Vec<_> = of
            .map(|tp| {
                let offset = self.owned.get(tp).and_then(|progress| progress.committed);
                json!({ "topic": tp.topic, "partition": tp.partition, "offset": offset })
            })
            .collect();
        serde_json::Value::Array(list).to_string()
    }
}

impl Progress {
    fn dirty(&self) -> bool {
        self.put.is_some() && self.put > self.sent.max(self.committed)
    }

    /// Whether `offset` is news to Kafka; an error says why it must not be committed.
    fn accept(&mut self, offset: i64) -> Result<bool, &'static str> {
        if self.put.is_none_or(|put| offset > put) {
            return Err("it is beyond what was put");
        }
        if Some(offset) <= self.sent.max(self.committed) {
            return Ok(false);
        }
        self.sent = Some(offset);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tp(partition: i32) -> Tp {
        Tp { topic: "t".into(), partition }
    }

    fn at(partition: i32, offset: i64) -> At {
        At { tp: tp(partition), offset }
    }

    fn owning(partitions: &[i32]) -> Partitions {
        let mut owned = Partitions::default();
        for partition in partitions {
            owned.assign(tp(*partition), None);
        }
        owned
    }

    #[test]
    fn only_what_was_put_is_offered_and_only_once_committed() {
        let mut owned = owning(&[0, 1]);
        owned.taken(&tp(0), 5, 9);
        owned.put(&tp(0), 9);
        assert_eq!(owned.to_commit(owned.all()), [at(0, 9)]);
        assert_eq!(owned.accept(vec![at(0, 9)]).0, [at(0, 9)]);
        assert!(owned.to_commit(owned.all()).is_empty());
        owned.committed(&tp(0), 9);
        assert!(owned.to_commit(owned.all()).is_empty());
    }

    #[test]
    fn nothing_beyond_what_was_put_and_nothing_foreign_is_committed() {
        let mut owned = owning(&[0]);
        owned.put(&tp(0), 4);
        let (accepted, refused) = owned.accept(vec![at(0, 5), at(1, 1)]);
        assert!(accepted.is_empty());
        assert_eq!(refused.len(), 2);
    }

    #[test]
    fn a_commit_never_goes_backwards() {
        let mut owned = owning(&[0]);
        owned.put(&tp(0), 10);
        assert_eq!(owned.accept(vec![at(0, 8)]).0.len(), 1);
        assert_eq!(owned.accept(vec![at(0, 7)]).0.len(), 0);
    }

    #[test]
    fn a_failed_commit_is_sent_again() {
        let mut owned = owning(&[0]);
        owned.put(&tp(0), 10);
        let _ = owned.accept(vec![at(0, 10)]);
        owned.commit_failed(&tp(0));
        assert_eq!(owned.to_commit(owned.all()).len(), 1);
        assert_eq!(owned.accept(vec![at(0, 10)]).0, [at(0, 10)]);
    }

    #[test]
    fn a_new_instance_goes_back_to_what_is_committed() {
        let mut owned = owning(&[0, 1, 2]);
        owned.taken(&tp(0), 3, 10);
        owned.put(&tp(0), 10);
        let _ = owned.accept(vec![at(0, 7)]);
        owned.committed(&tp(0), 7);
        owned.taken(&tp(1), 3, 10);
        assert_eq!(owned.rewind(), [at(0, 7), at(1, 3)]);
        assert!(owned.rewind().is_empty(), "it has been done");
    }

    #[test]
    fn what_was_taken_and_not_put_is_read_again() {
        let mut owned = owning(&[0, 1]);
        owned.taken(&tp(0), 3, 10);
        owned.put(&tp(0), 10);
        owned.taken(&tp(0), 10, 15);
        owned.taken(&tp(1), 4, 6);
        assert_eq!(owned.untake(), [at(0, 10), at(1, 4)]);
        assert!(owned.untake().is_empty(), "it has been done");
        assert_eq!(owned.to_commit(owned.all()), [at(0, 10)], "what was put counts as before");
    }

    #[test]
    fn what_is_fully_committed_needs_no_rewind() {
        let mut owned = owning(&[0]);
        owned.taken(&tp(0), 3, 10);
        owned.put(&tp(0), 10);
        let _ = owned.accept(vec![at(0, 10)]);
        owned.committed(&tp(0), 10);
        assert!(owned.rewind().is_empty());
    }
}
