//! A plugin in a unit test, without WebAssembly and without a worker.
//!
//! [`SourceTest`] and [`SinkTest`] call a plugin as the worker does, through the same code that runs in
//! the component, and keep what the worker would keep: stored offsets, committed offsets, the connector
//! ([`ConnectorTest`]). What a plugin asks of its host a test double answers; it belongs to the test's
//! thread, and each new source or sink resets it.
//!
//! ```
//! # use serde::{Deserialize, Serialize};
//! # use transom_sdk::{ConfigKey, Error, Manifest, Records, Source, SourceContext, testing};
//! # #[derive(Deserialize)]
//! # struct Config { topic: String }
//! # #[derive(Default, Serialize, Deserialize)]
//! # struct Position { next: u64 }
//! # struct Counter { topic: String, next: u64 }
//! # impl Source for Counter {
//! #     type Config = Config;
//! #     fn manifest() -> Manifest { Manifest::new("Counter").config(ConfigKey::string("topic")) }
//! #     fn open(config: Config, context: &SourceContext) -> Result<Self, Error> {
//! #         let position: Option<Position> = context.offset(&serde_json::json!({}))?;
//! #         Ok(Self { topic: config.topic, next: position.unwrap_or_default().next })
//! #     }
//! #     fn poll(&mut self, records: &mut Records) -> Result<(), Error> {
//! #         records.topic(&self.topic).string(&self.next.to_string());
//! #         self.next += 1;
//! #         records.position(&serde_json::json!({}), &Position { next: self.next })
//! #     }
//! # }
//! # fn main() -> Result<(), Error> {
//! let mut test = testing::SourceTest::<Counter>::open([("topic", "numbers")])?;
//! assert_eq!(test.poll()?.values(), ["0"]);
//! test.commit()?;
//! assert_eq!(test.poll()?.values(), ["1"]);
//! test.kill();
//! test.reopen()?;
//! assert_eq!(test.poll()?.values(), ["1"], "what was not committed comes again");
//! # Ok(())
//! # }
//! ```

mod connector;
pub(crate) mod double;
pub(crate) mod exchange;
mod record;
mod sink;
mod source;
mod transform;

pub use connector::ConnectorTest;
pub use double::{
    commit_requests, logs, metrics, paused, reconfigurations, requested_timeout, seeks, set_secret,
    set_should_stop,
};
pub use exchange::{http, http_silence};
pub use record::TestRecord;
pub use sink::{FailedRecord, SinkTest};
pub use source::{Polled, SourceTest};
pub use transform::TransformTest;

use std::time::Duration;

use crate::Records;
use crate::records::Limits;

/// An empty batch to fill, for tests of a function that takes [`Records`].
pub fn records() -> Records {
    let mut records = Records::new();
    records.begin(Limits { records: 1000, bytes: 1 << 20, wait: Duration::ZERO });
    records
}

#[cfg(test)]
pub(crate) use double::reset;
