//! Configurations: what a plugin understands, and how text becomes its own types.
//!
//! A connector's configuration is a flat map from strings to strings, as in Kafka Connect. A plugin
//! describes the keys it understands ([`ConfigKey`]); the description goes into the manifest, where
//! the worker checks and shows it, and turns the map into the plugin's own serde type, reporting all
//! problems at once in the words Kafka Connect uses.

mod advice;
mod fields;
mod key;
mod map;
mod parse;
mod problems;

pub use advice::Advice;
pub use key::{ConfigKey, Importance, Type, Validator, VisibleIf, Width};
pub use map::ConfigMap;
pub use parse::parse;
pub use problems::Problems;
