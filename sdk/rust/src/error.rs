//! What a plugin says when something went wrong, and what the worker then does about it.
//!
//! The worker must not guess from a text whether trying again makes sense, so each error says so
//! itself: its [`Kind`] is the code of the contract's `error` record.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// What the worker shall do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The call is made again later, a sink's `put` with the same batch.
    Retriable,
    /// The task fails and starts again, after a while, from what was committed.
    Fatal,
    /// A record cannot be processed: the task fails, or the record goes to the dead letters.
    BadRecord,
    /// The task or connector fails until its configuration changes.
    Config,
}

impl Kind {
    /// The code of the contract's `error` record.
    pub const fn code(self) -> u32 {
        match self {
            Self::Retriable => 1,
            Self::Fatal => 2,
            Self::BadRecord => 3,
            Self::Config => 4,
        }
    }
}

/// What went wrong in a plugin.
///
/// ```
/// use std::time::Duration;
/// use transom_sdk::Error;
///
/// let busy = Error::retriable("the server answered 503").retry_after(Duration::from_secs(5));
/// let gone: Error = std::io::Error::from(std::io::ErrorKind::NotFound).into();
/// assert_eq!(gone.context("opening /data/a").to_string(), "opening /data/a: entity not found");
/// # assert_eq!(busy.to_string(), "the server answered 503");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    kind: Kind,
    message: String,
    retry_after: Option<Duration>,
    detail: Option<Value>,
}

impl Error {
    /// An error of the given kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, detail: None }
    }

    /// Passing trouble (an unreachable server, a full disk): the worker calls again.
    pub fn retriable(message: impl Into<String>) -> Self {
        Self::new(Kind::Retriable, message)
    }

    /// Trouble that needs a new start of the task.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self::new(Kind::Fatal, message)
    }

    /// A record that cannot be processed, and never will be.
    pub fn bad_record(message: impl Into<String>) -> Self {
        Self::new(Kind::BadRecord, message)
    }

    /// A configuration that cannot work: say the key, the value and what would be right.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config, message)
    }

    /// When to call again; without it the worker's own backoff decides. Only for retriable errors.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Puts what was being done in front of the message: `doing: message`.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// Adds what programs shall read, as JSON.
    #[must_use]
    pub fn detail(mut self, detail: Value) -> Self {
        self.detail = Some(detail);
        self
    }

    /// What the worker shall do.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// When to call again, where [`retry_after`](Self::retry_after) said it.
    pub fn after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The message, as the user will see it.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// As the contract's record: code, message, milliseconds, JSON or empty.
    #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only the bindings need it"))]
    pub(crate) fn into_parts(self) -> (u32, String, u32, String) {
        let after = self.retry_after.map_or(0, |after| u32::try_from(after.as_millis()).unwrap_or(u32::MAX));
        let detail = self.detail.map_or_else(String::new, |detail| detail.to_string());
        (self.kind.code(), self.message, after, detail)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// What is likely to pass by itself is retriable, everything else fatal.
impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let kind = match error.kind() {
            K::Interrupted
            | K::WouldBlock
            | K::TimedOut
            | K::ConnectionRefused
            | K::ConnectionReset
            | K::ConnectionAborted
            | K::BrokenPipe
            | K::NotConnected
            | K::HostUnreachable
            | K::NetworkUnreachable
            | K::NetworkDown
            | K::ResourceBusy
            | K::StorageFull
            | K::QuotaExceeded => Kind::Retriable,
            _ => Kind::Fatal,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::fatal(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_becomes_the_contracts_record() {
        let error = Error::retriable("busy").retry_after(Duration::from_millis(1500)).context("writing");
        assert_eq!(error.into_parts(), (1, "writing: busy".into(), 1500, String::new()));
        let error = Error::config("no").detail(serde_json::json!({"errors": {}}));
        assert_eq!(error.into_parts(), (4, "no".into(), 0, r#"{"errors":{}}"#.into()));
    }

    #[test]
    fn a_full_disk_is_retriable_and_a_missing_file_is_not() {
        let kind = |kind: std::io::ErrorKind| Error::from(std::io::Error::from(kind)).kind();
        assert_eq!(kind(std::io::ErrorKind::StorageFull), Kind::Retriable);
        assert_eq!(kind(std::io::ErrorKind::NotFound), Kind::Fatal);
    }
}
