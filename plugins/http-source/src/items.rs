//! The items of an answer, as the server wrote them: a number keeps its digits, and a text its escapes.
//!
//! An answer is read twice and never copied. The first pass goes through all of it, so that half an answer is noticed,
//! and finds where the items are; the second takes one item after the other as they are sent. So what an answer costs
//! beside its text does not depend on how many items it has, or how deep they are.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON pointer, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pointer(Vec<String>);

impl Pointer {
    /// Reads `/data/items`; empty: the whole.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect())
    }

    /// What it points to in JSON that is known to be some, without reading what follows it.
    pub(crate) fn find<'a>(&self, value: &'a RawValue) -> Option<&'a RawValue> {
        let mut found = [None];
        let mut reader = serde_json::Deserializer::from_str(value.get());
        // That it stops in the midst is a mistake to the reader, not to us.
        let _ = Walk { paths: [Some(&self.0)], found: &mut found, whole: false }.deserialize(&mut reader);
        found[0]
    }
}

/// As it is written.
impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

/// What pointers point to in a text, which is read to its end.
///
/// # Errors
/// It is no JSON, or not all of it.
pub(crate) fn locate<'a, const N: usize>(
    text: &'a str,
    pointers: [Option<&Pointer>; N],
) -> serde_json::Result<[Option<&'a RawValue>; N]> {
    let mut found = [None; N];
    let mut reader = serde_json::Deserializer::from_str(text);
    let paths = pointers.map(|pointer| pointer.map(|pointer| pointer.0.as_slice()));
    Walk { paths, found: &mut found, whole: true }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(found)
}

/// What is left of pointers that lead through here. Of two members of one name the first counts.
struct Walk<'w, 'a, const N: usize> {
    paths: [Option<&'w [String]>; N],
    found: &'w mut [Option<&'a RawValue>; N],
    /// Whether to go on when everything is found.
    whole: bool,
}

impl<'w, 'a, const N: usize> Walk<'w, 'a, N> {
    /// The same, one token further.
    fn step<'s>(&'s mut self, paths: [Option<&'s [String]>; N]) -> Walk<'s, 'a, N>
    where
        'w: 's,
    {
        Walk { paths, found: self.found, whole: self.whole }
    }

    fn enough(&self) -> bool {
        !self.whole && self.found.iter().all(Option::is_some)
    }

    /// What is left of those that go on with this token and are not at their ends.
    fn narrow(&self, token: &str) -> [Option<&'w [String]>; N] {
        let mut left = self.paths;
        for (path, found) in left.iter_mut().zip(self.found.iter()) {
            *path = path
                .and_then(|path| path.split_first())
                .and_then(|(first, rest)| (first == token && found.is_none()).then_some(rest));
        }
        left
    }
}

impl<'a, const N: usize> DeserializeSeed<'a> for Walk<'_, 'a, N> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<(), D::Error> {
        if self.paths.iter().all(Option::is_none) {
            return IgnoredAny::deserialize(from).map(drop);
        }
        if self.paths.iter().flatten().all(|path| !path.is_empty()) {
            return from.deserialize_any(self);
        }
        let here = <&RawValue>::deserialize(from)?;
        for (path, found) in self.paths.into_iter().zip(self.found) {
            if let Some(path) = path {
                *found = if path.is_empty() { Some(here) } else { Pointer(path.to_vec()).find(here) };
            }
        }
        Ok(())
    }
}

