//! The golden files, which every SDK reads: each `.batch` says what the `.json` beside it says.
//! `tests/golden/README.md` tells what is in them and how they are made.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use transom_batch::{Batch, Failure, Format, Outcome, OutcomeWriter, Run, TimestampType, Writer};

use crate::model::{LIMITS, rewrite};

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/golden"))
}

/// Every golden file's name, with its description.
fn descriptions() -> Vec<(String, Value)> {
    let mut found: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(found.len() >= 8, "golden files are missing in {}", folder().display());
    found
}

fn batch_file(name: &str) -> PathBuf {
    folder().join(name).with_extension("batch")
}

#[test]
fn every_golden_batch_says_what_its_description_says() {
    for (name, description) in descriptions() {
        let bytes = fs::read(batch_file(&name)).unwrap();
        let mut found = if description.get("failures").is_some() {
            failures_to_json(&Outcome::parse(&bytes, &LIMITS).unwrap())
        } else {
            batch_to_json(&Batch::parse(&bytes, &LIMITS).unwrap())
        };
        for comment in ["doc", "unknown_columns"] {
            if let Some(text) = description.get(comment) {
                found[comment] = text.clone();
            }
        }
        assert_eq!(found, description, "{name}");
    }
}

#[test]
fn every_golden_batch_is_what_the_writer_makes_of_its_description() {
    for (name, description) in descriptions() {
        assert!(write(&description) == fs::read(batch_file(&name)).unwrap(), "{name}.batch is another");
    }
}

#[test]
fn every_golden_batch_is_read_and_written_again_byte_for_byte() {
    for (name, description) in descriptions() {
        let bytes = fs::read(batch_file(&name)).unwrap();
        if description.get("failures").is_some() {
            let outcome = Outcome::parse(&bytes, &LIMITS).unwrap();
            let mut writer = OutcomeWriter::new();
            outcome.failures().for_each(|failure| writer.fail(failure).unwrap());
            assert!(writer.finish() == bytes, "{name}");
        } else {
            let mut again = rewrite(&Batch::parse(&bytes, &LIMITS).unwrap());
            add_unknown_columns(&mut again, &description);
            assert!(again == bytes, "{name}");
        }
    }
}

#[test]
fn the_example_of_the_specification_is_the_golden_file() {
    let specification = include_str!("../../../../../wit/batch.md");
    let (_, example) = specification.split_once("```hex\n").unwrap();
    let (example, _) = example.split_once("\n```").unwrap();
    let golden = fs::read(batch_file("plain")).unwrap();
    let mut bytes = Vec::new();
    for line in example.lines() {
        let (at, rest) = line.split_once("  ").unwrap();
        let at = usize::from_str_radix(at, 16).unwrap();
        assert!(at >= bytes.len(), "{line}");
        bytes.resize(at, 0);
        let hex = rest.chars().take(49).collect::<String>();
        let digits = hex.split_whitespace().filter(|digits| *digits != "…");
        bytes.extend(digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()));
        assert_eq!(bytes, golden[..bytes.len()], "{line}");
    }
    assert_eq!(bytes, golden);
}

#[test]
#[ignore = "writes the golden files; see tests/golden/README.md"]
fn write_the_golden_batches() {
    for (name, description) in descriptions() {
        fs::write(batch_file(&name), write(&description)).unwrap();
    }
}

fn write(description: &Value) -> Vec<u8> {
    if let Some(failures) = description.get("failures") {
        let mut writer = OutcomeWriter::new();
        for failure in array(failures) {
            let failure = Failure {
                topic: text(&failure["topic"]),
                partition: number(&failure["partition"]) as i32,
                offset: number(&failure["offset"]),
                code: number(&failure["code"]) as u32,
                message: text(&failure["message"]),
            };
            writer.fail(failure).unwrap();
        }
        return writer.finish();
    }
    let mut writer = Writer::new();
    let runs = array(&description["runs"]);
    let mut marks = array(&description["marks"]).iter().peekable();
    let mut records = array(&description["records"]).iter();
    let mut mark_after = |writer: &mut Writer| {
        while let Some(mark) = marks.next_if(|mark| number(&mark["after"]) == writer.len() as i64) {
            writer.mark(text(&mark["partition"]), text(&mark["offset"])).unwrap();
        }
    };
    mark_after(&mut writer);
    for run in runs {
        for record in records.by_ref().take(number(&run["records"]) as usize) {
            writer.run(&run_from_json(run)).unwrap();
            push(&mut writer, record);
            mark_after(&mut writer);
        }
    }
    let mut bytes = writer.finish();
    add_unknown_columns(&mut bytes, description);
    bytes
}

