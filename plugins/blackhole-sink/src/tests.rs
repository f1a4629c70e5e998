use transom_sdk::ConfigMap;
use transom_sdk::testing::{self, SinkTest, TestRecord};

use super::*;

fn sink() -> SinkTest<Blackhole> {
    SinkTest::open([("check", "true")]).unwrap()
}

fn numbers(numbers: &[u64], lanes: u64) -> Vec<TestRecord> {
    numbers.iter().map(|n| TestRecord::string("t", 0, &format!("0 {n} {lanes} abc"))).collect()
}

fn counts() -> [f64; 3] {
    let metrics = testing::metrics();
    ["records", "gaps", "repeats"].map(|name| metrics[name])
}

#[test]
fn a_sequence_without_gap_is_counted_and_told_at_the_end() {
    let mut sink = sink();
    sink.put(&numbers(&[5, 6], 1)).unwrap();
    sink.put(&numbers(&[7], 1)).unwrap();
    assert_eq!(counts(), [3.0, 0.0, 0.0]);
    sink.close().unwrap();
    assert_eq!(testing::logs().last().unwrap().1, "3 records, 0 gaps, 0 repeats");
}

#[test]
fn a_gap_is_told() {
    let mut sink = sink();
    sink.put(&numbers(&[0, 2, 3], 1)).unwrap();
    assert_eq!(counts(), [3.0, 1.0, 0.0]);
    assert_eq!(testing::logs().last().unwrap().1, "source partition 0: 2 comes instead of 1");
}

#[test]
fn redelivery_and_disorder_are_repeats() {
    let mut sink = sink();
    sink.put(&numbers(&[0, 1, 2, 1, 2, 3], 1)).unwrap();
    assert_eq!(counts(), [6.0, 0.0, 2.0]);
    sink.put(&numbers(&[5, 4, 6], 1)).unwrap();
    assert_eq!(counts(), [9.0, 1.0, 3.0]);
}

#[test]
fn each_key_has_its_own_sequence() {
    let mut sink = sink();
    sink.put(&numbers(&[0, 2, 1, 4, 3, 5], 2)).unwrap();
    assert_eq!(counts(), [6.0, 0.0, 0.0]);
    sink.put(&numbers(&[8, 7], 2)).unwrap();
    assert_eq!(counts(), [8.0, 1.0, 0.0]);
}

#[test]
fn other_records_are_counted_but_not_checked() {
    let mut sink = sink();
    let error = sink.put(&[TestRecord::string("t", 0, "hello")]).unwrap_err();
    assert_eq!(error.message(), "t-0 at offset 0 is no record of datagen-source");
    let mut sink: SinkTest<Blackhole> = SinkTest::open(ConfigMap::new()).unwrap();
    sink.put(&[TestRecord::string("t", 0, "hello")]).unwrap();
    assert_eq!(counts(), [1.0, 0.0, 0.0]);
}
