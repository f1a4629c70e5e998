//! Sources that misbehave.

use std::fs;

use transom_tests::{Worker, kafka, unique, until};

use super::{Fault, add, await_more, check_numbers, check_trace, fault, fault_with, numbers, worker};

const AFTER_TEN: &[(&str, &str)] = &[("fault.after", "10")];

const FAULTS: &[Fault] = &[
    fault_with("panic", "poll", AFTER_TEN, &["poll trapped", "told to panic in poll"]),
    fault_with("trap", "poll", AFTER_TEN, &["poll trapped", "unreachable"]),
    fault_with("exit", "poll", AFTER_TEN, &["poll"]),
    fault_with("spin", "poll", AFTER_TEN, &["poll was not done", "sandbox.faulty-source.call.timeout.ms"]),
    fault_with("sleep", "poll", AFTER_TEN, &["poll was not done"]),
    fault_with("grow", "poll", AFTER_TEN, &["poll trapped", "memory"]),
    // A Rust guest keeps its stack in linear memory: it runs out of that first.
    fault_with("recurse", "poll", AFTER_TEN, &["poll trapped"]),
    fault_with("fatal", "poll", AFTER_TEN, &["told to fail in poll"]),
    fault_with("unknown-code", "poll", AFTER_TEN, &["told to fail in an unknown way in poll"]),
    fault_with("long-error", "poll", AFTER_TEN, &["poll answered with", "bytes"]),
    fault("panic", "open", &["open trapped", "told to panic in open"]),
    fault("spin", "open", &["open was not done"]),
    fault("fatal", "open", &["told to fail in open"]),
    fault("config", "open", &["told to refuse the configuration in open"]),
    fault("panic", "commit", &["commit trapped", "told to panic in commit"]),
    fault("fatal", "commit", &["told to fail in commit"]),
];

/// Batches that are none: the error names the column, or the part, and where.
const RUBBISH: &[Fault] = &[
    fault_with("garbage", "poll", AFTER_TEN, &["malformed batch", "byte"]),
    fault_with("short", "poll", AFTER_TEN, &["malformed batch"]),
    fault_with("truncated", "poll", AFTER_TEN, &["malformed batch", "byte"]),
    fault_with("wrong-magic", "poll", AFTER_TEN, &["malformed batch"]),
    fault_with("wrong-version", "poll", AFTER_TEN, &["malformed batch", "version"]),
    fault_with("lying-records", "poll", AFTER_TEN, &["malformed batch"]),
    fault_with("lying-columns", "poll", AFTER_TEN, &["malformed batch"]),
    fault_with("lying-offset", "poll", AFTER_TEN, &["malformed batch", "byte"]),
    fault_with("lying-length", "poll", AFTER_TEN, &["malformed batch", "byte"]),
    fault_with("more-records", "poll", AFTER_TEN, &["malformed batch", "column"]),
    fault_with("oversize", "poll", AFTER_TEN, &["poll"]),
    fault_with("too-many-records", "poll", AFTER_TEN, &["poll"]),
    fault_with("bad-mark", "poll", AFTER_TEN, &["poll"]),
];

/// A source without a fault, and the topic that it writes.
fn neighbour(worker: &mut Worker) -> (String, String) {
    let (name, topic) = (unique("neighbour"), unique("neighbours"));
    kafka().create_topic(&topic, 1, &[]);
    worker
        .connector(&name, &[("connector.class", "faulty-source"), ("topic", &topic), ("poll.records", "20")]);
    (name, topic)
}

fn each_fails_alone(faults: &[Fault]) {
    let kafka = kafka();
    let mut worker = worker(kafka);
    let (neighbour, topic) = neighbour(&mut worker);
    let names: Vec<(String, &Fault)> = faults
        .iter()
        .map(|fault| {
            let topic = unique("faulty");
            kafka.create_topic(&topic, 1, &[]);
            (add(&mut worker, "faulty-source", fault, &[("topic", &topic)]), fault)
        })
        .collect();
    worker.start();
    for (name, fault) in &names {
        check_trace(&worker, name, fault);
    }
    worker.await_running(&neighbour, 1);
    await_more(kafka, &topic);
    assert!(worker.terminate().success());
    assert_eq!(check_numbers(&numbers(kafka, &topic)), 0, "the neighbour was never disturbed");
}

#[test]
fn every_fault_of_a_source_fails_its_task_and_no_other() {
    each_fails_alone(FAULTS);
}

#[test]
fn a_malformed_batch_fails_its_task_and_no_other() {
    each_fails_alone(RUBBISH);
}

#[test]
fn a_source_that_fails_starts_again_from_what_was_saved() {
    let kafka = kafka();
    let topic = unique("again");
    kafka.create_topic(&topic, 1, &[]);
    let mut worker = worker(kafka);
    // Each instance panics after twenty polls; what was committed between is progress, which renews the budget.
    let fault = fault_with(
        "panic",
        "poll",
        &[("fault.after", "20"), ("poll.records", "10"), ("records", "2000")],
        &[],
    );
    worker.set("task.restart.max", "5").set("task.restart.backoff.ms", "10");
    add(&mut worker, "faulty-source", &fault, &[("topic", &topic)]);
    worker.start();
    until("the last number", || match numbers(kafka, &topic).last() {
        Some(1999) => Ok(()),
        last => Err(format!("{last:?}")),
    });
    check_numbers(&numbers(kafka, &topic));
}

