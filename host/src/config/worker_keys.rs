//! The settings of a worker: one table, from which they are read, checked and explained.
//!
//! Names and defaults are Kafka Connect's where it has the setting; the rest is our own.

use std::fmt::Write as _;
use std::sync::LazyLock;

use super::definition::{ConfigKey, Type, Validator};
use super::worker::{Mode, keys_of};

/// All of them, in the order in which they are explained.
pub(super) static WORKER_KEYS: LazyLock<Vec<ConfigKey>> = LazyLock::new(|| {
    [
        kafka_and_converters(),
        offsets_and_tasks(),
        topic_tracking(),
        plugins(),
        rest(),
        rest_limits(),
        budgets(),
    ]
    .into_iter()
    .flatten()
    .collect()
});

fn kafka_and_converters() -> Vec<ConfigKey> {
    vec![
        ConfigKey::new("bootstrap.servers", Type::List, "Kafka brokers to begin with, `host:port,...`.")
            .default("localhost:9092")
            .high(),
        ConfigKey::new(
            "key.converter",
            Type::Class,
            "Converter of keys for connectors that name none: StringConverter, ByteArrayConverter or JsonConverter, \
             as a class name of Kafka Connect or its last part. Its own settings are `key.converter.*`, as \
             `key.converter.schemas.enable`.",
        )
        .required()
        .high(),
        ConfigKey::new("value.converter", Type::Class, "The same for values.").required().high(),
        ConfigKey::new(
            "header.converter",
            Type::Class,
            "Headers are passed through as they are, whichever of SimpleHeaderConverter, StringConverter and \
             ByteArrayConverter this names.",
        )
        .default("org.apache.kafka.connect.storage.SimpleHeaderConverter")
        .low(),
        ConfigKey::new(
            "config.providers",
            Type::List,
            "Names of providers that ${name:path:key} in values refers to. Each has `config.providers.<name>.class` \
             (FileConfigProvider, DirectoryConfigProvider, EnvVarConfigProvider) and what it may read: for files \
             `.param.allowed.paths`, for variables `.param.allowlist.pattern`.",
        )
        .default(""),
        ConfigKey::new(
            "connector.client.config.override.policy",
            Type::String,
            "Which client settings a connector may override with `producer.override.*`, `consumer.override.*` and \
             `admin.override.*`: All (of those that are safe), None, or Principal (its identity alone).",
        )
        .default("All"),
    ]
}

fn offsets_and_tasks() -> Vec<ConfigKey> {
    vec![
        ConfigKey::new(
            "offset.storage.file.filename",
            Type::String,
            "File that keeps the offsets of sources, for one worker at a time: beside it, .lock says which. One that \
             a Java worker wrote is read, and replaced at the first save.",
        )
        .required()
        .high()
        .checked_by(Validator::Name),
        ConfigKey::new(
            "offset.flush.interval.ms",
            Type::Long,
            "How often sinks commit. Offsets of sources are saved as soon as they move.",
        )
        .default("60000")
        .at_least(1),
        ConfigKey::new("offset.flush.timeout.ms", Type::Long, "How long a commit may take.")
            .default("5000")
            .at_least(1),
        ConfigKey::new(
            "task.shutdown.graceful.timeout.ms",
            Type::Long,
            "How long tasks have to stop in good order, all together.",
        )
        .default("5000")
        .at_least(0),
        ConfigKey::new(
            "task.restart.max",
            Type::Int,
            "How often in a row a task that failed starts again by itself before it stays failed. Progress resets \
             the count.",
        )
        .default("10")
        .at_least(0),
        ConfigKey::new(
            "task.restart.backoff.ms",
            Type::Long,
            "The wait before the first such start; it doubles with each, up to a minute.",
        )
        .default("1000")
        .at_least(0),
        ConfigKey::new(
            "plugin.probation.ms",
            Type::Long,
            "How long new code that replaced other code while its tasks ran has to prove itself: if the new code fails \
             within that time, the connector goes back to what it ran before. 0: never.",
        )
        .default("10000")
        .at_least(0),
        ConfigKey::new(
            "static.membership",
            Type::Boolean,
            "Whether sink tasks keep their place in the consumer group over a restart (`group.instance.id`). They then \
             also keep it for session.timeout.ms after a stop, or when there are other tasks in their stead; the \
             status says so (`waiting_for`).",
        )
        .default("true"),
    ]
}

