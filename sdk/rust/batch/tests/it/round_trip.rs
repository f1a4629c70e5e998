//! What a writer was given is what a reader finds.

use std::io::Write as _;

use proptest::prelude::*;
use transom_batch::{Batch, Failure, MAX_BYTES, Outcome, OutcomeWriter, Run, WriteError, Writer};

use crate::model::{LIMITS, Model, models, rewrite};

proptest! {
    #[test]
    fn any_records_come_back_as_they_were(model in models()) {
        let mut writer = Writer::new();
        model.write(&mut writer);
        prop_assert_eq!(writer.len(), model.items.len());
        let most = writer.bytes();
        let bytes = writer.finish();
        prop_assert!(bytes.len() <= most, "{} bytes, at most {most} were announced", bytes.len());
        let batch = Batch::parse(&bytes, &LIMITS).unwrap();
        prop_assert_eq!(Model::read(&batch), model);
        prop_assert_eq!(batch.runs().map(|(_, records)| records.len()).sum::<usize>(), batch.len());
        let again = rewrite(&batch);
        let second = rewrite(&Batch::parse(&again, &LIMITS).unwrap());
        prop_assert_eq!(again, second);
    }

    #[test]
    fn a_writer_that_is_used_again_writes_the_same(models in proptest::collection::vec(models(), 1..4)) {
        let mut writer = Writer::new();
        let mut out = vec![7; 100];
        for model in &models {
            model.write(&mut writer);
            writer.finish_into(&mut out);
            let mut fresh = Writer::new();
            model.write(&mut fresh);
            prop_assert_eq!(&out, &fresh.finish());
            prop_assert!(writer.is_empty());
        }
    }

    #[test]
    fn any_failures_come_back_as_they_were(
        failures in proptest::collection::vec(("[ab]", 0..3_i32, 0..=i64::MAX, any::<u32>(), "\\PC{0,5}"), 0..40),
    ) {
        let expected: Vec<_> = failures.iter().map(|(topic, partition, offset, code, message)| Failure {
            topic, partition: *partition, offset: *offset, code: *code, message,
        }).collect();
        let mut writer = OutcomeWriter::new();
        for _ in 0..2 {
            expected.iter().for_each(|failure| writer.fail(*failure).unwrap());
            let bytes = writer.finish();
            prop_assert_eq!(bytes.is_empty(), expected.is_empty());
            let outcome = Outcome::parse(&bytes, &LIMITS).unwrap();
            prop_assert_eq!(outcome.failures().collect::<Vec<_>>(), expected.clone());
        }
    }
}

fn run(topic: &str) -> Run<'_> {
    Run { topic, ..Run::default() }
}

#[test]
fn equal_runs_share_a_row_and_a_run_without_records_has_none() {
    let mut writer = Writer::new();
    for topic in ["a", "a", "unused", "b", "b", "a"] {
        writer.run(&run(topic)).unwrap();
        if topic != "unused" {
            writer.push(None, None, None).unwrap();
        }
    }
    let bytes = writer.finish();
    let batch = Batch::parse(&bytes, &LIMITS).unwrap();
    let runs: Vec<_> = batch.runs().map(|(run, records)| (run.topic, records)).collect();
    assert_eq!(runs, [("a", 0..2), ("b", 2..4), ("a", 4..5)]);
}

#[test]
fn offsets_count_from_the_base_of_the_run() {
    let mut writer = Writer::new();
    let given = Run { base_offset: Some(100), ..run("t") };
    writer.run(&given).unwrap();
    writer.push(None, Some(b"v"), None).unwrap();
    writer.run(&given).unwrap();
    writer.push(None, Some(b"v"), None).unwrap();
    writer.push_at(150, None, Some(b"v"), None).unwrap();
    writer.push_at(3, None, Some(b"before the base: a row of its own"), None).unwrap();
    writer.push(None, Some(b"from the given base again"), None).unwrap();
    writer.run(&run("t")).unwrap();
    writer.push(None, Some(b"none"), None).unwrap();
    let bytes = writer.finish();
    let batch = Batch::parse(&bytes, &LIMITS).unwrap();
    let offsets: Vec<_> = batch.records().map(|record| record.offset).collect();
    assert_eq!(offsets, [Some(100), Some(101), Some(150), Some(3), Some(100), None]);
}

#[test]
fn a_streamed_record_is_the_same_as_a_pushed_one() {
    let mut writer = Writer::new();
    writer.run(&run("t")).unwrap();
    let mut record = writer.key_value();
    record.key().write_all(b"ke").unwrap();
    record.key().write_all(b"y").unwrap();
    write!(record.value(), "{}", 42).unwrap();
    assert_eq!(record.len(), 5);
    record.finish(Some(7)).unwrap();
    writer.header("h", None).unwrap();
    let mut record = writer.key_value();
    record.value();
    record.finish_at(9, None).unwrap();
    let streamed = writer.finish();

    writer.run(&run("t")).unwrap();
    writer.push(Some(b"key"), Some(b"42"), Some(7)).unwrap();
    writer.header("h", None).unwrap();
    writer.push_at(9, None, Some(b""), None).unwrap();
    assert_eq!(streamed, writer.finish());
}

