//! The configuration of a worker, valid by construction.
//!
//! Every key of the file is accounted for: it is a setting of the worker's own table, of a sandbox, of a
//! converter or of the Kafka clients, or it is known from Java and accepted with a note, or refused; what is
//! left is a misspelling and a problem.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cluster::{self, ClusterConfig};
use super::converter::{CONVERTER_SETTINGS, Converter, Converters, check_header_converter};
use super::definition::ConfigKey;
use super::known_keys::{self, Fate};
use super::nearest::nearest;
use super::reader::Reader;
use super::rest::{Listener, RestConfig};
use super::sandbox::Sandboxes;
use super::secrets::{Secrets, Vault, is_about_secrets};
use super::worker_keys::WORKER_KEYS;
use super::{Problem, Problems, RawConfig};

/// What a worker is configured by besides its file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// The environment.
    pub(crate) variables: BTreeMap<String, String>,
    /// The machine's name.
    pub(crate) hostname: String,
    /// Where relative paths begin.
    pub(crate) directory: PathBuf,
}

/// What a worker keeps its state in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A file.
    Standalone,
    /// Topics that it shares with others.
    Distributed,
}

/// `connector.client.config.override.policy`: which client settings a connector may override.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OverridePolicy {
    All,
    None,
    Principal,
}

impl OverridePolicy {
    /// The name, as messages have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::None => "None",
            Self::Principal => "Principal",
        }
    }

    /// Whether a connector may override this client setting.
    pub(crate) fn allows(self, setting: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Principal => {
                matches!(setting, "sasl.jaas.config" | "sasl.mechanism" | "security.protocol")
            }
        }
    }

    /// From its name or the class that Kafka Connect has for it.
    fn parse(text: &str) -> Option<Self> {
        let last = text.rsplit('.').next().unwrap_or(text);
        match last.strip_suffix("ConnectorClientConfigOverridePolicy").unwrap_or(last) {
            "All" => Some(Self::All),
            "None" => Some(Self::None),
            "Principal" => Some(Self::Principal),
            _ => None,
        }
    }
}

/// See the module. Its settings are explained in the table of `worker_keys`.
#[derive(Clone)]
pub(crate) struct WorkerConfig {
    pub(crate) converters: Converters,
    /// `offset.storage.file.filename`, absolute; of no meaning in distributed mode.
    pub(crate) offsets_file: PathBuf,
    /// In distributed mode.
    pub(crate) cluster: Option<ClusterConfig>,
    pub(crate) offset_flush_interval: Duration,
    pub(crate) offset_flush_timeout: Duration,
    pub(crate) shutdown_timeout: Duration,
    /// Absolute.
    pub(crate) plugin_path: Vec<PathBuf>,
    pub(crate) plugin_cache_dir: PathBuf,
    pub(crate) plugin_cache_max_bytes: u64,
    pub(crate) rest: RestConfig,
    pub(crate) topic_tracking: bool,
    /// Whether users may have it begin anew.
    pub(crate) topic_tracking_reset: bool,
    /// `host:port` under which others reach the REST API.
    pub(crate) advertised: String,
    pub(crate) override_policy: OverridePolicy,
    /// What all clients have in common, `bootstrap.servers` among it. Java names.
    pub(crate) client: RawConfig,
    /// `producer.*`, without the prefix; likewise the next two.
    pub(crate) producer: RawConfig,
    pub(crate) consumer: RawConfig,
    pub(crate) admin: RawConfig,
    pub(crate) prefetch_bytes: usize,
    pub(crate) in_flight_bytes: usize,
    pub(crate) restart_max: u32,
    pub(crate) restart_backoff: Duration,
    /// `plugin.probation.ms`
    pub(crate) probation: Duration,
    pub(crate) static_membership: bool,
    /// What was accepted and has no effect: for the log, one line each.
    pub(crate) notes: Vec<String>,
    /// What each plugin may do.
    pub(crate) sandboxes: Sandboxes,
    /// Its providers, the secrets it names, and what its own settings had of them.
    pub(crate) vault: Vault,
    identity: String,
}

