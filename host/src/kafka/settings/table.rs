//! The table: each of Java's client settings, what becomes of it here, and who may set it.

use super::ClientKind::{self, Admin, Consumer, Producer};

/// What becomes of a setting.
#[derive(Debug, Clone, Copy)]
pub(super) enum Treatment {
    /// librdkafka has it under this name.
    As(&'static str),
    /// The same, by a function that gives native names and values, or says what would be right.
    Through(fn(&str) -> Result<Vec<(&'static str, String)>, String>),
    /// Accepted; there is nothing to be done about it: why.
    Ignored(&'static str),
    /// Set by the worker and by nobody else: why.
    Fixed(&'static str),
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) kinds: &'static [ClientKind],
    pub(super) treatment: Treatment,
    /// Whether a connector's configuration may set it: nothing that reads files, loads code or widens what the
    /// worker's operator decided.
    pub(super) overridable: bool,
}

use Treatment::{As, Fixed, Ignored, Through};

const ALL: &[ClientKind] = &[Producer, Consumer, Admin];
const P: &[ClientKind] = &[Producer];
const C: &[ClientKind] = &[Consumer];

const fn row(name: &'static str, kinds: &'static [ClientKind], treatment: Treatment) -> Row {
    Row { name, kinds, treatment, overridable: true }
}

/// For the operator alone.
const fn own(name: &'static str, kinds: &'static [ClientKind], treatment: Treatment) -> Row {
    Row { name, kinds, treatment, overridable: false }
}

const JAVA_CODE: Treatment = Ignored("it names Java classes");
const JKS: &str = "librdkafka reads PEM: set the store's type to PEM and its location to a PEM file (convert with \
                   `keytool -importkeystore … -deststoretype PKCS12` and `openssl pkcs12 … -out store.pem`)";

/// All settings of producers, consumers and admin clients as of Kafka 4.1.
pub(super) const TABLE: &[Row] = &[
    row("bootstrap.servers", ALL, As("bootstrap.servers")),
    row("client.id", ALL, As("client.id")),
    row("client.rack", ALL, As("client.rack")),
    row("client.dns.lookup", ALL, As("client.dns.lookup")),
    row("connections.max.idle.ms", ALL, As("connections.max.idle.ms")),
    row("enable.metrics.push", ALL, As("enable.metrics.push")),
    row("metadata.max.age.ms", ALL, As("topic.metadata.refresh.interval.ms")),
    row("metadata.max.idle.ms", ALL, Ignored("librdkafka forgets unused topics by itself")),
    row("metadata.recovery.strategy", ALL, As("metadata.recovery.strategy")),
    row("metadata.recovery.rebootstrap.trigger.ms", ALL, As("metadata.recovery.rebootstrap.trigger.ms")),
    row("reconnect.backoff.ms", ALL, As("reconnect.backoff.ms")),
    row("reconnect.backoff.max.ms", ALL, As("reconnect.backoff.max.ms")),
    row("retry.backoff.ms", ALL, As("retry.backoff.ms")),
    row("retry.backoff.max.ms", ALL, As("retry.backoff.max.ms")),
    row("receive.buffer.bytes", ALL, Through(|v| buffer("socket.receive.buffer.bytes", v))),
    row("send.buffer.bytes", ALL, Through(|v| buffer("socket.send.buffer.bytes", v))),
    row("socket.connection.setup.timeout.ms", ALL, As("socket.connection.setup.timeout.ms")),
    row("socket.connection.setup.timeout.max.ms", ALL, Ignored("the time does not grow here")),
    row("request.timeout.ms", &[Consumer, Admin], As("socket.timeout.ms")),
    row("request.timeout.ms", P, As("request.timeout.ms")),
    row("default.api.timeout.ms", &[Consumer, Admin], Ignored("each call has its own limit here")),
    row("retries", &[Admin], Ignored("questions are asked again by whoever needs the answer")),
    own("metric.reporters", ALL, JAVA_CODE),
    own("metrics.num.samples", ALL, Ignored("metrics are served at /metrics")),
    own("metrics.sample.window.ms", ALL, Ignored("metrics are served at /metrics")),
    own("metrics.recording.level", ALL, Ignored("metrics are served at /metrics")),
    own("auto.include.jmx.reporter", ALL, Ignored("there is no JMX")),
    own("interceptor.classes", ALL, JAVA_CODE),
    own("security.providers", ALL, JAVA_CODE),
    // Security.
    row("security.protocol", ALL, Through(|v| one("security.protocol", v.to_lowercase()))),
    row("sasl.mechanism", ALL, Through(sasl_mechanism)),
    row("sasl.jaas.config", ALL, Through(sasl_jaas)),
    own("sasl.login.callback.handler.class", ALL, JAVA_CODE),
    own("sasl.client.callback.handler.class", ALL, JAVA_CODE),
    own("sasl.login.class", ALL, JAVA_CODE),
    own("sasl.oauthbearer.token.endpoint.url", ALL, As("sasl.oauthbearer.token.endpoint.url")),
    own("ssl.endpoint.identification.algorithm", ALL, Through(|v| {
        one("ssl.endpoint.identification.algorithm", if v.is_empty() { "none".to_owned() } else { v.to_lowercase() })
    })),
    own("ssl.truststore.type", ALL, Through(pem_only)),
    own("ssl.truststore.location", ALL, Through(|v| pem_file("ssl.ca.location", v))),
    own("ssl.truststore.password", ALL, Ignored("a PEM file of certificates has no password")),
    own("ssl.truststore.certificates", ALL, As("ssl.ca.pem")),
    own("ssl.keystore.type", ALL, Through(pem_only)),
    own("ssl.keystore.location", ALL, Through(|v| {
        let mut both = pem_file("ssl.certificate.location", v)?;
        both.push(("ssl.key.location", v.to_owned()));
        Ok(both)
    })),
    own("ssl.keystore.password", ALL, Ignored("the key's password is ssl.key.password")),
    own("ssl.keystore.certificate.chain", ALL, As("ssl.certificate.pem")),
    own("ssl.keystore.key", ALL, As("ssl.key.pem")),
    own("ssl.key.password", ALL, As("ssl.key.password")),
    own("ssl.cipher.suites", ALL, As("ssl.cipher.suites")),
    own("ssl.protocol", ALL, Ignored("OpenSSL takes the newest that both sides know")),
    own("ssl.enabled.protocols", ALL, Ignored("OpenSSL takes the newest that both sides know")),
    own("ssl.provider", ALL, JAVA_CODE),
    own("ssl.engine.factory.class", ALL, JAVA_CODE),
    own("ssl.keymanager.algorithm", ALL, JAVA_CODE),
    own("ssl.trustmanager.algorithm", ALL, JAVA_CODE),
    own("ssl.secure.random.implementation", ALL, JAVA_CODE),
    // Producers.
    row("acks", P, Through(|v| one("acks", if v.eq_ignore_ascii_case("all") { "-1".to_owned() } else { v.to_owned() }))),
    row("batch.size", P, As("batch.size")),
    row("linger.ms", P, As("linger.ms")),
    row("compression.type", P, Through(|v| one("compression.codec", v.to_lowercase()))),
    row("compression.gzip.level", P, As("compression.level")),
    row("compression.lz4.level", P, As("compression.level")),
    row("compression.zstd.level", P, As("compression.level")),
    row("buffer.memory", P, Ignored("each task has its own limit here: producer.inflight.max.bytes")),
    row("max.block.ms", P, Ignored("a full queue stops the task's polls and nothing else")),
    row("delivery.timeout.ms", P, Through(|v| {
        // Java's Integer.MAX_VALUE stands for ever, and so does librdkafka's 0.
        one("message.timeout.ms", if v == "2147483647" { "0".to_owned() } else { v.to_owned() })
    })),
    row("enable.idempotence", P, As("enable.idempotence")),
    row("max.in.flight.requests.per.connection", P, As("max.in.flight")),
    row("max.request.size", P, As("message.max.bytes")),
    row("retries", P, As("retries")),
    row("partitioner.ignore.keys", P, Ignored("records with keys always go where their key says")),
    row("partitioner.adaptive.partitioning.enable", P, Ignored("records without keys stick to a partition for a while")),
    row("partitioner.availability.timeout.ms", P, Ignored("records without keys stick to a partition for a while")),
    own("partitioner.class", P, Fixed("keys go where Java's default partitioner sends them")),
    own("key.serializer", P, Fixed("converters do its work")),
    own("value.serializer", P, Fixed("converters do its work")),
    own("transactional.id", P, Fixed("exactly-once sources are not there yet")),
    own("transaction.timeout.ms", P, Fixed("exactly-once sources are not there yet")),
    own("transaction.two.phase.commit.enable", P, Fixed("exactly-once sources are not there yet")),
    // Consumers.
    row("auto.offset.reset", C, Through(auto_offset_reset)),
    row("fetch.min.bytes", C, As("fetch.min.bytes")),
    row("fetch.max.bytes", C, Ignored("the worker's budget decides: consumer.prefetch.max.bytes")),
    row("fetch.max.wait.ms", C, As("fetch.wait.max.ms")),
    row("max.partition.fetch.bytes", C, As("max.partition.fetch.bytes")),
    row("max.poll.records", C, Ignored("a batch is bounded by bytes and records of its own")),
    row("max.poll.interval.ms", C, As("max.poll.interval.ms")),
    row("session.timeout.ms", C, As("session.timeout.ms")),
    row("heartbeat.interval.ms", C, As("heartbeat.interval.ms")),
    row("isolation.level", C, As("isolation.level")),
    row("check.crcs", C, As("check.crcs")),
    row("allow.auto.create.topics", C, As("allow.auto.create.topics")),
    row("exclude.internal.topics", C, Ignored("a pattern has to match an internal topic's whole name")),
    own("group.id", C, Fixed("it is connect-<connector>, as in Kafka Connect")),
    own("group.instance.id", C, Fixed("the worker makes it; static.membership=false turns it off")),
    own("group.protocol", C, Fixed("with the consumer protocol a fenced member would be the new one")),
    own("group.remote.assignor", C, Fixed("with the consumer protocol a fenced member would be the new one")),
    own("partition.assignment.strategy", C, Fixed("it is cooperative-sticky")),
    own("enable.auto.commit", C, Fixed("only what the plugin says is durable is committed")),
    own("auto.commit.interval.ms", C, Fixed("only what the plugin says is durable is committed")),
    own("key.deserializer", C, Fixed("converters do its work")),
    own("value.deserializer", C, Fixed("converters do its work")),
];

/// What the worker sets, natively, before anybody else: Java's defaults as Connect has them, and room for large
/// batches.
pub(super) const DEFAULTS: &[(ClientKind, &str, &str)] = &[
    (Producer, "acks", "-1"),
    (Producer, "enable.idempotence", "true"),
    (Producer, "max.in.flight", "5"),
    (Producer, "message.timeout.ms", "0"),
    (Producer, "partitioner", "murmur2_random"),
    (Producer, "message.max.bytes", "1048576"),
    (Producer, "batch.size", "1000000"),
    (Producer, "batch.num.messages", "100000"),
    (Producer, "linger.ms", "5"),
    // Lanes bound what is in flight; a queue that is full would stop the wrong task.
    (Producer, "queue.buffering.max.messages", "0"),
    (Producer, "queue.buffering.max.kbytes", "2147483647"),
    (Consumer, "auto.offset.reset", "earliest"),
    (Consumer, "isolation.level", "read_uncommitted"),
    (Consumer, "check.crcs", "true"),
    // Java's 45 s is what a changed static member would have to wait for.
    (Consumer, "session.timeout.ms", "10000"),
    (Consumer, "heartbeat.interval.ms", "1000"),
    (Consumer, "fetch.queue.backoff.ms", "10"),
    (Consumer, "topic.metadata.refresh.interval.ms", "60000"),
];

/// What nobody can change.
pub(super) const FIXED: &[(ClientKind, &str, &str)] = &[
    (Consumer, "enable.auto.commit", "false"),
    (Consumer, "enable.auto.offset.store", "false"),
    (Consumer, "enable.partition.eof", "false"),
    (Consumer, "group.protocol", "classic"),
    (Consumer, "partition.assignment.strategy", "cooperative-sticky"),
];

fn one(name: &'static str, value: String) -> Result<Vec<(&'static str, String)>, String> {
    Ok(vec![(name, value)])
}

/// Java's -1 is the system's own size, librdkafka's 0.
fn buffer(name: &'static str, value: &str) -> Result<Vec<(&'static str, String)>, String> {
    one(name, if value == "-1" { "0".to_owned() } else { value.to_owned() })
}

fn auto_offset_reset(value: &str) -> Result<Vec<(&'static str, String)>, String> {
    match value {
        "earliest" | "latest" => one("auto.offset.reset", value.to_owned()),
        "none" => one("auto.offset.reset", "error".to_owned()),
        _ => Err("it is one of earliest, latest, none".to_owned()),
    }
}

fn pem_only(value: &str) -> Result<Vec<(&'static str, String)>, String> {
    if value.eq_ignore_ascii_case("PEM") { Ok(Vec::new()) } else { Err(JKS.to_owned()) }
}

fn pem_file(name: &'static str, value: &str) -> Result<Vec<(&'static str, String)>, String> {
    let lower = value.to_lowercase();
    if [".jks", ".p12", ".pfx", ".pkcs12"].iter().any(|end| lower.ends_with(end)) {
        return Err(JKS.to_owned());
    }
    one(name, value.to_owned())
}

fn sasl_mechanism(value: &str) -> Result<Vec<(&'static str, String)>, String> {
    match value {
        "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" | "OAUTHBEARER" => one("sasl.mechanism", value.to_owned()),
        _ => Err("it is one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER; Kerberos is not supported".to_owned()),
    }
}

/// `org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="p";`
fn sasl_jaas(value: &str) -> Result<Vec<(&'static str, String)>, String> {
    let module = value.split_whitespace().next().unwrap_or_default();
    let short = module.rsplit('.').next().unwrap_or_default();
    if !matches!(short, "PlainLoginModule" | "ScramLoginModule") {
        return Err("only PlainLoginModule and ScramLoginModule are understood".to_owned());
    }
    let option = |name: &str| -> Option<String> {
        let start = value.find(&format!(" {name}=\""))? + name.len() + 3;
        let mut text = String::new();
        let mut escaped = false;
        for character in value[start..].chars() {
            match character {
                '\\' if !escaped => escaped = true,
                '"' if !escaped => return Some(text),
                other => {
                    escaped = false;
                    text.push(other);
                }
            }
        }
        None
    };
    match (option("username"), option("password")) {
        (Some(username), Some(password)) => Ok(vec![("sasl.username", username), ("sasl.password", password)]),
        _ => Err("it has to give username=\"…\" and password=\"…\", each in double quotes".to_owned()),
    }
}
