//! Which versions of a plugin a configuration asks for: `*.plugin.version`, in Maven's notation as in Kafka Connect.
//!
//! `[1.2,2)` is a range, with brackets for ends that belong to it; several stand with commas between. A version
//! alone means just that one. `latest` means any, of which the newest is taken.

use std::cmp::Ordering;
use std::fmt;

use super::RawConfig;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VersionRange(Vec<Interval>);

/// From one version to another; no version is no bound.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Interval {
    least: String,
    with_least: bool,
    most: String,
    with_most: bool,
}

impl VersionRange {
    /// What a connector's configuration asks for. A range that is none is another's to complain of.
    pub(crate) fn of(config: &RawConfig) -> Option<Self> {
        Self::parse(config.get("connector.plugin.version")?).ok().flatten()
    }

    /// Reads a range; `None`: any version will do.
    ///
    /// # Errors
    /// It is none: why, in Kafka Connect's words.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, String> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("latest") {
            return Ok(None);
        }
        if !text.starts_with(['[', '(']) {
            return Ok(Some(Self(vec![Interval::exactly(text)])));
        }
        let (mut intervals, mut rest) = (Vec::new(), text);
        while let Some(inner) = rest.strip_prefix(['[', '(']) {
            let end = inner.find([']', ')']).ok_or_else(|| format!("Unbounded range: {text}"))?;
            let (least, most) = inner[..end].split_once(',').unwrap_or((&inner[..end], &inner[..end]));
            intervals.push(Interval {
                least: least.trim().to_owned(),
                with_least: rest.starts_with('['),
                most: most.trim().to_owned(),
                with_most: inner[end..].starts_with(']'),
            });
            rest = inner[end + 1..].trim_start_matches([',', ' ']);
        }
        match rest.is_empty() {
            true => Ok(Some(Self(intervals))),
            false => Err(format!("Only fully-qualified sets allowed in multiple set scenario: {text}")),
        }
    }

    /// Whether a version lies in it.
    pub(crate) fn contains(&self, version: &str) -> bool {
        self.0.iter().any(|interval| interval.contains(version))
    }
}

impl Interval {
    fn exactly(version: &str) -> Self {
        let version = version.to_owned();
        Self { least: version.clone(), with_least: true, most: version, with_most: true }
    }

    fn contains(&self, version: &str) -> bool {
        // The empty text is a version that there never is, not a range without bounds.
        if self.least.is_empty() && self.most.is_empty() {
            return false;
        }
        let within = |bound: &str, with: bool, side: Ordering| match compare(version, bound) {
            Ordering::Equal => with,
            order => order == side,
        };
        (self.least.is_empty() || within(&self.least, self.with_least, Ordering::Greater))
            && (self.most.is_empty() || within(&self.most, self.with_most, Ordering::Less))
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, interval) in self.0.iter().enumerate() {
            let Interval { least, with_least, most, with_most } = interval;
            f.write_str(if index == 0 { "" } else { "," })?;
            let (open, close) = (if *with_least { '[' } else { '(' }, if *with_most { ']' } else { ')' });
            write!(f, "{open}{least},{most}{close}")?;
        }
        Ok(())
    }
}

/// Which of two versions is newer: number by number, what is missing being 0; a pre-release before its release.
fn compare(a: &str, b: &str) -> Ordering {
    let split = |text: &str| -> (Vec<u64>, Vec<String>) {
        let (numbers, pre) = text.split_once('-').unwrap_or((text, ""));
        let numbers: Vec<u64> = numbers.split('.').map(|part| part.parse().unwrap_or(0)).collect();
        (numbers, pre.split(['.', '-']).filter(|part| !part.is_empty()).map(str::to_owned).collect())
    };
    let ((mut a_numbers, a_pre), (mut b_numbers, b_pre)) = (split(a), split(b));
    let length = a_numbers.len().max(b_numbers.len());
    a_numbers.resize(length, 0);
    b_numbers.resize(length, 0);
    let released = a_pre.is_empty().cmp(&b_pre.is_empty());
    a_numbers.cmp(&b_numbers).then(released).then_with(|| a_pre.cmp(&b_pre))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(range: &str, version: &str) -> bool {
        VersionRange::parse(range).unwrap().is_none_or(|range| range.contains(version))
    }

    #[test]
    fn a_version_alone_means_just_that_one() {
        assert!(fits("1.2.3", "1.2.3") && fits("1.2", "1.2.0"));
        assert!(!fits("1.2.3", "1.2.4") && !fits("", "1.2.3") && !fits("rubbish", "1.2.3"));
        assert_eq!(VersionRange::parse("1.0").unwrap().unwrap().to_string(), "[1.0,1.0]");
    }

    #[test]
    fn brackets_belong_to_a_range_and_parentheses_do_not() {
        assert!(fits("[1.0,2.0)", "1.0.0") && !fits("[1.0,2.0)", "2.0.0") && fits("[1.0,2.0)", "2.0.0-rc.1"));
        assert!(fits("(1.0,)", "7.0.0") && !fits("(1.0,)", "1.0.0") && fits("(,1.0]", "1.0.0"));
        assert!(fits("[1.0],[3.0,4.0]", "3.5.0") && !fits("[1.0],[3.0,4.0]", "2.0.0"));
        assert_eq!(VersionRange::parse("(5,)").unwrap().unwrap().to_string(), "(5,)");
    }

    #[test]
    fn latest_is_any_and_a_broken_range_is_none() {
        assert!(fits("latest", "0.0.1"));
        assert_eq!(VersionRange::parse("[1.0").unwrap_err(), "Unbounded range: [1.0");
        assert!(VersionRange::parse("[1.0]x").is_err());
    }
}
