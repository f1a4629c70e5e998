#[path = "java_names.rs"]
mod java_names;

use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::{BaseProducer, DefaultProducerContext};

use java_names::JAVA;

use super::ClientKind::{Admin, Consumer, Producer};
use super::row::{Takes, Treatment};
use super::*;
use crate::config::RawConfig;

/// Settings of the worker for all clients, for one kind, and of the connector.
#[derive(Default)]
pub(super) struct Layers {
    pub(super) common: RawConfig,
    pub(super) prefixed: RawConfig,
    pub(super) overrides: RawConfig,
}

impl Layers {
    pub(super) fn new(prefixed: &[(&str, &str)], overrides: &[(&str, &str)]) -> Self {
        let common = raw(&[("bootstrap.servers", "127.0.0.1:1")]);
        Self { common, prefixed: raw(prefixed), overrides: raw(overrides) }
    }

    pub(super) fn resolve(&self, kind: ClientKind) -> Result<ClientSettings, Problems> {
        self.resolve_under(kind, OverridePolicy::All)
    }

    fn resolve_under(&self, kind: ClientKind, policy: OverridePolicy) -> Result<ClientSettings, Problems> {
        let Self { common, prefixed, overrides } = self;
        resolve(kind, &ClientSource { common, prefixed, overrides, policy })
    }
}

