//! All settings of Java's clients (4.1), and what becomes of each.

use super::ClientKind;
use super::ClientSettings;
use super::row::Takes::{Flag, Int, Long, OneOf, OneOfAnyCase, Secret, Text};
use super::row::Treatment::{Converted, Fixed, Ignored, Joint, Kept, Mapped, Numbers, Refused};
use super::row::Who::{Connectors, Worker};
use super::row::{A, C, Clients, P, Row, Treatment, Who};

const ALL: Clients = P | C | A;
const INT: i64 = i32::MAX as i64;

const READS_FILES: Who = Worker("it reads a file of the worker's machine");
const NAMES_CLASSES: Who = Worker("it names code to load");

const JAVA: Treatment = Ignored("it is for Java");
const JAVA_CLASS: Treatment = Refused("it names Java classes, which cannot run here; leave it out");
const METRICS: Treatment = Ignored("metrics are the worker's");
const BYTES: Treatment = Ignored("to the clients records are bytes; the converters do the rest");
const OAUTH: Treatment = Ignored("there is no login with OAuth yet");
const KERBEROS: Treatment = Ignored("there is no login with Kerberos");
const TRANSACTIONS: Treatment = Refused("there are no transactions for sources yet; leave it out");
const OUR_TIMES: Treatment = Ignored("the worker has time limits of its own");

const fn row(name: &'static str, clients: Clients, takes: super::row::Takes, treatment: Treatment) -> Row {
    Row::new(name, clients, takes, treatment)
}

