//! JSON, a line a record: the payload as JsonConverter without schemas writes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use transom_sdk::{Error, Format, Record};

pub(super) fn append(record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    let value = record.value().unwrap_or(b"null");
    match record.value_format() {
        Format::Json => {
            let line = value.trim_ascii();
            // Not parsed, so that numbers stay as they are written. Between its values JSON may have newlines, within
            // them it has none.
            let start = out.len();
            out.extend_from_slice(line);
            if line.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
                for byte in out.iter_mut().skip(start).filter(|byte| matches!(byte, b'\n' | b'\r')) {
                    *byte = b' ';
                }
            }
        }
        Format::String => serde_json::to_writer(&mut *out, &record.value_str()?)?,
        Format::Bytes if record.value().is_none() => out.extend_from_slice(b"null"),
        Format::Bytes => {
            out.push(b'"');
            out.extend_from_slice(STANDARD.encode(value).as_bytes());
            out.push(b'"');
        }
    }
    out.push(b'\n');
    Ok(())
}
