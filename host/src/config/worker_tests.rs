//! A worker's configuration: what is read, what is refused, what is said about it.

use super::*;

const SMALLEST: &[(&str, &str)] = &[
    ("key.converter", "String"),
    ("value.converter", "Json"),
    ("offset.storage.file.filename", "offsets.json"),
];

fn parse(pairs: &[(&str, &str)]) -> Result<WorkerConfig, Problems> {
    let raw = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let surroundings = Surroundings {
        variables: [("HOME".to_owned(), "/home/me".to_owned())].into(),
        hostname: "here".to_owned(),
        directory: "/work".into(),
    };
    WorkerConfig::parse(Mode::Standalone, &raw, &surroundings)
}

fn with(pairs: &[(&str, &str)]) -> Result<WorkerConfig, Problems> {
    let all: BTreeMap<&str, &str> = SMALLEST.iter().chain(pairs).copied().collect();
    parse(&all.into_iter().collect::<Vec<_>>())
}

#[track_caller]
fn refused(key: &str, value: &str, message: &str) {
    let problems = with(&[(key, value)]).unwrap_err();
    assert_eq!(problems.0.len(), 1, "{problems}");
    assert_eq!(problems.0[0].key, key);
    assert!(problems.0[0].message.contains(message), "{problems}");
}

#[test]
fn three_settings_are_enough() {
    let config = parse(SMALLEST).unwrap();
    assert_eq!(config.offsets_file, Path::new("/work/offsets.json"));
    assert_eq!(config.client["bootstrap.servers"], "localhost:9092");
    assert_eq!(config.offset_flush_interval, Duration::from_secs(60));
    assert_eq!(config.shutdown_timeout, Duration::from_secs(5));
    assert_eq!(config.rest.listeners, [(String::new(), 8083)]);
    assert_eq!(config.advertised, "here:8083");
    assert_eq!(config.identity(), "here:/work/offsets.json");
    assert_eq!(config.plugin_cache_dir, Path::new("/home/me/.cache/transom/compiled"));
    assert_eq!((config.prefetch_bytes, config.in_flight_bytes), (256 << 20, 32 << 20));
    assert!(config.static_membership && config.plugin_path.is_empty() && config.notes.is_empty());
    assert_eq!(config.sandboxes.of("any"), super::super::Sandbox::default());
}

#[test]
fn all_problems_are_reported_at_once() {
    let problems = parse(&[
        ("value.converter", "Avro"),
        ("offset.flush.interval.ms", "soon"),
        ("bootstrap.servers", "localhost"),
        ("listeners", "https://:8443,http:8083"),
        ("plugins.path", "/plugins"),
        ("sandbox.p.fs", "data"),
    ])
    .unwrap_err();
    let mut keys: Vec<_> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(
        keys,
        [
            "bootstrap.servers",
            "key.converter",
            "listeners",
            "offset.flush.interval.ms",
            "offset.storage.file.filename",
            "plugins.path",
            "sandbox.p.fs",
            "value.converter"
        ],
        "{problems}"
    );
}

#[test]
fn an_unknown_setting_is_a_problem_with_the_nearest_known_name() {
    refused("offset.flush.intervall.ms", "1", "did you mean offset.flush.interval.ms?");
    refused("plugin_path", "/p", "did you mean plugin.path?");
    refused("ssl.trustore.location", "/t", "did you mean ssl.truststore.location?");
    refused("key.converter.schema.enable", "false", "did you mean key.converter.schemas.enable?");
    refused("acks", "all", "producer., consumer. or admin.");
    assert_eq!(with(&[("sasl_password", "secret")]).unwrap_err().0[0].value, None);
}

#[test]
fn settings_of_clients_are_kept_without_their_prefix() {
    let config = with(&[
        ("bootstrap.servers", " a:1 , b:2 "),
        ("security.protocol", "SSL"),
        ("ssl.truststore.location", "/t.jks"),
        ("producer.linger.ms", "5"),
        ("consumer.fetch.min.bytes", "1"),
        ("consumer.prefetch.max.bytes", "2000000"),
        ("admin.retries", "3"),
    ])
    .unwrap();
    assert_eq!(config.client["bootstrap.servers"], "a:1,b:2");
    assert_eq!(config.client["security.protocol"], "SSL");
    assert_eq!(config.client.len(), 3);
    assert_eq!(config.producer, RawConfig::from([("linger.ms".into(), "5".into())]));
    assert_eq!(config.consumer, RawConfig::from([("fetch.min.bytes".into(), "1".into())]));
    assert_eq!(config.admin, RawConfig::from([("retries".into(), "3".into())]));
    assert_eq!(config.prefetch_bytes, 2_000_000);
}

