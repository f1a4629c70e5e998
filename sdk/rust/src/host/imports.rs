//! The contract's imports under plain names.

use crate::bindings::imports::transom::connect::{host, sink_context, source_context};

pub(crate) use host::{metric, request_reconfiguration, secret, should_stop};
pub(crate) use sink_context::{pause, request_commit, resume, seek, timeout};
pub(crate) use source_context::offsets;

pub(crate) fn log(level: u32, message: &str) {
    host::log(level, message);
}
