//! The status topic: what connectors and tasks are doing, for workers that do not run them.
//!
//! Kafka Connect's own format (4.1). A key is text, a value plain JSON, null for "gone":
//!
//! | key | value |
//! |---|---|
//! | `status-connector-<name>` | `{"state", "trace", "worker_id", "generation", "version"}` |
//! | `status-task-<name>-<n>` | the same |
//! | `status-topic-<topic>:connector-<name>` | `{"topic": {"name", "connector", "task", "discoverTimestamp"}}` |
//!
//! The generation that is written is always 0. Java's worker does not replace what another one wrote with a higher
//! generation by a state that ends something, so that nothing written here stands in its way when it takes over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::configs::{KeyValue, numbered};
use crate::task::status::State;

/// What a connector, or one of its tasks, is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) state: State,
    pub(crate) trace: Option<String>,
    pub(crate) worker: String,
    pub(crate) version: Option<String>,
}

/// Everything that the topic has told so far of one connector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) connector: Option<Status>,
    pub(crate) tasks: BTreeMap<u32, Status>,
    pub(crate) topics: BTreeSet<String>,
}

impl Told {
    fn is_empty(&self) -> bool {
        self.connector.is_none() && self.tasks.is_empty() && self.topics.is_empty()
    }
}

/// Everything that the topic has told so far.
#[derive(Debug, Default)]
pub(crate) struct Statuses(BTreeMap<String, Told>);

#[derive(Serialize, Deserialize)]
struct Value<'a> {
    state: &'a str,
    trace: Option<String>,
    worker_id: String,
    #[serde(default)]
    generation: i64,
    #[serde(default)]
    version: Option<String>,
}