impl<'a, const N: usize> Visitor<'a> for Walk<'_, 'a, N> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        while !self.enough()
            && let Some(key) = map.next_key_seed(Key)?
        {
            let paths = self.narrow(&key);
            map.next_value_seed(self.step(paths))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut seq: A) -> Result<(), A::Error> {
        for at in 0_u64.. {
            let paths = self.narrow(&at.to_string());
            if self.enough() || seq.next_element_seed(self.step(paths))?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// The name of a member, copied only where it has escapes.
struct Key;

impl<'a> DeserializeSeed<'a> for Key {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<Cow<'a, str>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Key {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'a str) -> Result<Cow<'a, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'a, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// How far one is in the items of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Items {
    /// Where the next item begins, or the array ends.
    at: usize,
    end: usize,
}

impl Items {
    /// Where there are none.
    pub(crate) const NONE: Self = Self { at: 0, end: 0 };

    /// An array has an item an element, null has none, and anything else is one. It must be a part of the body.
    pub(crate) fn of(body: &str, value: &RawValue) -> Self {
        let at = value.get().as_ptr() as usize - body.as_ptr() as usize;
        let end = at + value.get().len();
        match value.get().as_bytes().first() {
            // The bracket that closes it is no part of any item.
            Some(b'[') => Self { at: at + 1, end: end - 1 }.trimmed(body),
            // Some servers write an empty list so.
            Some(b'n') => Self::NONE,
            _ => Self { at, end },
        }
    }

    /// Whether there is no other.
    pub(crate) fn is_empty(self) -> bool {
        self.at >= self.end
    }

    /// The next item, and what is left then.
    pub(crate) fn next(self, body: &str) -> Option<(&RawValue, Self)> {
        let rest = body.get(self.at..self.end).filter(|rest| !rest.is_empty())?;
        let mut reader = serde_json::Deserializer::from_str(rest).into_iter();
        let item = reader.next()?.ok()?;
        let left = Self { at: self.at + reader.byte_offset(), end: self.end };
        Some((item, left.trimmed(body)))
    }

    /// Behind what stands between two items.
    fn trimmed(mut self, body: &str) -> Self {
        let between = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',');
        self.at += body.as_bytes()[self.at..self.end].iter().take_while(|byte| between(byte)).count();
        self
    }
}

/// A digest of items, to recognise them: two lanes of 64 bits, eight bytes at a time, because numbers of 128 bits are
/// slow in WebAssembly. Nobody gains by making two alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest([u64; 2]);

