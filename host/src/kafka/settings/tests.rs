use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn settings(
    kind: ClientKind,
    common: &[(&str, &str)],
    prefixed: &[(&str, &str)],
    overrides: &[(&str, &str)],
) -> Result<ClientSettings, Problems> {
    let (common, prefixed, overrides) = (map(common), map(prefixed), map(overrides));
    let policy = OverridePolicy::All;
    resolve(kind, &ClientSource { common: &common, prefixed: &prefixed, overrides: &overrides, policy })
}

fn get<'a>(settings: &'a ClientSettings, name: &str) -> &'a str {
    settings.0.get(name).map_or("", String::as_str)
}

#[test]
fn defaults_are_javas_as_connect_sets_them() {
    let producer = settings(ClientKind::Producer, &[("bootstrap.servers", "b:1")], &[], &[]).unwrap();
    assert_eq!(get(&producer, "acks"), "-1");
    assert_eq!(get(&producer, "enable.idempotence"), "true");
    assert_eq!(get(&producer, "partitioner"), "murmur2_random");
    assert_eq!(get(&producer, "message.timeout.ms"), "0");
    let consumer = settings(ClientKind::Consumer, &[], &[], &[]).unwrap();
    assert_eq!(get(&consumer, "auto.offset.reset"), "earliest");
    assert_eq!(get(&consumer, "isolation.level"), "read_uncommitted");
    assert_eq!(get(&consumer, "enable.auto.commit"), "false");
}

#[test]
fn librdkafka_knows_every_default_and_every_native_name() {
    for (_, name, value) in DEFAULTS.iter().chain(FIXED) {
        assert_eq!(Conf::new().set(name, value), Check::Good, "{name}={value}");
    }
    for row in TABLE {
        if let Treatment::As(native) = row.treatment {
            assert_ne!(Conf::new().set(native, "1"), Check::Unknown, "{} as {native}", row.name);
        }
    }
}

#[test]
fn each_layer_wins_over_the_one_before() {
    let settings = settings(
        ClientKind::Producer,
        &[("client.id", "common")],
        &[("client.id", "worker"), ("linger.ms", "7")],
        &[("linger.ms", "9")],
    )
    .unwrap();
    assert_eq!(get(&settings, "client.id"), "worker");
    assert_eq!(get(&settings, "linger.ms"), "9");
}

#[test]
fn all_problems_are_told_at_once_under_the_keys_the_user_wrote() {
    let problems = settings(
        ClientKind::Producer,
        &[],
        &[("linger.mss", "5"), ("batch.size", "many")],
        &[("compression.type", "rar"), ("ssl.truststore.location", "/etc/passwd"), ("queue.buffering.max.ms", "1")],
    )
    .unwrap_err();
    let shown = problems.to_string();
    assert_eq!(problems.0.len(), 5, "{shown}");
    assert!(shown.contains("producer.linger.mss") && shown.contains("did you mean linger.ms?"), "{shown}");
    assert!(shown.contains("producer.batch.size=many"), "{shown}");
    assert!(shown.contains("producer.override.compression.type=rar"), "{shown}");
    assert!(shown.contains("producer.override.ssl.truststore.location: a connector cannot override it"), "{shown}");
    assert!(shown.contains("producer.override.queue.buffering.max.ms: unknown setting"), "{shown}");
}

#[test]
fn what_the_worker_decides_cannot_be_set_by_anybody() {
    for name in ["enable.auto.commit", "group.protocol", "partition.assignment.strategy", "group.instance.id"] {
        assert!(settings(ClientKind::Consumer, &[], &[(name, "x")], &[]).is_err(), "{name}");
        assert!(settings(ClientKind::Consumer, &[], &[], &[(name, "x")]).is_err(), "{name}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"se\\\"cret\";";
    let good = settings(ClientKind::Producer, &[("sasl.jaas.config", jaas)], &[], &[]).unwrap();
    assert_eq!(get(&good, "sasl.password"), "se\"cret");
    assert!(!format!("{good:?}").contains("cret"));
    let bad = settings(ClientKind::Producer, &[("sasl.jaas.config", "secret stuff")], &[], &[]).unwrap_err();
    assert!(!format!("{bad:?} {bad}").contains("secret stuff"));
}

#[test]
fn without_idempotence_one_request_is_in_flight() {
    let settings = settings(ClientKind::Producer, &[], &[], &[("enable.idempotence", "false")]).unwrap();
    assert_eq!(get(&settings, "max.in.flight"), "1");
}

#[test]
fn idempotence_with_weaker_acks_is_refused_as_in_java() {
    let problems = settings(ClientKind::Producer, &[], &[("acks", "1")], &[]).unwrap_err();
    assert!(problems.to_string().contains("Must set acks to all"));
}

#[test]
fn the_policy_of_the_worker_counts() {
    let (none, overrides) = (map(&[]), map(&[("linger.ms", "1")]));
    let source = ClientSource { common: &none, prefixed: &none, overrides: &overrides, policy: OverridePolicy::None };
    let problems = resolve(ClientKind::Producer, &source).unwrap_err();
    assert!(problems.to_string().contains("The 'None' policy does not allow 'linger.ms'"));
}

#[test]
fn java_key_stores_are_refused_with_the_way_out() {
    let problems = settings(ClientKind::Admin, &[("ssl.truststore.location", "/s/trust.jks")], &[], &[]).unwrap_err();
    assert!(problems.to_string().contains("PEM"));
}