#[test]
fn an_unfinished_or_refused_record_has_never_been() {
    let mut writer = Writer::new();
    let mut record = writer.key_value();
    record.value().write_all(b"no run").unwrap();
    assert_eq!(record.finish(None), Err(WriteError::NoRun));
    writer.run(&run("t")).unwrap();
    let mut record = writer.key_value();
    record.value().write_all(b"dropped").unwrap();
    drop(record);
    let mut record = writer.key_value();
    record.value().write_all(b"value").unwrap();
    record.key().write_all(b"late").unwrap();
    assert_eq!(record.finish(None), Err(WriteError::KeyAfterValue));
    let refused = [
        (writer.push_at(-1, None, Some(b"x"), None), WriteError::Offset(-1)),
        (writer.run(&Run { base_offset: Some(i64::MAX), ..run("t") }), WriteError::Offset(i64::MAX)),
        (writer.header("h", None), WriteError::NoRecord),
        (writer.run(&Run { partition: Some(-2), ..run("t") }), WriteError::Partition(-2)),
    ];
    for (result, expected) in refused {
        assert_eq!(result, Err(expected));
    }
    assert!(writer.is_empty());
    writer.push(None, Some(b"v"), None).unwrap();
    let bytes = writer.finish();
    let batch = Batch::parse(&bytes, &LIMITS).unwrap();
    let values: Vec<_> = batch.records().map(|record| record.value).collect();
    assert_eq!(values, [Some(&b"v"[..])]);
    assert_eq!(writer.push(None, None, None), Err(WriteError::NoRun));
}

#[test]
fn the_largest_offset_comes_back() {
    let largest_base = i64::MAX - i64::from(u32::MAX);
    let expected = [i64::MAX, largest_base, largest_base + 1, i64::MAX - 1, 0, i64::MAX];
    let mut writer = Writer::new();
    writer.run(&run("t")).unwrap();
    for offset in expected {
        writer.push_at(offset, None, None, None).unwrap();
    }
    let bytes = writer.finish();
    let batch = Batch::parse(&bytes, &LIMITS).unwrap();
    assert!(batch.records().map(|record| record.offset).eq(expected.map(Some)));
    let again = rewrite(&batch);
    assert_eq!(Model::read(&Batch::parse(&again, &LIMITS).unwrap()), Model::read(&batch));
}

#[test]
fn values_of_headers_may_share_a_character() {
    let [first, second] = *"ö".as_bytes() else { panic!("two bytes") };
    let headers = [("", [first]), ("", [second]), ("ö", [first])];
    let mut writer = Writer::new();
    for count in [2, 3] {
        writer.run(&run("t")).unwrap();
        writer.push(None, None, None).unwrap();
        for (name, value) in &headers[..count] {
            writer.header(name, Some(value)).unwrap();
        }
        let bytes = writer.finish();
        let batch = Batch::parse(&bytes, &LIMITS).unwrap();
        let found = batch.records().flat_map(|record| record.headers().collect::<Vec<_>>());
        assert!(found.eq(headers[..count].iter().map(|(name, value)| (*name, Some(&value[..])))));
    }
}

#[test]
fn a_batch_beyond_the_limit_of_the_format_is_refused_before_it_is_written() {
    let mut writer = Writer::new();
    writer.run(&run("t")).unwrap();
    // Untouched zero pages: they cost address space only.
    let huge = vec![0; MAX_BYTES - 100];
    assert!(matches!(writer.push(None, Some(&huge), None), Err(WriteError::Full { .. })));
    assert!(matches!(writer.push(Some(&huge), Some(&huge), None), Err(WriteError::Full { .. })));
    writer.push(None, Some(b"small"), None).unwrap();
    assert!(matches!(writer.header("h", Some(&huge)), Err(WriteError::Full { .. })));
    assert_eq!(writer.len(), 1);
}

#[test]
fn many_topics_and_partitions_are_each_written_once() {
    let mut writer = Writer::new();
    let names: Vec<_> = (0..20_000).map(|i| format!("{{\"partition\":{i}}}")).collect();
    for _ in 0..3 {
        for name in names.iter().chain(&names) {
            writer.run(&run(name)).unwrap();
            writer.push(None, None, None).unwrap();
            writer.mark(name, "{}").unwrap();
        }
        let bytes = writer.finish();
        let batch = Batch::parse(&bytes, &LIMITS).unwrap();
        assert!(batch.topics().eq(names.iter()));
        assert!(batch.source_partitions().eq(names.iter()));
    }
}
