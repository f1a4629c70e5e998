//! Typed reading of settings that a table defines, keeping every problem.

use std::time::Duration;

use super::definition::ConfigKey;
use super::validate::{Value, check};
use super::{Problem, Problems, RawConfig};

/// Reads settings one by one. What is wrong is kept, and the default (or nothing) returned in its place, so
/// that reading goes on: whoever builds a configuration from this must look at `problems` in the end.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    keys: &'a [ConfigKey],
    raw: &'a RawConfig,
    pub(super) problems: Problems,
}

impl<'a> Reader<'a> {
    pub(super) fn new(keys: &'a [ConfigKey], raw: &'a RawConfig) -> Self {
        Self { keys, raw, problems: Problems::default() }
    }

    fn value(&mut self, name: &str) -> Option<Value> {
        let key = self.keys.iter().find(|key| key.name == name).expect("only keys of the table are read");
        let given = self.raw.get(name);
        let (value, errors) = check(key, given.map(String::as_str));
        if errors.is_empty() {
            return value;
        }
        for message in errors {
            let value = given.filter(|_| !key.is_secret()).cloned();
            self.problems.push(Problem { key: name.to_owned(), value, message });
        }
        check(key, None).0
    }

    /// Whether a setting is written at all, be it empty.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.raw.contains_key(name)
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match self.value(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn list(&mut self, name: &str) -> Vec<String> {
        match self.value(name) {
            Some(Value::List(list)) => list,
            _ => Vec::new(),
        }
    }

    pub(super) fn boolean(&mut self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Boolean(true)))
    }

    pub(super) fn integer(&mut self, name: &str) -> i64 {
        match self.value(name) {
            Some(Value::Integer(value)) => value,
            _ => 0,
        }
    }

    /// A number of bytes or things: its range excludes the negative ones.
    pub(super) fn size(&mut self, name: &str) -> usize {
        usize::try_from(self.integer(name)).unwrap_or(0)
    }

    pub(super) fn millis(&mut self, name: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.integer(name)).unwrap_or(0))
    }

    /// Adds a problem with the value that was given for a key.
    pub(super) fn wrong(&mut self, name: &str, message: impl Into<String>) {
        let (key, value) = (name.to_owned(), self.raw.get(name).cloned());
        self.problems.push(Problem { key, value, message: message.into() });
    }
}
