//! Which topics a connector uses, as far as the operator lets that be told.
//!
//! In a cluster they stand in the status topic, too, and a reset is answered once they are gone from there: a worker
//! that is killed right after its answer leaves nothing for the next one to remember.

use std::collections::BTreeSet;

use super::kept::Clustered;
use super::{Worker, WorkerError};
use crate::cluster::configs::KeyValue;
use crate::cluster::statuses::{self, Told};
use crate::connector::Shown;
use crate::task::failure::chain;

impl Worker {
    /// The topics that a connector has used; none of one that does not exist, as in Kafka Connect.
    ///
    /// # Errors
    /// They are not tracked.
    pub(crate) fn topics(&self, name: &str) -> Result<Vec<String>, WorkerError> {
        self.topics_are_tracked()?;
        if let Ok(entry) = self.entry(name) {
            return Ok(entry.connector.shown.topics().list());
        }
        let listed = |told: &Told| told.topics.iter().cloned().collect();
        let clustered = self.inner.kept.clustered();
        Ok(clustered.and_then(|clustered| clustered.told(name, listed)).unwrap_or_default())
    }

    /// Forgets them. Those that are still used are noted again.
    ///
    /// # Errors
    /// They are not tracked, that is not allowed, or it cannot be kept.
    pub(crate) async fn reset_topics(&self, name: &str) -> Result<(), WorkerError> {
        self.topics_are_tracked()?;
        if !self.inner.services.config.topic_tracking_reset {
            return Err(WorkerError::Forbidden("Topic tracking reset is disabled.".into()));
        }
        if let Ok(entry) = self.entry(name) {
            entry.connector.shown.topics().forget();
        }
        let Some(clustered) = self.inner.kept.clustered() else { return Ok(()) };
        let gone: Vec<KeyValue> = match clustered.cluster.statuses().get(name) {
            Some(told) => told.topics.iter().map(|topic| statuses::topic(name, topic, false)).collect(),
            None => Vec::new(),
        };
        if gone.is_empty() {
            return Ok(());
        }
        clustered.cluster.tell(gone).await.map_err(|error| {
            let error = chain(&error);
            WorkerError::Internal(format!("Failed to reset the topics of connector {name}: {error}"))
        })
    }

    /// What an earlier leader noted.
    pub(super) fn remember_topics(&self, clustered: &Clustered, name: &str, shown: &Shown) {
        if self.topics_are_tracked().is_ok()
            && let Some(told) = clustered.cluster.statuses().get(name)
        {
            told.topics.iter().for_each(|topic| shown.topics().note(topic));
        }
    }

    /// What the cluster is not told yet of the topics of a connector.
    pub(super) fn news_of_topics(&self, name: &str, shown: &Shown, told: &Told, news: &mut Vec<KeyValue>) {
        if self.topics_are_tracked().is_err() {
            return;
        }
        let now: BTreeSet<_> = shown.topics().list().into_iter().collect();
        news.extend(now.difference(&told.topics).map(|topic| statuses::topic(name, topic, true)));
        news.extend(told.topics.difference(&now).map(|topic| statuses::topic(name, topic, false)));
    }

    fn topics_are_tracked(&self) -> Result<(), WorkerError> {
        if self.inner.services.config.topic_tracking {
            return Ok(());
        }
        Err(WorkerError::Forbidden("Topic tracking is disabled.".into()))
    }
}
