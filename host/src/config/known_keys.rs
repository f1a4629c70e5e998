//! Settings of a Java worker that this one does not read: which of them are accepted, and why.
//!
//! A configuration that runs under Java should run here, so what cannot do harm is accepted with a note. What
//! would be dangerous to ignore (who may log in, what is encrypted, where a value comes from) is refused.

/// What happens to a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Kept for the Kafka clients of the worker.
    Client,
    /// Accepted, and nothing comes of it: why.
    NoEffect(&'static str),
    /// Refused: why, and what to do.
    Refused(&'static str),
}

use Fate::{Client, NoEffect, Refused};

const DISTRIBUTED: Fate = NoEffect("it is for distributed mode");
const METRICS: Fate = NoEffect("metrics are served at /metrics, in Prometheus' format");
const NO_HTTPS: Fate = NoEffect("the REST API speaks http only");

/// Names, or beginnings of names where they end in `*`. The first that fits counts.
const FATES: &[(&str, Fate)] = &[
    ("client.*", Client),
    ("connections.max.idle.ms", Client),
    ("enable.metrics.push", Client),
    ("metadata.*", Client),
    ("receive.buffer.bytes", Client),
    ("reconnect.backoff.*", Client),
    ("request.timeout.ms", Client),
    ("retry.backoff.*", Client),
    ("sasl.*", Client),
    ("security.protocol", Client),
    ("security.providers", NoEffect("it names Java classes")),
    ("send.buffer.bytes", Client),
    ("socket.connection.setup.timeout.*", Client),
    ("ssl.client.auth", NO_HTTPS),
    ("ssl.*", Client),
    (
        "rest.extension.classes",
        Refused("there are no REST extensions; one that checks logins would be missed"),
    ),
    ("exactly.once.source.support", Refused("there are no transactions for sources yet; leave it out")),
    ("admin.listeners.*", NO_HTTPS),
    ("listeners.https.*", NO_HTTPS),
    ("response.http.headers.config", NoEffect("answers have no additional headers")),
    ("plugin.discovery", NoEffect("plugins are WebAssembly components, found by their files")),
    ("plugin.version", NoEffect("the newest version of a plugin runs")),
    ("key.converter.plugin.version", NoEffect("converters are part of the worker")),
    ("value.converter.plugin.version", NoEffect("converters are part of the worker")),
    ("header.converter.*", NoEffect("headers are passed through")),
    ("internal.key.converter*", NoEffect("internal data has a fixed format")),
    ("internal.value.converter*", NoEffect("internal data has a fixed format")),
    ("topic.creation.enable", NoEffect("topics are created by the broker, when it allows that")),
    ("metric.reporters", METRICS),
    ("metrics.*", METRICS),
    ("auto.include.jmx.reporter", METRICS),
    ("group.id", DISTRIBUTED),
    ("session.timeout.ms", DISTRIBUTED),
    ("heartbeat.interval.ms", DISTRIBUTED),
    ("rebalance.timeout.ms", DISTRIBUTED),
    ("connect.protocol", DISTRIBUTED),
    ("scheduled.rebalance.max.delay.ms", DISTRIBUTED),
    ("worker.sync.timeout.ms", DISTRIBUTED),
    ("worker.unsync.backoff.ms", DISTRIBUTED),
    ("config.storage.*", DISTRIBUTED),
    ("offset.storage.*", DISTRIBUTED),
    ("status.storage.*", DISTRIBUTED),
    ("inter.worker.*", DISTRIBUTED),
];

/// What happens to a setting that is not in the worker's own table; `None`: nobody knows it.
pub(super) fn fate(name: &str, value: &str) -> Option<Fate> {
    if name == "exactly.once.source.support" && value.eq_ignore_ascii_case("disabled") {
        return Some(NoEffect("there are no transactions for sources yet"));
    }
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    };
    FATES.iter().find(|(pattern, _)| fits(pattern)).map(|(_, fate)| *fate)
}

/// Names to guess a misspelt one from.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FATES.iter().map(|(pattern, _)| *pattern).filter(|pattern| !pattern.ends_with('*')).chain([
        "sasl.mechanism",
        "sasl.jaas.config",
        "ssl.truststore.location",
        "ssl.keystore.location",
        "client.id",
        "config.providers.<name>.class",
        "secret.<name>",
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dangerous_to_ignore_is_refused() {
        assert!(matches!(fate("rest.extension.classes", "x"), Some(Refused(_))));
    }

    #[test]
    fn a_java_workers_settings_are_known() {
        for name in ["group.id", "config.storage.replication.factor", "metrics.context.a", "plugin.discovery"]
        {
            assert!(matches!(fate(name, "x"), Some(NoEffect(_))), "{name}");
        }
        for name in ["sasl.jaas.config", "ssl.truststore.location", "client.id", "security.protocol"] {
            assert_eq!(fate(name, "x"), Some(Client), "{name}");
        }
        assert_eq!(fate("clients.id", "x"), None);
    }
}
