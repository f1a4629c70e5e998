//! A connector's configuration: what is read, what is refused.

use std::sync::LazyLock;

use super::super::definition::Type;
use super::super::report::Advice;
use super::super::worker::{Mode, Surroundings};
use super::*;

fn raw(pairs: &[(&str, &str)]) -> RawConfig {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn worker(pairs: &[(&str, &str)]) -> WorkerConfig {
    let mut all = raw(&[
        ("key.converter", "String"),
        ("value.converter", "Json"),
        ("value.converter.schemas.enable", "false"),
        ("offset.storage.file.filename", "/offsets"),
        ("plugin.cache.dir", "/cache"),
    ]);
    all.extend(raw(pairs));
    WorkerConfig::parse(Mode::Standalone, &all, &Surroundings::default()).unwrap()
}

fn described(kind: Kind, settings: &[ConfigKey]) -> Described<'_> {
    static VERSIONS: LazyLock<Vec<String>> = LazyLock::new(|| vec!["1.2.0".to_owned()]);
    Described { class: "org.example.File", kind, versions: &VERSIONS, settings }
}

fn report_on(
    pairs: &[(&str, &str)],
    kind: Kind,
    settings: &[ConfigKey],
    worker: &WorkerConfig,
) -> ValidationReport {
    let draft = Draft { values: raw(pairs), nulls: Vec::new() };
    ConnectorConfig::examine(draft, &described(kind, settings), worker).1
}

fn parse(kind: Kind, pairs: &[(&str, &str)]) -> Result<ConnectorConfig, Problems> {
    let mut all = raw(&[("name", "c"), ("connector.class", "File")]);
    all.extend(raw(pairs));
    let definition =
        [ConfigKey::new("file", Type::String, "").required(), ConfigKey::new("token", Type::Password, "")];
    ConnectorConfig::parse(all, &described(kind, &definition), &worker(&[]))
}

