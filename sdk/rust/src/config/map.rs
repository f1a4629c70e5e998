//! A configuration as the user wrote it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Error;

/// A configuration: strings by name, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigMap(BTreeMap<String, String>);

impl ConfigMap {
    /// An empty configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// From a JSON object of strings. A null is a key that is not there.
    ///
    /// # Errors
    /// The text is no such object.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let members: serde_json::Map<String, Value> = serde_json::from_str(json)
            .map_err(|error| Error::config(format!("the configuration is no JSON object: {error}")))?;
        let mut map = BTreeMap::new();
        for (key, value) in members {
            match value {
                Value::String(value) => drop(map.insert(key, value)),
                Value::Null => {}
                other => {
                    return Err(Error::config(format!(
                        "the value of configuration {key} is no string: {other}"
                    )));
                }
            }
        }
        Ok(Self(map))
    }

    /// As a JSON object of strings.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).expect("a map of strings is always JSON")
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Sets a value.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.insert(key.into(), value.into());
    }

    /// A copy with one value changed: what a connector makes the configurations of its tasks from.
    #[must_use]
    pub fn with(&self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let mut copy = self.clone();
        copy.set(key, value);
        copy
    }

    /// All of it.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for ConfigMap {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for ConfigMap {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}
