//! The settings of distributed mode: which cluster a worker belongs to, and in which topics it keeps its state.

use std::collections::BTreeMap;
use std::time::Duration;

use super::RawConfig;
use super::definition::{ConfigKey, Type, Validator};
use super::reader::Reader;

/// What a worker of a cluster is configured by, besides what every worker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClusterConfig {
    /// `group.id`.
    pub(crate) group: String,
    pub(crate) session_timeout: Duration,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) configs: StateTopic,
    pub(crate) offsets: StateTopic,
    pub(crate) statuses: StateTopic,
}

/// A topic that keeps state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateTopic {
    pub(crate) name: String,
    /// `None`: the broker's default.
    pub(crate) partitions: Option<u32>,
    /// `None`: the broker's default.
    pub(crate) replication: Option<u16>,
    /// Other settings that the topic is made with.
    pub(crate) settings: BTreeMap<String, String>,
}

/// What a topic's settings begin with.
const PREFIXES: [&str; 3] = ["config.storage.", "offset.storage.", "status.storage."];

/// Its keys, in the order in which they are explained.
pub(super) fn keys() -> Vec<ConfigKey> {
    let text = |name: &str, what: &str| ConfigKey::new(name, Type::String, what).checked_by(Validator::Name);
    let replication = |name: &str| {
        ConfigKey::new(
            name,
            Type::Int,
            "Replicas of that topic, if the worker makes it; -1: the broker's default.",
        )
        .default("3")
        .at_least(-1)
    };
    let partitions = |name: &str, default: &str| {
        ConfigKey::new(
            name,
            Type::Int,
            "Partitions of that topic, if the worker makes it; -1: the broker's default.",
        )
        .default(default)
        .at_least(-1)
    };
    vec![
        text(
            "group.id",
            "The cluster this worker belongs to: all with the same name share the state in Kafka. One of them runs the \
             connectors, the others stand by.",
        )
        .required()
        .high(),
        text(
            "config.storage.topic",
            "Topic that keeps the configurations of connectors: compacted, of one partition. Other settings of a topic \
             that the worker makes are given as `config.storage.<setting>`; likewise for the next two.",
        )
        .required()
        .high(),
        replication("config.storage.replication.factor"),
        text("offset.storage.topic", "Topic that keeps the offsets of sources: compacted.").required().high(),
        partitions("offset.storage.partitions", "25"),
        replication("offset.storage.replication.factor"),
        text("status.storage.topic", "Topic that keeps what connectors and tasks are doing: compacted.")
            .required()
            .high(),
        partitions("status.storage.partitions", "5"),
        replication("status.storage.replication.factor"),
        ConfigKey::new(
            "session.timeout.ms",
            Type::Int,
            "How long a worker may be silent before another takes over. A leader that cannot prove for two thirds of \
             this that it is a member stops its tasks.",
        )
        .default("10000")
        .at_least(1),
        ConfigKey::new(
            "heartbeat.interval.ms",
            Type::Int,
            "How often a worker tells Kafka that it is there; at most a third of the session is usual.",
        )
        .default("3000")
        .at_least(1),
    ]
}

/// Whether a key is about one of the topics: a setting that it is made with, if it is not in the table.
pub(super) fn is_topic_setting(key: &str) -> bool {
    PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

impl ClusterConfig {
    /// Reads it; what is wrong is left with the reader.
    pub(super) fn read(raw: &RawConfig, reader: &mut Reader<'_>) -> Self {
        let config = Self {
            group: reader.text("group.id").unwrap_or_default(),
            session_timeout: reader.millis("session.timeout.ms"),
            heartbeat_interval: reader.millis("heartbeat.interval.ms"),
            configs: topic(raw, reader, PREFIXES[0]),
            offsets: topic(raw, reader, PREFIXES[1]),
            statuses: topic(raw, reader, PREFIXES[2]),
        };
        if config.heartbeat_interval >= config.session_timeout {
            reader.wrong("heartbeat.interval.ms", "must be less than session.timeout.ms");
        }
        let names = [&config.configs.name, &config.offsets.name, &config.statuses.name];
        for (index, name) in names.iter().enumerate() {
            if !name.is_empty() && names[..index].contains(name) {
                let key = format!("{}topic", PREFIXES[index]);
                reader.wrong(&key, "must be a topic of its own");
            }
        }
        config
    }
}

fn topic(raw: &RawConfig, reader: &mut Reader<'_>, prefix: &str) -> StateTopic {
    let key = |name: &str| format!("{prefix}{name}");
    let mut count = |name: &str| {
        let value = reader.integer(&key(name));
        if value == 0 {
            reader.wrong(&key(name), "must be -1 (the broker's default) or at least 1");
        }
        u32::try_from(value).ok()
    };
    let replication = count("replication.factor").and_then(|factor| u16::try_from(factor).ok());
    let partitions = if prefix == PREFIXES[0] { Some(1) } else { count("partitions") };
    let name = reader.text(&key("topic")).unwrap_or_default();
    let own = ["topic", "partitions", "replication.factor", "cleanup.policy"];
    let settings = raw
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value)))
        .filter(|(name, _)| !own.contains(name) && !name.starts_with("file."))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    StateTopic { name, partitions, replication, settings }
}
