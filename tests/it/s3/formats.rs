//! What is in the bucket can be read by who knows the format, and each record is there once, with its values.

use std::io::Read as _;

use apache_avro::types::Value as Avro;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};
use transom_tests::gate::{Gate, Hold};

use super::*;

const ENVELOPE: [(&str, &str); 2] = [
    ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
    ("value.converter.schemas.enable", "true"),
];

/// Every format with every compression that it has, and how its objects end.
const CASES: [(&str, &str, &str, &str); 11] = [
    ("JsonFormat", "s3.compression.type", "none", ".json"),
    ("JsonFormat", "s3.compression.type", "gzip", ".json.gz"),
    ("JsonFormat", "s3.compression.type", "zstd", ".json.zst"),
    ("ByteArrayFormat", "s3.compression.type", "none", ".bin"),
    ("ByteArrayFormat", "s3.compression.type", "gzip", ".bin.gz"),
    ("ByteArrayFormat", "s3.compression.type", "zstd", ".bin.zst"),
    ("AvroFormat", "avro.codec", "null", ".avro"),
    ("AvroFormat", "avro.codec", "deflate", ".avro"),
    ("ParquetFormat", "parquet.codec", "none", ".parquet"),
    ("ParquetFormat", "parquet.codec", "snappy", ".snappy.parquet"),
    ("ParquetFormat", "parquet.codec", "gzip", ".gz.parquet"),
];

/// The schema of orders; the second one has a field more.
fn schema(second: bool) -> Value {
    let mut fields = vec![
        json!({ "field": "id", "type": "int64", "optional": false }),
        json!({ "field": "name", "type": "string", "optional": true }),
        json!({ "field": "price", "type": "double", "optional": false }),
        json!({ "field": "paid", "type": "boolean", "optional": false }),
        json!({ "field": "raw", "type": "bytes", "optional": false }),
        json!({ "field": "tags", "type": "array", "optional": false, "items": { "type": "string" } }),
    ];
    if second {
        fields.push(json!({ "field": "extra", "type": "int32", "optional": false }));
    }
    json!({ "type": "struct", "name": "com.example.Order", "optional": false, "fields": fields })
}

/// An order, with `raw` as bytes or as JSON has them. No two names are alike, so that no format makes them small.
fn order(n: usize, second: bool, size: usize, raw: &Value) -> Value {
    let mut state = n as u64 + 1;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + (state >> 58) as u8)
    });
    let text: String =
        format!("order {n} ").chars().chain(letters.filter(|letter| *letter != '"')).take(size).collect();
    let name = if n % 7 == 3 { Value::Null } else { text.into() };
    let tags = vec![format!("ä{n}"); n % 3];
    let mut order = json!({ "id": n, "name": name, "price": n as f64 / 4.0 - 3.0, "paid": n.is_multiple_of(2), "raw": raw, "tags": tags });
    if second {
        order["extra"] = json!(n * 2);
    }
    order
}

fn raw(n: usize) -> (&'static str, &'static [u8]) {
    [("AQI=", &[1, 2][..]), ("AP8=", &[0, 255]), ("", &[])][n % 3]
}

fn message(n: usize, second: bool, size: usize) -> String {
    json!({ "schema": schema(second), "payload": order(n, second, size, &raw(n).0.into()) }).to_string()
}

