//! A broker in this process: librdkafka's mock cluster. For the demo only; it keeps a few megabytes a partition
//! and drops older records.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::KafkaError;

/// A running cluster; it ends when dropped.
pub(crate) struct Embedded(MockCluster<'static, DefaultProducerContext>);

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Embedded").field(&self.bootstrap_servers()).finish()
    }
}

impl Embedded {
    /// One broker.
    ///
    /// # Errors
    /// There is no port for it.
    pub(crate) fn start() -> Result<Self, KafkaError> {
        MockCluster::new(1).map(Self).map_err(failed)
    }

    pub(crate) fn bootstrap_servers(&self) -> String {
        self.0.bootstrap_servers()
    }

    /// # Errors
    /// It exists.
    pub(crate) fn create_topic(&self, name: &str, partitions: i32) -> Result<(), KafkaError> {
        self.0.create_topic(name, partitions, 1).map_err(failed)
    }
}

fn failed(error: rdkafka::error::KafkaError) -> KafkaError {
    KafkaError::local(error.to_string())
}
