//! Keeping secrets out of text: what a guest says, and what is said about it.
//!
//! A [`Redactor`] knows values that must not be seen and puts `[hidden]` in their place: as they are, and as JSON,
//! URLs, forms and base64 (in each of the three ways that what stands before decides) have them, and each longer
//! line of those that have several. Values of fewer than four bytes are not hidden: they stand in every other word.
//!
//! It is against accidents, not against a guest that means to tell: there is no end of ways to write a text.
//!
//! Where there is no secret the cost is one look at a flag; else one pass over the text for each form.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use memchr::memmem::Finder;

use crate::base64;

/// What stands in the place of a secret.
pub(crate) const HIDDEN: &str = "[hidden]";

/// Bytes of the shortest value that is hidden.
const SHORTEST: usize = 4;
/// Bytes of the shortest line of a value with several, and of the shortest piece of base64.
const SHORTEST_PART: usize = 8;
/// Bytes of the longest value whose other forms are looked for.
const LONGEST_WITH_FORMS: usize = 16 << 10;

/// See the module. What it has learnt it keeps: an old value is a secret as much as the one that replaced it.
#[derive(Default)]
pub(crate) struct Redactor {
    /// Whether there is anything to hide.
    any: AtomicBool,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    /// As they came.
    values: BTreeSet<String>,
    /// All that is looked for.
    forms: Vec<Finder<'static>>,
    /// Bytes of the longest form.
    longest: usize,
}

/// Without what it hides.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// Hides these from now on.
    pub(crate) fn add(&self, values: impl IntoIterator<Item = String>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut forms = BTreeSet::new();
        for value in values {
            if !known.values.contains(&value) {
                forms.extend(forms_of(&value));
                let _ = known.values.insert(value);
            }
        }
        for form in forms {
            known.longest = known.longest.max(form.len());
            known.forms.push(Finder::new(&form).into_owned());
            self.any.store(true, Ordering::Release);
        }
    }

    /// The text without secrets.
    pub(crate) fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.any.load(Ordering::Acquire) {
            return Cow::Borrowed(text);
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.forms.iter().flat_map(|form| {
            form.find_iter(text.as_bytes()).map(|start| (start, start + form.needle().len()))
        });
        let mut spans: Vec<(usize, usize)> = found.collect();
        drop(known);
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        spans.sort_unstable();
        Cow::Owned(without(text, &spans))
    }

    /// Bytes of the longest that it looks for: a text that is cut has to keep so many more until it was redacted.
    pub(crate) fn longest(&self) -> usize {
        match self.any.load(Ordering::Acquire) {
            true => self.known.read().unwrap_or_else(PoisonError::into_inner).longest,
            false => 0,
        }
    }
}

/// The text without these parts of it, which are in order and may overlap.
fn without(text: &str, spans: &[(usize, usize)]) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut at = 0;
    for (start, end) in spans {
        // Overlapping ones are one. Forms are whole characters, so that all borders are those of characters.
        if *start >= at {
            clean.push_str(&text[at..*start]);
            clean.push_str(HIDDEN);
        }
        at = at.max(*end);
    }
    clean.push_str(&text[at..]);
    clean
}

/// All that a value may look like.
fn forms_of(value: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::new();
    // White space around it is often a file's; whoever uses the value may take it off.
    let value = value.trim();
    if value.len() < SHORTEST {
        return forms;
    }
    let _ = forms.insert(value.to_owned());
    if value.contains('\n') {
        forms.extend(value.lines().map(|line| line.trim().to_owned()));
        forms.retain(|form| form.len() >= SHORTEST_PART || form == value);
    }
    if value.len() <= LONGEST_WITH_FORMS {
        let json = serde_json::to_string(value).expect("a string is JSON");
        let _ = forms.insert(json[1..json.len() - 1].to_owned());
        let debug = format!("{value:?}");
        let _ = forms.insert(debug[1..debug.len() - 1].to_owned());
        for upper in [true, false] {
            let percent = percent_encoded(value, upper);
            let _ = forms.insert(percent.replace("%20", "+"));
            let _ = forms.insert(percent);
        }
        for encoded in (0..3).map(|before| base64_within(value, before)) {
            if encoded.len() >= SHORTEST_PART {
                let _ = forms.insert(encoded.replace('+', "-").replace('/', "_"));
                let _ = forms.insert(encoded);
            }
        }
    }
    forms
}

/// As in a URL: all but what is never escaped.
fn percent_encoded(value: &str, upper: bool) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match (byte, upper) {
            (b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~', _) => {
                encoded.push(char::from(byte))
            }
            (_, true) => drop(write!(encoded, "%{byte:02X}")),
            (_, false) => drop(write!(encoded, "%{byte:02x}")),
        }
    }
    encoded
}

