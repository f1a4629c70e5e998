//! What is written can be read by who knows the format.

use apache_avro::types::Value as Avro;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Row;
use serde_json::json;
use transom_sdk::testing::TestRecord;

use super::*;

fn schema() -> String {
    let field = |name: &str, kind: serde_json::Value, optional: bool| {
        let mut field = if kind.is_object() { kind } else { json!({ "type": kind }) };
        field["field"] = name.into();
        field["optional"] = optional.into();
        field
    };
    json!({ "type": "struct", "optional": false, "name": "com.example.Order", "fields": [
        field("id", json!("int64"), false),
        field("small", json!("int8"), true),
        field("text", json!("string"), true),
        field("price", json!("double"), false),
        field("ok", json!("boolean"), false),
        field("raw", json!("bytes"), true),
        field("at", json!({ "type": "int64", "name": "org.apache.kafka.connect.data.Timestamp" }), false),
        field("tags", json!({ "type": "array", "items": { "type": "string", "optional": true } }), true),
        field("sizes", json!({ "type": "map", "keys": { "type": "string" }, "values": { "type": "int32" } }), false),
        field("inner", json!({ "type": "struct", "fields": [
            { "field": "list", "type": "array", "items": { "type": "struct", "fields": [
                { "field": "n", "type": "int32", "optional": true }] } }] }), true),
    ] })
    .to_string()
}

fn values() -> Vec<serde_json::Value> {
    let full = json!({ "id": 1, "small": -3, "text": "ä", "price": 1.5, "ok": true, "raw": "AQI=", "at": 1000,
        "tags": ["a", null, "b"], "sizes": { "s": 1, "l": 2 }, "inner": { "list": [{ "n": 1 }, { "n": null }] } });
    let bare =
        json!({ "id": -9_000_000_000i64, "price": -0.25, "ok": false, "at": 0, "tags": null, "sizes": {} });
    let empty = json!({ "id": 3, "price": 0.0, "ok": true, "at": 5, "tags": [], "sizes": { "x": 7 }, "inner": { "list": [] } });
    vec![full, bare, empty]
}

fn written(format: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let record = |value: serde_json::Value| {
        let mut record = TestRecord::new("t", 0, Format::Json, Some(value.to_string().as_bytes()));
        record.value_schema = Some(schema());
        record
    };
    let settings = [&[("format.class", format), ("flush.size", "3")], more].concat();
    let mut world = World::new(&settings, values().into_iter().map(record).collect());
    world.run(2);
    let objects = world.store.borrow().objects.clone();
    assert_eq!(objects.len(), 1, "{:?}", objects.keys());
    objects.into_values().next().unwrap()
}

#[test]
fn avro_can_be_read() {
    for codec in ["null", "deflate"] {
        let file = written("io.confluent.connect.s3.format.avro.AvroFormat", &[("avro.codec", codec)]);
        let reader = apache_avro::Reader::new(&file[..]).unwrap();
        let read: Vec<_> = reader.map(|value| value.unwrap()).collect();
        assert_eq!(read.len(), 3);
        let Avro::Record(fields) = &read[0] else { panic!("{:?}", read[0]) };
        let field = |name: &str| &fields.iter().find(|(known, _)| known == name).unwrap().1;
        assert_eq!(*field("id"), Avro::Long(1));
        assert_eq!(*field("at"), Avro::TimestampMillis(1000));
        assert_eq!(*field("raw"), Avro::Union(1, Box::new(Avro::Bytes(vec![1, 2]))));
        let some = |text: &str| Avro::Union(1, Box::new(Avro::String(text.into())));
        let tags = Avro::Array(vec![some("a"), Avro::Union(0, Box::new(Avro::Null)), some("b")]);
        assert_eq!(*field("tags"), Avro::Union(1, Box::new(tags)));
        let Avro::Record(bare) = &read[1] else { panic!("{:?}", read[1]) };
        assert_eq!(bare[0].1, Avro::Long(-9_000_000_000));
        assert_eq!(bare[2].1, Avro::Union(0, Box::new(Avro::Null)));
    }
}

#[test]
fn parquet_can_be_read() {
    for codec in ["none", "snappy", "gzip"] {
        let file =
            written("io.confluent.connect.s3.format.parquet.ParquetFormat", &[("parquet.codec", codec)]);
        let again =
            written("io.confluent.connect.s3.format.parquet.ParquetFormat", &[("parquet.codec", codec)]);
        assert!(file == again, "an object that is written again is the same");
        let reader = SerializedFileReader::new(bytes_of(file)).unwrap();
        let rows: Vec<Row> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap()).collect();
        let shown: Vec<_> = rows.iter().map(|row| row.to_string()).collect();
        assert_eq!(rows.len(), 3);
        for part in [
            "id: 1",
            "small: -3",
            "text: \"ä\"",
            "price: 1.5",
            "raw: [1, 2]",
            "tags: [\"a\", null, \"b\"]",
            "sizes: {\"s\" -> 1, \"l\" -> 2}",
            "list: [{n: 1}, {n: null}]",
        ] {
            assert!(shown[0].contains(part), "{part}: {}", shown[0]);
        }
        for part in ["id: -9000000000", "tags: null", "sizes: {}", "inner: null"] {
            assert!(shown[1].contains(part), "{part}: {}", shown[1]);
        }
        for part in ["tags: []", "sizes: {\"x\" -> 7}", "inner: {list: []}"] {
            assert!(shown[2].contains(part), "{part}: {}", shown[2]);
        }
    }
}

fn bytes_of(file: Vec<u8>) -> bytes::Bytes {
    file.into()
}

#[test]
fn a_record_without_a_schema_says_which_converter_has_one() {
    for format in ["AvroFormat", "ParquetFormat"] {
        let mut world = World::new(&[("format.class", format)], vec![]);
        let failed = world.sink.put(&records(1)).unwrap();
        assert!(failed[0].message.contains("value.converter.schemas.enable=true"), "{failed:?}");
    }
}

#[test]
fn another_schema_begins_another_object() {
    let with = |kind: &str| {
        let mut record = TestRecord::new("t", 0, Format::Json, Some(b"{\"a\":1}"));
        let schema = json!({ "type": "struct", "fields": [{ "field": "a", "type": kind }] });
        record.value_schema = Some(schema.to_string());
        record
    };
    let all = vec![with("int32"), with("int32"), with("int64"), with("int64")];
    let mut world = World::new(&[("format.class", "AvroFormat"), ("flush.size", "3")], all);
    world.run(4);
    world.commit();
    assert_eq!((world.committed, world.objects().len()), (2, 1));
}

#[test]
fn json_is_a_line_a_record_whatever_it_was() {
    let records = vec![
        TestRecord::new("t", 0, Format::Json, Some(b" {\"n\":\r\n 1.10}\n")),
        TestRecord::string("t", 0, "a\n\"b\""),
        TestRecord::new("t", 0, Format::Bytes, Some(&[1, 2])),
    ];
    let mut world = World::new(&[("flush.size", "3")], records);
    world.run(3);
    let content = world.objects().into_values().next().unwrap();
    assert_eq!(content, "{\"n\":   1.10}\n\"a\\n\\\"b\\\"\"\n\"AQI=\"\n");
}
