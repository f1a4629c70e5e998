//! Which converter a configuration names. What converters do is in `convert`.

use std::collections::BTreeMap;

use super::{Problem, Problems, RawConfig};

/// A converter of keys or values, with its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Converter {
    /// Text.
    String,
    /// Bytes as they are.
    ByteArray,
    /// JSON.
    Json {
        /// `schemas.enable`: whether the schema stands around each payload.
        schemas: bool,
        /// `replace.null.with.default`: whether a null that has a default becomes it.
        replace_null_with_default: bool,
    },
}

/// The converters of a connector, or those of a worker for connectors that name none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Converters {
    pub(crate) key: Converter,
    pub(crate) value: Converter,
}

/// The keys that name converters.
pub(super) const CONVERTERS: [&str; 3] = ["key.converter", "value.converter", "header.converter"];

/// The full names; their last part, with or without `Converter`, means the same.
pub(super) const CONVERTER_CLASSES: &[&str] = &[
    "org.apache.kafka.connect.storage.StringConverter",
    "org.apache.kafka.connect.converters.ByteArrayConverter",
    "org.apache.kafka.connect.json.JsonConverter",
];

/// What converters can be told, without the key that names the converter.
pub(super) const CONVERTER_SETTINGS: &[&str] = &[
    "converter.type",
    "converter.encoding",
    "converter.encoding.serializer",
    "converter.encoding.deserializer",
    "decimal.format",
    "plugin.version",
    "replace.null.with.default",
    "schemas.cache.size",
    "schemas.enable",
];

/// Header converters that have the same effect: none. The first is the one that is used where none is named.
pub(super) const HEADER_CONVERTER_CLASSES: &[&str] = &[
    "org.apache.kafka.connect.storage.SimpleHeaderConverter",
    "org.apache.kafka.connect.storage.StringConverter",
    "org.apache.kafka.connect.converters.ByteArrayConverter",
];

impl Converter {
    /// Its full name.
    pub(super) fn class(self) -> &'static str {
        CONVERTER_CLASSES[match self {
            Self::String => 0,
            Self::ByteArray => 1,
            Self::Json { .. } => 2,
        }]
    }

    /// The converter that `key` (`key.converter` or `value.converter`) names; `None` where it is not set, and
    /// where something is wrong with it.
    pub(crate) fn read(key: &str, raw: &RawConfig, problems: &mut Problems) -> Option<Self> {
        let class = raw.get(key)?.trim();
        let settings = settings(key, raw);
        match find(class, CONVERTER_CLASSES) {
            Some(0) => {
                check_encoding(key, &settings, problems);
                Some(Self::String)
            }
            Some(1) => Some(Self::ByteArray),
            Some(_) => Some(Self::Json {
                schemas: boolean(key, &settings, "schemas.enable", problems),
                replace_null_with_default: boolean(key, &settings, "replace.null.with.default", problems),
            }),
            None => {
                problems.push(unknown(key, class, CONVERTER_CLASSES));
                None
            }
        }
    }
}

/// Adds a problem if `header.converter` would have to do something.
pub(super) fn check_header_converter(raw: &RawConfig, problems: &mut Problems) {
    if let Some(class) = raw.get("header.converter").map(|class| class.trim())
        && find(class, HEADER_CONVERTER_CLASSES).is_none()
    {
        problems.push(unknown("header.converter", class, HEADER_CONVERTER_CLASSES));
    }
}

/// The full name of one of these classes.
pub(super) fn class_of(class: &str, classes: &'static [&'static str]) -> Option<&'static str> {
    find(class, classes).map(|index| classes[index])
}

fn find(class: &str, classes: &[&str]) -> Option<usize> {
    classes.iter().position(|known| {
        let last = known.rsplit('.').next().unwrap_or(known);
        let short = ["HeaderConverter", "Converter"].iter().find_map(|end| last.strip_suffix(end));
        class == *known || class == last || short == Some(class)
    })
}

fn unknown(key: &str, class: &str, classes: &[&str]) -> Problem {
    let known = classes.join(", ");
    let message = format!(
        "Invalid value {class} for configuration {key}: Class {class} could not be found. There are: {known}"
    );
    Problem::new(key, class, message)
}

