//! The longest acknowledged prefix of each source partition: the hard rule of a source in a pure type.
//!
//! Records are counted, not kept: each has a number, in the order they were sent. A *segment* is a run of
//! records up to the next group of marks; its records belong to every source partition marked in the group. A
//! mark may be saved once its segment, and every earlier segment of the same source partition, is fully
//! acknowledged. Acknowledgements come in any order, mostly as long consecutive ranges.
//!
//! Memory is bounded by what is in flight: acknowledged segments go, and a mark without new records replaces
//! the one before it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// JSON of a source partition and of an offset.
type Text = Arc<str>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Oldest first, without gaps. The last one is open (no mark yet) when `open`.
    segments: VecDeque<Segment>,
    open: bool,
    /// The number of `segments[0]`.
    first_segment: u64,
    /// The number of the next record.
    next_record: u64,
    /// The segment that the next mark belongs to, if no record comes before it.
    group: Option<u64>,
    partitions: HashMap<Text, Partition>,
    /// Source partitions that have something to be saved.
    ready: Vec<Text>,
}

#[derive(Debug)]
struct Segment {
    /// The number of its first record.
    first: u64,
    records: u64,
    unacked: u64,
    /// Who waits for it. Mostly one.
    partitions: Vec<Text>,
}

#[derive(Debug, Default)]
struct Partition {
    /// Segments that are not known to be acknowledged, with the offset after each.
    waiting: VecDeque<(u64, Text)>,
    /// What may be saved and was not taken yet.
    committable: Option<Text>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Enters records that are about to be sent.
    pub(crate) fn submit(&mut self, records: u32) {
        if records == 0 {
            return;
        }
        let records = u64::from(records);
        match self.segments.back_mut().filter(|_| self.open) {
            Some(segment) => {
                segment.records += records;
                segment.unacked += records;
            }
            None => {
                let first = self.next_record;
                self.segments.push_back(Segment { first, records, unacked: records, partitions: Vec::new() });
                self.open = true;
            }
        }
        self.next_record += records;
        self.group = None;
    }

    /// After the records so far the source partition stands at this offset.
    pub(crate) fn mark(&mut self, partition: &str, offset: &str) {
        if self.open {
            self.open = false;
            self.group = Some(self.first_segment + self.segments.len() as u64 - 1);
        }
        let offset: Text = offset.into();
        let name = match self.partitions.get_key_value(partition) {
            Some((name, _)) => name.clone(),
            None => partition.into(),
        };
        let index = self.group.and_then(|group| group.checked_sub(self.first_segment));
        let pending = index.and_then(|index| self.segments.get_mut(index as usize)).filter(|s| s.unacked > 0);
        let state = self.partitions.entry(name.clone()).or_default();
        match (pending, self.group) {
            (Some(segment), Some(group)) => {
                if state.waiting.back().is_some_and(|(last, _)| *last == group) {
                    state.waiting.pop_back();
                } else {
                    segment.partitions.push(name);
                }
                state.waiting.push_back((group, offset));
            }
            // No records of its own are under way: it waits for what the partition waits for anyway.
            _ => match state.waiting.back_mut() {
                Some((_, waiting)) => *waiting = offset,
                None => {
                    if state.committable.replace(offset).is_none() {
                        self.ready.push(name);
                    }
                }
            },
        }
    }

    /// Records `first..=last` are acknowledged, each once.
    pub(crate) fn acked(&mut self, first: u64, last: u64) {
        let mut next = first;
        let mut index = self.find(first);
        while next <= last {
            let Some(segment) = self.segments.get_mut(index) else { break };
            let end = segment.first + segment.records;
            let count = end.min(last + 1).saturating_sub(next);
            segment.unacked = segment.unacked.saturating_sub(count);
            if segment.unacked == 0 {
                self.settle(index);
            }
            next = end;
            index += 1;
        }
        self.forget();
    }

