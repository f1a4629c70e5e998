//! From Java's client settings to librdkafka's, with Java's defaults as Connect sets them.
//!
//! Three layers, each over the one before: the worker's common settings, its `producer.*`, `consumer.*` or
//! `admin.*`, and the connector's `producer.override.*` and so on. Everything is checked at once, by the table
//! and by librdkafka itself, and nothing is connected or read.

mod table;

use std::collections::BTreeMap;
use std::fmt;

use self::table::{DEFAULTS, FIXED, Row, TABLE, Treatment};
use super::native::{Check, Conf};
use crate::config::{OverridePolicy, Problem, Problems, nearest};

/// What a client is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientKind {
    Producer,
    Consumer,
    Admin,
}

impl ClientKind {
    fn name(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Consumer => "consumer",
            Self::Admin => "admin",
        }
    }
}

/// A client's settings in librdkafka's names. Equal settings share a producer.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct ClientSettings(BTreeMap<String, String>);

/// What holds secrets: shown as such.
const SECRETS: &[&str] = &["sasl.password", "ssl.key.password", "ssl.key.pem"];

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(name, value)| {
            (name, if SECRETS.contains(&name.as_str()) { "[hidden]" } else { value.as_str() })
        });
        f.debug_map().entries(shown).finish()
    }
}

impl ClientSettings {
    /// Names and values for librdkafka.
    pub(crate) fn native(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same with one more, by its native name.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut settings = self.0.clone();
        let _ = settings.insert(name.to_owned(), value.to_owned());
        Self(settings)
    }
}

/// Where a client's settings come from; all in Java's names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientSource<'a> {
    /// The worker's common settings, `bootstrap.servers` among them.
    pub(crate) common: &'a BTreeMap<String, String>,
    /// The worker's `producer.*`, `consumer.*` or `admin.*`, without the prefix.
    pub(crate) prefixed: &'a BTreeMap<String, String>,
    /// The connector's `producer.override.*` and so on, without the prefix.
    pub(crate) overrides: &'a BTreeMap<String, String>,
    pub(crate) policy: OverridePolicy,
}

/// The settings of a client.
///
/// # Errors
/// Everything that is wrong, each under the key that the user wrote.
pub(crate) fn resolve(kind: ClientKind, source: &ClientSource<'_>) -> Result<ClientSettings, Problems> {
    let mut resolved = Resolved { kind, native: BTreeMap::new(), conf: Conf::new(), problems: Problems::default() };
    for (_, name, value) in DEFAULTS.iter().filter(|(of, ..)| *of == kind) {
        let _ = resolved.native.insert((*name).to_owned(), (*value).to_owned());
    }
    for (name, value) in source.common {
        // Common settings are for all kinds: one that is not this kind's is another's.
        if find(name, kind).is_some() {
            resolved.set(name, name, value);
        }
    }
    for (name, value) in source.prefixed {
        resolved.set(&format!("{}.{name}", kind.name()), name, value);
    }
    for (name, value) in source.overrides {
        let key = format!("{}.override.{name}", kind.name());
        match find(name, kind) {
            Some(row) if !row.overridable => {
                let why = match row.treatment {
                    Treatment::Fixed(why) => why,
                    _ => "it is for the worker's configuration alone",
                };
                resolved.problems.push(Problem::without_value(key, format!("a connector cannot override it: {why}")));
            }
            Some(_) if !source.policy.allows(name) => resolved.problems.push(Problem::without_value(
                key,
                format!(
                    "The '{}' policy does not allow '{name}' to be overridden in the connector configuration.",
                    source.policy.name()
                ),
            )),
            _ => resolved.set(&key, name, value),
        }
    }
    resolved.finish()
}

fn find(name: &str, kind: ClientKind) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name == name && row.kinds.contains(&kind))
}

struct Resolved {
    kind: ClientKind,
    native: BTreeMap<String, String>,
    /// Checks values; no client is made of it.
    conf: Conf,
    problems: Problems,
}

impl Resolved {
    fn set(&mut self, key: &str, name: &str, value: &str) {
        let Some(row) = find(name, self.kind) else {
            let known = TABLE.iter().filter(|row| row.kinds.contains(&self.kind)).map(|row| row.name);
            let hint = match nearest(name, known) {
                Some(known) => format!("; did you mean {known}?"),
                None => "; settings have the names of Kafka's Java clients".to_owned(),
            };
            let message = format!("unknown setting of a Kafka {}{hint}", self.kind.name());
            return self.problems.push(Problem::without_value(key, message));
        };
        let pairs = match row.treatment {
            Treatment::As(native) => Ok(vec![(native, value.to_owned())]),
            Treatment::Through(convert) => convert(value),
            Treatment::Ignored(_) => Ok(Vec::new()),
            Treatment::Fixed(why) => Err(format!("it cannot be set: {why}")),
        };
        let secret = name.contains("password") || name.contains("jaas") || name.ends_with(".key");
        let checked = pairs.and_then(|pairs| {
            for (native, value) in &pairs {
                match self.conf.set(native, value) {
                    Check::Good => {}
                    Check::Unknown => return Err("this build of librdkafka does not have it".to_owned()),
                    Check::Bad(reason) => return Err(if secret { "it is not usable".to_owned() } else { reason }),
                }
            }
            Ok(pairs)
        });
        match checked {
            Ok(pairs) => self.native.extend(pairs.into_iter().map(|(name, value)| (name.to_owned(), value))),
            Err(message) if secret => self.problems.push(Problem::without_value(key, message)),
            Err(message) => self.problems.push(Problem::new(key, value, message)),
        }
    }

    fn finish(mut self) -> Result<ClientSettings, Problems> {
        if self.kind == ClientKind::Producer {
            self.idempotence();
        }
        for (_, name, value) in FIXED.iter().filter(|(of, ..)| *of == self.kind) {
            let _ = self.native.insert((*name).to_owned(), (*value).to_owned());
        }
        self.problems.or(ClientSettings(self.native))
    }

    /// What idempotence asks of other settings, and what its absence does.
    fn idempotence(&mut self) {
        let get = |name: &str| self.native.get(name).cloned().unwrap_or_default();
        if get("enable.idempotence") == "false" {
            // Without it two requests in flight can change places when the first is sent again (invariant 4).
            let _ = self.native.insert("max.in.flight".to_owned(), "1".to_owned());
            return;
        }
        if get("acks") != "-1" {
            self.problems.push(Problem::new(
                "acks",
                get("acks"),
                "Must set acks to all in order to use the idempotent producer.",
            ));
        }
        if get("max.in.flight").parse::<u32>().is_ok_and(|in_flight| in_flight > 5) {
            self.problems.push(Problem::new(
                "max.in.flight.requests.per.connection",
                get("max.in.flight"),
                "Must set max.in.flight.requests.per.connection to at most 5 to use the idempotent producer.",
            ));
        }
    }
}

#[cfg(test)]
mod tests;
