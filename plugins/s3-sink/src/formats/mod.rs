//! The formats of objects.

mod avro;
mod bytes;
mod json;
mod parquet;
mod schema;

use transom_sdk::{Error, Record};

/// A format and what it can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Bytes { extension: String, separator: Vec<u8> },
    Avro(Codec),
    Parquet(Codec),
}

/// Compression inside a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Snappy,
    Deflate,
}

impl Format {
    pub(crate) fn extension(&self) -> String {
        match self {
            Self::Json => ".json".into(),
            Self::Bytes { extension, .. } => extension.clone(),
            Self::Avro(_) => ".avro".into(),
            Self::Parquet(Codec::None) => ".parquet".into(),
            Self::Parquet(Codec::Snappy) => ".snappy.parquet".into(),
            Self::Parquet(Codec::Deflate) => ".gz.parquet".into(),
        }
    }

    pub(crate) fn content_type(&self) -> &'static str {
        match self {
            Self::Json => "application/json",
            _ => "application/octet-stream",
        }
    }

    /// Whether records of one object must have one schema.
    pub(crate) fn needs_schema(&self) -> bool {
        matches!(self, Self::Avro(_) | Self::Parquet(_))
    }

    /// An object of records with this schema, which may hold back so many bytes.
    pub(crate) fn begin(&self, schema: Option<&str>, most: usize) -> Result<Encoder, Error> {
        match self {
            Self::Json => Ok(Encoder::Json),
            Self::Bytes { separator, .. } => Ok(Encoder::Bytes(separator.clone())),
            Self::Avro(codec) => Ok(Encoder::Avro(Box::new(avro::Avro::begin(schema, *codec)?))),
            Self::Parquet(codec) => {
                Ok(Encoder::Parquet(Box::new(parquet::Parquet::begin(schema, *codec, most)?)))
            }
        }
    }
}

/// One object's encoding.
#[derive(Debug)]
pub(crate) enum Encoder {
    Json,
    /// With the separator.
    Bytes(Vec<u8>),
    Avro(Box<avro::Avro>),
    Parquet(Box<parquet::Parquet>),
}

impl Encoder {
    /// Takes a record, and adds to `out` what can be written by now.
    pub(crate) fn append(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Json => json::append(record, out),
            Self::Bytes(separator) => bytes::append(record, separator, out),
            Self::Avro(file) => file.append(record, out),
            Self::Parquet(file) => file.append(record, out),
        }
    }

    /// Adds what is left.
    pub(crate) fn finish(self, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Json | Self::Bytes(_) => Ok(()),
            Self::Avro(file) => file.finish(out),
            Self::Parquet(file) => file.finish(out),
        }
    }

    /// Bytes that it holds back.
    pub(crate) fn waiting(&self) -> usize {
        match self {
            Self::Json | Self::Bytes(_) => 0,
            Self::Avro(file) => file.waiting(),
            Self::Parquet(file) => file.waiting(),
        }
    }
}