pub(super) fn raw(pairs: &[(&str, &str)]) -> RawConfig {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// With these settings of the worker for this kind.
#[track_caller]
pub(super) fn with(kind: ClientKind, prefixed: &[(&str, &str)]) -> ClientSettings {
    Layers::new(prefixed, &[]).resolve(kind).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The problems of these settings of the worker, as text.
#[track_caller]
pub(super) fn problems(kind: ClientKind, prefixed: &[(&str, &str)]) -> Vec<String> {
    let problems = Layers::new(prefixed, &[]).resolve(kind).expect_err("there is something wrong");
    problems.0.iter().map(ToString::to_string).collect()
}

/// The only problem of these settings of the connector.
#[track_caller]
pub(super) fn override_problem(kind: ClientKind, name: &str, value: &str) -> String {
    let problems = Layers::new(&[], &[(name, value)]).resolve(kind).expect_err(name);
    let [problem] = problems.0.as_slice() else { panic!("{problems}") };
    problem.to_string()
}

/// Makes a client of librdkafka's.
#[track_caller]
pub(super) fn is_taken_by_librdkafka(kind: ClientKind, settings: &ClientSettings) {
    let mut config = ClientConfig::new();
    for (name, value) in settings.native() {
        let _ = config.set(name, value);
    }
    let made = match kind {
        Consumer => config.create::<BaseConsumer>().map(drop),
        Producer => config.create::<BaseProducer<DefaultProducerContext>>().map(drop),
        // It may be made as either.
        Admin => config
            .create::<BaseConsumer>()
            .and_then(|_| config.create::<BaseProducer<DefaultProducerContext>>())
            .map(drop),
    };
    made.unwrap_or_else(|error| panic!("{settings:?}: {error}"));
}

/// Values that a row takes, the extreme ones among them.
fn samples(row: &row::Row) -> Vec<String> {
    let own: &[&str] = match (row.name, row.treatment) {
        ("bootstrap.servers", _) => &["a:1", "a:1,[::1]:2"],
        ("partitioner.class", _) => &[""],
        ("ssl.enabled.protocols", _) => &["TLSv1.2,TLSv1.3", "TLSv1.2"],
        ("ssl.endpoint.identification.algorithm", _) => &["https", "HTTPS", ""],
        (_, Treatment::Fixed(same, _)) => return same.iter().map(|&value| value.to_owned()).collect(),
        _ => &[],
    };
    if !own.is_empty() {
        return own.iter().map(|&value| value.to_owned()).collect();
    }
    let numbers =
        |min: i64, max: i64| [min, 1.max(min), 100_000, max].map(|number| number.to_string()).to_vec();
    match row.takes {
        Takes::Text | Takes::Secret => vec!["text".to_owned()],
        Takes::Flag => ["true", "false", "TRUE"].map(str::to_owned).to_vec(),
        Takes::Int(min) => numbers(min, i32::MAX.into()),
        Takes::Long(min) => numbers(min, i64::MAX),
        Takes::OneOf(values) => values.iter().map(|&value| value.to_owned()).collect(),
        Takes::OneOfAnyCase(values) => {
            values.iter().flat_map(|value| [value.to_ascii_lowercase(), value.to_ascii_uppercase()]).collect()
        }
    }
}

#[test]
fn every_row_gives_librdkafka_what_it_takes() {
    for kind in ClientKind::ALL {
        for row in table::rows(kind) {
            for value in samples(row) {
                let map = raw(&[(row.name, &value)]);
                let none = RawConfig::new();
                let policy = OverridePolicy::All;
                let source = ClientSource { common: &none, prefixed: &none, overrides: &map, policy };
                let mut outcome = Outcome::default();
                let given = Given::gather(kind, &source, &mut outcome.problems);
                row.apply(&given, &mut outcome);
                if matches!(row.treatment, Treatment::Refused(_)) || matches!(row.who, row::Who::Worker(_)) {
                    assert_eq!(outcome.problems.0.len(), 1, "{}={value}", row.name);
                    continue;
                }
                assert_eq!(outcome.problems, Problems::default(), "{}={value}", row.name);
                let mut config = ClientConfig::new();
                for (name, value) in outcome.settings.native() {
                    let _ = config.set(name, value);
                }
                if let Err(error) = config.create_native_config() {
                    panic!("{}={value}: {error}", row.name);
                }
            }
        }
    }
}

#[test]
fn every_name_of_javas_clients_is_known() {
    for (kinds, names) in JAVA {
        for name in names.split_whitespace() {
            for kind in ClientKind::ALL {
                assert_eq!(table::find(kind, name).is_some(), kinds.contains(&kind), "{kind:?} {name}");
            }
        }
    }
}

#[test]
fn no_row_hides_another() {
    for kind in ClientKind::ALL {
        for row in table::rows(kind) {
            let first = table::find(kind, row.name.trim_end_matches('*')).expect("its own row fits");
            assert_eq!(first.name, row.name);
        }
    }
}

#[test]
fn defaults_make_a_client() {
    for kind in ClientKind::ALL {
        let settings = with(kind, &[]);
        is_taken_by_librdkafka(kind, &settings);
        assert_eq!(settings.get("bootstrap.servers"), Some("127.0.0.1:1"));
    }
}

#[track_caller]
fn has(settings: &ClientSettings, pairs: &[(&str, &str)]) {
    for (name, value) in pairs {
        assert_eq!(settings.get(name), Some(*value), "{name}");
    }
}

#[test]
fn a_producer_is_as_kafka_connect_sets_it() {
    has(
        &with(Producer, &[]),
        &[
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("partitioner", "murmur2_random"),
            ("retries", "2147483647"),
            ("message.timeout.ms", "2147483647"),
            ("max.in.flight.requests.per.connection", "5"),
            ("message.max.bytes", "1048576"),
            ("compression.codec", "none"),
            ("request.timeout.ms", "30000"),
            ("reconnect.backoff.ms", "50"),
            ("reconnect.backoff.max.ms", "1000"),
            // For throughput.
            ("batch.size", "1048576"),
            ("linger.ms", "5"),
            ("batch.num.messages", "100000"),
        ],
    );
}

#[test]
fn a_consumer_is_as_kafka_connect_sets_it() {
    let settings = with(Consumer, &[]);
    has(
        &settings,
        &[
            ("auto.offset.reset", "earliest"),
            ("isolation.level", "read_uncommitted"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("group.protocol", "classic"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("session.timeout.ms", "45000"),
            ("max.poll.interval.ms", "300000"),
            ("heartbeat.interval.ms", "3000"),
            ("fetch.min.bytes", "1"),
            ("fetch.wait.max.ms", "500"),
            ("allow.auto.create.topics", "true"),
            ("check.crcs", "true"),
            ("connections.max.idle.ms", "540000"),
        ],
    );
    // It follows the prefetch budget.
    assert_eq!(settings.get("fetch.max.bytes"), None);
}

#[test]
fn later_layers_win() {
    let mut layers = Layers::new(&[("linger.ms", "20"), ("client.id", "b")], &[("linger.ms", "30")]);
    let _ = layers.common.insert("client.id".to_owned(), "a".to_owned());
    has(&layers.resolve(Producer).unwrap(), &[("linger.ms", "30"), ("client.id", "b")]);
    layers.prefixed.clear();
    has(&layers.resolve(Producer).unwrap(), &[("linger.ms", "30"), ("client.id", "a")]);
    layers.overrides = raw(&[("bootstrap.servers", "other:9092")]);
    has(&layers.resolve(Producer).unwrap(), &[("linger.ms", "5"), ("bootstrap.servers", "other:9092")]);
}

#[test]
fn common_settings_of_other_clients_are_passed_over() {
    let mut layers = Layers::new(&[], &[]);
    let _ = layers.common.insert("client.rack".to_owned(), "r".to_owned());
    assert_eq!(layers.resolve(Producer).unwrap().get("client.rack"), None);
    assert_eq!(layers.resolve(Consumer).unwrap().get("client.rack"), Some("r"));
}

#[test]
fn all_problems_are_told_at_once_in_javas_words() {
    let mut layers = Layers::new(
        &[("linger.ms", "soon"), ("acks", "most"), ("batch.sise", "7"), ("fetch.min.bytes", "1")],
        &[("max.in.flight.requests.per.connection", "0"), ("transactional.id", "t")],
    );
    let _ = layers.common.insert("security.protocol".to_owned(), "TLS".to_owned());
    let mut told: Vec<_> = layers.resolve(Producer).unwrap_err().0.iter().map(ToString::to_string).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "Invalid value 0 for configuration producer.override.max.in.flight.requests.per.connection: Value \
             must be at least 1",
            "Invalid value TLS for configuration security.protocol: String must be one of (case insensitive): \
             SASL_SSL, PLAINTEXT, SSL, SASL_PLAINTEXT",
            "Invalid value most for configuration producer.acks: String must be one of: all, -1, 0, 1",
            "Invalid value soon for configuration producer.linger.ms: Not a number of type LONG",
            "producer.batch.sise: unknown setting; did you mean producer.batch.size?",
            "producer.fetch.min.bytes: is no setting of a producer; for the consumer write \
             consumer.fetch.min.bytes",
            "producer.override.transactional.id=t: cannot be set: there are no transactions for sources yet; \
             leave it out",
        ]
    );
}

#[test]
fn connectors_may_override_javas_names_alone() {
    let refused = |name: &str, reason: &str| {
        let problem = override_problem(Consumer, name, "x");
        assert!(problem.starts_with(&format!("consumer.override.{name}")), "{problem}");
        assert!(problem.contains(reason), "{problem}");
    };
    refused("plugin.library.paths", "loads code");
    refused("ssl.ca.location", "reads a file");
    refused("ssl.engine.location", "loads code");
    refused("ssl.truststore.location", "reads a file");
    refused("ssl.keystore.location", "reads a file");
    refused("sasl.kerberos.kinit.cmd", "runs a command");
    refused("sasl.oauthbearer.assertion.file", "read files");
    refused("interceptor.classes", "names Java classes");
    refused("metric.reporters", "names code");
    refused("security.providers", "names code");
    refused("fetch.wait.max.ms", "write Java's, fetch.max.wait.ms");
    refused("queued.max.messages.kbytes", "prefetch");
    refused("sasl.username", "write Java's, sasl.jaas.config");
}

#[test]
fn the_worker_is_told_javas_name_for_librdkafkas() {
    assert_eq!(
        problems(Producer, &[("ssl.ca.location", "/etc/ca.pem"), ("queue.buffering.max.kbytes", "1")]),
        [
            "producer.queue.buffering.max.kbytes: is librdkafka's name of a setting; write Java's, buffer.memory \
             (in bytes)",
            "producer.ssl.ca.location: is librdkafka's name of a setting; write Java's, ssl.truststore.location \
             with ssl.truststore.type=PEM",
        ]
    );
}

#[test]
fn the_policy_is_upheld() {
    let layers = Layers::new(&[], &[("linger.ms", "1")]);
    assert!(layers.resolve(Producer).is_ok());
    let problems = layers.resolve_under(Producer, OverridePolicy::Principal).unwrap_err();
    assert_eq!(
        problems.0[0].message,
        "The 'Principal' policy does not allow 'linger.ms' to be overridden in the connector configuration."
    );
}

#[test]
fn what_membership_needs_cannot_be_changed_and_the_same_can_be_written() {
    let _ = with(
        Consumer,
        &[
            ("enable.auto.commit", "false"),
            ("group.protocol", "classic"),
            ("partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"),
        ],
    );
    for (name, value) in [
        ("enable.auto.commit", "true"),
        ("group.protocol", "consumer"),
        ("partition.assignment.strategy", "range"),
        ("group.instance.id", "me"),
    ] {
        assert!(override_problem(Consumer, name, value).contains("cannot be"), "{name}");
    }
}

#[test]
fn a_sink_may_name_its_group_and_the_worker_may_not() {
    let settings = Layers::new(&[], &[("group.id", "mine")]).resolve(Consumer).unwrap();
    assert_eq!(settings.get("group.id"), Some("mine"));
    assert!(problems(Consumer, &[("group.id", "all")])[0].contains("consumer.override.group.id"));
    assert!(override_problem(Consumer, "group.id", "").contains("must not be empty"));
}

#[test]
fn the_limit_of_a_poll_is_kept_from_librdkafka() {
    let settings = with(Consumer, &[("max.poll.records", "5")]);
    assert_eq!(settings.get("max.poll.records"), Some("5"));
    assert!(settings.native().all(|(name, _)| name != "max.poll.records"));
}

#[test]
fn values_are_converted() {
    let settings = with(
        Producer,
        &[("buffer.memory", "33554432"), ("send.buffer.bytes", "-1"), ("retry.backoff.ms", "0")],
    );
    has(
        &settings,
        &[
            ("queue.buffering.max.kbytes", "32768"),
            ("socket.send.buffer.bytes", "0"),
            ("retry.backoff.ms", "1"),
        ],
    );
    has(&with(Producer, &[("partitioner.ignore.keys", "true")]), &[("partitioner", "random")]);
    has(&with(Consumer, &[("auto.offset.reset", "none")]), &[("auto.offset.reset", "error")]);
    assert_eq!(with(Consumer, &[("exclude.internal.topics", "false")]).get("topic.blacklist"), None);
}

#[test]
fn settings_are_extended_without_being_changed() {
    let settings = with(Consumer, &[]);
    let other = settings.with("group.id", "g");
    assert_eq!((settings.get("group.id"), other.get("group.id")), (None, Some("g")));
    assert_ne!(settings, other);
    assert_eq!(settings, with(Consumer, &[]));
}

#[test]
fn names_of_some_java_client_are_client_keys() {
    for name in ["linger.ms", "group.id", "ssl.truststore.type", "sasl.login.refresh.window.factor"] {
        assert!(is_client_key(name), "{name}");
    }
    assert!(!is_client_key("plugin.path"));
}
