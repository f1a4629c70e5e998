//! Reading a batch: [`Batch::parse`] checks everything there is to check, once; what it returns
//! cannot fail any more and borrows from the bytes.
//!
//! The other side of the boundary is taken to be hostile or buggy. The checks of the columns that
//! every record has (ends that never decrease) run without branches over whole arrays; allocated is
//! only what dictionaries and runs take: at most four bytes for each byte of theirs, after their
//! length was checked.

use std::ops::Range;

use crate::error::{Malformed, Problem};
use crate::layout::{self, Column, Directory, MARK_LEN, MAX_BASE_OFFSET, NO_ENTRY, RUN_LEN};
use crate::records::{HeaderColumns, Payloads, Records};

/// What a reader accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a batch.
    pub bytes: usize,
    /// Records of a batch. It matters by itself: records without key and value take no bytes.
    pub records: u32,
}

impl Default for Limits {
    /// What the format allows, and 16 million records.
    fn default() -> Limits {
        Limits { bytes: layout::MAX_BYTES, records: 1 << 24 }
    }
}

/// How a key or a value is to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Format {
    /// Bytes without meaning.
    #[default]
    Bytes = 0,
    /// UTF-8. The reader of a batch does not check it.
    String = 1,
    /// A Connect payload as JsonConverter writes it. The reader of a batch does not check it.
    Json = 2,
}

/// What a record's timestamp says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum TimestampType {
    /// When the record was made.
    #[default]
    Create = 0,
    /// When the broker wrote it.
    LogAppend = 1,
    /// Nothing: there is none.
    None = 2,
}

/// What consecutive records share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Run<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The Kafka partition; none: the partitioner decides.
    pub partition: Option<i32>,
    /// How the keys are to be understood.
    pub key_format: Format,
    /// How the values are to be understood.
    pub value_format: Format,
    /// The Connect schema of the keys, as JsonConverter writes it.
    pub key_schema: Option<&'a str>,
    /// The Connect schema of the values, as JsonConverter writes it.
    pub value_schema: Option<&'a str>,
    /// What the timestamps say.
    pub timestamp_type: TimestampType,
    /// The Kafka offset from which those of the records count.
    pub base_offset: Option<i64>,
}

/// Where a source partition stands after a number of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark<'a> {
    /// How many records of the batch lie before the mark: from 0 to all of them.
    pub after: u32,
    /// Which source partition: an index for [`Batch::source_partition`].
    pub partition: u32,
    /// The source offset, a JSON object.
    pub offset: &'a str,
}

/// A batch that was checked.
#[derive(Debug, Clone)]
pub struct Batch<'a> {
    pub(crate) len: u32,
    pub(crate) payloads: Payloads<'a>,
    pub(crate) timestamps: &'a [[u8; 8]],
    pub(crate) headers: HeaderColumns<'a>,
    /// Every run, with the index behind its last record.
    pub(crate) runs: Vec<(Run<'a>, u32)>,
    pub(crate) deltas: &'a [[u8; 4]],
    topics: Vec<&'a str>,
    source_partitions: Vec<&'a str>,
    marks: &'a [[u8; MARK_LEN]],
    mark_text: &'a str,
}

impl<'a> Batch<'a> {
    /// Checks a batch of source or sink records. No bytes at all are a batch without records.
    pub fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Batch<'a>, Malformed> {
        Batch::from_directory(&Directory::parse(bytes, limits)?)
    }

    pub(crate) fn from_directory(directory: &Directory<'a>) -> Result<Batch<'a>, Malformed> {
        let records = u64::from(directory.records);
        let topics = directory.dictionary(Column::TOPICS)?;
        let schemas = directory.dictionary(Column::SCHEMAS)?;
        let source_partitions = directory.dictionary(Column::SOURCE_PARTITIONS)?;
        let (marks, mark_text) = parse_marks(directory, source_partitions.len())?;
        Ok(Batch {
            len: directory.records,
            payloads: Payloads::parse(directory)?,
            timestamps: directory.cells(Column::TIMESTAMPS, records)?,
            headers: HeaderColumns::parse(directory)?,
            runs: parse_runs(directory, &topics, &schemas)?,
            deltas: directory.cells(Column::OFFSET_DELTAS, records)?,
            topics,
            source_partitions,
            marks,
            mark_text,
        })
    }

    /// Bytes of all keys and values.
    pub fn payload_len(&self) -> usize {
        self.payloads.arena.len()
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are no records. There may be marks.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Every run, with the indices of its records.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = (Run<'a>, Range<u32>)> + '_ {
        let mut start = 0;
        self.runs.iter().map(move |&(run, end)| (run, std::mem::replace(&mut start, end)..end))
    }

    /// All records, in order.
    pub fn records(&self) -> Records<'_> {
        Records::new(self)
    }

    /// The topics of the dictionary: every topic that a run names, perhaps more.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &'a str> + '_ {
        self.topics.iter().copied()
    }

    /// The source partitions of the dictionary: every one that a mark names, perhaps more.
    pub fn source_partitions(&self) -> impl ExactSizeIterator<Item = &'a str> + '_ {
        self.source_partitions.iter().copied()
    }

    /// The source partition of a mark, a JSON object; empty for an index that no mark of this batch
    /// has.
    pub fn source_partition(&self, index: u32) -> &'a str {
        self.source_partitions.get(index as usize).copied().unwrap_or_default()
    }

    /// Where source partitions stand, in the order of the records before them.
    pub fn marks(&self) -> impl ExactSizeIterator<Item = Mark<'a>> + '_ {
        let mut start = 0;
        self.marks.iter().map(move |row| {
            let end = layout::u32_at(row, 8) as usize;
            Mark {
                after: layout::u32_at(row, 0),
                partition: layout::u32_at(row, 4),
                offset: self.mark_text.get(std::mem::replace(&mut start, end)..end).unwrap_or_default(),
            }
        })
    }
}

