//! The settings that all connectors have in common: those of Kafka Connect's framework.

use std::sync::LazyLock;

use super::Kind;
use super::definition::{ConfigKey, Type, Validator, Width};

/// All of them for a kind, in Kafka Connect's order.
pub(crate) fn common_definitions(kind: Kind) -> Vec<ConfigKey> {
    let own = match kind {
        Kind::Source => source(),
        Kind::Sink => sink(),
        Kind::Transform => return Vec::new(),
    };
    COMMON.iter().cloned().chain(own).collect()
}

static COMMON: LazyLock<Vec<ConfigKey>> =
    LazyLock::new(|| [identity(), converters(), chains(), errors()].concat());

fn identity() -> Vec<ConfigKey> {
    vec![
        ConfigKey::new("name", Type::String, "Globally unique name to use for this connector.")
            .required()
            .high()
            .checked_by(Validator::Name)
            .shown("Common", 1, Width::Medium, "Connector name"),
        ConfigKey::new(
            "connector.class",
            Type::String,
            "The class of the plugin, one of its aliases, or its name.",
        )
        .required()
        .high()
        .shown("Common", 2, Width::Long, "Connector class"),
        ConfigKey::new("tasks.max", Type::Int, "Maximum number of tasks to use for this connector.")
            .default("1")
            .high()
            .at_least(1)
            .shown("Common", 3, Width::Short, "Tasks max"),
        ConfigKey::new(
            "tasks.max.enforce",
            Type::Boolean,
            "Whether a connector that plans more tasks than tasks.max fails. It always does.",
        )
        .default("true")
        .low()
        .shown("Common", 4, Width::Short, "Enforce tasks max"),
    ]
}

fn converters() -> Vec<ConfigKey> {
    let converter = |name, order, display_name, documentation| {
        ConfigKey::new(name, Type::Class, documentation).low().shown(
            "Common",
            order,
            Width::Short,
            display_name,
        )
    };
    vec![
        converter(
            "key.converter",
            5,
            "Key converter class",
            "Converter of keys; the worker's if this is not set. Its own settings are key.converter.*; the worker's \
             are not inherited once this is set.",
        ),
        converter("value.converter", 6, "Value converter class", "The same for values."),
        converter("header.converter", 7, "Header converter class", "Headers are passed through as they are."),
    ]
}

fn chains() -> Vec<ConfigKey> {
    vec![
        ConfigKey::new("transforms", Type::List, "Aliases for the transformations to be applied to records.")
            .default("")
            .low()
            .shown("Transforms", 8, Width::Long, "Transforms"),
        ConfigKey::new("predicates", Type::List, "Aliases for the predicates used by transformations.")
            .default("")
            .low()
            .shown("Predicates", 9, Width::Long, "Predicates"),
        ConfigKey::new(
            "config.action.reload",
            Type::String,
            "What to do when a configuration provider says that a value has changed.",
        )
        .default("restart")
        .low()
        .one_of(&["none", "restart"])
        .shown("Common", 10, Width::Medium, "Reload Action"),
    ]
}

fn errors() -> Vec<ConfigKey> {
    let shown = |key: ConfigKey, order, width, name| key.shown("Error Handling", order, width, name);
    let retry_timeout = ConfigKey::new(
        "errors.retry.timeout",
        Type::Long,
        "How long, in milliseconds, a failed operation is retried; -1 for ever.",
    )
    .default("0");
    let retry_delay =
        ConfigKey::new("errors.retry.delay.max.ms", Type::Long, "The longest wait between two attempts.")
            .default("60000");
    let tolerance = ConfigKey::new(
        "errors.tolerance",
        Type::String,
        "Whether a record that cannot be converted or transformed fails the task (none) or is skipped (all).",
    )
    .default("none")
    .one_of(&["none", "all"]);
    let log = ConfigKey::new("errors.log.enable", Type::Boolean, "Whether each failed operation is logged.")
        .default("false");
    let messages = ConfigKey::new(
        "errors.log.include.messages",
        Type::Boolean,
        "Whether the log names the record that failed.",
    )
    .default("false");
    vec![
        shown(retry_timeout, 1, Width::Medium, "Retry Timeout for Errors"),
        shown(retry_delay, 2, Width::Medium, "Maximum Delay Between Retries for Errors"),
        shown(tolerance, 3, Width::Short, "Error Tolerance"),
        shown(log, 4, Width::Short, "Log Errors"),
        shown(messages, 5, Width::Short, "Log Error Details"),
    ]
}

fn sink() -> Vec<ConfigKey> {
    let topics = ConfigKey::new("topics", Type::List, "List of topics to consume, separated by commas.");
    let regex = ConfigKey::new(
        "topics.regex",
        Type::String,
        "Regular expression giving topics to consume; it must match a whole name. Only one of topics and \
         topics.regex may be set.",
    );
    let dead_letters = |name: &str, kind, default, documentation| {
        ConfigKey::new(&format!("errors.deadletterqueue.{name}"), kind, documentation).default(default)
    };
    let (topic, factor, context) = (
        dead_letters(
            "topic.name",
            Type::String,
            "",
            "Topic for records that fail. Empty: they are not kept.",
        ),
        dead_letters(
            "topic.replication.factor",
            Type::Short,
            "3",
            "Replication factor of that topic if it is made.",
        ),
        dead_letters(
            "context.headers.enable",
            Type::Boolean,
            "false",
            "Whether headers tell why a record failed.",
        ),
    );
    let group = "Error Handling";
    vec![
        topics.default("").high().shown("Common", 4, Width::Long, "Topics"),
        regex.default("").high().checked_by(Validator::Topics).shown(
            "Common",
            4,
            Width::Long,
            "Topics regex",
        ),
        topic.shown(group, 6, Width::Medium, "Dead Letter Queue Topic Name"),
        factor.shown(group, 7, Width::Medium, "Dead Letter Queue Topic Replication Factor"),
        context.shown(group, 8, Width::Medium, "Enable Error Context Headers"),
    ]
}

fn source() -> Vec<ConfigKey> {
    let (exactly, topics) = ("Exactly Once Support", "Topic Creation");
    vec![
        ConfigKey::new(
            "topic.creation.groups",
            Type::List,
            "Groups of configurations for topics that are made.",
        )
        .default("")
        .low()
        .shown(topics, 1, Width::Long, "Topic Creation Groups"),
        ConfigKey::new(
            "exactly.once.support",
            Type::String,
            "Whether the connector must run with exactly-once support.",
        )
        .default("requested")
        .one_of(&["requested", "required"])
        .shown(exactly, 1, Width::Short, "Exactly once support"),
        ConfigKey::new(
            "transaction.boundary",
            Type::String,
            "Where transactions end, under exactly-once support.",
        )
        .default("poll")
        .one_of(&["poll", "interval", "connector"])
        .shown(exactly, 2, Width::Medium, "Transaction Boundary"),
        ConfigKey::new(
            "transaction.boundary.interval.ms",
            Type::Long,
            "How long transactions last that end by time.",
        )
        .low()
        .at_least(0)
        .shown(exactly, 3, Width::Short, "Transaction boundary interval"),
        ConfigKey::new(
            "offsets.storage.topic",
            Type::String,
            "A topic of the connector's own for its offsets.",
        )
        .low()
        .checked_by(Validator::Name)
        .shown(exactly, 4, Width::Long, "Offsets topic"),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::validate::check;
    use super::*;

    #[test]
    fn every_default_is_valid_and_every_name_stands_once() {
        for kind in [Kind::Source, Kind::Sink] {
            let keys = common_definitions(kind);
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
}
