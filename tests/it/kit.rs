//! `transom plugin test`: our own plugins pass it, and each of its checks has a plugin that fails it and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::{fs, thread};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use serde_json::{Value, json};
use transom_tests::Guest;
use transom_tests::guests::{
    BLACKHOLE_SINK, DATAGEN_SOURCE, FAULTY_SINK, FAULTY_SOURCE, FAULTY_SOURCE_DESCRIBES_AT_RANDOM,
    FAULTY_SOURCE_HAS_A_WRONG_DEFAULT, FAULTY_SOURCE_HAS_ANOTHER_KIND, FAULTY_SOURCE_HAS_ANOTHER_NAME,
    FAULTY_SOURCE_HAS_NO_MANIFEST, FAULTY_SOURCE_PANICS_IN_DESCRIBE, FAULTY_SOURCE_WATCHES, FILE_SINK,
    FILE_SOURCE, HTTP_SOURCE,
};
use transom_tests::https::Https;
use transom_tests::process::Folder;
use transom_tests::worker::binary;

type Settings<'a> = &'a [(&'a str, &'a str)];

/// A fault of a faulty plugin, and the only check that it fails.
struct Fault {
    check: &'static str,
    guest: Guest,
    fault: &'static str,
    at: &'static str,
    more: Settings<'static>,
}

const fn source(check: &'static str, fault: &'static str, at: &'static str) -> Fault {
    Fault { check, guest: FAULTY_SOURCE, fault, at, more: &[] }
}

const fn sink(check: &'static str, fault: &'static str, at: &'static str) -> Fault {
    Fault { check, guest: FAULTY_SINK, fault, at, more: &[] }
}

const fn variant(check: &'static str, guest: Guest) -> Fault {
    Fault { check, guest, fault: "", at: "", more: &[] }
}

const fn with(fault: Fault, more: Settings<'static>) -> Fault {
    Fault { more, ..fault }
}

const AT_A_TIME: usize = 12;

const SECOND_INSTANCE: Settings<'static> = &[("fault.generation", "2")];

const OF_ALL: &[Fault] = &[
    variant("describe.answers", FAULTY_SOURCE_PANICS_IN_DESCRIBE),
    variant("describe.manifest", FAULTY_SOURCE_HAS_NO_MANIFEST),
    variant("describe.kind", FAULTY_SOURCE_HAS_ANOTHER_KIND),
    variant("describe.file", FAULTY_SOURCE_HAS_ANOTHER_NAME),
    variant("describe.same", FAULTY_SOURCE_DESCRIBES_AT_RANDOM),
    variant("describe.defaults", FAULTY_SOURCE_HAS_A_WRONG_DEFAULT),
    source("validate.accepts", "config", "validate"),
    source("validate.accepts", "garbage", "validate"),
    source("validate.pure", "write", "validate"),
    source("validate.answers", "brittle", "validate"),
    source("connector.starts", "fatal", "start"),
    source("connector.starts", "panic", "stop"),
    source("connector.tasks", "too-many-tasks", "task-configs"),
    source("connector.tasks", "no-tasks", "task-configs"),
    source("connector.tasks", "garbage", "task-configs"),
    source("connector.stable", "random-tasks", "task-configs"),
    with(variant("connector.watches", FAULTY_SOURCE_WATCHES), &[("fault", "deaf"), ("fault.at", "watch")]),
    source("task.opens", "fatal", "open"),
    sink("task.opens", "panic", "open"),
    source("task.closes", "panic", "close"),
    sink("task.closes", "exit", "close"),
];

const OF_SOURCES: &[Fault] = &[
    source("source.retries", "retriable", "poll"),
    source("source.polls", "panic", "poll"),
    source("source.polls", "garbage", "poll"),
    source("source.polls", "more-records", "poll"),
    source("source.polls", "grow", "poll"),
    source("source.polls", "spin", "poll"),
    with(source("source.polls", "", ""), &[("records", "0")]),
    source("source.sizes", "too-many-records", "poll"),
    source("source.sizes", "too-many-bytes", "poll"),
    source("source.topics", "bad-topic", "poll"),
    source("source.topics", "other-topic", "poll"),
    source("source.formats", "bad-json", "poll"),
    source("source.marks", "bad-mark", "poll"),
    source("source.marks", "no-marks", "poll"),
    source("source.waits", "late", "poll"),
    source("source.stops", "deaf", "poll"),
    source("source.resumes", "forgets", "open"),
    source("source.resumes", "skips", "open"),
    source("source.commits", "fatal", "commit"),
    source("source.memory", "leak", "poll"),
    with(source("source.swaps", "fatal", "open"), SECOND_INSTANCE),
    with(source("source.swaps", "forgets", "open"), SECOND_INSTANCE),
    source("limits.memory", "hungry", "open"),
    source("limits.time", "lock", "poll"),
];

