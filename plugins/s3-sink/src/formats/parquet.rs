//! Parquet: records taken apart into columns, and written by row groups.
//!
//! A column holds the leaves of one path with two levels each: how much of the path is there (definition), and at
//! which list the leaf repeats (repetition). A row group waits in memory until it is as large as a part of an
//! upload, then its columns are encoded one by one; the index of all comes at the end of the object.

use std::mem;
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;
use transom_sdk::{Error, Record};

use super::Codec;
use super::schema::{Kind, Logical, Schema, payload};

#[derive(Debug)]
pub(crate) struct Parquet {
    root: Schema,
    node: Node,
    columns: Vec<Column>,
    writer: SerializedFileWriter<Vec<u8>>,
    /// Bytes that may wait.
    most: usize,
}

/// A schema's place among the columns: the range of its leaves.
#[derive(Debug)]
struct Node {
    parts: Vec<Node>,
    from: usize,
    to: usize,
    /// The repetition level of a list's or map's later entries.
    repeated: i16,
}

#[derive(Debug)]
struct Column {
    values: Values,
    bytes: usize,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

#[derive(Debug)]
enum Values {
    Bool(Vec<bool>),
    Int(Vec<i32>),
    Long(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Bytes(Vec<ByteArray>),
}

impl Parquet {
    pub(super) fn begin(schema: Option<&str>, codec: Codec, most: usize) -> Result<Self, Error> {
        let root = Schema::parse(schema, "Parquet")?;
        if root.kind != Kind::Struct {
            return Err(Error::bad_record("is no struct, which Parquet needs"));
        }
        let mut columns = Vec::new();
        let node = node_of(&root, 0, &mut columns);
        let fields = root.fields.iter().map(type_of).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let message = Type::group_type_builder("schema").with_fields(fields).build().map_err(failed)?;
        let compression = match codec {
            Codec::None => Compression::UNCOMPRESSED,
            Codec::Snappy => Compression::SNAPPY,
            Codec::Deflate => Compression::GZIP(parquet::basic::GzipLevel::default()),
        };
        let properties = WriterProperties::builder().set_compression(compression).build();
        let writer = SerializedFileWriter::new(Vec::new(), Arc::new(message), Arc::new(properties));
        Ok(Self { root, node, columns, writer: writer.map_err(failed)?, most })
    }

    pub(super) fn append(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        let value = payload(record)?;
        let before: Vec<_> = self.columns.iter().map(Column::mark).collect();
        let mut columns = Shredder { columns: &mut self.columns };
        let fields = value.as_object().ok_or_else(|| record.bad("is no struct"))?;
        let mut parts = self.root.fields.iter().zip(&self.node.parts);
        let added = parts.try_for_each(|(schema, node)| {
            columns.add(schema, node, fields.get(&schema.field), Levels { definition: 0, repetition: 0 })
        });
        if let Err(error) = added {
            self.columns.iter_mut().zip(before).for_each(|(column, mark)| column.reset(mark));
            return Err(record.bad(error));
        }
        if self.waiting() >= self.most { self.end_group(out) } else { Ok(()) }
    }

    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.end_group(out)?;
        self.writer.finish().map_err(failed)?;
        out.append(self.writer.inner_mut());
        Ok(())
    }

    pub(super) fn waiting(&self) -> usize {
        self.columns.iter().map(|column| column.bytes).sum()
    }

    fn end_group(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.columns.iter().all(|column| column.definitions.is_empty()) {
            return Ok(());
        }
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for column in &mut self.columns {
            let Some(mut writer) = group.next_column().map_err(failed)? else { break };
            column.write(&mut writer).map_err(failed)?;
            writer.close().map_err(failed)?;
        }
        group.close().map_err(failed)?;
        self.writer.flush()?;
        out.append(self.writer.inner_mut());
        Ok(())
    }
}

/// How much of a path is there, and where it repeats.
#[derive(Debug, Clone, Copy)]
struct Levels {
    definition: i16,
    repetition: i16,
}

/// Takes values apart.
struct Shredder<'c> {
    columns: &'c mut [Column],
}