#[test]
fn a_source_that_only_fails_is_given_up() {
    let kafka = kafka();
    let mut worker = worker(kafka);
    worker.set("task.restart.max", "3").set("task.restart.backoff.ms", "10");
    let name = add(&mut worker, "faulty-source", &fault("fatal", "open", &[]), &[("topic", "never-written")]);
    worker.start();
    let given_up = |status: &serde_json::Value| {
        let waiting = status["tasks"][0]["waiting_for"].as_str().unwrap_or_default();
        status["tasks"][0]["state"] == "FAILED" && waiting.contains("by hand")
    };
    let status = worker.await_status(&name, given_up);
    assert_eq!(status["tasks"][0]["restarts"], 3, "{status}");
    assert_eq!(worker.metrics().sum("transom_task_failures_total", &[("connector", &name)]), Some(4.0));
}

#[test]
fn a_retriable_error_only_delays() {
    let kafka = kafka();
    let topic = unique("delayed");
    kafka.create_topic(&topic, 1, &[]);
    let mut worker = worker(kafka);
    let times = [("fault.after", "3"), ("fault.times", "4"), ("records", "1000")];
    let fault = Fault { what: "retriable", at: "poll", more: &[], trace: &[] };
    let name = add(&mut worker, "faulty-source", &fault, &[&times[..], &[("topic", &topic)]].concat());
    worker.start();
    kafka.await_records(&topic, 1000);
    worker.await_running(&name, 1);
    assert_eq!(check_numbers(&numbers(kafka, &topic)), 0);
}

#[test]
fn what_is_not_granted_is_refused_and_the_missing_grant_is_named() {
    let kafka = kafka();
    let mut worker = worker(kafka);
    let (granted, other) = (worker.folder().join("granted"), worker.folder().join("other"));
    for folder in [&granted, &other] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("file"), "content").unwrap();
    }
    worker.grant("faulty-source", &granted, "");
    let inside = granted.join("file").display().to_string();
    let outside = other.join("file").display().to_string();
    let around = granted.join("../other/file").display().to_string();
    let tries = [
        ("read", "fault.file", outside.as_str()),
        ("read", "fault.file", around.as_str()),
        ("read", "fault.file", "/etc/passwd"),
        ("write", "fault.file", inside.as_str()),
        ("connect", "fault.address", "127.0.0.1:9"),
        ("secret", "fault.file", ""),
    ];
    let names = tries.map(|(what, key, value)| {
        let fault = Fault { what, at: "open", more: &[], trace: &[] };
        (what, add(&mut worker, "faulty-source", &fault, &[(key, value), ("topic", "never-written")]))
    });
    let allowed = Fault { what: "read", at: "open", more: &[], trace: &[] };
    let topic = unique("granted");
    let allowed = add(&mut worker, "faulty-source", &allowed, &[("fault.file", &inside), ("topic", &topic)]);
    let environment = Fault { what: "environment", at: "open", more: &[], trace: &[] };
    let environment = add(&mut worker, "faulty-source", &environment, &[("topic", &topic)]);
    worker.start();
    for (what, name) in &names {
        let trace = worker.await_failed(name);
        assert!(trace.contains(&format!("{what}: ")), "{name}: {trace}");
    }
    worker.await_running(&allowed, 1);
    worker.await_running(&environment, 1);
    worker.await_log(&["refused", &outside, "sandbox.faulty-source.fs="]);
    worker.await_log(&["refused", "sandbox.faulty-source.net"]);
    assert_eq!(fs::read_to_string(granted.join("file")).unwrap(), "content");
}

#[test]
fn a_flood_of_log_lines_is_counted_and_not_written() {
    let kafka = kafka();
    let mut worker = worker(kafka);
    let topic = unique("flood");
    kafka.create_topic(&topic, 1, &[]);
    // A hundred thousand host calls may take a slow machine longer than the other tests' limit.
    worker.set("sandbox.faulty-source.log.rate", "50").set("sandbox.default.call.timeout.ms", "30000");
    let names = ["log-flood", "print-flood", "metric-flood", "log-long"].map(|what| {
        let fault =
            Fault { what, at: "poll", more: &[("fault.times", "1"), ("fault.after", "2")], trace: &[] };
        add(&mut worker, "faulty-source", &fault, &[("topic", &topic)])
    });
    worker.start();
    for name in &names {
        worker.await_running(name, 1);
        until("lines to be counted", || {
            let delivered = worker.metrics().sum("transom_task_records_out_total", &[("connector", name)]);
            if delivered > Some(500.0) { Ok(()) } else { Err(format!("{delivered:?} records")) }
        });
    }
    let dropped = worker.metrics().sum("transom_task_guest_log_dropped_total", &[]).unwrap();
    assert!(dropped > 100_000.0, "{dropped} lines dropped");
    assert!(worker.log().len() < 1 << 20, "a log of {} bytes", worker.log().len());
    let named = worker.metrics();
    assert!(named.find("transom_plugin_metric", &[("connector", &names[2])]).count() <= 32);
}
