//! Checking a configuration against a definition, in Kafka Connect's words: clients and tests match on them.

use serde_json::Number;

use super::RawConfig;
use super::definition::{ConfigKey, Range, Type, Validator};
use super::report::KeyReport;
use super::topic_pattern::TopicPattern;

/// A value that has its type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Boolean(bool),
    Integer(i64),
    Double(f64),
    Text(String),
    List(Vec<String>),
}

impl Value {
    /// As Kafka Connect shows it.
    fn show(&self) -> String {
        match self {
            Self::Boolean(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Double(value) => format!("{value:?}"),
            Self::Text(value) => value.clone(),
            Self::List(values) => values.join(","),
        }
    }

    /// As Kafka Connect names it in an error.
    fn named(&self) -> String {
        match self {
            Self::List(values) => format!("[{}]", values.join(", ")),
            other => other.show(),
        }
    }
}

/// What a configuration has for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given<'a> {
    Nothing,
    /// JSON's null, which only a validation may have.
    Null,
    Text(&'a str),
}

impl<'a> From<Option<&'a str>> for Given<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Nothing, Self::Text)
    }
}

/// A configuration, with the keys that are null in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) texts: &'a RawConfig,
    pub(super) nulls: &'a [String],
}

impl<'a> Values<'a> {
    pub(super) fn of(self, key: &str) -> Given<'a> {
        match self.nulls.iter().any(|null| null == key) {
            true => Given::Null,
            false => self.texts.get(key).map(String::as_str).into(),
        }
    }
}

/// Checks a configuration: one report for each defined key, in the order of the definition, then one for each
/// dependent that is not defined. Keys that are not defined are not looked at.
pub(crate) fn validate(keys: &[ConfigKey], raw: &RawConfig) -> Vec<KeyReport> {
    validate_values(keys, Values { texts: raw, nulls: &[] })
}

/// Likewise.
pub(super) fn validate_values(keys: &[ConfigKey], values: Values<'_>) -> Vec<KeyReport> {
    let mut reports: Vec<_> = keys.iter().map(|key| report(key, values.of(&key.name))).collect();
    for index in 0..reports.len() {
        let Some(condition) = keys[index].visible_if.as_ref() else { continue };
        let decides = reports.iter().find(|report| report.name == condition.key);
        let value = decides.and_then(|report| report.value.as_ref());
        reports[index].visible = value.is_some_and(|value| condition.one_of.contains(value));
    }
    for name in keys.iter().flat_map(|key| &key.dependents) {
        if keys.iter().any(|key| key.name == *name) || reports.iter().any(|report| report.name == *name) {
            continue;
        }
        let message = format!("{name} is referred in the dependents, but not defined.");
        reports.push(KeyReport { errors: vec![message], visible: false, ..KeyReport::undefined(name) });
    }
    reports
}

pub(super) fn report(key: &ConfigKey, given: Given<'_>) -> KeyReport {
    let (value, errors) = check_given(key, given);
    let shown = value.map(|value| if key.is_secret() { "[hidden]".to_owned() } else { value.show() });
    let recommended_values = key.recommended_values.clone();
    let blank = KeyReport::undefined(&key.name);
    KeyReport { definition: Some(key.clone()), value: shown, errors, recommended_values, ..blank }
}

/// The value of a key, its default where it is not given, and all that is wrong with it.
pub(super) fn check(key: &ConfigKey, given: Option<&str>) -> (Option<Value>, Vec<String>) {
    check_given(key, given.into())
}

fn check_given(key: &ConfigKey, given: Given<'_>) -> (Option<Value>, Vec<String>) {
    let mut errors = Vec::new();
    // No secret, whatever is wrong with it.
    let hidden = key.is_secret().then_some("[hidden]");
    let text = match given {
        Given::Text(text) => Some(text),
        Given::Nothing => key.default_value.as_deref(),
        Given::Null => None,
    };
    let value = match text {
        Some(text) => parse(key.kind, text)
            .map_err(|reason| errors.push(invalid(key, hidden.unwrap_or(text), &reason)))
            .ok(),
        None if given == Given::Null => None,
        None if key.required => {
            errors
                .push(format!("Missing required configuration \"{}\" which has no default value.", key.name));
            None
        }
        // Nothing is what an optional key without a default is set to: there is nothing to check.
        None => return (None, errors),
    };
    if let Some(validator) = &key.validator
        && let Err(reason) = validator.accepts(value.as_ref())
    {
        let shown = value.as_ref().map_or_else(|| "null".to_owned(), Value::named);
        errors.push(invalid(key, hidden.unwrap_or(&shown), &reason));
    }
    (value, errors)
}

fn invalid(key: &ConfigKey, value: &str, reason: &str) -> String {
    format!("Invalid value {value} for configuration {}: {reason}", key.name)
}

