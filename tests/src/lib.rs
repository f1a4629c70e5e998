//! The harness: real Kafka, real workers and faulty plugins for Transom's tests.
//!
//! * [`kafka()`] is a real broker, started once per test binary and shared by its tests, each with
//!   topics of its own ([`unique`]). [`Kafka::start_private`] is for tests that stop or pause it.
//! * [`Worker`] is the `transom` binary in a folder of its own, to be killed, ended and started again.
//! * [`guests`] are the plugins, the real ones and those that misbehave, built by `build.rs`.
//! * [`https::Https`] is a server for plugins that ask one.
//! * [`ethereum::Ethereum`] is a node with a chain of its own.
//! * [`versitygw::versitygw`] is a server of S3, started once; [`gate::Gate`] before a server stops at a chosen request.
//! * [`search`] has a real OpenSearch and a real Elasticsearch.
//! * [`toxiproxy::Proxy`] stands before a server and makes the way to it slow, cut or silent.
//! * [`wire`] sends requests that no client library would send.
//! * [`JavaWorker`] is Kafka Connect itself: where it is unclear how something should behave, it is asked.
//!
//! Everything started here ends with the test binary, however that ends ([`process`]), and takes its
//! files with it. `TRANSOM_TEST_KEEP=1` keeps the files.
//!
//! Tests wait for what they need ([`wait::until`]) and never for a time.

pub mod ethereum;
pub mod file_job;
pub mod gate;
pub mod guests;
pub mod https;
pub mod java;
pub mod kafka;
pub mod measure;
pub mod ports;
pub mod process;
pub mod search;
pub mod toxiproxy;
pub mod versitygw;
pub mod wait;
pub mod wire;
pub mod worker;

pub use guests::Guest;
pub use java::JavaWorker;
pub use kafka::{Kafka, Record, kafka};
pub use wait::until;
pub use worker::Worker;

use std::sync::atomic::{AtomicU32, Ordering};

/// A name that no other test of this binary has, for topics, connectors and groups.
///
/// It begins with `what`, so that logs can be read.
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{what}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
