//! Transom against the real thing. One binary: the broker is started once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faults;
mod harness;
mod http;
mod java_files;
mod kills;
mod main_job;
mod membership;
mod memory;
mod million;
mod patterns;
mod producers;
mod rebalances;
mod records;
mod rest;
mod secrets;
mod shutdown;
mod speed;
mod start;
mod swap;
mod tidy;
mod watch;
