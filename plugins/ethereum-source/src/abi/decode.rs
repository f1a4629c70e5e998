//! Values from the data of a log.

use serde_json::{Map, Value};

use super::types::Type;

const WORD: usize = 32;

/// The data of a log, and how much may still be read of it.
pub(super) struct Data<'d> {
    bytes: &'d [u8],
    /// Bytes. Whoever encodes honestly has every one read once; a place that several values name is read as often.
    budget: usize,
}

impl<'d> Data<'d> {
    pub(super) fn new(bytes: &'d [u8]) -> Self {
        Self { bytes, budget: bytes.len() * 2 + 1024 }
    }

    /// The value that a topic is: of types without a fixed size only a hash.
    pub(super) fn topic(kind: &Type, topic: &[u8; WORD]) -> Option<Value> {
        if kind.is_value() { scalar(kind, topic) } else { Some(hex(topic)) }
    }

    /// The values of a sequence that begins with the data.
    pub(super) fn sequence(&mut self, kinds: &[&Type]) -> Option<Vec<Value>> {
        self.values(0, kinds.iter().copied())
    }

    /// The values of a sequence. Places in it count from its beginning.
    fn values<'t>(&mut self, base: usize, kinds: impl Iterator<Item = &'t Type>) -> Option<Vec<Value>> {
        let mut values = Vec::new();
        let mut at = base;
        for kind in kinds {
            let value = if kind.is_dynamic() {
                let place = base.checked_add(self.number(at)?)?;
                self.value(kind, place)?
            } else {
                self.value(kind, at)?
            };
            values.push(value);
            at = at.checked_add(kind.words()? * WORD)?;
        }
        Some(values)
    }

    fn value(&mut self, kind: &Type, at: usize) -> Option<Value> {
        match kind {
            Type::Bytes => self.bytes(at).map(hex),
            Type::Text => self.bytes(at).map(|bytes| String::from_utf8_lossy(bytes).into_owned().into()),
            Type::List(of) => {
                let length = self.number(at)?;
                let base = at.checked_add(WORD)?;
                // Not even room for the words of its elements: refused before anything is made of it.
                let least = length.checked_mul(of.words()?)?.checked_mul(WORD)?;
                self.bytes.get(base..base.checked_add(least)?)?;
                self.values(base, std::iter::repeat_n(&**of, length)).map(Value::from)
            }
            Type::Array(of, length) => self.values(at, std::iter::repeat_n(&**of, *length)).map(Value::from),
            Type::Tuple(parts) => {
                let values = self.values(at, parts.iter().map(|(_, part)| part))?;
                let named = parts.iter().zip(values).map(|((name, _), value)| (name.clone(), value));
                Some(Map::from_iter(named).into())
            }
            _ => scalar(kind, self.read(at, WORD)?.try_into().ok()?),
        }
    }

    fn bytes(&mut self, at: usize) -> Option<&'d [u8]> {
        let length = self.number(at)?;
        self.read(at.checked_add(WORD)?, length)
    }

    /// A place or a length: more than the data has is wrong in any case.
    fn number(&mut self, at: usize) -> Option<usize> {
        let word = self.read(at, WORD)?;
        let (high, low) = word.split_at(WORD - 4);
        if high.iter().any(|byte| *byte != 0) {
            return None;
        }
        usize::try_from(u32::from_be_bytes(low.try_into().ok()?)).ok()
    }

    fn read(&mut self, at: usize, length: usize) -> Option<&'d [u8]> {
        self.budget = self.budget.checked_sub(length)?;
        self.bytes.get(at..at.checked_add(length)?)
    }
}

/// A value of one word.
fn scalar(kind: &Type, word: &[u8; WORD]) -> Option<Value> {
    Some(match kind {
        Type::Bool => word.iter().any(|byte| *byte != 0).into(),
        Type::Address => hex(&word[12..]),
        Type::Fixed(bytes, _) => hex(word.get(..*bytes)?),
        Type::Uint(_) => decimal(word).into(),
        Type::Int(_) if word[0] & 0x80 != 0 => format!("-{}", decimal(&negated(word))).into(),
        Type::Int(_) => decimal(word).into(),
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> Value {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 + bytes.len() * 2);
    text.push_str("0x");
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text.into()
}

/// The two's complement.
fn negated(word: &[u8; WORD]) -> [u8; WORD] {
    let mut carry = true;
    let mut result = word.map(|byte| !byte);
    for byte in result.iter_mut().rev() {
        (*byte, carry) = byte.overflowing_add(u8::from(carry));
    }
    result
}

/// A number of 256 bits, nine digits at a time.
fn decimal(word: &[u8; WORD]) -> String {
    const NINE: u64 = 1_000_000_000;
    let mut limbs: Vec<u32> =
        word.chunks_exact(4).map(|limb| u32::from_be_bytes([limb[0], limb[1], limb[2], limb[3]])).collect();
    let mut groups = Vec::new();
    while limbs.iter().any(|limb| *limb != 0) {
        let mut rest = 0;
        for limb in &mut limbs {
            let whole = rest << 32 | u64::from(*limb);
            *limb = (whole / NINE) as u32;
            rest = whole % NINE;
        }
        groups.push(rest);
    }
    let mut text = groups.pop().unwrap_or(0).to_string();
    for group in groups.iter().rev() {
        text.push_str(&format!("{group:09}"));
    }
    text
}
