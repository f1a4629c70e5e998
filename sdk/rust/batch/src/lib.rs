//! The batch: what crosses the boundary between the worker and a plugin.
//!
//! A call per record would cost more than the record: so records cross in batches, and a batch is
//! one list of bytes in which every property of the records is a column. The format is specified in
//! `wit/batch.md`; this crate is its implementation in Rust, used by the worker and by the SDK.
//!
//! - [`Writer`] takes records (or streams them, with [`Writer::key_value`]) and makes a batch.
//! - [`Batch::parse`] checks one, once; walking it afterwards cannot fail and copies nothing.
//! - [`OutcomeWriter`] and [`Outcome`] are the same for the answer of a sink: the failed records.
//!
//! Both sides read what the other wrote as if it were hostile: a malformed batch is a
//! [`Malformed`] that names the column and the byte, never a panic, and nothing is allocated for
//! what has not been checked to be there. There is no unsafe code.
//!
//! ```
//! use transom_batch::{Batch, Format, Limits, Run, Writer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut writer = Writer::new();
//! writer.run(&Run { topic: "lines", value_format: Format::String, ..Run::default() })?;
//! writer.push(None, Some(b"over the transom"), Some(1_700_000_000_000))?;
//! writer.header("line", Some(b"1"))?;
//! writer.mark(r#"{"filename":"in.txt"}"#, r#"{"position":17}"#)?;
//! let bytes = writer.finish();
//!
//! let batch = Batch::parse(&bytes, &Limits { bytes: 1 << 20, records: 1000 })?;
//! for record in batch.records() {
//!     assert_eq!(record.run.topic, "lines");
//!     assert_eq!(record.key, None);
//!     assert_eq!(record.value, Some(&b"over the transom"[..]));
//!     assert_eq!(record.headers().next(), Some(("line", Some(&b"1"[..]))));
//! }
//! let mark = batch.marks().next().expect("a mark was written");
//! assert_eq!((mark.after, mark.offset), (1, r#"{"position":17}"#));
//! assert_eq!(batch.source_partition(mark.partition), r#"{"filename":"in.txt"}"#);
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

mod assemble;
mod columns;
mod dictionary;
mod error;
mod key_value;
mod layout;
mod outcome;
mod reader;
mod records;
mod writer;

pub use error::{Malformed, Problem, WriteError};
pub use key_value::{KeyValue, Part};
pub use layout::{Column, Kind, MAGIC, MAX_BYTES, VERSION};
pub use outcome::{Failure, Outcome, OutcomeWriter};
pub use reader::{Batch, Format, Limits, Mark, Run, TimestampType};
pub use records::{Headers, Record, Records};
pub use writer::Writer;
