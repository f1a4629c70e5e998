//! Which offsets may be committed: those below which everything is confirmed.
//!
//! Answers come in any order, but Kafka keeps one offset a partition. So each partition has a window: a row of the
//! offsets that were taken, each confirmed or not, from the oldest that is not confirmed on. What may be committed is
//! the offset at its beginning; when a confirmation comes there, the window moves past all that are confirmed
//! (invariant 1; that it only moves forward is invariant 2). An entry is 16 bytes; whoever takes records looks at
//! [`Tracker::window`] first, which bounds them.
//!
//! A [`Place`] names an entry for as long as its partition is here. A partition that goes and comes back is another
//! one, so that late answers of before confirm nothing.

use std::collections::VecDeque;

/// One record of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    partition: u32,
    sequence: u64,
}

/// All partitions of the task.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    /// In the order of their ids.
    partitions: Vec<Partition>,
    next_id: u32,
    /// Entries in all windows.
    window: usize,
}

#[derive(Debug)]
struct Partition {
    id: u32,
    topic: String,
    number: i32,
    /// The sequence number of the window's first entry.
    first: u64,
    entries: VecDeque<Entry>,
    /// After the last record that was taken.
    next: i64,
}

#[derive(Debug)]
struct Entry {
    offset: i64,
    confirmed: bool,
}

impl Tracker {
    /// A record was taken.
    pub(crate) fn take(&mut self, topic: &str, number: i32, offset: i64) -> Place {
        let known = self.find(topic, number);
        let index = match known {
            Some(index) if offset >= self.partitions[index].next => index,
            // It is read again from further back: what is known of it means nothing any more.
            Some(_) => {
                self.forget(topic, number);
                self.add(topic, number, offset)
            }
            None => self.add(topic, number, offset),
        };
        let partition = &mut self.partitions[index];
        partition.entries.push_back(Entry { offset, confirmed: false });
        partition.next = offset + 1;
        self.window += 1;
        Place { partition: partition.id, sequence: partition.first + partition.entries.len() as u64 - 1 }
    }

    /// A record needs nothing more. Whoever is not known is left alone.
    pub(crate) fn confirm(&mut self, place: Place) {
        let Some(partition) = self.of(place) else { return };
        let index = place.sequence.checked_sub(partition.first).and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| partition.entries.get_mut(index)) {
            entry.confirmed = true;
        }
        let before = partition.entries.len();
        while partition.entries.front().is_some_and(|entry| entry.confirmed) {
            partition.entries.pop_front();
            partition.first += 1;
        }
        self.window -= before - self.of(place).map_or(before, |partition| partition.entries.len());
    }

    /// Topic, partition and offset of a record that is still waited for.
    pub(crate) fn name(&self, place: Place) -> Option<(&str, i32, i64)> {
        let index = self.partitions.binary_search_by_key(&place.partition, |partition| partition.id).ok()?;
        let partition = &self.partitions[index];
        let entry = usize::try_from(place.sequence.checked_sub(partition.first)?).ok()?;
        Some((&partition.topic, partition.number, partition.entries.get(entry)?.offset))
    }

    /// Whether a record's partition is still here.
    pub(crate) fn owns(&self, place: Place) -> bool {
        self.partitions.binary_search_by_key(&place.partition, |partition| partition.id).is_ok()
    }

    /// The offset below which all of a partition is confirmed; none if nothing was taken of it.
    pub(crate) fn confirmed(&self, topic: &str, number: i32) -> Option<i64> {
        let partition = &self.partitions[self.find(topic, number)?];
        Some(partition.entries.front().map_or(partition.next, |entry| entry.offset))
    }

    /// A partition goes.
    pub(crate) fn forget(&mut self, topic: &str, number: i32) {
        if let Some(index) = self.find(topic, number) {
            self.window -= self.partitions.remove(index).entries.len();
        }
    }

    /// Records between the oldest that is not confirmed and the newest, of all partitions.
    pub(crate) fn window(&self) -> usize {
        self.window
    }

    fn find(&self, topic: &str, number: i32) -> Option<usize> {
        let wanted = |partition: &Partition| partition.number == number && partition.topic == topic;
        self.partitions.iter().position(wanted)
    }

    fn add(&mut self, topic: &str, number: i32, next: i64) -> usize {
        let (id, topic) = (self.next_id, topic.to_owned());
        self.next_id += 1;
        self.partitions.push(Partition { id, topic, number, first: 0, entries: VecDeque::new(), next });
        self.partitions.len() - 1
    }

    fn of(&mut self, place: Place) -> Option<&mut Partition> {
        let index = self.partitions.binary_search_by_key(&place.partition, |partition| partition.id).ok()?;
        self.partitions.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_holds_back_what_is_confirmed_behind_it() {
        let mut tracker = Tracker::default();
        // Offsets have gaps in compacted topics.
        let places = [3, 4, 9].map(|offset| tracker.take("t", 0, offset));
        assert_eq!(tracker.confirmed("t", 0), Some(3));
        tracker.confirm(places[1]);
        tracker.confirm(places[2]);
        assert_eq!((tracker.confirmed("t", 0), tracker.window()), (Some(3), 3));
        assert_eq!(tracker.name(places[0]), Some(("t", 0, 3)));
        tracker.confirm(places[0]);
        assert_eq!((tracker.confirmed("t", 0), tracker.window()), (Some(10), 0));
        assert_eq!(tracker.name(places[0]), None);
    }

    #[test]
    fn partitions_do_not_wait_for_each_other() {
        let mut tracker = Tracker::default();
        let (_, other) = (tracker.take("t", 0, 0), tracker.take("t", 1, 7));
        tracker.confirm(other);
        assert_eq!((tracker.confirmed("t", 0), tracker.confirmed("t", 1)), (Some(0), Some(8)));
        assert_eq!(tracker.confirmed("u", 0), None);
    }

    #[test]
    fn a_late_answer_says_nothing_about_a_partition_that_came_back() {
        let mut tracker = Tracker::default();
        let before = tracker.take("t", 0, 0);
        tracker.forget("t", 0);
        let after = tracker.take("t", 0, 0);
        tracker.confirm(before);
        assert_eq!(
            (tracker.confirmed("t", 0), tracker.owns(before), tracker.owns(after)),
            (Some(0), false, true)
        );
        // Nor about one that is read again from further back.
        tracker.take("t", 0, 0);
        tracker.confirm(after);
        assert_eq!((tracker.confirmed("t", 0), tracker.window()), (Some(0), 1));
    }
}
