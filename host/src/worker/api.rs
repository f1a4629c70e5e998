//! What may be asked of a worker. The REST routes are written against this and know nothing below it.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::config::Kind;
use crate::config::Problems;
pub(crate) use crate::connector::Restart;
pub(crate) use crate::connector::lifecycle::Target;

/// A connector's configuration as the user wrote it.
pub(crate) type RawConfig = BTreeMap<String, String>;

/// A connector, as `GET /connectors/{name}` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectorInfo {
    pub(crate) name: String,
    pub(crate) config: RawConfig,
    /// The numbers of its tasks.
    pub(crate) tasks: Vec<u32>,
    /// `None` while the plugin of its class is not known.
    pub(crate) kind: Option<Kind>,
}

/// A plugin, as `GET /connector-plugins` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PluginInfo {
    pub(crate) class: String,
    pub(crate) kind: Kind,
    pub(crate) version: String,
    pub(crate) name: String,
    pub(crate) sha256: String,
}

/// Why a request could not be carried out. Messages are Kafka Connect's where it has one.
#[derive(Debug, Error)]
pub(crate) enum WorkerError {
    /// 404.
    #[error("{0}")]
    NotFound(String),
    /// 409: it exists already, or its state does not allow the request.
    #[error("{0}")]
    Conflict(String),
    /// 409: this worker does not lead its cluster, or no more; nothing was done. Kafka Connect's words.
    #[error("Cannot complete request because of a conflicting operation (e.g. worker rebalance)")]
    NotLeading,
    /// 400.
    #[error("{0}")]
    BadRequest(String),
    /// 403: the worker's operator has switched it off.
    #[error("{0}")]
    Forbidden(String),
    /// 500.
    #[error("{0}")]
    Internal(String),
    /// 400: the connector's configuration is wrong.
    #[error("Connector configuration is invalid and contains the following {count} error(s):\n{problems}\nYou can also find the above list of errors at the endpoint `/connector-plugins/{{connectorType}}/config/validate`", problems = .0, count = .0.0.len())]
    InvalidConfig(Problems),
}