const OF_SINKS: &[Fault] = &[
    sink("sink.assigns", "fatal", "assign"),
    sink("sink.puts", "fatal", "put"),
    sink("sink.puts", "retriable", "put"),
    sink("sink.outcomes", "garbage", "put"),
    sink("sink.outcomes", "foreign-outcome", "put"),
    sink("sink.empty", "empty-panics", "put"),
    sink("sink.tombstones", "null-panics", "put"),
    sink("sink.commits", "fatal", "pre-commit"),
    sink("sink.commits", "garbage", "pre-commit"),
    sink("sink.bounds", "beyond", "pre-commit"),
    sink("sink.bounds", "foreign", "pre-commit"),
    sink("sink.forward", "backwards", "pre-commit"),
    sink("sink.progress", "none", "pre-commit"),
    sink("sink.redelivery", "once", "put"),
    sink("sink.revokes", "fatal", "revoke"),
    sink("sink.lost", "names-lost", "pre-commit"),
    with(sink("sink.stops", "deaf", "put"), &[("fault.batch", "20")]),
    sink("sink.memory", "leak", "put"),
    with(sink("sink.swaps", "fatal", "open"), SECOND_INSTANCE),
    sink("limits.memory", "hungry", "open"),
    sink("limits.time", "lock", "put"),
];

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

/// Checks that a plugin passes, with nothing skipped but this.
#[track_caller]
fn passes(guest: &Guest, config: Settings<'_>, grants: Settings<'_>, more: &[&str], skipped: &[&str]) {
    let verdicts = verdicts(&run(Path::new(guest.path), config, grants, &[&["--json"], more].concat()));
    assert_eq!(of(&verdicts, "failed"), BTreeSet::new(), "{verdicts:#?}");
    assert_eq!(of(&verdicts, "skipped"), skipped.iter().copied().collect(), "{verdicts:#?}");
}

