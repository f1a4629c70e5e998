mod formats;
mod store;

use std::collections::BTreeMap;

use serde_json::json;
use transom_sdk::testing::{self, SinkTest, TestRecord};
use transom_sdk::{ConfigMap, Format};

use super::*;
use store::{Fault, Shared, serve};

const SECRET: &str = "canary-9d1e";

fn config(more: &[(&str, &str)]) -> ConfigMap {
    let own = [
        ("name", "me"),
        ("s3.bucket.name", "b"),
        ("store.url", "http://s3"),
        ("aws.access.key.id", "A"),
        ("aws.secret.access.key", SECRET),
        ("format.class", "JsonFormat"),
        ("flush.size", "10"),
    ];
    own.iter().chain(more).copied().collect()
}

/// A sink, its bucket, and a topic of one partition that it reads.
struct World {
    sink: SinkTest<S3Sink>,
    store: Shared,
    records: Vec<TestRecord>,
    /// What the worker reads next.
    at: usize,
    committed: usize,
}

impl World {
    fn new(more: &[(&str, &str)], records: Vec<TestRecord>) -> Self {
        let sink = SinkTest::new(config(more));
        let store = Shared::default();
        serve(&store);
        let mut world = Self { sink, store, records, at: 0, committed: 0 };
        world.sink.reopen().unwrap();
        world
    }

    /// Puts the next records, as the worker does: again after a retriable error, from elsewhere after a seek.
    fn put(&mut self, most: usize) {
        let end = (self.at + most).min(self.records.len());
        let batch: Vec<_> = (self.at..end).map(|at| self.records[at].clone().at(at as i64)).collect();
        let seeks = testing::seeks().len();
        while let Err(error) = self.sink.put(&batch) {
            assert_eq!(error.kind(), Kind::Retriable, "{error}");
            assert!(!error.message().contains(SECRET));
        }
        let sought = testing::seeks();
        self.at = if sought.len() > seeks { sought.last().unwrap().offset as usize } else { end };
    }

    fn commit(&mut self) {
        if let Some(offset) = self.sink.pre_commit(Reason::Interval).unwrap().first() {
            self.committed = offset.offset as usize;
        }
    }

    /// Puts all there is, so many at a time.
    fn run(&mut self, most: usize) {
        while self.at < self.records.len() {
            self.put(most);
        }
        self.put(0);
    }

    /// The worker is killed, and comes back where it committed.
    fn kill(&mut self) {
        self.sink.reopen().unwrap();
        self.at = self.committed;
    }

    /// What is in the objects, by key without the folders of all.
    fn objects(&self) -> BTreeMap<String, String> {
        let store = self.store.borrow();
        let own =
            store.objects.iter().filter_map(|(key, content)| Some((key.strip_prefix("topics/t/")?, content)));
        own.map(|(key, content)| (key.to_owned(), String::from_utf8_lossy(content).into_owned())).collect()
    }

    /// Checks that the first records are there, each once.
    #[track_caller]
    fn check(&self, records: usize, what: &str) {
        let objects = self.objects();
        let mut all: Vec<usize> = objects.values().flat_map(|content| content.lines()).map(number).collect();
        all.sort_unstable();
        assert_eq!(all, (0..records).collect::<Vec<_>>(), "{what}: {objects:?}");
    }
}

fn number(line: &str) -> usize {
    serde_json::from_str::<serde_json::Value>(line).unwrap()["n"].as_u64().unwrap() as usize
}

fn records(count: usize) -> Vec<TestRecord> {
    let record = |n: usize| {
        let value = json!({ "n": n, "f": n % 3, "at": n * 100, "x": "y".repeat(40) }).to_string();
        let mut record = TestRecord::new("t", 0, Format::Json, Some(value.as_bytes()));
        record.timestamp = Some(1_709_247_906_789 + n as i64 * 100);
        record
    };
    (0..count).map(record).collect()
}

#[test]
fn objects_are_cut_by_records_and_named_by_offsets() {
    let mut world = World::new(&[], records(25));
    world.run(7);
    let objects = world.objects();
    assert_eq!(
        objects.keys().collect::<Vec<_>>(),
        ["partition=0/t+0+0000000000.json", "partition=0/t+0+0000000010.json"]
    );
    world.check(20, "two objects");
    world.commit();
    assert_eq!(world.committed, 20, "what is open is not committed");
    assert_eq!(testing::commit_requests(), 2);
}

