//! Driving a source.

use std::time::Duration;

use serde::Serialize;
use transom_batch::{Limits, MAX_BYTES};

use super::{ConnectorTest, TestRecord, double};
use crate::runtime::{self, SourceSide, SourceTask};
use crate::{ConfigMap, Error, OffsetChange, Position, Source};

/// A source in a test: its task, and what the worker keeps for it.
#[derive(Debug)]
pub struct SourceTest<S> {
    config: ConfigMap,
    task: Option<SourceTask<S>>,
    generation: u64,
    limits: (u32, u32, Duration),
    /// Polled and not yet committed, the newest of each partition.
    pending: Vec<Position>,
}

/// What a poll brought.
#[derive(Debug, Default, PartialEq)]
pub struct Polled {
    /// The records.
    pub records: Vec<TestRecord>,
    /// The positions: the number of records before it, and the position.
    pub positions: Vec<(usize, Position)>,
}

impl Polled {
    /// The values as text.
    pub fn values(&self) -> Vec<&str> {
        self.records.iter().map(TestRecord::value_str).collect()
    }
}

impl<S: Source> SourceTest<S> {
    /// A source that is not open yet.
    pub fn new(config: impl Into<ConfigMap>) -> Self {
        Self::task(config, 0)
    }

    /// The task of this number, not open yet, with a configuration of
    /// [`task_configs`](Self::task_configs).
    pub fn task(config: impl Into<ConfigMap>, task: u32) -> Self {
        double::reset();
        let mut config = config.into();
        config.set("transom.connector", "test");
        config.set("transom.task", task.to_string());
        let limits = (1000, 1 << 20, Duration::ZERO);
        Self { config, task: None, generation: 0, limits, pending: Vec::new() }
    }

    /// A source that is open, with nothing stored.
    ///
    /// # Errors
    /// What `open` said.
    pub fn open(config: impl Into<ConfigMap>) -> Result<Self, Error> {
        let mut test = Self::new(config);
        test.reopen()?;
        Ok(test)
    }

    /// Makes an offset durable, as if an earlier instance had reached it.
    pub fn store(&mut self, partition: impl Serialize, offset: impl Serialize) {
        double::store(Position { partition: json(partition), offset: json(offset) });
    }

    /// What the polls from now on may take; 1000 records, 1 MiB and no wait in the beginning.
    pub fn limit(&mut self, records: u32, bytes: u32, wait: Duration) {
        self.limits = (records, bytes, wait);
    }

    /// Starts an instance, which goes on from what is durable.
    ///
    /// # Errors
    /// What `open` said.
    pub fn reopen(&mut self) -> Result<(), Error> {
        self.kill();
        self.generation += 1;
        self.config.set("transom.generation", self.generation.to_string());
        self.task = Some(SourceTask::open(&self.config.to_json())?);
        Ok(())
    }

    /// Polls once.
    ///
    /// # Errors
    /// What `poll` said.
    pub fn poll(&mut self) -> Result<Polled, Error> {
        let (records, bytes, wait) = self.limits;
        let wait = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        let batch = self.running().poll(records, bytes, wait)?;
        if batch.is_empty() {
            return Ok(Polled::default());
        }
        let limits = Limits { bytes: MAX_BYTES, records: u32::MAX };
        let batch = transom_batch::Batch::parse(&batch, &limits).expect("the SDK writes what it reads");
        let records = batch.records().map(|record| TestRecord::read(&record)).collect();
        let position = |mark: transom_batch::Mark<'_>| {
            let partition = object(batch.source_partition(mark.partition));
            (mark.after as usize, Position { partition, offset: object(mark.offset) })
        };
        let positions: Vec<_> = batch.marks().map(position).collect();
        for (_, position) in &positions {
            self.pending.retain(|pending| pending.partition != position.partition);
            self.pending.push(position.clone());
        }
        Ok(Polled { records, positions })
    }

    /// Polls until nothing comes.
    ///
    /// # Errors
    /// What `poll` said.
    pub fn poll_all(&mut self) -> Result<Polled, Error> {
        let mut all = Polled::default();
        loop {
            let polled = self.poll()?;
            if polled == Polled::default() {
                return Ok(all);
            }
            let before = all.records.len();
            all.records.extend(polled.records);
            all.positions.extend(polled.positions.into_iter().map(|(after, p)| (before + after, p)));
        }
    }

    /// All that was polled becomes durable, and the source is told.
    ///
    /// # Errors
    /// What `commit` said.
    pub fn commit(&mut self) -> Result<(), Error> {
        let pending = std::mem::take(&mut self.pending);
        pending.iter().cloned().for_each(double::store);
        let offsets = serde_json::to_string(&pending)?;
        self.running().commit(&offsets)
    }

    /// The instance is gone, without a word.
    pub fn kill(&mut self) {
        self.task = None;
        self.pending.clear();
    }

    /// The task ends in good order.
    pub fn close(&mut self) {
        if let Some(task) = self.task.take() {
            task.close();
        }
        self.pending.clear();
    }

    /// The author's value, as long as the task is open.
    pub fn source(&mut self) -> &mut S {
        &mut self.running().source
    }

    /// What the plugin says about itself, as the worker gets it.
    pub fn manifest() -> serde_json::Value {
        S::manifest().to_json("test", "0.0.0", "source")
    }

    /// What is wrong with the configuration, as the worker gets it; empty: nothing.
    pub fn validate(&self) -> String {
        runtime::validate::<SourceSide<S>>(&self.config.to_json())
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
        ConnectorTest::start::<SourceSide<S>>(&self.config)
    }

    /// Asks whether offsets may be changed.
    ///
    /// # Errors
    /// They may not.
    pub fn alter_offsets(&self, changes: &[OffsetChange]) -> Result<bool, Error> {
        let changes = serde_json::to_string(changes)?;
        runtime::alter_offsets::<SourceSide<S>>(&self.config.to_json(), &changes)
    }

    fn running(&mut self) -> &mut SourceTask<S> {
        self.task.as_mut().expect("the source is open")
    }
}

fn json(value: impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).expect("it can be written as JSON")
}

fn object(json: &str) -> serde_json::Value {
    serde_json::from_str(json).expect("the SDK writes JSON")
}
