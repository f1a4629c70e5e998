//! The language of the scripts, one line a step:
//!
//! ```text
//! # a comment
//! GET /connectors?expand=info          a request; the lines below that are indented belong to it
//!     Accept: text/html                a header
//!     = {"name": "a"}                  the body, and with it Content-Type: application/json unless a header says another
//!     =spaces 5000000                  a body of so many spaces
//!     Content-Type: -                  no such header
//! ~ /connectors/a/status RUNNING       waits until GET of this path answers with a status and body that contain the text
//! ~! /connectors/a/status RUNNING      and until it does not
//! ! in.txt 100                         writes a file of so many lines
//! ```
//!
//! `@` becomes a tag that tells the two workers' names, topics and groups apart, as both use one broker; `{dir}`
//! a folder of each; `{source}` and `{sink}` the settings of a connector without its name; `{group}` the sink's
//! settings that make its group short-lived.

/// A step.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Where it stands: `root.http:3`.
    pub(super) at: String,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    Request { line: String, headers: Vec<(String, String)>, body: Option<String> },
    Await { path: String, text: String, there: bool },
    Lines { file: String, count: usize },
}

/// The steps of a script.
///
/// # Panics
/// When it is not in the language.
pub(super) fn read(file: &str, text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let at = format!("{file}:{}", number + 1);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(detail) = line.strip_prefix("    ") {
            let step = steps.last_mut().unwrap_or_else(|| panic!("{at}: nothing to belong to"));
            step.what.add(detail, &at);
            continue;
        }
        steps.push(Step { what: What::read(line, &at), at });
    }
    steps
}

impl What {
    fn read(line: &str, at: &str) -> Self {
        let words = |rest: &str| {
            let (first, second) =
                rest.trim().split_once(' ').unwrap_or_else(|| panic!("{at}: one word too few"));
            (first.to_owned(), second.to_owned())
        };
        if let Some(rest) = line.strip_prefix("~!") {
            let (path, text) = words(rest);
            return Self::Await { path, text, there: false };
        }
        if let Some(rest) = line.strip_prefix('~') {
            let (path, text) = words(rest);
            return Self::Await { path, text, there: true };
        }
        if let Some(rest) = line.strip_prefix('!') {
            let (file, count) = words(rest);
            return Self::Lines { file, count: count.parse().unwrap_or_else(|e| panic!("{at}: {e}")) };
        }
        Self::Request { line: line.to_owned(), headers: Vec::new(), body: None }
    }

    fn add(&mut self, detail: &str, at: &str) {
        let Self::Request { headers, body, .. } = self else { panic!("{at}: only requests have more lines") };
        if let Some(count) = detail.strip_prefix("=spaces ") {
            *body = Some(" ".repeat(count.parse().unwrap_or_else(|e| panic!("{at}: {e}"))));
        } else if let Some(text) = detail.strip_prefix('=') {
            *body = Some(text.trim_start().to_owned());
        } else {
            let (name, value) =
                detail.split_once(':').unwrap_or_else(|| panic!("{at}: neither header nor body"));
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
}
