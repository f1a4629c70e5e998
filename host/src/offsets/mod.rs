//! Where sources stand: the ledger, which knows what may be saved, and the store, which makes it durable.
//!
//! The [`Ledger`] is pure: it is told of records, marks and acknowledgements, and says which source offsets
//! have nothing unacknowledged before them. The [`OffsetStore`] takes those and answers when they are on disk;
//! only then does anybody hear of them (invariants 1 and 2). A store has its file for itself as long as it lives.

mod file;
mod java;
mod ledger;
mod lock;
mod lookup;
mod store;
mod topic;

pub(crate) use ledger::Ledger;
pub(crate) use lookup::answer;
pub(crate) use store::{OffsetStore, StoreError, canonical};
pub(crate) use topic::OffsetTopic;
