//! Sinks: what takes records out of Kafka.

use serde::de::DeserializeOwned;

use crate::batch::{Batch, Failures};
use crate::config::{Advice, Problems};
use crate::connector::{Assigned, Connector, Copies, KafkaOffset, OffsetChange, TopicPartition};
use crate::{ConfigMap, Error, Manifest, SinkContext};

/// Why the worker is about to commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The commit interval has passed.
    Interval,
    /// The plugin asked for it.
    Requested,
    /// Partitions go to another task.
    Revoke,
    /// The task stops.
    Stop,
    /// The task goes on with another version of the plugin.
    Swap,
    /// A reason that later workers have.
    Other(u32),
}

impl From<u32> for Reason {
    fn from(code: u32) -> Self {
        match code {
            1 => Self::Interval,
            2 => Self::Requested,
            3 => Self::Revoke,
            4 => Self::Stop,
            5 => Self::Swap,
            other => Self::Other(other),
        }
    }
}

impl From<Reason> for u32 {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Interval => 1,
            Reason::Requested => 2,
            Reason::Revoke => 3,
            Reason::Stop => 4,
            Reason::Swap => 5,
            Reason::Other(code) => code,
        }
    }
}

/// A sink: one value is one task, a member of the connector's consumer group.
///
/// The worker calls `open`; `assign` and `revoke` as partitions come and go; `put` with their records,
/// in order; `pre_commit` between two puts and before partitions go; `close` at the end. It never
/// calls two at a time.
pub trait Sink: Sized + 'static {
    /// The configuration, as the plugin likes it. Its serde names are those of the keys.
    type Config: DeserializeOwned;

    /// What the plugin is called in configurations, what it does, and the keys it understands.
    fn manifest() -> Manifest;

    /// Starts a task. Keep a clone of the context to seek, pause or ask for commits later.
    ///
    /// # Errors
    /// The task cannot start: see [`Error`].
    fn open(config: Self::Config, context: &SinkContext) -> Result<Self, Error>;

    /// Takes records. They need not be durable when it returns. An empty batch comes when nothing else
    /// does, at least every 500 ms.
    ///
    /// Single records that cannot be written, of this batch or of an earlier one that is not yet
    /// committed, are named in `failures`.
    ///
    /// # Errors
    /// A retriable error: the same batch comes again, all of it. Others fail the task.
    fn put(&mut self, batch: &Batch<'_>, failures: &mut Failures) -> Result<(), Error>;

    /// Partitions come. May [`seek`](SinkContext::seek).
    ///
    /// # Errors
    /// See [`Error`].
    fn assign(&mut self, partitions: &[Assigned]) -> Result<(), Error> {
        let _ = partitions;
        Ok(())
    }

    /// Partitions go. `lost`: another task may own them already, and nothing of them may be written any
    /// more.
    ///
    /// # Errors
    /// See [`Error`].
    fn revoke(&mut self, partitions: &[TopicPartition], lost: bool) -> Result<(), Error> {
        let _ = (partitions, lost);
        Ok(())
    }

    /// The worker is about to commit: `offsets` are those after the last records that were put.
    /// Answers with what is durable, at most these. By default a record is durable once `put` returned.
    ///
    /// # Errors
    /// See [`Error`]. Nothing is committed.
    fn pre_commit(&mut self, offsets: Vec<KafkaOffset>, reason: Reason) -> Result<Vec<KafkaOffset>, Error> {
        let _ = reason;
        Ok(offsets)
    }

    /// The task ends in good order.
    fn close(&mut self) {}

    /// Adds what is wrong with a configuration and the definition of its keys cannot tell. Without
    /// side effects.
    fn validate(config: &Self::Config, problems: &mut Problems) {
        let _ = (config, problems);
    }

    /// Adds what a form should show beside the definition of the keys: values to choose from that depend on other
    /// keys, and keys that make no sense with the others. Without side effects.
    fn advise(config: &Self::Config, advice: &mut Advice) {
        let _ = (config, advice);
    }

    /// Whether somebody may change the offsets so. True: the plugin has changed the outside system too,
    /// or there is nothing to change in it.
    ///
    /// # Errors
    /// They may not.
    fn alter_offsets(config: &Self::Config, changes: &[OffsetChange]) -> Result<bool, Error> {
        let _ = (config, changes);
        Ok(false)
    }

    /// The connector that plans the tasks: by default as many as are allowed, all with the connector's
    /// configuration.
    ///
    /// # Errors
    /// The connector cannot start.
    fn connector(config: Self::Config, map: ConfigMap) -> Result<Box<dyn Connector>, Error> {
        let _ = config;
        Ok(Box::new(Copies::all(map)))
    }
}