    /// Whether [`Ledger::committable`] would return anything.
    pub(crate) fn has_committable(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The newest offset of each source partition that may be saved, once.
    pub(crate) fn committable(&mut self) -> Vec<(Text, Text)> {
        let ready = std::mem::take(&mut self.ready);
        let mut positions = Vec::with_capacity(ready.len());
        for name in ready {
            let Some(state) = self.partitions.get_mut(&name) else { continue };
            let offset = state.committable.take();
            if state.waiting.is_empty() {
                let _ = self.partitions.remove(&name);
            }
            positions.extend(offset.map(|offset| (name, offset)));
        }
        positions
    }

    /// The segment that holds a record: mostly the first.
    fn find(&self, record: u64) -> usize {
        match self.segments.front() {
            Some(front) if record < front.first + front.records => 0,
            _ => self.segments.partition_point(|segment| segment.first + segment.records <= record),
        }
    }

    /// A segment is acknowledged: moves those that waited for it as far as they can go.
    fn settle(&mut self, index: usize) {
        let names = std::mem::take(&mut self.segments[index].partitions);
        for name in names {
            let Some(state) = self.partitions.get_mut(&name) else { continue };
            let mut newest = None;
            while let Some((segment, _)) = state.waiting.front() {
                let acknowledged = match segment.checked_sub(self.first_segment) {
                    None => true,
                    Some(index) => self.segments.get(index as usize).is_none_or(|s| s.unacked == 0),
                };
                if !acknowledged {
                    break;
                }
                newest = state.waiting.pop_front().map(|(_, offset)| offset);
            }
            if let Some(offset) = newest
                && state.committable.replace(offset).is_none()
            {
                self.ready.push(name);
            }
        }
    }

    /// Lets acknowledged segments go, oldest first.
    fn forget(&mut self) {
        while self.segments.front().is_some_and(|segment| segment.unacked == 0) {
            if self.open && self.segments.len() == 1 {
                // Its records are all acknowledged; the mark that will close it has nothing to wait for.
                self.open = false;
                self.group = None;
            }
            let _ = self.segments.pop_front();
            self.first_segment += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn committable(ledger: &mut Ledger) -> Vec<(String, String)> {
        let mut all: Vec<_> =
            ledger.committable().into_iter().map(|(p, o)| (p.to_string(), o.to_string())).collect();
        all.sort();
        all
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(p, o)| ((*p).to_owned(), (*o).to_owned())).collect()
    }

    #[test]
    fn a_mark_waits_for_all_records_before_it() {
        let mut ledger = Ledger::new();
        ledger.submit(10);
        ledger.mark("p", "10");
        ledger.acked(0, 8);
        assert!(!ledger.has_committable());
        ledger.acked(9, 9);
        assert_eq!(committable(&mut ledger), pairs(&[("p", "10")]));
        assert!(!ledger.has_committable(), "it is taken once");
    }

    #[test]
    fn a_later_batch_waits_for_an_earlier_one_of_its_partition() {
        let mut ledger = Ledger::new();
        for offset in ["1", "2", "3"] {
            ledger.submit(1);
            ledger.mark("p", offset);
        }
        ledger.acked(1, 2);
        assert!(!ledger.has_committable());
        ledger.acked(0, 0);
        assert_eq!(committable(&mut ledger), pairs(&[("p", "3")]));
    }

    #[test]
    fn one_partition_does_not_wait_for_another() {
        let mut ledger = Ledger::new();
        ledger.submit(1);
        ledger.mark("stuck", "1");
        ledger.submit(1);
        ledger.mark("free", "1");
        ledger.acked(1, 1);
        assert_eq!(committable(&mut ledger), pairs(&[("free", "1")]));
    }

    #[test]
    fn records_before_a_group_of_marks_belong_to_all_of_it() {
        let mut ledger = Ledger::new();
        ledger.submit(2);
        ledger.mark("a", "1");
        ledger.mark("b", "1");
        ledger.acked(0, 0);
        assert!(!ledger.has_committable());
        ledger.acked(1, 1);
        assert_eq!(committable(&mut ledger), pairs(&[("a", "1"), ("b", "1")]));
    }

    #[test]
    fn a_mark_without_records_can_be_saved_at_once() {
        let mut ledger = Ledger::new();
        ledger.mark("p", "0");
        assert_eq!(committable(&mut ledger), pairs(&[("p", "0")]));
    }

    #[test]
    fn marks_without_records_pile_up_nothing_while_their_partition_waits() {
        let mut ledger = Ledger::new();
        ledger.submit(1);
        ledger.mark("p", "1");
        for offset in 2..1000 {
            ledger.mark("p", &offset.to_string());
        }
        assert_eq!(ledger.partitions["p"].waiting.len(), 1);
        ledger.acked(0, 0);
        assert_eq!(committable(&mut ledger), pairs(&[("p", "999")]));
    }

    #[test]
    fn a_mark_that_comes_after_its_records_were_acknowledged_can_be_saved_at_once() {
        let mut ledger = Ledger::new();
        ledger.submit(3);
        ledger.acked(0, 2);
        ledger.mark("p", "3");
        assert_eq!(committable(&mut ledger), pairs(&[("p", "3")]));
    }

    #[test]
    fn nothing_is_kept_once_all_is_acknowledged_and_taken() {
        let mut ledger = Ledger::new();
        for round in 0..100_u64 {
            ledger.submit(7);
            ledger.mark(&format!("p{}", round % 5), &round.to_string());
        }
        ledger.acked(0, 699);
        assert_eq!(ledger.committable().len(), 5);
        assert!(ledger.segments.is_empty() && ledger.partitions.is_empty() && ledger.ready.is_empty());
    }

    /// One step of a source.
    #[derive(Debug, Clone)]
    enum Step {
        Submit(u32),
        Mark(u8),
        Ack(usize, u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1..5_u32).prop_map(Step::Submit),
            (0..3_u8).prop_map(Step::Mark),
            (any::<usize>(), 1..6_u32).prop_map(|(at, count)| Step::Ack(at, count)),
        ]
    }

    /// The same rule, record by record, as slow as it pleases.
    #[derive(Default)]
    struct Model {
        acked: Vec<bool>,
        /// Records since the last group.
        since: Vec<usize>,
        group: Vec<usize>,
        /// Partition, records it owns so far, offset.
        marks: Vec<(u8, Vec<usize>, usize)>,
    }

    impl Model {
        fn owned(&self, partition: u8) -> Vec<usize> {
            self.marks.iter().rev().find(|mark| mark.0 == partition).map(|m| m.1.clone()).unwrap_or_default()
        }

        fn best(&self, partition: u8) -> Option<usize> {
            let done = |mark: &&(u8, Vec<usize>, usize)| mark.1.iter().all(|record| self.acked[*record]);
            self.marks.iter().filter(|mark| mark.0 == partition).take_while(done).last().map(|mark| mark.2)
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_naive_model(steps in proptest::collection::vec(step(), 0..80)) {
            let mut ledger = Ledger::new();
            let mut model = Model::default();
            let mut saved = [None::<usize>; 3];
            let mut offset = 0;
            let finish = [Step::Mark(0), Step::Mark(1), Step::Mark(2)];
            for step in steps.into_iter().chain(finish) {
                match step {
                    Step::Submit(records) => {
                        ledger.submit(records);
                        let start = model.acked.len();
                        model.acked.extend((0..records).map(|_| false));
                        model.since.extend(start..model.acked.len());
                    }
                    Step::Mark(partition) => {
                        offset += 1;
                        ledger.mark(&partition.to_string(), &offset.to_string());
                        if !model.since.is_empty() {
                            model.group = std::mem::take(&mut model.since);
                        }
                        let mut owned = model.owned(partition);
                        owned.extend(&model.group);
                        model.marks.push((partition, owned, offset));
                    }
                    Step::Ack(at, count) => {
                        let open: Vec<usize> = (0..model.acked.len()).filter(|i| !model.acked[*i]).collect();
                        if open.is_empty() { continue }
                        let first = open[at % open.len()];
                        let last = (first..first + count as usize)
                            .take_while(|i| model.acked.get(*i) == Some(&false))
                            .last()
                            .unwrap_or(first);
                        model.acked[first..=last].fill(true);
                        ledger.acked(first as u64, last as u64);
                    }
                }
                for (partition, offset) in committable(&mut ledger) {
                    let (partition, offset): (usize, usize) = (partition.parse().unwrap(), offset.parse().unwrap());
                    prop_assert!(saved[partition] < Some(offset), "forward only");
                    saved[partition] = Some(offset);
                }
                for partition in 0..3_u8 {
                    prop_assert_eq!(saved[usize::from(partition)], model.best(partition));
                }
            }
            ledger.acked(0, 0);
        }
    }
}
