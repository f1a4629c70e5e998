//! Text, and how Java writes it in JSON.

use serde_json::Value;

/// Bytes as UTF-8: as they are if they are that, else with U+FFFD for what is not, as Java decodes them.
pub(super) fn well_formed<'a>(data: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if std::str::from_utf8(data).is_ok() {
        return data;
    }
    scratch.clear();
    scratch.extend_from_slice(String::from_utf8_lossy(data).as_bytes());
    scratch
}

/// Writes text as a JSON string, in Jackson's form: `\b \t \n \f \r \" \\` for those, `\u00XX` for other control
/// characters, a pair of escapes for what lies beyond U+FFFF, capital digits; everything else as it is.
pub(super) fn write_json_string(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut clean_from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        // The first byte of four: a character beyond U+FFFF.
        let astral = byte >= 0xf0;
        if byte >= 0x20 && byte != b'"' && byte != b'\\' && !astral {
            continue;
        }
        out.extend_from_slice(&bytes[clean_from..at]);
        clean_from = at + 1;
        match byte {
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ if astral => {
                clean_from = at + 4;
                if let Some(character) = text[at..].chars().next() {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        escape(*unit, out);
                    }
                }
            }
            _ => escape(byte.into(), out),
        }
    }
    out.extend_from_slice(&bytes[clean_from..]);
    out.push(b'"');
}

/// Writes a value as Jackson does: without blanks, members in their order.
pub(crate) fn write_java_json(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => write_json_string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_java_json(item, out);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_json_string(name, out);
                out.push(b':');
                write_java_json(member, out);
            }
            out.push(b'}');
        }
        _ => out.extend_from_slice(value.to_string().as_bytes()),
    }
}

fn escape(unit: u16, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(b"\\u");
    out.extend([12, 8, 4, 0].map(|shift| DIGITS[usize::from(unit >> shift & 0xf)]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(text: &str) -> String {
        let mut out = Vec::new();
        write_json_string(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn characters_are_escaped_as_jackson_does() {
        assert_eq!(json(""), r#""""#);
        assert_eq!(json("a/b é€\u{7f}"), "\"a/b é€\u{7f}\"");
        assert_eq!(json("\"\\\u{8}\t\n\u{c}\r"), r#""\"\\\b\t\n\f\r""#);
        assert_eq!(json("\u{0}\u{1b}\u{1f}"), r#""\u0000\u001B\u001F""#);
        assert_eq!(json("x\u{1f600}y"), r#""x\uD83D\uDE00y""#);
    }

    #[test]
    fn what_is_not_utf_8_is_replaced() {
        let mut scratch = Vec::new();
        assert_eq!(well_formed("é".as_bytes(), &mut scratch), "é".as_bytes());
        assert_eq!(well_formed(b"a\xffb\xe2\x82", &mut scratch), "a\u{fffd}b\u{fffd}".as_bytes());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(text in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&json(&text)).unwrap(), text);
        }
    }
}
