//! What the other side may send instead of a batch.

use proptest::prelude::*;
use transom_batch::{Batch, Column, Failure, Limits, Outcome, OutcomeWriter, Run, Writer};

use crate::model::{LIMITS, Model, models, rewrite};

/// Reads everything that can be read, and holds what the reader promises.
fn walk(bytes: &[u8]) {
    if let Ok(batch) = Batch::parse(bytes, &LIMITS) {
        let model = Model::read(&batch);
        let again = rewrite_all(&batch);
        assert_eq!(Model::read(&Batch::parse(&again, &LIMITS).unwrap()), model);
    }
    if let Ok(outcome) = Outcome::parse(bytes, &LIMITS) {
        let offsets: Vec<_> = outcome.failures().map(|failure| failure.offset).collect();
        assert_eq!(offsets.len(), outcome.len());
        assert!(offsets.iter().all(|offset| *offset >= 0));
    }
}

fn rewrite_all(batch: &Batch<'_>) -> Vec<u8> {
    if batch.len() < 100 { rewrite(batch) } else { Vec::new() }
}

fn outcome() -> Vec<u8> {
    let mut writer = OutcomeWriter::new();
    for (offset, message) in [(5, "bad"), (7, ""), (8, "größer")] {
        writer.fail(Failure { topic: "t", partition: 1, offset, code: 3, message }).unwrap();
    }
    writer.finish()
}

proptest! {
    #[test]
    fn a_mutated_batch_is_an_error_or_a_batch(
        model in models(),
        bytes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        words in proptest::collection::vec((any::<prop::sample::Index>(), 0..9_u32), 0..3),
    ) {
        let mut writer = Writer::new();
        model.write(&mut writer);
        for mut batch in [writer.finish(), outcome()] {
            for (at, byte) in &bytes {
                let at = at.index(batch.len());
                batch[at] = *byte;
            }
            for (at, value) in &words {
                let at = at.index(batch.len() / 4) * 4;
                batch[at..at + 4].copy_from_slice(&value.wrapping_sub(4).to_le_bytes());
            }
            walk(&batch);
        }
    }

    #[test]
    fn any_bytes_are_an_error_or_a_batch(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        walk(&bytes);
    }

    #[test]
    fn a_batch_that_is_cut_anywhere_is_an_error_or_a_batch(model in models()) {
        let mut writer = Writer::new();
        model.write(&mut writer);
        for batch in [writer.finish(), outcome()] {
            (0..batch.len()).for_each(|len| walk(&batch[..len]));
        }
    }
}

/// Two runs, nulls, headers, offsets with a gap, a mark.
fn sample() -> Vec<u8> {
    let mut writer = Writer::new();
    writer.run(&Run { topic: "t", partition: Some(0), value_schema: Some("{}"), ..Run::default() }).unwrap();
    writer.push_at(10, Some(b"key"), Some("wört".as_bytes()), Some(1)).unwrap();
    writer.header("näme", Some(b"x")).unwrap();
    writer.header("null", None).unwrap();
    writer.push_at(12, None, None, None).unwrap();
    writer.mark("{\"p\":\"ü\"}", "{\"o\":\"ü\"}").unwrap();
    writer.run(&Run { topic: "u", partition: Some(1), ..Run::default() }).unwrap();
    writer.push_at(3, Some(b"k"), Some(b"v"), Some(2)).unwrap();
    writer.mark("{\"p\":\"ü\"}", "{}").unwrap();
    writer.finish()
}

/// The directory entry of a column: its place, and where the column starts.
fn entry(batch: &[u8], column: Column) -> (usize, usize) {
    let word = |at: usize| u32::from_le_bytes(batch[at..at + 4].try_into().unwrap()) as usize;
    let at =
        (0..word(12)).map(|i| 16 + 12 * i).find(|at| word(*at) & 0xFFFF == usize::from(column.0)).unwrap();
    (at, word(at + 4))
}

fn error(batch: &[u8]) -> String {
    match Outcome::parse(batch, &LIMITS) {
        Ok(_) => "none".into(),
        Err(error) => error.to_string(),
    }
}

/// After `bytes` were put at byte `at` of `column`, the error must begin so; `HERE` stands for where
/// they were put.
fn check(batch: &[u8], (column, at, bytes, expected): (Column, usize, &[u8], &str)) {
    let start = if column == Column::HEADER { at } else { entry(batch, column).1 + at };
    let mut batch = batch.to_vec();
    batch[start..start + bytes.len()].copy_from_slice(bytes);
    let found = error(&batch);
    let expected = format!("batch column {}", expected.replace("HERE", &start.to_string()));
    assert!(found.starts_with(&expected), "{column} + {at}:\n  found    {found}\n  expected {expected}");
}

