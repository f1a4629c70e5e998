//! The version of a plugin, and which of two is newer.

use serde::{Deserialize, Serialize};
use std::fmt;

/// `major.minor.patch`, then perhaps `-` and a pre-release, which comes before the release.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Version {
    numbers: [u64; 3],
    pre: Option<String>,
}

impl Version {
    /// Reads a version.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // What follows `+` is build information: part of the text, not of the order.
        let (release, build) = text.split_once('+').map_or((text, None), |(r, b)| (r, Some(b)));
        let (numbers, pre) = release.split_once('-').map_or((release, None), |(n, p)| (n, Some(p)));
        let mut parts = numbers.split('.').map(|part| {
            let plain = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| part.parse::<u64>().ok())?
        });
        let numbers = [parts.next()??, parts.next()??, parts.next()??];
        let word = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
        };
        let good = parts.next().is_none() && pre.is_none_or(word) && build.is_none_or(word);
        let pre = match (pre, build) {
            (pre, None) => pre.map(str::to_owned),
            (pre, Some(build)) => Some(format!("{}+{build}", pre.unwrap_or_default())),
        };
        good.then_some(Self { numbers, pre })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        match &self.pre {
            Some(pre) if pre.starts_with('+') => f.write_str(pre),
            Some(pre) => write!(f, "-{pre}"),
            None => Ok(()),
        }
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |version: &Self| {
            let pre = version.pre.as_deref().unwrap_or_default();
            let (pre, build) = pre.split_once('+').unwrap_or((pre, ""));
            let parts: Vec<_> = pre
                .split('.')
                .map(|part| part.parse::<u64>().map_or((1, 0, part.to_owned()), |n| (0, n, String::new())))
                .collect();
            (version.numbers, pre.is_empty(), parts, build.to_owned())
        };
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom(format!("{text:?} is no version like 1.2.3"));
        Self::parse(&text).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_keep_their_text() {
        for text in ["0.1.0", "1.2.3-rc.1", "1.2.3-rc.1+build.5", "1.2.3+build"] {
            assert_eq!(Version::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "1", "1.2", "1.2.3.4", "1.2.x", "v1.2.3", "1.2.3-", "1.2.3+", "1.-2.3", "1.2.3-a b"]
        {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn versions_are_ordered_by_number_and_a_release_comes_after_its_candidates() {
        let sorted = ["0.9.9", "0.10.0-rc.2", "0.10.0-rc.10", "0.10.0", "0.10.0+later", "1.0.0"];
        let versions: Vec<_> = sorted.iter().map(|text| Version::parse(text).unwrap()).collect();
        assert!(versions.is_sorted());
    }
}
