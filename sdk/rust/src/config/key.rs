//! The description of one configuration key.

use serde::Serialize;

/// The type of a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the names of Kafka Connect's ConfigDef, explained by the constructors")]
pub enum Type {
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
    /// As Kafka Connect writes it.
    pub const fn name(self) -> &'static str {
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

/// How likely a user has to set a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Importance {
    High,
    Medium,
    Low,
}

/// How wide a form's field for a key should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Width {
    None,
    Short,
    Medium,
    Long,
}

/// What a value must satisfy beyond its type.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Validator {
    /// Not the empty string.
    NonEmpty {
        /// Always true.
        non_empty: bool,
    },
    /// A number of at least `min` and at most `max`.
    Range {
        /// The least value.
        #[serde(skip_serializing_if = "Option::is_none")]
        min: Option<serde_json::Number>,
        /// The greatest value.
        #[serde(skip_serializing_if = "Option::is_none")]
        max: Option<serde_json::Number>,
    },
    /// One of these strings.
    OneOf {
        /// The strings.
        one_of: Vec<String>,
    },
}

/// On what it depends whether a form shows a key: another one has one of these values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VisibleIf {
    /// The other key.
    pub key: String,
    /// Its values.
    pub one_of: Vec<String>,
}

/// The description of one configuration key.
///
/// A key without [`default`](Self::default) or [`optional`](Self::optional) is required.
///
/// ```
/// use transom_sdk::ConfigKey;
///
/// let keys = [
///     ConfigKey::string("url").non_empty().doc("Where the server is."),
///     ConfigKey::int("batch.size").default(500).min(1).max(10_000).low().doc("Items a request."),
///     ConfigKey::string("mode").default("fast").one_of(["fast", "safe"]).doc("How to write."),
///     ConfigKey::string("region").default("eu").recommend(["eu", "us"]).doc("Any, but these are near."),
///     ConfigKey::string("login").default("none").one_of(["none", "token"]).dependents(["token"]),
///     ConfigKey::password("token").optional().visible_if("login", ["token"]).doc("Sent with every request."),
/// ];
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigKey {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: Type,
    pub(crate) required: bool,
    pub(crate) default_value: Option<String>,
    pub(crate) importance: Importance,
    pub(crate) documentation: String,
    pub(crate) group: Option<String>,
    pub(crate) order: i32,
    pub(crate) width: Width,
    pub(crate) display_name: String,
    pub(crate) dependents: Vec<String>,
    pub(crate) validator: Option<Validator>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) recommended_values: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) visible_if: Option<VisibleIf>,
}

/// One constructor a type.
macro_rules! constructors {
    ($($(#[$doc:meta])* $function:ident $kind:ident)*) => {
        /// # The types
        impl ConfigKey {
            $($(#[$doc])*
            pub fn $function(name: impl Into<String>) -> Self {
                Self::new(name.into(), Type::$kind)
            })*
        }
    };
}

constructors! {
    /// `true` or `false`, in any letter case: a `bool`.
    boolean Boolean
    /// Text, without the white space around it: a `String`, or an enum of unit variants.
    string String
    /// An integer of 32 bits.
    int Int
    /// An integer of 16 bits.
    short Short
    /// An integer of 64 bits.
    long Long
    /// A floating point number of 64 bits.
    double Double
    /// Texts between commas: a `Vec<String>`. An empty text is an empty list.
    list List
    /// The name of a class: a `String`.
    class Class
    /// Text that is never shown: a `String`.
    password Password
}

/// # The rest of the description
impl ConfigKey {
    fn new(name: String, kind: Type) -> Self {
        Self {
            display_name: name.clone(),
            name,
            kind,
            required: true,
            default_value: None,
            importance: Importance::High,
            documentation: String::new(),
            group: None,
            order: -1,
            width: Width::None,
            dependents: Vec::new(),
            validator: None,
            recommended_values: Vec::new(),
            visible_if: None,
        }
    }

    /// The value when the key is missing; as text, as a user would write it.
    #[must_use]
    pub fn default(mut self, value: impl ToString) -> Self {
        self.required = false;
        self.default_value = Some(value.to_string());
        self
    }

    /// The key may be missing: an `Option` in the configuration type.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// What the key is for, in full sentences.
    #[must_use]
    pub fn doc(mut self, text: impl Into<String>) -> Self {
        self.documentation = text.into();
        self
    }

    /// How likely a user has to set it. High unless said otherwise.
    #[must_use]
    pub fn importance(mut self, importance: Importance) -> Self {
        self.importance = importance;
        self
    }

    /// Of medium importance.
    #[must_use]
    pub fn medium(self) -> Self {
        self.importance(Importance::Medium)
    }

    /// Of low importance.
    #[must_use]
    pub fn low(self) -> Self {
        self.importance(Importance::Low)
    }

    /// The heading it is shown under.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Its place under the heading; without it, the order in which the keys were added. A key without a heading
    /// has no place.
    #[must_use]
    pub fn order(mut self, order: i32) -> Self {
        self.order = order;
        self
    }

    /// How wide a form shows it.
    #[must_use]
    pub fn width(mut self, width: Width) -> Self {
        self.width = width;
        self
    }

    /// What a form calls it; the name unless said otherwise.
    #[must_use]
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.display_name = name.into();
        self
    }

    /// The keys whose meaning depends on this one.
    #[must_use]
    pub fn dependents<I: IntoIterator<Item: Into<String>>>(mut self, names: I) -> Self {
        self.dependents = names.into_iter().map(Into::into).collect();
        self
    }

    /// Values to choose from; others may be as good. See [`one_of`](Self::one_of) for those that are the only
    /// ones, and [`Source::advise`](crate::Source::advise) for those that depend on other keys.
    #[must_use]
    pub fn recommend<I: IntoIterator<Item: Into<String>>>(mut self, values: I) -> Self {
        self.recommended_values = values.into_iter().map(Into::into).collect();
        self
    }

    /// A form shows the key only while another one has one of these values. It is checked either way.
    #[must_use]
    pub fn visible_if<I: IntoIterator<Item: Into<String>>>(
        mut self,
        key: impl Into<String>,
        values: I,
    ) -> Self {
        let one_of = values.into_iter().map(Into::into).collect();
        self.visible_if = Some(VisibleIf { key: key.into(), one_of });
        self
    }

    /// The text must not be empty.
    #[must_use]
    pub fn non_empty(mut self) -> Self {
        self.validator = Some(Validator::NonEmpty { non_empty: true });
        self
    }

    /// The number must be at least this.
    #[must_use]
    pub fn min(mut self, least: impl Into<serde_json::Number>) -> Self {
        let max = match self.validator {
            Some(Validator::Range { max, .. }) => max,
            _ => None,
        };
        self.validator = Some(Validator::Range { min: Some(least.into()), max });
        self
    }

    /// The number must be at most this.
    #[must_use]
    pub fn max(mut self, greatest: impl Into<serde_json::Number>) -> Self {
        let min = match self.validator {
            Some(Validator::Range { min, .. }) => min,
            _ => None,
        };
        self.validator = Some(Validator::Range { min, max: Some(greatest.into()) });
        self
    }

    /// The text must be one of these.
    #[must_use]
    pub fn one_of<I: IntoIterator<Item: Into<String>>>(mut self, values: I) -> Self {
        self.validator = Some(Validator::OneOf { one_of: values.into_iter().map(Into::into).collect() });
        self
    }
}
