//! The settings that all connectors have in common: those of Kafka Connect's framework, and those of the converters
//! and transformations that a connector names. One table for each.

use super::Kind;
use super::definition::{ConfigKey, Importance, Type, Validator, Width};
use Importance::{High, Low, Medium as Mid};
use Need::{Default, Optional, Required};
use Type::{Boolean, Class, Int, List, Long, Short, String as Text};
use Width::{Long as Wide, Medium, None as Any, Short as Slim};

/// Whether a key has to be given.
#[derive(Debug, Clone, Copy)]
enum Need {
    Required,
    Optional,
    Default(&'static str),
}

/// What a value must be beyond its type.
#[derive(Debug, Clone, Copy)]
enum Check {
    Nothing,
    Name,
    Filled,
    Topics,
    Aliases,
    AtLeast(i64),
    AtLeastIfAny(i64),
    OneOf(&'static [&'static str]),
    AnyCase(&'static [&'static str]),
}

/// Group, order, width and display name.
type Place = (Option<&'static str>, i32, Width, &'static str);

/// A row: name, type, need, importance, place, check, documentation.
struct Row(&'static str, Type, Need, Importance, Place, Check, &'static str);

const COMMON: Option<&str> = Some("Common");
const TRANSFORMS: Option<&str> = Some("Transforms");
const PREDICATES: Option<&str> = Some("Predicates");
const ERRORS: Option<&str> = Some("Error Handling");
const TOPICS: Option<&str> = Some("Topic Creation");
const EXACTLY: Option<&str> = Some("Exactly Once Support");
const OFFSETS: Option<&str> = Some("offsets.topic");
const SERIALIZATION: Option<&str> = Some("Serialization");
const SCHEMAS: Option<&str> = Some("Schemas");

const NO: Check = Check::Nothing;

// One row a setting, so that it reads as the table that it is.
#[rustfmt::skip]
const OF_ALL: &[Row] = &[
    Row("name", Text, Required, High, (COMMON, 1, Medium, "Connector name"), Check::Name,
        "The connector's name, of which there may be one in the cluster."),
    Row("connector.class", Text, Required, High, (COMMON, 2, Wide, "Connector class"), NO,
        "The class of the plugin, one of its aliases, or its name."),
    Row("connector.plugin.version", Text, Optional, Mid, (COMMON, 3, Medium, "Connector version"), NO,
        "Which version of the plugin to run: one, or a range such as [1.0,2.0). Without it the newest runs."),
    Row("tasks.max", Int, Default("1"), High, (COMMON, 4, Slim, "Tasks max"), Check::AtLeast(1),
        "How many tasks the connector may have at most."),
    Row("tasks.max.enforce", Boolean, Default("true"), Low, (COMMON, 5, Slim, "Enforce tasks max"), NO,
        "Whether a connector that plans more tasks than tasks.max fails. It always does."),
    Row("key.converter", Class, Optional, Low, (COMMON, 6, Slim, "Key converter class"), NO,
        "Converter of keys; the worker's if this is not set. Its own settings are key.converter.*; the worker's are \
         not inherited once this is set."),
    Row("key.converter.plugin.version", Text, Optional, Low, (COMMON, 7, Slim, "Key converter version"), NO,
        "Which version of the converter of keys to use."),
    Row("value.converter", Class, Optional, Low, (COMMON, 8, Slim, "Value converter class"), NO,
        "Converter of values; as for keys."),
    Row("value.converter.plugin.version", Text, Optional, Low, (COMMON, 9, Slim, "Value converter version"), NO,
        "Which version of the converter of values to use."),
    Row("header.converter", Class, Optional, Low, (COMMON, 10, Slim, "Header converter class"), NO,
        "Converter of headers. Headers are passed through as they are."),
    Row("header.converter.plugin.version", Text, Optional, Low, (COMMON, 11, Slim, "Header converter version"), NO,
        "Which version of the converter of headers to use."),
    Row("transforms", List, Default(""), Low, (TRANSFORMS, 12, Wide, "Transforms"), Check::Aliases,
        "Aliases of the transformations that records go through, in this order."),
    Row("predicates", List, Default(""), Low, (PREDICATES, 13, Wide, "Predicates"), Check::Aliases,
        "Aliases of the predicates that transformations use."),
    Row("config.action.reload", Text, Default("restart"), Low, (COMMON, 14, Medium, "Reload Action"),
        Check::OneOf(&["none", "restart"]),
        "What happens when a configuration provider says that a value has changed."),
    Row("errors.retry.timeout", Long, Default("0"), Mid, (ERRORS, 1, Medium, "Retry Timeout for Errors"), NO,
        "How long, in milliseconds, a failed operation is tried again; -1 for ever."),
    Row("errors.retry.delay.max.ms", Long, Default("60000"), Mid,
        (ERRORS, 2, Medium, "Maximum Delay Between Retries for Errors"), NO,
        "The longest wait between two attempts, in milliseconds."),
    Row("errors.tolerance", Text, Default("none"), Mid, (ERRORS, 3, Slim, "Error Tolerance"),
        Check::OneOf(&["none", "all"]),
        "Whether a record that cannot be converted or transformed fails the task (none) or is skipped (all)."),
    Row("errors.log.enable", Boolean, Default("false"), Mid, (ERRORS, 4, Slim, "Log Errors"), NO,
        "Whether each failed operation is logged."),
    Row("errors.log.include.messages", Boolean, Default("false"), Mid, (ERRORS, 5, Slim, "Log Error Details"), NO,
        "Whether the log names the record that failed."),
];

