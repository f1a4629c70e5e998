//! A record that is written piece by piece.

use std::fmt;
use std::io;

use crate::error::WriteError;
use crate::layout::MAX_BYTES;
use crate::writer::{Writer, check_offset};

/// A record in the making: first its key, then its value, then [`KeyValue::finish`]. What was not
/// begun is null; dropped unfinished, the record has never been.
#[derive(Debug)]
pub struct KeyValue<'w> {
    writer: &'w mut Writer,
    /// Where the arena ended before the record.
    start: usize,
    key: bool,
    /// Where the key ended, once the value was begun.
    value: Option<usize>,
    key_after_value: bool,
}

impl<'w> KeyValue<'w> {
    pub(crate) fn new(writer: &'w mut Writer) -> KeyValue<'w> {
        let start = writer.buffer.len();
        KeyValue { writer, start, key: false, value: None, key_after_value: false }
    }

    /// The key, which is then not null. What is written goes to its end.
    pub fn key(&mut self) -> Part<'_> {
        self.key = true;
        self.key_after_value |= self.value.is_some();
        Part { buffer: &mut self.writer.buffer }
    }

    /// The value, which is then not null. What is written goes to its end; the key is complete.
    pub fn value(&mut self) -> Part<'_> {
        self.value.get_or_insert(self.writer.buffer.len());
        Part { buffer: &mut self.writer.buffer }
    }

    /// Bytes that were written so far.
    pub fn len(&self) -> usize {
        self.writer.buffer.len() - self.start
    }

    /// Whether nothing was written so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the record, as [`Writer::push`] does.
    pub fn finish(self, timestamp: Option<i64>) -> Result<(), WriteError> {
        self.add(None, timestamp)
    }

    /// Adds the record, as [`Writer::push_at`] does.
    pub fn finish_at(self, offset: i64, timestamp: Option<i64>) -> Result<(), WriteError> {
        check_offset(offset)?;
        self.add(Some(offset), timestamp)
    }

    fn add(mut self, offset: Option<i64>, timestamp: Option<i64>) -> Result<(), WriteError> {
        if self.key_after_value {
            return Err(WriteError::KeyAfterValue);
        }
        self.writer.check_room(Writer::ROOM_OF_RECORD)?;
        self.writer.place(offset)?;
        let end = self.writer.buffer.len();
        let nulls = [!self.key, self.value.is_none()];
        self.writer.seal(self.value.unwrap_or(end), nulls, timestamp);
        // The record stays: nothing is left for `drop` to take back.
        self.start = end;
        Ok(())
    }
}

impl Drop for KeyValue<'_> {
    fn drop(&mut self) {
        self.writer.buffer.truncate(self.start);
    }
}

/// A key or a value in the making. Writing fails only when the batch would become too large.
#[derive(Debug)]
pub struct Part<'w> {
    buffer: &'w mut Vec<u8>,
}

impl Part<'_> {
    #[inline]
    fn append(&mut self, bytes: &[u8]) -> bool {
        // `KeyValue::finish` checks exactly; this keeps the buffer from growing without end.
        let fits = self.buffer.len() + bytes.len() <= MAX_BYTES;
        if fits {
            self.buffer.extend_from_slice(bytes);
        }
        fits
    }
}

impl io::Write for Part<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.append(bytes) { Ok(()) } else { Err(io::ErrorKind::FileTooLarge.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Write for Part<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.append(text.as_bytes()) { Ok(()) } else { Err(fmt::Error) }
    }
}
