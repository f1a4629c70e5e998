//! Driving a sink.

use std::collections::BTreeMap;

use transom_batch::{Limits, MAX_BYTES, Outcome, Writer};

use super::{ConnectorTest, TestRecord, double};
use crate::runtime::{self, SinkSide, SinkTask};
use crate::{Assigned, ConfigMap, Error, KafkaOffset, Reason, Sink, TopicPartition};

/// A sink in a test: its task, and what the worker keeps for it.
#[derive(Debug)]
pub struct SinkTest<S> {
    config: ConfigMap,
    task: Option<SinkTask<S>>,
    generation: u64,
    /// The assigned partitions, each with the offset after the last record that was put.
    next: BTreeMap<TopicPartition, i64>,
    committed: BTreeMap<TopicPartition, i64>,
}

/// A record that the sink named as failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRecord {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Why.
    pub message: String,
}

impl<S: Sink> SinkTest<S> {
    /// A sink that is not open yet.
    pub fn new(config: impl Into<ConfigMap>) -> Self {
        double::reset();
        let mut config = config.into();
        config.set("transom.connector", "test");
        config.set("transom.task", "0");
        Self { config, task: None, generation: 0, next: BTreeMap::new(), committed: BTreeMap::new() }
    }

    /// A sink that is open, with nothing committed.
    ///
    /// # Errors
    /// What `open` said.
    pub fn open(config: impl Into<ConfigMap>) -> Result<Self, Error> {
        let mut test = Self::new(config);
        test.reopen()?;
        Ok(test)
    }

    /// Starts an instance. Partitions come with the first record of each, or with
    /// [`assign`](Self::assign).
    ///
    /// # Errors
    /// What `open` said.
    pub fn reopen(&mut self) -> Result<(), Error> {
        self.kill();
        self.generation += 1;
        self.config.set("transom.generation", self.generation.to_string());
        self.task = Some(SinkTask::open(&self.config.to_json())?);
        Ok(())
    }

    /// A partition comes, at what was committed.
    ///
    /// # Errors
    /// What `assign` said.
    pub fn assign(&mut self, topic: &str, partition: i32) -> Result<(), Error> {
        let place = TopicPartition { topic: topic.into(), partition };
        let offset = self.committed.get(&place).copied();
        let assigned = [Assigned { topic: topic.into(), partition, offset }];
        self.running().assign(&serde_json::to_string(&assigned)?)?;
        self.next.insert(place, offset.unwrap_or(0));
        Ok(())
    }

    /// A partition goes, after a pre-commit unless it is lost.
    ///
    /// # Errors
    /// What `pre_commit` or `revoke` said.
    pub fn revoke(&mut self, topic: &str, partition: i32, lost: bool) -> Result<(), Error> {
        if !lost {
            self.pre_commit(Reason::Revoke)?;
        }
        let place = TopicPartition { topic: topic.into(), partition };
        self.next.remove(&place);
        let partitions = serde_json::to_string(&[place])?;
        self.running().revoke(&partitions, lost)
    }

    /// Puts records. Those without an offset get the next one of their partition.
    ///
    /// # Errors
    /// What `put` said.
    pub fn put(&mut self, records: &[TestRecord]) -> Result<Vec<FailedRecord>, Error> {
        let mut writer = Writer::new();
        for place in records.iter().map(place) {
            if !self.next.contains_key(&place) {
                self.assign(&place.topic, place.partition)?;
            }
        }
        let mut next = self.next.clone();
        for record in records {
            let next = next.entry(place(record)).or_default();
            let offset = record.offset.unwrap_or(*next);
            record.write(offset, &mut writer).expect("a test's batch is small");
            *next = offset + 1;
        }
        let outcome = self.running().put(&writer.finish())?;
        self.next = next;
        let limits = Limits { bytes: MAX_BYTES, records: u32::MAX };
        if outcome.is_empty() {
            return Ok(Vec::new());
        }
        let outcome = Outcome::parse(&outcome, &limits).expect("the SDK writes what it reads");
        let failed = |failure: transom_batch::Failure<'_>| FailedRecord {
            topic: failure.topic.into(),
            partition: failure.partition,
            offset: failure.offset,
            message: failure.message.into(),
        };
        Ok(outcome.failures().map(failed).collect())
    }

    /// Asks what is durable, and commits it.
    ///
    /// # Errors
    /// What `pre_commit` said.
    ///
    /// # Panics
    /// If the sink answers with more than was put, or with a partition that is not its own.
    pub fn pre_commit(&mut self, reason: Reason) -> Result<Vec<KafkaOffset>, Error> {
        let offset = |(place, offset): (&TopicPartition, &i64)| KafkaOffset {
            topic: place.topic.clone(),
            partition: place.partition,
            offset: *offset,
        };
        let offsets: Vec<_> = self.next.iter().map(offset).collect();
        let answer = self.running().pre_commit(&serde_json::to_string(&offsets)?, reason.into())?;
        let durable: Vec<KafkaOffset> = serde_json::from_str(&answer)?;
        for offset in &durable {
            let place = TopicPartition { topic: offset.topic.clone(), partition: offset.partition };
            let put = self.next.get(&place).copied();
            assert!(put.is_some_and(|put| offset.offset <= put), "{offset:?} is durable, put was {put:?}");
            self.committed.insert(place, offset.offset);
        }
        Ok(durable)
    }

    /// The instance is gone, without a word.
    pub fn kill(&mut self) {
        self.task = None;
        self.next.clear();
    }

    /// The task ends in good order: pre-commit, revoke, close.
    ///
    /// # Errors
    /// What `pre_commit` or `revoke` said.
    pub fn close(&mut self) -> Result<(), Error> {
        self.pre_commit(Reason::Stop)?;
        let partitions: Vec<_> = std::mem::take(&mut self.next).into_keys().collect();
        self.running().revoke(&serde_json::to_string(&partitions)?, false)?;
        if let Some(task) = self.task.take() {
            task.close();
        }
        Ok(())
    }

    /// The author's value, as long as the task is open.
    pub fn sink(&mut self) -> &mut S {
        &mut self.running().sink
    }

    /// What the plugin says about itself, as the worker gets it.
    pub fn manifest() -> serde_json::Value {
        S::manifest().to_json("test", "0.0.0", "sink")
    }

    /// What is wrong with the configuration, as the worker gets it; empty: nothing.
    pub fn validate(&self) -> String {
        runtime::validate::<SinkSide<S>>(&self.config.to_json())
    }

    /// The configurations of the tasks.
    ///
    /// # Errors
    /// What the connector said.
    pub fn task_configs(&self, max_tasks: u32) -> Result<Vec<ConfigMap>, Error> {
        let mut connector = self.connector()?;
        let configs = connector.task_configs(max_tasks)?;
        connector.stop();
        Ok(configs)
    }

    /// The connector, started, as the worker keeps it for a plugin that watches.
    ///
    /// # Errors
    /// It cannot start.
    pub fn connector(&self) -> Result<ConnectorTest, Error> {
        ConnectorTest::start::<SinkSide<S>>(&self.config)
    }

    fn running(&mut self) -> &mut SinkTask<S> {
        self.task.as_mut().expect("the sink is open")
    }
}

fn place(record: &TestRecord) -> TopicPartition {
    TopicPartition { topic: record.topic.clone(), partition: record.partition.unwrap_or(0) }
}
