//! The order of the house: rules about the source that no compiler holds.

mod code;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use code::{Source, sources};
use regex::Regex;

/// The modules of the host, floor by floor from the roof: each may use only what lies below it, and
/// neighbours on one floor do not know each other.
const FLOORS: &[&[&str]] = &[
    &["cli"],
    &["demo", "kit"],
    &["rest"],
    &["worker"],
    &["connector"],
    &["task"],
    &["offsets", "transform"],
    &["plugin", "kafka", "convert"],
    &["config"],
    &["telemetry"],
    &["base64", "error", "lock", "version"],
];

/// Words that only some files may say: what, as a pattern, and where.
const RESERVED: &[(&str, &str, &[&str])] = &[
    ("the engine", r"\bwasmtime(_wasi\w*)?\b", &["plugin/"]),
    ("the Kafka client", r"\brdkafka(_sys)?\b", &["kafka/"]),
    ("the HTTP server", r"\baxum\b", &["rest/"]),
    (
        "the environment",
        r"\benv::(var|vars|var_os|vars_os|args|args_os)\b",
        &["config/", "cli.rs", "main.rs"],
    ),
    // Of files, `config/` reads what users name, `plugin/` the plugins and its cache, and `offsets/` what
    // it wrote itself.
    (
        "files",
        r"\b(fs::(read|write|read_to_string|File|OpenOptions|rename)|File::(open|create|options))\b",
        &["config/", "plugin/", "offsets/", "demo.rs", "demo/", "cli.rs", "main.rs"],
    ),
    // Our own compiled code is loaded in one, librdkafka is called in the other.
    ("unsafe code", r"\bunsafe\b", &["plugin/cache.rs", "kafka/native/"]),
];

const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "Makefile",
    "README.md",
    "LICENSE",
    "host",
    "wit",
    "plugins",
    "sdk",
    "tests",
];

const LONGEST_FILE: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn host() -> Vec<Source> {
    sources(&root().join("host/src"))
}

#[track_caller]
fn assert_none(rule: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

/// The module of the top level that a file belongs to.
fn module(place: &str) -> &str {
    place.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The modules of the top level that some code names: `crate::a`, `crate::{a, b::c}`.
fn used(code: &str) -> BTreeSet<String> {
    let direct = Regex::new(r"\bcrate::(\w+)").unwrap();
    let mut names: BTreeSet<String> = direct.captures_iter(code).map(|c| c[1].to_owned()).collect();
    for (at, start) in code.match_indices("crate::{") {
        let (mut depth, mut first) = (1, true);
        let mut name = String::new();
        for c in code[at + start.len()..].chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => first = true,
                c if depth == 1 && first && (c.is_alphanumeric() || c == '_') => {
                    name.push(c);
                    continue;
                }
                c if c.is_whitespace() => continue,
                _ => first = false,
            }
            if !name.is_empty() {
                names.insert(std::mem::take(&mut name));
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

#[test]
fn modules_of_the_host_use_only_those_below_them() {
    let floor = |module: &str| FLOORS.iter().position(|names| names.contains(&module));
    let mut offences = Vec::new();
    for file in host() {
        let own = module(&file.place);
        if ["lib", "main"].contains(&own) {
            continue;
        }
        let Some(ours) = floor(own) else {
            offences.push(format!("{} has no floor: give {own} one in this test", file.place));
            continue;
        };
        for other in used(&file.code) {
            if other != own && floor(&other).is_some_and(|theirs| theirs <= ours) {
                offences.push(format!("{} uses {other}", file.place));
            }
        }
    }
    assert_none("what lies above, or beside, is not to be used", &offences);
}

#[test]
fn modules_in_braces_are_found_too() {
    let used = used("use crate::{config::{Problem, Problems}, kafka::x, plugin}; crate::task::run();");
    assert_eq!(used, ["config", "kafka", "plugin", "task"].map(str::to_owned).into());
}

#[test]
fn reserved_words_stay_where_they_belong() {
    let mut offences = Vec::new();
    for (what, pattern, places) in RESERVED {
        let pattern = Regex::new(pattern).unwrap();
        for file in host() {
            let allowed = places.iter().any(|place| file.place.starts_with(place));
            if let (false, Some(found)) = (allowed, pattern.find(&file.code)) {
                offences.push(format!(
                    "{} says `{}` ({what} is for {})",
                    file.place,
                    found.as_str(),
                    places.join(", ")
                ));
            }
        }
    }
    assert_none("a word is where it does not belong", &offences);
}

#[test]
fn no_file_is_too_long() {
    let mut offences = Vec::new();
    for folder in ["host", "sdk/rust", "plugins", "tests"] {
        let folder = root().join(folder);
        if folder.exists() {
            let long = sources(&folder).into_iter().filter(|file| file.lines > LONGEST_FILE);
            offences.extend(
                long.map(|file| format!("{} has {} lines", folder.join(file.place).display(), file.lines)),
            );
        }
    }
    assert_none(&format!("a file has at most {LONGEST_FILE} lines"), &offences);
}

#[test]
fn the_top_level_holds_nothing_new() {
    let entries =
        fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let new: Vec<String> = entries
        .filter(|name| !name.starts_with('.') && name != "target" && !TOP_LEVEL.contains(&name.as_str()))
        .collect();
    assert_none("new entries at the top level", &new);
}

#[test]
fn every_faulty_plugin_is_used_by_a_test() {
    let tests: String = sources(&root().join("tests/it")).into_iter().map(|file| file.code).collect();
    let guests = root().join("tests/guests");
    let mut unused = Vec::new();
    for entry in fs::read_dir(guests).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() && !tests.contains(&name.to_uppercase().replace('-', "_")) {
            unused.push(name);
        }
    }
    assert_none("a plugin of tests/guests is used by no test", &unused);
}

#[test]
fn every_plugin_has_a_readme() {
    let Ok(plugins) = fs::read_dir(root().join("plugins")) else { return };
    let plugins = plugins.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let bare: Vec<String> = plugins
        .filter(|path| !path.join("README.md").is_file())
        .map(|path| path.display().to_string())
        .collect();
    assert_none("a plugin has no README.md", &bare);
}
