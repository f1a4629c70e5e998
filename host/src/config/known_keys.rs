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

use super::nearest::nearest_within;
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

/// Every setting that Kafka Connect 4.1 defines for a worker.
const JAVAS: &str = "access.control.allow.methods access.control.allow.origin admin.listeners bootstrap.servers \
    client.dns.lookup client.id config.providers config.storage.replication.factor config.storage.topic \
    connect.protocol connections.max.idle.ms connector.client.config.override.policy \
    exactly.once.source.support group.id header.converter header.converter.plugin.version \
    heartbeat.interval.ms inter.worker.key.generation.algorithm inter.worker.key.size \
    inter.worker.key.ttl.ms inter.worker.signature.algorithm inter.worker.verification.algorithms \
    key.converter key.converter.plugin.version listeners metadata.max.age.ms \
    metadata.recovery.rebootstrap.trigger.ms metadata.recovery.strategy metric.reporters metrics.num.samples \
    metrics.recording.level metrics.sample.window.ms offset.flush.interval.ms offset.flush.timeout.ms \
    offset.storage.file.filename offset.storage.partitions offset.storage.replication.factor \
    offset.storage.topic plugin.discovery plugin.path rebalance.timeout.ms receive.buffer.bytes \
    reconnect.backoff.max.ms reconnect.backoff.ms request.timeout.ms response.http.headers.config \
    rest.advertised.host.name rest.advertised.listener rest.advertised.port rest.extension.classes \
    retry.backoff.max.ms retry.backoff.ms sasl.client.callback.handler.class sasl.jaas.config \
    sasl.kerberos.kinit.cmd sasl.kerberos.min.time.before.relogin sasl.kerberos.service.name \
    sasl.kerberos.ticket.renew.jitter sasl.kerberos.ticket.renew.window.factor \
    sasl.login.callback.handler.class sasl.login.class sasl.login.connect.timeout.ms \
    sasl.login.read.timeout.ms sasl.login.refresh.buffer.seconds sasl.login.refresh.min.period.seconds \
    sasl.login.refresh.window.factor sasl.login.refresh.window.jitter sasl.login.retry.backoff.max.ms \
    sasl.login.retry.backoff.ms sasl.mechanism sasl.oauthbearer.assertion.algorithm \
    sasl.oauthbearer.assertion.claim.aud sasl.oauthbearer.assertion.claim.exp.seconds \
    sasl.oauthbearer.assertion.claim.iss sasl.oauthbearer.assertion.claim.jti.include \
    sasl.oauthbearer.assertion.claim.nbf.seconds sasl.oauthbearer.assertion.claim.sub \
    sasl.oauthbearer.assertion.file sasl.oauthbearer.assertion.private.key.file \
    sasl.oauthbearer.assertion.private.key.passphrase sasl.oauthbearer.assertion.template.file \
    sasl.oauthbearer.client.credentials.client.id sasl.oauthbearer.client.credentials.client.secret \
    sasl.oauthbearer.clock.skew.seconds sasl.oauthbearer.expected.audience sasl.oauthbearer.expected.issuer \
    sasl.oauthbearer.header.urlencode sasl.oauthbearer.jwks.endpoint.refresh.ms \
    sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms sasl.oauthbearer.jwks.endpoint.retry.backoff.ms \
    sasl.oauthbearer.jwks.endpoint.url sasl.oauthbearer.jwt.retriever.class \
    sasl.oauthbearer.jwt.validator.class sasl.oauthbearer.scope sasl.oauthbearer.scope.claim.name \
    sasl.oauthbearer.sub.claim.name sasl.oauthbearer.token.endpoint.url scheduled.rebalance.max.delay.ms \
    security.protocol send.buffer.bytes session.timeout.ms socket.connection.setup.timeout.max.ms \
    socket.connection.setup.timeout.ms ssl.cipher.suites ssl.client.auth ssl.enabled.protocols \
    ssl.endpoint.identification.algorithm ssl.engine.factory.class ssl.key.password ssl.keymanager.algorithm \
    ssl.keystore.certificate.chain ssl.keystore.key ssl.keystore.location ssl.keystore.password \
    ssl.keystore.type ssl.protocol ssl.provider ssl.secure.random.implementation ssl.trustmanager.algorithm \
    ssl.truststore.certificates ssl.truststore.location ssl.truststore.password ssl.truststore.type \
    status.storage.partitions status.storage.replication.factor status.storage.topic \
    task.shutdown.graceful.timeout.ms topic.creation.enable topic.tracking.allow.reset topic.tracking.enable \
    value.converter value.converter.plugin.version worker.sync.timeout.ms worker.unsync.backoff.ms";

/// What happens to a setting that is not in the worker's own table; `None`: nobody knows it.
pub(super) fn fate(name: &str, value: &str) -> Option<Fate> {
    if name == "exactly.once.source.support" && value.eq_ignore_ascii_case("disabled") {
        return Some(NoEffect("there are no transactions for sources yet"));
    }
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        // What is written under a family's name is a slip of the pen when it is almost one of the family.
        Some(beginning) => name.starts_with(beginning) && slip(name).is_none(),
        None => name == pattern,
    };
    FATES.iter().find(|(pattern, _)| fits(pattern)).map(|(_, fate)| *fate)
}

/// The setting that a name is almost, and is not.
fn slip(name: &str) -> Option<&'static str> {
    nearest_within(2, name, JAVAS.split(' ')).filter(|known| *known != name)
}

/// Names to guess a misspelt one from.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let single = FATES.iter().map(|(pattern, _)| *pattern).filter(|pattern| !pattern.ends_with('*'));
    single.chain(JAVAS.split(' ')).chain(["client.id", "config.providers.<name>.class", "secret.<name>"])
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

    #[test]
    fn every_setting_of_a_java_worker_is_known() {
        let own = |name| super::super::worker_keys::WORKER_KEYS.iter().any(|key| key.name == name);
        for name in JAVAS.split(' ') {
            assert!(own(name) || fate(name, "x").is_some(), "{name}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_none_of_its_family() {
        for name in ["ssl.trustore.location", "sasl.jaas.confg", "config.storage.topics", "sesion.timeout.ms"]
        {
            assert_eq!(fate(name, "x"), None, "{name}");
        }
        for name in ["status.storage.retention.ms", "metrics.context.tag", "client.rack", "ssl.key.password"]
        {
            assert!(fate(name, "x").is_some(), "{name}");
        }
    }
}
