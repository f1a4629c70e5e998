//! Each check has a plugin that fails it and no other.

use std::sync::Mutex;
use std::thread;

use transom_tests::guests::{
    FAULTY_SOURCE, FAULTY_SOURCE_DESCRIBES_AT_RANDOM, FAULTY_SOURCE_HAS_A_WRONG_DEFAULT,
    FAULTY_SOURCE_HAS_ANOTHER_KIND, FAULTY_SOURCE_HAS_ANOTHER_NAME, FAULTY_SOURCE_HAS_NO_MANIFEST,
    FAULTY_SOURCE_PANICS_IN_DESCRIBE, FAULTY_SOURCE_WATCHES,
};

use super::*;

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

/// Runs each faulty plugin, several at a time (they mostly wait), and checks that it fails its check and no other.
fn each_fails_its_check(faults: &[Fault]) {
    let (left, wrong) = (Mutex::new(faults.iter()), Mutex::new(Vec::new()));
    let next = || left.lock().unwrap().next();
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(fault) = next() {
                    // Before the lock is taken, or they would run one after the other.
                    let found = misjudged(fault);
                    wrong.lock().unwrap().extend(found);
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
