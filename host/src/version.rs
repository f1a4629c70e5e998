//! Which build this is.

/// The version of the worker.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit it was built from, where whoever built it said so (`TRANSOM_COMMIT` at build time).
pub(crate) const COMMIT: &str = match option_env!("TRANSOM_COMMIT") {
    Some(commit) if !commit.is_empty() => commit,
    _ => "unknown",
};

/// The Kafka Connect whose REST API this worker has.
pub(crate) const KAFKA: &str = "4.1.1";
