//! Sinks that misbehave.

use std::fs;

use transom_tests::{Record, Worker, kafka, unique, until};

use super::{Fault, add, await_lines, check_trace, fault, fault_with, lines, worker};

const AFTER_A_RECORD: &[(&str, &str)] = &[("fault.after.records", "1")];

const FAULTS: &[Fault] = &[
    fault("panic", "open", &["open trapped", "told to panic in open"]),
    fault("panic", "assign", &["assign trapped", "told to panic in assign"]),
    fault("fatal", "assign", &["told to fail in assign"]),
    fault_with("panic", "put", AFTER_A_RECORD, &["put trapped", "told to panic in put"]),
    fault_with("spin", "put", AFTER_A_RECORD, &["put was not done", "sandbox.faulty-sink.call.timeout.ms"]),
    fault_with("sleep", "put", AFTER_A_RECORD, &["put was not done"]),
    fault_with("grow", "put", AFTER_A_RECORD, &["put trapped", "memory"]),
    fault_with("fatal", "put", AFTER_A_RECORD, &["told to fail in put"]),
    fault_with("bad-record", "put", AFTER_A_RECORD, &["told to refuse a record in put"]),
    fault_with("garbage", "put", AFTER_A_RECORD, &["put", "malformed batch"]),
    fault("refuse", "put", &["could not write", "told to refuse it"]),
    fault("foreign-outcome", "put", &["put"]),
    fault_with("panic", "pre-commit", AFTER_A_RECORD, &["pre-commit trapped", "told to panic in pre-commit"]),
    fault_with("fatal", "pre-commit", AFTER_A_RECORD, &["told to fail in pre-commit"]),
    fault_with("garbage", "pre-commit", AFTER_A_RECORD, &["pre-commit"]),
];

const EARLIEST: (&str, &str) = ("consumer.override.auto.offset.reset", "earliest");

fn with_data(worker: &mut Worker) -> std::path::PathBuf {
    let data = worker.folder().join("data");
    fs::create_dir(&data).unwrap();
    worker.grant("faulty-sink", &data, ":rw").set("offset.flush.interval.ms", "100");
    data
}

fn topic_with(records: usize) -> String {
    let topic = unique("sunk");
    kafka().create_topic(&topic, 1, &[]);
    kafka().produce(&topic, (0..records).map(|n| Record::of(n.to_string())));
    topic
}

/// As in Kafka Connect: such offsets are told in the log and left out.
#[test]
fn offsets_that_were_never_put_are_not_committed() {
    let kafka = kafka();
    let mut worker = worker(kafka);
    with_data(&mut worker);
    let topic = topic_with(100);
    let names = ["beyond", "foreign"].map(|what| {
        let fault = fault_with(what, "pre-commit", &[], &[]);
        add(&mut worker, "faulty-sink", &fault, &[("topics", &topic), EARLIEST])
    });
    worker.start();
    worker.await_log(&["is not committed", "it is beyond what was put"]);
    worker.await_log(&["is not committed", "it is not assigned"]);
    for name in &names {
        worker.await_running(name, 1);
        assert_eq!(kafka.committed(&format!("connect-{name}"), &topic), [None]);
    }
}