type Marks<'a> = (&'a [[u8; MARK_LEN]], &'a str);

fn parse_marks<'a>(directory: &Directory<'a>, partitions: usize) -> Result<Marks<'a>, Malformed> {
    let section = directory.section(Column::MARKS);
    let marks = directory.rows::<MARK_LEN>(Column::MARKS)?;
    let text = directory.text(Column::MARK_BYTES)?;
    let (mut previous, mut start) = (0, 0);
    for (index, row) in marks.iter().enumerate() {
        let fail = |at, problem| section.fail(index * MARK_LEN + at, problem);
        let [after, partition, end] = [0, 4, 8].map(|at| layout::u32_at(row, at));
        if after < previous || after > directory.records {
            return Err(fail(0, Problem::MarkOrder { after, previous, records: directory.records }));
        }
        if partition as usize >= partitions {
            return Err(fail(4, Problem::Index { index: partition, entries: partitions }));
        }
        if end < start {
            return Err(fail(8, Problem::Decreasing { start, end }));
        }
        if !text.is_char_boundary(end as usize) && end as usize <= text.len() {
            return Err(fail(8, Problem::Utf8));
        }
        (previous, start) = (after, end);
    }
    if start as usize != text.len() {
        let at = section.bytes.len().saturating_sub(4);
        return Err(section.fail(at, Problem::LastEnd { end: start, len: text.len() }));
    }
    Ok((marks, text))
}

fn parse_runs<'a>(
    directory: &Directory<'a>,
    topics: &[&'a str],
    schemas: &[&'a str],
) -> Result<Vec<(Run<'a>, u32)>, Malformed> {
    let section = directory.section(Column::RUNS);
    let rows = directory.rows::<RUN_LEN>(Column::RUNS)?;
    if rows.is_empty() && directory.records > 0 {
        return Err(section.fail(0, Problem::Missing));
    }
    let sum = rows.iter().map(|row| u64::from(layout::u32_at(row, 0))).sum();
    if sum != u64::from(directory.records) {
        return Err(section.fail(0, Problem::RunSum { sum, records: directory.records }));
    }
    let mut runs = Vec::with_capacity(rows.len());
    let mut end = 0;
    for (index, row) in rows.iter().enumerate() {
        let fail = |(at, problem)| section.fail(index * RUN_LEN + at, problem);
        let run = parse_run(row, topics, schemas).map_err(fail)?;
        // The sum of all rows is the number of records, so no partial sum overflows.
        end += layout::u32_at(row, 0);
        runs.push((run, end));
    }
    Ok(runs)
}

fn parse_run<'a>(
    row: &[u8; RUN_LEN],
    topics: &[&'a str],
    schemas: &[&'a str],
) -> Result<Run<'a>, (usize, Problem)> {
    let field = |at, field, value| (at, Problem::Field { field, value });
    let entry = |at, entries: &[&'a str]| {
        let index = layout::u32_at(row, at);
        entries.get(index as usize).copied().ok_or((at, Problem::Index { index, entries: entries.len() }))
    };
    let schema = |at| match layout::u32_at(row, at) {
        NO_ENTRY => Ok(None),
        _ => entry(at, schemas).map(Some),
    };
    let format = |at: usize, name| match row[at] {
        0 => Ok(Format::Bytes),
        1 => Ok(Format::String),
        2 => Ok(Format::Json),
        other => Err(field(at, name, other.into())),
    };
    if layout::u32_at(row, 0) == 0 {
        return Err(field(0, "records of a run", 0));
    }
    if row[23] != 0 {
        return Err(field(23, "the reserved byte", row[23].into()));
    }
    Ok(Run {
        topic: entry(4, topics)?,
        partition: match layout::u32_at(row, 8).cast_signed() {
            -1 => None,
            partition if partition >= 0 => Some(partition),
            other => return Err(field(8, "partition", other.into())),
        },
        key_schema: schema(12)?,
        value_schema: schema(16)?,
        key_format: format(20, "key format")?,
        value_format: format(21, "value format")?,
        timestamp_type: match row[22] {
            0 => TimestampType::Create,
            1 => TimestampType::LogAppend,
            2 => TimestampType::None,
            other => return Err(field(22, "timestamp type", other.into())),
        },
        base_offset: match layout::i64_at(row, 24) {
            -1 => None,
            base if (0..=MAX_BASE_OFFSET).contains(&base) => Some(base),
            other => return Err(field(24, "base offset", other)),
        },
    })
}