#[test]
fn settings_that_have_no_effect_are_noted() {
    let config =
        with(&[("group.id", "g"), ("plugin.discovery", "only_scan"), ("metric.reporters", "")]).unwrap();
    assert_eq!(config.notes.len(), 3);
    assert_eq!(config.notes[0], "group.id has no effect: it is for distributed mode");
}

#[test]
fn settings_that_must_not_be_ignored_are_refused() {
    refused("rest.extension.classes", "a.B", "checks logins");
    refused("exactly.once.source.support", "enabled", "no transactions");
    assert_eq!(with(&[("exactly.once.source.support", "disabled")]).unwrap().notes.len(), 1);
    refused("listeners", "https://:8443", "proxy that ends TLS");
}

#[test]
fn listeners_have_a_host_and_a_port() {
    let config = with(&[("listeners", "http://127.0.0.1:0, HTTP://[::1]:80/")]).unwrap();
    assert_eq!(config.rest.listeners, [("127.0.0.1".to_owned(), 0), ("::1".to_owned(), 80)]);
    refused("listeners", "http://host", "http://host:8083");
    refused("listeners", "", "at least one");
    refused("listeners", "http://host:99999", "no address");
}

#[test]
fn what_is_advertised_can_be_set() {
    let advertised = |pairs: &[(&str, &str)]| with(pairs).unwrap().advertised;
    assert_eq!(advertised(&[("listeners", "http://127.0.0.1:1")]), "127.0.0.1:1");
    assert_eq!(advertised(&[("listeners", "http://0.0.0.0:1")]), "here:1");
    assert_eq!(advertised(&[("listeners", "http://[::1]:1")]), "[::1]:1");
    assert_eq!(advertised(&[("rest.advertised.host.name", "h"), ("rest.advertised.port", "2")]), "h:2");
    refused("rest.advertised.port", "70000", "up to 65535");
    refused("rest.advertised.listener", "https", "String must be one of: http");
}

#[test]
fn the_policy_is_known_by_name_and_class() {
    let policy = |text| {
        with(&[("connector.client.config.override.policy", text)]).map(|config| config.override_policy)
    };
    assert_eq!(policy("None"), Ok(OverridePolicy::None));
    let class = "org.apache.kafka.connect.connector.policy.PrincipalConnectorClientConfigOverridePolicy";
    assert_eq!(policy(class), Ok(OverridePolicy::Principal));
    assert!(policy("Some").is_err());
    assert!(
        OverridePolicy::Principal.allows("sasl.mechanism") && !OverridePolicy::Principal.allows("linger.ms")
    );
}

#[test]
fn paths_begin_where_the_worker_was_started() {
    let config = with(&[("plugin.path", "plugins, /opt/plugins"), ("plugin.cache.dir", "cache")]).unwrap();
    assert_eq!(config.plugin_path, [Path::new("/work/plugins"), Path::new("/opt/plugins")]);
    assert_eq!(config.plugin_cache_dir, Path::new("/work/cache"));
}

#[test]
fn settings_of_clients_do_not_show_in_debug_output() {
    let config = with(&[("sasl.jaas.config", "password=sesame")]).unwrap();
    assert!(!format!("{config:?}").contains("sesame"));
}

#[test]
fn the_workers_own_settings_may_stand_elsewhere() {
    let env = [
        ("config.providers", "env"),
        ("config.providers.env.class", "EnvVarConfigProvider"),
        ("config.providers.env.param.allowlist.pattern", "HOME"),
    ];
    let home = |pairs: &[(&'static str, &'static str)]| with(&[&env, pairs].concat());
    let config =
        home(&[("producer.client.rack", "r${env:HOME}"), ("plugin.path", "${env:HOME}/plugins")]).unwrap();
    assert_eq!(config.producer["client.rack"], "r/home/me");
    assert_eq!(config.plugin_path, [Path::new("/home/me/plugins")]);
    let wrong =
        home(&[("offset.flush.interval.ms", "${env:HOME}"), ("listeners", "${env:PATH}")]).unwrap_err();
    assert!(!wrong.to_string().contains("/home/me"), "{wrong}");
    let shown = wrong.to_string();
    assert!(shown.contains("Invalid value [hidden] for configuration offset.flush.interval.ms"), "{shown}");
    assert!(shown.contains("listeners: ${env:PATH} cannot be resolved"), "{shown}");
}

