//! The worker's loggers, for the administrative endpoints.

use std::collections::BTreeMap;

use super::{Worker, WorkerError};
use crate::telemetry::{Level, Setting};

impl Worker {
    /// Every logger, with what it is set to.
    pub(crate) fn loggers(&self) -> BTreeMap<String, Setting> {
        self.inner.loggers.all()
    }

    /// # Errors
    /// There is no such logger.
    pub(crate) fn logger(&self, name: &str) -> Result<Setting, WorkerError> {
        let unknown = || WorkerError::NotFound(format!("Logger {name} not found."));
        self.inner.loggers.get(name).ok_or_else(unknown)
    }

    /// Sets a logger and all below it. Answers with those whose level that changed.
    ///
    /// # Errors
    /// There is no such level.
    pub(crate) fn set_logger(&self, name: &str, level: &str) -> Result<Vec<String>, WorkerError> {
        let level = Level::parse(level)
            .ok_or_else(|| WorkerError::NotFound(format!("invalid log level '{level}'.")))?;
        tracing::info!(logger = name, level = level.name(), "log level set");
        Ok(self.inner.loggers.set(name, level))
    }
}
