//! Records that are too large, or only large.

use std::fs;

use serde_json::json;
use transom_tests::guests::{FILE_SINK, FILE_SOURCE};
use transom_tests::{Worker, kafka, unique, until};

const TEXT: (&str, &str) = ("value.converter", "org.apache.kafka.connect.storage.StringConverter");
const LARGE: &str = "8388608";

#[test]
fn a_record_that_is_too_large_stops_its_task_and_nothing_behind_it_overtakes() {
    let (topic, name) = (unique("lines"), unique("lines"));
    kafka().create_topic(&topic, 1, &[("max.message.bytes", LARGE)]);
    let mut worker = Worker::new(kafka());
    worker.install(&FILE_SOURCE).set("task.restart.max", "0");
    let folder = worker.folder().join("in");
    fs::create_dir(&folder).unwrap();
    worker.grant("file-source", &folder, "");
    let (file, large) = (folder.join("in.txt"), "x".repeat(1_600_000));
    fs::write(&file, format!("before\n{large}\nbehind\n")).unwrap();
    let (path, class) = (file.display().to_string(), ("connector.class", "FileStreamSource"));
    let longest = ("line.max.bytes", LARGE);
    worker.connector(&name, &[class, ("file", &path), ("topic", &topic), TEXT, longest]);
    worker.start();
    let trace = worker.await_failed(&name);
    for part in ["1600088 bytes when serialized", "max.request.size", "producer.override.max.request.size"] {
        assert!(trace.contains(part), "the trace does not say {part:?}:\n{trace}");
    }
    assert_eq!(kafka().read_lines(&topic), ["before"]);

    let config = json!({
        class.0: class.1, "file": path, "topic": topic, TEXT.0: TEXT.1, longest.0: longest.1,
        "producer.override.max.request.size": LARGE,
    });
    let _ = worker.rest().put(&format!("/connectors/{name}/config"), Some(&config)).expect(200);
    until("all lines to arrive", || {
        let lines = kafka().read_lines(&topic);
        if lines.last().is_some_and(|line| line == "behind") {
            Ok(())
        } else {
            Err(format!("{}", lines.len()))
        }
    });
    let lines = kafka().read_lines(&topic);
    let tail: Vec<&str> = lines.iter().rev().take(3).rev().map(String::as_str).collect();
    assert!(tail == ["before", &large, "behind"] || tail == [&large, "behind"], "{} lines", lines.len());
}

#[test]
fn records_as_large_as_kafka_takes_pass_both_ways() {
    let topic = unique("large");
    kafka().create_topic(&topic, 1, &[("max.message.bytes", LARGE)]);
    let mut worker = Worker::new(kafka());
    worker.install(&FILE_SOURCE).install(&FILE_SINK);
    let folder = worker.folder().join("data");
    fs::create_dir(&folder).unwrap();
    worker.grant("file-source", &folder, "").grant("file-sink", &folder, ":rw");
    let [input, output] = ["in.txt", "out.txt"].map(|name| folder.join(name));
    let lines: String = (0..20).map(|n| format!("{n} {}\n", "x".repeat(6_000_000))).collect();
    fs::write(&input, &lines).unwrap();
    let source = [
        ("connector.class", "FileStreamSource"),
        ("file", input.to_str().unwrap()),
        ("topic", &topic),
        ("line.max.bytes", LARGE),
        ("producer.override.max.request.size", LARGE),
        TEXT,
    ];
    let sink = [
        ("connector.class", "FileStreamSink"),
        ("topics", &*topic),
        ("file", output.to_str().unwrap()),
        ("consumer.override.auto.offset.reset", "earliest"),
        TEXT,
    ];
    worker.connector(&unique("source"), &source).connector(&unique("sink"), &sink);
    worker.start();
    until("all lines to arrive", || match fs::metadata(&output).map_or(0, |file| file.len()) {
        bytes if bytes == lines.len() as u64 => Ok(()),
        bytes => Err(format!("{bytes} bytes of {}", lines.len())),
    });
    assert!(fs::read_to_string(&output).unwrap() == lines, "the file differs");
}