/// Reads a value as its type; the error is the reason alone.
fn parse(kind: Type, text: &str) -> Result<Value, String> {
    let text = text.trim();
    let no_number = || format!("Not a number of type {}", kind.name());
    let integer = |value: Option<i64>| value.map(Value::Integer).ok_or_else(no_number);
    match kind {
        Type::Boolean if text.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
        Type::Boolean if text.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
        Type::Boolean => Err("Expected value to be either true or false".to_owned()),
        Type::String | Type::Class | Type::Password => Ok(Value::Text(text.to_owned())),
        Type::Short => integer(text.parse::<i16>().ok().map(i64::from)),
        Type::Int => integer(text.parse::<i32>().ok().map(i64::from)),
        Type::Long => integer(text.parse().ok()),
        Type::Double => double(text).map(Value::Double).ok_or_else(no_number),
        Type::List if text.is_empty() => Ok(Value::List(Vec::new())),
        Type::List => Ok(Value::List(text.split(',').map(|item| item.trim().to_owned()).collect())),
    }
}

/// What `Double.parseDouble` takes, but for hexadecimal.
fn double(text: &str) -> Option<f64> {
    match text.trim_start_matches(['+', '-']) {
        "NaN" | "Infinity" => return text.parse().ok(),
        // Rust's words for them are not Java's.
        rest if rest.starts_with(|c: char| c.is_alphabetic()) => return None,
        _ => {}
    }
    text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text).parse().ok()
}

impl Validator {
    /// Whether it takes a value; `None`: the value is missing or could not be parsed.
    fn accepts(&self, value: Option<&Value>) -> Result<(), String> {
        match (self, value) {
            (Self::Range(range), value) => range.accepts(value),
            (Self::NonEmpty(_) | Self::Name, Some(Value::Text(text))) if text.is_empty() => Err(match self {
                Self::Name => "String may not be empty",
                _ => "String must be non-empty",
            }
            .to_owned()),
            (Self::Name, Some(Value::Text(text))) => no_control_characters(text),
            (Self::OneOf(strings), value) => {
                let text = value.map(Value::show);
                let known = text.is_some_and(|text| strings.one_of.contains(&text));
                known
                    .then_some(())
                    .ok_or_else(|| format!("String must be one of: {}", strings.one_of.join(", ")))
            }
            (Self::OneOfAnyCase(strings), value) => one_of_any_case(strings, value),
            (Self::AtLeastIfAny(least), Some(Value::Integer(value))) if value < least => {
                Err(format!("Value must be at least {least}"))
            }
            (Self::Aliases, None) => Err("entry must be non null".to_owned()),
            (Self::Aliases, Some(Value::List(names))) if repeats(names) => {
                Err("Duplicate alias provided.".to_owned())
            }
            (Self::Topics, Some(Value::Text(text))) => TopicPattern::new(text).map(drop),
            _ => Ok(()),
        }
    }
}

fn one_of_any_case(strings: &[&str], value: Option<&Value>) -> Result<(), String> {
    let text = value.map(Value::show);
    let known = text.is_some_and(|text| strings.iter().any(|known| known.eq_ignore_ascii_case(&text)));
    known
        .then_some(())
        .ok_or_else(|| format!("String must be one of (case insensitive): {}", strings.join(", ")))
}

fn repeats(names: &[String]) -> bool {
    names.iter().enumerate().any(|(index, name)| names[..index].contains(name))
}

fn no_control_characters(text: &str) -> Result<(), String> {
    let found: Vec<_> = text.chars().filter(|c| c.is_control()).map(|c| (c as u32).to_string()).collect();
    if found.is_empty() {
        return Ok(());
    }
    let found = found.join(", ");
    Err(format!("String may not contain control sequences but had the following ASCII chars: {found}"))
}

impl Range {
    fn accepts(&self, value: Option<&Value>) -> Result<(), String> {
        let Some(value) = value else { return Err("Value must be non-null".to_owned()) };
        if self.min.as_ref().is_some_and(|min| less(value, min)) {
            return Err(format!("Value must be at least {}", self.min.as_ref().expect("as above")));
        }
        if self.max.as_ref().is_some_and(|max| more(value, max)) {
            return Err(format!("Value must be no more than {}", self.max.as_ref().expect("as above")));
        }
        Ok(())
    }
}

fn less(value: &Value, bound: &Number) -> bool {
    match (value, bound.as_i64()) {
        (Value::Integer(value), Some(bound)) => *value < bound,
        (Value::Integer(value), None) => bound.as_f64().is_some_and(|bound| (*value as f64) < bound),
        (Value::Double(value), _) => bound.as_f64().is_some_and(|bound| *value < bound),
        _ => false,
    }
}

