use super::*;

/// The lines of the only request for one record.
fn written(more: &[(&str, &str)], record: TestRecord) -> Vec<String> {
    let (mut test, asked) = sink(more);
    assert_eq!(test.put(&[record]).unwrap(), []);
    let asked = asked.borrow();
    asked.first().map(lines).unwrap_or_default()
}

/// Why a record is not written.
fn refused(more: &[(&str, &str)], record: TestRecord) -> String {
    let (mut test, asked) = sink(more);
    let failed = test.put(&[record]).unwrap();
    assert_eq!((failed.len(), asked.borrow().len()), (1, 0));
    assert_eq!(durable(&mut test), Some(failed[0].offset + 1), "it was named, so it is the worker's");
    failed[0].message.clone()
}

#[test]
fn a_record_is_a_document_under_its_key_with_its_offset_as_version() {
    let value = "{\"n\": 1.10,\n \"s\":\"a\\nb\"}";
    let action = r#"{"index":{"_index":"topic","_id":"k\"1","version":41,"version_type":"external"}}"#;
    let lines = written(&[], record("k\"1", value).at(41));
    assert_eq!(lines, [action, "{\"n\": 1.10,  \"s\":\"a\\nb\"}"], "byte for byte, in a line");
}

#[test]
fn keys_of_json_are_texts_or_whole_numbers() {
    let json = |key: &str| with(record(key, "{}"), |record| record.key_format = Format::Json);
    assert!(written(&[], json("17"))[0].contains(r#""_id":"17""#));
    assert!(written(&[], json("\"a\\u00e4\""))[0].contains(r#""_id":"aä""#));
    for key in ["1.5", "{\"a\":1}", "null", "true"] {
        assert!(refused(&[], json(key)).contains("neither a text nor a whole number"), "{key}");
    }
}

#[test]
fn without_keys_the_id_is_where_the_record_stands() {
    for more in [("key.ignore", "true"), ("topic.key.ignore", "other,Topic")] {
        let lines = written(&[more], record("k", "{}").at(7));
        let action =
            r#"{"index":{"_index":"topic","_id":"Topic+0+7","version":7,"version_type":"external"}}"#;
        assert_eq!(lines, [action, "{}"]);
    }
}

#[test]
fn a_record_of_which_no_document_can_be_made_is_named_or_dropped() {
    let long = "k".repeat(513);
    let cases = [
        (TestRecord::string("t", 0, "{}"), "no key"),
        (record("", "{}"), "empty key"),
        (record(&long, "{}"), "513 bytes"),
        (TestRecord::string("t", 0, "{}").with_key([0xff]), "no UTF-8"),
        (record("k", "[1]"), "no JSON object"),
        (record("k", ""), "no JSON object"),
        (tombstone("k"), "behavior.on.null.values=fail"),
    ];
    for (record, expected) in cases {
        let message = refused(&[], record.clone());
        assert!(message.contains(expected), "{message}");
        assert!(written(&[("drop.invalid.message", "true")], record).is_empty());
        assert!(
            testing::logs().iter().any(|(level, text)| *level == log::Level::Warn && text.contains(expected))
        );
    }
}

#[test]
fn tombstones_delete_or_mean_nothing() {
    let delete = [("behavior.on.null.values", "delete")];
    let action = r#"{"delete":{"_index":"topic","_id":"k","version":3,"version_type":"external"}}"#;
    assert_eq!(written(&delete, tombstone("k").at(3)), [action]);
    assert!(written(&[("behavior.on.null.values", "ignore")], tombstone("k")).is_empty());
    assert!(written(&delete, TestRecord::new("t", 0, Format::Bytes, None)).is_empty(), "nothing is named");
    // What is left out is done.
    let (mut test, _) = sink(&[("behavior.on.null.values", "ignore")]);
    test.put(&[tombstone("k"), tombstone("l")]).unwrap();
    assert_eq!(durable(&mut test), Some(2));
}

#[test]
fn a_header_can_be_the_version() {
    let more = [("external.version.header", "v")];
    let headed = |value: &str| {
        let headers = vec![("v".into(), Some(b"1".to_vec())), ("v".into(), Some(value.into()))];
        with(record("k", "{}"), |record| record.headers = headers)
    };
    assert!(written(&more, headed("77"))[0].contains(r#""version":77,"#));
    assert!(refused(&more, headed("-1")).contains("header v"));
    assert!(refused(&more, record("k", "{}")).contains("header v"));
}

#[test]
fn upserts_put_fields_into_documents() {
    let upsert = [("write.method", "UPSERT"), ("behavior.on.null.values", "delete")];
    let action = r#"{"update":{"_index":"topic","_id":"k","retry_on_conflict":5}}"#;
    assert_eq!(
        written(&upsert, record("k", "{\"a\":\n1}")),
        [action, r#"{"doc":{"a": 1},"doc_as_upsert":true}"#]
    );
    assert_eq!(written(&upsert, tombstone("k")), [r#"{"delete":{"_index":"topic","_id":"k"}}"#]);
    // It would break the request for all the others.
    for value in [r#"{"a":1"#, r#"{"a":1}}"#, r#"{"a":1},"doc_as_upsert":false,"b":{}"#] {
        assert!(refused(&upsert, record("k", value)).contains("no JSON"), "{value}");
    }
}

#[test]
fn a_data_stream_gets_new_documents_with_a_time() {
    let stream = |fields: &'static str| {
        [
            ("data.stream.type", "logs"),
            ("data.stream.dataset", "web"),
            ("data.stream.timestamp.field", fields),
        ]
    };
    let at =
        |value: &str| with(record("k", value).at(5), |record| record.timestamp = Some(1_700_000_000_000));
    let lines = written(&stream(""), at(r#"{"a":{"x":1.0}}"#));
    let action = r#"{"create":{"_index":"logs-web-topic","_id":"Topic+0+5"}}"#;
    assert_eq!(lines, [action, r#"{"@timestamp":1700000000000,"a":{"x":1.0}}"#]);
    let own = r#"{"a":1,"@timestamp":"2024-01-01"}"#;
    assert_eq!(written(&stream(""), at(own))[1], own);
    let lines = written(&stream("missing,at"), at(r#"{"at":"2023-05-05","@timestamp":3}"#));
    assert_eq!(lines[1], r#"{"@timestamp":"2023-05-05","at":"2023-05-05"}"#);
    assert!(refused(&stream(""), at("{\"a\":")).contains("no JSON"));
    assert!(refused(&stream(""), record("k", "{}")).contains("no timestamp"));
}

#[test]
fn documents_go_where_the_index_says() {
    let at = |topic: &str| {
        with(record("k", "{}"), |record| {
            record.timestamp = Some(1_709_208_000_000);
            record.topic = topic.into();
        })
    };
    assert!(written(&[("index", "logs-${topic}-{date}")], at("A"))[0].contains(r#""logs-a-2024.02.29""#));
    let listed =
        [("external.resource.usage", "ALIAS_INDEX"), ("topic.to.external.resource.mapping", "A:one, b:Two")];
    assert!(written(&listed, at("b"))[0].contains(r#""_index":"Two""#));
    assert!(refused(&listed, at("c")).contains("topic.to.external.resource.mapping"));
    let stream = [("external.resource.usage", "DATASTREAM"), ("topic.to.external.resource.mapping", "A:one")];
    assert!(written(&stream, at("A"))[0].contains(r#""create":{"_index":"one""#));
}