impl Statuses {
    /// Takes the next record. An error: it is ignored, and why.
    pub(crate) fn apply(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), String> {
        let Ok(key) = std::str::from_utf8(key) else { return Err("a key that is no text".to_owned()) };
        if let Some(name) = key.strip_prefix("status-connector-") {
            let status = value.map(parse).transpose()?;
            self.change(name, |told| told.connector = status);
        } else if let Some((name, number)) = key.strip_prefix("status-task-").and_then(numbered) {
            let status = value.map(parse).transpose()?;
            self.change(name, |told| match status {
                Some(status) => drop(told.tasks.insert(number, status)),
                None => drop(told.tasks.remove(&number)),
            });
        } else if let Some((topic, name)) =
            key.strip_prefix("status-topic-").and_then(|rest| rest.split_once(":connector-"))
        {
            self.change(name, |told| {
                let _ = if value.is_some() {
                    told.topics.insert(topic.to_owned())
                } else {
                    told.topics.remove(topic)
                };
            });
        }
        Ok(())
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Told)) {
        let told = self.0.entry(name.to_owned()).or_default();
        change(told);
        if told.is_empty() {
            let _ = self.0.remove(name);
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Told> {
        self.0.get(name)
    }

    /// The records that forget a connector.
    pub(crate) fn deletion(&self, name: &str) -> Vec<KeyValue> {
        let Some(told) = self.0.get(name) else { return Vec::new() };
        let tasks = told.tasks.keys().map(|number| task(name, *number, None));
        let topics = told.topics.iter().map(|used| topic(name, used, false));
        told.connector.iter().map(|_| connector(name, None)).chain(tasks).chain(topics).collect()
    }

    /// The connectors that something is told of.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// The record of a connector's status.
pub(crate) fn connector(name: &str, status: Option<&Status>) -> KeyValue {
    record(format!("status-connector-{name}"), status)
}

/// The record of a task's status.
pub(crate) fn task(name: &str, number: u32, status: Option<&Status>) -> KeyValue {
    record(format!("status-task-{name}-{number}"), status)
}

/// The record that says whether a connector uses a topic. Which of its tasks was first is not known.
pub(crate) fn topic(name: &str, topic: &str, used: bool) -> KeyValue {
    let since = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let value = used.then(|| {
        let now = u64::try_from(since()).unwrap_or(u64::MAX);
        let topic = json!({ "name": topic, "connector": name, "task": 0, "discoverTimestamp": now });
        json!({ "topic": topic }).to_string().into_bytes()
    });
    (format!("status-topic-{topic}:connector-{name}").into_bytes(), value)
}

fn record(key: String, status: Option<&Status>) -> KeyValue {
    let value = status.map(|status| {
        let value = Value {
            state: status.state.as_str(),
            trace: status.trace.clone(),
            worker_id: status.worker.clone(),
            generation: 0,
            version: status.version.clone(),
        };
        serde_json::to_vec(&value).expect("texts are JSON")
    });
    (key.into_bytes(), value)
}

fn parse(value: &[u8]) -> Result<Status, String> {
    let value: Value<'_> = serde_json::from_slice(value).map_err(|error| error.to_string())?;
    let state = State::parse(value.state).ok_or_else(|| format!("an unknown state: {}", value.state))?;
    let trace = value.trace.filter(|trace| !trace.is_empty());
    Ok(Status { state, trace, worker: value.worker_id, version: value.version })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a Java worker 4.1.1 wrote.
    const JAVA: &[(&str, Option<&str>)] = &[
        (
            "status-connector-lines",
            Some(
                r#"{"state":"RUNNING","trace":null,"worker_id":"127.0.0.1:28083","generation":2,"version":"4.1.1"}"#,
            ),
        ),
        (
            "status-topic-t1:connector-lines",
            Some(r#"{"topic":{"name":"t1","connector":"lines","task":0,"discoverTimestamp":1795592558501}}"#),
        ),
        (
            "status-task-lines-0",
            Some(
                r#"{"state":"FAILED","trace":"org.x.E: Failed\n\tat a","worker_id":"127.0.0.1:28083","generation":3,"version":null}"#,
            ),
        ),
        (
            "status-connector-stopped-é-1",
            Some(
                r#"{"state":"STOPPED","trace":null,"worker_id":"127.0.0.1:28083","generation":6,"version":"4.1.1"}"#,
            ),
        ),
        (
            "status-task-stopped-é-1-0",
            Some(
                r#"{"state":"UNASSIGNED","trace":null,"worker_id":"127.0.0.1:28083","generation":9,"version":null}"#,
            ),
        ),
        ("status-task-stopped-é-1-0", None),
        (
            "status-connector-bad",
            Some(
                r#"{"state":"UNASSIGNED","trace":null,"worker_id":"127.0.0.1:28083","generation":11,"version":null}"#,
            ),
        ),
        ("status-connector-bad", None),
    ];

    fn java() -> Statuses {
        let mut statuses = Statuses::default();
        for (key, value) in JAVA {
            statuses.apply(key.as_bytes(), value.map(str::as_bytes)).unwrap();
        }
        statuses
    }

    #[test]
    fn what_java_wrote_is_read() {
        let statuses = java();
        assert_eq!(statuses.names(), ["lines", "stopped-é-1"]);
        let lines = statuses.get("lines").unwrap();
        let connector = lines.connector.as_ref().unwrap();
        assert_eq!((connector.state, connector.version.as_deref()), (State::Running, Some("4.1.1")));
        assert_eq!(connector.worker, "127.0.0.1:28083");
        assert_eq!(lines.tasks[&0].trace.as_deref(), Some("org.x.E: Failed\n\tat a"));
        assert!(lines.topics.contains("t1"));
        assert!(statuses.get("stopped-é-1").unwrap().tasks.is_empty());
    }

    #[test]
    fn what_is_written_is_java_s_and_is_read_again() {
        let status = Status {
            state: State::Failed,
            trace: Some("why\nit".to_owned()),
            worker: "w:8083".to_owned(),
            version: Some("1.0.0".to_owned()),
        };
        let (key, value) = task("a-1", 2, Some(&status));
        assert_eq!(key, b"status-task-a-1-2");
        let value = value.unwrap();
        let text =
            r#"{"state":"FAILED","trace":"why\nit","worker_id":"w:8083","generation":0,"version":"1.0.0"}"#;
        assert_eq!(String::from_utf8_lossy(&value), text);
        let mut statuses = Statuses::default();
        statuses.apply(&key, Some(&value)).unwrap();
        assert_eq!(statuses.get("a-1").unwrap().tasks[&2], status);
    }

    #[test]
    fn a_connector_that_is_gone_is_forgotten_with_its_tasks_and_topics() {
        let mut statuses = java();
        let records = statuses.deletion("lines");
        assert_eq!(records.len(), 3);
        for (key, value) in records {
            assert_eq!(value, None);
            statuses.apply(&key, None).unwrap();
        }
        assert_eq!(statuses.names(), ["stopped-é-1"]);
        assert!(statuses.deletion("lines").is_empty());
    }

    #[test]
    fn what_is_malformed_is_ignored_and_said() {
        let mut statuses = Statuses::default();
        assert!(statuses.apply(b"status-connector-a", Some(b"{")).is_err());
        let unknown = br#"{"state":"DESTROYED","trace":null,"worker_id":"w","generation":1}"#;
        assert!(statuses.apply(b"status-task-a-0", Some(unknown)).is_err());
        statuses.apply(b"else", Some(b"{")).unwrap();
        assert!(statuses.names().is_empty());
    }
}
