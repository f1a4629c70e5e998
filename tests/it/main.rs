//! Transom against the real thing. One binary: the broker is started once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clients;
mod dead_letters;
mod differential;
mod distributed;
mod elasticsearch;
mod ethereum;
mod faults;
mod grants;
mod harness;
mod http;
mod java_files;
mod kept_requests;
mod kills;
mod kit;
mod lost_kafka;
mod main_job;
mod membership;
mod memory;
mod million;
mod neighbours;
mod patterns;
mod producers;
mod rebalances;
mod records;
mod released;
mod reload;
mod rest;
mod s3;
mod secrets;
mod shutdown;
mod speed;
mod start;
mod swap;
mod takeover;
mod thousand;
mod tidy;
mod watch;