/// The settings below a key, without its name.
fn settings<'a>(key: &str, raw: &'a RawConfig) -> BTreeMap<&'a str, &'a str> {
    raw.iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(key)?.strip_prefix('.')?, value.trim())))
        .collect()
}

/// A switch that is on by default.
fn boolean(key: &str, settings: &BTreeMap<&str, &str>, name: &str, problems: &mut Problems) -> bool {
    let value = settings.get(name).copied().unwrap_or("true");
    if !value.eq_ignore_ascii_case("true") && !value.eq_ignore_ascii_case("false") {
        // Without what stands before the name: so Kafka Connect has it.
        let message = format!(
            "Invalid value {value} for configuration {name}: Expected value to be either true or false"
        );
        problems.push(Problem::new(format!("{key}.{name}"), value, message));
    }
    value.eq_ignore_ascii_case("true")
}

fn check_encoding(key: &str, settings: &BTreeMap<&str, &str>, problems: &mut Problems) {
    for name in ["converter.encoding", "converter.encoding.serializer", "converter.encoding.deserializer"] {
        if let Some(encoding) = settings.get(name)
            && !encoding.eq_ignore_ascii_case("UTF-8")
            && !encoding.eq_ignore_ascii_case("UTF8")
        {
            problems.push(Problem::new(format!("{key}.{name}"), *encoding, "only UTF-8 there is"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Option<Converter>, Problems) {
        let raw = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut problems = Problems::default();
        (Converter::read("key.converter", &raw, &mut problems), problems)
    }

    #[test]
    fn a_class_is_known_by_its_full_and_its_short_names() {
        for class in ["org.apache.kafka.connect.storage.StringConverter", "StringConverter", "String"] {
            assert_eq!(read(&[("key.converter", class)]).0, Some(Converter::String), "{class}");
        }
        assert_eq!(read(&[("key.converter", "ByteArray")]).0, Some(Converter::ByteArray));
    }

    #[test]
    fn json_has_schemas_unless_told_otherwise() {
        let json = Converter::Json { schemas: true, replace_null_with_default: true };
        assert_eq!(read(&[("key.converter", "JsonConverter")]).0, Some(json));
        let (plain, _) = read(&[("key.converter", "Json"), ("key.converter.schemas.enable", "FALSE")]);
        assert_eq!(plain, Some(Converter::Json { schemas: false, replace_null_with_default: true }));
    }

    #[test]
    fn an_unknown_class_is_a_problem_that_lists_what_there_is() {
        let (converter, problems) = read(&[("key.converter", "io.confluent.connect.avro.AvroConverter")]);
        assert_eq!(converter, None);
        let shown = problems.to_string();
        assert!(
            shown.contains("Class io.confluent.connect.avro.AvroConverter could not be found."),
            "{shown}"
        );
        assert!(shown.contains("org.apache.kafka.connect.json.JsonConverter"), "{shown}");
    }

    #[test]
    fn a_wrong_setting_is_a_problem_of_its_own_key() {
        let (_, problems) = read(&[("key.converter", "Json"), ("key.converter.schemas.enable", "yes")]);
        assert_eq!(problems.0[0].key, "key.converter.schemas.enable");
        let (_, problems) =
            read(&[("key.converter", "String"), ("key.converter.converter.encoding", "UTF-16")]);
        assert_eq!(problems.0.len(), 1);
    }

    #[test]
    fn settings_of_another_converter_do_no_harm() {
        let (converter, problems) =
            read(&[("key.converter", "String"), ("key.converter.schemas.enable", "false")]);
        assert_eq!((converter, problems.0.len()), (Some(Converter::String), 0));
    }

    #[test]
    fn a_header_converter_that_would_convert_is_refused() {
        let check = |class: &str| {
            let mut problems = Problems::default();
            check_header_converter(
                &RawConfig::from([("header.converter".into(), class.into())]),
                &mut problems,
            );
            problems.0.len()
        };
        assert_eq!(check("org.apache.kafka.connect.storage.SimpleHeaderConverter"), 0);
        assert_eq!(check("org.apache.kafka.connect.json.JsonConverter"), 1);
    }
}
