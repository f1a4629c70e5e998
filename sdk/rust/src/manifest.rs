//! What a plugin says about itself.

use serde_json::{Value, json};

use crate::{ConfigKey, config};

/// What a plugin says about itself; its name and version are those of its crate.
///
/// ```
/// use transom_sdk::{ConfigKey, Manifest};
///
/// let manifest = Manifest::new("com.example.WeatherSourceConnector")
///     .alias("WeatherSource")
///     .doc("Reads the weather.")
///     .capability("net")
///     .config(ConfigKey::string("topic").non_empty().doc("The topic to write."));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    class: String,
    aliases: Vec<String>,
    doc: String,
    capabilities: Vec<String>,
    watch: bool,
    pub(crate) keys: Vec<ConfigKey>,
}

impl Manifest {
    /// A plugin of the given class: what `connector.class` says in a configuration.
    pub fn new(class: impl Into<String>) -> Self {
        let class = class.into();
        Self {
            class,
            aliases: Vec::new(),
            doc: String::new(),
            capabilities: Vec::new(),
            watch: false,
            keys: Vec::new(),
        }
    }

    /// Another name that `connector.class` may say.
    #[must_use]
    pub fn alias(mut self, alias: impl Into<String>) -> Self {
        self.aliases.push(alias.into());
        self
    }

    /// What the plugin does, in full sentences.
    #[must_use]
    pub fn doc(mut self, text: impl Into<String>) -> Self {
        self.doc = text.into();
        self
    }

    /// What the operator must grant: `fs`, `net` or `secrets`. It is shown, and grants nothing.
    #[must_use]
    pub fn capability(mut self, name: impl Into<String>) -> Self {
        self.capabilities.push(name.into());
        self
    }

    /// The connector watches the outside system ([`Connector::watch`](crate::Connector::watch)). Without
    /// this its value is dropped once it has planned the tasks.
    #[must_use]
    pub fn watch(mut self) -> Self {
        self.watch = true;
        self
    }

    /// Describes one more key. In a group, and without an order of its own, it comes after the keys there.
    #[must_use]
    pub fn config(mut self, mut key: ConfigKey) -> Self {
        if key.order < 0 && key.group.is_some() {
            let before = self.keys.iter().filter(|other| other.group == key.group);
            key.order = before.map(|other| other.order).max().unwrap_or(0) + 1;
        }
        self.keys.push(key);
        self
    }

    /// As the contract's JSON.
    pub(crate) fn to_json(&self, name: &str, version: &str, kind: &str) -> Value {
        json!({
            "name": name,
            "version": version,
            "kind": kind,
            "class": self.class,
            "aliases": self.aliases,
            "doc": self.doc,
            "batch_versions": [1],
            "capabilities": self.capabilities,
            "watch": self.watch,
            "config": self.keys,
        })
    }

    /// Parses a configuration by the description of the keys.
    pub(crate) fn parse<T: serde::de::DeserializeOwned>(
        &self,
        map: &config::ConfigMap,
    ) -> Result<T, config::Problems> {
        config::parse(&self.keys, map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_the_contracts_json() {
        let manifest = Manifest::new("a.B")
            .alias("B")
            .doc("Does.")
            .capability("fs")
            .config(ConfigKey::string("file").non_empty().group("File").doc("The file."))
            .config(ConfigKey::int("n").default(5).min(1).low().dependents(["file"]))
            .config(ConfigKey::string("m").optional().recommend(["x"]).visible_if("n", ["5"]));
        let expected = json!({
            "name": "b", "version": "1.2.3", "kind": "source", "class": "a.B", "aliases": ["B"],
            "doc": "Does.", "batch_versions": [1], "capabilities": ["fs"], "watch": false,
            "config": [
                { "name": "file", "type": "STRING", "required": true, "default_value": null,
                  "importance": "HIGH", "documentation": "The file.", "group": "File", "order": 1,
                  "width": "NONE", "display_name": "file", "dependents": [],
                  "validator": { "non_empty": true } },
                { "name": "n", "type": "INT", "required": false, "default_value": "5",
                  "importance": "LOW", "documentation": "", "group": null, "order": -1,
                  "width": "NONE", "display_name": "n", "dependents": ["file"],
                  "validator": { "min": 1 } },
                { "name": "m", "type": "STRING", "required": false, "default_value": null,
                  "importance": "HIGH", "documentation": "", "group": null, "order": -1,
                  "width": "NONE", "display_name": "m", "dependents": [], "validator": null,
                  "recommended_values": ["x"], "visible_if": { "key": "n", "one_of": ["5"] } },
            ],
        });
        assert_eq!(manifest.to_json("b", "1.2.3", "source"), expected);
    }
}
