//! Rust source as these tests look at it: without comments, literals and unit tests.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// A file, its place relative to the folder that was asked for, and its code.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) place: String,
    pub(super) lines: usize,
    pub(super) code: String,
}

/// All Rust files below a folder, without what Cargo builds there.
pub(super) fn sources(folder: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    for path in files(folder) {
        let place = path.strip_prefix(folder).unwrap().display().to_string();
        let text = fs::read_to_string(&path).unwrap();
        let own = if path.ends_with("tests.rs") { "" } else { without_tests(&text) };
        found.push(Source { place, lines: text.lines().count(), code: code(own) });
    }
    found.sort_by(|a, b| a.place.cmp(&b.place));
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// Unit tests stand at the end of a file, and may touch what the module itself may not.
fn without_tests(text: &str) -> &str {
    let tests = Regex::new(r"\n#\[cfg\(test\)\]\n(pub\(\w+\) )?mod \w+ \{").unwrap();
    tests.find(text).map_or(text, |tests| &text[..tests.start()])
}

/// The text with comments removed and literals emptied.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => string_end(rest),
            'r' if !code.ends_with(|c: char| c.is_alphanumeric() || c == '_') => raw_string_end(rest),
            '\'' => character_end(rest),
            _ => 0,
        };
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.push(' ');
            rest = &rest[skipped..];
        }
    }
    code
}

fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// 0 where no raw string begins.
fn raw_string_end(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|c| *c == '#').count();
    if !text[1 + hashes..].starts_with('"') {
        return 0;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let body = 2 + hashes;
    text[body..].find(&close).map_or(text.len(), |end| body + end + close.len())
}

/// 0 where a lifetime begins.
fn character_end(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(0, |end| 3 + end + 1),
        Some((at, c)) if text[at + c.len_utf8()..].starts_with('\'') => at + c.len_utf8() + 1,
        _ => 0,
    }
}

#[test]
fn comments_literals_and_tests_are_no_code() {
    let text = "use a; // wasmtime\n/* axum */ let x = \"rdkafka \\\" '\"; let y = r#\"env \"::\"#; '\\''; 'c'; 'a: loop {}\n#[cfg(test)]\nmod tests { unsafe }";
    let code = code(without_tests(text));
    assert!(code.contains("use a;") && code.contains("'a: loop {}"), "{code}");
    for word in ["wasmtime", "axum", "rdkafka", "env", "unsafe", "'c'"] {
        assert!(!code.contains(word), "{word} in {code}");
    }
}
