//! Settings as data: Kafka Connect's `ConfigDef`, in the form in which a plugin's manifest writes it and the
//! REST API shows it.

use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::secrets::Expansion;
use super::{Problems, RawConfig, Vault};

/// The type of a setting's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Type {
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

impl Type {
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

    /// Kafka Connect's name of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

/// How likely it is that a user has to set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Importance {
    High,
    #[default]
    Medium,
    Low,
}

/// How wide the field of a form should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Width {
    #[default]
    None,
    Short,
    Medium,
    Long,
}

/// What a value must be beyond its type.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Validator {
    /// `{"non_empty": true}`: not the empty string.
    NonEmpty(NonEmpty),
    /// `{"one_of": ["a", "b"]}`: one of these strings.
    OneOf(OneOf),
    /// `{"min": n, "max": n}`: a number within bounds.
    Range(Range),
    /// A name: neither empty nor with control characters. The worker's own.
    #[serde(skip)]
    Name,
    /// A [`TopicPattern`](super::TopicPattern). The worker's own.
    #[serde(skip)]
    Topics,
}

/// See [`Validator::NonEmpty`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NonEmpty {
    pub(crate) non_empty: bool,
}

/// See [`Validator::OneOf`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneOf {
    pub(crate) one_of: Vec<String>,
}

/// See [`Validator::Range`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    pub(crate) min: Option<Number>,
    pub(crate) max: Option<Number>,
}

/// The definition of one setting.
///
/// Serialised it is what the REST API shows (`ConfigKeyInfo`), without the validator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub(crate) struct ConfigKey {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: Type,
    pub(crate) required: bool,
    pub(crate) default_value: Option<String>,
    pub(crate) importance: Importance,
    pub(crate) documentation: String,
    pub(crate) group: Option<String>,
    pub(crate) width: Width,
    pub(crate) display_name: String,
    pub(crate) dependents: Vec<String>,
    pub(crate) order: i32,
    #[serde(skip_serializing)]
    pub(crate) validator: Option<Validator>,
}

/// A definition as a manifest may write it: only name and type are needed.
#[derive(Deserialize)]
struct Written {
    name: String,
    #[serde(rename = "type")]
    kind: Type,
    #[serde(default)]
    required: bool,
    default_value: Option<String>,
    #[serde(default)]
    importance: Importance,
    #[serde(default)]
    documentation: String,
    group: Option<String>,
    #[serde(default)]
    width: Width,
    display_name: Option<String>,
    #[serde(default)]
    dependents: Vec<String>,
    order: Option<i32>,
    validator: Option<Validator>,
}

impl From<Written> for ConfigKey {
    fn from(written: Written) -> Self {
        Self {
            display_name: written.display_name.unwrap_or_else(|| written.name.clone()),
            name: written.name,
            kind: written.kind,
            required: written.required,
            default_value: written.default_value,
            importance: written.importance,
            documentation: written.documentation,
            group: written.group,
            width: written.width,
            dependents: written.dependents,
            order: written.order.unwrap_or(-1),
            validator: written.validator,
        }
    }
}

/// For the worker's own tables.
impl ConfigKey {
    /// An optional setting without a default.
    pub(super) fn new(name: &str, kind: Type, documentation: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            required: false,
            default_value: None,
            importance: Importance::Medium,
            documentation: documentation.to_owned(),
            group: None,
            width: Width::None,
            display_name: name.to_owned(),
            dependents: Vec::new(),
            order: -1,
            validator: None,
        }
    }

    pub(super) fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(super) fn default(self, value: &str) -> Self {
        Self { default_value: Some(value.to_owned()), ..self }
    }

    pub(super) fn high(self) -> Self {
        Self { importance: Importance::High, ..self }
    }

    pub(super) fn low(self) -> Self {
        Self { importance: Importance::Low, ..self }
    }

    /// Where a form shows it, and under which name.
    pub(super) fn shown(self, group: &str, order: i32, width: Width, display_name: &str) -> Self {
        let (group, display_name) = (Some(group.to_owned()), display_name.to_owned());
        Self { group, order, width, display_name, ..self }
    }

    pub(super) fn at_least(self, min: i64) -> Self {
        Self { validator: Some(Validator::Range(Range { min: Some(min.into()), max: None })), ..self }
    }

    pub(super) fn one_of(self, values: &[&str]) -> Self {
        let one_of = values.iter().map(|&value| value.to_owned()).collect();
        Self { validator: Some(Validator::OneOf(OneOf { one_of })), ..self }
    }

    pub(super) fn checked_by(self, validator: Validator) -> Self {
        Self { validator: Some(validator), ..self }
    }

    /// Whether the value must not be shown.
    pub(crate) fn is_secret(&self) -> bool {
        self.kind == Type::Password
    }
}

/// What is known about one key of a configuration that was checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeyReport {
    /// `None` for a key that is defined nowhere.
    pub(crate) definition: Option<ConfigKey>,
    pub(crate) name: String,
    /// The value in effect; `None` where there is none or it is wrong.
    pub(crate) value: Option<String>,
    pub(crate) recommended_values: Vec<String>,
    pub(crate) errors: Vec<String>,
    pub(crate) visible: bool,
}

