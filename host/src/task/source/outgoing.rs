//! From a batch to what the producer takes. Where the converters pass bytes through, as they do for the common
//! pairs, records borrow from the batch; only what has to be rewritten is copied, into one buffer that is used
//! again for every batch.

use std::ops::Range;

use transom_batch::{Batch, Record};

use crate::convert::{Converter, Converters};
use crate::kafka::Outgoing;
use crate::task::failure::Failure;

/// The buffers, kept from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct Outgoings {
    rewritten: Vec<u8>,
    /// For each record where its key and its value stand in `rewritten`; empty when nothing was rewritten.
    ranges: Vec<[Option<Range<usize>>; 2]>,
    scratch: Vec<u8>,
}

/// A batch as the producer sees it.
pub(crate) struct Converted<'a> {
    batch: &'a Batch<'a>,
    buffers: &'a Outgoings,
    bytes: u64,
}

impl Outgoings {
    /// Converts a batch, if it needs to be.
    pub(crate) fn convert<'a>(
        &'a mut self,
        batch: &'a Batch<'a>,
        converters: &Converters,
    ) -> Result<Converted<'a>, Failure> {
        self.rewritten.clear();
        self.ranges.clear();
        let mut bytes = 0;
        if passes_through(batch, converters) {
            bytes = batch.payload_len() as u64;
        } else {
            self.ranges.reserve(batch.len());
            for record in batch.records() {
                let key = self.rewrite(&converters.key, &record, "key")?;
                let value = self.rewrite(&converters.value, &record, "value")?;
                for range in [&key, &value].into_iter().flatten() {
                    bytes += range.len() as u64;
                }
                self.ranges.push([key, value]);
            }
        }
        Ok(Converted { batch, buffers: self, bytes })
    }

    fn rewrite(
        &mut self,
        converter: &Converter,
        record: &Record<'_>,
        part: &'static str,
    ) -> Result<Option<Range<usize>>, Failure> {
        let (format, schema, data) = match part {
            "key" => (record.run.key_format, record.run.key_schema, record.key),
            _ => (record.run.value_format, record.run.value_schema, record.value),
        };
        let converted = converter
            .serialize(format, schema, data, &mut self.scratch)
            .map_err(|source| Failure::Convert { topic: record.run.topic.to_owned(), part, source })?;
        Ok(converted.map(|data| {
            let start = self.rewritten.len();
            self.rewritten.extend_from_slice(data);
            start..self.rewritten.len()
        }))
    }
}

impl Converted<'_> {
    /// Bytes of all keys and values.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The records from this one on.
    pub(crate) fn from(&self, first: usize) -> impl Iterator<Item = Outgoing<'_>> {
        self.batch.records().skip(first).enumerate().map(move |(index, record)| {
            let (key, value) = match self.buffers.ranges.get(first + index) {
                None => (record.key, record.value),
                Some([key, value]) => (self.slice(key), self.slice(value)),
            };
            Outgoing {
                topic: record.run.topic,
                partition: record.run.partition,
                key,
                value,
                timestamp: record.timestamp,
                headers: record.headers(),
            }
        })
    }

    fn slice(&self, range: &Option<Range<usize>>) -> Option<&[u8]> {
        range.clone().map(|range| &self.buffers.rewritten[range])
    }
}

/// Whether the bytes of the batch are what Kafka gets. A schema always has to be looked at: it may say what a
/// null becomes.
fn passes_through(batch: &Batch<'_>, converters: &Converters) -> bool {
    let Converters { key, value } = converters;
    batch.runs().all(|(run, _)| {
        run.key_schema.is_none()
            && run.value_schema.is_none()
            && key.passes_through(run.key_format)
            && value.passes_through(run.value_format)
    })
}
