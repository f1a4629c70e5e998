//! The configuration of a connector, valid by construction.
//!
//! Keys that nothing defines are allowed, as in Kafka Connect: they are handed to the plugin like all others.

use std::fmt;
use std::time::Duration;

use super::connector_keys::common_definitions;
use super::connector_report::keys_report;
use super::converter::{Converter, Converters, check_header_converter};
use super::definition::ConfigKey;
use super::reader::Reader;
use super::report::ValidationReport;
use super::secrets::{Expansion, Vault};
use super::topic_pattern::TopicPattern;
use super::validate::Values;
use super::version_range::VersionRange;
use super::worker::{OverridePolicy, WorkerConfig};
use super::{Kind, Problem, Problems, RawConfig};

/// See the module.
#[derive(Clone)]
pub(crate) struct ConnectorConfig {
    pub(crate) name: String,
    /// `connector.class`
    pub(crate) class: String,
    pub(crate) kind: Kind,
    /// `connector.plugin.version`: none is the newest.
    pub(crate) version: Option<VersionRange>,
    pub(crate) tasks_max: u32,
    /// `config.action.reload`: whether it is started anew when what it refers to has changed.
    pub(crate) reload: bool,
    /// What a sink reads; empty when `topics_regex` says it.
    pub(crate) topics: Vec<String>,
    /// A pattern that matches whole names.
    pub(crate) topics_regex: Option<TopicPattern>,
    pub(crate) converters: Converters,
    /// `producer.override.*`, without the prefix, as the user wrote them; likewise the next two.
    pub(crate) producer_overrides: RawConfig,
    pub(crate) consumer_overrides: RawConfig,
    pub(crate) admin_overrides: RawConfig,
    pub(crate) errors: Errors,
    /// All of it, as the user wrote it.
    pub(crate) raw: RawConfig,
    /// What it knows in secret: to resolve references in `raw`, and to hide what they stood for.
    pub(crate) vault: Vault,
}

/// What becomes of records that fail: `errors.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Errors {
    pub(crate) tolerance: Tolerance,
    /// `None`: for ever.
    pub(crate) retry_timeout: Option<Duration>,
    pub(crate) retry_delay_max: Duration,
    pub(crate) log: bool,
    pub(crate) log_messages: bool,
    pub(crate) dead_letters: Option<DeadLetters>,
}

/// Whether records that fail are tolerated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tolerance {
    None,
    All,
}

/// Where records that fail are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadLetters {
    pub(crate) topic: String,
    /// `None`: the broker's default.
    pub(crate) replication_factor: Option<u16>,
    pub(crate) context_headers: bool,
}

/// What a plugin has to do with a connector's configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Described<'a> {
    pub(crate) class: &'a str,
    pub(crate) kind: Kind,
    /// Those that there are, the newest last.
    pub(crate) versions: &'a [String],
    /// The settings it knows.
    pub(crate) settings: &'a [ConfigKey],
}

/// A connector's configuration, with keys that are null: as it comes to be validated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) values: RawConfig,
    pub(crate) nulls: Vec<String>,
}

/// Without the values: there may be passwords among them.
impl fmt::Debug for ConnectorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectorConfig")
            .field("name", &self.name)
            .field("class", &self.class)
            .finish_non_exhaustive()
    }
}

