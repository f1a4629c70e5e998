//! `transom plugin test`: our own plugins pass it, and each of its checks has a plugin that fails it and no other.

mod faults;
mod ours;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use transom_tests::Guest;
use transom_tests::guests::{FAULTY_SINK, FILE_SINK};
use transom_tests::process::Folder;
use transom_tests::worker::binary;

type Settings<'a> = &'a [(&'a str, &'a str)];

/// Runs the command on a file, with settings, grants and other arguments.
fn run(file: &Path, config: Settings<'_>, grants: Settings<'_>, more: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.args(["plugin", "test"]).arg(file).args(more).env("TRANSOM_LOG", "error");
    for (option, pairs) in [("--config", config), ("--grant", grants)] {
        for (key, value) in pairs {
            command.arg(option).arg(format!("{key}={value}"));
        }
    }
    command.output().expect("the worker's binary runs")
}

/// What became of each check; the exit code must agree.
#[track_caller]
fn verdicts(output: &Output) -> BTreeMap<String, (String, String)> {
    let text = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e} in {text}\n{}", String::from_utf8_lossy(&output.stderr)));
    let text = |check: &Value, member: &str| check[member].as_str().unwrap().to_owned();
    let checks = report["checks"].as_array().unwrap().iter();
    let verdicts: BTreeMap<_, _> =
        checks.map(|check| (text(check, "check"), (text(check, "verdict"), text(check, "note")))).collect();
    let failed = verdicts.values().any(|(verdict, _)| verdict == "failed");
    assert_eq!(output.status.code(), Some(i32::from(failed)), "{verdicts:#?}");
    verdicts
}

fn of<'a>(verdicts: &'a BTreeMap<String, (String, String)>, wanted: &str) -> BTreeSet<&'a str> {
    let found = verdicts.iter().filter(|(_, (verdict, _))| verdict == wanted);
    found.map(|(check, _)| check.as_str()).collect()
}

/// The file under the name that it has to have, in a folder that may hold plugins.
fn installed(guest: &Guest, folder: &Path) -> std::path::PathBuf {
    let file = folder.join(format!("{}.wasm", guest.name));
    fs::copy(guest.path, &file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    file
}

#[test]
fn what_is_no_component_does_not_load() {
    let folder = Folder::new("kit");
    let file = folder.path().join("text.wasm");
    fs::write(&file, "no component").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let verdicts = verdicts(&run(&file, &[], &[], &["--json"]));
    assert_eq!(of(&verdicts, "failed"), BTreeSet::from(["loads"]));
    assert_eq!(of(&verdicts, "ok"), BTreeSet::new());
}

#[test]
fn a_line_for_each_check_says_what_the_contract_says() {
    let folder = Folder::new("kit");
    let plugin = installed(&FAULTY_SINK, folder.path());
    let config = [("topics", "given"), ("fault", "beyond"), ("fault.at", "pre-commit")];
    let output = run(&plugin, &config, &[], &["--records", "20"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("FAILED")).unwrap();
    assert!(lines[at].starts_with("FAILED   sink.bounds        of given-0 it was offered "), "{text}");
    assert_eq!(
        lines[at + 1].trim(),
        "the contract, wit/sink.wit, pre-commit: \"at most these offsets\", of assigned partitions"
    );
    assert!(text.contains("\nskipped  sink.progress      it needs sink.bounds\n"), "{text}");
    assert!(text.contains("\nok       sink.puts          20 records in 10 batches\n"), "{text}");
    assert!(text.ends_with("\n33 checks: 29 ok, 1 failed, 3 skipped\n"), "{text}");
}

#[test]
fn everything_that_is_wrong_on_the_command_line_is_told_at_once() {
    let output = run(
        Path::new(FILE_SINK.path),
        &[],
        &[("fs", "relative"), ("memory.maxx", "1")],
        &["--config", "missing.properties", "--grant", "fs"],
    );
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    for part in
        ["missing.properties: cannot be read", "sandbox.file-sink.fs=relative", "memory.maxx", "fs=/dir:rw"]
    {
        assert!(text.contains(part), "no word of {part}: {text}");
    }
    assert!(output.stdout.is_empty());
}
