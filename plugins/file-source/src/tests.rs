use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use serde_json::json;
use transom_sdk::testing::{self, SourceTest};
use transom_sdk::{Format, Kind};

use super::*;

struct Dir {
    dir: tempfile::TempDir,
}

impl Dir {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("in.txt")
    }

    fn name(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    fn append(&self, text: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path()).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    fn source(&self) -> SourceTest<FileSource> {
        SourceTest::open([("file", self.name().as_str()), ("topic", "lines")]).unwrap()
    }
}

fn poll(test: &mut SourceTest<FileSource>) -> Vec<String> {
    test.poll_all().unwrap().values().into_iter().map(str::to_owned).collect()
}

fn logged(part: &str) -> usize {
    testing::logs().iter().filter(|(_, text)| text.contains(part)).count()
}

#[test]
fn a_line_becomes_a_record_and_the_offset_is_kafka_connects() {
    let dir = Dir::new();
    dir.append("one\ntwo\r\nthree");
    let mut test = dir.source();
    let polled = test.poll_all().unwrap();
    assert_eq!(polled.values(), ["one", "two"]);
    let record = &polled.records[0];
    assert_eq!(
        (record.topic.as_str(), record.key.as_ref(), record.value_format),
        ("lines", None, Format::String)
    );
    assert_eq!(record.partition, None);
    let (after, position) = &polled.positions[0];
    assert_eq!((*after, polled.positions.len()), (2, 1));
    assert_eq!(position.partition, json!({ "filename": dir.name() }));
    assert_eq!(position.offset, json!({ "position": 9 }));
}

#[test]
fn a_new_start_goes_on_from_what_was_committed() {
    let dir = Dir::new();
    dir.append("one\ntwo\n");
    let mut test = dir.source();
    test.limit(1, 1 << 20, Duration::ZERO);
    assert_eq!(test.poll().unwrap().values(), ["one"]);
    test.commit().unwrap();
    assert_eq!(test.poll().unwrap().values(), ["two"]);
    test.reopen().unwrap();
    assert_eq!(poll(&mut test), ["two"]);
}

#[test]
fn an_offset_of_javas_file_stream_source_is_taken_over() {
    let dir = Dir::new();
    dir.append("one\ntwo\n");
    let mut test: SourceTest<FileSource> = SourceTest::new([("file", dir.name()), ("topic", "t".into())]);
    test.store(json!({ "filename": dir.name() }), json!({ "position": 4 }));
    test.reopen().unwrap();
    assert_eq!(poll(&mut test), ["two"]);
}

#[test]
fn a_growing_file_is_followed_and_an_incomplete_line_held_back() {
    let dir = Dir::new();
    dir.append("a\nb");
    let mut test = dir.source();
    assert_eq!(poll(&mut test), ["a"]);
    assert_eq!(poll(&mut test), [""; 0]);
    dir.append("b\nc\r");
    assert_eq!(poll(&mut test), ["bb"]);
    dir.append("\nd\n");
    assert_eq!(poll(&mut test), ["c", "d"]);
}

#[test]
fn a_missing_file_is_waited_for_and_logged_once() {
    let dir = Dir::new();
    let mut test = dir.source();
    assert_eq!(poll(&mut test), [""; 0]);
    assert_eq!(poll(&mut test), [""; 0]);
    assert_eq!(logged("waiting for"), 1);
    dir.append("a\n");
    assert_eq!(poll(&mut test), ["a"]);
}

#[test]
fn a_truncated_file_is_read_from_its_beginning() {
    let dir = Dir::new();
    dir.append("a\nb\n");
    let mut test = dir.source();
    assert_eq!(poll(&mut test), ["a", "b"]);
    File::create(dir.path()).unwrap();
    let polled = test.poll_all().unwrap();
    assert_eq!(polled.values(), [""; 0]);
    assert_eq!(
        polled.positions[0].1.offset,
        json!({ "position": 0 }),
        "the old position must not outlive it"
    );
    assert_eq!(logged("truncated"), 1);
    dir.append("c\n");
    assert_eq!(poll(&mut test), ["c"]);
}

#[test]
fn a_file_truncated_while_the_worker_was_down_is_read_from_its_beginning() {
    let dir = Dir::new();
    dir.append("a\nb\n");
    let mut test = dir.source();
    assert_eq!(poll(&mut test), ["a", "b"]);
    test.commit().unwrap();
    test.kill();
    fs::write(dir.path(), "c\n").unwrap();
    test.reopen().unwrap();
    assert_eq!(poll(&mut test), ["c"]);
    assert_eq!(logged("truncated"), 1);
}

#[test]
fn a_rotated_file_is_read_to_its_end_before_the_new_one() {
    let dir = Dir::new();
    dir.append("a\nb\n");
    let mut test = dir.source();
    assert_eq!(poll(&mut test), ["a", "b"]);
    dir.append("c\nlast words");
    fs::rename(dir.path(), dir.path().with_extension("1")).unwrap();
    fs::write(dir.path(), "new 1\nnew 2\n").unwrap();
    let polled = test.poll_all().unwrap();
    assert_eq!(polled.values(), ["c", "last words", "new 1", "new 2"]);
    assert_eq!(polled.positions.last().unwrap().1.offset, json!({ "position": 12 }));
    assert_eq!(logged("another file"), 1);
}

