//! Plugins: WebAssembly components, from a file in a folder to calls into an instance.
//!
//! ```text
//! folder ─ watch ─▶ file ─ sha256 ─▶ cache ──┬─▶ code ─ describe ─▶ Plugin ─▶ Registry
//!                                 compile (child)                     │
//!                                                        instantiate + Setup (grants, limits)
//!                                                                     ▼
//!                               SourceInstance · SinkInstance · ConnectorInstance · TransformInstance
//! ```
//!
//! [`Engine`] is there once for the process. A [`Plugin`] is one version of one plugin, shared by all that
//! run it. An instance is one task's: a store of its own with the state behind its imports, limits of
//! its own, and an end of its own: after a trap or a missed deadline it is dead and its owner makes a
//! new one (invariant 7: a guest can hurt only its own task). Nothing outside of this folder names
//! Wasmtime.
#![allow(
    dead_code,
    reason = "the contract is bound whole: transformations and changes of offsets have no caller yet"
)]

mod bindings;
mod cache;
mod call;
mod check;
mod compile;
mod cpu;
mod digest;
mod engine;
mod files;
mod grants;
mod imports;
mod instance;
mod limits;
mod load;
mod log;
mod manifest;
mod meters;
mod net;
mod refusals;
mod registry;
mod requests;
mod secrets;
mod streams;
mod validated;
mod version;
mod watch;

#[cfg(test)]
mod tests;

pub(crate) use call::{CallError, Code};
pub(crate) use check::check;
pub(crate) use compile::compile_child_main;
pub(crate) use engine::{Engine, EngineError, EngineSettings};
pub(crate) use imports::{BoxFuture, OffsetLookup, Setup};
pub(crate) use instance::{ConnectorInstance, Reason, SinkInstance, SourceInstance, instance_config};
pub(crate) use load::{LoadError, Plugin};
pub(crate) use meters::Meters;
pub(crate) use net::check_tls;
pub(crate) use registry::{Change, Registry};
pub(crate) use requests::SinkRequests;
pub(crate) use secrets::{off_thread, resolve, too_slow};
pub(crate) use validated::Validated;