#[rustfmt::skip]
const OF_SOURCES: &[Row] = &[
    Row("topic.creation.groups", List, Default(""), Low, (TOPICS, 1, Wide, "Topic Creation Groups"), Check::Aliases,
        "Groups of settings for topics that the connector writes and that are not there yet."),
    Row("exactly.once.support", Text, Default("requested"), Mid, (EXACTLY, 2, Slim, "Exactly once support"),
        Check::AnyCase(&["REQUIRED", "REQUESTED"]),
        "Whether the connector must run with exactly-once support (required), or may (requested)."),
    Row("transaction.boundary", Text, Default("poll"), Mid, (EXACTLY, 3, Slim, "Transaction Boundary"),
        Check::AnyCase(&["INTERVAL", "POLL", "CONNECTOR"]),
        "Where transactions end, under exactly-once support."),
    Row("transaction.boundary.interval.ms", Long, Optional, Low, (EXACTLY, 4, Slim, "Transaction boundary interval"),
        Check::AtLeastIfAny(0),
        "How long transactions last that end by time."),
    Row("offsets.storage.topic", Text, Optional, Low, (OFFSETS, 1, Wide, "Offsets topic"), Check::Filled,
        "A topic of the connector's own for its offsets."),
];

#[rustfmt::skip]
const OF_SINKS: &[Row] = &[
    Row("topics", List, Default(""), High, (COMMON, 4, Wide, "Topics"), NO,
        "The topics to read, with commas between."),
    Row("topics.regex", Text, Default(""), High, (COMMON, 4, Wide, "Topics regex"), Check::Topics,
        "A regular expression for the topics to read; it must match a whole name. Only one of topics and topics.regex \
         may be set."),
    Row("errors.deadletterqueue.topic.name", Text, Default(""), Mid,
        (ERRORS, 6, Medium, "Dead Letter Queue Topic Name"), NO,
        "The topic for records that fail. Empty: they are not kept."),
    Row("errors.deadletterqueue.topic.replication.factor", Short, Default("3"), Mid,
        (ERRORS, 7, Medium, "Dead Letter Queue Topic Replication Factor"), NO,
        "Replication factor of that topic if it is made."),
    Row("errors.deadletterqueue.context.headers.enable", Boolean, Default("false"), Mid,
        (ERRORS, 8, Medium, "Enable Error Context Headers"), NO,
        "Whether headers tell why a record failed."),
];

#[rustfmt::skip]
const TYPE_OF_CONVERTER: Row =
    Row("converter.type", Text, Required, Low, (None, -1, Any, "converter.type"),
        Check::OneOf(&["key", "value", "header"]),
        "What is converted. It is set by where the converter is named.");

#[rustfmt::skip]
const OF_STRING_CONVERTER: &[Row] = &[
    TYPE_OF_CONVERTER,
    Row("converter.encoding", Text, Default("UTF-8"), High, (None, -1, Medium, "Encoding"), NO,
        "The encoding of text; only UTF-8 there is."),
];

const OF_BYTES_CONVERTER: &[Row] = &[TYPE_OF_CONVERTER];

#[rustfmt::skip]
const OF_JSON_CONVERTER: &[Row] = &[
    Row("decimal.format", Text, Default("BASE64"), Low, (SERIALIZATION, 0, Medium, "Decimal Format"),
        Check::AnyCase(&["NUMERIC", "BASE64"]),
        "How decimals are written. It has no effect: no record of a plugin has one."),
    TYPE_OF_CONVERTER,
    Row("schemas.cache.size", Int, Default("1000"), High, (SCHEMAS, 1, Medium, "Schema Cache Size"), NO,
        "How many schemas are kept. It has no effect."),
    Row("replace.null.with.default", Boolean, Default("true"), Low,
        (SERIALIZATION, 1, Medium, "Replace null with default"), NO,
        "Whether a null that has a default becomes it."),
    Row("schemas.enable", Boolean, Default("true"), High, (SCHEMAS, 0, Medium, "Enable Schemas"), NO,
        "Whether the schema stands around each payload."),
];

