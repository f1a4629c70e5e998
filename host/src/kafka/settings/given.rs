//! What users wrote for a client: the layers laid over each other, and all that nobody may write.

use std::collections::BTreeMap;

use super::row::{Row, Treatment, Who};
use super::{ClientKind, ClientSource, is_client_key, table};
use crate::config::{Problem, Problems, is_secret_name, nearest};

/// Where a value was written; the later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    /// The worker's configuration, for all clients.
    Common,
    /// The worker's configuration, for one kind of client.
    Prefixed,
    /// The connector's configuration.
    Override,
}

/// Values under Java names, each with the layer that it comes from.
#[derive(Debug)]
pub(super) struct Given<'a> {
    kind: ClientKind,
    values: BTreeMap<&'a str, (Layer, &'a str)>,
}

impl<'a> Given<'a> {
    /// Lays the layers over each other. What is unknown, refused or not allowed is left out, and a problem.
    pub(super) fn gather(kind: ClientKind, source: &ClientSource<'a>, problems: &mut Problems) -> Self {
        let mut given = Self { kind, values: BTreeMap::new() };
        for (layer, map) in [
            (Layer::Common, source.common),
            (Layer::Prefixed, source.prefixed),
            (Layer::Override, source.overrides),
        ] {
            for (name, value) in map {
                let value = value.trim();
                let refused = match table::find(kind, name) {
                    // Not for this kind of client, which is no fault in a setting for all of them.
                    None if layer == Layer::Common && is_client_key(name) => continue,
                    None => Some(unknown(kind, name, layer)),
                    Some(_) if layer == Layer::Override && !source.policy.allows(name) => Some(format!(
                        "The '{}' policy does not allow '{name}' to be overridden in the connector configuration.",
                        source.policy.name()
                    )),
                    Some(row) => refusal(row, layer),
                };
                match refused {
                    Some(message) => problems.push(problem(kind, name, layer, value, message)),
                    None => drop(given.values.insert(name.as_str(), (layer, value))),
                }
            }
        }
        given
    }

    /// The value that somebody wrote.
    pub(super) fn written(&self, name: &str) -> Option<&'a str> {
        self.values.get(name).map(|(_, value)| *value)
    }

    /// The same, but nothing where it is empty.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.written(name).filter(|value| !value.is_empty())
    }

    /// The value in effect; the default, too, where what was written is no value for it.
    pub(super) fn value(&self, name: &str) -> Option<&'a str> {
        let row = table::find(self.kind, name)?;
        self.written(name).filter(|value| row.check(name, value).is_empty()).or(row.default)
    }

    /// Likewise, for numbers that have a default.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.value(name)?.parse().ok()
    }

    pub(super) fn layer(&self, name: &str) -> Option<Layer> {
        self.values.get(name).map(|(layer, _)| *layer)
    }

    /// The key as the user wrote it.
    pub(super) fn key(&self, name: &str) -> String {
        key(self.kind, self.layer(name).unwrap_or(Layer::Prefixed), name)
    }

    /// The key as the user would write it next to another one.
    pub(super) fn key_beside(&self, other: &str, name: &str) -> String {
        key(self.kind, self.layer(other).unwrap_or(Layer::Prefixed), name)
    }

    /// A problem with something that was written.
    pub(super) fn problem(&self, name: &str, message: impl Into<String>) -> Problem {
        let (layer, value) = self.values.get(name).copied().unwrap_or((Layer::Prefixed, ""));
        problem(self.kind, name, layer, value, message.into())
    }
}

fn key(kind: ClientKind, layer: Layer, name: &str) -> String {
    match layer {
        Layer::Common => name.to_owned(),
        Layer::Prefixed => format!("{}.{name}", kind.prefix()),
        Layer::Override => format!("{}.override.{name}", kind.prefix()),
    }
}

/// With the value, unless it is a secret or nobody knows whether it is.
fn problem(kind: ClientKind, name: &str, layer: Layer, value: &str, message: String) -> Problem {
    let key = key(kind, layer, name);
    match table::find(kind, name) {
        Some(row) if !is_secret_name(name) => row.problem(&key, value, message),
        _ => Problem::without_value(key, message),
    }
}

/// Why a known setting must not be in this layer.
fn refusal(row: &Row, layer: Layer) -> Option<String> {
    match (row.treatment, row.who, layer) {
        (Treatment::Refused(why), ..) => Some(format!("cannot be set: {why}")),
        (_, Who::Worker(why), Layer::Override) => {
            Some(format!("is not for connectors: {why}; it belongs into the worker's configuration"))
        }
        (_, Who::Connectors(why), Layer::Common | Layer::Prefixed) => Some(format!("cannot be set: {why}")),
        _ => None,
    }
}

fn unknown(kind: ClientKind, name: &str, layer: Layer) -> String {
    let connector = layer == Layer::Override;
    let java = table::java_name(kind, name)
        .map(|java| format!("is librdkafka's name of a setting; write Java's, {java}"));
    let native = table::native_only(name)
        .map(|why| format!("is a setting of librdkafka, not of the Java clients: {why}"));
    // Java's name of what a connector may not set is no help to it.
    if let Some(message) = if connector { native.or(java) } else { java.or(native) } {
        return message;
    }
    if let Some(other) = ClientKind::ALL.into_iter().find(|other| table::find(*other, name).is_some()) {
        let infix = if connector { ".override" } else { "" };
        let (this, other) = (kind.prefix(), other.prefix());
        return format!("is no setting of a {this}; for the {other} write {other}{infix}.{name}");
    }
    let names = table::rows(kind).map(|row| row.name).filter(|known| !known.ends_with('*'));
    match nearest(name, names) {
        Some(known) => format!("unknown setting; did you mean {}?", key(kind, layer, known)),
        None => {
            format!("unknown setting; there is none of this name among those of Java's {}", kind.prefix())
        }
    }
}
