//! One running share of a connector: one tokio task, one Wasmtime Store, one instance.
//!
//! ```text
//! source  guest poll ─▶ batch ─▶ converters ─▶ producer ─▶ (acks in order) ledger ─▶ offsets saved ─▶ guest commit
//! sink    consumer queue ─▶ converters ─▶ batch ─▶ guest put ─▶ (interval, revoke, stop) pre-commit ─▶ offsets committed
//! ```
//!
//! [`drive`] is the life of every task: instances one after the other, with stop, swap, recycling and recovery
//! on one path. [`source`] and [`sink`] are the two bodies that it drives. A task takes orders from its
//! connector through a [`context::Context`] and shows itself through the same; it holds no lock while it moves
//! records and sends nothing through channels of ours.

pub(crate) mod context;
pub(crate) mod drive;
pub(crate) mod failure;
pub(crate) mod metrics;
pub(crate) mod restart;
pub(crate) mod sink;
pub(crate) mod source;
pub(crate) mod spawn;
pub(crate) mod status;
pub(crate) mod topics;
mod watermark;
