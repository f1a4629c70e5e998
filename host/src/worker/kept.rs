//! Where it is kept which connectors there are: nowhere (standalone), or in Kafka (distributed).
//!
//! Every change is written here first and carried out when that has succeeded: what a client was told is there after
//! any kill, and what could not be written has not happened. In standalone mode there is nothing to write.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::WorkerError;
use super::api::{RawConfig, Target};
use crate::cluster::configs::{self, KeyValue, Stored};
use crate::cluster::statuses::Told;
use crate::cluster::{Cluster, ClusterError, Membership};
use crate::connector::Plans;
use crate::plugin::BoxFuture;

/// See the module.
#[derive(Debug)]
pub(super) enum Kept {
    InMemory,
    InKafka(Box<Clustered>),
}

/// A worker's part in its cluster.
#[derive(Debug)]
pub(super) struct Clustered {
    pub(super) cluster: Arc<Cluster>,
    pub(super) membership: Membership,
    /// True while this worker leads and has begun to run everything.
    pub(super) ready: watch::Sender<bool>,
    /// True once the worker ends.
    pub(super) ending: watch::Sender<bool>,
    /// What follows the lead.
    pub(super) following: Mutex<Option<JoinHandle<()>>>,
    /// Connectors that are there and cannot be run, and why.
    pub(super) broken: Mutex<BTreeMap<String, String>>,
}

impl Clustered {
    pub(super) fn new(cluster: Cluster, membership: Membership) -> Self {
        Self {
            cluster: Arc::new(cluster),
            membership,
            ready: watch::Sender::new(false),
            ending: watch::Sender::new(false),
            following: Mutex::default(),
            broken: Mutex::default(),
        }
    }

    /// What is told of a connector that there is; of one that was deleted, that stays a moment longer.
    pub(super) fn told<T>(&self, name: &str, look: impl FnOnce(&Told) -> T) -> Option<T> {
        if !self.cluster.configs().contains(name) {
            return None;
        }
        self.cluster.statuses().get(name).map(look)
    }
}

impl Kept {
    pub(super) fn clustered(&self) -> Option<&Clustered> {
        match self {
            Self::InMemory => None,
            Self::InKafka(clustered) => Some(clustered),
        }
    }

    /// Whether connectors run in this worker now.
    pub(super) fn runs_here(&self) -> bool {
        self.clustered().is_none_or(|clustered| *clustered.ready.borrow())
    }

    pub(super) fn plans(&self) -> Option<Arc<dyn Plans>> {
        self.clustered().map(|clustered| Arc::new(PlansInKafka(clustered.cluster.clone())) as _)
    }

    /// All names; `None`: those of what runs.
    pub(super) fn names(&self) -> Option<Vec<String>> {
        self.clustered().map(|clustered| clustered.cluster.configs().names())
    }

    pub(super) fn get(&self, name: &str) -> Option<Stored> {
        self.clustered()?.cluster.configs().get(name)
    }

    pub(super) async fn create(
        &self,
        name: &str,
        config: &RawConfig,
        target: Target,
    ) -> Result<(), WorkerError> {
        // As Java writes it: what it shall be doing before what it is.
        let state = (target != Target::Running).then(|| configs::target_state(name, target));
        self.write(|| state.into_iter().chain([configs::connector(name, config)]).collect()).await
    }

    pub(super) async fn configure(&self, name: &str, config: &RawConfig) -> Result<(), WorkerError> {
        self.write(|| vec![configs::connector(name, config)]).await
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), WorkerError> {
        self.write(|| configs::deletion(name)).await
    }

    /// A connector that is stopped has no tasks, and those it had are forgotten with the same stroke.
    pub(super) async fn set_target(&self, name: &str, target: Target) -> Result<(), WorkerError> {
        let none = if target == Target::Stopped { configs::tasks(name, &[]) } else { Vec::new() };
        self.write(|| none.into_iter().chain([configs::target_state(name, target)]).collect()).await
    }

    /// Forgets tasks that were planned while the connector was being stopped.
    pub(super) async fn settled(&self, name: &str, target: Target) -> Result<(), WorkerError> {
        match self.clustered() {
            Some(clustered) if target == Target::Stopped => {
                clustered.cluster.keep_tasks(name, &[]).await.map_err(refused)
            }
            _ => Ok(()),
        }
    }

    async fn write(&self, records: impl FnOnce() -> Vec<KeyValue>) -> Result<(), WorkerError> {
        match self.clustered() {
            Some(clustered) => clustered.cluster.write(records()).await.map_err(refused),
            None => Ok(()),
        }
    }
}

/// Kafka Connect's words.
fn refused(error: ClusterError) -> WorkerError {
    match error {
        ClusterError::NotLeading => WorkerError::NotLeading,
        error => {
            let mut text =
                "Failed to write to config topic; this may be due to a transient error and the request can \
                            be safely retried"
                    .to_owned();
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            WorkerError::Internal(text)
        }
    }
}

/// The tasks of connectors, in the config topic.
struct PlansInKafka(Arc<Cluster>);

impl fmt::Debug for PlansInKafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlansInKafka")
    }
}

impl Plans for PlansInKafka {
    fn keep<'a>(&'a self, connector: &'a str, tasks: Vec<RawConfig>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let kept = self.0.keep_tasks(connector, &tasks).await;
            kept.map_err(|error| error.to_string())
        })
    }
}
