//! The items of an answer, as the server wrote them: a number keeps its digits, and a text its escapes.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::value::RawValue;

/// What a JSON pointer points to.
pub(crate) fn pointed<'a>(value: &'a RawValue, pointer: &str) -> Option<&'a RawValue> {
    let mut at = value;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        at = match at.get().as_bytes().first()? {
            b'{' => serde_json::from_str::<HashMap<String, &RawValue>>(at.get()).ok()?.remove(&token)?,
            b'[' => {
                let elements: Vec<&RawValue> = serde_json::from_str(at.get()).ok()?;
                elements.get(token.parse::<usize>().ok()?).copied()?
            }
            _ => return None,
        };
    }
    Some(at)
}

/// Where the items are in a body. `None`: there is nothing where they should be.
pub(crate) fn items(body: &str, root: &RawValue, pointer: &str) -> Option<Vec<Range<usize>>> {
    let found = pointed(root, pointer)?;
    let range = |item: &RawValue| {
        let start = item.get().as_ptr() as usize - body.as_ptr() as usize;
        start..start + item.get().len()
    };
    Some(match found.get().as_bytes().first() {
        Some(b'[') => {
            serde_json::from_str::<Vec<&RawValue>>(found.get()).ok()?.into_iter().map(range).collect()
        }
        // Some servers write an empty list so.
        Some(b'n') => Vec::new(),
        _ => vec![range(found)],
    })
}

/// A digest of items, to recognise them: FNV-1a of 128 bits. Nobody gains by making two alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest(u128);

impl Digest {
    pub(crate) fn new() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    pub(crate) fn add(&mut self, item: &str) {
        // A byte that no JSON has ends each.
        for byte in item.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }

    pub(crate) fn text(&self) -> String {
        format!("{:032x}", self.0)
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
        let value = |pointer| pointed(parsed(text), pointer).map(RawValue::get);
        assert_eq!(value(""), Some(text));
        assert_eq!(value("/a~1b/1/~0"), Some("1.10"));
        assert_eq!(value("/a~1b/1/ä\""), Some("null"));
        assert_eq!(value("//"), Some("2"));
        assert_eq!([value("/a~1b/2"), value("/x"), value("/a~1b/0/x"), value("/a~1b/x")], [None; 4]);
    }

    #[test]
    fn items_are_what_the_server_wrote() {
        let found = |text: &str, pointer| {
            items(text, parsed(text), pointer)
                .map(|ranges| ranges.into_iter().map(|range| text[range].to_owned()).collect::<Vec<_>>())
        };
        let text = r#" {"list": [ 1.10 ,{"a" : "\u00e4"}, "x"], "none": null, "empty": []}"#;
        assert_eq!(found(text, "/list").unwrap(), ["1.10", r#"{"a" : "\u00e4"}"#, r#""x""#]);
        assert_eq!(found(text, "/list/1").unwrap(), [r#"{"a" : "\u00e4"}"#]);
        assert_eq!(found(text, "/none").unwrap(), [""; 0]);
        assert_eq!(found(text, "/empty").unwrap(), [""; 0]);
        assert_eq!(found(text, "/missing"), None);
    }

    #[test]
    fn a_digest_tells_items_apart_by_their_ends_too() {
        let of = |items: &[&str]| {
            let mut digest = Digest::new();
            items.iter().for_each(|item| digest.add(item));
            digest.text()
        };
        assert_ne!(of(&["1", "23"]), of(&["12", "3"]));
        assert_eq!(of(&[]), "6c62272e07bb014262b821756295c58d");
    }
}