/// Runs each faulty plugin, several at a time (they mostly wait), and checks that it fails its check and no other.
fn each_fails_its_check(faults: &[Fault]) {
    let (left, wrong) = (Mutex::new(faults.iter()), Mutex::new(Vec::new()));
    let next = || left.lock().unwrap().next();
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(fault) = next() {
                    wrong.lock().unwrap().extend(misjudged(fault));
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn misjudged(fault: &Fault) -> Option<String> {
    let folder = Folder::new("kit");
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let file = data.join("file").display().to_string();
    let rw = format!("{}:rw", data.display());
    let mut config = vec![("fault", fault.fault), ("fault.at", fault.at), ("fault.file", &file)];
    config.extend([("poll.records", "4"), ("records", "16"), ("topics", "given")]);
    config.extend_from_slice(fault.more);
    let grants = [("fs", rw.as_str()), ("call.timeout.ms", "5000"), ("topics", "faulty")];
    let grants = if fault.fault == "other-topic" { &grants[..] } else { &grants[..2] };
    let plugin = installed(&fault.guest, folder.path());
    let verdicts = verdicts(&run(&plugin, &config, grants, &["--json", "--records", "20"]));
    let failed = of(&verdicts, "failed");
    (failed != BTreeSet::from([fault.check])).then(|| {
        let notes: Vec<_> = failed.iter().map(|check| format!("{check}: {}", verdicts[*check].1)).collect();
        format!("{} at {} should fail {} alone, and fails {notes:#?}", fault.fault, fault.at, fault.check)
    })
}

#[test]
fn each_fault_of_a_description_or_connector_fails_its_check_alone() {
    each_fails_its_check(OF_ALL);
}

#[test]
fn each_fault_of_a_source_fails_its_check_alone() {
    each_fails_its_check(OF_SOURCES);
}

#[test]
fn each_fault_of_a_sink_fails_its_check_alone() {
    each_fails_its_check(OF_SINKS);
}

#[test]
fn every_check_has_a_plugin_that_fails_it() {
    let faults = [OF_ALL, OF_SOURCES, OF_SINKS].concat_checks();
    for guest in [FAULTY_SOURCE, FAULTY_SINK] {
        let folder = Folder::new("kit");
        let config = [("records", "20"), ("topics", "given")];
        let made =
            verdicts(&run(&installed(&guest, folder.path()), &config, &[], &["--json", "--records", "20"]));
        assert_eq!(of(&made, "failed"), BTreeSet::new(), "without a fault it passes: {made:#?}");
        let untried: Vec<_> = made
            .keys()
            .filter(|check| check.as_str() != "loads" && !faults.contains(check.as_str()))
            .collect();
        assert!(untried.is_empty(), "no plugin fails {untried:?}");
    }
}

trait Checks {
    fn concat_checks(&self) -> BTreeSet<&'static str>;
}

impl Checks for [&[Fault]; 3] {
    fn concat_checks(&self) -> BTreeSet<&'static str> {
        self.iter().flat_map(|faults| faults.iter().map(|fault| fault.check)).collect()
    }
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
fn a_source_that_follows_files_passes() {
    let folder = Folder::new("kit");
    let file = folder.path().join("lines");
    let lines: String = (0..100).map(|line| format!("line {line}\n")).collect();
    fs::write(&file, lines).unwrap();
    let file = file.display().to_string();
    let config = [("file", file.as_str()), ("topic", "lines")];
    let grants = [("fs", folder.path().to_str().unwrap())];
    passes(&FILE_SOURCE, &config, &grants, &[], &["connector.watches", "source.retries"]);
}

#[test]
fn a_source_without_end_passes() {
    let skipped = ["connector.watches", "source.retries", "source.waits", "source.stops"];
    passes(&DATAGEN_SOURCE, &[("topic", "made"), ("partitions", "3")], &[], &[], &skipped);
    passes(&DATAGEN_SOURCE, &[("topic", "made"), ("total", "150")], &[], &[], &skipped[..2]);
}

#[test]
fn sinks_pass() {
    let folder = Folder::new("kit");
    let file = folder.path().join("lines").display().to_string();
    let rw = format!("{}:rw", folder.path().display());
    passes(&BLACKHOLE_SINK, &[("topics", "read")], &[], &[], &["connector.watches"]);
    passes(&FILE_SINK, &[("topics", "read"), ("file", &file)], &[("fs", &rw)], &[], &["connector.watches"]);
    let lines = fs::read_to_string(&file).unwrap();
    assert!(lines.contains(r#""text":"record 0""#), "what was put is there: {lines}");
}

#[test]
fn a_source_that_asks_a_server_passes() {
    let api = Https::start(&["h2", "http/1.1"], page);
    let folder = Folder::new("kit");
    let settings = folder.path().join("connector.properties");
    fs::write(&settings, "name=items\nconnector.class=HttpSource\ninterval.ms=50\nitems.path=/items\n")
        .unwrap();
    let worker = folder.path().join("worker.properties");
    let sandbox = "sandbox.http-source";
    let grants = format!("{sandbox}.net={}\n{sandbox}.tls.ca={}\n", api.url(), api.ca().display());
    fs::write(&worker, format!("key.converter=unread\n{grants}")).unwrap();
    let url = format!("{}/items", api.url());
    let config = [
        ("url", url.as_str()),
        ("topic", "items"),
        ("validate.connection", "true"),
        ("pagination", "cursor"),
        ("cursor.path", "/next"),
        ("cursor.param", "after"),
    ];
    let (settings, worker) = (settings.display().to_string(), worker.display().to_string());
    let files = ["--config", &settings, "--worker", &worker];
    passes(&HTTP_SOURCE, &config, &[], &files, &["connector.watches", "source.retries"]);
}

/// 100 items in ten pages.
fn page(request: &Request<Bytes>) -> Response<Full<Bytes>> {
    let query = request.uri().query().unwrap_or_default();
    let from: usize = query.strip_prefix("after=").map_or(0, |after| after.parse().unwrap());
    let items: Vec<_> = (from..(from + 10).min(100)).map(|id| json!({ "id": id })).collect();
    let next = if from + 10 < 100 { json!(from + 10) } else { json!(null) };
    Response::new(Full::from(json!({ "items": items, "next": next }).to_string()))
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
