//! What a source delivered: enough of each record to know it again, and everything that is wrong on the way.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use serde_json::value::RawValue;
use transom_batch::{Batch, Format, Limits, Record};

use crate::config::Sandbox;
use crate::kit::report::Miss;
use crate::kit::rig::{LATE, Positions};

/// What a poll may return so that it is looked at at all; whether it may be so much is a check of its own.
const READ: Limits = Limits { bytes: 256 << 20, records: 1 << 22 };
/// Bytes of a record that are shown.
const SHOWN: usize = 60;
/// The longest name of a topic that Kafka takes.
const TOPIC_BYTES: usize = 249;

/// What a poll is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    pub(super) records: u32,
    pub(super) bytes: u32,
    pub(super) wait: Duration,
}

/// A record as far as it is kept.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    hash: u64,
    shown: String,
}

/// Where a source partition stands after so many records.
#[derive(Debug, Clone)]
struct Marked {
    after: usize,
    partition: String,
    offset: String,
}

/// Everything that one instance delivered.
#[derive(Debug, Default)]
pub(super) struct Haul {
    pub(super) records: Vec<Taken>,
    marked: Vec<Marked>,
    /// Nothing came for a while.
    pub(super) ended: bool,
    pub(super) polls: usize,
    /// Polls of which nothing came.
    pub(super) idle: usize,
    /// Errors of code 1.
    pub(super) retries: usize,
    /// The longest poll of which nothing came.
    pub(super) longest: Duration,
    pub(super) wrong: Wrong,
}

/// The first offence against each rule.
#[derive(Debug, Default)]
pub(super) struct Wrong {
    pub(super) sizes: Option<String>,
    pub(super) topics: Option<String>,
    pub(super) formats: Option<String>,
    pub(super) marks: Option<String>,
    pub(super) late: Option<String>,
}

impl Haul {
    /// Takes in what a poll answered. True: something came.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        ask: Ask,
        took: Duration,
        sandbox: &Sandbox,
    ) -> Result<bool, Miss> {
        self.polls += 1;
        let batch = Batch::parse(bytes, &READ)
            .map_err(|error| Miss::Failed(format!("poll {} answered no batch: {error}", self.polls)))?;
        if batch.is_empty() {
            self.idle += 1;
            self.longest = self.longest.max(took);
        }
        if took > ask.wait + LATE {
            let (asked, took) = (ask.wait.as_millis(), took.as_millis());
            let _ = self.wrong.late.get_or_insert_with(|| {
                format!("asked to wait {asked} ms at most, it came back after {took} ms")
            });
        }
        let _ = self.wrong.sizes.get_or_insert_option(|| too_much(&batch, bytes.len(), ask));
        let _ = self
            .wrong
            .topics
            .get_or_insert_option(|| batch.topics().find_map(|topic| wrong_topic(topic, sandbox)));
        self.take_marks(&batch);
        for record in batch.records() {
            let taken = Taken::of(&record);
            let wrong = || wrong_format(&record).map(|wrong| format!("{wrong}: {}", taken.shown));
            let _ = self.wrong.formats.get_or_insert_option(wrong);
            self.records.push(taken);
        }
        Ok(!batch.is_empty())
    }

    fn take_marks(&mut self, batch: &Batch<'_>) {
        for mark in batch.marks() {
            let partition = batch.source_partition(mark.partition);
            for (what, text) in [("source partition", partition), ("source offset", mark.offset)] {
                let _ = self.wrong.marks.get_or_insert_option(|| {
                    (!is_object(text)).then(|| format!("a {what} is no JSON object: {text:?}"))
                });
            }
            let after = self.records.len() + mark.after as usize;
            self.marked.push(Marked {
                after,
                partition: partition.to_owned(),
                offset: mark.offset.to_owned(),
            });
        }
    }

    /// After how many records a successor can go on, the first such place from `wanted` on, or else the last one
    /// before the end.
    pub(super) fn cut(&self, wanted: usize) -> Option<usize> {
        let places =
            || self.marked.iter().map(|mark| mark.after).filter(|at| (1..self.records.len()).contains(at));
        places().find(|at| *at >= wanted).or_else(|| places().next_back())
    }

    /// After how many records the last mark stands.
    pub(super) fn covered(&self) -> usize {
        self.marked.last().map_or(0, |mark| mark.after)
    }

    /// How often the source has said where it stands.
    pub(super) fn marks(&self) -> usize {
        self.marked.len()
    }

    /// Where the source stands after so many records.
    pub(super) fn positions(&self, after: usize) -> Positions {
        let mut positions = Positions::default();
        for mark in self.marked.iter().filter(|mark| mark.after <= after) {
            positions.set(&mark.partition, &mark.offset);
        }
        positions
    }
}

/// `Option::get_or_insert_with` for what may still be nothing.
trait GetOrInsertOption {
    fn get_or_insert_option(&mut self, find: impl FnOnce() -> Option<String>) -> Option<&String>;
}

impl GetOrInsertOption for Option<String> {
    fn get_or_insert_option(&mut self, find: impl FnOnce() -> Option<String>) -> Option<&String> {
        if self.is_none() {
            *self = find();
        }
        self.as_ref()
    }
}