/// In the order of the names, for each group of clients.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    // All clients.
    row("auto.include.jmx.reporter", ALL, Text, METRICS),
    row("bootstrap.servers", ALL, Text, Converted(servers)),
    row("client.dns.lookup", ALL, OneOf(&["use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"]), Mapped("client.dns.lookup")),
    row("client.id", ALL, Text, Mapped("client.id")).default("transom"),
    row("connections.max.idle.ms", P | C, Long(i64::MIN), Numbers(&[("connections.max.idle.ms", 0, INT)])).default("540000"),
    row("connections.max.idle.ms", A, Long(i64::MIN), Numbers(&[("connections.max.idle.ms", 0, INT)])).default("300000"),
    row("enable.metrics.push", P | C, Flag, Mapped("enable.metrics.push")).default("true"),
    row("enable.metrics.push", A, Flag, Mapped("enable.metrics.push")).default("false"),
    row("metadata.max.age.ms", ALL, Long(0), Numbers(&[("topic.metadata.refresh.interval.ms", 10, 3_600_000)])).default("300000"),
    row("metadata.recovery.rebootstrap.trigger.ms", ALL, Long(0), Numbers(&[("metadata.recovery.rebootstrap.trigger.ms", 0, INT)])).default("300000"),
    row("metadata.recovery.strategy", ALL, OneOfAnyCase(&["REBOOTSTRAP", "NONE"]), Mapped("metadata.recovery.strategy")).default("rebootstrap"),
    row("metric.reporters", ALL, Text, METRICS).only(NAMES_CLASSES),
    row("metrics.*", ALL, Text, METRICS),
    // Unset, the system chooses, which is faster than Java's fixed sizes.
    row("receive.buffer.bytes", ALL, Int(-1), Numbers(&[("socket.receive.buffer.bytes", 0, 100_000_000)])),
    row("reconnect.backoff.max.ms", ALL, Long(0), Joint).default("1000"),
    row("reconnect.backoff.ms", ALL, Long(0), Joint).default("50"),
    row("request.timeout.ms", C | A, Int(0), Numbers(&[("socket.timeout.ms", 10, 300_000)])).default("30000"),
    // The broker's limit for an answer, and ours.
    row("request.timeout.ms", P, Int(0), Numbers(&[("request.timeout.ms", 1, 900_000), ("socket.timeout.ms", 10, 300_000)])).default("30000"),
    row("retry.backoff.max.ms", ALL, Long(0), Joint).default("1000"),
    row("retry.backoff.ms", ALL, Long(0), Joint).default("100"),
    row("sasl.client.callback.handler.class", ALL, Text, JAVA_CLASS),
    row("sasl.jaas.config", ALL, Secret, Joint),
    row("sasl.kerberos.*", ALL, Text, KERBEROS).only(Worker("it runs a command, or reads a file, of the worker's machine")),
    row("sasl.login.callback.handler.class", ALL, Text, JAVA_CLASS),
    row("sasl.login.class", ALL, Text, JAVA_CLASS),
    row("sasl.login.*", ALL, Text, OAUTH),
    row("sasl.mechanism", ALL, Text, Joint),
    row("sasl.oauthbearer.jwt.retriever.class", ALL, Text, JAVA_CLASS),
    row("sasl.oauthbearer.jwt.validator.class", ALL, Text, JAVA_CLASS),
    row("sasl.oauthbearer.*", ALL, Secret, OAUTH).only(Worker("it makes the worker read files or call other servers")),
    row("security.protocol", ALL, OneOfAnyCase(&["SASL_SSL", "PLAINTEXT", "SSL", "SASL_PLAINTEXT"]), Mapped("security.protocol")).default("PLAINTEXT"),
    row("security.providers", ALL, Text, JAVA).only(NAMES_CLASSES),
    row("send.buffer.bytes", ALL, Int(-1), Numbers(&[("socket.send.buffer.bytes", 0, 100_000_000)])),
    row("socket.connection.setup.timeout.max.ms", ALL, Long(0), Ignored("the time for a connection does not grow")),
    // Java's is for TCP alone, librdkafka's for TLS and login, too, hence its own default.
    row("socket.connection.setup.timeout.ms", ALL, Long(0), Numbers(&[("socket.connection.setup.timeout.ms", 1000, INT)])),
    row("ssl.cipher.suites", ALL, Text, Refused("ciphers cannot be chosen by their Java names; leave it out, or restrict them at the broker")),
    row("ssl.enabled.protocols", ALL, Text, Converted(tls_versions)),
    row("ssl.endpoint.identification.algorithm", ALL, Text, Converted(host_check)).default("https"),
    row("ssl.engine.factory.class", ALL, Text, JAVA_CLASS),
    row("ssl.key.password", ALL, Secret, Joint),
    row("ssl.keymanager.algorithm", ALL, Text, JAVA),
    row("ssl.keystore.certificate.chain", ALL, Secret, Joint),
    row("ssl.keystore.key", ALL, Secret, Joint),
    row("ssl.keystore.location", ALL, Text, Joint).only(READS_FILES),
    row("ssl.keystore.password", ALL, Secret, Joint),
    row("ssl.keystore.type", ALL, Text, Joint),
    row("ssl.protocol", ALL, Text, Ignored("the newest version of TLS that the broker knows is used")),
    row("ssl.provider", ALL, Text, JAVA),
    row("ssl.secure.random.implementation", ALL, Text, JAVA),
    row("ssl.trustmanager.algorithm", ALL, Text, JAVA),
    row("ssl.truststore.certificates", ALL, Secret, Joint),
    row("ssl.truststore.location", ALL, Text, Joint).only(READS_FILES),
    row("ssl.truststore.password", ALL, Secret, Joint),
    row("ssl.truststore.type", ALL, Text, Joint),

    // Producers.
    row("acks", P, OneOf(&["all", "-1", "0", "1"]), Mapped("acks")).default("all"),
    // Java: 16384. Large batches are what makes a worker fast.
    row("batch.size", P, Int(0), Numbers(&[("batch.size", 1, INT)])).default("1048576"),
    // Java: 32 MB for each task. Tasks share a producer here, each with a limit of its own.
    row("buffer.memory", P, Long(0), Converted(buffer_memory)).default("1073741824"),
    row("compression.gzip.level", P, Int(-1), Joint),
    row("compression.lz4.level", P, Int(1), Joint),
    row("compression.type", P, OneOf(&["none", "gzip", "snappy", "lz4", "zstd"]), Mapped("compression.codec")).default("none"),
    row("compression.zstd.level", P, Int(-131_072), Joint),
    // Kafka Connect's: a record is tried until it is there, or the task stopped.
    row("delivery.timeout.ms", P, Int(0), Numbers(&[("message.timeout.ms", 1, INT)])).default("2147483647"),
    row("enable.idempotence", P, Flag, Joint),
    row("interceptor.classes", P | C, Text, JAVA_CLASS),
    row("key.serializer", P, Text, BYTES).only(NAMES_CLASSES),
    row("linger.ms", P, Long(0), Numbers(&[("linger.ms", 0, 900_000)])).default("5"),
    row("max.block.ms", P, Long(0), Ignored("a task waits for room as long as it takes")),
    row("max.in.flight.requests.per.connection", P, Int(1), Joint),
    row("max.request.size", P, Int(0), Numbers(&[("message.max.bytes", 1000, 1_000_000_000)])).default("1048576"),
    row("metadata.max.idle.ms", P, Long(5000), Ignored("topics are known as long as the producer lives")),
    row("partitioner.adaptive.partitioning.enable", P, Flag, Ignored("slow brokers get as many records as others")),
    row("partitioner.availability.timeout.ms", P, Long(0), Ignored("slow brokers get as many records as others")),
    row("partitioner.class", P, Text, Converted(partitioner)),
    row("partitioner.ignore.keys", P, Flag, Converted(ignore_keys)),
    row("retries", P, Int(0), Numbers(&[("retries", 0, INT)])).default("2147483647"),
    row("retries", A, Int(0), OUR_TIMES),
    row("transaction.timeout.ms", P, Int(0), TRANSACTIONS),
    row("transaction.two.phase.commit.enable", P, Flag, TRANSACTIONS),
    row("transactional.id", P, Text, TRANSACTIONS),
    row("value.serializer", P, Text, BYTES).only(NAMES_CLASSES),

    // Consumers.
    row("allow.auto.create.topics", C, Flag, Mapped("allow.auto.create.topics")).default("true"),
    row("auto.commit.interval.ms", C, Int(0), Ignored("offsets are committed every offset.flush.interval.ms")),
    // Kafka Connect's, not the Java client's.
    row("auto.offset.reset", C, OneOf(&["earliest", "latest", "none"]), Converted(offset_reset)).default("earliest"),
    row("check.crcs", C, Flag, Mapped("check.crcs")).default("true"),
    row("client.rack", C, Text, Mapped("client.rack")),
    row("default.api.timeout.ms", C | A, Int(0), OUR_TIMES),
    row("enable.auto.commit", C, Flag, Fixed(&["false"], "offsets are committed when the sink says that records are durable")),
    row("exclude.internal.topics", C, Flag, Converted(internal_topics)).default("true"),
    // Unset, librdkafka's default, which is Java's but never more than the prefetch budget.
    row("fetch.max.bytes", C, Int(0), Numbers(&[("fetch.max.bytes", 1, 2_147_483_135)])),
    row("fetch.max.wait.ms", C, Int(0), Numbers(&[("fetch.wait.max.ms", 0, 300_000)])).default("500"),
    row("fetch.min.bytes", C, Int(0), Numbers(&[("fetch.min.bytes", 1, 100_000_000)])).default("1"),
    row("group.id", C, Text, Converted(group_id)).only(Connectors("all sinks would be in one group; it is connect- and the connector's name, and consumer.override.group.id changes it")),
    row("group.instance.id", C, Text, Refused("the worker names its members; static.membership=false makes them dynamic")),
    row("group.protocol", C, OneOfAnyCase(&["CONSUMER", "CLASSIC"]), Fixed(&["classic"], "with the newer protocol a member that comes back is fenced by its dead predecessor")),
    row("group.remote.assignor", C, Text, Ignored("it is for group.protocol=consumer")),
    row("heartbeat.interval.ms", C, Int(1), Numbers(&[("heartbeat.interval.ms", 1, 3_600_000)])).default("3000"),
    row("isolation.level", C, OneOf(&["read_committed", "read_uncommitted"]), Mapped("isolation.level")).default("read_uncommitted"),
    row("key.deserializer", C, Text, BYTES).only(NAMES_CLASSES),
    // Java: 1 MB. Large fetches are what makes a worker fast.
    row("max.partition.fetch.bytes", C, Int(0), Numbers(&[("fetch.message.max.bytes", 1, 1_000_000_000)])).default("8388608"),
    row("max.poll.interval.ms", C, Int(1), Numbers(&[("max.poll.interval.ms", 1, 86_400_000)])).default("300000"),
    row("max.poll.records", C, Int(1), Kept),
    row("partition.assignment.strategy", C, Text, Fixed(&["cooperative-sticky", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"], "all members of a group have to agree on it")),
    row("session.timeout.ms", C, Int(1), Numbers(&[("session.timeout.ms", 1, 3_600_000)])).default("45000"),
    row("value.deserializer", C, Text, BYTES).only(NAMES_CLASSES),

    // Admin clients.
    row("bootstrap.controllers", A, Text, Refused("controllers are not spoken to; set bootstrap.servers")),
];

/// librdkafka's names whose Java counterparts the rows do not tell.
const COUNTERPARTS: &[(&str, &str)] = &[
    ("compression.level", "compression.zstd.level (or gzip, or lz4)"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("message.send.max.retries", "retries"),
    ("metadata.broker.list", "bootstrap.servers"),
    ("partitioner", "partitioner.class"),
    ("queue.buffering.max.kbytes", "buffer.memory (in bytes)"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("request.required.acks", "acks"),
    ("sasl.mechanisms", "sasl.mechanism"),
    ("sasl.password", "sasl.jaas.config"),
    ("sasl.username", "sasl.jaas.config"),
    ("ssl.ca.location", "ssl.truststore.location with ssl.truststore.type=PEM"),
    ("ssl.ca.pem", "ssl.truststore.certificates with ssl.truststore.type=PEM"),
    ("ssl.certificate.location", "ssl.keystore.location with ssl.keystore.type=PEM"),
    ("ssl.certificate.pem", "ssl.keystore.certificate.chain with ssl.keystore.type=PEM"),
    ("ssl.key.location", "ssl.keystore.location with ssl.keystore.type=PEM"),
    ("ssl.key.pem", "ssl.keystore.key with ssl.keystore.type=PEM"),
];

const LOADS_CODE: &str = "it loads code into the worker";
const FILES: &str = "it reads a file of the worker's machine";
const WORKERS_LOG: &str = "what is logged is for the worker alone";

/// librdkafka's names that stand for nothing in Java, or for nothing that a connector may set.
const NATIVE_ONLY: &[(&str, &str)] = &[
    ("debug", WORKERS_LOG),
    ("enable.auto.offset.store", "offsets are committed when the sink says that records are durable"),
    ("enable.ssl.certificate.verification", "the broker's certificate is always verified"),
    ("https.ca.location", FILES),
    ("log_level", WORKERS_LOG),
    ("plugin.library.paths", LOADS_CODE),
    ("queue.buffering.max.messages", "the queue is limited by bytes, with buffer.memory"),
    ("queued.max.messages.kbytes", "the worker divides its consumer.prefetch.max.bytes"),
    ("ssl.ca.location", FILES),
    ("ssl.certificate.location", FILES),
    ("ssl.crl.location", FILES),
    ("ssl.engine.id", LOADS_CODE),
    ("ssl.engine.location", LOADS_CODE),
    ("ssl.key.location", FILES),
    ("ssl.providers", LOADS_CODE),
    ("statistics.interval.ms", "metrics are the worker's"),
];

/// The rows for one kind of client.
pub(super) fn rows(kind: ClientKind) -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(move |row| kind.is_in(row.clients))
}

/// The row of a name; the first that fits counts.
pub(super) fn find(kind: ClientKind, name: &str) -> Option<&'static Row> {
    rows(kind).find(|row| row.is_for(name))
}

/// What Java calls a setting, if librdkafka's name of it was written.
pub(super) fn java_name(kind: ClientKind, native: &str) -> Option<&'static str> {
    let mapped = rows(kind).find(|row| match row.treatment {
        Mapped(name) => name == native,
        Numbers(bounded) => bounded.iter().any(|(name, ..)| *name == native),
        _ => false,
    });
    let counterpart = || COUNTERPARTS.iter().find(|(name, _)| *name == native).map(|(_, java)| *java);
    mapped.map(|row| row.name).or_else(counterpart)
}

/// Why a setting of librdkafka is not to be had.
pub(super) fn native_only(name: &str) -> Option<&'static str> {
    NATIVE_ONLY.iter().find(|(native, _)| *native == name).map(|(_, why)| *why)
}

