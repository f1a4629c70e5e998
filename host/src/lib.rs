//! Transom does the job of a Kafka Connect worker. Its connectors are WebAssembly components: sandboxed,
//! written in any language, dropped into a directory, replaced while they run.
//!
//! # Words
//!
//! One meaning each, Kafka Connect's own where it has one.
//!
//! | word | meaning |
//! |---|---|
//! | plugin | a `.wasm` component file, one version of it, known by name, version and sha256 |
//! | connector | a named configuration that uses one plugin |
//! | task | one running share of a connector: one tokio task, one Wasmtime `Store`, one instance |
//! | worker | the process |
//! | batch | what crosses the guest's boundary; the unit of work everywhere (`wit/batch.md`) |
//! | source partition, source offset | a source's own JSON maps |
//! | offset | a Kafka record's offset |
//! | commit | telling Kafka, or the guest, that progress is durable |
//! | guest | the plugin's code while it runs |
//!
//! # The data path
//!
//! One tokio task, one Store, one copy at the boundary, no channel of ours.
//!
//! ```text
//! source  guest poll ─▶ batch ─▶ converters ─▶ producer ─▶ (acks in order) ledger ─▶ offsets saved ─▶ guest commit
//! sink    consumer queue ─▶ converters ─▶ batch ─▶ guest put ─▶ (interval, revoke, stop) guest pre-commit ─▶ offsets committed
//! ```
//!
//! # Invariants
//!
//! The code cites a number where it upholds one; `tests/` attacks them with SIGKILL.
//!
//! 1. Nothing is acknowledged upstream before it is durable downstream.
//! 2. Positions only move forward, and are durable before the guest is told.
//! 3. Every record is delivered, dead-lettered, or stops the task. Never dropped in silence.
//! 4. Order is kept per source partition and per Kafka partition.
//! 5. State that is written is written atomically.
//! 6. Stop drains; a kill at any instant loses nothing.
//! 7. A guest can hurt only its own task.
//!
//! # The house
//!
//! Each floor uses only those below it. A test reads the source and holds this.
//!
//! | floor | modules |
//! |---|---|
//! | command line | `cli`: arguments → worker → exit code |
//! | demo | `demo`: a worker with an embedded broker and something to look at |
//! | test of plugins | `kit`: drives a plugin through the contract, without Kafka |
//! | outside | `rest`: decode → worker → encode; only it names axum |
//! | process | `worker`: owns the connectors, follows the plugins on disk |
//! | connector | `connector`: an actor for each; life cycle as a pure state machine |
//! | task | `task`: the source loop, the sink loop, the one path that both take |
//! | state | `offsets`: the ledger (pure), the store |
//! | clients and guests | `plugin` (only it names wasmtime), `kafka` (only it names rdkafka), `convert` |
//! | ground | `config` (only it reads files and the environment), and the crate `transom-batch` |
//! | below it | `telemetry`: the log and its levels |
//! | below that | `base64`, `lock`, `version`: a few lines each, for everybody |
//!
//! Three phases: raw configuration → valid configuration (pure, reports *all* errors) → run (the only phase
//! that connects or spawns).
//!
//! Three kinds of thread carry all of it: the main runtime (REST, connectors), the guests' runtime (tasks that
//! only compute and talk to Kafka), and a thread for each task whose plugin is granted files, because a file
//! operation cannot be called back. librdkafka has its own.

mod base64;
pub mod cli;
mod config;
mod connector;
mod convert;
mod demo;
mod kafka;
mod kit;
mod lock;
mod offsets;
mod plugin;
mod rest;
mod task;
pub mod telemetry;
mod version;
mod worker;
