#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod batch;
pub mod config;
mod connector;
mod context;
mod error;
mod host;
pub mod http;
mod logger;
mod macros;
mod manifest;
mod output;
mod pace;
mod records;
mod runtime;
mod sink;
mod source;
pub mod tcp;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod transform;

// Only what the export macros expand to names these two.
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod exports;

pub use batch::{Batch, Failures, Record};
pub use config::{Advice, ConfigKey, ConfigMap, Problems};
pub use connector::{Assigned, Connector, Copies, KafkaOffset, OffsetChange, Position, TopicPartition};
pub use context::{SinkContext, SourceContext, TaskContext};
pub use error::{Error, Kind};
pub use host::{metric, request_reconfiguration, secret, should_stop, wait};
pub use log;
pub use manifest::Manifest;
pub use output::Output;
pub use pace::Pace;
pub use records::{Added, Entry, Records};
pub use serde_json::{Value, json};
pub use sink::{Reason, Sink};
pub use source::Source;
pub use transform::Transform;
pub use transom_batch::{Format, Headers, Run, TimestampType};

/// The project's front page: what it shows of this crate compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct FrontPage;
