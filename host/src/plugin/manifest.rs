//! What a plugin says about itself (`plugin.describe`).
//!
//! Strict on what is known, because connectors are validated by it; tolerant of members that are not,
//! because newer SDKs will write some. All problems are told at once.

use super::version::Version;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;
use std::path::Path;

/// The version of the batch format that this worker speaks.
const BATCH_VERSION: u32 = 1;
/// Bytes of a name, a class or an alias.
const NAME_BYTES: usize = 200;

/// What a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Reads from the outside.
    Source,
    /// Writes to the outside.
    Sink,
    /// Changes batches on their way.
    Transform,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Transform => "transform",
        })
    }
}

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

/// One setting of a plugin, in the words of Kafka Connect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConfigKey {
    /// The key.
    pub(crate) name: String,
    /// What its value is.
    #[serde(rename = "type")]
    pub(crate) kind: ConfigType,
    /// Whether it must be given.
    #[serde(default)]
    pub(crate) required: bool,
    /// What it is when it is not given.
    #[serde(default)]
    pub(crate) default_value: Option<String>,
    /// How much it matters.
    #[serde(default)]
    pub(crate) importance: Importance,
    /// What it does, for people.
    #[serde(default)]
    pub(crate) documentation: String,
    /// The heading it stands under.
    #[serde(default)]
    pub(crate) group: Option<String>,
    /// Its place under the heading.
    #[serde(default)]
    pub(crate) order: i32,
    /// How wide a form shows it.
    #[serde(default)]
    pub(crate) width: Width,
    /// Its name, for people.
    #[serde(default)]
    pub(crate) display_name: Option<String>,
    /// Keys that depend on it.
    #[serde(default)]
    pub(crate) dependents: Vec<String>,
    /// What its value must be.
    #[serde(default)]
    pub(crate) validator: Option<Validator>,
}

/// The type of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "Kafka Connect's own names")]
pub(crate) enum ConfigType {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

/// How much a setting matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "Kafka Connect's own names")]
pub(crate) enum Importance {
    High,
    #[default]
    Medium,
    Low,
}

/// How wide a setting is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "Kafka Connect's own names")]
pub(crate) enum Width {
    #[default]
    None,
    Short,
    Medium,
    Long,
}

/// What the value of a setting must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Validator {
    /// Not empty.
    NonEmpty {
        /// Always true.
        non_empty: bool,
    },
    /// One of these.
    OneOf {
        /// The values.
        one_of: Vec<String>,
    },
    /// A number in this range.
    Range {
        /// At least.
        #[serde(default)]
        min: Option<f64>,
        /// At most.
        #[serde(default)]
        max: Option<f64>,
    },
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
        }
        problems
    }
}

impl ConfigType {
    /// Whether `value` can be read as this type.
    pub(crate) fn accepts(self, value: &str) -> bool {
        match self {
            Self::Boolean => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
            Self::Short => value.parse::<i16>().is_ok(),
            Self::Int => value.parse::<i32>().is_ok(),
            Self::Long => value.parse::<i64>().is_ok(),
            Self::Double => value.parse::<f64>().is_ok(),
            Self::String | Self::List | Self::Class | Self::Password => true,
        }
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
        assert_eq!(manifest.config[0].validator, Some(Validator::NonEmpty { non_empty: true }));
        assert_eq!(manifest.config[1].validator, Some(Validator::Range { min: Some(1.0), max: None }));
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
            .replace("FileStreamSource\"]", "a b\"]");
        let error = Manifest::parse(&bad).unwrap_err();
        assert_eq!(error.problems.len(), 4, "{error}");
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
