//! The process: owns the connectors, the services they share, and the watch over the plugins.
//!
//! In standalone mode the state that survives is the offsets file and the connectors' files; connectors that
//! were created by REST live as long as the worker. In distributed mode it is in Kafka ([`kept`]), and the connectors
//! run in whichever worker of the cluster leads ([`lead`]). Requests that change one connector take turns with each
//! other and with nothing else: a connector that is slow to stop holds up only requests about itself.

pub(crate) mod api;
mod kept;
mod lead;
mod loggers;
mod metrics;
pub(crate) mod offsets;
mod plugins;
pub(crate) mod stage;
mod start;
mod told;
mod topics;
mod validate;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use tracing::info;

pub(crate) use self::api::WorkerError;
use self::api::{ConnectorInfo, RawConfig, Restart, Target};
use self::kept::Kept;
pub(crate) use self::lead::Turn;
pub(crate) use self::start::{Start, StartError};
use crate::config::{ConnectorConfig, RestConfig, VersionRange};
use crate::connector::status::{ConnectorStatus, State};
use crate::connector::{Command, Connector, Services};
use crate::lock::unpoisoned;
use crate::plugin::Plugin;
use crate::telemetry::Loggers;

/// A running worker. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    services: Arc<Services>,
    loggers: Loggers,
    /// Empty until Kafka has answered.
    cluster_id: OnceLock<String>,
    connectors: Mutex<BTreeMap<String, Entry>>,
    /// Names of connectors that are about to be made.
    coming: Mutex<BTreeSet<String>>,
    kept: Kept,
}

#[derive(Debug, Clone)]
struct Entry {
    connector: Connector,
    /// Held by whoever changes this connector.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// A name that is kept; free again when dropped.
struct Coming<'a> {
    names: &'a Mutex<BTreeSet<String>>,
    name: String,
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        let _ = unpoisoned(self.names.lock()).remove(&self.name);
    }
}

