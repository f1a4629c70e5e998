//! Partitions that change hands while records flow: what was put is committed before it goes, and nobody
//! writes what is no longer his.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use transom_tests::guests::{DATAGEN_SOURCE, FAULTY_SINK};
use transom_tests::{Record, Worker, kafka, unique, until};

/// A worker whose sinks are members of one group that come and go, so dynamic ones.
fn worker() -> Worker {
    let mut worker = Worker::new(kafka());
    let data = worker.folder().join("data");
    fs::create_dir(&data).unwrap();
    worker.install(&DATAGEN_SOURCE).install(&FAULTY_SINK);
    worker.grant("faulty-sink", &data, ":rw").set("offset.flush.interval.ms", "200");
    worker.set("static.membership", "false");
    worker
}

fn file(worker: &Worker, name: &str) -> PathBuf {
    worker.folder().join("data").join(name)
}

fn sink(worker: &Worker, topic: &str, group: &str, name: &str) -> Value {
    json!({
        "connector.class": "faulty-sink", "topics": topic, "file": file(worker, name),
        "consumer.override.group.id": group, "consumer.override.auto.offset.reset": "earliest",
        "consumer.override.heartbeat.interval.ms": "500",
    })
}

fn create(worker: &Worker, name: &str, config: &Value) {
    let _ = worker.rest().post("/connectors", Some(&json!({"name": name, "config": config}))).expect(201);
}

/// The partition and offset of every record that a sink wrote.
fn written(worker: &Worker, name: &str) -> Vec<(i32, i64)> {
    let text = fs::read_to_string(file(worker, name)).unwrap_or_default();
    let place = |line: &str| {
        let mut parts = line.split(' ').skip(1);
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    // The last line may be half written.
    text.split_inclusive('\n').filter(|line| line.ends_with('\n')).filter_map(place).collect()
}

fn await_more(worker: &Worker, name: &str, more: usize) {
    let before = written(worker, name).len();
    until(&format!("{name} to write {more} more"), || {
        let now = written(worker, name).len();
        if now >= before + more { Ok(()) } else { Err(format!("{now} lines, {before} before")) }
    });
}

#[test]
fn sinks_come_and_go_under_load_and_no_record_is_missing_or_written_twice() {
    let (topic, group) = (unique("flow"), unique("group"));
    kafka().create_topic(&topic, 4, &[]);
    let mut worker = worker();
    worker.connector(
        "flow",
        &[
            ("connector.class", "DatagenSource"),
            ("topic", &topic),
            ("partitions", "4"),
            ("rate", "20000"),
            ("value.converter", "org.apache.kafka.connect.storage.StringConverter"),
        ],
    );
    worker.start();
    let join = |name: &str| {
        create(&worker, name, &sink(&worker, &topic, &group, name));
        await_more(&worker, name, 5_000);
    };
    join("one");
    join("two");
    join("three");
    await_more(&worker, "one", 5_000);
    let _ = worker.rest().delete("/connectors/one").expect(204);
    let gone = written(&worker, "one").len();
    await_more(&worker, "two", 20_000);
    await_more(&worker, "three", 20_000);
    let _ = worker.rest().put("/connectors/flow/stop", None);
    worker.await_status("flow", |status| status["connector"]["state"] == "STOPPED");
    assert_eq!(written(&worker, "one").len(), gone, "who is gone writes no more");

    let ends = kafka().end_offsets(&topic);
    let total: i64 = ends.iter().sum();
    let all = until("every record to be written", || {
        let mut all = BTreeMap::<_, u32>::new();
        for name in ["one", "two", "three"] {
            for place in written(&worker, name) {
                *all.entry(place).or_default() += 1;
            }
        }
        if all.len() as i64 >= total { Ok(all) } else { Err(format!("{} of {total}", all.len())) }
    });
    let twice = all.values().filter(|times| **times > 1).count();
    assert_eq!((all.len() as i64, twice), (total, 0));
}

#[test]
fn a_sink_that_waits_to_try_again_gives_up_partitions_at_once() {
    let (topic, group) = (unique("stuck"), unique("group"));
    kafka().create_topic(&topic, 2, &[]);
    kafka().produce(&topic, (0..400).map(|n| Record::keyed(n.to_string(), n.to_string())));
    let mut worker = worker();
    worker.start();
    let mut stuck = sink(&worker, &topic, &group, "stuck");
    for (key, value) in [("fault", "retriable-late"), ("fault.at", "put"), ("fault.ms", "3600000")] {
        stuck[key] = value.into();
    }
    create(&worker, "stuck", &stuck);
    until("the sink to wait", || {
        let retries = worker.metrics().sum("transom_task_retries_total", &[("connector", "stuck")]);
        if retries > Some(0.0) { Ok(()) } else { Err(format!("{retries:?} retries")) }
    });
    create(&worker, "other", &sink(&worker, &topic, &group, "other"));
    until("the other one to get a partition", || match written(&worker, "other").len() {
        0 => Err("it wrote nothing".to_owned()),
        _ => Ok(()),
    });
    let _ = worker.rest().delete("/connectors/stuck").expect(204);
    until("the other one to write everything", || match written(&worker, "other").len() {
        400 => Ok(()),
        lines => Err(format!("{lines} lines")),
    });
    assert_eq!(written(&worker, "stuck"), [], "it never had a put that went well");
}

#[test]
fn a_sink_without_a_place_to_begin_fails_and_says_so() {
    let topic = unique("no-place");
    kafka().create_topic(&topic, 1, &[]);
    kafka().produce(&topic, [Record::of("value")]);
    let mut worker = worker();
    worker.set("task.restart.max", "0");
    worker.start();
    let mut config = sink(&worker, &topic, &unique("group"), "none");
    config["consumer.override.auto.offset.reset"] = "none".into();
    create(&worker, "none", &config);
    let trace = worker.await_failed("none");
    assert!(trace.contains("_AUTO_OFFSET_RESET"), "{trace}");
}