/// Without the settings of clients: there are passwords among them.
impl fmt::Debug for WorkerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerConfig").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl WorkerConfig {
    /// Checks a worker's configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn parse(mode: Mode, raw: &RawConfig, surroundings: &Surroundings) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let vault = Vault::new(Secrets::read(raw, &surroundings.variables, &mut problems));
        let written: RawConfig = raw.clone().into_iter().filter(|(key, _)| !is_about_secrets(key)).collect();
        let expansion = vault.expand(&written);
        let raw = &expansion.config;
        let keys = keys_of(mode);
        let mut reader = Reader::new(&keys, raw);
        let converters = converters(raw, &mut reader);
        let kept = sort_keys(&keys, raw, &mut reader.problems);
        let bootstrap = bootstrap_servers(&mut reader);
        let (cluster, offsets_file, identity) = match mode {
            Mode::Standalone => {
                let file = reader.text("offset.storage.file.filename").unwrap_or_default();
                let file = surroundings.directory.join(file);
                let identity = format!("{}:{}", surroundings.hostname, file.display());
                (None, file, identity)
            }
            Mode::Distributed => {
                let cluster = ClusterConfig::read(raw, &mut reader);
                // Whichever worker runs them, tasks are the same members: who takes over fences who ran them before.
                let identity = format!("cluster:{}", cluster.group);
                (Some(cluster), PathBuf::new(), identity)
            }
        };
        let rest = RestConfig::read(&mut reader);
        let config = Self {
            converters,
            offset_flush_interval: reader.millis("offset.flush.interval.ms"),
            offset_flush_timeout: reader.millis("offset.flush.timeout.ms"),
            shutdown_timeout: reader.millis("task.shutdown.graceful.timeout.ms"),
            plugin_path: reader
                .list("plugin.path")
                .iter()
                .map(|dir| surroundings.directory.join(dir))
                .collect(),
            plugin_cache_dir: cache_dir(&mut reader, surroundings),
            plugin_cache_max_bytes: reader.size("plugin.cache.max.bytes") as u64,
            advertised: advertised(&mut reader, &rest.listeners, &surroundings.hostname),
            rest,
            topic_tracking: reader.boolean("topic.tracking.enable"),
            topic_tracking_reset: reader.boolean("topic.tracking.allow.reset"),
            override_policy: override_policy(&mut reader),
            client: kept.client.into_iter().chain([("bootstrap.servers".to_owned(), bootstrap)]).collect(),
            producer: kept.producer,
            consumer: kept.consumer,
            admin: kept.admin,
            prefetch_bytes: reader.size("consumer.prefetch.max.bytes"),
            in_flight_bytes: reader.size("producer.inflight.max.bytes"),
            restart_max: u32::try_from(reader.integer("task.restart.max")).unwrap_or(0),
            restart_backoff: reader.millis("task.restart.backoff.ms"),
            probation: reader.millis("plugin.probation.ms"),
            static_membership: reader.boolean("static.membership"),
            notes: kept.notes,
            sandboxes: Sandboxes::read(raw, &surroundings.variables, &mut reader.problems),
            identity,
            offsets_file,
            cluster,
            vault: vault.clone(),
        };
        problems.0.extend(expansion.settle(&written, reader.problems, &vault).0);
        problems.or(config)
    }

    /// What tells this worker from every other, over restarts: two that have the same cannot both run, as they
    /// would share their file of offsets. The workers of a cluster have the same: one of them runs.
    pub(crate) fn identity(&self) -> String {
        self.identity.clone()
    }
}

/// Keys that are kept as they are, and what is to be said about others.
#[derive(Default)]
struct Kept {
    client: RawConfig,
    producer: RawConfig,
    consumer: RawConfig,
    admin: RawConfig,
    notes: Vec<String>,
}

/// The table for a mode.
pub(super) fn keys_of(mode: Mode) -> Vec<ConfigKey> {
    let other = |key: &&ConfigKey| mode == Mode::Standalone || key.name != "offset.storage.file.filename";
    let mut keys: Vec<_> = WORKER_KEYS.iter().filter(other).cloned().collect();
    if mode == Mode::Distributed {
        keys.extend(cluster::keys());
    }
    keys
}

/// Finds the place of every key that is not in the worker's table.
fn sort_keys(keys: &[ConfigKey], raw: &RawConfig, problems: &mut Problems) -> Kept {
    let mut kept = Kept::default();
    let is_distributed = keys.iter().any(|known| known.name == "group.id");
    for (key, value) in raw {
        if keys.iter().any(|known| known.name == *key) || key.starts_with("sandbox.") {
            continue;
        }
        if is_distributed && cluster::is_topic_setting(key) {
            if key.ends_with(".cleanup.policy") && value.trim() != "compact" {
                kept.notes.push(format!("{key} has no effect: it is always compact"));
            }
            continue;
        }
        let maps = [
            ("producer.", &mut kept.producer),
            ("consumer.", &mut kept.consumer),
            ("admin.", &mut kept.admin),
        ];
        let client = maps.into_iter().find_map(|(prefix, map)| Some((key.strip_prefix(prefix)?, map)));
        match (client, known_keys::fate(key, value)) {
            (_, Some(Fate::NoEffect(why))) => kept.notes.push(format!("{key} has no effect: {why}")),
            (_, Some(Fate::Refused(why))) => problems.push(Problem::new(key, value, why)),
            (_, Some(Fate::Client)) => drop(kept.client.insert(key.clone(), value.trim().to_owned())),
            (Some((name, map)), None) if !name.is_empty() => {
                drop(map.insert(name.to_owned(), value.trim().to_owned()));
            }
            _ if is_converters(key) => problems.0.extend(misspelt_setting(key)),
            _ => problems.push(unknown(key)),
        }
    }
    kept
}

