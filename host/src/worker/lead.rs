//! A worker of a cluster: it stands by until it leads, then it runs everything, until it leads no more.
//!
//! ```text
//! stand by ──(the group gives it the partition)──▶ fence those before, read to the end, start every connector
//!    ▲                                                                        │
//!    └──── stop everything ◀──(lost, not proven, or fenced by another)────────┘
//! ```
//!
//! One that stands by answers what it reads in the topics, and leads every change to the leader ([`Turn`]). A request
//! that comes while nobody leads waits, as the next leader is seconds away.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::api::{ConnectorInfo, RawConfig};
use super::kept::Clustered;
use super::{Entry, Worker, WorkerError};
use crate::cluster::configs::Stored;
use crate::connector::Connector;
use crate::lock::unpoisoned;
use crate::task::failure::chain;

/// After a lead that ended with an error.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a request waits for a leader.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it looks for one.
const LOOK: Duration = Duration::from_millis(100);

/// Where a change is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Turn {
    Here,
    /// At the worker whose REST API is at this address.
    At(String),
}

impl Worker {
    /// Whether changes may have to be carried out elsewhere.
    pub(crate) fn is_clustered(&self) -> bool {
        self.inner.kept.clustered().is_some()
    }

    /// Who carries out changes now. Waits while nobody does.
    ///
    /// # Errors
    /// Nobody does for a long time.
    pub(crate) async fn turn(&self) -> Result<Turn, WorkerError> {
        let Some(clustered) = self.inner.kept.clustered() else { return Ok(Turn::Here) };
        let until = Instant::now() + PATIENCE;
        loop {
            if *clustered.ready.borrow() {
                return Ok(Turn::Here);
            }
            match clustered.membership.leader().await {
                Ok(Some(leader)) if leader != self.advertised() => return Ok(Turn::At(leader)),
                // This one, in a moment; or nobody.
                Ok(_) => {}
                Err(error) => warn!("the leader of the cluster cannot be told: {error}"),
            }
            if Instant::now() >= until {
                return Err(WorkerError::Conflict(
                    "Cannot complete request momentarily due to no known leader URL, likely because a rebalance was \
                     underway."
                        .to_owned(),
                ));
            }
            sleep(LOOK).await;
        }
    }

    /// Leads whenever it is this worker's turn.
    pub(super) fn follow_lead(&self) {
        let Some(clustered) = self.inner.kept.clustered() else { return };
        let worker = self.clone();
        let following = tokio::spawn(async move {
            if let Some(clustered) = worker.inner.kept.clustered() {
                worker.lead_in_turn(clustered).await;
            }
        });
        *unpoisoned(clustered.following.lock()) = Some(following);
    }

    async fn lead_in_turn(&self, clustered: &Clustered) {
        let (mut term, mut ending) = (clustered.membership.term(), clustered.ending.subscribe());
        loop {
            let begun = tokio::select! {
                biased;
                _ = ending.wait_for(|ending| *ending) => return,
                begun = term.wait_for(Option::is_some) => begun.map(|term| *term),
            };
            let Ok(begun) = begun else { return };
            clustered.membership.set_busy(true);
            let failed = tokio::select! {
                biased;
                // What runs is stopped by whoever ends the worker.
                _ = ending.wait_for(|ending| *ending) => return,
                _ = term.wait_for(|term| *term != begun) => None,
                error = self.lead(clustered) => Some(error),
            };
            self.stop_leading(clustered).await;
            clustered.membership.set_busy(false);
            if let Some(error) = failed {
                warn!("this worker cannot lead: {error}");
                sleep(AGAIN).await;
            }
        }
    }

