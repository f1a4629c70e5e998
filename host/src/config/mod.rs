//! Configuration: raw text becomes checked values here, and nowhere else.
//!
//! Three phases, of which this module is the first two: raw (an ordered map of strings, as the user wrote
//! it), valid ([`WorkerConfig`], [`ConnectorConfig`]: whoever holds one need not check anything again), run.
//! Parsing has no side effect and finds all that is wrong at once ([`Problems`]). Files and the environment
//! are read in `load` and `providers` alone.
//!
//! Settings are data ([`ConfigKey`]): the worker's, those that all connectors have in common, and those of a
//! plugin, which come with its manifest. So each can be read, checked, listed and explained in one way.

mod cluster;
mod connector;
mod connector_keys;
mod connector_report;
mod converter;
mod definition;
mod glob;
mod known_keys;
mod load;
mod nearest;
mod net;
mod problem;
mod properties;
mod providers;
mod reader;
mod redact;
mod report;
mod rest;
mod sandbox;
mod secrets;
mod topic_pattern;
mod validate;
mod version_range;
mod worker;
mod worker_keys;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use self::cluster::{ClusterConfig, StateTopic};
pub(crate) use self::connector::{ConnectorConfig, DeadLetters, Described, Draft, Errors, Tolerance};
pub(crate) use self::connector_keys::common_definitions;
pub(crate) use self::connector_report::wanted_of;
pub(crate) use self::converter::{Converter, Converters};
pub(crate) use self::definition::{ConfigKey, Importance, Range, Type, Validator, Width};
pub(crate) use self::load::{
    Bench, ConnectorFile, check_worker, load_bench, load_connector, load_settings, load_worker, read_pem,
};
pub(crate) use self::nearest::nearest;
pub(crate) use self::net::{NetGrant, NetScheme, address, plain};
pub(crate) use self::problem::{Problem, Problems};
pub(crate) use self::properties::Properties;
pub(crate) use self::redact::is_secret_name;
pub(crate) use self::report::{Advice, KeyReport, NULL_VALUE, ValidationReport};
pub(crate) use self::rest::{Listener, RestConfig};
pub(crate) use self::sandbox::{Grant, Sandbox, Sandboxes, fs_key};
pub(crate) use self::secrets::Vault;
pub(crate) use self::topic_pattern::TopicPattern;
pub(crate) use self::validate::validate;
pub(crate) use self::version_range::VersionRange;
pub(crate) use self::worker::{Mode, OverridePolicy, WorkerConfig};
pub(crate) use self::worker_keys::help;

/// A configuration as the user wrote it.
pub(crate) type RawConfig = BTreeMap<String, String>;

/// What a plugin is, and with it what a connector is that uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Brings records into Kafka.
    Source,
    /// Takes records out of Kafka.
    Sink,
    /// Changes batches on their way; no connector.
    Transform,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Transform => "transform",
        })
    }
}

/// What a connector shall be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Its tasks run.
    Running,
    /// Its tasks exist and hold still.
    Paused,
    /// It has no tasks.
    Stopped,
}

impl Target {
    /// Of an `initial_state`, in lower or upper case.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word.to_ascii_uppercase().as_str() {
            "RUNNING" => Some(Self::Running),
            "PAUSED" => Some(Self::Paused),
            "STOPPED" => Some(Self::Stopped),
            _ => None,
        }
    }
}
