//! The config topic: what its records say, and what all of them together come to.
//!
//! Kafka Connect's own format (4.1), so that a cluster of Java workers can be taken over, and be given back. A key is
//! text, a value plain JSON, null for "gone":
//!
//! | key | value |
//! |---|---|
//! | `connector-<name>` | `{"properties": {…}}` |
//! | `target-state-<name>` | `{"state": "STARTED"\|"PAUSED", "state.v2": "STARTED"\|"PAUSED"\|"STOPPED"}` |
//! | `task-<name>-<n>` | `{"properties": {…}}`, nothing before the commit that follows |
//! | `commit-<name>` | `{"tasks": n}` |
//!
//! The rest (`session-key`, `restart-connector-*`, `logger-cluster-*`, `tasks-fencing-*`, and what nobody knows) is of
//! no concern here and left alone. What Java's reader ignores is ignored: tasks without their commit, a commit whose
//! tasks are not all there (its connector then has no tasks), tasks of a connector that is gone.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::config::{RawConfig, Target};

/// A record of a compacted topic: its key, and its value or `None` for "gone".
pub(crate) type KeyValue = (Vec<u8>, Option<Vec<u8>>);

/// A connector, as the topic has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) config: RawConfig,
    pub(crate) target: Target,
    /// The configurations of its tasks, in the order of their numbers.
    pub(crate) tasks: Vec<RawConfig>,
}

/// Everything that the topic has told so far.
#[derive(Debug, Default)]
pub(crate) struct Configs {
    configs: BTreeMap<String, RawConfig>,
    targets: BTreeMap<String, Target>,
    tasks: BTreeMap<String, Vec<RawConfig>>,
    /// Tasks that wait for their commit.
    waiting: BTreeMap<String, BTreeMap<u32, RawConfig>>,
}

impl Configs {
    /// Takes the next record. An error: it is ignored, and why.
    pub(crate) fn apply(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), String> {
        let Ok(key) = std::str::from_utf8(key) else { return Err("a key that is no text".to_owned()) };
        // In this order: a connector may be called `-state-x` or the like.
        if let Some(name) = key.strip_prefix("target-state-") {
            return self.apply_target(name, value);
        }
        if let Some(name) = key.strip_prefix("connector-") {
            return self.apply_connector(name, value);
        }
        if let Some((name, number)) = key.strip_prefix("task-").and_then(numbered) {
            // Java ignores tombstones of tasks, too: it writes none.
            let Some(value) = value else { return Ok(()) };
            let config = properties(value)?;
            let _ = self.waiting.entry(name.to_owned()).or_default().insert(number, config);
            return Ok(());
        }
        match key.strip_prefix("commit-") {
            Some(name) => self.apply_commit(name, value),
            None => Ok(()),
        }
    }

    fn apply_connector(&mut self, name: &str, value: Option<&[u8]>) -> Result<(), String> {
        if let Some(value) = value {
            let _ = self.configs.insert(name.to_owned(), properties(value)?);
            return Ok(());
        }
        let _ = (self.configs.remove(name), self.tasks.remove(name), self.waiting.remove(name));
        Ok(())
    }

    fn apply_target(&mut self, name: &str, value: Option<&[u8]>) -> Result<(), String> {
        let Some(value) = value else {
            let _ = self.targets.remove(name);
            return Ok(());
        };
        let state: Map<String, Value> = parsed(value)?;
        let word = |key| state.get(key).and_then(Value::as_str).and_then(target);
        // The first version of the record had `state` alone.
        let target = word("state.v2").or_else(|| word("state")).ok_or("no state that is known")?;
        let _ = self.targets.insert(name.to_owned(), target);
        Ok(())
    }

    fn apply_commit(&mut self, name: &str, value: Option<&[u8]>) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Commit {
            tasks: u32,
        }
        let Some(value) = value else { return Ok(()) };
        let Commit { tasks: count } = parsed(value)?;
        let mut waiting = self.waiting.remove(name).unwrap_or_default();
        if !self.configs.contains_key(name) {
            return Err(format!("tasks of connector {name}, which is not there"));
        }
        let tasks: Option<Vec<_>> = (0..count).map(|number| waiting.remove(&number)).collect();
        let complete = tasks.is_some();
        let _ = self.tasks.insert(name.to_owned(), tasks.unwrap_or_default());
        if complete { Ok(()) } else { Err(format!("tasks of connector {name}, of which some are missing")) }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.configs.keys().cloned().collect()
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.configs.contains_key(name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<Stored> {
        Some(Stored {
            config: self.configs.get(name)?.clone(),
            target: self.targets.get(name).copied().unwrap_or(Target::Running),
            tasks: self.tasks.get(name).cloned().unwrap_or_default(),
        })
    }

    /// Whether these are the tasks that the topic has of a connector.
    pub(crate) fn has_tasks(&self, name: &str, tasks: &[RawConfig]) -> bool {
        self.tasks.get(name).is_some_and(|stored| stored == tasks)
    }
}

/// The record that keeps a connector's configuration.
pub(crate) fn connector(name: &str, config: &RawConfig) -> KeyValue {
    record(format!("connector-{name}"), Some(json!({ "properties": config })))
}

/// The record that says what a connector shall be doing.
pub(crate) fn target_state(name: &str, target: Target) -> KeyValue {
    // Workers that do not know STOPPED at least pause.
    let (old, new) = match target {
        Target::Running => ("STARTED", "STARTED"),
        Target::Paused => ("PAUSED", "PAUSED"),
        Target::Stopped => ("PAUSED", "STOPPED"),
    };
    record(format!("target-state-{name}"), Some(json!({ "state": old, "state.v2": new })))
}

/// The records that forget a connector.
pub(crate) fn deletion(name: &str) -> Vec<KeyValue> {
    vec![record(format!("connector-{name}"), None), record(format!("target-state-{name}"), None)]
}

/// The records that keep the tasks of a connector, the commit last.
pub(crate) fn tasks(name: &str, configs: &[RawConfig]) -> Vec<KeyValue> {
    let task = |(number, config): (usize, &RawConfig)| {
        record(format!("task-{name}-{number}"), Some(json!({ "properties": config })))
    };
    let commit = record(format!("commit-{name}"), Some(json!({ "tasks": configs.len() })));
    configs.iter().enumerate().map(task).chain([commit]).collect()
}

fn record(key: String, value: Option<Value>) -> KeyValue {
    (key.into_bytes(), value.map(|value| value.to_string().into_bytes()))
}

fn target(word: &str) -> Option<Target> {
    match word {
        "STARTED" => Some(Target::Running),
        "PAUSED" => Some(Target::Paused),
        "STOPPED" => Some(Target::Stopped),
        _ => None,
    }
}

/// `<name>-<n>`; the name may have dashes of its own.
pub(super) fn numbered(text: &str) -> Option<(&str, u32)> {
    let (name, number) = text.rsplit_once('-')?;
    Some((name, number.parse().ok()?))
}

fn properties(value: &[u8]) -> Result<RawConfig, String> {
    #[derive(Deserialize)]
    struct Properties {
        properties: BTreeMap<String, Value>,
    }
    let Properties { properties } = parsed(value)?;
    let text = |value| match value {
        Value::String(text) => Ok(text),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err(format!("a property that is no text: {value}")),
    };
    properties.into_iter().map(|(key, value)| Ok((key, text(value)?))).collect()
}

fn parsed<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(value).map_err(|error| error.to_string())
}

#[cfg(test)]
#[path = "configs_tests.rs"]
mod tests;
