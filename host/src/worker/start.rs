//! From a valid configuration to a running worker: the only place that connects and spawns.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::broadcast::error::RecvError;
use tracing::{info, warn};

use super::{Inner, Worker, WorkerError};
use crate::config::{ConnectorFile, Problems, WorkerConfig};
use crate::connector::{Command, Services};
use crate::kafka::{ClientKind, KafkaError, PrefetchBudget, Producers, admin};
use crate::offsets::{OffsetStore, StoreError};
use crate::plugin::{Change, Engine, EngineError, Registry, RegistryError};

/// Asking Kafka for its cluster id is tried this often while it does not answer.
const CLUSTER_ID_RETRY: Duration = Duration::from_secs(5);

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
    #[error("could not read plugin.path")]
    Registry(#[from] RegistryError),
    #[error("could not open offset.storage.file.filename")]
    Offsets(#[from] StoreError),
    #[error("could not set up the admin client")]
    Kafka(#[from] KafkaError),
    #[error("could not start the guests' runtime")]
    Runtime(#[source] io::Error),
}

/// What a worker is started with.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) config: WorkerConfig,
    pub(crate) connectors: Vec<ConnectorFile>,
    /// This program: run again to compile plugins in a process of their own.
    pub(crate) program: PathBuf,
}

impl Worker {
    /// Starts a worker and the connectors of its files.
    ///
    /// # Errors
    /// All of [`StartError`]. Kafka need not be there: tasks wait for it and say so.
    pub(crate) async fn start(start: Start) -> Result<Self, StartError> {
        let Start { config, connectors, program } = start;
        let engine = Engine::new(&config.engine(program))?;
        let registry = Registry::start(engine, config.plugins())?;
        let offsets = OffsetStore::open(&config.offsets_file)?;
        let admin = config.client(ClientKind::Admin).map_err(StartError::Config)?;
        let services = Arc::new(Services {
            guests: guests_runtime()?,
            prefetch: PrefetchBudget::new(config.prefetch_bytes),
            producers: Producers::new(),
            identity: config.identity(),
            config,
            registry,
            offsets,
            admin,
        });
        let worker = Self {
            inner: Arc::new(Inner { services, cluster_id: OnceLock::new(), connectors: Mutex::default() }),
        };
        worker.follow_plugins();
        worker.learn_cluster_id();
        for file in connectors {
            let ConnectorFile { path, name, config, target } = file;
            let created = worker.create(name, config, target).await;
            let _ = created.map_err(|source| StartError::Connector { path, source })?;
        }
        Ok(worker)
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
        let entries: Vec<_> = self.lock().values().cloned().collect();
        for entry in entries {
            let status = entry.connector.shown.status();
            let class = entry.connector.shown.config().get("connector.class").cloned().unwrap_or_default();
            match &change {
                Change::Loaded(plugin) if plugin.manifest().handles().any(|handle| handle == class) => {
                    entry.connector.tell(Command::Swap(plugin.clone())).await;
                }
                Change::Failed(failure) if status.code.is_some_and(|code| failure.concerns(&code.plugin)) => {
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
                match admin::cluster_id(&inner.services.admin).await {
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