#[test]
fn where_secrets_are_is_checked_at_the_start() {
    refused("config.providers.file.class", "FileConfigProvider", "does not list \"file\"");
    refused("secret.token", "${file:/x:y}", "nor any other");
    refused("config.provider", "file", "unknown setting");
    assert!(with(&[("secret.token", "plain")]).is_ok());
    let file = with(&[("config.providers", "file"), ("config.providers.file.class", "FileConfigProvider")]);
    assert_eq!(file.unwrap_err().0[0].key, "config.providers.file.param.allowed.paths");
}

fn distributed(pairs: &[(&str, &str)]) -> Result<WorkerConfig, Problems> {
    let raw = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let surroundings = Surroundings {
        variables: [("HOME".to_owned(), "/home/me".to_owned())].into(),
        hostname: "here".to_owned(),
        directory: "/work".into(),
    };
    WorkerConfig::parse(Mode::Distributed, &raw, &surroundings)
}

#[test]
fn a_worker_of_a_cluster_is_told_all_that_it_misses_at_once() {
    let problems = distributed(&[("key.converter", "String"), ("value.converter", "Json")]).unwrap_err();
    let keys: Vec<_> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["group.id", "config.storage.topic", "offset.storage.topic", "status.storage.topic"]);
    assert!(problems.0[0].message.contains("Missing required configuration"), "{problems}");
}

const CLUSTER: &[(&str, &str)] = &[
    ("key.converter", "String"),
    ("value.converter", "Json"),
    ("group.id", "g"),
    ("config.storage.topic", "c"),
    ("offset.storage.topic", "o"),
    ("status.storage.topic", "s"),
];

#[test]
fn a_worker_of_a_cluster_has_javas_defaults() {
    let config = distributed(CLUSTER).unwrap();
    let cluster = config.cluster.as_ref().unwrap();
    assert_eq!(cluster.group, "g");
    assert_eq!((cluster.configs.partitions, cluster.configs.replication), (Some(1), Some(3)));
    assert_eq!((cluster.offsets.partitions, cluster.offsets.replication), (Some(25), Some(3)));
    assert_eq!((cluster.statuses.partitions, cluster.statuses.replication), (Some(5), Some(3)));
    assert_eq!(cluster.session_timeout, Duration::from_secs(10));
    assert_eq!(config.identity(), "cluster:g", "whichever worker it is");
    assert!(config.notes.is_empty(), "{:?}", config.notes);
}

#[test]
fn topics_of_state_take_settings_of_their_own() {
    let more = [
        ("config.storage.min.insync.replicas", "2"),
        ("offset.storage.partitions", "-1"),
        ("offset.storage.replication.factor", "-1"),
        ("status.storage.cleanup.policy", "delete"),
        ("scheduled.rebalance.max.delay.ms", "1"),
    ];
    let config = distributed(&[CLUSTER, &more].concat()).unwrap();
    let cluster = config.cluster.as_ref().unwrap();
    assert_eq!(cluster.configs.settings, [("min.insync.replicas".to_owned(), "2".to_owned())].into());
    assert_eq!((cluster.offsets.partitions, cluster.offsets.replication), (None, None));
    assert!(cluster.statuses.settings.is_empty());
    assert_eq!(config.notes.len(), 2, "{:?}", config.notes);
}

#[test]
fn what_is_wrong_with_a_cluster_is_told() {
    let wrong = [
        ("status.storage.topic", "c"),
        ("config.storage.replication.factor", "0"),
        ("heartbeat.interval.ms", "10000"),
    ];
    let raw: BTreeMap<&str, &str> = CLUSTER.iter().chain(&wrong).copied().collect();
    let problems = distributed(&raw.into_iter().collect::<Vec<_>>()).unwrap_err();
    let keys: Vec<_> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
    let expected = ["config.storage.replication.factor", "heartbeat.interval.ms", "status.storage.topic"];
    assert_eq!(keys, expected, "{problems}");
}