#[track_caller]
fn refused(kind: Kind, pairs: &[(&str, &str)], expected: &[(&str, &str)]) {
    let problems = parse(kind, pairs).unwrap_err();
    let found: Vec<_> =
        problems.0.iter().map(|problem| (problem.key.as_str(), problem.message.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_source_needs_what_its_plugin_needs() {
    let config = parse(Kind::Source, &[("file", "f")]).unwrap();
    assert_eq!((config.name.as_str(), config.class.as_str(), config.tasks_max), ("c", "File", 1));
    assert_eq!(config.raw.len(), 3);
    assert_eq!(config.errors.tolerance, Tolerance::None);
    assert_eq!(config.errors.retry_timeout, Some(Duration::ZERO));
    refused(
        Kind::Source,
        &[],
        &[("file", "Missing required configuration \"file\" which has no default value.")],
    );
}

#[test]
fn all_problems_are_reported_at_once_in_javas_words() {
    refused(
        Kind::Sink,
        &[("name", ""), ("tasks.max", "0"), ("topics", "t"), ("errors.tolerance", "some")],
        &[
            ("name", "Invalid value  for configuration name: String may not be empty"),
            ("tasks.max", "Invalid value 0 for configuration tasks.max: Value must be at least 1"),
            (
                "errors.tolerance",
                "Invalid value some for configuration errors.tolerance: String must be one of: none, all",
            ),
            ("file", "Missing required configuration \"file\" which has no default value."),
        ],
    );
}

#[test]
fn a_sink_reads_exactly_one_of_topics_and_a_pattern() {
    let sink = |pairs: &[(&str, &str)]| {
        let mut all = vec![("file", "f")];
        all.extend_from_slice(pairs);
        parse(Kind::Sink, &all)
    };
    assert_eq!(sink(&[("topics", "b, a,b")]).unwrap().topics, ["a", "b"]);
    let pattern = sink(&[("topics.regex", "logs-.*")]).unwrap();
    assert_eq!(
        (pattern.topics.len(), pattern.topics_regex.as_ref().map(TopicPattern::as_str)),
        (0, Some("logs-.*"))
    );
    assert_eq!(sink(&[]).unwrap_err().0.len(), 2);
    assert_eq!(sink(&[("topics", "t"), ("topics.regex", "t")]).unwrap_err().0.len(), 2);
    assert_eq!(sink(&[("topics.regex", "(")]).unwrap_err().0.len(), 1);
    assert_eq!(sink(&[("topics", "a,,b")]).unwrap_err().0.len(), 1);
}

#[test]
fn dead_letters_may_not_come_back() {
    let count = |key, value| {
        let topic = ("errors.deadletterqueue.topic.name", "dead");
        parse(Kind::Sink, &[("file", "f"), (key, value), topic]).map_err(|problems| problems.0.len())
    };
    assert_eq!(count("topics", "a,dead").unwrap_err(), 1);
    assert_eq!(count("topics.regex", "de.*").unwrap_err(), 1);
    let dead_letters = count("topics.regex", "de").unwrap().errors.dead_letters.unwrap();
    assert_eq!((dead_letters.topic.as_str(), dead_letters.replication_factor), ("dead", Some(3)));
}

#[test]
fn converters_are_the_workers_unless_the_connector_names_its_own() {
    let plain = Converter::Json { schemas: false, replace_null_with_default: true };
    let converters = parse(Kind::Source, &[("file", "f")]).unwrap().converters;
    assert_eq!(converters, Converters { key: Converter::String, value: plain });
    let own = parse(Kind::Source, &[("file", "f"), ("value.converter", "Json")]).unwrap().converters;
    let enveloped = Converter::Json { schemas: true, replace_null_with_default: true };
    assert_eq!(own, Converters { key: Converter::String, value: enveloped });
    assert_eq!(parse(Kind::Source, &[("file", "f"), ("key.converter", "Avro")]).unwrap_err().0.len(), 1);
}

#[test]
fn overrides_are_kept_without_their_prefix_if_the_policy_allows_them() {
    let pairs = [("file", "f"), ("producer.override.linger.ms", "5"), ("admin.override.retries", "1")];
    let config = parse(Kind::Source, &pairs).unwrap();
    assert_eq!(config.producer_overrides, raw(&[("linger.ms", "5")]));
    assert_eq!(config.admin_overrides, raw(&[("retries", "1")]));
    let strict = worker(&[("connector.client.config.override.policy", "None")]);
    let mut all = raw(&[("name", "c"), ("connector.class", "File")]);
    all.extend(raw(&pairs));
    let problems = ConnectorConfig::parse(all, &described(Kind::Source, &[]), &strict).unwrap_err();
    assert_eq!(
        problems.0[0],
        Problem::new(
            "producer.override.linger.ms",
            "5",
            "The 'None' policy does not allow 'linger.ms' to be overridden in the connector configuration."
        )
    );
    assert_eq!(problems.0.len(), 2);
}

#[test]
fn what_would_change_records_and_is_not_there_is_refused() {
    let router = "org.apache.kafka.connect.transforms.RegexRouter";
    for key in ["transforms", "predicates"] {
        let of_alias = format!("{key}.a.type");
        let problems = parse(Kind::Source, &[("file", "f"), (key, "a"), (&of_alias, router)]).unwrap_err();
        assert_eq!((problems.0.len(), problems.0[0].key.as_str()), (1, of_alias.as_str()));
        assert!(problems.0[0].message.contains("yet; remove"), "{problems}");
    }
    assert!(parse(Kind::Source, &[("file", "f"), ("transforms", "")]).is_ok());
    assert!(parse(Kind::Source, &[("file", "f"), ("exactly.once.support", "Required")]).is_err());
    assert!(parse(Kind::Source, &[("file", "f"), ("transaction.boundary", "connector")]).is_err());
}

#[test]
fn each_transformation_that_is_named_has_two_keys_of_its_own() {
    let report = report_on(&[("transforms", "a, b,a")], Kind::Source, &[], &worker(&[]));
    let names: Vec<_> = report.configs.iter().map(|key| key.name.as_str()).collect();
    let first = names.iter().position(|name| *name == "transforms.a.type").unwrap();
    let expected = [
        "transforms.a.type",
        "transforms.a.plugin.version",
        "transforms.b.type",
        "transforms.b.plugin.version",
    ];
    assert_eq!(names[first..first + 4], expected);
    assert!(report.groups.ends_with(&["Transforms: a".to_owned(), "Transforms: b".to_owned()]));
    let missing = "Missing required configuration \"transforms.a.type\" which has no default value.";
    assert_eq!(report.configs[first].errors, [missing]);
    let transforms = report.configs.iter().find(|key| key.name == "transforms").unwrap();
    let twice = "Invalid value [a, b, a] for configuration transforms: Duplicate alias provided.";
    assert_eq!(transforms.errors, [twice]);
}

#[test]
fn a_converter_that_is_named_brings_its_settings_and_one_that_is_not_does_not() {
    let find =
        |report: &ValidationReport, name: &str| report.configs.iter().find(|key| key.name == name).cloned();
    let given = [("key.converter", "Json"), ("key.converter.schemas.enable", "maybe")];
    let report = report_on(&given, Kind::Source, &[], &worker(&[]));
    let class = find(&report, "key.converter").unwrap();
    assert_eq!(class.value.as_deref(), Some("org.apache.kafka.connect.json.JsonConverter"));
    let default = class.definition.unwrap().default_value;
    assert_eq!(default.as_deref(), Some("org.apache.kafka.connect.storage.StringConverter"));
    assert_eq!(class.recommended_values.len(), 3);
    let switch = find(&report, "key.converter.schemas.enable").unwrap();
    let wrong =
        "Invalid value maybe for configuration schemas.enable: Expected value to be either true or false";
    assert_eq!((switch.value, switch.errors), (None, vec![wrong.to_owned()]));
    assert_eq!(find(&report, "key.converter.converter.type").unwrap().value.as_deref(), Some("key"));
    assert_eq!(find(&report, "value.converter.converter.type"), None);
    let unknown = report_on(&[("key.converter", "Nothing")], Kind::Source, &[], &worker(&[]));
    let version = find(&unknown, "key.converter.plugin.version").unwrap();
    assert_eq!((find(&unknown, "key.converter").unwrap().value, version.visible), (None, false));
}

#[test]
fn a_version_that_is_not_there_is_all_that_is_told() {
    let own = [ConfigKey::new("file", Type::String, "").required()];
    let given = [("name", "c"), ("connector.class", "File"), ("connector.plugin.version", "[2.0,)")];
    let report = report_on(&given, Kind::Source, &own, &worker(&[]));
    let wrong: Vec<_> = report.configs.iter().filter(|key| !key.errors.is_empty()).collect();
    let names: Vec<_> = wrong.iter().map(|key| key.name.as_str()).collect();
    assert_eq!(names, ["connector.class", "connector.plugin.version"]);
    let message = "Plugin org.example.File not found that matches the version range [2.0,), available versions: \
                   [1.2.0]";
    assert!(wrong.iter().all(|key| key.errors == [message]), "{wrong:?}");
    assert!(report.configs.iter().all(|key| key.name != "file"));
    let fits = [("name", "c"), ("connector.class", "File"), ("connector.plugin.version", "[1.0,2.0)")];
    let report = report_on(&fits, Kind::Source, &[], &worker(&[]));
    assert!(report.configs.iter().all(|key| key.errors.is_empty()));
}

#[test]
fn nulls_are_told_and_those_that_nothing_defines_come_first() {
    let own = [ConfigKey::new("file", Type::String, "").required()];
    let nulls = ["file", "tasks.max", "unknown"].map(str::to_owned).to_vec();
    let draft = Draft { values: raw(&[("name", "c"), ("connector.class", "File")]), nulls };
    let (_, report) = ConnectorConfig::examine(draft, &described(Kind::Source, &own), &worker(&[]));
    let wrong: Vec<_> = report.configs.iter().filter(|key| !key.errors.is_empty()).collect();
    assert_eq!((wrong[0].name.as_str(), &report.configs[0].name == "unknown"), ("unknown", true));
    let null = super::super::report::NULL_VALUE;
    assert_eq!(wrong[0].errors, [null]);
    let range = "Invalid value null for configuration tasks.max: Value must be non-null";
    assert_eq!(
        (wrong[1].value.as_deref(), &wrong[1].errors[..]),
        (None, &[range.to_owned(), null.to_owned()][..])
    );
    assert_eq!(wrong.len(), 2);
}

#[test]
fn overrides_are_shown_as_they_are_but_for_secrets() {
    let given = [
        ("producer.override.linger.ms", " 5 "),
        ("producer.override.sasl.jaas.config", "x password=\"sesame\";"),
        ("consumer.override.fetch.min.bytes", "1"),
    ];
    let report = report_on(&given, Kind::Source, &[], &worker(&[]));
    let shown: Vec<_> = report
        .configs
        .iter()
        .filter(|key| key.definition.is_none())
        .map(|key| key.value.as_deref())
        .collect();
    assert_eq!(shown, [Some("5"), Some("[hidden]")]);
}

#[test]
fn what_a_plugin_recommends_is_shown_and_hides_nothing_of_the_frameworks() {
    let own = |name: &str| ConfigKey::new(name, Type::String, "");
    let visible_if =
        Some(super::super::definition::VisibleIf { key: "mode".into(), one_of: vec!["file".into()] });
    let settings = [
        ConfigKey { recommended_values: vec!["file".into(), "net".into()], ..own("mode").default("net") },
        ConfigKey { visible_if, ..own("path") },
    ];
    let mut report = report_on(&[], Kind::Source, &settings, &worker(&[]));
    let find = |report: &ValidationReport, name: &str| {
        report.configs.iter().find(|key| key.name == name).cloned().unwrap()
    };
    assert_eq!(find(&report, "mode").recommended_values, ["file", "net"]);
    assert!(!find(&report, "path").visible);
    let advice = Advice {
        recommended_values: [("path".to_owned(), vec!["/a".to_owned()])].into(),
        visible: [("path".to_owned(), true), ("name".to_owned(), false)].into(),
    };
    report.advise(&advice, &settings);
    let path = find(&report, "path");
    assert_eq!((path.visible, path.recommended_values.len()), (true, 1));
    assert!(find(&report, "name").visible);
}

#[test]
fn keys_that_nothing_defines_are_the_plugins_business() {
    assert_eq!(parse(Kind::Source, &[("file", "f"), ("anything", "x")]).unwrap().raw["anything"], "x");
}

#[test]
fn a_plugin_may_define_a_common_key_anew() {
    let own = ConfigKey::new("topics", Type::String, "").default("mine");
    let report = report_on(&[], Kind::Sink, &[own], &worker(&[]));
    let topics: Vec<_> = report.configs.iter().filter(|key| key.name == "topics").collect();
    assert_eq!((topics.len(), topics[0].value.as_deref()), (1, Some("mine")));
}

#[test]
fn the_report_has_the_frameworks_keys_first_and_all_groups() {
    let own = ConfigKey::new("file", Type::String, "").shown("File", 1, super::super::Width::Long, "File");
    let report = report_on(&[("connector.class", "File")], Kind::Sink, &[own], &worker(&[]));
    assert_eq!(report.name, "File");
    assert_eq!(report.configs[0].name, "name");
    assert_eq!(report.groups, ["Common", "Transforms", "Predicates", "Error Handling", "File"]);
    let name = &report.configs[0];
    assert_eq!(name.errors, ["Missing required configuration \"name\" which has no default value."]);
}

#[test]
fn secrets_do_not_show() {
    let config = parse(Kind::Source, &[("file", "f"), ("token", "sesame")]).unwrap();
    assert!(!format!("{config:?}").contains("sesame"));
}

#[test]
fn a_report_shows_references_as_they_were_written() {
    let env = [
        ("config.providers", "env"),
        ("config.providers.env.class", "EnvVarConfigProvider"),
        ("config.providers.env.param.allowlist.pattern", ".*"),
    ];
    let all: RawConfig =
        raw(&[("key.converter", "String"), ("value.converter", "String"), ("plugin.cache.dir", "/c")])
            .into_iter()
            .chain(raw(&env))
            .chain(raw(&[("offset.storage.file.filename", "/o")]))
            .collect();
    let variables = [("SECRET".to_owned(), "canary-1".to_owned())].into();
    let worker =
        WorkerConfig::parse(Mode::Standalone, &all, &Surroundings { variables, ..Surroundings::default() })
            .unwrap();
    let definition = [
        ConfigKey::new("file", Type::String, ""),
        ConfigKey::new("size", Type::Int, ""),
        ConfigKey::new("token", Type::Password, ""),
        ConfigKey::new("missing", Type::Int, "").at_least(1),
    ];
    let given = raw(&[
        ("name", "c"),
        ("connector.class", "File"),
        ("file", "/${env:SECRET}"),
        ("size", "${env:SECRET}"),
        ("token", "${env:SECRET}"),
        ("missing", "${env:MISSING}"),
        ("undefined", "${file:x:y}"),
    ]);
    let draft = Draft { values: given.clone(), nulls: Vec::new() };
    let report = ConnectorConfig::examine(draft, &described(Kind::Source, &definition), &worker).1;
    let key = |name: &str| report.configs.iter().find(|key| key.name == name).unwrap();
    assert_eq!(key("file").value.as_deref(), Some("/${env:SECRET}"));
    assert_eq!(key("token").value.as_deref(), Some("[hidden]"));
    let size = key("size");
    assert_eq!(size.value.as_deref(), Some("${env:SECRET}"));
    assert_eq!(size.errors, ["Invalid value [hidden] for configuration size: Not a number of type INT"]);
    assert_eq!(key("missing").errors.len(), 1);
    assert!(key("missing").errors[0].starts_with("${env:MISSING} cannot be resolved"));
    assert!(key("undefined").errors[0].contains("lists no provider \"file\""));
    let problems = ConnectorConfig::parse(given, &described(Kind::Source, &definition), &worker).unwrap_err();
    assert_eq!(problems.0.len(), 3, "{problems}");
    assert!(!problems.to_string().contains("canary") && !format!("{report:?}").contains("canary"));
    let right =
        raw(&[("name", "c"), ("connector.class", "File"), ("file", "${env:SECRET}"), ("token", "sesame")]);
    let config = ConnectorConfig::parse(right, &described(Kind::Source, &definition), &worker).unwrap();
    assert_eq!(config.raw["file"], "${env:SECRET}");
    assert_eq!(config.vault.hide("canary-1 sesame"), "[hidden] [hidden]");
    let named = raw(&[("name", "${env:SECRET}"), ("connector.class", "File")]);
    let problems = ConnectorConfig::parse(named, &described(Kind::Source, &definition), &worker).unwrap_err();
    assert!(problems.to_string().contains("no reference is resolved here"), "{problems}");
}