fn more(value: &Value, bound: &Number) -> bool {
    match (value, bound.as_i64()) {
        (Value::Integer(value), Some(bound)) => *value > bound,
        (Value::Integer(value), None) => bound.as_f64().is_some_and(|bound| (*value as f64) > bound),
        (Value::Double(value), _) => bound.as_f64().is_some_and(|bound| *value > bound),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::definition::NonEmpty;
    use super::*;

    fn errors(key: &ConfigKey, given: Option<&str>) -> Vec<String> {
        check(key, given).1
    }

    #[track_caller]
    fn refused(key: &ConfigKey, value: &str, message: &str) {
        assert_eq!(errors(key, Some(value)), [message]);
    }

    fn key(kind: Type) -> ConfigKey {
        ConfigKey::new("x", kind, "")
    }

    #[test]
    fn each_type_refuses_in_javas_words() {
        let message =
            |value: &str, reason: &str| format!("Invalid value {value} for configuration x: {reason}");
        for (kind, name) in
            [(Type::Int, "INT"), (Type::Short, "SHORT"), (Type::Long, "LONG"), (Type::Double, "DOUBLE")]
        {
            refused(&key(kind), "many", &message("many", &format!("Not a number of type {name}")));
        }
        refused(&key(Type::Short), "40000", &message("40000", "Not a number of type SHORT"));
        refused(&key(Type::Boolean), "yes", &message("yes", "Expected value to be either true or false"));
    }

    #[test]
    fn values_are_trimmed_and_typed() {
        let value = |kind, text| check(&key(kind), Some(text)).0;
        assert_eq!(value(Type::Boolean, " TRUE "), Some(Value::Boolean(true)));
        assert_eq!(value(Type::Int, " +7 "), Some(Value::Integer(7)));
        assert_eq!(value(Type::Double, "1e3"), Some(Value::Double(1000.0)));
        assert_eq!(value(Type::Double, "1.5d"), Some(Value::Double(1.5)));
        assert_eq!(value(Type::Double, "inf"), None);
        assert_eq!(value(Type::String, " a b "), Some(Value::Text("a b".into())));
        assert_eq!(
            value(Type::List, " a , b,c "),
            Some(Value::List(vec!["a".into(), "b".into(), "c".into()]))
        );
        assert_eq!(value(Type::List, "  "), Some(Value::List(Vec::new())));
    }

    #[test]
    fn a_missing_required_key_is_reported_and_its_range_too() {
        let missing = "Missing required configuration \"x\" which has no default value.";
        assert_eq!(errors(&key(Type::Int).required(), None), [missing]);
        let null = "Invalid value null for configuration x: Value must be non-null";
        assert_eq!(errors(&key(Type::Int).required().at_least(1), None), [missing, null]);
    }

    #[test]
    fn an_unparsable_number_with_a_range_counts_two_errors() {
        assert_eq!(errors(&key(Type::Int).at_least(1), Some("a")).len(), 2);
    }

    #[test]
    fn an_optional_key_that_is_not_set_is_right() {
        assert!(errors(&key(Type::Int).at_least(1), None).is_empty());
        assert!(errors(&key(Type::String).one_of(&["a"]), None).is_empty());
    }

    #[test]
    fn validators_refuse_in_javas_words() {
        refused(
            &key(Type::Int).at_least(1),
            "0",
            "Invalid value 0 for configuration x: Value must be at least 1",
        );
        let most = Validator::Range(Range { min: None, max: Some(5.into()) });
        refused(
            &key(Type::Double).checked_by(most),
            "5.5",
            "Invalid value 5.5 for configuration x: Value must be no more than 5",
        );
        refused(
            &key(Type::String).one_of(&["a", "b"]),
            "c",
            "Invalid value c for configuration x: String must be one of: a, b",
        );
        let filled = key(Type::String).checked_by(Validator::NonEmpty(NonEmpty { non_empty: true }));
        refused(&filled, " ", "Invalid value  for configuration x: String must be non-empty");
        let name = key(Type::String).checked_by(Validator::Name);
        refused(&name, "", "Invalid value  for configuration x: String may not be empty");
        refused(
            &name,
            "a\u{1}b",
            "Invalid value a\u{1}b for configuration x: String may not contain control sequences but had the \
             following ASCII chars: 1",
        );
    }

    #[test]
    fn the_default_is_the_value_where_none_is_given() {
        let reports = validate(&[key(Type::List).default("a,b"), key(Type::Password)], &RawConfig::new());
        assert_eq!(reports[0].value.as_deref(), Some("a,b"));
        assert_eq!(reports[1].value, None);
    }

    #[test]
    fn a_password_is_never_shown() {
        let raw = RawConfig::from([("x".into(), "open sesame".into())]);
        let report = &validate(&[key(Type::Password)], &raw)[0];
        assert_eq!(report.value.as_deref(), Some("[hidden]"));
        let picky = key(Type::Password).one_of(&["a"]);
        let report = &validate(&[picky], &raw)[0];
        assert_eq!(report.errors, ["Invalid value [hidden] for configuration x: String must be one of: a"]);
    }

    #[test]
    fn a_dependent_that_is_not_defined_is_reported_once() {
        let mut first = key(Type::Int);
        first.dependents = vec!["y".into(), "y".into()];
        let reports = validate(&[first], &RawConfig::new());
        assert_eq!(reports.len(), 2);
        assert_eq!(reports[1].errors, ["y is referred in the dependents, but not defined."]);
        assert!(!reports[1].visible);
    }
}
