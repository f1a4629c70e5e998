//! Transom: a Kafka Connect worker whose connectors are WebAssembly components.

pub mod cli;
pub mod config;
mod connector;
mod convert;
mod kafka;
mod offsets;
mod plugin;
mod rest;
mod task;
pub mod telemetry;
mod version;
mod worker;
