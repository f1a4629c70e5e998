//! The types of an ABI.

use std::fmt;

use super::Parameter;

/// How deep types may be nested.
const DEEPEST: usize = 16;
/// How many words a value without a place of its own may have.
const WIDEST: usize = 1 << 16;

/// A type.
pub(crate) enum Type {
    Uint(u16),
    Int(u16),
    Address,
    Bool,
    /// `bytes1` to `bytes32`, and `function`, which is 24 bytes.
    Fixed(usize, &'static str),
    Bytes,
    Text,
    /// Of any length.
    List(Box<Type>),
    /// Of this length.
    Array(Box<Type>, usize),
    Tuple(Vec<(String, Type)>),
}

impl Type {
    pub(super) fn parse(parameter: &Parameter) -> Result<Self, String> {
        Self::nested(parameter, DEEPEST)
    }

    fn nested(parameter: &Parameter, depth: usize) -> Result<Self, String> {
        let text = parameter.kind.as_str();
        let (base, mut rest) = text.split_at(text.find('[').unwrap_or(text.len()));
        let unknown = || format!("type {text} is none of the ABI's");
        if rest.matches('[').count() >= depth {
            return Err(format!("type {text} is nested too deep"));
        }
        let mut kind = match base {
            "tuple" if !parameter.components.is_empty() && depth > 0 => {
                Self::tuple(&parameter.components, depth)?
            }
            _ => Self::plain(base).ok_or_else(unknown)?,
        };
        while !rest.is_empty() {
            let (length, after) = rest[1..].split_once(']').ok_or_else(unknown)?;
            kind = match length {
                "" => Self::List(Box::new(kind)),
                _ => {
                    let length = length.parse().ok().filter(|length| *length > 0).ok_or_else(unknown)?;
                    Self::Array(Box::new(kind), length)
                }
            };
            if kind.words().is_none_or(|words| words > WIDEST) {
                return Err(format!("type {text} is too large"));
            }
            if !after.is_empty() && !after.starts_with('[') {
                return Err(unknown());
            }
            rest = after;
        }
        Ok(kind)
    }

    fn tuple(components: &[Parameter], depth: usize) -> Result<Self, String> {
        let named = components.iter().enumerate().map(|(index, part)| {
            let name = if part.name.is_empty() { index.to_string() } else { part.name.clone() };
            Ok((name, Self::nested(part, depth - 1)?))
        });
        Ok(Self::Tuple(named.collect::<Result<_, String>>()?))
    }

    fn plain(base: &str) -> Option<Self> {
        let number = |text: &str| text.parse::<u16>().ok().filter(|number| number.to_string() == text);
        let bits = |text: &str| match text {
            "" => Some(256),
            text => number(text).filter(|bits| *bits > 0 && *bits <= 256 && *bits % 8 == 0),
        };
        Some(match base {
            "address" => Self::Address,
            "bool" => Self::Bool,
            "string" => Self::Text,
            "bytes" => Self::Bytes,
            "function" => Self::Fixed(24, "function"),
            _ => {
                if let Some(rest) = base.strip_prefix("uint") {
                    Self::Uint(bits(rest)?)
                } else if let Some(rest) = base.strip_prefix("int") {
                    Self::Int(bits(rest)?)
                } else {
                    let bytes = number(base.strip_prefix("bytes")?)?;
                    Self::Fixed(usize::from(bytes), "").in_range()?
                }
            }
        })
    }

    fn in_range(self) -> Option<Self> {
        matches!(self, Self::Fixed(1..=32, _)).then_some(self)
    }

    /// Whether a value has a place of its own, and only that place is in the sequence.
    pub(super) fn is_dynamic(&self) -> bool {
        match self {
            Self::Bytes | Self::Text | Self::List(_) => true,
            Self::Array(of, _) => of.is_dynamic(),
            Self::Tuple(parts) => parts.iter().any(|(_, part)| part.is_dynamic()),
            _ => false,
        }
    }

    /// How many words of 32 bytes it takes in a sequence.
    pub(super) fn words(&self) -> Option<usize> {
        match self {
            kind if kind.is_dynamic() => Some(1),
            Self::Array(of, length) => of.words()?.checked_mul(*length),
            Self::Tuple(parts) => {
                parts.iter().try_fold(0usize, |sum, (_, part)| sum.checked_add(part.words()?))
            }
            _ => Some(1),
        }
    }

    /// Whether a topic has the value itself, and not its hash.
    pub(super) fn is_value(&self) -> bool {
        !matches!(self, Self::Bytes | Self::Text | Self::List(_) | Self::Array(..) | Self::Tuple(_))
    }
}

/// As in signatures.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uint(bits) => write!(f, "uint{bits}"),
            Self::Int(bits) => write!(f, "int{bits}"),
            Self::Address => f.write_str("address"),
            Self::Bool => f.write_str("bool"),
            Self::Fixed(bytes, "") => write!(f, "bytes{bytes}"),
            Self::Fixed(_, name) => f.write_str(name),
            Self::Bytes => f.write_str("bytes"),
            Self::Text => f.write_str("string"),
            Self::List(of) => write!(f, "{of}[]"),
            Self::Array(of, length) => write!(f, "{of}[{length}]"),
            Self::Tuple(parts) => {
                for (index, (_, part)) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if index == 0 { "(" } else { "," })?;
                }
                f.write_str(")")
            }
        }
    }
}
