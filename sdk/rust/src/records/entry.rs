//! One record on its way into the batch: key and time, then the value, then headers.

use serde::Serialize;
use transom_batch::Format;

use super::{Records, to_json};
use crate::Error;

#[derive(Debug)]
pub(super) enum Key<'r> {
    Null,
    Borrowed(&'r [u8]),
    /// In the buffer of the records.
    Written,
}

/// A record that has a key and no value yet. Nothing is added before it has one.
#[derive(Debug)]
#[must_use = "a record without a value is not added; for a null call `null`"]
pub struct Entry<'r> {
    pub(super) records: &'r mut Records,
    pub(super) key: Key<'r>,
    pub(super) timestamp: Option<i64>,
}

impl<'r> Entry<'r> {
    /// The record's time, in milliseconds since the epoch; without it the time it is sent.
    #[inline]
    pub fn timestamp(mut self, milliseconds: i64) -> Self {
        self.timestamp = Some(milliseconds);
        self
    }

    /// Adds the record, with a value that is text.
    #[inline]
    pub fn string(self, value: &str) -> Added<'r> {
        self.records.value_format(Format::String);
        self.add(Some(value.as_bytes()))
    }

    /// Adds the record, with a value of bytes.
    #[inline]
    pub fn bytes(self, value: &[u8]) -> Added<'r> {
        self.records.value_format(Format::Bytes);
        self.add(Some(value))
    }

    /// Adds the record, with a value that becomes JSON.
    ///
    /// # Errors
    /// The value cannot be written as JSON.
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Result<Added<'r>, Error> {
        let mut json = std::mem::take(&mut self.records.value);
        let written = to_json(&mut json, value);
        let added = written.map(|()| {
            self.records.value_format(Format::Json);
            self.add(Some(&json))
        })?;
        added.records.value = json;
        Ok(added)
    }

    /// Adds the record, with a null for a value: a tombstone.
    #[inline]
    pub fn null(self) -> Added<'r> {
        self.add(None)
    }

    #[inline]
    fn add(self, value: Option<&[u8]>) -> Added<'r> {
        let records = self.records;
        records.share();
        let key = match self.key {
            Key::Null => None,
            Key::Borrowed(key) => Some(key),
            Key::Written => Some(records.key.as_slice()),
        };
        let pushed = records.writer.push(key, value, self.timestamp);
        records.check(pushed);
        Added { records }
    }
}

/// A record that was added, and may get headers.
#[derive(Debug)]
pub struct Added<'r> {
    records: &'r mut Records,
}

impl Added<'_> {
    /// Adds a header.
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let added = self.records.writer.header(name, Some(value.as_ref()));
        self.records.check(added);
        self
    }

    /// Adds a header whose value is null.
    pub fn header_null(self, name: &str) -> Self {
        let added = self.records.writer.header(name, None);
        self.records.check(added);
        self
    }
}
