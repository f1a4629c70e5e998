//! Kafka: clients of ours over librdkafka. Nothing outside of this folder names it.
//!
//! ```text
//! settings   Java's names and defaults ─▶ ClientSettings (librdkafka's)
//! native/    the only unsafe code: safe types over the C interface, no policy
//! producer   Producers ─▶ Producer (shared by tasks with equal settings) ─▶ Lane (one task's share)
//! consumer   Consumer (one task's): records in batches, rebalances as events, commits answered later
//! admin      Admin (the worker's): questions about topics, groups and the cluster
//! group_offsets  the committed offsets of a group, from outside
//! log        Log (a compacted topic): read from its beginning and followed; LogWriter: what is added to it
//! topics     a topic with the settings that it needs: made, or looked at
//! complaint  what a client says while it goes on trying
//! embedded   a broker in this process, for the demo
//! ```
//!
//! The consumer is not rust-rdkafka's: with its event setting librdkafka drops assignments in the call that takes
//! a batch of messages. Here rebalances are a callback that copies what it is told and returns; the task
//! answers when its guest has. Calls that block run on threads of their own, never on a runtime.

mod admin;
mod blocking;
mod complaint;
mod consumer;
pub(crate) mod embedded;
mod error;
mod group_offsets;
mod log;
mod native;
mod partition;
mod prefetch;
mod producer;
mod settings;
mod topics;

#[cfg(test)]
pub(crate) use admin::Member;
pub(crate) use admin::{Admin, Group};
pub(crate) use consumer::{Consumer, Event, Membership, Subscription};
pub(crate) use error::KafkaError;
pub(crate) use group_offsets::Wanted;
pub(crate) use log::{Log, LogWriter};
pub(crate) use native::{Message, TimestampKind};
pub(crate) use partition::TopicPartition;
pub(crate) use prefetch::{PrefetchBudget, PrefetchShare};
pub(crate) use producer::{Ack, Lane, Outgoing, Producer, Producers, SendError};
pub(crate) use settings::{ClientKind, ClientSettings, ClientSource, resolve};
pub(crate) use topics::{TopicError, TopicSpec};