fn lines(content: &[u8]) -> Vec<String> {
    let text = String::from_utf8(content.to_vec()).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The records of an object, as JSON; bytes are lists of numbers, but in JSON.
fn read(key: &str, content: &[u8]) -> Vec<Value> {
    let parse = |line: String| serde_json::from_str(&line).unwrap();
    let plain = match key.rsplit_once('.').unwrap().1 {
        "gz" => {
            let mut plain = Vec::new();
            flate2::read::MultiGzDecoder::new(content).read_to_end(&mut plain).unwrap();
            plain
        }
        "zst" => zstd::decode_all(content).unwrap(),
        "avro" => {
            let records = apache_avro::Reader::new(content).unwrap();
            return records.map(|record| of_avro(record.unwrap())).collect();
        }
        "parquet" => {
            let file = SerializedFileReader::new(bytes::Bytes::copy_from_slice(content)).unwrap();
            let rows = file.get_row_iter(None).unwrap().map(|row| row.unwrap());
            return rows.map(|row| of_parquet(&Field::Group(row))).collect();
        }
        _ => content.to_vec(),
    };
    lines(&plain).into_iter().map(parse).collect()
}

fn of_avro(value: Avro) -> Value {
    match value {
        Avro::Record(fields) => fields.into_iter().map(|(name, value)| (name, of_avro(value))).collect(),
        Avro::Union(_, value) => of_avro(*value),
        Avro::Array(items) => items.into_iter().map(of_avro).collect(),
        Avro::Null => Value::Null,
        Avro::Int(number) => number.into(),
        Avro::Long(number) => number.into(),
        Avro::Double(number) => number.into(),
        Avro::Boolean(yes) => yes.into(),
        Avro::String(text) => text.into(),
        Avro::Bytes(bytes) => bytes.into(),
        other => panic!("{other:?}"),
    }
}

fn of_parquet(field: &Field) -> Value {
    match field {
        Field::Group(row) => {
            row.get_column_iter().map(|(name, field)| (name.clone(), of_parquet(field))).collect()
        }
        Field::ListInternal(list) => list.elements().iter().map(of_parquet).collect(),
        Field::Null => Value::Null,
        Field::Int(number) => (*number).into(),
        Field::Long(number) => (*number).into(),
        Field::Double(number) => (*number).into(),
        Field::Bool(yes) => (*yes).into(),
        Field::Str(text) => text.clone().into(),
        Field::Bytes(bytes) => bytes.data().into(),
        other => panic!("{other:?}"),
    }
}

/// What an object of this format has in place of a record.
fn wanted(format: &str, n: usize, second: bool, size: usize) -> Value {
    match format {
        "JsonFormat" => order(n, second, size, &raw(n).0.into()),
        "ByteArrayFormat" => serde_json::from_str(&message(n, second, size)).unwrap(),
        _ => order(n, second, size, &raw(n).1.into()),
    }
}

#[test]
fn every_format_and_compression_can_be_read_and_has_every_record_once() {
    const FIRST: usize = 250;
    const ALL: usize = 600;
    let mut job = Job::new(kafka(), &versitygw().url(), &[]);
    kafka().produce(&job.topic, (0..ALL).map(|n| Record::of(message(n, n >= FIRST, 40))));
    for (index, (format, key, codec, _)) in CASES.into_iter().enumerate() {
        let folder = format!("case-{index}");
        let own =
            [("topics.dir", folder.as_str()), ("format.class", format), ("flush.size", "100"), (key, codec)];
        let converter = if format == "ByteArrayFormat" { &[][..] } else { &ENVELOPE };
        let mut config = job.config.clone();
        config.extend(own.iter().chain(converter).map(|(key, value)| ((*key).into(), (*value).into())));
        let config: Vec<_> = config.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        job.worker.connector(&unique("format"), &config);
    }
    job.worker.start();
    for (index, (format, _, codec, extension)) in CASES.into_iter().enumerate() {
        let schemas = matches!(format, "AvroFormat" | "ParquetFormat");
        // Where objects have a schema, the 50 before another one are an object, and the last 50 are still open.
        let starts: &[usize] =
            if schemas { &[0, 100, 200, 250, 350, 450] } else { &[0, 100, 200, 300, 400, 500] };
        let keys: Vec<_> = starts
            .iter()
            .map(|start| format!("case-{index}/{0}/partition=0/{0}+0+{start:010}{extension}", job.topic))
            .collect();
        let objects = until(&format!("the objects of {format} {codec}"), || {
            let objects = job.bucket.objects(&format!("case-{index}/"));
            if objects.len() >= keys.len() { Ok(objects) } else { Err(objects.len().to_string()) }
        });
        assert_eq!(objects.keys().cloned().collect::<Vec<_>>(), keys);
        let records: Vec<_> = objects.iter().flat_map(|(key, content)| read(key, content)).collect();
        let all = if schemas { 550 } else { 600 };
        let wanted: Vec<_> = (0..all).map(|n| wanted(format, n, n >= FIRST, 40)).collect();
        assert!(
            records == wanted,
            "{format} {codec}: {:#?} …",
            records.iter().zip(&wanted).find(|(a, b)| a != b)
        );
    }
}

/// Kills the worker once an object is written and before it knows, and looks what it writes when it does not find
/// the object, and that it leaves it if it does. `requests` come before the answer that is held.
fn is_written_again(format: &str, codec: (&str, &str), size: usize, records: usize, requests: usize) {
    let gate = Gate::start(&versitygw().address());
    let flush = records.to_string();
    let own = [("format.class", format), ("flush.size", &flush), ("s3.part.size", "5242880"), codec];
    let more: Vec<_> = own.into_iter().chain(ENVELOPE).collect();
    let mut job = Job::new(kafka(), &gate.url(), &more);
    kafka().produce(&job.topic, (0..2 * records).map(|n| Record::of(message(n, false, size))));
    let mut first = None;
    for attempt in 0..2 {
        gate.hold(requests, Hold::After);
        job.worker.launch();
        gate.await_held();
        job.worker.kill();
        gate.open();
        let mut objects = job.bucket.objects("topics/");
        assert_eq!(objects.len(), 1, "{format}, attempt {attempt}: {:?}", gate.requests());
        let (key, content) = objects.pop_first().unwrap();
        if attempt == 0 {
            job.bucket.remove(&key);
            first = Some(content);
        } else {
            assert!(first.as_ref() == Some(&content), "{format}: the second attempt writes other bytes");
        }
    }
    job.worker.start();
    let objects = until("the second object", || {
        let objects = job.bucket.objects("topics/");
        if objects.len() == 2 { Ok(objects) } else { Err(objects.len().to_string()) }
    });
    job.worker.await_running(&job.connector, 1);
    let all: Vec<_> = objects.iter().flat_map(|(key, content)| read(key, content)).collect();
    let wanted: Vec<_> = (0..2 * records).map(|n| wanted(format, n, false, size)).collect();
    assert!(all == wanted, "{format}: each record once, in order");
    until("no upload to be left", || match job.bucket.uploads() {
        0 => Ok(()),
        left => Err(left.to_string()),
    });
}

#[test]
fn an_object_of_avro_is_written_again_byte_by_byte() {
    is_written_again("AvroFormat", ("avro.codec", "deflate"), 100, 500, 2);
    // Create, three parts, complete.
    is_written_again("AvroFormat", ("avro.codec", "null"), 100_000, 160, 6);
}

#[test]
fn an_object_of_parquet_is_written_again_byte_by_byte() {
    is_written_again("ParquetFormat", ("parquet.codec", "snappy"), 100, 500, 2);
    is_written_again("ParquetFormat", ("parquet.codec", "none"), 100_000, 160, 6);
}
