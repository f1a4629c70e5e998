//! What a plugin says about itself (`plugin.describe`).
//!
//! Strict on what is known, because connectors are validated by it; tolerant of members that are not,
//! because newer SDKs will write some. All problems are told at once.

use super::version::Version;
use crate::config::{ConfigKey, Kind};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::Path;

/// The version of the batch format that this worker speaks.
const BATCH_VERSION: u32 = 1;
/// Bytes of a name, a class or an alias.
const NAME_BYTES: usize = 200;

/// A plugin's description of itself, checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The plugin's name: that of its file and of its sandbox.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: Version,
    /// What it is.
    pub(crate) kind: Kind,
    /// What `connector.class` says.
    pub(crate) class: String,
    /// What it may say instead.
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    /// What it does, for people.
    #[serde(default)]
    pub(crate) doc: String,
    /// The batch formats it speaks.
    pub(crate) batch_versions: Vec<u32>,
    /// What it would like to be granted. Grants nothing.
    #[serde(default)]
    pub(crate) capabilities: Vec<String>,
    /// Whether the connector's instance is kept and watched.
    #[serde(default)]
    pub(crate) watch: bool,
    /// The settings it knows.
    #[serde(default)]
    pub(crate) config: Vec<ConfigKey>,
}

/// What is wrong with a manifest: all of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its description is wrong: {}", problems.join("; "))]
pub(crate) struct ManifestError {
    /// One sentence each.
    pub(crate) problems: Vec<String>,
}

impl Manifest {
    /// Reads and checks what `describe` answered.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(crate) fn parse(json: &str) -> Result<Self, ManifestError> {
        let manifest: Self = serde_json::from_str(json)
            .map_err(|error| ManifestError { problems: vec![error.to_string()] })?;
        let problems = manifest.problems();
        if problems.is_empty() { Ok(manifest) } else { Err(ManifestError { problems }) }
    }

    /// All that `connector.class` may say: the class, the aliases, the name.
    pub(crate) fn handles(&self) -> impl Iterator<Item = &str> {
        [self.class.as_str(), self.name.as_str()].into_iter().chain(self.aliases.iter().map(String::as_str))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut demand = |good: bool, problem: &dyn Fn() -> String| {
            if !good {
                problems.push(problem());
            }
        };
        demand(is_plugin_name(&self.name), &|| {
            format!("name {:?} must be of a-z, 0-9 and -, and not `default`", self.name)
        });
        for class in std::iter::once(&self.class).chain(&self.aliases) {
            demand(is_class(class), &|| {
                format!("class or alias {class:?} must be of letters, digits and . _ $ -")
            });
        }
        demand(self.batch_versions.contains(&BATCH_VERSION), &|| {
            format!(
                "batch_versions {:?} lacks version {BATCH_VERSION}, the only one there is",
                self.batch_versions
            )
        });
        let mut seen = HashSet::new();
        for key in &self.config {
            demand(seen.insert(&key.name), &|| format!("setting {:?} is defined twice", key.name));
            demand(!key.name.is_empty(), &|| "a setting has an empty name".to_owned());
            demand(!(key.required && key.default_value.is_some()), &|| {
                format!("setting {:?} is required and has a default", key.name)
            });
            let fits = key.default_value.as_deref().is_none_or(|value| key.kind.accepts(value));
            demand(fits, &|| format!("the default of setting {:?} is no {:?}", key.name, key.kind));
            let decides = |other: &ConfigKey| key.visible_if.as_ref().is_none_or(|it| it.key == other.name);
            demand(self.config.iter().any(decides), &|| {
                format!("what setting {:?} is visible by is no setting", key.name)
            });
        }
        problems
    }
}

/// What the name of a plugin's file says: the name, and the version if it has one.
pub(crate) fn file_name_parts(path: &Path) -> Option<(&str, Option<&str>)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".wasm")?;
    Some(stem.split_once('@').map_or((stem, None), |(name, version)| (name, Some(version))))
}

fn is_plugin_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.len() <= NAME_BYTES && name.bytes().all(good) && name != "default"
}

fn is_class(class: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$' | b'-');
    !class.is_empty() && class.len() <= NAME_BYTES && class.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"name":"file-source","version":"0.1.0","kind":"source",
        "class":"org.apache.kafka.connect.file.FileStreamSourceConnector","aliases":["FileStreamSource"],
        "doc":"Reads.","batch_versions":[1],"capabilities":["fs"],"watch":false,"from":"the future",
        "config":[{"name":"file","type":"STRING","required":false,"default_value":null,"importance":"HIGH",
        "documentation":"The file.","group":"File","order":1,"width":"LONG","display_name":"File",
        "dependents":[],"validator":{"non_empty":true},"more":1},
        {"name":"n","type":"INT","default_value":"3","validator":{"min":1}}]}"#;

    #[test]
    fn the_manifest_of_the_contract_is_read() {
        let manifest = Manifest::parse(GOOD).unwrap();
        assert_eq!((manifest.kind, manifest.config.len()), (Kind::Source, 2));
        assert!(manifest.config.iter().all(|key| key.validator.is_some()));
        let handles: Vec<_> = manifest.handles().collect();
        let class = "org.apache.kafka.connect.file.FileStreamSourceConnector";
        assert_eq!(handles, [class, "file-source", "FileStreamSource"]);
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let bad = GOOD
            .replace("file-source", "File Source")
            .replace("[1]", "[2]")
            .replace("\"3\"", "\"three\"")
            .replace("FileStreamSource\"]", "a b\"]")
            .replace("\"more\":1", "\"visible_if\":{\"key\":\"nothing\",\"one_of\":[\"x\"]}");
        let error = Manifest::parse(&bad).unwrap_err();
        assert_eq!(error.problems.len(), 5, "{error}");
    }

    #[test]
    fn what_is_known_must_be_right() {
        for (good, bad) in
            [("\"source\"", "\"sauce\""), ("0.1.0", "0.1"), ("STRING", "TEXT"), ("HIGH", "VAST")]
        {
            assert!(Manifest::parse(&GOOD.replacen(good, bad, 1)).is_err(), "{bad}");
        }
    }

    #[test]
    fn file_names_say_name_and_version() {
        assert_eq!(file_name_parts(Path::new("/p/a.wasm")), Some(("a", None)));
        assert_eq!(file_name_parts(Path::new("/p/a@1.2.3.wasm")), Some(("a", Some("1.2.3"))));
        assert_eq!(file_name_parts(Path::new("/p/a.txt")), None);
    }
}