fn servers(value: &str, settings: &mut ClientSettings) -> Result<(), String> {
    let servers: Vec<_> = value.split(',').map(str::trim).filter(|server| !server.is_empty()).collect();
    let has_port = |server: &&str| {
        server.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    if servers.is_empty() || !servers.iter().all(has_port) {
        return Err("must be host:port, or several of them with commas between".to_owned());
    }
    settings.set("bootstrap.servers", servers.join(","));
    Ok(())
}

/// librdkafka speaks the versions that Java has by default, and cannot be kept from one of them. Who has 1.2
/// among the enabled ones is served well by 1.3.
fn tls_versions(value: &str, _settings: &mut ClientSettings) -> Result<(), String> {
    match value.split(',').any(|version| version.trim().eq_ignore_ascii_case("TLSv1.2")) || value.is_empty() {
        true => Ok(()),
        false => {
            Err("TLS 1.2 and 1.3 cannot be turned off here; leave it out, or restrict the versions at the \
                      broker"
                .to_owned())
        }
    }
}

fn host_check(value: &str, settings: &mut ClientSettings) -> Result<(), String> {
    let native = match value.to_ascii_lowercase().as_str() {
        "https" => "https",
        // Java's way to turn it off.
        "" => "none",
        _ => return Err("must be https, or empty for no check of the host name".to_owned()),
    };
    settings.set("ssl.endpoint.identification.algorithm", native);
    Ok(())
}

fn buffer_memory(value: &str, settings: &mut ClientSettings) -> Result<(), String> {
    let bytes: i64 = value.parse().map_err(|_| "must be a number of bytes".to_owned())?;
    // Rounded up.
    let kilobytes = bytes / 1024 + i64::from(bytes % 1024 != 0);
    settings.set("queue.buffering.max.kbytes", kilobytes.clamp(1, INT).to_string());
    Ok(())
}

fn partitioner(value: &str, _settings: &mut ClientSettings) -> Result<(), String> {
    match value {
        "" | "org.apache.kafka.clients.producer.internals.DefaultPartitioner" => Ok(()),
        _ => Err(
            "records go where Java's default partitioner puts them, and no Java class can run here; leave \
                  it out"
                .to_owned(),
        ),
    }
}

fn ignore_keys(value: &str, settings: &mut ClientSettings) -> Result<(), String> {
    if value.eq_ignore_ascii_case("true") {
        settings.set("partitioner", "random");
    }
    Ok(())
}

/// Java's broker refuses it, librdkafka takes it for a consumer without a group.
fn group_id(value: &str, settings: &mut ClientSettings) -> Result<(), String> {
    if value.is_empty() {
        return Err("must not be empty; leave it out for connect- and the connector's name".to_owned());
    }
    settings.set("group.id", value);
    Ok(())
}

fn offset_reset(value: &str, settings: &mut ClientSettings) -> Result<(), String> {
    settings.set("auto.offset.reset", if value == "none" { "error" } else { value });
    Ok(())
}

/// librdkafka hides topics from a consumer altogether, where Java only keeps patterns from meeting them.
fn internal_topics(value: &str, settings: &mut ClientSettings) -> Result<(), String> {
    if value.eq_ignore_ascii_case("true") {
        settings.set("topic.blacklist", "^__consumer_offsets$,^__transaction_state$,^__share_group_state$");
    }
    Ok(())
}
