//! Where a document goes: the name of an index or a data stream.
//!
//! A name is a pattern with the topic and the record's time in it, or comes from a list of topics. It depends on
//! nothing but the record, so that a record that comes again goes to the same place. Records of a topic come one
//! after the other, so the last name is kept and little is computed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// An index's name may have so many bytes.
const LONGEST: usize = 255;
const HOUR: i64 = 3_600_000;

/// How names are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Naming {
    Pattern(Pattern),
    /// By topic.
    Listed(BTreeMap<String, String>),
}

/// `logs-${topic}-{yyyy.MM}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Topic,
    Year,
    Month,
    Day,
    Hour,
}

impl Pattern {
    /// # Errors
    /// What is wrong with the text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let topic = rest[..open].ends_with('$');
            let before = if topic { &rest[..open - 1] } else { &rest[..open] };
            parts.push(Part::Text(lower(before)?));
            let Some(length) = rest[open..].find('}') else { return Err("a { has no }".into()) };
            let inner = &rest[open + 1..open + length];
            match (topic, inner) {
                (true, "topic") => parts.push(Part::Topic),
                (false, "date") => date("yyyy.MM.dd", &mut parts)?,
                (false, _) => date(inner, &mut parts)?,
                (true, _) => return Err(format!("${{{inner}}} is nothing; there is ${{topic}}")),
            }
            rest = &rest[open + length + 1..];
        }
        parts.push(Part::Text(lower(rest)?));
        parts.retain(|part| *part != Part::Text(String::new()));
        if parts.is_empty() { Err("it is empty".into()) } else { Ok(Self(parts)) }
    }

    fn has_date(&self) -> bool {
        self.0.iter().any(|part| !matches!(part, Part::Text(_) | Part::Topic))
    }

    fn name(&self, topic: &str, hours: i64) -> String {
        let ((year, month, day), hour) = (civil(hours.div_euclid(24)), hours.rem_euclid(24));
        let mut name = String::new();
        for part in &self.0 {
            let _ = match part {
                Part::Text(text) => name.write_str(text),
                Part::Topic => name.write_str(&topic.to_ascii_lowercase()),
                Part::Year => write!(name, "{year:04}"),
                Part::Month => write!(name, "{month:02}"),
                Part::Day => write!(name, "{day:02}"),
                Part::Hour => write!(name, "{hour:02}"),
            };
        }
        // As Confluent's connector does: no index may begin so.
        name.trim_start_matches(['-', '_', '+']).to_owned()
    }
}

/// `yyyy`, `MM`, `dd` and `HH` with signs between them.
fn date(format: &str, parts: &mut Vec<Part>) -> Result<(), String> {
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        let known = [("yyyy", Part::Year), ("MM", Part::Month), ("dd", Part::Day), ("HH", Part::Hour)];
        match known.into_iter().find(|(letters, _)| rest.starts_with(letters)) {
            Some((letters, part)) => {
                parts.push(part);
                rest = &rest[letters.len()..];
            }
            None if first.is_ascii_alphanumeric() => {
                return Err(format!("{{{format}}} is nothing; there are {{date}} and yyyy, MM, dd, HH"));
            }
            None => {
                parts.push(Part::Text(lower(&rest[..first.len_utf8()])?));
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    Ok(())
}

/// Text that may be in an index's name.
pub(crate) fn lower(text: &str) -> Result<String, String> {
    match text.chars().find(|c| c.is_whitespace() || c.is_control() || "\\/*?\"<>|,#:{}".contains(*c)) {
        Some(c) => Err(format!("no index may have {c:?} in its name")),
        None => Ok(text.to_lowercase()),
    }
}

/// Year, month and day of a day since 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    // Of years that begin in March, in eras of 400 years.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (day, month_of_year) =
        (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + i64::from(month_of_year <= 2), month_of_year, day)
}

/// Names, the last one kept.
#[derive(Debug)]
pub(crate) struct Names {
    naming: Naming,
    topic: String,
    hours: i64,
    name: String,
}

impl Names {
    pub(crate) fn new(naming: Naming) -> Self {
        Self { naming, topic: String::new(), hours: 0, name: String::new() }
    }

    /// Where a record goes.
    ///
    /// # Errors
    /// It goes nowhere.
    pub(crate) fn of(&mut self, topic: &str, timestamp: Option<i64>) -> Result<&str, String> {
        let hours = match &self.naming {
            Naming::Pattern(pattern) if pattern.has_date() => {
                timestamp.ok_or("has no timestamp, which the index's name needs")?.div_euclid(HOUR)
            }
            _ => 0,
        };
        if self.name.is_empty() || self.topic != topic || self.hours != hours {
            self.name = match &self.naming {
                Naming::Pattern(pattern) => pattern.name(topic, hours),
                Naming::Listed(list) => list.get(topic).cloned().unwrap_or_default(),
            };
            topic.clone_into(&mut self.topic);
            self.hours = hours;
        }
        match (self.name.as_str(), &self.naming) {
            ("", Naming::Listed(_)) => {
                Err("is of a topic that topic.to.external.resource.mapping does not have".into())
            }
            // Cut off, two topics could have one name.
            (name, _) if name.len() > LONGEST => Err(format!(
                "goes to an index whose name has {} bytes, and it may have {LONGEST}",
                name.len()
            )),
            ("" | "." | "..", _) => Err("is of a topic whose name is none for an index".into()),
            (name, _) => Ok(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(pattern: &str, topic: &str, timestamp: i64) -> String {
        let mut names = Names::new(Naming::Pattern(Pattern::parse(pattern).unwrap()));
        names.of(topic, Some(timestamp)).unwrap().to_owned()
    }

    #[test]
    fn a_pattern_has_the_topic_and_the_time_of_the_record() {
        let time = 1_709_208_000_000;
        assert_eq!(name("logs-${topic}-{date}", "My.Topic", time), "logs-my.topic-2024.02.29");
        assert_eq!(name("A{yyyy-MM}x{HH}", "t", time), "a2024-02x12");
        assert_eq!(name("${topic}", "_-T", time), "t");
        assert_eq!(name("{dd.MM.yyyy}", "t", -1), "31.12.1969");
        assert_eq!(name("{date}", "t", 951_782_400_000), "2000.02.29");
    }

    #[test]
    fn a_pattern_that_makes_no_name_is_refused() {
        for (text, expected) in [
            ("", "empty"),
            ("a{date", "no }"),
            ("${tpoic}", "${topic}"),
            ("{week}", "{date}"),
            ("a b", "' '"),
            ("a{yyyy/MM}", "'/'"),
        ] {
            let error = Pattern::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_record_without_what_its_name_needs_goes_nowhere() {
        let mut dated = Names::new(Naming::Pattern(Pattern::parse("{date}").unwrap()));
        assert!(dated.of("t", None).unwrap_err().contains("timestamp"));
        let list = BTreeMap::from([("a".to_owned(), "of-a".to_owned())]);
        let mut listed = Names::new(Naming::Listed(list));
        assert_eq!(listed.of("a", None), Ok("of-a"));
        assert!(listed.of("b", None).unwrap_err().contains("resource.mapping"));
        let mut plain = Names::new(Naming::Pattern(Pattern::parse("${topic}").unwrap()));
        assert!(plain.of("..", None).is_err() && plain.of("_", None).is_err());
        let mut long =
            Names::new(Naming::Pattern(Pattern::parse(&format!("{}${{topic}}", "ä".repeat(100))).unwrap()));
        assert!(long.of(&"t".repeat(55), None).is_ok());
        assert!(long.of(&"t".repeat(56), None).unwrap_err().contains("256 bytes"));
    }
}
