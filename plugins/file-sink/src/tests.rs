use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use transom_sdk::testing::{self, SinkTest, TestRecord};
use transom_sdk::{Format, Kind};

use super::*;

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("out.txt")
    }

    fn content(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    fn sink(&self) -> SinkTest<FileSink> {
        SinkTest::open([("file", self.path().to_str().unwrap()), ("topics", "t")]).unwrap()
    }
}

fn line(text: &str) -> TestRecord {
    TestRecord::string("t", 0, text)
}

#[test]
fn a_record_becomes_a_line_whatever_its_format() {
    let dir = Dir::new();
    let records = [
        line("one"),
        TestRecord::new("t", 0, Format::Json, Some(br#"{"n":2}"#)),
        TestRecord::new("t", 1, Format::Bytes, Some(b"three")),
        TestRecord::new("t", 1, Format::String, None),
        line(""),
    ];
    assert_eq!(dir.sink().put(&records).unwrap(), []);
    assert_eq!(dir.content(), "one\n{\"n\":2}\nthree\nnull\n\n");
}

#[test]
fn what_was_put_is_what_can_be_committed() {
    let dir = Dir::new();
    let mut sink = dir.sink();
    sink.put(&[line("a"), line("b")]).unwrap();
    let durable = sink.pre_commit(Reason::Interval).unwrap();
    assert_eq!(durable, [KafkaOffset { topic: "t".into(), partition: 0, offset: 2 }]);
    sink.put(&[]).unwrap();
    sink.close().unwrap();
    assert_eq!(dir.content(), "a\nb\n");
}

#[test]
fn an_existing_file_is_appended_to() {
    let dir = Dir::new();
    fs::write(dir.path(), "old\n").unwrap();
    dir.sink().put(&[line("new")]).unwrap();
    assert_eq!(dir.content(), "old\nnew\n");
}

#[test]
fn a_torn_last_line_is_cut_off_and_comes_again() {
    for torn in ["half a li", &"x".repeat(200_000)] {
        let dir = Dir::new();
        fs::write(dir.path(), format!("whole\n{torn}")).unwrap();
        let mut sink = dir.sink();
        assert_eq!(dir.content(), "whole\n");
        assert!(testing::logs()[0].1.contains("ended in the middle of a line"));
        sink.put(&[line("half a line")]).unwrap();
        assert_eq!(dir.content(), "whole\nhalf a line\n");
    }
}

#[test]
fn a_file_that_is_one_torn_line_becomes_empty() {
    let dir = Dir::new();
    fs::write(dir.path(), "torn").unwrap();
    dir.sink();
    assert_eq!(dir.content(), "");
}

#[test]
fn a_late_write_of_an_older_instance_adds_whole_lines_and_cuts_none() {
    let dir = Dir::new();
    let mut old = dir.sink();
    old.put(&[line("1")]).unwrap();
    let mut new = dir.sink();
    new.put(&[line("1"), line("2")]).unwrap();
    old.put(&[line("2")]).unwrap();
    new.put(&[line("3")]).unwrap();
    assert_eq!(dir.content(), "1\n1\n2\n2\n3\n");
}

#[test]
fn a_file_that_was_taken_away_is_made_anew_at_the_next_commit() {
    let dir = Dir::new();
    let mut sink = dir.sink();
    sink.put(&[line("1")]).unwrap();
    let rotated = dir.path().with_extension("1");
    fs::rename(dir.path(), &rotated).unwrap();
    sink.put(&[line("2")]).unwrap();
    sink.pre_commit(Reason::Interval).unwrap();
    sink.put(&[line("3")]).unwrap();
    assert_eq!((fs::read_to_string(rotated).unwrap().as_str(), dir.content().as_str()), ("1\n2\n", "3\n"));
}

#[test]
fn lines_that_others_append_stay() {
    let dir = Dir::new();
    let mut sink = dir.sink();
    sink.put(&[line("1")]).unwrap();
    OpenOptions::new().append(true).open(dir.path()).unwrap().write_all(b"other\n").unwrap();
    sink.put(&[line("2")]).unwrap();
    assert_eq!(dir.content(), "1\nother\n2\n");
}

#[test]
fn a_write_that_fails_can_be_tried_again() {
    let full = SinkTest::<FileSink>::open([("file", "/dev/full")]);
    // A device is no file: it cannot be cut, so the error is fatal and says both.
    let error = full.and_then(|mut sink| sink.put(&[line("x")])).unwrap_err();
    assert!(error.message().contains("/dev/full"), "{error}");
}

#[test]
fn a_missing_folder_is_an_error_that_names_the_grant() {
    let error = SinkTest::<FileSink>::open([("file", "/nonexistent/out.txt")]).unwrap_err();
    assert_eq!(error.kind(), Kind::Fatal);
    assert!(error.message().contains("sandbox.file-sink.fs"), "{error}");
}

#[test]
fn the_standard_output_is_refused_with_a_reason() {
    let test: SinkTest<FileSink> = SinkTest::new([("topics", "t")]);
    assert!(test.validate().contains("the standard output cannot be written here"));
    let error = SinkTest::<FileSink>::open([("topics", "t")]).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
}

#[test]
fn there_is_one_task_however_many_are_allowed() {
    assert_eq!(Dir::new().sink().task_configs(4).unwrap().len(), 1);
}

#[test]
fn a_relative_path_is_refused() {
    let test: SinkTest<FileSink> = SinkTest::new([("topic", "t"), ("file", "data/x.txt")]);
    assert!(test.validate().contains("Invalid value data/x.txt for configuration file"));
}
