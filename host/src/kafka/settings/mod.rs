//! The Kafka clients' settings: from the Java names that users write to what librdkafka is given.
//!
//! A configuration that runs under Java should do the same here, so names, defaults and complaints are those
//! of the Java clients (4.1) as Kafka Connect sets them up. [`table`] says for each name what becomes of it;
//! what concerns several names at once (idempotence, logins, certificates) is in [`rules`] and [`security`].
//! A name that is in no row is a misspelling and a problem, never ignored.
//!
//! Three layers are laid over each other: what all clients of the worker have in common, what the worker says
//! for this kind of client, and what the connector overrides. Who may write a connector is no operator of the
//! worker: overrides pass the policy, are Java names of the table alone, and none of those that read the
//! worker's files, load code, or take the worker's password to other brokers.
//!
//! Where a default is not Java's, it is for throughput (batches, fetches, queues), never for meaning; the row
//! says so. Numbers beyond librdkafka's bounds, where Java has none, are brought to the nearest bound.

mod given;
mod jaas;
mod pem;
mod row;
mod rules;
mod security;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use self::given::Given;
use self::row::Outcome;
use crate::config::{OverridePolicy, Problems, is_secret_name};

/// What librdkafka is given. Clients whose settings are equal can be one client.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct ClientSettings(BTreeMap<String, String>);

/// Values in it that are for the worker itself; librdkafka has no such names.
const NOT_NATIVE: &[&str] = &["max.poll.records"];

impl ClientSettings {
    /// Names and values for librdkafka.
    pub(crate) fn native(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !NOT_NATIVE.contains(name))
    }

    /// The value under librdkafka's name; and `max.poll.records`, if the user set it.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The same with another value under librdkafka's name.
    pub(crate) fn with(&self, name: &str, value: impl Into<String>) -> Self {
        let mut settings = self.clone();
        settings.set(name, value);
        settings
    }

    fn set(&mut self, name: &str, value: impl Into<String>) {
        let _ = self.0.insert(name.to_owned(), value.into());
    }
}

/// Without secrets.
impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self
            .0
            .iter()
            .map(|(name, value)| (name, if is_secret_name(name) { "[hidden]" } else { value.as_str() }));
        f.debug_map().entries(shown).finish()
    }
}

/// What a client is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ClientKind {
    /// Sources write with it, sinks their dead letters.
    Producer,
    /// Sinks read with it.
    Consumer,
    /// The worker looks at topics and groups with it.
    Admin,
}

impl ClientKind {
    const ALL: [Self; 3] = [Self::Producer, Self::Consumer, Self::Admin];

    /// What its settings begin with, before the dot.
    fn prefix(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Consumer => "consumer",
            Self::Admin => "admin",
        }
    }
}

/// Where the settings of a client come from; the later ones win.
#[derive(Clone, Copy)]
pub(crate) struct ClientSource<'a> {
    /// The worker's settings for all clients, `bootstrap.servers` among them.
    pub(crate) common: &'a BTreeMap<String, String>,
    /// The worker's settings for this kind of client, without `producer.` and the like.
    pub(crate) prefixed: &'a BTreeMap<String, String>,
    /// The connector's settings for this kind of client, without `producer.override.` and the like.
    pub(crate) overrides: &'a BTreeMap<String, String>,
    /// What connectors may override.
    pub(crate) policy: OverridePolicy,
}

/// Finds the settings of a client.
///
/// Nothing is read or connected: whether files exist shows when a client is made.
///
/// # Errors
/// All that is wrong, with the keys as the user wrote them and without secrets.
pub(crate) fn resolve(kind: ClientKind, source: &ClientSource<'_>) -> Result<ClientSettings, Problems> {
    let mut outcome = Outcome::default();
    let given = Given::gather(kind, source, &mut outcome.problems);
    for (name, value) in always(kind) {
        outcome.settings.set(name, *value);
    }
    for row in table::rows(kind) {
        row.apply(&given, &mut outcome);
    }
    rules::apply(kind, &given, &mut outcome);
    security::apply(&given, &mut outcome);
    outcome.problems.or(outcome.settings)
}

/// Whether some Java client has a setting of this name.
pub(crate) fn is_client_key(name: &str) -> bool {
    ClientKind::ALL.into_iter().any(|kind| table::find(kind, name).is_some())
}

/// What every client of a kind is given, whatever users say.
fn always(kind: ClientKind) -> &'static [(&'static str, &'static str)] {
    match kind {
        ClientKind::Producer => &[
            // librdkafka's own default puts keys elsewhere than Java does.
            ("partitioner", "murmur2_random"),
            // Bytes are the limit, see `buffer.memory` in the table.
            ("batch.num.messages", "100000"),
        ],
        ClientKind::Consumer => &[
            // Offsets are committed when the sink says that records are durable, and never before (invariant 1).
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            // Membership is ours: see the consumer.
            ("group.protocol", "classic"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            // Bytes are the limit (the worker's prefetch budget), and once there is room again fetching goes on
            // at once, not after a second.
            ("queued.min.messages", "1000000"),
            ("fetch.queue.backoff.ms", "20"),
        ],
        ClientKind::Admin => &[],
    }
}
