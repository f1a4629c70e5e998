//! What a task knows about itself, and asks of the worker when it opens.

use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::raw;
use crate::{ConfigMap, Error, KafkaOffset, TopicPartition};

/// Who a task is.
#[derive(Debug, Clone, Default)]
pub struct TaskContext {
    config: ConfigMap,
}

impl TaskContext {
    pub(crate) fn new(config: ConfigMap) -> Self {
        Self { config }
    }

    /// The task's configuration as text, with keys that the plugin does not describe.
    pub fn config(&self) -> &ConfigMap {
        &self.config
    }

    /// The connector's name.
    pub fn connector(&self) -> &str {
        self.config.get("transom.connector").unwrap_or_default()
    }

    /// The task's number, from 0.
    pub fn task(&self) -> u32 {
        self.number("transom.task") as u32
    }

    /// How many tasks the connector has, where [`Copies`](crate::Copies) planned them; else 1.
    pub fn tasks(&self) -> u32 {
        (self.number(crate::Copies::COUNT) as u32).max(1)
    }

    /// A number that grows with every instance of this task.
    pub fn generation(&self) -> u64 {
        self.number("transom.generation")
    }

    fn number(&self, key: &str) -> u64 {
        self.config.get(key).and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// What a source task knows when it opens, and may ask later on.
#[derive(Debug, Clone)]
pub struct SourceContext(TaskContext);

impl SourceContext {
    pub(crate) fn new(config: ConfigMap) -> Self {
        Self(TaskContext::new(config))
    }

    /// The durable offset of a source partition: where to go on. None: nothing was read yet.
    ///
    /// # Errors
    /// The store could not be read, or what it has is not of this type.
    pub fn offset<O: DeserializeOwned>(
        &self,
        partition: &(impl Serialize + ?Sized),
    ) -> Result<Option<O>, Error> {
        Ok(self.offsets(&[partition])?.pop().flatten())
    }

    /// The durable offsets of several source partitions, in their order.
    ///
    /// # Errors
    /// As for [`offset`](Self::offset).
    pub fn offsets<O: DeserializeOwned>(
        &self,
        partitions: &[impl Serialize],
    ) -> Result<Vec<Option<O>>, Error> {
        let asked = serde_json::to_string(partitions)?;
        let stored = raw::offsets(&asked).map_err(Error::retriable)?;
        let offsets: Vec<Option<O>> = serde_json::from_str(&stored)
            .map_err(|error| Error::fatal(format!("cannot read the stored offsets {stored}: {error}")))?;
        if offsets.len() == partitions.len() {
            Ok(offsets)
        } else {
            Err(Error::fatal(format!("asked for {} offsets, got {}", partitions.len(), offsets.len())))
        }
    }
}

impl Deref for SourceContext {
    type Target = TaskContext;

    fn deref(&self) -> &TaskContext {
        &self.0
    }
}

/// What a sink task can ask of the worker, at any time. All of it takes effect when the call that is
/// under way returns.
#[derive(Debug, Clone)]
pub struct SinkContext(TaskContext);

impl SinkContext {
    pub(crate) fn new(config: ConfigMap) -> Self {
        Self(TaskContext::new(config))
    }

    /// Goes on reading at these offsets; from within `assign`, starts there.
    ///
    /// # Errors
    /// A partition is not assigned to this task.
    pub fn seek(&self, offsets: &[KafkaOffset]) -> Result<(), Error> {
        raw::seek(&serde_json::to_string(offsets)?).map_err(Error::fatal)
    }

    /// Stops the delivery of these partitions.
    pub fn pause(&self, partitions: &[TopicPartition]) {
        raw::pause(&to_json(partitions));
    }

    /// Undoes [`pause`](Self::pause).
    pub fn resume(&self, partitions: &[TopicPartition]) {
        raw::resume(&to_json(partitions));
    }

    /// Asks for a `pre_commit` soon.
    pub fn request_commit(&self) {
        raw::request_commit();
    }

    /// Asks for a `put`, if need be with an empty batch, after at most this time. Once.
    pub fn timeout(&self, after: std::time::Duration) {
        raw::timeout(u32::try_from(after.as_millis()).unwrap_or(u32::MAX));
    }
}

fn to_json(partitions: &[TopicPartition]) -> String {
    serde_json::to_string(partitions).expect("names and numbers are always JSON")
}

impl Deref for SinkContext {
    type Target = TaskContext;

    fn deref(&self) -> &TaskContext {
        &self.0
    }
}
