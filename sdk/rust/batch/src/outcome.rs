//! Outcome batches: what a sink says about records that failed.
//!
//! A failed record is named by its original topic, partition and offset, in the runs and offset
//! deltas of an ordinary batch without keys and values; three columns more tell why.

use crate::error::{Malformed, Problem, WriteError};
use crate::layout::{self, Column, Directory, RUN_LEN};
use crate::reader::{Batch, Limits, Run, TimestampType};
use crate::writer::Writer;

/// A record that failed, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure<'a> {
    /// The record's topic.
    pub topic: &'a str,
    /// The record's partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// Why: a code of the contract's `error`.
    pub code: u32,
    /// Why, for people.
    pub message: &'a str,
}

/// Writes outcome batches, one after the other.
#[derive(Debug, Default)]
pub struct OutcomeWriter {
    writer: Writer,
    codes: Vec<u32>,
    message_ends: Vec<u32>,
    messages: String,
}

impl OutcomeWriter {
    /// A writer without a failure.
    pub fn new() -> OutcomeWriter {
        OutcomeWriter::default()
    }

    /// Adds a failed record. Any order will do; neighbours of one partition take the least space.
    pub fn fail(&mut self, failure: Failure<'_>) -> Result<(), WriteError> {
        let messages = self.messages.len() + failure.message.len() + self.codes.len() * 8 + 8;
        self.writer.check_room(messages as u64 + 2 * Writer::ROOM_OF_RECORD)?;
        self.writer.run(&Run {
            topic: failure.topic,
            partition: Some(failure.partition),
            timestamp_type: TimestampType::None,
            ..Run::default()
        })?;
        self.writer.push_at(failure.offset, None, None, None)?;
        self.codes.push(failure.code);
        self.messages.push_str(failure.message);
        self.message_ends.push(self.messages.len() as u32);
        Ok(())
    }

    /// How many failed records there are.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether nothing failed.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// Takes the batch: no bytes at all if nothing failed. The writer is then empty.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.is_empty() {
            let OutcomeWriter { writer, codes, message_ends, messages } = self;
            writer.finish_with(&mut out, |to| {
                to.u32s(Column::OUTCOME_CODES, codes);
                to.u32s(Column::OUTCOME_MESSAGE_ENDS, message_ends);
                to.bytes(Column::OUTCOME_MESSAGES, messages.as_bytes());
            });
            codes.clear();
            message_ends.clear();
            messages.clear();
        }
        out
    }
}

/// An outcome batch that was checked.
#[derive(Debug, Clone)]
pub struct Outcome<'a> {
    batch: Batch<'a>,
    codes: &'a [[u8; 4]],
    message_ends: &'a [[u8; 4]],
    messages: &'a str,
}

impl<'a> Outcome<'a> {
    /// Checks an outcome batch. No bytes at all: nothing failed.
    pub fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Outcome<'a>, Malformed> {
        let directory = Directory::parse(bytes, limits)?;
        let batch = Batch::from_directory(&directory)?;
        check_runs(&directory, &batch)?;
        let records = u64::from(directory.records);
        for column in [Column::OUTCOME_CODES, Column::OUTCOME_MESSAGE_ENDS] {
            if records > 0 && directory.find(column).is_none() {
                return Err(directory.section(column).fail(0, Problem::Missing));
            }
        }
        let outcome = Outcome {
            batch,
            codes: directory.cells(Column::OUTCOME_CODES, records)?,
            message_ends: directory.cells(Column::OUTCOME_MESSAGE_ENDS, records)?,
            messages: directory.text(Column::OUTCOME_MESSAGES)?,
        };
        let ends = directory.section(Column::OUTCOME_MESSAGE_ENDS);
        layout::check_text_ends(&ends, outcome.message_ends, outcome.messages)?;
        Ok(outcome)
    }

    /// How many records failed.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether nothing failed.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// The failed records.
    pub fn failures(&self) -> impl Iterator<Item = Failure<'_>> {
        let mut start = 0;
        self.batch.records().zip(self.codes).zip(self.message_ends).map(move |((record, code), end)| {
            let end = u32::from_le_bytes(*end) as usize;
            Failure {
                topic: record.run.topic,
                // That both are there was checked: see `check_runs`.
                partition: record.run.partition.unwrap_or_default(),
                offset: record.offset.unwrap_or_default(),
                code: u32::from_le_bytes(*code),
                message: self.messages.get(std::mem::replace(&mut start, end)..end).unwrap_or_default(),
            }
        })
    }
}

/// A failed record must say where it was.
fn check_runs(directory: &Directory<'_>, batch: &Batch<'_>) -> Result<(), Malformed> {
    let section = directory.section(Column::RUNS);
    for (index, (run, _)) in batch.runs().enumerate() {
        let fail = |at, field| section.fail(index * RUN_LEN + at, Problem::Field { field, value: -1 });
        if run.partition.is_none() {
            return Err(fail(8, "partition of an outcome"));
        }
        if run.base_offset.is_none() {
            return Err(fail(24, "base offset of an outcome"));
        }
    }
    Ok(())
}
