//! Settings as data: Kafka Connect's `ConfigDef`, in the form in which a plugin's manifest writes it and the
//! REST API shows it.

use serde::{Deserialize, Serialize};
use serde_json::Number;

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
    /// One of these, in any letter case. The worker's own, like all that follow.
    #[serde(skip)]
    OneOfAnyCase(&'static [&'static str]),
    /// A number of at least this much, or none at all.
    #[serde(skip)]
    AtLeastIfAny(i64),
    /// A list of names in which none stands twice.
    #[serde(skip)]
    Aliases,
    /// A name: neither empty nor with control characters.
    #[serde(skip)]
    Name,
    /// A [`TopicPattern`](super::TopicPattern).
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

/// On what it depends whether a form shows a setting: another one has one of these values.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VisibleIf {
    pub(crate) key: String,
    pub(crate) one_of: Vec<String>,
}

/// The definition of one setting.
///
/// Serialised it is what the REST API shows (`ConfigKeyInfo`): without the validator, and without what is known
/// only together with the values.
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
    /// Values to choose from; others may be as good.
    #[serde(skip_serializing)]
    pub(crate) recommended_values: Vec<String>,
    #[serde(skip_serializing)]
    pub(crate) visible_if: Option<VisibleIf>,
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
    #[serde(default)]
    recommended_values: Vec<String>,
    visible_if: Option<VisibleIf>,
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
            recommended_values: written.recommended_values,
            visible_if: written.visible_if,
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
            recommended_values: Vec::new(),
            visible_if: None,
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

    pub(super) fn non_empty(self) -> Self {
        self.checked_by(Validator::NonEmpty(NonEmpty { non_empty: true }))
    }

    pub(super) fn checked_by(self, validator: Validator) -> Self {
        Self { validator: Some(validator), ..self }
    }

    /// Whether the value must not be shown.
    pub(crate) fn is_secret(&self) -> bool {
        self.kind == Type::Password
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
            "validator": { "non_empty": true }, "recommended_values": ["/a", "/b"],
            "visible_if": { "key": "mode", "one_of": ["file"] }
        });
        let key: ConfigKey = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(key.recommended_values, ["/a", "/b"]);
        assert_eq!(key.visible_if.as_ref().map(|condition| condition.key.as_str()), Some("mode"));
        assert_eq!(key.validator, Some(Validator::NonEmpty(NonEmpty { non_empty: true })));
        for internal in ["validator", "recommended_values", "visible_if"] {
            let _ = written.as_object_mut().unwrap().remove(internal);
        }
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
}