impl Digest {
    const FACTORS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];

    pub(crate) fn new() -> Self {
        Self([0x6c62_272e_07bb_0142, 0x62b8_2175_6295_c58d])
    }

    pub(crate) fn add(&mut self, item: &str) {
        let (words, rest) = item.as_bytes().as_chunks::<8>();
        words.iter().for_each(|word| self.mix(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last));
        // Its length ends each, so that no item's end is another's beginning.
        self.mix(item.len() as u64);
    }

    fn mix(&mut self, word: u64) {
        for (lane, factor) in self.0.iter_mut().zip(Self::FACTORS) {
            let mixed = (*lane ^ word).wrapping_mul(factor);
            *lane = mixed ^ (mixed >> 29);
        }
    }

    pub(crate) fn text(&self) -> String {
        let Self([one, two]) = self;
        format!("{one:016x}{two:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> &RawValue {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_pointer_leads_through_objects_and_arrays() {
        let text = r#"{"a/b": [1, {"~": 1.10, "ä\"": null}], "": {"": 2}}"#;
        let value = |pointer| Pointer::new(pointer).find(parsed(text)).map(RawValue::get);
        assert_eq!(value(""), Some(text));
        assert_eq!(value("/a~1b/1/~0"), Some("1.10"));
        assert_eq!(value("/a~1b/1/ä\""), Some("null"));
        assert_eq!(value("//"), Some("2"));
        assert_eq!([value("/a~1b/2"), value("/x"), value("/a~1b/0/x"), value("/a~1b/x")], [None; 4]);
        for pointer in ["", "/a~1b/1/~0", "//", "/x"] {
            assert_eq!(Pointer::new(pointer).to_string(), pointer);
        }
    }

    #[test]
    fn two_pointers_are_followed_at_once_to_the_end_of_the_text() {
        let find = |text, [one, two]: [&str; 2]| {
            locate(text, [Some(&Pointer::new(one)), Some(&Pointer::new(two))])
                .map(|found| found.map(|found| found.map(RawValue::get)))
                .map_err(|error| error.to_string())
        };
        let text = r#" {"a": {"b": [1], "c": 2}, "a": 3, "n": 1e999, "d": "\ud800"} "#;
        assert_eq!(find(text, ["/a/b", "/a/c"]), Ok([Some("[1]"), Some("2")]), "the first of two counts");
        assert_eq!(find(text, ["/a", "/a/c"]), Ok([Some(r#"{"b": [1], "c": 2}"#), Some("2")]));
        assert_eq!(find(text, ["/n", "/d"]), Ok([Some("1e999"), Some(r#""\ud800""#)]));
        assert_eq!(find(text, ["", "/a/c/x"]), Ok([Some(text.trim()), None]));
        for broken in [r#"{"a": [1], "b": "#, r#"{"a": [1]} x"#, r#"{"a": [1}"#, ""] {
            assert!(find(broken, ["/a", "/b"]).is_err(), "{broken}");
        }
    }

    #[test]
    fn items_are_what_the_server_wrote() {
        let found = |body: &str, pointer| {
            let [value] = locate(body, [Some(&Pointer::new(pointer))]).unwrap();
            let mut left = Items::of(body, value?);
            let mut all = Vec::new();
            while let Some((item, rest)) = left.next(body) {
                all.push(item.get().to_owned());
                left = rest;
            }
            assert!(left.is_empty());
            Some(all)
        };
        let text =
            r#" {"list": [ 1.10 ,{"a" : "\u00e4"}, "x",true,null,[2],3 ], "none": null, "empty": [ ]}"#;
        let list = ["1.10", r#"{"a" : "\u00e4"}"#, r#""x""#, "true", "null", "[2]", "3"];
        assert_eq!(found(text, "/list").unwrap(), list);
        assert_eq!(found(text, "/list/1").unwrap(), [r#"{"a" : "\u00e4"}"#]);
        assert_eq!(found(text, "/list/0").unwrap(), ["1.10"]);
        assert_eq!(found(text, "/none").unwrap(), [""; 0]);
        assert_eq!(found(text, "/empty").unwrap(), [""; 0]);
        assert_eq!(found(text, "/missing"), None);
        assert_eq!(found("7", "").unwrap(), ["7"]);
    }

    #[test]
    fn depth_and_digits_are_no_matter() {
        let deep = format!("[{}{}]", "[".repeat(1 << 20), "]".repeat(1 << 20));
        let [value] = locate(&deep, [Some(&Pointer::default())]).unwrap();
        let (item, left) = Items::of(&deep, value.unwrap()).next(&deep).unwrap();
        assert_eq!((item.get().len(), left.is_empty()), (2 << 20, true));
        assert_eq!(Pointer::new("/0/0/0").find(parsed(&deep)).unwrap().get().len(), (2 << 20) - 4);
        let digits = format!("[{}]", "9".repeat(1 << 20));
        let [value] = locate(&digits, [Some(&Pointer::default())]).unwrap();
        assert_eq!(Items::of(&digits, value.unwrap()).next(&digits).unwrap().0.get().len(), 1 << 20);
    }

    #[test]
    fn a_digest_tells_items_apart_by_their_ends_too() {
        let of = |items: &[&str]| {
            let mut digest = Digest::new();
            items.iter().for_each(|item| digest.add(item));
            digest.text()
        };
        let alike = [
            of(&["1", "23"]),
            of(&["12", "3"]),
            of(&["123"]),
            of(&["1", "2", "3"]),
            of(&["123", ""]),
            of(&["12345678", ""]),
            of(&["12345678"]),
            of(&["12345678\0"]),
            of(&[]),
        ];
        let different: std::collections::BTreeSet<_> = alike.iter().collect();
        assert_eq!(different.len(), alike.len());
        assert_eq!(of(&["12345678", "9"]), of(&["12345678", "9"]));
    }
}
