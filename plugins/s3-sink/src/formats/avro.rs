//! Avro's object container files: a header with the schema, then blocks of records.
//!
//! Written by hand, from the payload's JSON straight to bytes: the encoding is a page of rules, and no tree of
//! values has to be made of each record. The marker between blocks, which Avro wants to be random, follows from the
//! schema, so that an object which is written again is the same.

use std::collections::BTreeSet;
use std::io::Write as _;

use flate2::write::DeflateEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use transom_sdk::{Error, Record};

use super::Codec;
use super::schema::{Kind, Logical, Schema, payload};

/// Bytes of a block, before it is compressed.
const BLOCK: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Avro {
    schema: Schema,
    codec: Codec,
    sync: [u8; 16],
    /// Not written yet.
    header: Vec<u8>,
    records: i64,
    block: Vec<u8>,
}

impl Avro {
    pub(super) fn begin(schema: Option<&str>, codec: Codec) -> Result<Self, Error> {
        let schema = Schema::parse(schema, "Avro")?;
        let text = avro_of(&schema, &mut BTreeSet::new())?.to_string();
        let mut sync = [0; 16];
        sync.copy_from_slice(&Sha256::digest(&text)[..16]);
        let mut header = b"Obj\x01".to_vec();
        long(2, &mut header);
        let name: &[u8] = if codec == Codec::Deflate { b"deflate" } else { b"null" };
        for (key, value) in [("avro.codec", name), ("avro.schema", text.as_bytes())] {
            blob(key.as_bytes(), &mut header);
            blob(value, &mut header);
        }
        long(0, &mut header);
        header.extend_from_slice(&sync);
        Ok(Self { schema, codec, sync, header, records: 0, block: Vec::new() })
    }

    pub(super) fn append(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        let value = payload(record)?;
        let before = self.block.len();
        if let Err(error) = encode(&self.schema, Some(&value), &mut self.block) {
            self.block.truncate(before);
            return Err(record.bad(error));
        }
        self.records += 1;
        if self.block.len() >= BLOCK { self.end_block(out) } else { Ok(()) }
    }

    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.end_block(out)
    }

    pub(super) fn waiting(&self) -> usize {
        self.block.len()
    }

    fn end_block(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        out.append(&mut self.header);
        if self.records > 0 {
            long(self.records, out);
            if self.codec == Codec::Deflate {
                let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(&self.block)?;
                blob(&encoder.finish()?, out);
            } else {
                blob(&self.block, out);
            }
            out.extend_from_slice(&self.sync);
        }
        self.records = 0;
        self.block.clear();
        Ok(())
    }
}

/// Avro's schema of Connect's.
fn avro_of(schema: &Schema, known: &mut BTreeSet<String>) -> Result<Value, Error> {
    let of = |part: &Option<Box<Schema>>, known: &mut BTreeSet<String>| match part {
        Some(part) => avro_of(part, known),
        None => Err(schema.mismatch()),
    };
    let plain = match (schema.kind, schema.logical()) {
        (_, Logical::Decimal { precision, scale }) => {
            json!({ "type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale })
        }
        (_, Logical::Date) => json!({ "type": "int", "logicalType": "date" }),
        (_, Logical::Time) => json!({ "type": "int", "logicalType": "time-millis" }),
        (_, Logical::Timestamp) => json!({ "type": "long", "logicalType": "timestamp-millis" }),
        (Kind::Int8, _) => json!({ "type": "int", "connect.type": "int8" }),
        (Kind::Int16, _) => json!({ "type": "int", "connect.type": "int16" }),
        (Kind::Int32, _) => json!("int"),
        (Kind::Int64, _) => json!("long"),
        (Kind::Float, _) => json!("float"),
        (Kind::Double, _) => json!("double"),
        (Kind::Boolean, _) => json!("boolean"),
        (Kind::String, _) => json!("string"),
        (Kind::Bytes, _) => json!("bytes"),
        (Kind::Array, _) => json!({ "type": "array", "items": of(&schema.items, known)? }),
        (Kind::Map, _) => json!({ "type": "map", "values": of(&schema.values, known)? }),
        (Kind::Struct, _) => record_of(schema, known)?,
    };
    Ok(if schema.optional { json!(["null", plain]) } else { plain })
}

fn record_of(schema: &Schema, known: &mut BTreeSet<String>) -> Result<Value, Error> {
    let name = schema.name.clone().unwrap_or_else(|| match known.len() {
        0 => "io.confluent.connect.avro.ConnectDefault".into(),
        number => format!("io.confluent.connect.avro.ConnectDefault{}", number + 1),
    });
    let named = |name: &str| {
        let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        letters && !name.is_empty() && !name.as_bytes()[0].is_ascii_digit()
    };
    let fields = schema.fields.iter().map(|field| field.field.as_str());
    if let Some(wrong) = name.split('.').chain(fields).find(|name| !named(name)) {
        let why = format!("has a schema with the name {wrong:?}, which Avro does not allow");
        return Err(Error::bad_record(why));
    }
    if !known.insert(name.clone()) {
        return Ok(json!(name));
    }
    let mut fields = Vec::new();
    for field in &schema.fields {
        let mut entry = json!({ "name": field.field, "type": avro_of(field, known)? });
        if field.optional {
            entry["default"] = Value::Null;
        }
        fields.push(entry);
    }
    let (space, short) = name.rsplit_once('.').unwrap_or(("", &name));
    let mut record = json!({ "type": "record", "name": short, "fields": fields });
    if !space.is_empty() {
        record["namespace"] = space.into();
    }
    Ok(record)
}

fn encode(schema: &Schema, value: Option<&Value>, out: &mut Vec<u8>) -> Result<(), Error> {
    let Some(value) = schema.or_default(value)? else {
        long(0, out);
        return Ok(());
    };
    if schema.optional {
        long(1, out);
    }
    match schema.kind {
        Kind::Int8 | Kind::Int16 | Kind::Int32 => {
            let int = i32::try_from(schema.int(value)?).map_err(|_| schema.mismatch())?;
            long(int.into(), out);
        }
        Kind::Int64 => long(schema.int(value)?, out),
        Kind::Float => out.extend_from_slice(&(schema.double(value)? as f32).to_le_bytes()),
        Kind::Double => out.extend_from_slice(&schema.double(value)?.to_le_bytes()),
        Kind::Boolean => out.push(u8::from(value.as_bool().ok_or_else(|| schema.mismatch())?)),
        Kind::String | Kind::Bytes => blob(&schema.bytes(value)?, out),
        Kind::Array => {
            let (items, part) = (value.as_array(), schema.items.as_ref());
            let (Some(items), Some(part)) = (items, part) else { return Err(schema.mismatch()) };
            if !items.is_empty() {
                long(items.len() as i64, out);
                items.iter().try_for_each(|item| encode(part, Some(item), out))?;
            }
            long(0, out);
        }
        Kind::Map => {
            let (entries, part) = (value.as_object(), schema.values.as_ref());
            let (Some(entries), Some(part)) = (entries, part) else { return Err(schema.mismatch()) };
            if !entries.is_empty() {
                long(entries.len() as i64, out);
                for (key, value) in entries {
                    blob(key.as_bytes(), out);
                    encode(part, Some(value), out)?;
                }
            }
            long(0, out);
        }
        Kind::Struct => {
            let fields = value.as_object().ok_or_else(|| schema.mismatch())?;
            schema.fields.iter().try_for_each(|field| encode(field, fields.get(&field.field), out))?;
        }
    }
    Ok(())
}

/// Zigzag, seven bits a byte.
fn long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn blob(bytes: &[u8], out: &mut Vec<u8>) {
    long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}