fn topic_tracking() -> Vec<ConfigKey> {
    vec![
        ConfigKey::new(
            "topic.tracking.enable",
            Type::Boolean,
            "Whether the worker keeps in mind which topics each connector uses.",
        )
        .default("true")
        .low(),
        ConfigKey::new(
            "topic.tracking.allow.reset",
            Type::Boolean,
            "Whether users of the REST API may have it forget them.",
        )
        .default("true")
        .low(),
    ]
}

fn plugins() -> Vec<ConfigKey> {
    vec![
        ConfigKey::new(
            "plugin.path",
            Type::List,
            "Directories with plugins. They are watched: a plugin that is replaced there is replaced in the tasks that \
             run it. Whoever may write to them holds every grant made to the plugins in them.",
        )
        .default("")
        .high(),
        ConfigKey::new(
            "plugin.cache.dir",
            Type::String,
            "Directory for compiled plugins, the worker's own. Not set: `transom/compiled` in $XDG_CACHE_HOME or ~/.cache.",
        )
        .low()
        .checked_by(Validator::Name),
        ConfigKey::new("plugin.cache.max.bytes", Type::Long, "How much compiled code is kept there.")
            .default("1073741824")
            .low()
            .at_least(0),
    ]
}

fn rest() -> Vec<ConfigKey> {
    vec![
        ConfigKey::new(
            "listeners",
            Type::List,
            "Addresses of the REST API, `http://host:port,...`. No host: all interfaces. Port 0: any free one.",
        )
        .default("http://:8083"),
        ConfigKey::new("rest.advertised.host.name", Type::String, "Host under which others reach the REST API.").low(),
        ConfigKey::new("rest.advertised.port", Type::Int, "Port under which others reach the REST API.")
            .low()
            .at_least(0),
        ConfigKey::new("rest.advertised.listener", Type::String, "Only `http` there is.").low().one_of(&["http"]),
    ]
}

fn rest_limits() -> Vec<ConfigKey> {
    vec![
        ConfigKey::new(
            "rest.request.max.bytes",
            Type::Long,
            "The largest body of a request that is read; a larger one is answered with 413.",
        )
        .default("4194304")
        .low()
        .at_least(1),
        ConfigKey::new(
            "rest.request.timeout.ms",
            Type::Long,
            "After which a request is answered that is not done, with what the worker is at. What was begun goes on.",
        )
        .default("90000")
        .low()
        .at_least(1),
        ConfigKey::new(
            "admin.listeners",
            Type::List,
            "Addresses of the administrative endpoints (/admin) alone. Not set: they are where the others are. Empty: \
             nowhere.",
        )
        .low(),
        ConfigKey::new(
            "access.control.allow.origin",
            Type::List,
            "Origins whose web pages may use the API, as https://ui.example.com, or * for all. Empty: none.",
        )
        .default("")
        .low(),
        ConfigKey::new(
            "access.control.allow.methods",
            Type::List,
            "Methods that such pages may use. Empty: GET, POST and HEAD.",
        )
        .default("")
        .low(),
    ]
}

fn budgets() -> Vec<ConfigKey> {
    vec![
        ConfigKey::new(
            "consumer.prefetch.max.bytes",
            Type::Long,
            "What all sinks of the worker together may fetch ahead.",
        )
        .default("268435456")
        .at_least(1 << 20),
        ConfigKey::new(
            "producer.inflight.max.bytes",
            Type::Long,
            "What a source task may have sent without an acknowledgement.",
        )
        .default("33554432")
        .at_least(1 << 16),
    ]
}

