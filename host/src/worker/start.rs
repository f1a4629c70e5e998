//! From a valid configuration to a running worker: the only place that connects and spawns.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::broadcast::error::RecvError;
use tracing::{info, warn};

use super::kept::{Clustered, Kept};
use super::{Inner, Worker, WorkerError};
use crate::cluster::{Cluster, ClusterError};
use crate::config::{ClusterConfig, ConnectorFile, Problems, RawConfig, VersionRange, WorkerConfig};
use crate::connector::{Command, Services};
use crate::kafka::{
    Admin, ClientKind, ClientSettings, ClientSource, KafkaError, PrefetchBudget, Producers, resolve,
};
use crate::offsets::{OffsetStore, StoreError};
use crate::plugin::{Change, Engine, EngineError, EngineSettings, Registry, check_tls};
use crate::task::sink::Roster;
use crate::telemetry::Loggers;

/// Asking Kafka for its cluster id is tried this often while it does not answer.
const CLUSTER_ID_RETRY: Duration = Duration::from_secs(5);
/// How long Kafka may take to answer a question about topics or groups.
const ANSWER: Duration = Duration::from_secs(10);

/// Why a worker did not start.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    /// The worker's configuration is wrong.
    #[error("the worker's configuration is wrong:\n{0}")]
    Config(Problems),
    /// A connector from a file could not be created.
    #[error("could not create the connector of {path}")]
    Connector { path: PathBuf, source: WorkerError },
    #[error("could not start the plugin engine")]
    Engine(#[from] EngineError),
    #[error("could not open offset.storage.file.filename")]
    Offsets(#[from] StoreError),
    #[error("could not use the state of the cluster in Kafka")]
    Cluster(#[source] ClusterError),
    #[error("could not make the admin client")]
    Admin(#[from] KafkaError),
    #[error("could not start the guests' runtime")]
    Runtime(#[source] io::Error),
}

/// What a worker is started with.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) config: WorkerConfig,
    /// This program: run again to compile plugins in a process of their own.
    pub(crate) program: PathBuf,
    /// The log's.
    pub(crate) loggers: Loggers,
}

impl Worker {
    /// Starts a worker, without connectors.
    ///
    /// # Errors
    /// All of [`StartError`]. Kafka need not be there: tasks wait for it and say so.
    pub(crate) fn start(start: Start) -> Result<Self, StartError> {
        let admin = admin_of(&start.config)?;
        // First of what touches anything: who is refused here is one worker too many.
        let offsets = OffsetStore::open(&start.config.offsets_file)?;
        Self::begin(start, admin, offsets, Kept::InMemory)
    }

    /// Starts a worker of a cluster, which runs connectors once it leads. Waits for Kafka as long as it takes.
    ///
    /// # Errors
    /// All of [`StartError`].
    pub(crate) async fn join(start: Start, cluster: ClusterConfig) -> Result<Self, StartError> {
        let admin = admin_of(&start.config)?;
        let opened = Cluster::open(&start.config, &cluster, &admin).await;
        let (cluster, offsets) = opened.map_err(StartError::Cluster)?;
        let membership = cluster.join(&start.config).map_err(StartError::Cluster)?;
        let kept = Kept::InKafka(Box::new(Clustered::new(cluster, membership)));
        let worker = Self::begin(start, admin, OffsetStore::of_topic(offsets), kept)?;
        worker.follow_lead();
        Ok(worker)
    }

    fn begin(start: Start, admin: Admin, offsets: OffsetStore, kept: Kept) -> Result<Self, StartError> {
        let Start { config, program, loggers } = start;
        let engine = Engine::new(EngineSettings {
            cache: config.plugin_cache_dir.clone(),
            cache_max: config.plugin_cache_max_bytes,
            compiler: program,
        })?;
        let registry = Registry::open(engine, config.plugin_path.clone(), config.sandboxes.clone())
            .map_err(StartError::Config)?;
        let services = Arc::new(Services {
            guests: guests_runtime()?,
            prefetch: PrefetchBudget::new(config.prefetch_bytes),
            producers: Producers::default(),
            identity: config.identity(),
            config,
            registry,
            offsets,
            admin,
            roster: Roster::default(),
            plans: kept.plans(),
        });
        let worker = Self {
            inner: Arc::new(Inner {
                services,
                loggers,
                cluster_id: OnceLock::new(),
                connectors: Mutex::default(),
                coming: Mutex::default(),
                kept,
            }),
        };
        worker.follow_plugins();
        worker.learn_cluster_id();
        Ok(worker)
    }

    /// Waits until every plugin that was there at start has been loaded, or has failed to.
    pub(crate) async fn plugins_settled(&self) {
        self.inner.services.registry.settled().await;
    }

    /// Creates the connectors of files. A plugin that is not there yet may still be in the compiler.
    ///
    /// # Errors
    /// The first that cannot be created.
    pub(crate) async fn create_from_files(&self, files: Vec<ConnectorFile>) -> Result<(), StartError> {
        for ConnectorFile { path, name, config, target } in files {
            let class = config.get("connector.class");
            let registry = &self.inner.services.registry;
            let wanted = VersionRange::of(&config);
            if class.is_some_and(|class| registry.pick(class, wanted.as_ref()).is_none()) {
                self.inner.services.registry.settled().await;
            }
            let created = self.create(name, config, target).await;
            let _ = created.map_err(|source| StartError::Connector { path, source })?;
        }
        Ok(())
    }

    /// Hands every change on disk to the connectors it concerns.
    fn follow_plugins(&self) {
        let mut changes = self.inner.services.registry.subscribe();
        let inner = Arc::downgrade(&self.inner);
        drop(tokio::spawn(async move {
            loop {
                let change = match changes.recv().await {
                    Ok(change) => change,
                    // What was missed is no loss: the newest version is what the registry has.
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return,
                };
                let Some(inner) = inner.upgrade() else { return };
                Self { inner }.plugin_changed(change).await;
            }
        }));
    }

    async fn plugin_changed(&self, change: Change) {
        if matches!(change, Change::Loaded(_)) {
            self.revive_missing();
        }
        let entries: Vec<_> = self.lock().values().cloned().collect();
        for entry in entries {
            let status = entry.connector.shown.status();
            let class = entry.connector.shown.config().get("connector.class").cloned().unwrap_or_default();
            match &change {
                Change::Loaded(plugin) if plugin.manifest().handles().any(|handle| handle == class) => {
                    entry.connector.tell(Command::Swap).await;
                }
                Change::Failed(failure)
                    if status.code.is_some_and(|code| {
                        failure.path.file_name().is_some_and(|name| concerns(name, &code.plugin))
                    }) =>
                {
                    entry.connector.tell(Command::PluginProblem(failure.to_string())).await;
                }
                _ => {}
            }
        }
    }

    /// Kafka tells its cluster id when it can be reached; a worker does not wait for it.
    fn learn_cluster_id(&self) {
        let inner = self.inner.clone();
        drop(tokio::spawn(async move {
            loop {
                match inner.services.admin.cluster_id().await {
                    Ok(id) => {
                        info!("connected to Kafka cluster {id}");
                        let _ = inner.cluster_id.set(id);
                        return;
                    }
                    Err(error) => warn!("Kafka does not answer yet: {error}"),
                }
                tokio::time::sleep(CLUSTER_ID_RETRY).await;
            }
        }));
    }
}

/// The worker's own client.
fn admin_of(config: &WorkerConfig) -> Result<Admin, StartError> {
    let settings = admin_settings(config, check_tls(&config.sandboxes))
        .map_err(|problems| StartError::Config(config.vault.hide_problems(problems)))?;
    Ok(Admin::new(&settings, ANSWER)?)
}

/// The settings of the worker's own client; those of the others are looked at as well, so that what is wrong with
/// them is not first heard of when a connector is made.
///
/// # Errors
/// All that is wrong with them, after what is known to be wrong already.
fn admin_settings(config: &WorkerConfig, mut problems: Problems) -> Result<ClientSettings, Problems> {
    let none = RawConfig::new();
    let mut check = |kind, prefixed| {
        let source = ClientSource {
            common: &config.client,
            prefixed,
            overrides: &none,
            policy: config.override_policy,
        };
        let resolved = resolve(kind, &source);
        // What all clients have in common is wrong once.
        let new = resolved.as_ref().err().map_or(&[][..], |found| &found.0);
        problems.0.extend(new.iter().filter(|new| !problems.0.contains(new)).cloned().collect::<Vec<_>>());
        resolved.ok()
    };
    let _ = check(ClientKind::Producer, &config.producer);
    let _ = check(ClientKind::Consumer, &config.consumer);
    let admin = check(ClientKind::Admin, &config.admin);
    match admin {
        Some(admin) => problems.or(admin),
        None => Err(problems),
    }
}

/// Guests never run on the threads that answer REST.
fn guests_runtime() -> Result<tokio::runtime::Handle, StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("guests")
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    let handle = runtime.handle().clone();
    // It lives as long as the process: tasks that were dropped may still hold calls of the operating system.
    std::mem::forget(runtime);
    Ok(handle)
}

/// Whether a file of this name would hold this plugin.
fn concerns(file: &OsStr, plugin: &str) -> bool {
    let name = file.to_str().and_then(|name| name.strip_suffix(".wasm"));
    name.is_some_and(|name| name.split('@').next() == Some(plugin))
}
