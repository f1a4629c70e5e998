//! Each converter with each format, both ways, as Java does it.

use proptest::prelude::*;
use transom_batch::Format::{self, Bytes, Json, String as Text};

use super::*;

const PLAIN: Converter = Converter::Json { schemas: false, replace_null_with_default: true };
const ENVELOPE: Converter = Converter::Json { schemas: true, replace_null_with_default: true };

fn to(converter: Converter, format: Format, schema: Option<&str>, data: Option<&[u8]>) -> Option<String> {
    let mut scratch = b"left from before".to_vec();
    let bytes = converter.serialize(format, schema, data, &mut scratch).unwrap();
    bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn to_error(converter: Converter, format: Format, schema: Option<&str>, data: Option<&[u8]>) -> String {
    converter.serialize(format, schema, data, &mut Vec::new()).unwrap_err().to_string()
}

#[track_caller]
fn from(converter: Converter, data: Option<&str>, expected: (Format, Option<&str>, Option<&[u8]>)) {
    let mut scratch = b"left from before".to_vec();
    let found = converter.deserialize(data.map(str::as_bytes), &mut scratch).unwrap();
    assert_eq!((found.format, found.schema.as_deref(), found.data), expected, "{data:?}");
}

fn from_error(converter: Converter, data: &str) -> String {
    converter.deserialize(Some(data.as_bytes()), &mut Vec::new()).unwrap_err().to_string()
}

#[test]
fn the_common_pairs_borrow() {
    for (converter, format) in [(Converter::String, Text), (Converter::ByteArray, Bytes), (PLAIN, Json)] {
        assert!(converter.passes_through(format));
        let (data, mut scratch) = (b"{\"a\":1}".as_slice(), Vec::new());
        let written = converter.serialize(format, None, Some(data), &mut scratch).unwrap().unwrap();
        assert!(std::ptr::eq(written, data));
        let read = converter.deserialize(Some(data), &mut scratch).unwrap();
        assert_eq!(read.format, format);
        assert!(std::ptr::eq(read.data.unwrap(), data));
        assert_eq!(scratch.capacity(), 0);
    }
}

#[test]
fn what_passes_through_is_what_serialize_does_not_change() {
    for converter in [Converter::String, Converter::ByteArray, PLAIN, ENVELOPE] {
        for format in [Text, Bytes, Json] {
            // A JSON string, to tell the text in it from the text that it is.
            let data = b"\"a\"".as_slice();
            let mut scratch = Vec::new();
            let unchanged = converter
                .serialize(format, None, Some(data), &mut scratch)
                .is_ok_and(|out| out == Some(data));
            assert_eq!(converter.passes_through(format), unchanged, "{converter:?} {format:?}");
        }
    }
}

#[test]
fn null_without_a_schema_is_null_for_every_converter() {
    for converter in [Converter::String, Converter::ByteArray, PLAIN, ENVELOPE] {
        for format in [Text, Bytes, Json] {
            assert_eq!(to(converter, format, None, None), None);
        }
        assert_eq!(converter.deserialize(None, &mut Vec::new()).unwrap().data, None);
    }
}

#[test]
fn the_envelope_goes_around_the_payload_as_it_is() {
    let schema = r#"{"type":"int32","optional":false}"#;
    let envelope = r#"{"schema":{"type":"int32","optional":false},"payload":1}"#;
    assert_eq!(to(ENVELOPE, Json, Some(schema), Some(b"1")).unwrap(), envelope);
    from(ENVELOPE, Some(envelope), (Json, Some(schema), Some(b"1")));
    assert_eq!(
        to(ENVELOPE, Json, None, Some(b"{\"a\": [1]}")).unwrap(),
        r#"{"schema":null,"payload":{"a": [1]}}"#
    );
    from(ENVELOPE, Some(r#" {"payload": {"a": [1]} , "schema":null} "#), (Json, None, Some(b"{\"a\": [1]}")));
}

#[test]
fn text_becomes_a_json_string_and_comes_back() {
    assert_eq!(to(PLAIN, Text, None, Some("a\"é\u{1f600}".as_bytes())).unwrap(), r#""a\"é\uD83D\uDE00""#);
    let envelope = r#"{"schema":{"type":"string","optional":false},"payload":"a\"b"}"#;
    assert_eq!(to(ENVELOPE, Text, None, Some(b"a\"b")).unwrap(), envelope);
    from(ENVELOPE, Some(envelope), (Text, Some(r#"{"type":"string","optional":false}"#), Some(b"a\"b")));
}

#[test]
fn bytes_become_base64_and_come_back() {
    assert_eq!(to(PLAIN, Bytes, None, Some(&[0xfb, 0xff])).unwrap(), r#""+/8=""#);
    let envelope = r#"{"schema":{"type":"bytes","optional":false},"payload":"+/8="}"#;
    assert_eq!(to(ENVELOPE, Bytes, None, Some(&[0xfb, 0xff])).unwrap(), envelope);
    from(
        ENVELOPE,
        Some(envelope),
        (Bytes, Some(r#"{"type":"bytes","optional":false}"#), Some(&[0xfb, 0xff])),
    );
    let escaped = r#"{"schema":{"type":"bytes"},"payload":"+\/8="}"#;
    from(ENVELOPE, Some(escaped), (Bytes, Some(r#"{"type":"bytes"}"#), Some(&[0xfb, 0xff])));
}

#[test]
fn a_schema_of_the_plugins_own_is_kept() {
    let schema = r#"{"type":"string","optional":true,"name":"n"}"#;
    let envelope = format!(r#"{{"schema":{schema},"payload":"a"}}"#);
    assert_eq!(to(ENVELOPE, Text, Some(schema), Some(b"a")).unwrap(), envelope);
    from(ENVELOPE, Some(&envelope), (Text, Some(schema), Some(b"a")));
}

#[test]
fn null_with_a_schema_is_its_default_or_null_if_it_may_be() {
    let (optional, default) = (r#"{"type":"int32","optional":true}"#, r#"{"type":"int32","default":7}"#);
    assert_eq!(to(PLAIN, Json, Some(optional), None).unwrap(), "null");
    assert_eq!(
        to(ENVELOPE, Json, Some(optional), None).unwrap(),
        format!(r#"{{"schema":{optional},"payload":null}}"#)
    );
    assert_eq!(to(PLAIN, Json, Some(default), None).unwrap(), "7");
    let required = r#"{"type":"int32"}"#;
    assert_eq!(
        to_error(PLAIN, Json, Some(required), None),
        "Conversion error: null value for field that is required and has no default value"
    );
    let envelope = |schema: &str| format!(r#"{{"schema":{schema},"payload":null}}"#);
    from(ENVELOPE, Some(&envelope(optional)), (Json, Some(optional), None));
    from(ENVELOPE, Some(&envelope(default)), (Json, Some(default), Some(b"7")));
    assert_eq!(from_error(ENVELOPE, &envelope(required)), "Invalid null value for required INT32 field");
    from(ENVELOPE, Some(&envelope("null")), (Json, None, None));
    let text = r#"{"type":"string","optional":true}"#;
    from(ENVELOPE, Some(&envelope(text)), (Text, Some(text), None));
}

#[test]
fn a_default_need_not_replace_a_null_that_may_be() {
    let keep = Converter::Json { schemas: true, replace_null_with_default: false };
    let schema = r#"{"type":"int32","optional":true,"default":7}"#;
    let envelope = |payload| format!(r#"{{"schema":{schema},"payload":{payload}}}"#);
    assert_eq!(to(keep, Json, Some(schema), None).unwrap(), envelope("null"));
    assert_eq!(to(ENVELOPE, Json, Some(schema), None).unwrap(), envelope("7"));
    from(keep, Some(&envelope("null")), (Json, Some(schema), None));
}

#[test]
fn what_is_no_envelope_is_refused_in_javas_words() {
    for data in ["1", "[]", "{}", r#"{"schema":null}"#, r#"{"schema":null,"payload":1,"more":2}"#, "", "  "] {
        assert_eq!(
            from_error(ENVELOPE, data),
            "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may not contain additional \
             fields. If you are trying to deserialize plain JSON data, set schemas.enable=false in your converter \
             configuration.",
            "{data:?}"
        );
    }
    for data in ["{", r#"{"schema":nul}"#, "hello"] {
        assert_eq!(
            from_error(ENVELOPE, data),
            "Converting byte[] to Kafka Connect data failed due to serialization error: ",
            "{data:?}"
        );
    }
    assert!(from_error(ENVELOPE, r#"{"schema":1,"payload":1}"#).contains("the schema 1 of the record"));
    assert!(from_error(ENVELOPE, r#"{"schema":{"type":"bytes"},"payload":"*"}"#).contains("not base64"));
}

#[test]
fn text_after_an_envelope_is_ignored_as_in_java() {
    from(ENVELOPE, Some(r#"{"schema":null,"payload":1} more"#), (Json, None, Some(b"1")));
}

#[test]
fn plain_json_of_nothing_is_null() {
    for data in ["", "  \n", "null", " null "] {
        from(PLAIN, Some(data), (Json, None, None));
    }
    from(PLAIN, Some(" 1"), (Json, None, Some(b" 1")));
    from(PLAIN, Some("nul"), (Json, None, Some(b"nul")));
}

#[test]
fn json_as_text_is_the_text_of_a_string_and_the_json_of_others() {
    let text = |json: &str| to(Converter::String, Json, None, Some(json.as_bytes()));
    assert_eq!(text(r#""abc""#).unwrap(), "abc");
    assert_eq!(text(r#" "a\"\u00e9" "#).unwrap(), "a\"é");
    assert_eq!(text(r#"{"a":1}"#).unwrap(), r#"{"a":1}"#);
    assert_eq!(text("null"), None);
}

#[test]
fn text_from_kafka_is_well_formed() {
    let mut scratch = Vec::new();
    let read = Converter::String.deserialize(Some(b"a\xff"), &mut scratch).unwrap();
    assert_eq!((read.format, read.data), (Text, Some("a\u{fffd}".as_bytes())));
}

#[test]
fn the_byte_array_converter_takes_nothing_but_bytes() {
    let error = |format, schema| to_error(Converter::ByteArray, format, schema, Some(b"1"));
    assert_eq!(error(Text, None), "Invalid schema type for ByteArrayConverter: STRING");
    assert_eq!(error(Json, Some(r#"{"type":"int32"}"#)), "Invalid schema type for ByteArrayConverter: INT32");
    assert!(error(Json, None).contains("json without a schema"));
    let bytes = to(Converter::ByteArray, Json, Some(r#"{"type":"bytes"}"#), Some(br#""Zm9v""#));
    assert_eq!(bytes.unwrap(), "foo");
}

#[test]
fn what_a_plugin_calls_text_must_be_it_where_it_is_read() {
    assert!(to_error(PLAIN, Text, None, Some(b"\xff")).contains("not UTF-8"));
}

proptest! {
    #[test]
    fn text_and_bytes_come_back_through_an_envelope(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        for (format, data) in [(Text, text.as_bytes()), (Bytes, &bytes)] {
            let (mut written, mut read) = (Vec::new(), Vec::new());
            let envelope = ENVELOPE.serialize(format, None, Some(data), &mut written).unwrap();
            let back = ENVELOPE.deserialize(envelope, &mut read).unwrap();
            prop_assert_eq!((back.format, back.data), (format, Some(data)));
        }
    }

    #[test]
    fn nothing_from_kafka_makes_a_converter_panic(data in any::<Vec<u8>>()) {
        for converter in [Converter::String, Converter::ByteArray, PLAIN, ENVELOPE] {
            let _ = converter.deserialize(Some(&data), &mut Vec::new());
        }
    }
}