#[test]
fn every_fault_of_a_sink_fails_its_task_and_no_other() {
    let kafka = kafka();
    let mut worker = worker(kafka);
    let data = with_data(&mut worker);
    let topic = topic_with(500);
    let file = data.join("neighbour").display().to_string();
    let neighbour = unique("neighbour");
    worker.connector(
        &neighbour,
        &[("connector.class", "faulty-sink"), ("topics", &topic), ("file", &file), EARLIEST],
    );
    let names: Vec<(String, &Fault)> = FAULTS
        .iter()
        .map(|fault| (add(&mut worker, "faulty-sink", fault, &[("topics", &topic), EARLIEST]), fault))
        .collect();
    worker.start();
    for (name, fault) in &names {
        check_trace(&worker, name, fault);
    }
    kafka.produce(&topic, (500..1000).map(|n| Record::of(n.to_string())));
    await_lines(&data.join("neighbour"), 1000);
    worker.await_running(&neighbour, 1);
    assert!(worker.terminate().success());
    let values: Vec<String> = lines(&data.join("neighbour")).iter().map(|line| last_word(line)).collect();
    assert_eq!(values, (0..1000).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(kafka.committed(&format!("connect-{neighbour}"), &topic), [Some(1000)]);
}

fn last_word(line: &str) -> String {
    line.rsplit(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn a_retriable_put_comes_again_whole_and_in_order() {
    let kafka = kafka();
    let mut worker = worker(kafka);
    let data = with_data(&mut worker);
    let topic = topic_with(300);
    let file = data.join("out").display().to_string();
    let fault = fault_with("retriable", "put", &[("fault.after", "1"), ("fault.times", "5")], &[]);
    let name = add(&mut worker, "faulty-sink", &fault, &[("topics", &topic), ("file", &file), EARLIEST]);
    worker.start();
    await_lines(&data.join("out"), 300);
    kafka.produce(&topic, (300..600).map(|n| Record::of(n.to_string())));
    await_lines(&data.join("out"), 600);
    worker.await_running(&name, 1);
    let values: Vec<String> = lines(&data.join("out")).iter().map(|line| last_word(line)).collect();
    assert_eq!(values, (0..600).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn nothing_is_committed_that_pre_commit_did_not_return() {
    let kafka = kafka();
    let mut worker = worker(kafka);
    let data = with_data(&mut worker);
    let topic = topic_with(100);
    let (file, journal) = (data.join("out"), data.join("journal"));
    let name = unique("holds");
    let config = [
        ("connector.class", "faulty-sink"),
        ("topics", &topic),
        ("file", &file.display().to_string()),
        ("journal", &journal.display().to_string()),
        ("hold", "true"),
        EARLIEST,
    ];
    worker.connector(&name, &config);
    worker.start();
    await_lines(&file, 100);
    until("some pre-commits that are answered with nothing", || {
        let asked = lines(&journal).iter().filter(|line| line.contains("pre-commit 1 ")).count();
        if asked >= 3 { Ok(()) } else { Err(format!("{asked}")) }
    });
    let group = format!("connect-{name}");
    assert_eq!(kafka.committed(&group, &topic), [None]);
    assert!(worker.terminate().success());
    assert_eq!(kafka.committed(&group, &topic), [Some(100)], "at the stop it must be committed");
    // The order of calls that the contract promises.
    let calls: Vec<String> = lines(&journal).iter().map(|line| call(line)).collect();
    let mut kinds: Vec<&str> = calls.iter().map(String::as_str).collect();
    kinds.dedup();
    assert_eq!(kinds[..2], ["open", "assign"]);
    assert_eq!(kinds[kinds.len() - 3..], ["pre-commit", "revoke", "close"]);
}

/// The call of a line of the journal: `<task> <generation> <version> <call> …`.
fn call(line: &str) -> String {
    line.split(' ').nth(3).unwrap_or_default().to_owned()
}

#[test]
fn a_sink_may_seek_when_partitions_come() {
    let kafka = kafka();
    let mut worker = worker(kafka);
    let data = with_data(&mut worker);
    let topic = topic_with(100);
    let file = data.join("out");
    let seek = format!(r#"[{{"topic":"{topic}","partition":0,"offset":90}}]"#);
    let config = [
        ("connector.class", "faulty-sink"),
        ("topics", topic.as_str()),
        ("file", &file.display().to_string()),
        ("assign.seek", &seek),
        EARLIEST,
    ];
    worker.connector(&unique("seeks"), &config);
    worker.start();
    await_lines(&file, 10);
    assert_eq!(last_word(&lines(&file)[0]), "90");
}

#[test]
fn a_sink_that_fails_is_given_again_what_was_not_committed() {
    let kafka = kafka();
    let mut worker = worker(kafka);
    let data = with_data(&mut worker);
    worker.set("task.restart.max", "1000").set("task.restart.backoff.ms", "10");
    let topic = topic_with(100);
    let (file, armed) = (data.join("out"), data.join("armed"));
    fs::write(&armed, "").unwrap();
    let armed_at = armed.display().to_string();
    let file_at = file.display().to_string();
    let more = [("topics", topic.as_str()), ("file", &file_at), ("fault.while", &armed_at), EARLIEST];
    let name = add(&mut worker, "faulty-sink", &fault("panic", "put", &[]), &more);
    worker.start();
    worker.await_status(&name, |status| status["tasks"][0]["restarts"].as_u64() >= Some(2));
    fs::remove_file(&armed).unwrap();
    await_lines(&file, 100);
    worker.await_running(&name, 1);
    let values: Vec<String> = lines(&file).iter().map(|line| last_word(line)).collect();
    assert_eq!(values, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
}