#[test]
fn bytes_fields_and_times_make_objects_too() {
    let mut world = World::new(&[("flush.size", "1000"), ("flush.bytes", "400")], records(25));
    world.run(25);
    assert!(world.objects().len() >= 4);
    let fields = [
        ("partitioner.class", "io.confluent.connect.storage.partitioner.FieldPartitioner"),
        ("partition.field.name", "f"),
    ];
    let mut world = World::new(&fields, records(20));
    world.run(20);
    assert_eq!(world.objects().len(), 6);
    assert_eq!(world.objects().keys().next().unwrap(), "f=0/t+0+0000000000.json");
    world.check(20, "fields");
    let times = [
        ("partitioner.class", "io.confluent.connect.storage.partitioner.TimeBasedPartitioner"),
        ("partition.duration.ms", "1000"),
        ("path.format", "'at'=ss"),
        ("timestamp.extractor", "Record"),
        ("rotate.interval.ms", "1000"),
        ("flush.size", "1000"),
    ];
    let mut world = World::new(&times, records(25));
    world.run(4);
    let keys: Vec<_> = world.objects().into_keys().collect();
    assert_eq!(keys, ["at=06/t+0+0000000000.json", "at=07/t+0+0000000003.json", "at=08/t+0+0000000013.json"]);
    world.check(23, "times");
}

/// Settings under which every way of cutting is tried.
const WAYS: [(&str, &[(&str, &str)]); 4] = [
    ("records", &[]),
    ("fields", &[("partitioner.class", "FieldPartitioner"), ("partition.field.name", "f")]),
    (
        "wall clock",
        &[
            ("partitioner.class", "TimeBasedPartitioner"),
            ("path.format", "'at'=SSS"),
            ("partition.duration.ms", "1"),
            ("rotate.schedule.interval.ms", "1"),
        ],
    ),
    ("schedule", &[("rotate.schedule.interval.ms", "1"), ("flush.size", "1000")]),
];

#[test]
fn whichever_request_fails_each_record_is_there_once() {
    for (way, more) in WAYS {
        for fault in [Fault::Before, Fault::After, Fault::SlowDown] {
            for number in 0..12 {
                let mut world = World::new(more, records(40));
                world.store.borrow_mut().fault = Some((number, fault));
                world.run(8);
                std::thread::sleep(Duration::from_millis(2));
                world.put(0);
                world.check(40, &format!("{way}, {fault:?} {number}"));
            }
        }
    }
}

#[test]
fn wherever_it_is_killed_each_record_is_there_once() {
    for (way, more) in WAYS {
        for fault in [Fault::Before, Fault::After] {
            for number in 0..14 {
                let mut world = World::new(more, records(40));
                world.store.borrow_mut().fault = Some((number, fault));
                // Until the request that is answered by nothing.
                while world.at < 40 {
                    let end = (world.at + 8).min(40);
                    let batch: Vec<_> =
                        (world.at..end).map(|at| world.records[at].clone().at(at as i64)).collect();
                    if world.sink.put(&batch).is_err() {
                        break;
                    }
                    world.at = end;
                    if number % 3 == 0 {
                        world.commit();
                    }
                }
                world.kill();
                world.store.borrow_mut().fault = None;
                // Others come together now, so the clock would cut elsewhere.
                world.run(5);
                std::thread::sleep(Duration::from_millis(2));
                world.put(0);
                world.check(40, &format!("{way}, killed {fault:?} {number}"));
                assert_eq!(world.store.borrow().uploads.len(), 0);
            }
        }
    }
}

#[test]
fn large_objects_are_uploaded_in_parts_and_forgotten_uploads_are_aborted() {
    let large = |n: usize| {
        let value = json!({ "n": n, "x": "z".repeat(700_000) }).to_string();
        TestRecord::new("t", 0, Format::Json, Some(value.as_bytes()))
    };
    for number in 0..8 {
        for fault in [Fault::Before, Fault::After] {
            let more = [("s3.part.size", "5242880"), ("flush.size", "20")];
            let mut world = World::new(&more, (0..20).map(large).collect());
            world.store.borrow_mut().fault = Some((number, fault));
            let batch: Vec<_> = (0..20).map(|at| world.records[at].clone().at(at as i64)).collect();
            let killed = world.sink.put(&batch).is_err();
            assert_eq!(
                killed,
                number < 7,
                "note, uploads, create, two parts and the rest, complete: {number}"
            );
            if killed {
                world.kill();
                world.run(20);
            }
            world.check(20, &format!("{fault:?} {number}"));
            assert_eq!(world.store.borrow().uploads.len(), 0, "{fault:?} {number}");
        }
    }
}

#[test]
fn an_upload_that_vanishes_is_made_again() {
    let large = |n: usize| {
        let value = json!({ "n": n, "x": "z".repeat(700_000) }).to_string();
        TestRecord::new("t", 0, Format::Json, Some(value.as_bytes()))
    };
    let mut world =
        World::new(&[("s3.part.size", "5242880"), ("flush.size", "12")], (0..12).map(large).collect());
    world.put(10);
    assert_eq!(world.store.borrow().uploads.len(), 1);
    world.store.borrow_mut().uploads.clear();
    world.put(2);
    assert_eq!(world.at, 0, "the group is read again");
    world.run(5);
    world.check(12, "made again");
}