impl Worker {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        unpoisoned(self.inner.connectors.lock())
    }

    fn entry(&self, name: &str) -> Result<Entry, WorkerError> {
        self.lock()
            .get(name)
            .cloned()
            .ok_or_else(|| WorkerError::NotFound(format!("Connector {name} not found")))
    }

    /// The id of the Kafka cluster that the worker is connected to; empty while it never was.
    pub(crate) fn kafka_cluster_id(&self) -> &str {
        self.inner.cluster_id.get().map_or("", String::as_str)
    }

    /// `host:port` under which this worker is reached: the `worker_id` of every status.
    pub(crate) fn advertised(&self) -> &str {
        &self.inner.services.config.advertised
    }

    /// How long a request may take.
    pub(crate) fn request_timeout(&self) -> Duration {
        self.inner.services.config.rest.timeout
    }

    /// How the REST API is served.
    pub(crate) fn rest_config(&self) -> &RestConfig {
        &self.inner.services.config.rest
    }

    /// The names of all connectors.
    pub(crate) fn names(&self) -> Vec<String> {
        self.inner.kept.names().unwrap_or_else(|| self.lock().keys().cloned().collect())
    }

    /// # Errors
    /// There is no such connector.
    pub(crate) fn info(&self, name: &str) -> Result<ConnectorInfo, WorkerError> {
        let Ok(Entry { connector: Connector { shown, .. }, .. }) = self.entry(name) else {
            return self.kept_info(name);
        };
        let tasks = shown.status().tasks.iter().map(|task| task.id).collect();
        Ok(ConnectorInfo { name: name.to_owned(), config: shown.config(), tasks, kind: shown.kind() })
    }

    /// # Errors
    /// There is no such connector.
    pub(crate) fn status(&self, name: &str) -> Result<ConnectorStatus, WorkerError> {
        match self.entry(name) {
            Ok(entry) => Ok(entry.connector.shown.status()),
            Err(_) => self.told_status(name),
        }
    }

    /// What the plugin returned for each task.
    ///
    /// # Errors
    /// There is no such connector.
    pub(crate) fn task_configs(&self, name: &str) -> Result<Vec<RawConfig>, WorkerError> {
        match self.entry(name) {
            Ok(entry) => Ok(entry.connector.shown.task_configs()),
            Err(unknown) => self.inner.kept.get(name).map(|stored| stored.tasks).ok_or(unknown),
        }
    }

    /// # Errors
    /// It exists, or its configuration is wrong.
    pub(crate) async fn create(
        &self,
        name: String,
        config: RawConfig,
        target: Target,
    ) -> Result<ConnectorInfo, WorkerError> {
        let config = self.checked(&name, config).await?;
        let _coming = self.reserve(&name)?;
        self.inner.kept.create(&name, &config.raw, target).await?;
        {
            let mut connectors = self.lock();
            // Written, but by a worker that leads no more: the next leader starts it.
            if self.inner.kept.runs_here() {
                let connector = Connector::start(self.inner.services.clone(), config, target);
                let _ = connectors.insert(name.clone(), Entry { connector, turn: Arc::default() });
            }
        }
        info!(connector = name, "connector created");
        self.info(&name)
    }

    /// Replaces the configuration, or creates the connector. True: created.
    ///
    /// # Errors
    /// The configuration is wrong.
    pub(crate) async fn put_config(
        &self,
        name: String,
        config: RawConfig,
    ) -> Result<(bool, ConnectorInfo), WorkerError> {
        let Ok(entry) = self.entry(&name) else {
            if self.inner.kept.get(&name).is_some() {
                return Ok((false, self.mend(&name, config).await?));
            }
            return Ok((true, self.create(name, config, Target::Running).await?));
        };
        let config = self.checked(&name, config).await?;
        let _turn = entry.turn.lock().await;
        Ok((false, self.configure(&entry, config).await?))
    }

    /// Changes settings of a connector; those with `None` go.
    ///
    /// # Errors
    /// There is no such connector, or its configuration would be wrong.
    pub(crate) async fn patch_config(
        &self,
        name: &str,
        patch: BTreeMap<String, Option<String>>,
    ) -> Result<ConnectorInfo, WorkerError> {
        let entry = match self.entry(name) {
            Ok(entry) => entry,
            Err(unknown) => {
                let stored = self.inner.kept.get(name).ok_or(unknown)?;
                return self.mend(name, patched(stored.config, patch)).await;
            }
        };
        // From reading to writing: of two patches at once none is lost.
        let _turn = entry.turn.lock().await;
        let config = self.checked(name, patched(entry.connector.shown.config(), patch)).await?;
        self.configure(&entry, config).await
    }

    /// For who has the connector's turn.
    async fn configure(&self, entry: &Entry, config: ConnectorConfig) -> Result<ConnectorInfo, WorkerError> {
        let name = config.name.clone();
        let _stage =
            stage::enter(format!("writing a config for connector {name} and restarting it with that"));
        self.inner.kept.configure(&name, &config.raw).await?;
        let done = entry.connector.ask(|done| Command::Configure(Box::new(config), done)).await;
        // One that has ended meanwhile is gone, or goes on with this where the cluster is led now.
        if done.is_none() && self.inner.kept.get(&name).is_none() {
            return Err(WorkerError::NotFound(format!("Connector {name} not found")));
        }
        info!(connector = name, "configuration replaced");
        self.info(&name)
    }

    /// # Errors
    /// There is no such connector.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), WorkerError> {
        let entry = match self.entry(name) {
            // It does not run, but it is there.
            Err(_) if self.inner.kept.get(name).is_some() => return self.inner.kept.delete(name).await,
            entry => entry?,
        };
        let _turn = entry.turn.lock().await;
        self.inner.kept.delete(name).await?;
        let limit = self.inner.services.config.shutdown_timeout;
        let _stage = stage::enter(format!("stopping connector {name} and its tasks"));
        entry.connector.shutdown(limit).await;
        let mut connectors = self.lock();
        // Deleted twice at once, and created anew in between: the new one is not meant.
        if connectors.get(name).is_some_and(|there| Arc::ptr_eq(&there.turn, &entry.turn)) {
            let _ = connectors.remove(name);
        }
        drop(connectors);
        info!(connector = name, "connector deleted");
        Ok(())
    }

    /// # Errors
    /// There is no such connector.
    pub(crate) async fn set_target(&self, name: &str, target: Target) -> Result<(), WorkerError> {
        let unknown = |_| WorkerError::NotFound(format!("Unknown connector {name}"));
        let entry = match self.entry(name) {
            Err(_) if self.inner.kept.get(name).is_some() => {
                return self.inner.kept.set_target(name, target).await;
            }
            entry => entry.map_err(unknown)?,
        };
        let _turn = entry.turn.lock().await;
        let _stage = stage::enter(match target {
            Target::Running => format!("starting connector {name} and its tasks"),
            Target::Paused => format!("pausing connector {name} and its tasks"),
            Target::Stopped => format!("stopping connector {name} and its tasks"),
        });
        self.inner.kept.set_target(name, target).await?;
        let _ = entry.connector.ask(|done| Command::SetTarget(target, done)).await;
        self.inner.kept.settled(name, target).await
    }

    /// # Errors
    /// There is no such connector.
    pub(crate) async fn restart(&self, name: &str, what: Restart) -> Result<ConnectorStatus, WorkerError> {
        let unknown = |_| WorkerError::NotFound(format!("Unknown connector: {name}"));
        let entry = self.entry(name).map_err(unknown)?;
        let mut plan = entry.connector.shown.status();
        let chosen = |state| !what.only_failed || state == State::Failed;
        if chosen(plan.state) {
            plan.state = State::Restarting;
        }
        for task in plan.tasks.iter_mut().filter(|task| what.include_tasks && chosen(task.state)) {
            task.state = State::Restarting;
        }
        let _turn = entry.turn.lock().await;
        let _stage = stage::enter(format!("handling restart request for connector {name}"));
        let _ = entry.connector.ask(|done| Command::Restart(what, done)).await;
        Ok(plan)
    }

    /// # Errors
    /// There is no such connector or task, or it holds no tasks because it is stopped.
    pub(crate) async fn restart_task(&self, name: &str, task: i32) -> Result<(), WorkerError> {
        let unknown = |_| WorkerError::NotFound(format!("Unknown connector: {name}"));
        let entry = self.entry(name).map_err(unknown)?;
        let _turn = entry.turn.lock().await;
        let _stage = stage::enter(format!("restarting task {name}-{task}"));
        let found = match u32::try_from(task) {
            Ok(task) => entry.connector.ask(|found| Command::RestartTask(task, found)).await,
            Err(_) => None,
        };
        match found {
            Some(true) => Ok(()),
            _ => Err(WorkerError::NotFound(format!("Unknown task: {name}-{task}"))),
        }
    }

    /// Ends every connector in good order, all at once, within the worker's time.
    pub(crate) async fn shutdown(&self) {
        self.end_leading().await;
        self.stop_connectors().await;
        self.leave_cluster().await;
    }

    async fn stop_connectors(&self) {
        let limit = self.inner.services.config.shutdown_timeout;
        let entries: Vec<Entry> = self.lock().values().cloned().collect();
        let mut stops = tokio::task::JoinSet::new();
        for Entry { connector, .. } in entries {
            let _ = stops.spawn(async move { connector.shutdown(limit).await });
        }
        let _ = stops.join_all().await;
    }

    /// Keeps a name for a connector that is about to be made.
    fn reserve(&self, name: &str) -> Result<Coming<'_>, WorkerError> {
        let mut coming = unpoisoned(self.inner.coming.lock());
        let is_there = self.lock().contains_key(name) || self.inner.kept.get(name).is_some();
        if is_there || !coming.insert(name.to_owned()) {
            return Err(WorkerError::Conflict(format!("Connector {name} already exists")));
        }
        Ok(Coming { names: &self.inner.coming, name: name.to_owned() })
    }

    /// The plugin of a class, in the newest version that is wanted; where there is none, the newest: a report on the
    /// configuration says so, and for that its definitions are as good as any.
    fn plugin(&self, class: &str, wanted: Option<&VersionRange>) -> Result<Arc<Plugin>, WorkerError> {
        let registry = &self.inner.services.registry;
        registry.pick(class, wanted).or_else(|| registry.find(class)).ok_or_else(|| {
            let known: Vec<_> = registry.list().iter().map(|p| p.manifest().class.clone()).collect();
            WorkerError::BadRequest(format!(
                "Failed to find any class that implements Connector and which name matches {class}, available \
                 connectors are: {}",
                known.join(", ")
            ))
        })
    }

    /// A configuration that was found good once; the plugin is not asked again.
    fn parsed(&self, raw: RawConfig) -> Result<ConnectorConfig, WorkerError> {
        let services = &self.inner.services;
        let class = raw.get("connector.class").map_or("", String::as_str);
        let plugin = self.plugin(class, VersionRange::of(&raw).as_ref())?;
        let versions = services.registry.versions(class);
        ConnectorConfig::parse(raw, &plugin.described(&versions), &services.config)
            .map_err(WorkerError::InvalidConfig)
    }
}

fn patched(mut config: RawConfig, patch: BTreeMap<String, Option<String>>) -> RawConfig {
    for (key, value) in patch {
        let _ = match value {
            Some(value) => config.insert(key, value),
            None => config.remove(&key),
        };
    }
    config
}
