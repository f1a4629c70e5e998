//! One instance of a sink's task, led as the worker leads it: what is assigned, how far each partition was put,
//! and what it said is durable.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use transom_batch::{Limits, Outcome};

use super::feed::Feed;
use crate::config::Sandbox;
use crate::kit::report::Miss;
use crate::kit::rig::{PATIENCE, Rig, patiently};
use crate::plugin::{CallError, Reason, SinkInstance};

/// What an outcome may be.
const OUTCOME: Limits = Limits { bytes: 16 << 20, records: 1 << 20 };
/// Before anything is assigned.
pub(super) const PARTITIONS: [i32; 2] = [0, 1];

/// How far one partition has come: offsets of next records.
#[derive(Debug, Clone, Default)]
struct Place {
    put: i64,
    durable: Option<i64>,
    paused: bool,
}

/// An open instance.
pub(super) struct Member<'f> {
    pub(super) instance: SinkInstance,
    pub(super) should_stop: Arc<AtomicBool>,
    feed: &'f Feed,
    places: BTreeMap<i32, Place>,
    /// When the guest asked to hear from the worker.
    wake: Option<Duration>,
    /// Records that it refused.
    pub(super) refused: usize,
    /// The first offence against each rule.
    pub(super) wrong: Wrong,
}

/// See [`Member::wrong`].
#[derive(Debug, Default)]
pub(super) struct Wrong {
    pub(super) outcome: Option<String>,
    pub(super) bounds: Option<String>,
    pub(super) forward: Option<String>,
}

/// An entry of what `pre-commit` answers.
#[derive(Debug, Deserialize)]
struct At {
    topic: String,
    partition: i32,
    offset: i64,
}

/// Where partitions begin, by their numbers; `None`: nothing was ever committed.
pub(super) type Starts = BTreeMap<i32, Option<i64>>;

impl<'f> Member<'f> {
    /// Opens a new instance; nothing is assigned yet.
    pub(super) async fn open(
        rig: &Rig,
        sandbox: &Arc<Sandbox>,
        feed: &'f Feed,
        generation: u64,
    ) -> Result<Self, CallError> {
        let setup = rig.of_task(sandbox, None);
        let should_stop = Arc::clone(&setup.should_stop);
        let mut instance = SinkInstance::new(&rig.plugin, setup).await?;
        let config = rig.config(generation);
        patiently(async || instance.open(&config).await).await?;
        Ok(Self {
            instance,
            should_stop,
            feed,
            places: BTreeMap::new(),
            wake: None,
            refused: 0,
            wrong: Wrong::default(),
        })
    }

    /// The same, with partitions.
    pub(super) async fn assigned(
        rig: &Rig,
        feed: &'f Feed,
        generation: u64,
        starts: &Starts,
    ) -> Result<Self, CallError> {
        let mut member = Self::open(rig, &rig.sandbox, feed, generation).await?;
        member.assign(starts).await?;
        Ok(member)
    }

    /// Partitions come.
    pub(super) async fn assign(&mut self, starts: &Starts) -> Result<(), CallError> {
        for (partition, start) in starts {
            let place = Place { put: start.unwrap_or(0), durable: *start, paused: false };
            let _ = self.places.insert(*partition, place);
        }
        self.tell_assigned();
        let entry = |(partition, offset): (&i32, &Option<i64>)| json!({ "topic": self.feed.topic, "partition": partition, "offset": offset });
        let list = Value::Array(starts.iter().map(entry).collect()).to_string();
        let instance = &mut self.instance;
        patiently(async || instance.assign(&list).await).await?;
        self.obey();
        Ok(())
    }

    /// Partitions go.
    pub(super) async fn revoke(&mut self, partitions: &[i32], lost: bool) -> Result<(), CallError> {
        let list = self.list(partitions);
        let instance = &mut self.instance;
        patiently(async || instance.revoke(&list, lost).await).await?;
        self.places.retain(|partition, _| !partitions.contains(partition));
        self.tell_assigned();
        self.obey();
        Ok(())
    }