impl Shredder<'_> {
    fn add(&mut self, schema: &Schema, node: &Node, value: Option<&Value>, at: Levels) -> Result<(), Error> {
        let Some(value) = schema.or_default(value)? else {
            self.nothing(node, at);
            return Ok(());
        };
        let here = Levels { definition: at.definition + i16::from(schema.optional), ..at };
        match (schema.kind, node.parts.as_slice()) {
            (Kind::Struct, parts) => {
                let fields = value.as_object().ok_or_else(|| schema.mismatch())?;
                let mut all = schema.fields.iter().zip(parts);
                all.try_for_each(|(field, part)| self.add(field, part, fields.get(&field.field), here))
            }
            (Kind::Array, [part]) => {
                let (items, of) = (value.as_array(), schema.items.as_ref());
                let (Some(items), Some(of)) = (items, of) else { return Err(schema.mismatch()) };
                let mut entries = node.entries(here, items);
                entries.try_for_each(|(item, at)| self.add(of, part, Some(item), at))?;
                if items.is_empty() {
                    self.nothing(node, here);
                }
                Ok(())
            }
            (Kind::Map, [keys, part]) => {
                let (entries, of) = (value.as_object(), schema.values.as_ref());
                let (Some(entries), Some(of)) = (entries, of) else { return Err(schema.mismatch()) };
                let all: Vec<_> = entries.iter().collect();
                for ((key, value), at) in node.entries(here, &all) {
                    self.leaf(keys, |column| column.push_bytes(key.as_bytes()), at);
                    self.add(of, part, Some(value), at)?;
                }
                if all.is_empty() {
                    self.nothing(node, here);
                }
                Ok(())
            }
            _ => {
                let mut pushed = Ok(());
                self.leaf(node, |column| pushed = column.push(schema, value), here);
                pushed
            }
        }
    }

    fn leaf(&mut self, node: &Node, push: impl FnOnce(&mut Column), at: Levels) {
        if let Some(column) = self.columns.get_mut(node.from) {
            push(column);
            column.level(at);
        }
    }

    /// No leaf of this is there.
    fn nothing(&mut self, node: &Node, at: Levels) {
        for column in self.columns.get_mut(node.from..node.to).into_iter().flatten() {
            column.level(at);
        }
    }
}

impl Node {
    /// The levels of a list's entries: the first stands where the list does, the others repeat it.
    fn entries<'i, T>(
        &self,
        at: Levels,
        items: &'i [T],
    ) -> impl Iterator<Item = (&'i T, Levels)> + use<'i, T> {
        let repeated = self.repeated;
        items.iter().enumerate().map(move |(index, item)| {
            let repetition = if index == 0 { at.repetition } else { repeated };
            (item, Levels { definition: at.definition + 1, repetition })
        })
    }
}

impl Column {
    fn push(&mut self, schema: &Schema, value: &Value) -> Result<(), Error> {
        match &mut self.values {
            Values::Bool(all) => all.push(value.as_bool().ok_or_else(|| schema.mismatch())?),
            Values::Int(all) => {
                all.push(i32::try_from(schema.int(value)?).map_err(|_| schema.mismatch())?);
            }
            Values::Long(all) => all.push(schema.int(value)?),
            Values::Float(all) => all.push(schema.double(value)? as f32),
            Values::Double(all) => all.push(schema.double(value)?),
            Values::Bytes(_) => self.push_bytes(&schema.bytes(value)?),
        }
        Ok(())
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        if let Values::Bytes(all) = &mut self.values {
            all.push(bytes.to_vec().into());
            self.bytes += bytes.len() + mem::size_of::<ByteArray>();
        }
    }

    fn level(&mut self, at: Levels) {
        self.definitions.push(at.definition);
        self.repetitions.push(at.repetition);
        self.bytes += 12;
    }

    fn mark(&self) -> (usize, usize, usize) {
        let values = match &self.values {
            Values::Bool(all) => all.len(),
            Values::Int(all) => all.len(),
            Values::Long(all) => all.len(),
            Values::Float(all) => all.len(),
            Values::Double(all) => all.len(),
            Values::Bytes(all) => all.len(),
        };
        (values, self.definitions.len(), self.bytes)
    }

    fn reset(&mut self, (values, levels, bytes): (usize, usize, usize)) {
        match &mut self.values {
            Values::Bool(all) => all.truncate(values),
            Values::Int(all) => all.truncate(values),
            Values::Long(all) => all.truncate(values),
            Values::Float(all) => all.truncate(values),
            Values::Double(all) => all.truncate(values),
            Values::Bytes(all) => all.truncate(values),
        }
        self.definitions.truncate(levels);
        self.repetitions.truncate(levels);
        self.bytes = bytes;
    }

    /// Writes and forgets what there is.
    fn write(&mut self, writer: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let (definitions, repetitions) =
            (Some(self.definitions.as_slice()), Some(self.repetitions.as_slice()));
        match &self.values {
            Values::Bool(all) => writer.typed::<BoolType>().write_batch(all, definitions, repetitions)?,
            Values::Int(all) => writer.typed::<Int32Type>().write_batch(all, definitions, repetitions)?,
            Values::Long(all) => writer.typed::<Int64Type>().write_batch(all, definitions, repetitions)?,
            Values::Float(all) => writer.typed::<FloatType>().write_batch(all, definitions, repetitions)?,
            Values::Double(all) => writer.typed::<DoubleType>().write_batch(all, definitions, repetitions)?,
            Values::Bytes(all) => {
                writer.typed::<ByteArrayType>().write_batch(all, definitions, repetitions)?
            }
        };
        self.reset((0, 0, 0));
        Ok(())
    }
}

