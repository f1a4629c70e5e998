//! The cluster: what workers with the same `group.id` share, and which of them leads.
//!
//! ```text
//! config topic  ─▶ Configs  ┐                        ┌ the leader alone, by the transactional producer
//! status topic  ─▶ Statuses ├ read by every worker,  ┤ connect-cluster-<group.id> (config topic);
//! offsets topic ─▶ (offsets)┘ written by             └ whoever runs the tasks (the other two)
//! group.id      ─▶ Membership: whoever holds the one partition of the config topic leads
//! ```
//!
//! There is no consensus of ours. The group's coordinator gives the partition to one member, and the broker fences
//! the producer of every leader but the newest: one that does not know yet that it leads no more cannot write.
//! Everything that a worker needs to take over is in the three topics, in Kafka Connect's own formats.
//!
//! Whoever changes something writes it first, waits until it has been read back, and acts on what is there then.

pub(crate) mod configs;
mod membership;
pub(crate) mod statuses;

use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Notify;
use tracing::{info, warn};

use self::configs::{Configs, KeyValue};
pub(crate) use self::membership::Membership;
use self::statuses::Statuses;
use crate::config::{ClusterConfig, Problems, RawConfig, StateTopic, WorkerConfig};
use crate::kafka::{
    Admin, ClientKind, ClientSettings, ClientSource, KafkaError, Log, LogWriter, Message, TopicError,
    TopicSpec, resolve,
};
use crate::lock::unpoisoned;
use crate::offsets::OffsetTopic;

/// A topic that cannot be reached is tried again this often.
const RETRY: Duration = Duration::from_secs(1);

/// Why the state in Kafka cannot be used.
#[derive(Debug, Clone, Error)]
pub(crate) enum ClusterError {
    #[error("the settings of the Kafka clients are wrong:\n{0}")]
    Settings(Problems),
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error("the state in Kafka cannot be read")]
    Read(#[source] KafkaError),
    /// Somebody else leads, or nobody.
    #[error("this worker does not lead the cluster")]
    NotLeading,
    #[error("the config topic cannot be written")]
    Write(#[source] KafkaError),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Cluster {
    config: ClusterConfig,
    admin: Admin,
    configs: Arc<RwLock<Configs>>,
    config_log: Log,
    statuses: Arc<RwLock<Statuses>>,
    status_log: Log,
    status_writer: LogWriter,
    writing: ClientSettings,
    /// While this worker leads.
    leading: Mutex<Option<Arc<LogWriter>>>,
    /// Told when another leader has begun.
    fenced: Notify,
}

impl Cluster {
    /// Makes or checks the topics, and reads them to their end. Waits for Kafka as long as it takes.
    ///
    /// # Errors
    /// A topic is not as it has to be, or the clients' settings are wrong.
    pub(crate) async fn open(
        worker: &WorkerConfig,
        config: &ClusterConfig,
        admin: &Admin,
    ) -> Result<(Self, OffsetTopic), ClusterError> {
        let topics = Topics::of(config);
        let [configs_of, offsets_of, statuses_of] = [
            ensured(admin, &topics.configs).await?,
            ensured(admin, &topics.offsets).await?,
            ensured(admin, &topics.statuses).await?,
        ];
        let client = |kind, what| settings(worker, config, (kind, what));
        let writing = client(ClientKind::Producer, "configs")?;
        let read = ClusterError::Read;
        let configs = Arc::<RwLock<Configs>>::default();
        let (to, reading) = (configs.clone(), client(ClientKind::Consumer, "configs")?);
        let config_log = follow(&reading, (&config.configs.name, configs_of), admin, move |key, value| {
            unpoisoned(to.write()).apply(key, value)
        })?;
        let statuses = Arc::<RwLock<Statuses>>::default();
        let (to, reading) = (statuses.clone(), client(ClientKind::Consumer, "statuses")?);
        let status_log = follow(&reading, (&config.statuses.name, statuses_of), admin, move |key, value| {
            unpoisoned(to.write()).apply(key, value)
        })?;
        let status_writer = LogWriter::new(&client(ClientKind::Producer, "statuses")?, &config.statuses.name);
        let cluster = Self {
            config: config.clone(),
            admin: admin.clone(),
            configs,
            config_log,
            statuses,
            status_log,
            status_writer: status_writer.map_err(read)?,
            writing,
            leading: Mutex::default(),
            fenced: Notify::new(),
        };
        let (reading, writing) =
            (client(ClientKind::Consumer, "offsets")?, client(ClientKind::Producer, "offsets")?);
        let offsets = (config.offsets.name.as_str(), offsets_of);
        let offsets = OffsetTopic::open(offsets, &reading, &writing, admin.clone()).map_err(read)?;
        while let Err(error) = cluster.read_all(&offsets).await {
            warn!("waiting for Kafka: {error}");
            tokio::time::sleep(RETRY).await;
        }
        info!(
            group = cluster.config.group,
            connectors = cluster.configs().names().len(),
            "the state in Kafka is read"
        );
        Ok((cluster, offsets))
    }

    /// Joins the group: from now on this worker may be the leader.
    pub(crate) fn join(&self, worker: &WorkerConfig) -> Result<Membership, ClusterError> {
        let client = settings(worker, &self.config, (ClientKind::Consumer, "members"))?;
        Ok(Membership::start(client, &self.config, self.admin.clone(), &worker.advertised))
    }

    /// The configurations of connectors.
    pub(crate) fn configs(&self) -> RwLockReadGuard<'_, Configs> {
        unpoisoned(self.configs.read())
    }

    /// What connectors and tasks are doing, as those who run them told it.
    pub(crate) fn statuses(&self) -> RwLockReadGuard<'_, Statuses> {
        unpoisoned(self.statuses.read())
    }

    async fn caught_up(&self) -> Result<(), ClusterError> {
        self.config_log.caught_up().await.map_err(ClusterError::Read)?;
        self.status_log.caught_up().await.map_err(ClusterError::Read)
    }

    async fn read_all(&self, offsets: &OffsetTopic) -> Result<(), KafkaError> {
        self.config_log.caught_up().await?;
        self.status_log.caught_up().await?;
        offsets.caught_up().await
    }

    /// Takes the right to write from every leader before this one, and reads what they wrote.
    ///
    /// # Errors
    /// Kafka does not answer, or refuses.
    pub(crate) async fn begin_to_lead(&self) -> Result<(), ClusterError> {
        let id = format!("connect-cluster-{}", self.config.group);
        let writer = LogWriter::transactional(&self.writing, &self.config.configs.name, &id).await;
        let writer = writer.map_err(ClusterError::Write)?;
        self.caught_up().await?;
        *unpoisoned(self.leading.lock()) = Some(Arc::new(writer));
        Ok(())
    }

    pub(crate) fn end_to_lead(&self) {
        let _ = unpoisoned(self.leading.lock()).take();
    }

    pub(crate) fn leads(&self) -> bool {
        unpoisoned(self.leading.lock()).is_some()
    }

    /// Waits until this worker finds out that another leader has begun.
    pub(crate) async fn fenced(&self) {
        self.fenced.notified().await;
    }

    /// Writes records of the config topic, all of them or none, and returns when they were read back.
    ///
    /// # Errors
    /// This worker does not lead, or Kafka refuses.
    pub(crate) async fn write(&self, records: Vec<KeyValue>) -> Result<(), ClusterError> {
        let writer = unpoisoned(self.leading.lock()).clone().ok_or(ClusterError::NotLeading)?;
        match writer.write(records).await {
            Ok(places) => self.config_log.taken(&places).await.map_err(ClusterError::Read),
            Err(error) => {
                warn!("the config topic cannot be written: {error}");
                if error.fatal {
                    self.end_to_lead();
                    self.fenced.notify_one();
                }
                Err(ClusterError::Write(error))
            }
        }
    }

    /// Keeps the tasks of a connector, unless they are what the topic has.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub(crate) async fn keep_tasks(&self, connector: &str, tasks: &[RawConfig]) -> Result<(), ClusterError> {
        if self.configs().has_tasks(connector, tasks) {
            return Ok(());
        }
        self.write(configs::tasks(connector, tasks)).await
    }

    /// Tells what connectors and tasks are doing.
    ///
    /// # Errors
    /// Kafka refuses it.
    pub(crate) async fn tell(&self, records: Vec<KeyValue>) -> Result<(), ClusterError> {
        let places = self.status_writer.write(records).await.map_err(ClusterError::Write)?;
        self.status_log.taken(&places).await.map_err(ClusterError::Read)
    }
}

