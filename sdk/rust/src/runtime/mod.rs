//! Between the contract's JSON and bytes and the traits of this crate.
//!
//! One implementation serves both the component (`exports`) and the native test driver (`testing`), so
//! that a unit test runs what the worker will run.

mod connector;
mod sink;
mod source;
mod transform;

pub(crate) use connector::{Planned, SinkSide, SourceSide, alter_offsets, start, task_configs, validate};
pub(crate) use sink::SinkTask;
pub(crate) use source::SourceTask;
pub(crate) use transform::TransformTask;

use serde::de::DeserializeOwned;

use crate::Error;

/// Parses JSON that the worker passed.
fn from_worker<T: DeserializeOwned>(what: &str, json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| {
        Error::fatal(format!("the worker passed {what} that cannot be read: {error}: {json}"))
    })
}