/// Adds the columns of a schema.
fn node_of(schema: &Schema, repeated: i16, columns: &mut Vec<Column>) -> Node {
    let from = columns.len();
    let mut leaf = |values| {
        let (definitions, repetitions) = (Vec::new(), Vec::new());
        columns.push(Column { values, bytes: 0, definitions, repetitions });
    };
    let (mut parts, mut own) = (Vec::new(), repeated);
    match schema.kind {
        Kind::Int8 | Kind::Int16 | Kind::Int32 => leaf(Values::Int(Vec::new())),
        Kind::Int64 => leaf(Values::Long(Vec::new())),
        Kind::Float => leaf(Values::Float(Vec::new())),
        Kind::Double => leaf(Values::Double(Vec::new())),
        Kind::Boolean => leaf(Values::Bool(Vec::new())),
        Kind::String | Kind::Bytes => leaf(Values::Bytes(Vec::new())),
        Kind::Struct => parts.extend(schema.fields.iter().map(|field| node_of(field, repeated, columns))),
        Kind::Array | Kind::Map => {
            own = repeated + 1;
            let all = [&schema.items, &schema.keys, &schema.values];
            parts.extend(all.into_iter().flatten().map(|part| node_of(part, own, columns)));
        }
    }
    Node { parts, from, to: columns.len(), repeated: own }
}

fn type_of(schema: &Schema) -> Result<TypePtr, ParquetError> {
    named(schema, &schema.field)
}

fn named(schema: &Schema, name: &str) -> Result<TypePtr, ParquetError> {
    let repetition = if schema.optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let part = |part: &Option<Box<Schema>>, name| match part {
        Some(part) => named(part, name),
        None => Err(ParquetError::General(format!("{name} is missing"))),
    };
    let nested = |kind, inner: &str, fields| {
        let inner = Type::group_type_builder(inner).with_repetition(Repetition::REPEATED).with_fields(fields);
        let fields = vec![Arc::new(inner.build()?)];
        let outer = Type::group_type_builder(name).with_repetition(repetition).with_converted_type(kind);
        outer.with_fields(fields).build().map(Arc::new)
    };
    let (physical, converted) = match (schema.kind, schema.logical()) {
        (Kind::Array, _) => {
            return nested(ConvertedType::LIST, "list", vec![part(&schema.items, "element")?]);
        }
        (Kind::Map, _) => {
            // A key is always there, whatever the schema says.
            let keys =
                schema.keys.as_ref().map(|keys| Box::new(Schema { optional: false, ..(**keys).clone() }));
            let fields = vec![part(&keys, "key")?, part(&schema.values, "value")?];
            return nested(ConvertedType::MAP, "key_value", fields);
        }
        (Kind::Struct, _) => {
            let fields = schema.fields.iter().map(type_of).collect::<Result<Vec<_>, _>>()?;
            let group = Type::group_type_builder(name).with_repetition(repetition).with_fields(fields);
            return group.build().map(Arc::new);
        }
        (_, Logical::Date) => (Physical::INT32, ConvertedType::DATE),
        (_, Logical::Time) => (Physical::INT32, ConvertedType::TIME_MILLIS),
        (_, Logical::Timestamp) => (Physical::INT64, ConvertedType::TIMESTAMP_MILLIS),
        (_, Logical::Decimal { .. }) => (Physical::BYTE_ARRAY, ConvertedType::DECIMAL),
        (Kind::Int8, _) => (Physical::INT32, ConvertedType::INT_8),
        (Kind::Int16, _) => (Physical::INT32, ConvertedType::INT_16),
        (Kind::Int32, _) => (Physical::INT32, ConvertedType::NONE),
        (Kind::Int64, _) => (Physical::INT64, ConvertedType::NONE),
        (Kind::Float, _) => (Physical::FLOAT, ConvertedType::NONE),
        (Kind::Double, _) => (Physical::DOUBLE, ConvertedType::NONE),
        (Kind::Boolean, _) => (Physical::BOOLEAN, ConvertedType::NONE),
        (Kind::String, _) => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
        (Kind::Bytes, _) => (Physical::BYTE_ARRAY, ConvertedType::NONE),
    };
    let mut leaf = Type::primitive_type_builder(name, physical)
        .with_repetition(repetition)
        .with_converted_type(converted);
    if let Logical::Decimal { precision, scale } = schema.logical() {
        leaf = leaf.with_precision(precision).with_scale(scale);
    }
    leaf.build().map(Arc::new)
}

fn failed(error: ParquetError) -> Error {
    Error::bad_record(format!("cannot be written as Parquet: {error}"))
}
