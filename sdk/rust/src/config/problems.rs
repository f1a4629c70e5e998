//! All that is wrong with a configuration, by key.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::Error;

/// Problems of a configuration, each a key and a message that a user can act on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<(String, String)>);

impl Problems {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a problem in free words.
    pub fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.0.push((key.into(), message.into()));
    }

    /// Adds a problem in Kafka Connect's words: `Invalid value V for configuration x: message`.
    pub fn invalid(&mut self, key: &str, value: impl fmt::Display, message: impl fmt::Display) {
        self.add(key, format!("Invalid value {value} for configuration {key}: {message}"));
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each key with its message.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, message)| (key.as_str(), message.as_str()))
    }

    /// The value if nothing is wrong.
    ///
    /// # Errors
    /// The problems, if there are any.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }

    /// `{"errors": {"<key>": ["<message>", …]}}`, as `connector.validate` answers.
    pub fn to_json(&self) -> Value {
        let mut errors = Map::new();
        for (key, message) in self.iter() {
            let messages = errors.entry(key).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(messages) = messages {
                messages.push(message.into());
            }
        }
        json!({ "errors": errors })
    }
}

/// One problem a line.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (_, message)) in self.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "\n" })?;
            f.write_str(message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        Self::config(problems.to_string()).detail(problems.to_json())
    }
}