/// What is done to [`sample`], and what is said about it.
const FAULTS: [(Column, usize, &[u8], &str); 27] = [
    (Column::HEADER, 0, b"X", "`header` at byte HERE: the magic number is 0x424d5258 instead of 0x424d5254"),
    (Column::HEADER, 4, &[2], "`header` at byte HERE: the version is 2, this reader knows 1"),
    (Column::HEADER, 6, &[1], "`header` at byte HERE: unknown flags 0x0001"),
    (
        Column::HEADER,
        8,
        &[255; 4],
        "`header` at byte HERE: the batch has 4294967295 records, the limit is 131072",
    ),
    (
        Column::HEADER,
        12,
        &[255; 4],
        "`header` at byte HERE: it reaches to byte 51539607556, but the batch has",
    ),
    (Column::HEADER, 18, &[9], "`arena` at byte HERE: kind 9 instead of 1 (Bytes)"),
    (Column::HEADER, 20, &[4], "`arena` at byte HERE: it starts at byte 260, which is not a multiple of 8"),
    (Column::HEADER, 24, &[0, 0, 1], "`arena` at byte HERE: it reaches to byte"),
    (
        Column::HEADER,
        28,
        &[0],
        "`header` at byte HERE: id 0 follows id 1: ids must ascend, and each occurs once",
    ),
    (Column::KEY_ENDS, 4, &[7], "`key ends` at byte HERE: end 7 lies before 8, where its element starts"),
    (Column::VALUE_ENDS, 0, &[2], "`value ends` at byte HERE: end 2 lies before 3, where its element starts"),
    (
        Column::VALUE_ENDS,
        8,
        &[99],
        "`value ends` at byte HERE: the last element ends at 99, but there are 10 bytes",
    ),
    (Column::KEY_NULLS, 0, &[1], "`key nulls` at byte HERE: null 0 occupies 3 bytes instead of 0"),
    (Column::VALUE_NULLS, 0, &[8], "`value nulls` at byte HERE: a bit behind the last element is set"),
    (Column::HEADER_COUNTS, 0, &[3], "`header ends` at byte"),
    (Column::HEADER_ENDS, 0, &[2], "`header bytes` at byte"),
    (Column::HEADER_BYTES, 0, &[0xFF], "`header bytes` at byte HERE: the text is not UTF-8"),
    (Column::RUNS, 0, &[3], "`runs` at byte HERE: the runs have 4 records, the batch has 3"),
    (Column::RUNS, 4, &[2], "`runs` at byte HERE: entry 2 of a dictionary of 2 entries"),
    (Column::RUNS, 8, &[254, 255, 255, 255], "`runs` at byte HERE: partition cannot be -2"),
    (Column::RUNS, 20, &[3], "`runs` at byte HERE: key format cannot be 3"),
    (Column::RUNS, 23, &[1], "`runs` at byte HERE: the reserved byte cannot be 1"),
    (
        Column::RUNS,
        24,
        &[1, 0, 0, 0, 255, 255, 255, 127],
        "`runs` at byte HERE: base offset cannot be 9223372032559808513",
    ),
    (Column::TOPICS, 0, &[9], "`topics` at byte HERE: it has 14 bytes instead of 40"),
    (Column::SOURCE_PARTITIONS, 14, &[0xFF], "`source partitions` at byte HERE: the text is not UTF-8"),
    (
        Column::MARKS,
        0,
        &[9],
        "`marks` at byte HERE: a mark after record 9 may not follow one after record 0 of 3",
    ),
    (Column::MARKS, 8, &[7], "`marks` at byte HERE: the text is not UTF-8"),
];

#[test]
fn an_error_names_the_column_the_byte_and_the_fault() {
    let batch = sample();
    FAULTS.into_iter().for_each(|case| check(&batch, case));
}

#[test]
fn an_outcome_must_say_where_the_record_was_and_why_it_failed() {
    let batch = outcome();
    assert_eq!(error(&batch), "none");
    let cases: [(Column, usize, &[u8], &str); 3] = [
        (Column::RUNS, 8, &[255; 4], "`runs` at byte HERE: partition of an outcome cannot be -1"),
        (Column::RUNS, 24, &[255; 8], "`runs` at byte HERE: base offset of an outcome cannot be -1"),
        (
            Column::OUTCOME_MESSAGE_ENDS,
            8,
            &[6],
            "`outcome message ends` at byte HERE: the last element ends at 6",
        ),
    ];
    cases.into_iter().for_each(|case| check(&batch, case));
    assert!(error(&sample()).contains("`outcome codes` at byte"), "{}", error(&sample()));
}

#[test]
fn columns_that_this_version_does_not_know_are_skipped() {
    let mut batch = sample();
    let before = Model::read(&Batch::parse(&batch, &LIMITS).unwrap());
    let columns = u32::from_le_bytes(batch[12..16].try_into().unwrap());
    let start = batch.len().next_multiple_of(8);
    batch.resize(start + 3, 0xEE);
    let at = 16 + columns as usize * 12;
    batch[12..16].copy_from_slice(&(columns + 1).to_le_bytes());
    batch[at..at + 4].copy_from_slice(&[0xE7, 3, 77, 0]);
    batch[at + 4..at + 8].copy_from_slice(&(start as u32).to_le_bytes());
    batch[at + 8..at + 12].copy_from_slice(&3_u32.to_le_bytes());
    assert_eq!(Model::read(&Batch::parse(&batch, &LIMITS).unwrap()), before);
    batch.pop();
    assert!(error(&batch).starts_with("batch column `999` at byte"), "{}", error(&batch));
}

#[test]
fn the_limits_of_the_reader_hold() {
    let batch = sample();
    let tight = Limits { bytes: batch.len(), records: 3 };
    assert_eq!(Batch::parse(&batch, &tight).unwrap().len(), 3);
    let found = Batch::parse(&batch, &Limits { bytes: batch.len() - 1, ..tight }).unwrap_err();
    assert!(found.to_string().contains("the limit is"), "{found}");
    let found = Batch::parse(&batch, &Limits { records: 2, ..tight }).unwrap_err();
    assert!(found.to_string().contains("3 records, the limit is 2"), "{found}");
}

#[test]
fn no_bytes_at_all_are_a_batch_without_records() {
    assert!(Batch::parse(&[], &LIMITS).unwrap().is_empty());
    assert!(Outcome::parse(&[], &LIMITS).unwrap().is_empty());
    assert_eq!(Writer::new().finish().len(), 16);
}