    fn list(&self, partitions: &[i32]) -> String {
        let entry = |partition: &i32| json!({ "topic": self.feed.topic, "partition": partition });
        Value::Array(partitions.iter().map(entry).collect()).to_string()
    }

    fn tell_assigned(&mut self) {
        let assigned = self.places.keys().map(|partition| (self.feed.topic.clone(), *partition));
        self.instance.set_assigned(assigned.collect());
    }

    /// Does what the guest asked for.
    fn obey(&mut self) {
        let requests = self.instance.take_requests();
        for ((_, partition), offset) in requests.seeks {
            if let Some(place) = self.places.get_mut(&partition) {
                place.put = offset;
            }
        }
        for ((_, partition), paused) in requests.pauses {
            if let Some(place) = self.places.get_mut(&partition) {
                place.paused = paused;
            }
        }
        self.wake = requests.timeout.or(self.wake);
    }

    /// The next so many records of each partition that is not paused.
    fn next(&self, each: i64) -> Vec<(i32, Range<i64>)> {
        let flowing = self.places.iter().filter(|(_, place)| !place.paused);
        flowing.map(|(partition, place)| (*partition, place.put..place.put + each)).collect()
    }

    /// A batch of the next so many records of each partition, which is not put.
    pub(super) fn batch(&self, each: i64) -> Result<Vec<u8>, Miss> {
        self.feed.batch(&self.next(each)).map_err(|error| Miss::Failed(error.to_string()))
    }

    /// Puts the next so many records of each partition.
    pub(super) async fn put(&mut self, each: i64) -> Result<(), Miss> {
        let spans = self.next(each);
        let batch = self.batch(each)?;
        self.give(&batch).await?;
        for (partition, offsets) in spans {
            if let Some(place) = self.places.get_mut(&partition) {
                // A seek during the call has the last word.
                place.put = if place.put == offsets.start { offsets.end } else { place.put };
            }
        }
        Ok(())
    }

    /// Puts so many records in all, in batches.
    pub(super) async fn put_all(&mut self, records: usize) -> Result<(), Miss> {
        let each = i64::try_from(records / self.places.len().max(1) / 10).unwrap_or(1).max(1);
        for _ in 0..10 {
            self.put(each).await?;
        }
        Ok(())
    }

    /// Puts a batch of nothing, when the guest asked for one, or at once.
    pub(super) async fn put_nothing(&mut self, batch: &[u8]) -> Result<(), Miss> {
        if let Some(wait) = self.wake.take() {
            tokio::time::sleep(wait.min(PATIENCE)).await;
        }
        self.give(batch).await
    }

    async fn give(&mut self, batch: &[u8]) -> Result<(), Miss> {
        let instance = &mut self.instance;
        let outcome = patiently(async || instance.put(batch).await).await?;
        if self.wrong.outcome.is_none() {
            self.wrong.outcome = self.check_outcome(&outcome, batch);
        }
        self.obey();
        Ok(())
    }