    /// Runs everything for as long as it is let. Why it ended.
    async fn lead(&self, clustered: &Clustered) -> String {
        let begun = Instant::now();
        if let Err(error) = clustered.cluster.begin_to_lead().await {
            return chain(&error);
        }
        if let Err(error) = self.inner.services.offsets.caught_up().await {
            return error.to_string();
        }
        // A connector whose plugin is still in the compiler would look like one that has none.
        self.plugins_settled().await;
        let names = clustered.cluster.configs().names();
        let count = names.len();
        for name in names {
            self.revive(clustered, &name);
            tokio::task::yield_now().await;
        }
        let _ = clustered.ready.send_replace(true);
        info!(connectors = count, elapsed = ?begun.elapsed(), "this worker runs the connectors of its cluster");
        tokio::select! {
            () = clustered.cluster.fenced() => "another leader has begun".to_owned(),
            () = self.tell_statuses(clustered) => unreachable!("it is told for ever"),
        }
    }

    async fn stop_leading(&self, clustered: &Clustered) {
        let _ = clustered.ready.send_replace(false);
        clustered.cluster.end_to_lead();
        self.stop_connectors().await;
        self.lock().clear();
        unpoisoned(clustered.broken.lock()).clear();
    }

    /// Starts a connector as the cluster knows it.
    fn revive(&self, clustered: &Clustered, name: &str) {
        let Some(stored) = clustered.cluster.configs().get(name) else { return };
        let Stored { config, target, tasks } = stored;
        match self.parsed(config) {
            Ok(config) => {
                let mut connectors = self.lock();
                let connector = Connector::restore(self.inner.services.clone(), config, target, tasks);
                self.remember_topics(clustered, name, &connector.shown);
                let _ = connectors.insert(name.to_owned(), Entry { connector, turn: Arc::default() });
                let _ = unpoisoned(clustered.broken.lock()).remove(name);
            }
            Err(error) => {
                warn!(connector = name, "the connector cannot be run: {error}");
                let _ = unpoisoned(clustered.broken.lock()).insert(name.to_owned(), error.to_string());
            }
        }
    }

    /// Starts what could not be run, now that a plugin has come.
    pub(super) fn revive_missing(&self) {
        let Some(clustered) = self.inner.kept.clustered().filter(|clustered| *clustered.ready.borrow())
        else {
            return;
        };
        let broken: Vec<String> = unpoisoned(clustered.broken.lock()).keys().cloned().collect();
        for name in broken {
            self.revive(clustered, &name);
        }
    }

    /// Gives a connector that cannot be run another configuration.
    pub(super) async fn mend(&self, name: &str, config: RawConfig) -> Result<ConnectorInfo, WorkerError> {
        let config = self.checked(name, config).await?;
        self.inner.kept.configure(name, &config.raw).await?;
        if let Some(clustered) = self.inner.kept.clustered().filter(|_| self.inner.kept.runs_here()) {
            self.revive(clustered, name);
        }
        self.info(name)
    }

    /// A connector that does not run here, as the cluster knows it.
    pub(super) fn kept_info(&self, name: &str) -> Result<ConnectorInfo, WorkerError> {
        let stored = self.inner.kept.get(name);
        let stored = stored.ok_or_else(|| WorkerError::NotFound(format!("Connector {name} not found")))?;
        let class = stored.config.get("connector.class").map_or("", String::as_str);
        let kind = self.inner.services.registry.find(class).map(|plugin| plugin.kind());
        let tasks = (0..).zip(&stored.tasks).map(|(number, _)| number).collect();
        Ok(ConnectorInfo { name: name.to_owned(), config: stored.config, tasks, kind })
    }

    /// Ends the lead; what it ran has yet to be stopped.
    pub(super) async fn end_leading(&self) {
        let Some(clustered) = self.inner.kept.clustered() else { return };
        let _ = clustered.ending.send_replace(true);
        let _ = clustered.ready.send_replace(false);
        let following = unpoisoned(clustered.following.lock()).take();
        if let Some(following) = following {
            // One that panicked has ended, too.
            let _ = following.await;
        }
    }

    /// Says that nothing runs here any more, and leaves the cluster, so that another takes over at once.
    pub(super) async fn leave_cluster(&self) {
        let Some(clustered) = self.inner.kept.clustered() else { return };
        if clustered.cluster.leads() {
            self.tell_the_end(clustered).await;
        }
        clustered.cluster.end_to_lead();
        clustered.membership.set_busy(false);
        clustered.membership.leave().await;
    }
}