/// All of them for a kind, in Kafka Connect's order.
pub(crate) fn common_definitions(kind: Kind) -> Vec<ConfigKey> {
    let own = match kind {
        Kind::Source => OF_SOURCES,
        Kind::Sink => OF_SINKS,
        Kind::Transform => return Vec::new(),
    };
    keys(OF_ALL).chain(keys(own)).collect()
}

/// Those that connectors of both kinds have.
pub(super) fn shared_definitions() -> Vec<ConfigKey> {
    keys(OF_ALL).collect()
}

/// The settings of a converter, by its full name; in the order in which a validation shows them.
pub(super) fn converter_definitions(class: &str) -> Vec<ConfigKey> {
    let rows = match class.rsplit('.').next() {
        Some("StringConverter") => OF_STRING_CONVERTER,
        Some("ByteArrayConverter") => OF_BYTES_CONVERTER,
        Some("JsonConverter") => OF_JSON_CONVERTER,
        _ => &[],
    };
    keys(rows).collect()
}

/// What says which transformation or predicate an alias stands for: `transforms.<alias>.type` and its version.
pub(super) fn link_definitions(chain: &str, alias: &str) -> [ConfigKey; 2] {
    let (group, what) = match chain {
        "predicates" => ("Predicates", "Predicate"),
        _ => ("Transforms", "Transformation"),
    };
    let key = |name: &str, kind, order, what: &str, doc| {
        ConfigKey::new(&format!("{chain}.{alias}.{name}"), kind, doc).high().shown(
            &format!("{group}: {alias}"),
            order,
            Width::Long,
            &format!("{what} for {alias}"),
        )
    };
    [
        key("type", Class, 0, &format!("{what} type"), "The class that the alias stands for.").required(),
        key("plugin.version", Text, 1, &format!("{what} version"), "Which version of it to use."),
    ]
}

fn keys(rows: &[Row]) -> impl Iterator<Item = ConfigKey> {
    rows.iter().map(Row::key)
}

impl Row {
    fn key(&self) -> ConfigKey {
        let Self(name, kind, need, importance, (group, order, width, display_name), check, doc) = *self;
        let key = ConfigKey::new(name, kind, doc);
        let key = ConfigKey {
            required: matches!(need, Required),
            default_value: match need {
                Default(value) => Some(value.to_owned()),
                Required | Optional => None,
            },
            importance,
            group: group.map(str::to_owned),
            order,
            width,
            display_name: display_name.to_owned(),
            ..key
        };
        match check {
            Check::Nothing => key,
            Check::Name => key.checked_by(Validator::Name),
            Check::Filled => key.non_empty(),
            Check::Topics => key.checked_by(Validator::Topics),
            Check::Aliases => key.checked_by(Validator::Aliases),
            Check::AtLeast(least) => key.at_least(least),
            Check::AtLeastIfAny(least) => key.checked_by(Validator::AtLeastIfAny(least)),
            Check::OneOf(values) => key.one_of(values),
            Check::AnyCase(values) => key.checked_by(Validator::OneOfAnyCase(values)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::validate::check;
    use super::*;

    #[test]
    fn every_default_is_valid_and_every_name_stands_once() {
        let of_json = converter_definitions("org.apache.kafka.connect.json.JsonConverter");
        assert_eq!(of_json.len(), 5);
        for keys in [common_definitions(Kind::Source), common_definitions(Kind::Sink), of_json] {
            for key in keys.iter().filter(|key| !key.required) {
                assert_eq!(check(key, None).1, Vec::<String>::new(), "{}", key.name);
                assert_eq!(keys.iter().filter(|other| other.name == key.name).count(), 1, "{}", key.name);
            }
        }
    }

    #[test]
    fn only_sinks_have_topics() {
        let has_topics = |kind| common_definitions(kind).iter().any(|key| key.name == "topics");
        assert!(has_topics(Kind::Sink) && !has_topics(Kind::Source));
    }

    #[test]
    fn everything_is_explained() {
        for key in [common_definitions(Kind::Source), common_definitions(Kind::Sink)].concat() {
            assert!(key.documentation.ends_with('.'), "{}", key.name);
        }
    }
}