impl KeyReport {
    /// For a key that nothing defines.
    pub(crate) fn undefined(name: &str) -> Self {
        Self {
            definition: None,
            name: name.to_owned(),
            value: None,
            recommended_values: Vec::new(),
            errors: Vec::new(),
            visible: true,
        }
    }
}

/// The answer to "is this configuration right?".
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ValidationReport {
    /// The connector's class, as the REST API wants it.
    pub(crate) name: String,
    /// The groups of all keys, each once.
    pub(crate) groups: Vec<String>,
    pub(crate) configs: Vec<KeyReport>,
}

impl ValidationReport {
    /// A report of these keys.
    pub(crate) fn new(name: String, configs: Vec<KeyReport>) -> Self {
        let mut groups: Vec<String> = Vec::new();
        for group in configs.iter().filter_map(|key| key.definition.as_ref()?.group.as_ref()) {
            if !groups.contains(group) {
                groups.push(group.clone());
            }
        }
        Self { name, groups, configs }
    }

    /// Adds what was found elsewhere, once.
    pub(crate) fn add(&mut self, problems: Problems) {
        for problem in problems.0 {
            let index = self.configs.iter().position(|key| key.name == problem.key).unwrap_or_else(|| {
                self.configs.push(KeyReport { value: problem.value, ..KeyReport::undefined(&problem.key) });
                self.configs.len() - 1
            });
            let errors = &mut self.configs[index].errors;
            if !errors.contains(&problem.message) {
                errors.push(problem.message);
            }
        }
    }

    /// Leaves what the user wrote, and nothing that it stands for.
    pub(super) fn hide(&mut self, written: &RawConfig, expansion: &Expansion, vault: &Vault) {
        for key in &mut self.configs {
            let secret = key.definition.as_ref().is_some_and(ConfigKey::is_secret);
            if !secret && expansion.referring.contains(&key.name) {
                key.value = written.get(&key.name).cloned();
            }
            match expansion.failed.get(&key.name) {
                // Whatever else may be wrong is wrong with the reference, not with what it stands for.
                Some(why) => key.errors = vec![why.clone()],
                None => {
                    for error in &mut key.errors {
                        *error = vault.hide(error).into_owned();
                    }
                }
            }
        }
        let undefined = |key: &&String| self.configs.iter().all(|known| known.name != **key);
        let failed: Vec<_> = expansion.failed.keys().filter(undefined).cloned().collect();
        for key in failed {
            let errors = expansion.failed.get(&key).cloned().into_iter().collect();
            let value = written.get(&key).cloned();
            self.configs.push(KeyReport { errors, value, ..KeyReport::undefined(&key) });
        }
    }

    /// All errors, each with its key and value.
    pub(crate) fn problems(&self, raw: &RawConfig) -> Problems {
        let mut problems = Problems::default();
        for key in &self.configs {
            let secret = key.definition.as_ref().is_some_and(ConfigKey::is_secret);
            let value = raw.get(&key.name).filter(|_| !secret).cloned();
            for message in &key.errors {
                let (key, value, message) = (key.name.clone(), value.clone(), message.clone());
                problems.push(super::Problem { key, value, message });
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_manifest_needs_to_write_only_name_and_type() {
        let key: ConfigKey = serde_json::from_value(json!({"name": "file", "type": "STRING"})).unwrap();
        assert_eq!(key, ConfigKey::new("file", Type::String, ""));
    }

    #[test]
    fn the_definition_of_a_manifest_is_what_the_rest_api_shows() {
        let mut written = json!({
            "name": "file", "type": "STRING", "required": false, "default_value": null,
            "importance": "HIGH", "documentation": "The file to read.", "group": "File",
            "width": "LONG", "display_name": "File", "dependents": ["topic"], "order": 1,
            "validator": { "non_empty": true }
        });
        let key: ConfigKey = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(key.validator, Some(Validator::NonEmpty(NonEmpty { non_empty: true })));
        let _ = written.as_object_mut().unwrap().remove("validator");
        assert_eq!(serde_json::to_value(&key).unwrap(), written);
    }

    #[test]
    fn validators_are_told_apart_by_their_members() {
        let parse = |value| serde_json::from_value::<Validator>(value);
        let range = Range { min: Some(1.into()), max: None };
        assert_eq!(parse(json!({"min": 1})).unwrap(), Validator::Range(range));
        let one_of = vec!["a".to_owned()];
        assert_eq!(parse(json!({"one_of": ["a"]})).unwrap(), Validator::OneOf(OneOf { one_of }));
        assert!(parse(json!({"pattern": "a"})).is_err());
    }

    #[test]
    fn a_report_takes_each_problem_once() {
        let mut report = ValidationReport::new("c".into(), vec![KeyReport::undefined("a")]);
        let problems = || {
            Problems(vec![
                super::super::Problem::new("a", "1", "wrong"),
                super::super::Problem::new("b", "2", "bad"),
            ])
        };
        report.add(problems());
        report.add(problems());
        let errors: Vec<_> = report.configs.iter().map(|key| (key.name.as_str(), key.errors.len())).collect();
        assert_eq!(errors, [("a", 1), ("b", 1)]);
    }
}