impl ConnectorConfig {
    /// Checks a connector's configuration: against the common definition, that of its plugin, and what the
    /// worker allows.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn parse(
        raw: RawConfig,
        described: &Described<'_>,
        worker: &WorkerConfig,
    ) -> Result<Self, Problems> {
        let (config, report) = Self::examine(Draft { values: raw, nulls: Vec::new() }, described, worker);
        report.problems(&config.raw).or(config)
    }

    /// Likewise, and says of every key what there is to say. The configuration is one to go by only if nothing is
    /// wrong; otherwise it has defaults where something is. Reads the files that references name.
    pub(crate) fn examine(
        draft: Draft,
        described: &Described<'_>,
        worker: &WorkerConfig,
    ) -> (Self, ValidationReport) {
        let kind = described.kind;
        let vault = worker.vault.fresh();
        let expansion = vault.expand(&draft.values);
        let report = report(&draft, described, (&expansion, &vault), worker);
        // Read with a report of its own: what is wrong stands in `report` already.
        let keys = common_definitions(kind);
        let (raw, resolved) = (draft.values, &expansion.config);
        let mut reader = Reader::new(&keys, resolved);
        let converter = |key: &str, default| {
            // As above.
            Converter::read(key, resolved, &mut Problems::default()).unwrap_or(default)
        };
        let (topics, topics_regex) = topics(&mut reader, kind);
        let config = Self {
            name: reader.text("name").unwrap_or_default(),
            class: reader.text("connector.class").unwrap_or_default(),
            kind,
            version: VersionRange::of(resolved),
            reload: reader.text("config.action.reload").is_none_or(|text| !text.eq_ignore_ascii_case("none")),
            tasks_max: u32::try_from(reader.integer("tasks.max")).unwrap_or(1),
            topics,
            topics_regex,
            converters: Converters {
                key: converter("key.converter", worker.converters.key),
                value: converter("value.converter", worker.converters.value),
            },
            producer_overrides: overrides("producer.override.", &raw),
            consumer_overrides: overrides("consumer.override.", &raw),
            admin_overrides: overrides("admin.override.", &raw),
            errors: errors(&mut reader, kind),
            raw: RawConfig::new(),
            vault,
        };
        (Self { raw, ..config }, report)
    }
}

/// The report about a configuration, in which only what the user wrote is shown.
fn report(
    draft: &Draft,
    described: &Described<'_>,
    (expansion, vault): (&Expansion, &Vault),
    worker: &WorkerConfig,
) -> ValidationReport {
    let raw = &expansion.config;
    let mut report = keys_report(Values { texts: raw, nulls: &draft.nulls }, described, worker);
    let mut problems = Problems::default();
    if described.kind == Kind::Sink {
        check_topics(raw, &mut problems);
    }
    for key in ["key.converter", "value.converter"] {
        let _ = Converter::read(key, raw, &mut problems);
    }
    check_header_converter(raw, &mut problems);
    if described.kind == Kind::Source {
        check_not_there_yet(raw, &mut problems);
    }
    for key in ["name", "connector.class"].iter().filter(|key| expansion.referring.contains(**key)) {
        problems.push(Problem::without_value(*key, "no reference is resolved here: write the value itself"));
    }
    for (prefix, _) in OVERRIDES {
        check_policy(prefix, &draft.values, worker.override_policy, &mut problems);
    }
    report.add(problems);
    report.add_nulls(&draft.nulls, described.settings);
    let secret =
        report.configs.iter().filter_map(|key| key.definition.as_ref()).filter(|key| key.is_secret());
    vault.remember(secret.filter_map(|key| raw.get(&key.name)).cloned());
    report.hide(&draft.values, expansion, vault);
    report
}

/// Prefixes of client settings, with the kind of client.
const OVERRIDES: &[(&str, &str)] =
    &[("producer.override.", "producer"), ("consumer.override.", "consumer"), ("admin.override.", "admin")];

fn overrides(prefix: &str, raw: &RawConfig) -> RawConfig {
    let strip = |(key, value): (&String, &String)| {
        Some((key.strip_prefix(prefix)?.to_owned(), value.trim().to_owned()))
    };
    raw.iter().filter_map(strip).collect()
}

fn check_policy(prefix: &str, raw: &RawConfig, policy: OverridePolicy, problems: &mut Problems) {
    for key in raw.keys() {
        if let Some(setting) = key.strip_prefix(prefix)
            && !policy.allows(setting)
        {
            let message = format!(
                "The '{}' policy does not allow '{setting}' to be overridden in the connector configuration.",
                policy.name()
            );
            problems.push(Problem::without_value(key, message));
        }
    }
}

fn topics(reader: &mut Reader<'_>, kind: Kind) -> (Vec<String>, Option<TopicPattern>) {
    if kind != Kind::Sink {
        return (Vec::new(), None);
    }
    let mut topics = reader.list("topics");
    topics.sort_unstable();
    topics.dedup();
    let pattern = reader.text("topics.regex").filter(|pattern| !pattern.is_empty());
    (topics, pattern.and_then(|pattern| TopicPattern::new(&pattern).ok()))
}