/// What `sandbox.<plugin>.*` may say: name, value, meaning.
pub(super) const SANDBOX_KEYS: &[(&str, &str, &str)] = &[
    ("fs", "/dir,/dir:rw", "directories the plugin sees, each under its own path; :rw to write"),
    (
        "net",
        "https://*.example.com:443,tcp://10.0.0.0/8:5432",
        "hosts it may connect to; schemes http, https, tcp",
    ),
    ("net.connections.max", "64", "connections of a task that are open at a time"),
    ("net.rate.max", "10485760", "bytes a second of a task's HTTP, in and out; not set: no limit"),
    ("net.timeout.ms", "60000", "how long an answer may take to begin, and its next part to come"),
    ("net.response.max", "1073741824", "bytes of an answer's body"),
    ("tls.ca", "/etc/ssl/own-ca.pem", "files of certificates to trust besides those of the system"),
    (
        "tls.certificate",
        "/etc/ssl/client.pem",
        "certificate that connections show; the plugin does not see it",
    ),
    ("tls.key", "/etc/ssl/client.key", "the key to it"),
    ("secrets", "name,prefix-*", "secrets it may ask for, of those that secret.<name> names"),
    ("env", "NAME,PREFIX_*", "variables of the worker's environment it sees"),
    ("topics", "topic,prefix-*", "topics a source may write to; not set: all"),
    ("memory.max", "268435456", "bytes of memory of a task"),
    ("cpu.max", "0.5", "share of a core that a task's plugin may use; not set: no limit"),
    ("call.timeout.ms", "30000", "how long a call may take beyond what it was asked to wait"),
    ("log.rate", "100", "log lines a second"),
    ("sha256", "<64 hexadecimal digits>", "the only content of the plugin's file that is loaded"),
];

/// All settings of a worker with their defaults and meanings, for a terminal.
pub(crate) fn help(mode: Mode) -> String {
    let mut text = String::new();
    for key in &keys_of(mode) {
        let default = match &key.default_value {
            Some(value) if value.is_empty() => "empty by default".to_owned(),
            Some(value) => format!("default {value}"),
            None if key.required => "required".to_owned(),
            None => "not set by default".to_owned(),
        };
        let _ =
            writeln!(text, "{} ({}, {default})\n{}", key.name, key.kind.name(), indented(&key.documentation));
    }
    let _ = writeln!(
        text,
        "producer.*, consumer.*, admin.*\n{}",
        indented("Settings of the Kafka clients of all connectors, under their Java names.")
    );
    let _ = writeln!(
        text,
        "secret.<name>\n{}",
        indented(
            "A secret for plugins that are granted it with sandbox.<plugin>.secrets: its value, or where a provider has it.",
        )
    );
    text.push_str("sandbox.<plugin>.*, sandbox.default.*\n");
    text.push_str(&indented(
        "What a plugin may do; nothing that is not listed. The plugin's own wins over default.",
    ));
    text.push('\n');
    for (name, example, meaning) in SANDBOX_KEYS {
        let _ = writeln!(text, "    {name}={example}\n        {meaning}");
    }
    text
}

/// Text in lines of at most 90 characters, indented.
fn indented(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("begun with one");
        if !last.is_empty() && last.len() + word.len() >= 90 {
            lines.push(word.to_owned());
            continue;
        }
        if !last.is_empty() {
            last.push(' ');
        }
        last.push_str(word);
    }
    lines.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::validate::check;
    use super::*;

    #[test]
    fn every_default_is_valid() {
        for key in WORKER_KEYS.iter().filter(|key| !key.required) {
            assert_eq!(check(key, None).1, Vec::<String>::new(), "{}", key.name);
        }
    }

    fn help_standalone() -> String {
        help(Mode::Standalone)
    }

    #[test]
    fn help_tells_every_setting() {
        let help = help(Mode::Distributed);
        assert!(
            help.contains("group.id (STRING, required)") && !help.contains("offset.storage.file.filename")
        );
        let help = help_standalone();
        for key in WORKER_KEYS.iter() {
            assert!(help.contains(&format!("{} (", key.name)), "{help}");
        }
        assert!(help.contains("offset.flush.interval.ms (LONG, default 60000)\n    How often"), "{help}");
        assert!(help.lines().all(|line| line.len() < 100), "{help}");
    }
}