    /// What is wrong with an outcome: it may name what was put, now or before, and is not committed.
    fn check_outcome(&mut self, outcome: &[u8], batch: &[u8]) -> Option<String> {
        if outcome.is_empty() {
            return None;
        }
        let outcome = match Outcome::parse(outcome, &OUTCOME) {
            Ok(outcome) => outcome,
            Err(error) => return Some(format!("put answered no outcome batch: {error}")),
        };
        let now = transom_batch::Batch::parse(batch, &Limits::default()).ok()?;
        let of_now = |failure: &transom_batch::Failure<'_>| {
            now.records().any(|record| {
                record.run.partition == Some(failure.partition) && record.offset == Some(failure.offset)
            })
        };
        for failure in outcome.failures() {
            let (topic, partition, offset) = (failure.topic, failure.partition, failure.offset);
            let place = self.places.get(&partition).filter(|_| topic == self.feed.topic);
            let before = place.is_some_and(|place| (place.durable.unwrap_or(0)..place.put).contains(&offset));
            if place.is_none() || !(before || of_now(&failure)) {
                let why = "which was not put, or is committed";
                return Some(format!("the outcome names offset {offset} of {topic}-{partition}, {why}"));
            }
        }
        self.refused += outcome.len();
        None
    }

    /// Asks what of these partitions is durable, and keeps what the worker would commit. True: something is new.
    pub(super) async fn pre_commit_of(&mut self, partitions: &[i32], reason: Reason) -> Result<bool, Miss> {
        let offered: BTreeMap<i32, i64> = self
            .places
            .iter()
            .filter(|(partition, place)| {
                partitions.contains(partition) && place.put > place.durable.unwrap_or(0)
            })
            .map(|(partition, place)| (*partition, place.put))
            .collect();
        if offered.is_empty() {
            return Ok(false);
        }
        let entry = |(partition, offset): (&i32, &i64)| json!({ "topic": self.feed.topic, "partition": partition, "offset": offset });
        let offers = Value::Array(offered.iter().map(entry).collect()).to_string();
        let instance = &mut self.instance;
        let answer = patiently(async || instance.pre_commit(&offers, reason).await).await?;
        self.obey();
        if answer.is_empty() {
            return Ok(false);
        }
        let list: Vec<At> = serde_json::from_str(&answer).map_err(|error| {
            Miss::Failed(format!("pre-commit answered {answer:?}, which is no list of offsets: {error}"))
        })?;
        let new = list.iter().filter(|at| self.accept(at, &offered)).count();
        Ok(new > 0)
    }

    /// The same of all partitions.
    pub(super) async fn pre_commit(&mut self, reason: Reason) -> Result<bool, Miss> {
        let all: Vec<i32> = self.places.keys().copied().collect();
        self.pre_commit_of(&all, reason).await
    }

    fn accept(&mut self, at: &At, offered: &BTreeMap<i32, i64>) -> bool {
        let At { topic, partition, offset } = at;
        let place = self.places.get_mut(partition).filter(|_| *topic == self.feed.topic);
        let Some(place) = place else {
            let _ = self
                .wrong
                .bounds
                .get_or_insert_with(|| format!("it names {topic}-{partition}, which is not assigned"));
            return false;
        };
        let most = offered.get(partition).copied().unwrap_or(place.put);
        if *offset > most {
            let _ = self.wrong.bounds.get_or_insert_with(|| {
                format!("of {topic}-{partition} it was offered {most} and answered {offset}")
            });
            return false;
        }
        if Some(*offset) < place.durable {
            let before = place.durable.unwrap_or_default();
            let _ = self.wrong.forward.get_or_insert_with(|| {
                format!("of {topic}-{partition} it answered {before}, and later {offset}")
            });
            return false;
        }
        let new = Some(*offset) > place.durable;
        place.durable = Some(*offset);
        new
    }

    /// Ends the instance in good order, and tells where its successor goes on.
    pub(super) async fn settle(mut self, reason: Reason) -> Result<Starts, Miss> {
        let _ = self.pre_commit(reason).await?;
        let starts = self.starts();
        let all: Vec<i32> = self.places.keys().copied().collect();
        // What is durable is known: errors on the way out lose nothing.
        if self.revoke(&all, false).await.is_ok() {
            let _ = self.instance.close().await;
        }
        Ok(starts)
    }

    /// What is committed.
    pub(super) fn starts(&self) -> Starts {
        self.places.iter().map(|(partition, place)| (*partition, place.durable)).collect()
    }

    /// The next record of each partition.
    pub(super) fn next_offsets(&self) -> Vec<i64> {
        self.places.values().map(|place| place.put).collect()
    }
}