/// What a value looks like in base64 whatever stands around it, with so many bytes before it (modulo three).
fn base64_within(value: &str, before: usize) -> String {
    let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(value.bytes()).collect();
    let mut encoded = Vec::new();
    base64::encode(&bytes, &mut encoded);
    // Six bits a digit; those at the borders are not the value's alone.
    let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    encoded.get(from..to).unwrap_or_default().iter().copied().map(char::from).collect()
}

/// Whether a name, Java's or librdkafka's, says that its value must not be shown.
pub(crate) fn is_secret_name(name: &str) -> bool {
    ["password", "secret", "passphrase", "token", "jaas", "pem", "keystore.key", "certificate"]
        .iter()
        .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str) -> String {
        let mut encoded = Vec::new();
        base64::encode(text.as_bytes(), &mut encoded);
        String::from_utf8(encoded).unwrap()
    }

    fn hidden(secrets: &[&str], text: &str) -> String {
        let redactor = Redactor::default();
        redactor.add(secrets.iter().map(|secret| (*secret).to_owned()));
        redactor.hide(text).into_owned()
    }

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        assert_eq!(hidden(&["sesame"], "open sesame, sesame!"), "open [hidden], [hidden]!");
        assert_eq!(hidden(&["sesame"], "nothing to see"), "nothing to see");
        assert_eq!(hidden(&["sésame"], "é sésamé sésame"), "é sésamé [hidden]");
        assert_eq!(hidden(&["abcd", "abcdef"], "abcdef abcd"), "[hidden] [hidden]", "the longest");
        assert_eq!(hidden(&["abcd", "cdef"], "xabcdefx"), "x[hidden]x", "all of those that overlap");
    }

    #[test]
    fn what_is_too_short_to_be_told_apart_is_not_hidden() {
        assert_eq!(hidden(&["abc", "", "  \n ", " ab "], "abc ab"), "abc ab");
        assert_eq!(hidden(&["abcd"], "abcd"), HIDDEN);
    }

    #[test]
    fn white_space_around_a_secret_does_not_save_it() {
        assert_eq!(hidden(&["sesame\n"], "sesame."), "[hidden].");
    }

    #[test]
    fn secrets_are_hidden_as_others_write_them() {
        let secret = "s\"s\\ä/ m+e=\t1234";
        for text in [
            serde_json::to_string(secret).unwrap(),
            format!("{secret:?}"),
            "s%22s%5C%C3%A4%2F%20m%2Be%3D%091234".to_owned(),
            "s%22s%5c%c3%a4%2f%20m%2be%3d%091234".to_owned(),
            "s%22s%5C%C3%A4%2F+m%2Be%3D%091234".to_owned(),
        ] {
            let hidden = hidden(&[secret], &text);
            assert_eq!(hidden.trim_matches('"'), HIDDEN, "{text}");
        }
    }

    #[test]
    fn secrets_are_hidden_in_base64_whatever_stands_around_them() {
        let secret = "open sesame??>>";
        for before in ["", "u", "me", "me:", "user:"] {
            for after in ["", "!", "!!", "!!!"] {
                let text = encoded(&format!("{before}{secret}{after}"));
                for text in [text.clone(), text.replace('+', "-").replace('/', "_")] {
                    let hidden = hidden(&[secret], &text);
                    let left = hidden.replace(HIDDEN, "");
                    assert!(hidden.contains(HIDDEN) && left.len() <= 14, "{text}: {hidden}");
                }
            }
        }
    }

    #[test]
    fn each_line_of_a_key_is_hidden() {
        let key = "-----BEGIN KEY-----\nAAAABBBBCCCC\nx\n-----END KEY-----\n";
        assert_eq!(hidden(&[key], "read AAAABBBBCCCC and x"), "read [hidden] and x");
        assert_eq!(hidden(&[key], &format!("{key:?}")), "\"[hidden]\\n\"");
    }

    #[test]
    fn what_was_learnt_is_kept() {
        let redactor = Redactor::default();
        assert_eq!((redactor.longest(), redactor.hide("old-value")), (0, Cow::Borrowed("old-value")));
        redactor.add(["old-value".to_owned()]);
        redactor.add(["new-value".to_owned(), "old-value".to_owned()]);
        assert_eq!(redactor.hide("old-value new-value"), "[hidden] [hidden]");
        assert!(redactor.longest() >= 9);
    }

    #[test]
    fn nothing_shows_in_debug_output() {
        let redactor = Redactor::default();
        redactor.add(["sesame".to_owned()]);
        assert!(!format!("{redactor:?}").contains("sesame"));
    }
}
