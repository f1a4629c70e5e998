//! Sources: what brings records into Kafka.

use serde::de::DeserializeOwned;

use crate::config::{Advice, Problems};
use crate::connector::{Connector, Copies, OffsetChange, Position};
use crate::{ConfigMap, Error, Manifest, Records, SourceContext};

/// A source: one value is one task.
///
/// The worker calls `open`, then `poll` again and again with a `commit` in between whenever positions
/// became durable, then `close` when the task ends in good order. It never calls two at a time.
pub trait Source: Sized + 'static {
    /// The configuration, as the plugin likes it. Its serde names are those of the keys.
    type Config: DeserializeOwned;

    /// What the plugin is called in configurations, what it does, and the keys it understands.
    fn manifest() -> Manifest;

    /// Starts a task; [`SourceContext::offset`] tells where to go on.
    ///
    /// # Errors
    /// The task cannot start: see [`Error`].
    fn open(config: Self::Config, context: &SourceContext) -> Result<Self, Error>;

    /// Adds the next records until [`Records::is_full`], with their positions. Waits at most
    /// [`Records::max_wait`] for the first one, less when [`should_stop`](crate::should_stop) says so.
    ///
    /// # Errors
    /// What was added to `records` is forgotten with an error. A retriable one: poll again later.
    fn poll(&mut self, records: &mut Records) -> Result<(), Error>;

    /// These positions are durable in Kafka: the outside system may forget what lies before them.
    ///
    /// # Errors
    /// See [`Error`].
    fn commit(&mut self, positions: &[Position]) -> Result<(), Error> {
        let _ = positions;
        Ok(())
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

    /// The connector that plans the tasks: by default one task with the connector's configuration.
    ///
    /// # Errors
    /// The connector cannot start.
    fn connector(config: Self::Config, map: ConfigMap) -> Result<Box<dyn Connector>, Error> {
        let _ = config;
        Ok(Box::new(Copies::one(map)))
    }
}
