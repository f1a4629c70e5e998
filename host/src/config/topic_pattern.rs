//! `topics.regex`: a regular expression of Java's, for librdkafka, which uses POSIX's extended ones.
//!
//! A topic's name consists of letters, digits, `.`, `_` and `-`, so most of what differs never matters.
//! What matters and can be said otherwise is translated; the rest is refused, because an expression that
//! silently matches other topics reads the wrong data.

use std::iter::Peekable;
use std::str::Chars;

use regex::Regex;

/// A pattern that can be subscribed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicPattern {
    java: String,
    native: String,
}

impl TopicPattern {
    /// # Errors
    /// What in the pattern is wrong, or cannot be said to librdkafka.
    pub(crate) fn new(java: &str) -> Result<Self, String> {
        let mut rest = java.chars().peekable();
        let mut out = String::with_capacity(java.len() + 4);
        Translator { rest: &mut rest, out: &mut out, any_case: false }.run()?;
        let native = format!("^({out})$");
        // What is left is common to both dialects, and so to this crate's, which finds the syntax errors.
        match Regex::new(&native) {
            Ok(_) => Ok(Self { java: java.to_owned(), native }),
            Err(error) => Err(format!("Not a valid regular expression: {error}")),
        }
    }

    /// As the user wrote it.
    pub(crate) fn as_str(&self) -> &str {
        &self.java
    }

    /// The expression whose whole match this is, in librdkafka's form: it begins with `^`.
    pub(crate) fn native(&self) -> &str {
        &self.native
    }

    /// Whether a topic's whole name matches.
    pub(crate) fn matcher(&self) -> impl Fn(&str) -> bool + use<> {
        let regex = Regex::new(&self.native).expect("it was one when the pattern was made");
        move |topic| regex.is_match(topic)
    }
}

struct Translator<'r, 'p> {
    rest: &'r mut Peekable<Chars<'p>>,
    out: &'r mut String,
    any_case: bool,
}

impl Translator<'_, '_> {
    fn run(mut self) -> Result<(), String> {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '(' if self.rest.next_if_eq(&'?').is_some() => self.group()?,
                '*' | '+' | '?' | '}' => {
                    self.out.push(c);
                    // Lazy or not is the same to a whole match.
                    let _ = self.rest.next_if_eq(&'?');
                    if self.rest.next_if(|next| matches!(next, '+' | '*' | '?')).is_some() {
                        return Err("uses possessive repetition, which librdkafka does not have".into());
                    }
                }
                c if self.any_case && c.is_ascii_alphabetic() => {
                    self.out.extend(['[', c.to_ascii_lowercase(), c.to_ascii_uppercase(), ']']);
                }
                c => self.out.push(c),
            }
        }
        Ok(())
    }

    /// What follows `(?`.
    fn group(&mut self) -> Result<(), String> {
        let at_start = self.out.is_empty();
        match self.rest.next() {
            Some(':') => self.out.push('('),
            Some('i') if at_start && self.rest.next_if_eq(&')').is_some() => self.any_case = true,
            Some(c) => {
                return Err(format!(
                    "uses (?{c}, which librdkafka's regular expressions do not have; name the topics in topics \
                     instead, or write a pattern without it"
                ));
            }
            None => return Err("has a group that is not closed".into()),
        }
        Ok(())
    }

    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let set = |inner: &str| if in_class { inner.to_owned() } else { format!("[{inner}]") };
        match self.rest.next() {
            Some('d') => self.out.push_str(&set("0-9")),
            Some('w') => self.out.push_str(&set("a-zA-Z0-9_")),
            Some('D') if !in_class => self.out.push_str("[^0-9]"),
            Some('W') if !in_class => self.out.push_str("[^a-zA-Z0-9_]"),
            // In a POSIX class a backslash stands for itself, so what needs none there goes without.
            Some(c @ ('.' | '_')) if in_class => self.out.push(c),
            Some('-') if in_class => {
                return Err("uses \\- in a class: write the - as the class's last character".into());
            }
            Some(c) if !in_class && c.is_ascii_punctuation() => {
                // `\-` and `\_` are no escapes in POSIX; neither character is special there.
                if !matches!(c, '-' | '_') {
                    self.out.push('\\');
                }
                self.out.push(c);
            }
            Some(c) => {
                return Err(format!("uses \\{c}, which librdkafka's regular expressions do not have"));
            }
            None => return Err("ends in a backslash".into()),
        }
        Ok(())
    }

    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        while let Some(c) = self.rest.next() {
            match c {
                ']' => {
                    self.out.push(']');
                    return Ok(());
                }
                c if self.any_case && c.is_ascii_alphabetic() => {
                    if self.rest.peek() == Some(&'-') {
                        return Err("has a range of letters and (?i): write both cases".into());
                    }
                    self.out.extend([c.to_ascii_lowercase(), c.to_ascii_uppercase()]);
                }
                '[' => return Err("has a class within a class".into()),
                '&' if self.rest.peek() == Some(&'&') => return Err("intersects classes with &&".into()),
                '\\' => self.escape(true)?,
                c => self.out.push(c),
            }
        }
        Err("has a class that is not closed".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native(pattern: &str) -> String {
        TopicPattern::new(pattern).unwrap().native().to_owned()
    }

    #[test]
    fn a_whole_match_is_asked_for() {
        assert_eq!(native("a|b"), "^(a|b)$");
        assert_eq!(native(r"orders\.(?:eu|us)-\d+"), r"^(orders\.(eu|us)-[0-9]+)$");
        assert_eq!(native(r"[\w.-]+"), "^([a-zA-Z0-9_.-]+)$");
        assert_eq!(native(r"a\-b\_c{2,3}"), "^(a-b_c{2,3})$");
        let matches = TopicPattern::new("a|bc").unwrap().matcher();
        assert!(matches("a") && matches("bc") && !matches("abc") && !matches("xa"));
    }

    #[test]
    fn what_is_the_same_to_a_whole_match_is_said_otherwise() {
        assert_eq!(native("a*?b+?c??d{2}?"), "^(a*b+c?d{2})$");
        assert_eq!(native("(?i)ab[c_]"), "^([aA][bB][cC_])$");
    }

    #[test]
    fn what_cannot_be_expressed_is_refused() {
        for pattern in [
            "a(?i)b",
            "(?!x)a",
            "a++",
            "a{2}+",
            r"\Qa.b\E",
            r"\p{Lu}",
            r"\bword",
            r"(a)\1",
            "[a&&b]",
            "[[a]]",
            "(",
            "[a",
            r"a\",
            "(?i)[a-z]",
        ] {
            assert!(TopicPattern::new(pattern).is_err(), "{pattern}");
        }
    }
}