fn push(writer: &mut Writer, record: &Value) {
    let (key, value) = (bytes(&record["key"]), bytes(&record["value"]));
    let timestamp = record["timestamp"].as_i64();
    match record["offset"].as_i64() {
        Some(offset) => writer.push_at(offset, key.as_deref(), value.as_deref(), timestamp).unwrap(),
        None => writer.push(key.as_deref(), value.as_deref(), timestamp).unwrap(),
    }
    for header in array(&record["headers"]) {
        writer.header(text(&header["name"]), bytes(&header["value"]).as_deref()).unwrap();
    }
}

/// Columns that no reader of this version knows, which the writer therefore does not write.
fn add_unknown_columns(batch: &mut Vec<u8>, description: &Value) {
    let Some(columns) = description.get("unknown_columns") else { return };
    for column in array(columns) {
        let content = bytes(&column["content"]).unwrap();
        let count = u32::from_le_bytes(batch[12..16].try_into().unwrap());
        let at = 16 + count as usize * 12;
        batch.resize(batch.len().next_multiple_of(8), 0);
        let start = batch.len() as u32;
        batch.extend(&content);
        batch[12..16].copy_from_slice(&(count + 1).to_le_bytes());
        batch[at..at + 2].copy_from_slice(&(number(&column["id"]) as u16).to_le_bytes());
        batch[at + 2..at + 4].copy_from_slice(&(number(&column["kind"]) as u16).to_le_bytes());
        batch[at + 4..at + 8].copy_from_slice(&start.to_le_bytes());
        batch[at + 8..at + 12].copy_from_slice(&(content.len() as u32).to_le_bytes());
    }
}

fn batch_to_json(batch: &Batch<'_>) -> Value {
    let records = batch.records().map(|record| {
        let headers = record.headers().map(|(name, value)| json!({"name": name, "value": payload(value)}));
        json!({
            "key": payload(record.key),
            "value": payload(record.value),
            "timestamp": record.timestamp,
            "offset": record.offset,
            "headers": headers.collect::<Vec<_>>(),
        })
    });
    let marks = batch.marks().map(|mark| {
        let partition = batch.source_partition(mark.partition);
        json!({"after": mark.after, "partition": partition, "offset": mark.offset})
    });
    json!({
        "runs": batch.runs().map(|(run, records)| run_to_json(&run, records.len())).collect::<Vec<_>>(),
        "records": records.collect::<Vec<_>>(),
        "marks": marks.collect::<Vec<_>>(),
    })
}

fn failures_to_json(outcome: &Outcome<'_>) -> Value {
    let failures = outcome.failures().map(|failure| {
        json!({
            "topic": failure.topic,
            "partition": failure.partition,
            "offset": failure.offset,
            "code": failure.code,
            "message": failure.message,
        })
    });
    json!({ "failures": failures.collect::<Vec<_>>() })
}

const FORMATS: [(Format, &str); 3] =
    [(Format::Bytes, "bytes"), (Format::String, "string"), (Format::Json, "json")];
const TIMESTAMP_TYPES: [(TimestampType, &str); 3] = [
    (TimestampType::Create, "create"),
    (TimestampType::LogAppend, "log append"),
    (TimestampType::None, "none"),
];

fn run_to_json(run: &Run<'_>, records: usize) -> Value {
    json!({
        "records": records,
        "topic": run.topic,
        "partition": run.partition,
        "key_format": FORMATS[run.key_format as usize].1,
        "value_format": FORMATS[run.value_format as usize].1,
        "key_schema": run.key_schema,
        "value_schema": run.value_schema,
        "timestamp_type": TIMESTAMP_TYPES[run.timestamp_type as usize].1,
        "base_offset": run.base_offset,
    })
}

fn run_from_json(run: &Value) -> Run<'_> {
    let format = |value: &Value| FORMATS.iter().find(|format| *value == format.1).unwrap().0;
    Run {
        topic: text(&run["topic"]),
        partition: run["partition"].as_i64().map(|partition| partition as i32),
        key_format: format(&run["key_format"]),
        value_format: format(&run["value_format"]),
        key_schema: run["key_schema"].as_str(),
        value_schema: run["value_schema"].as_str(),
        timestamp_type: TIMESTAMP_TYPES.iter().find(|kind| run["timestamp_type"] == kind.1).unwrap().0,
        base_offset: run["base_offset"].as_i64(),
    }
}

/// `null`, a string, or `{"hex": "00ff"}` for what is not UTF-8.
fn payload(bytes: Option<&[u8]>) -> Value {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => Value::Null,
        Some((_, Ok(text))) => text.into(),
        Some((bytes, Err(_))) => {
            json!({"hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()})
        }
    }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    if let Some(hex) = value.get("hex") {
        let digits = text(hex).as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        return Some(digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect());
    }
    value.as_str().map(|text| text.as_bytes().to_vec())
}

fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap()
}