#[test]
fn an_object_of_somebody_else_is_not_replaced() {
    let mut world = World::new(&[], records(10));
    let key = "topics/t/partition=0/t+0+0000000000.json";
    world.store.borrow_mut().objects.insert(key.into(), b"{}".to_vec());
    let batch: Vec<_> = (0..10).map(|at| world.records[at].clone().at(at as i64)).collect();
    let error = world.sink.put(&batch).unwrap_err();
    assert_eq!(error.kind(), Kind::Fatal);
    assert!(error.message().contains(key) && error.message().contains("topics.dir"), "{error}");
}

#[test]
fn a_note_of_a_topic_that_was_there_before_is_not_followed() {
    let mut world =
        World::new(&[("rotate.schedule.interval.ms", "3600000"), ("flush.size", "8")], records(20));
    let note = json!({ "start": 9, "end": 12, "timestamp": 5, "folder": null }).to_string();
    world.store.borrow_mut().objects.insert(".transom/test/t+0.json".into(), note.into_bytes());
    world.run(4);
    world.check(16, "all of the new topic");
    assert!(testing::logs().iter().any(|(_, line)| line.contains("not followed")));
}

#[test]
fn memory_is_bounded_by_cutting_early() {
    let value = |n: usize| json!({ "n": n, "f": n % 40, "x": "z".repeat(100_000) }).to_string();
    let large = |n: usize| TestRecord::new("t", 0, Format::Json, Some(value(n).as_bytes()));
    let more = [
        ("partitioner.class", "FieldPartitioner"),
        ("partition.field.name", "f"),
        ("flush.size", "100000"),
        ("s3.part.size", "5242880"),
        ("buffer.max.bytes", "6000000"),
    ];
    let mut world = World::new(&more, (0..200).map(large).collect());
    while world.at < 200 {
        world.put(10);
        let held: usize = world.sink.sink().writers.values().map(Writer::held).sum();
        assert!(held <= 6_000_000, "{held}");
    }
    assert!(world.objects().len() >= 80);
}

#[test]
fn a_tombstone_fails_or_is_left_out() {
    let tombstone = || TestRecord::new("t", 0, Format::Json, None);
    let mut world = World::new(&[], vec![]);
    let failed = world.sink.put(&[tombstone()]).unwrap();
    assert!(failed[0].message.contains("behavior.on.null.values"));
    let mut world = World::new(&[("behavior.on.null.values", "ignore")], vec![tombstone(), tombstone()]);
    world.run(2);
    world.commit();
    assert_eq!((world.committed, world.objects().len()), (2, 0));
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let wrong = [
        ("s3.bucket.name", "A B"),
        ("store.url", "ftp://x"),
        ("format.class", "com.example.Yaml"),
        ("partitioner.class", "TimeBasedPartitioner"),
        ("timezone", "Mars"),
        ("locale", "de"),
        ("timestamp.extractor", "Sundial"),
        ("buffer.max.bytes", "6000000"),
    ];
    let problems = SinkTest::<S3Sink>::new(config(&wrong)).validate();
    for (key, _) in wrong.iter().chain(&[("path.format", ""), ("partition.duration.ms", "")]) {
        if *key != "partitioner.class" {
            assert!(problems.contains(&format!("\"{key}\":")), "{key}: {problems}");
        }
    }
    let interval = SinkTest::<S3Sink>::new(config(&[("rotate.interval.ms", "1000")])).validate();
    assert!(interval.contains("rotate.interval.ms"), "{interval}");
    assert_eq!(SinkTest::<S3Sink>::new(config(&[])).validate(), "");
}

#[test]
fn a_connection_is_tried_where_that_is_wanted() {
    let validated = |status: u16| {
        let test = SinkTest::<S3Sink>::new(config(&[("validate.connection", "true")]));
        testing::http(move |_| Ok(transom_sdk::http::Response::new(status)));
        test.validate()
    };
    assert_eq!(validated(200), "");
    assert!(validated(403).contains("\"s3.bucket.name\":"));
    assert!(!validated(403).contains(SECRET));
}

#[test]
fn other_offsets_make_notes_worthless() {
    let world = World::new(&[], vec![]);
    world.store.borrow_mut().objects.insert(".transom/me/t+3.json".into(), Vec::new());
    let partition = json!({ "kafka_topic": "t", "kafka_partition": 3 });
    let changes = [OffsetChange { partition, offset: None }];
    let map = config(&[]);
    let config: Config = transom_sdk::config::parse(&config_keys(), &map).unwrap();
    assert!(S3Sink::alter_offsets(&config, &changes).unwrap());
    assert!(world.store.borrow().objects.is_empty());
}

fn config_keys() -> Vec<transom_sdk::ConfigKey> {
    keys::list()
}