/// The three topics, as they have to be.
struct Topics {
    configs: TopicSpec,
    offsets: TopicSpec,
    statuses: TopicSpec,
}

impl Topics {
    fn of(config: &ClusterConfig) -> Self {
        let spec = |topic: &StateTopic, key, content, single| TopicSpec {
            name: topic.name.clone(),
            key,
            content,
            partitions: topic.partitions,
            single,
            replication: topic.replication,
            settings: topic.settings.clone(),
        };
        Self {
            configs: spec(&config.configs, "config.storage.topic", "connector configurations", true),
            offsets: spec(&config.offsets, "offset.storage.topic", "source connector offsets", false),
            statuses: spec(&config.statuses, "status.storage.topic", "connector and task statuses", false),
        }
    }
}

async fn ensured(admin: &Admin, spec: &TopicSpec) -> Result<usize, TopicError> {
    loop {
        match admin.ensure_compacted(spec).await {
            Err(error) if error.may_pass() => {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                warn!("waiting for Kafka: {error}: {cause}");
                tokio::time::sleep(RETRY).await;
            }
            other => return other,
        }
    }
}

fn follow(
    settings: &ClientSettings,
    topic: (&str, usize),
    admin: &Admin,
    mut apply: impl FnMut(&[u8], Option<&[u8]>) -> Result<(), String> + Send + 'static,
) -> Result<Log, ClusterError> {
    let name = topic.0.to_owned();
    let take = move |record: &Message<'_>| {
        let key = record.key().unwrap_or_default();
        if let Err(problem) = apply(key, record.value()) {
            let key = String::from_utf8_lossy(key);
            warn!("topic {name}: the record {key} at offset {} is ignored: {problem}", record.offset());
        }
    };
    Log::follow(settings, topic, admin.clone(), take).map_err(ClusterError::Read)
}

/// The settings of a client of the worker's own: what all clients have in common.
fn settings(
    worker: &WorkerConfig,
    config: &ClusterConfig,
    (kind, what): (ClientKind, &str),
) -> Result<ClientSettings, ClusterError> {
    let none = RawConfig::new();
    let source = ClientSource {
        common: &worker.client,
        prefixed: &none,
        overrides: &none,
        policy: worker.override_policy,
    };
    let settings = resolve(kind, &source)
        .map_err(|problems| ClusterError::Settings(worker.vault.hide_problems(problems)))?;
    let settings = settings.with("client.id", format!("{}-{what}", config.group));
    // Nothing is committed for it; a consumer has to have one.
    Ok(if kind == ClientKind::Consumer { settings.with("group.id", config.group.as_str()) } else { settings })
}
