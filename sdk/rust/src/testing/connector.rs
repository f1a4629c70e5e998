//! Driving a connector.

use std::time::Duration;

use crate::runtime::{self, Planned};
use crate::{ConfigMap, Connector, Error};

/// A connector in a test, kept from call to call: see [`SourceTest::connector`](super::SourceTest::connector)
/// and [`SinkTest::connector`](super::SinkTest::connector).
pub struct ConnectorTest(Box<dyn Connector>);

impl ConnectorTest {
    pub(super) fn start<P: Planned>(config: &ConfigMap) -> Result<Self, Error> {
        runtime::start::<P>(&config.to_json()).map(Self)
    }

    /// The configurations of the tasks.
    ///
    /// # Errors
    /// What the connector said.
    pub fn task_configs(&mut self, max_tasks: u32) -> Result<Vec<ConfigMap>, Error> {
        let configs = runtime::task_configs(self.0.as_mut(), max_tasks)?;
        configs.iter().map(|config| ConfigMap::from_json(config)).collect()
    }

    /// Whether the tasks are to be planned again.
    ///
    /// # Errors
    /// What the connector said.
    pub fn watch(&mut self, max_wait: Duration) -> Result<bool, Error> {
        self.0.watch(max_wait)
    }

    /// It ends in good order.
    pub fn stop(mut self) {
        self.0.stop();
    }
}

impl std::fmt::Debug for ConnectorTest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectorTest").finish_non_exhaustive()
    }
}
