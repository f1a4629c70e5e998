//! The format of Java's `.properties` files, as `java.util.Properties` reads it.
//!
//! A logical line is a key, a separator (`=`, `:` or white space, with white space around it) and a value; a
//! backslash at the end joins it with the next line, elsewhere it escapes (`\t`, `\n`, `\uXXXX`, or any
//! character for itself). `#` and `!` begin a comment.
//!
//! Two deliberate differences. Java takes the last of two lines with the same key, which hides mistakes: here
//! that is a problem that names both lines. Java reads ISO 8859-1: here text that is UTF-8 is read as UTF-8,
//! and only what is not falls back to ISO 8859-1; the two agree on ASCII.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Problem, Problems, RawConfig};

/// A parsed file: its entries in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Properties {
    /// Key, value and the number of the line on which the key stands, from 1.
    pub(crate) entries: Vec<(String, String, usize)>,
}

impl Properties {
    /// Parses the content of a file.
    ///
    /// # Errors
    /// Every key that occurs twice and every malformed `\uXXXX`.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Problems> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
        };
        let mut properties = Self::default();
        let mut problems = Problems::default();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for (line, number) in logical_lines(&text) {
            let (key, value) = split(&line);
            let (key, value) = (unescape(key, number, &mut problems), unescape(value, number, &mut problems));
            if let Some(first) = seen.get(&key) {
                let message =
                    format!("the key stands on line {first} and again on line {number}; remove one");
                problems.push(Problem::without_value(key, message));
                continue;
            }
            let _ = seen.insert(key.clone(), number);
            properties.entries.push((key, value, number));
        }
        problems.or(properties)
    }

    /// The entries without their order.
    pub(crate) fn into_map(self) -> RawConfig {
        self.entries.into_iter().map(|(key, value, _)| (key, value)).collect()
    }
}

/// White space as the format knows it: not the end of a line.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// Joins continued lines, drops comments and blank lines. With the number of the first line of each.
fn logical_lines(text: &str) -> Vec<(String, usize)> {
    let mut lines: Vec<(String, usize)> = Vec::new();
    let mut continued = false;
    // Java ends a line at `\n`, `\r` or both.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    for (index, line) in text.split('\n').enumerate() {
        let line = line.trim_start_matches(is_blank);
        if !continued && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        let backslashes = line.len() - line.trim_end_matches('\\').len();
        let ends_open = backslashes % 2 == 1;
        let content = if ends_open { &line[..line.len() - 1] } else { line };
        match lines.last_mut() {
            Some((last, _)) if continued => last.push_str(content),
            _ => lines.push((content.to_owned(), index + 1)),
        }
        continued = ends_open;
    }
    lines
}

/// Key and value, both still escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .char_indices()
        .find(|(_, c)| {
            let ends = !escaped && (is_blank(*c) || matches!(c, '=' | ':'));
            escaped = *c == '\\' && !escaped;
            ends
        })
        .map_or(line.len(), |(at, _)| at);
    let rest = line[end..].trim_start_matches(is_blank);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(is_blank);
    (&line[..end], value)
}

fn unescape(text: &str, line: usize, problems: &mut Problems) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    // In UTF-16 units, as Java: an astral character is written as two escapes.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
            continue;
        }
        let Some(escape) = rest.chars().next() else { break };
        rest = &rest[escape.len_utf8()..];
        match escape {
            't' => units.push(u16::from(b'\t')),
            'n' => units.push(u16::from(b'\n')),
            'r' => units.push(u16::from(b'\r')),
            'f' => units.push(0xc),
            'u' => match rest.get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
                Some(unit) => {
                    units.push(unit);
                    rest = &rest[4..];
                }
                None => {
                    let message = format!("line {line} has \\u without four hexadecimal digits after it");
                    problems
                        .push(Problem::without_value(text.split(['=', ':']).next().unwrap_or(text), message));
                    return String::new();
                }
            },
            other => units.extend_from_slice(other.encode_utf16(&mut [0; 2])),
        }
    }
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let parsed = Properties::parse(text.as_bytes()).unwrap();
        parsed.entries.into_iter().map(|(key, value, _)| (key, value)).collect()
    }

    #[track_caller]
    fn one(text: &str, key: &str, value: &str) {
        assert_eq!(pairs(text), [(key.to_owned(), value.to_owned())], "{text:?}");
    }

    #[test]
    fn a_key_ends_at_the_first_separator() {
        one("a=b", "a", "b");
        one("a:b", "a", "b");
        one("a b", "a", "b");
        one("  a  =  b c ", "a", "b c ");
        one("a = = b", "a", "= b");
        one("a  :b", "a", "b");
        one("a", "a", "");
        one("a=", "a", "");
        one("= b", "", "b");
        one("http\\://x=y", "http://x", "y");
        one("a\\ b\\=c = d", "a b=c", "d");
        one("a=b:c=d", "a", "b:c=d");
    }

    #[test]
    fn comments_and_blank_lines_say_nothing() {
        assert_eq!(pairs("# a=b\n\n  ! c=d\n \t \n#\\\nx=y"), [("x".to_owned(), "y".to_owned())]);
        one("a=b # no comment", "a", "b # no comment");
    }

    #[test]
    fn a_backslash_at_the_end_joins_lines() {
        one("a = b,\\\n   c,\\\r\n\td", "a", "b,c,d");
        one("a\\\n=b", "a", "b");
        one("a=b\\\n# not a comment", "a", "b# not a comment");
        one("a=b\\\n", "a", "b");
        assert_eq!(pairs("a=b\\\\\nc=d").len(), 2);
    }

    #[test]
    fn escapes_stand_for_characters() {
        one(r"a=\t\n\r\f\\\q\u00e9", "a", "\t\n\r\u{c}\\q\u{e9}");
        one(r"a=\uD83D\uDE00", "a", "\u{1f600}");
        one(r"\u0061=b", "a", "b");
    }

    #[test]
    fn text_is_utf_8_or_else_iso_8859_1() {
        one("a=é€", "a", "é€");
        let parsed = Properties::parse(b"a=\xe9").unwrap();
        assert_eq!(parsed.entries[0].1, "é");
    }

    #[test]
    fn a_key_that_stands_twice_is_a_problem_with_both_lines() {
        let problems = Properties::parse(b"a=1\n\nb=2\na=3\nb=2").unwrap_err();
        let shown = problems.to_string();
        assert!(shown.contains("a: the key stands on line 1 and again on line 4"), "{shown}");
        assert!(shown.contains("b: the key stands on line 3 and again on line 5"), "{shown}");
    }

    #[test]
    fn a_malformed_escape_is_a_problem_with_its_line() {
        for text in ["\na=\\u12", "\na=\\u12g4", "\na=\\u12é"] {
            let problems = Properties::parse(text.as_bytes()).unwrap_err();
            assert!(problems.to_string().contains("line 2"), "{problems}");
        }
    }

    #[test]
    fn lines_end_as_in_java() {
        assert_eq!(pairs("a=b\rc=d\r\ne=f\n").len(), 3);
    }
}