impl Taken {
    /// Without its timestamp, which may be that of the reading.
    fn of(record: &Record<'_>) -> Self {
        let mut hasher = DefaultHasher::new();
        (record.run.topic, record.run.partition, record.key, record.value).hash(&mut hasher);
        record.headers().for_each(|header| header.hash(&mut hasher));
        let show = |bytes: Option<&[u8]>| match bytes {
            None => "null".to_owned(),
            Some(bytes) => {
                let cut = bytes.len().min(SHOWN);
                let dots = if cut < bytes.len() { "…" } else { "" };
                format!("{:?}{dots}", String::from_utf8_lossy(&bytes[..cut]))
            }
        };
        let shown =
            format!("topic {}, key {}, value {}", record.run.topic, show(record.key), show(record.value));
        Self { hash: hasher.finish(), shown }
    }
}

fn too_much(batch: &Batch<'_>, bytes: usize, ask: Ask) -> Option<String> {
    if batch.len() > 2 * ask.records as usize {
        return Some(format!("asked for {} records at most, it answered with {}", ask.records, batch.len()));
    }
    let size = |record: Record<'_>| [record.key, record.value].into_iter().flatten().map(<[u8]>::len).sum();
    let largest: usize = batch.records().map(size).max().unwrap_or(0);
    (bytes > 2 * ask.bytes as usize + largest).then(|| {
        format!(
            "asked for {} bytes at most, it answered with {bytes}, and the largest record has {largest}",
            ask.bytes
        )
    })
}

fn wrong_topic(topic: &str, sandbox: &Sandbox) -> Option<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if topic.is_empty()
        || topic.len() > TOPIC_BYTES
        || [".", ".."].contains(&topic)
        || !topic.chars().all(good)
    {
        return Some(format!("{topic:?} is no name of a topic"));
    }
    (!sandbox.may_write_topic(topic)).then(|| format!("topic {topic} is not granted"))
}

fn wrong_format(record: &Record<'_>) -> Option<String> {
    let check = |what: &str, format: Format, bytes: Option<&[u8]>| {
        let bytes = bytes?;
        match format {
            Format::String if std::str::from_utf8(bytes).is_err() => Some(format!("a {what} is no UTF-8")),
            Format::Json => {
                let error = serde_json::from_slice::<&RawValue>(bytes).err()?;
                Some(format!("a {what} is no JSON ({error})"))
            }
            _ => None,
        }
    };
    let run = record.run;
    check("key", run.key_format, record.key).or_else(|| check("value", run.value_format, record.value))
}

fn is_object(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok_and(|value| value.get().starts_with('{'))
}

/// Whether all records differ, so that one that comes twice can be told.
pub(super) fn are_distinct(records: &[Taken]) -> bool {
    let mut seen = std::collections::HashSet::new();
    records.iter().all(|record| seen.insert(record.hash))
}

/// Compares what came in two parts with the whole: nothing missing, nothing twice, and nothing else unless the
/// source goes on beyond the whole.
pub(super) fn compare(whole: &[Taken], parts: [&[Taken]; 2], ended: bool) -> Result<(), String> {
    let mut owed: HashMap<u64, i64> = HashMap::new();
    for record in whole {
        *owed.entry(record.hash).or_default() += 1;
    }
    for (part, records) in ["before", "after"].into_iter().zip(parts) {
        for record in records {
            match owed.get_mut(&record.hash) {
                Some(0) => return Err(format!("what came {part} the cut came twice: {}", record.shown)),
                Some(count) => *count -= 1,
                None if ended => {
                    return Err(format!("what came {part} the cut was never seen: {}", record.shown));
                }
                None => {}
            }
        }
    }
    match whole.iter().find(|record| owed.get(&record.hash).is_some_and(|count| *count > 0)) {
        Some(missing) => Err(format!("it never came again: {}", missing.shown)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(numbers: impl IntoIterator<Item = u64>) -> Vec<Taken> {
        numbers.into_iter().map(|hash| Taken { hash, shown: hash.to_string() }).collect()
    }

    fn compared(first: &[u64], second: &[u64], ended: bool) -> Result<(), String> {
        let (first, second) = (records(first.iter().copied()), records(second.iter().copied()));
        compare(&records(1..=4), [&first, &second], ended)
    }

    #[test]
    fn two_parts_make_the_whole() {
        assert_eq!(compared(&[1, 2], &[3, 4], true), Ok(()));
        assert_eq!(compared(&[2, 1], &[4, 3], true), Ok(()));
        assert_eq!(compared(&[1, 2], &[3, 4, 5], false), Ok(()));
    }

    #[test]
    fn what_is_missing_comes_twice_or_is_foreign_is_named() {
        for (first, second, wrong) in [
            (&[1, 2][..], &[4][..], "never came again: 3"),
            (&[1, 2], &[2, 3, 4], "after the cut came twice: 2"),
            (&[1, 2], &[3, 4, 5], "never seen: 5"),
        ] {
            let told = compared(first, second, true).unwrap_err();
            assert!(told.contains(wrong), "{told}");
        }
    }

    #[test]
    fn a_source_is_cut_where_a_mark_stands() {
        let marked = [0, 3, 5, 8].map(|after| Marked {
            after,
            partition: r#"{"p":1}"#.into(),
            offset: format!(r#"{{"o":{after}}}"#),
        });
        let haul = Haul { records: records(0..8), marked: marked.into(), ..Haul::default() };
        assert_eq!((haul.cut(4), haul.cut(3), haul.cut(7), haul.covered()), (Some(5), Some(3), Some(5), 8));
        assert_eq!(haul.positions(5).json(), r#"[{"partition":{"p":1},"offset":{"o":5}}]"#);
        let unmarked = Haul { records: records(0..8), ..Haul::default() };
        assert_eq!(unmarked.cut(4), None);
    }
}
