//! What a worker says at `/metrics`: the Prometheus text format, read.

use std::collections::BTreeMap;

/// All samples of one answer.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Vec<Sample>);

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The name of the metric.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Metrics {
    /// Reads the text.
    ///
    /// # Errors
    /// The first line that is not in the format.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(|line| sample(line).ok_or_else(|| line.to_owned())).collect::<Result<_, _>>().map(Self)
    }

    /// The samples of this name that have all these labels.
    pub fn find<'a>(&'a self, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = &'a Sample> {
        let has = |sample: &Sample| {
            labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|v| v == value))
        };
        self.0.iter().filter(move |sample| sample.name == name && has(sample))
    }

    /// Their sum; `None` when there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.find(name, labels).map(|sample| sample.value).reduce(|a, b| a + b)
    }

    /// All of them.
    pub fn samples(&self) -> &[Sample] {
        &self.0
    }
}

/// `name{key="value",…} 1.0`, perhaps with a timestamp behind it.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(list) = rest.strip_prefix('{') {
        rest = list;
        while !rest.starts_with('}') {
            let (key, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.insert(key.trim().to_owned(), value);
            rest = after.strip_prefix(',').unwrap_or(after).trim_start();
        }
        rest = &rest[1..];
    }
    let value = match rest.split_whitespace().next()? {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().ok()?,
    };
    Some(Sample { name: name.to_owned(), labels, value })
}

/// What is before the closing quote, unescaped, and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            (_, other) => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_values_and_escapes_are_read() {
        let text = "# HELP a b\n# TYPE a counter\na_total 3\nb{x=\"1,}\",y=\"q\\\"\\\\\\n\",} 1.5e3 1700000000\nb{x=\"2\"} +Inf\n# EOF\n";
        let metrics = Metrics::parse(text).unwrap();
        assert_eq!(metrics.sum("a_total", &[]), Some(3.0));
        assert_eq!(metrics.sum("b", &[("x", "1,}"), ("y", "q\"\\\n")]), Some(1500.0));
        assert_eq!(metrics.sum("b", &[("x", "2")]), Some(f64::INFINITY));
        assert_eq!(metrics.sum("b", &[("x", "3")]), None);
        assert_eq!(Metrics::parse("a{x=\"1} 2").unwrap_err(), "a{x=\"1} 2");
    }
}
