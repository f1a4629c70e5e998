//! The REST API: decode a request, ask the worker, encode its answer.
//!
//! Paths, bodies and status codes are Kafka Connect's, so that its tools work unchanged. What
//! differs does so on purpose: names with `/`, `%` or a backslash work in paths, every error is
//! JSON, and statuses carry members of ours beside Kafka Connect's.
//!
//! Each file holds the routes of one resource and nothing of the worker's; a resource that is still
//! missing (offsets, loggers) becomes a file with a `routes` function and one line in
//! [`server`]. Bodies are bounded, answers are small, and a change that was begun is carried out to
//! its end whatever the client does (see [`error::carry_out`]).

mod body;
mod connectors;
mod error;
mod forward;
mod path;
mod plugins;
mod server;
mod status;

pub(crate) use server::{BindError, Server};
