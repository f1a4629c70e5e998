//! The REST API: decode a request, ask the worker, encode its answer.
//!
//! Paths, bodies and status codes are Kafka Connect's, so that its tools work unchanged. What
//! differs does so on purpose: names with `/`, `%` or a backslash work in paths, every error is
//! JSON, and statuses carry members of ours beside Kafka Connect's.
//!
//! Each file holds the routes of one resource and nothing of the worker's. They are one list ([`api`]), from which the
//! router is made, and what `OPTIONS` and `/openapi.json` tell of it. Bodies are bounded, answers are small, and a change that was begun is carried out to
//! its end whatever the client does (see [`error::carry_out`]).

mod api;
mod body;
mod connectors;
mod cors;
mod error;
mod forward;
mod loggers;
mod negotiate;
mod offsets;
mod path;
mod plugins;
mod schemas;
mod server;
mod status;

pub(crate) use server::{BindError, Server};