/// Without the value: nobody knows whether it is a secret.
fn unknown(key: &str) -> Problem {
    let known = WORKER_KEYS.iter().map(|known| known.name.as_str()).chain(known_keys::names());
    let hint = match nearest(key, known) {
        Some(name) => format!("unknown setting; did you mean {name}?"),
        None => "unknown setting; settings of Kafka clients are written with producer., consumer. or admin. before \
                 them"
            .to_owned(),
    };
    Problem::without_value(key, hint)
}

fn is_converters(key: &str) -> bool {
    key.starts_with("key.converter.") || key.starts_with("value.converter.")
}

/// A setting of a converter that is almost one that there is. Others may be those of another converter, and do no
/// harm.
fn misspelt_setting(key: &str) -> Option<Problem> {
    let (converter, setting) = key.split_once(".converter.")?;
    let meant = nearest(setting, CONVERTER_SETTINGS.iter().copied()).filter(|known| *known != setting)?;
    let message = format!("unknown setting; did you mean {converter}.converter.{meant}?");
    Some(Problem::without_value(key, message))
}

fn converters(raw: &RawConfig, reader: &mut Reader<'_>) -> Converters {
    let mut read = |key| {
        // Reports what is missing; the class itself is looked at by the converter.
        let _ = reader.text(key);
        // Never seen: where there is none, there is a problem.
        Converter::read(key, raw, &mut reader.problems).unwrap_or(Converter::ByteArray)
    };
    let converters = Converters { key: read("key.converter"), value: read("value.converter") };
    check_header_converter(raw, &mut reader.problems);
    converters
}

fn bootstrap_servers(reader: &mut Reader<'_>) -> String {
    let servers = reader.list("bootstrap.servers");
    let has_port = |server: &String| {
        server.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    if servers.is_empty() || !servers.iter().all(has_port) {
        reader.wrong("bootstrap.servers", "must be host:port, or several of them with commas between");
    }
    servers.join(",")
}

fn advertised(reader: &mut Reader<'_>, listeners: &[Listener], hostname: &str) -> String {
    let _ = reader.text("rest.advertised.listener");
    let (host, port) = listeners.first().map_or(("", 0), |(host, port)| (host.as_str(), *port));
    let everywhere = matches!(host, "" | "0.0.0.0" | "::");
    let host = reader
        .text("rest.advertised.host.name")
        .unwrap_or_else(|| if everywhere { hostname.to_owned() } else { host.to_owned() });
    let port = match (reader.integer("rest.advertised.port"), port) {
        (0, port) => port,
        (advertised, _) => u16::try_from(advertised).unwrap_or_else(|_| {
            reader.wrong("rest.advertised.port", "must be a port, up to 65535");
            port
        }),
    };
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn override_policy(reader: &mut Reader<'_>) -> OverridePolicy {
    let key = "connector.client.config.override.policy";
    let text = reader.text(key).unwrap_or_default();
    OverridePolicy::parse(&text).unwrap_or_else(|| {
        reader.wrong(key, "must be All, None or Principal");
        OverridePolicy::None
    })
}

fn cache_dir(reader: &mut Reader<'_>, surroundings: &Surroundings) -> PathBuf {
    let variable = |name| surroundings.variables.get(name).filter(|value| Path::new(value).is_absolute());
    match (reader.text("plugin.cache.dir"), variable("XDG_CACHE_HOME"), variable("HOME")) {
        (Some(dir), ..) => surroundings.directory.join(dir),
        (None, Some(cache), _) => Path::new(cache).join("transom/compiled"),
        (None, None, Some(home)) => Path::new(home).join(".cache/transom/compiled"),
        (None, None, None) => {
            reader.wrong("plugin.cache.dir", "must be set, as neither $XDG_CACHE_HOME nor $HOME is");
            PathBuf::new()
        }
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
