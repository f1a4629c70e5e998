//! Which topics a connector uses, as far as the operator lets that be told.

use super::{Worker, WorkerError};

impl Worker {
    /// The topics that a connector has used; none of one that does not exist, as in Kafka Connect.
    ///
    /// # Errors
    /// They are not tracked.
    pub(crate) fn topics(&self, name: &str) -> Result<Vec<String>, WorkerError> {
        self.topics_are_tracked()?;
        Ok(self.entry(name).map(|entry| entry.connector.shown.topics().list()).unwrap_or_default())
    }

    /// Forgets them. Those that are still used are noted again.
    ///
    /// # Errors
    /// They are not tracked, or that is not allowed.
    pub(crate) fn reset_topics(&self, name: &str) -> Result<(), WorkerError> {
        self.topics_are_tracked()?;
        if !self.inner.services.config.topic_tracking_reset {
            return Err(WorkerError::Forbidden("Topic tracking reset is disabled.".into()));
        }
        if let Ok(entry) = self.entry(name) {
            entry.connector.shown.topics().forget();
        }
        Ok(())
    }

    fn topics_are_tracked(&self) -> Result<(), WorkerError> {
        if self.inner.services.config.topic_tracking {
            return Ok(());
        }
        Err(WorkerError::Forbidden("Topic tracking is disabled.".into()))
    }
}
