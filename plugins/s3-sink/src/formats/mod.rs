//! The formats of objects.

mod bytes;
mod json;

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
    pub(crate) fn begin(&self, _schema: Option<&str>, _most: usize) -> Result<Encoder, Error> {
        match self {
            Self::Json => Ok(Encoder::Json),
            Self::Bytes { separator, .. } => Ok(Encoder::Bytes(separator.clone())),
            _ => Err(Error::config("not yet")),
        }
    }
}

/// One object's encoding.
#[derive(Debug)]
pub(crate) enum Encoder {
    Json,
    /// With the separator.
    Bytes(Vec<u8>),
}

impl Encoder {
    /// Takes a record, and adds to `out` what can be written by now.
    pub(crate) fn append(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Json => json::append(record, out),
            Self::Bytes(separator) => bytes::append(record, separator, out),
        }
    }

    /// Adds what is left.
    pub(crate) fn finish(self, _out: &mut Vec<u8>) -> Result<(), Error> {
        Ok(())
    }

    /// Bytes that it holds back.
    pub(crate) fn waiting(&self) -> usize {
        0
    }
}