/// Exactly one of `topics` and `topics.regex` says what a sink reads, and dead letters go elsewhere.
fn check_topics(raw: &RawConfig, problems: &mut Problems) {
    let set = |key: &str| raw.get(key).map(|value| value.trim()).filter(|value| !value.is_empty());
    let (topics, pattern) = (set("topics"), set("topics.regex"));
    let message = match (topics, pattern) {
        (None, None) => Some("Must configure one of topics or topics.regex"),
        (Some(_), Some(_)) => {
            Some("topics and topics.regex are mutually exclusive options, but both are set.")
        }
        _ => None,
    };
    if let Some(message) = message {
        for key in ["topics", "topics.regex"] {
            problems.push(Problem { key: key.into(), value: raw.get(key).cloned(), message: message.into() });
        }
    }
    if topics.is_some_and(|topics| topics.split(',').any(|topic| topic.trim().is_empty())) {
        problems.push(Problem::new("topics", topics.unwrap_or_default(), "a topic's name may not be empty"));
    }
    let key = "errors.deadletterqueue.topic.name";
    let Some(dead_letters) = set(key) else { return };
    let named: Vec<_> = topics.unwrap_or_default().split(',').map(str::trim).collect();
    if named.contains(&dead_letters) {
        let message = format!(
            "The DLQ topic '{dead_letters}' may not be included in the list of topics ('topics=[{}]') consumed by the \
             connector",
            named.join(", ")
        );
        // Where Kafka Connect reports it.
        problems.push(Problem::new("topics", topics.unwrap_or_default(), message));
    }
    let whole = pattern.and_then(|pattern| TopicPattern::new(pattern).ok());
    if whole.is_some_and(|whole| whole.matcher()(dead_letters)) {
        let message = format!(
            "The DLQ topic '{dead_letters}' may not be matched by the regex for the topics ('topics.regex={}') consumed \
             by the connector",
            pattern.unwrap_or_default()
        );
        problems.push(Problem::new("topics.regex", pattern.unwrap_or_default(), message));
    }
}

/// What Kafka Connect has for sources and would change what is delivered, refused until it is there.
fn check_not_there_yet(raw: &RawConfig, problems: &mut Problems) {
    let refusals = [
        (
            "exactly.once.support",
            "required",
            "This worker does not have exactly-once source support enabled.",
        ),
        (
            "transaction.boundary",
            "connector",
            "The connector does not support connector-defined transaction boundaries with the given configuration. \
             Please reconfigure it to use a different transaction boundary definition.",
        ),
    ];
    for (key, refused, message) in refusals {
        if let Some(value) = raw.get(key).filter(|value| value.trim().eq_ignore_ascii_case(refused)) {
            problems.push(Problem::new(key, value, message));
        }
    }
}

fn errors(reader: &mut Reader<'_>, kind: Kind) -> Errors {
    let tolerance = match reader.text("errors.tolerance").as_deref() {
        Some("all") => Tolerance::All,
        _ => Tolerance::None,
    };
    Errors {
        tolerance,
        retry_timeout: match reader.integer("errors.retry.timeout") {
            -1 => None,
            _ => Some(reader.millis("errors.retry.timeout")),
        },
        retry_delay_max: reader.millis("errors.retry.delay.max.ms"),
        log: reader.boolean("errors.log.enable"),
        log_messages: reader.boolean("errors.log.include.messages"),
        dead_letters: if kind == Kind::Sink { dead_letters(reader) } else { None },
    }
}

fn dead_letters(reader: &mut Reader<'_>) -> Option<DeadLetters> {
    let topic = reader.text("errors.deadletterqueue.topic.name").filter(|topic| !topic.is_empty())?;
    Some(DeadLetters {
        topic,
        replication_factor: u16::try_from(reader.integer("errors.deadletterqueue.topic.replication.factor"))
            .ok(),
        context_headers: reader.boolean("errors.deadletterqueue.context.headers.enable"),
    })
}

#[cfg(test)]
#[path = "connector_tests.rs"]
mod tests;
