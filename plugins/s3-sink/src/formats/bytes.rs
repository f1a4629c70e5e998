//! Values as they are, each with a separator behind it.

use transom_sdk::{Error, Format, Record};

pub(super) fn append(record: &Record<'_>, separator: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    if record.value_format() == Format::Json && record.value_schema().is_some() {
        return Err(record.bad("is no bytes: set value.converter to ByteArrayConverter or StringConverter"));
    }
    out.extend_from_slice(record.value().unwrap_or_default());
    out.extend_from_slice(separator);
    Ok(())
}
