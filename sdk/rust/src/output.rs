//! What a transformation writes.

use transom_batch::{Run, WriteError, Writer};

use crate::{Error, Record};

/// The batch that a transformation makes of another.
#[derive(Debug)]
pub struct Output<'w> {
    pub(crate) writer: &'w mut Writer,
}

impl Output<'_> {
    /// Passes a record on as it is.
    ///
    /// # Errors
    /// The batch has no room left.
    pub fn keep(&mut self, record: &Record<'_>) -> Result<(), Error> {
        self.writer.push_record(record.raw()).map_err(full)
    }

    /// Passes a record on with another value.
    ///
    /// # Errors
    /// The batch has no room left.
    pub fn with_value(&mut self, record: &Record<'_>, value: Option<&[u8]>) -> Result<(), Error> {
        self.with(record, record.raw().run, record.key(), value)
    }

    /// Passes a record on with another topic, partition or format (`run`), key and value; timestamp,
    /// headers and offset stay.
    ///
    /// # Errors
    /// The batch has no room left, or the run cannot be.
    pub fn with(
        &mut self,
        record: &Record<'_>,
        run: &Run<'_>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(), Error> {
        let writer = &mut *self.writer;
        writer.run(run).map_err(full)?;
        let at = record.timestamp();
        match record.raw().offset {
            Some(offset) => writer.push_at(offset, key, value, at),
            None => writer.push(key, value, at),
        }
        .map_err(full)?;
        record.headers().try_for_each(|(name, value)| writer.header(name, value)).map_err(full)
    }
}

fn full(error: WriteError) -> Error {
    Error::fatal(format!("cannot add to the batch: {error}"))
}
