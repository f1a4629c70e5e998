//! One row of the table: a Java name and what becomes of its value.

use super::given::Given;
use super::{ClientKind, ClientSettings};
use crate::config::{self, ConfigKey, Importance, Problem, Problems, Type, Validator, Width};

/// Kinds of client, as a set.
pub(super) type Clients = u8;
pub(super) const P: Clients = 1;
pub(super) const C: Clients = 2;
pub(super) const A: Clients = 4;

impl ClientKind {
    pub(super) fn is_in(self, clients: Clients) -> bool {
        let bit = match self {
            Self::Producer => P,
            Self::Consumer => C,
            Self::Admin => A,
        };
        clients & bit != 0
    }
}

/// What a value must be, as Java checks it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Takes {
    Text,
    /// Text that is never shown.
    Secret,
    Flag,
    /// An integer of 32 bits, at least this.
    Int(i64),
    /// An integer of 64 bits, at least this.
    Long(i64),
    OneOf(&'static [&'static str]),
    /// Likewise, in lower or upper case.
    OneOfAnyCase(&'static [&'static str]),
}

/// A number under librdkafka's name, brought within librdkafka's bounds.
pub(super) type Bounded = (&'static str, i64, i64);

/// What becomes of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Treatment {
    /// Is librdkafka's value under this name.
    Mapped(&'static str),
    /// A number: librdkafka's under these names.
    Numbers(&'static [Bounded]),
    /// Names and values for librdkafka are made of it; the error is the reason alone.
    Converted(fn(&str, &mut ClientSettings) -> Result<(), String>),
    /// Looked at together with others, by `rules` or `security`.
    Joint,
    /// Cannot be changed: the values that say what is so anyway, and why.
    Fixed(&'static [&'static str], &'static str),
    /// Not for librdkafka: the worker itself looks at it.
    Kept,
    /// Nothing comes of it: why.
    Ignored(#[expect(dead_code, reason = "read by people: why it has no counterpart")] &'static str),
    /// Must not be there: why.
    Refused(&'static str),
}

/// Who may set it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who {
    Everyone,
    /// Connectors may not: why.
    Worker(&'static str),
    /// The worker may not: why.
    Connectors(&'static str),
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// As Java has it; all names with this beginning, where it ends in `*`.
    pub(super) name: &'static str,
    pub(super) clients: Clients,
    pub(super) takes: Takes,
    pub(super) treatment: Treatment,
    /// What holds when nobody sets it; `None`: librdkafka's own default, or nothing.
    pub(super) default: Option<&'static str>,
    pub(super) who: Who,
}

/// For the table.
impl Row {
    pub(super) const fn new(
        name: &'static str,
        clients: Clients,
        takes: Takes,
        treatment: Treatment,
    ) -> Self {
        Self { name, clients, takes, treatment, default: None, who: Who::Everyone }
    }

    pub(super) const fn default(self, value: &'static str) -> Self {
        Self { default: Some(value), ..self }
    }

    pub(super) const fn only(self, who: Who) -> Self {
        Self { who, ..self }
    }
}

/// Settings and problems as they come together.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) settings: ClientSettings,
    pub(super) problems: Problems,
}

impl Row {
    /// Whether it is the row of this name.
    pub(super) fn is_for(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => self.name == name,
        }
    }

    /// Checks the value that is given, or takes the default, and does with it what the row says.
    pub(super) fn apply(&self, given: &Given<'_>, outcome: &mut Outcome) {
        let Some(value) = given.written(self.name) else {
            if let Some(value) = self.default {
                let translated = self.translate(value, &mut outcome.settings);
                debug_assert_eq!(translated, Ok(()), "the default of {}", self.name);
            }
            return;
        };
        let key = given.key(self.name);
        let mut reasons = self.check(&key, value);
        if reasons.is_empty()
            && let Err(reason) = self.translate(value, &mut outcome.settings)
        {
            reasons.push(reason);
        }
        for reason in reasons {
            outcome.problems.push(self.problem(&key, value, reason));
        }
    }

    /// A problem with a value, shown unless it is a secret.
    pub(super) fn problem(&self, key: &str, value: &str, message: String) -> Problem {
        match self.takes {
            Takes::Secret => Problem::without_value(key, message),
            _ => Problem::new(key, value, message),
        }
    }

    /// What Java would say against a value.
    pub(super) fn check(&self, key: &str, value: &str) -> Vec<String> {
        if matches!(self.treatment, Treatment::Ignored(_) | Treatment::Refused(_)) {
            return Vec::new();
        }
        let invalid =
            |reason: String| vec![format!("Invalid value {value} for configuration {key}: {reason}")];
        let (kind, min) = match self.takes {
            Takes::Text | Takes::Secret => return Vec::new(),
            Takes::OneOf(values) if values.contains(&value) => return Vec::new(),
            Takes::OneOf(values) => return invalid(format!("String must be one of: {}", values.join(", "))),
            Takes::OneOfAnyCase(values) if values.iter().any(|known| known.eq_ignore_ascii_case(value)) => {
                return Vec::new();
            }
            Takes::OneOfAnyCase(values) => {
                return invalid(format!("String must be one of (case insensitive): {}", values.join(", ")));
            }
            Takes::Flag => (Type::Boolean, None),
            Takes::Int(min) => (Type::Int, Some(min)),
            Takes::Long(min) => (Type::Long, Some(min)),
        };
        let raw = [(key.to_owned(), value.to_owned())].into();
        let reports = config::validate(&[definition(key, kind, min)], &raw);
        let mut reasons: Vec<_> = reports.into_iter().flat_map(|report| report.errors).collect();
        // What is no number would be told to be out of range as well.
        reasons.truncate(1);
        reasons
    }

    fn translate(&self, value: &str, settings: &mut ClientSettings) -> Result<(), String> {
        match self.treatment {
            Treatment::Mapped(native) if matches!(self.takes, Takes::Text | Takes::Secret) => {
                settings.set(native, value);
            }
            // Words and flags: Java takes them in capitals, too.
            Treatment::Mapped(native) => settings.set(native, value.to_ascii_lowercase()),
            Treatment::Numbers(bounded) => {
                let number: i64 = value.parse().map_err(|_| "must be a number".to_owned())?;
                for (native, min, max) in bounded {
                    settings.set(native, number.clamp(*min, *max).to_string());
                }
            }
            Treatment::Converted(convert) => convert(value, settings)?,
            Treatment::Fixed(same, _) if same.iter().any(|same| same.eq_ignore_ascii_case(value)) => {}
            Treatment::Fixed(_, why) => return Err(format!("cannot be changed: {why}; leave it out")),
            Treatment::Kept => settings.set(self.name, value),
            // Refused when the layers are gathered.
            Treatment::Joint | Treatment::Ignored(_) | Treatment::Refused(_) => {}
        }
        Ok(())
    }
}

/// A definition for the one implementation of Java's checks.
fn definition(key: &str, kind: Type, min: Option<i64>) -> ConfigKey {
    let range = |min: i64| Validator::Range(config::Range { min: Some(min.into()), max: None });
    ConfigKey {
        name: key.to_owned(),
        kind,
        required: false,
        default_value: None,
        importance: Importance::Medium,
        documentation: String::new(),
        group: None,
        width: Width::None,
        display_name: String::new(),
        dependents: Vec::new(),
        order: -1,
        validator: min.map(range),
        recommended_values: Vec::new(),
        visible_if: None,
    }
}
