//! The harness itself: what the other tests stand on.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use transom_tests::process::{Folder, Process};
use transom_tests::{JavaWorker, Kafka, Record, java, kafka, unique, until};

#[test]
fn what_is_produced_is_read_in_order() {
    let (kafka, topic) = (kafka(), unique("round-trip"));
    kafka.create_topic(&topic, 3, &[]);
    let mut sent: Vec<Record> =
        (0..3000).map(|i| Record::keyed(format!("key {}", i % 7), format!("{i}"))).collect();
    sent[0].headers = vec![("name".to_owned(), Some(b"value".to_vec())), ("null".to_owned(), None)];
    sent[0].timestamp = Some(1_700_000_000_000);
    kafka.produce(&topic, sent.iter().cloned());
    kafka.await_records(&topic, 3000);

    let read = kafka.read_all(&topic);
    assert_eq!(read.len(), 3000);
    let first = read.iter().find(|r| r.text() == "0").unwrap();
    assert_eq!(first.headers, sent[0].headers);
    assert_eq!(first.timestamp, sent[0].timestamp);
    for key in 0..7 {
        let of_key = read.iter().filter(|r| r.key_text() == format!("key {key}"));
        let values: Vec<u32> = of_key.clone().map(|r| r.text().parse().unwrap()).collect();
        assert!(values.is_sorted(), "key {key} is out of order");
        assert_eq!(
            of_key.map(|r| r.partition).collect::<HashSet<_>>().len(),
            1,
            "key {key} is in one partition"
        );
    }
    assert_eq!(kafka.end_offsets(&topic).iter().sum::<i64>(), 3000);
}

#[test]
fn topics_grow_shrink_and_go() {
    let (kafka, topic) = (kafka(), unique("topic"));
    kafka.create_topic(&topic, 1, &[("cleanup.policy", "delete")]);
    kafka.produce_lines(&topic, ["a", "b", "c"]);
    kafka.delete_records(&topic, 0, 2);
    assert_eq!(kafka.watermarks(&topic), [(2, 3)]);
    assert_eq!(kafka.read_lines(&topic), ["c"]);
    kafka.grow_topic(&topic, 4);
    assert_eq!(kafka.partitions(&topic), 4);
    assert_eq!(kafka.committed("nobody", &topic), [None; 4]);
    assert_eq!(kafka.group("nobody"), None);
    kafka.delete_topic(&topic);
}

#[test]
fn a_private_broker_keeps_its_records_when_it_is_killed() {
    let kafka = Kafka::start_private();
    kafka.produce_lines("survivors", ["a", "b"]);
    kafka.kill_broker(1);
    kafka.restart_broker(1);
    kafka.pause_broker(1);
    kafka.resume_broker(1);
    kafka.produce_lines("survivors", ["c"]);
    assert_eq!(kafka.read_lines("survivors"), ["a", "b", "c"]);
}

/// Not a test: it is run, and killed, by the one below.
#[test]
#[ignore = "waits to be killed"]
fn holds_a_folder_and_a_process() {
    let folder = Folder::new("held");
    fs::write(folder.path().join("file"), "").unwrap();
    let mut process = Process::start("sleep", ["1000"], &folder.path().join("log"));
    println!("held: {} {}", process.id(), folder.path().display());
    process.wait();
}

#[test]
fn what_is_started_ends_with_a_test_binary_that_is_killed() {
    let mut binary = Command::new(env::current_exe().unwrap())
        .args(["harness::holds_a_folder_and_a_process", "--exact", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(binary.stdout.take().unwrap());
    let held =
        output.lines().map_while(Result::ok).find_map(|line| Some(line.split_once("held: ")?.1.to_owned()));
    let held = held.expect("it says what it holds");
    let (id, folder) = held.split_once(' ').unwrap();
    assert!(Path::new(folder).join("file").exists());
    binary.kill().unwrap();
    binary.wait().unwrap();
    until("the process and the folder to go", || {
        let running =
            fs::read_to_string(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.starts_with("sleep"));
        if running || Path::new(folder).exists() { Err(format!("process: {running}")) } else { Ok(()) }
    });
}

#[test]
fn a_second_broker_can_be_lost_alone() {
    let kafka = Kafka::start_private();
    let second = kafka.add_broker();
    kafka.create_topic_on(second, "elsewhere");
    // A topic made on demand might be given to the broker that has just died.
    kafka.create_topic_on(1, "here");
    kafka.produce_lines("elsewhere", ["a"]);
    kafka.kill_broker(second);
    kafka.produce_lines("here", ["b"]);
    kafka.restart_broker(second);
    assert_eq!(kafka.read_lines("elsewhere"), ["a"]);
}

#[test]
fn kafka_connect_itself_can_be_asked() {
    let (kafka, topic) = (kafka(), unique("java"));
    kafka.create_topic(&topic, 1, &[]);
    let folder = Folder::new("java-input");
    let file = folder.path().join("in.txt");
    fs::write(&file, "one\ntwo\n").unwrap();
    let file = file.display().to_string();
    let connector =
        [("name", "lines"), ("connector.class", "FileStreamSource"), ("file", &file), ("topic", &topic)];
    let mut worker = JavaWorker::standalone(kafka, &[], &[&connector]);
    kafka.await_records(&topic, 2);
    assert_eq!(kafka.read_lines(&topic), ["one", "two"]);
    assert_eq!(worker.rest().get("/connectors").expect(200), serde_json::json!(["lines"]));
    assert!(worker.process().usage().unwrap().memory > 50 << 20);
}

#[test]
fn javas_producer_can_be_used() {
    let (kafka, topic) = (kafka(), unique("java"));
    kafka.create_topic(&topic, 3, &[]);
    java::produce(kafka, &topic, [("a", "1"), ("b", "2")]);
    let mut read: Vec<_> =
        kafka.read_all(&topic).iter().map(|r| format!("{} {}", r.key_text(), r.text())).collect();
    read.sort();
    assert_eq!(read, ["a 1", "b 2"]);
}