#[test]
fn a_file_without_its_name_is_followed_until_another_takes_it() {
    let dir = Dir::new();
    dir.append("a\n");
    let mut test = dir.source();
    let mut old = OpenOptions::new().append(true).open(dir.path()).unwrap();
    assert_eq!(poll(&mut test), ["a"]);
    fs::remove_file(dir.path()).unwrap();
    assert_eq!(poll(&mut test), [""; 0]);
    old.write_all(b"b\n").unwrap();
    assert_eq!(poll(&mut test), ["b"]);
    dir.append("c\n");
    assert_eq!(poll(&mut test), ["c"]);
}

#[test]
fn batches_are_as_large_as_batch_size_and_the_worker_say() {
    let dir = Dir::new();
    let lines: String = (0..5000).map(|n| format!("{n}\n")).collect();
    dir.append(&lines);
    let mut test = dir.source();
    test.limit(10_000, 1 << 20, Duration::ZERO);
    assert_eq!(test.poll().unwrap().records.len(), 2000);
    test.limit(300, 1 << 20, Duration::ZERO);
    assert_eq!(test.poll().unwrap().records.len(), 300);
    let rest = poll(&mut test);
    assert_eq!((rest.len(), rest[0].as_str(), rest[2699].as_str()), (2700, "2300", "4999"));
}

#[test]
fn long_files_and_lines_across_chunks_come_whole() {
    let dir = Dir::new();
    let lines: Vec<String> = (0..3000).map(|n| format!("{n} {}", "x".repeat(n % 1000))).collect();
    let long = "y".repeat(900_000);
    dir.append(format!("{}\r\n{long}\nend\n", lines.join("\r\n")));
    let mut test = dir.source();
    let polled = poll(&mut test);
    assert_eq!(polled.len(), 3002);
    assert!(polled[..3000] == lines[..] && polled[3000] == long && polled[3001] == "end");
}

#[test]
fn a_line_that_is_too_long_fails_the_task_after_those_before_it() {
    for line in ["0123456789x\n".to_owned(), "x".repeat(600_000)] {
        let dir = Dir::new();
        dir.append(format!("0123456789\r\n{line}"));
        let config = [("file", dir.name()), ("topic", "t".into()), ("line.max.bytes", "10".into())];
        let mut test: SourceTest<FileSource> = SourceTest::open(config).unwrap();
        let error = match test.poll() {
            Ok(polled) => {
                assert_eq!(polled.values(), ["0123456789"]);
                test.poll().unwrap_err()
            }
            Err(error) => error,
        };
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.message().starts_with("the line at byte 12 of /"), "{error}");
        assert!(error.message().contains("line.max.bytes=10"), "{error}");
    }
}

#[test]
fn bytes_that_are_no_utf8_are_replaced_and_logged_once() {
    let dir = Dir::new();
    dir.append(b"gr\xc3\xbc\xc3\x9fe\nb\xffd\nb\xfed\n");
    let mut test = dir.source();
    assert_eq!(poll(&mut test), ["grüße", "b\u{fffd}d", "b\u{fffd}d"]);
    assert_eq!(logged("in the line at byte 8:"), 1);
}

#[test]
fn the_standard_input_is_refused_with_a_reason() {
    let test: SourceTest<FileSource> = SourceTest::new([("topic", "t")]);
    assert!(test.validate().contains("the standard input cannot be read here"));
    let error = SourceTest::<FileSource>::open([("topic", "t"), ("file", "")]).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
}

#[test]
fn there_is_one_task_however_many_are_allowed() {
    assert_eq!(Dir::new().source().task_configs(4).unwrap().len(), 1);
}

#[test]
fn only_positions_can_become_offsets() {
    let test = Dir::new().source();
    let change = |partition, offset| OffsetChange { partition, offset };
    let good = change(json!({ "filename": "f" }), Some(json!({ "position": 5 })));
    assert!(test.alter_offsets(&[good, change(json!({ "filename": "f" }), None)]).unwrap());
    for offset in [json!({}), json!({ "position": -1 }), json!({ "position": "5" })] {
        assert!(test.alter_offsets(&[change(json!({ "filename": "f" }), Some(offset))]).is_err());
    }
    for partition in [json!({ "file": "f" }), json!(null)] {
        assert!(test.alter_offsets(&[change(partition.clone(), None)]).unwrap(), "may be forgotten");
        assert!(test.alter_offsets(&[change(partition, Some(json!({ "position": 5 })))]).is_err());
    }
}

#[test]
fn a_stop_ends_the_wait() {
    let dir = Dir::new();
    let mut test = dir.source();
    testing::set_should_stop(true);
    test.limit(1000, 1 << 20, Duration::from_secs(3600));
    assert_eq!(test.poll().unwrap(), testing::Polled::default());
}

#[test]
fn a_relative_path_is_refused() {
    let test: SourceTest<FileSource> = SourceTest::new([("topic", "t"), ("file", "data/x.txt")]);
    assert!(test.validate().contains("Invalid value data/x.txt for configuration file"));
}
