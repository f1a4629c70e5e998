//! Transformations: what changes records on their way.

use serde::de::DeserializeOwned;

use crate::{Error, Manifest, Output, Record, TaskContext};

/// A transformation: one value serves one task.
pub trait Transform: Sized + 'static {
    /// The configuration, as the plugin likes it. Its serde names are those of the keys.
    type Config: DeserializeOwned;

    /// What the plugin is called in configurations, what it does, and the keys it understands.
    fn manifest() -> Manifest;

    /// Starts.
    ///
    /// # Errors
    /// It cannot start: see [`Error`].
    fn open(config: Self::Config, context: &TaskContext) -> Result<Self, Error>;

    /// Takes one record and passes on none, one or several. A source's positions stay between the
    /// records that they stood between.
    ///
    /// # Errors
    /// See [`Error`].
    fn apply(&mut self, record: &Record<'_>, output: &mut Output<'_>) -> Result<(), Error>;

    /// The task ends in good order.
    fn close(&mut self) {}
}
