//! HTTP for plugins: a small client over what the host gives, `wasi:http`.
//!
//! The host makes the connections, keeps them, speaks TLS and HTTP/2, and lets a plugin reach only what the
//! operator grants; so a plugin sees none of that, and this client has nothing to configure but time and size.
//! Redirects are not followed, for the same reason.
//!
//! A plugin has one thread and must come back when the worker wants it to
//! ([`should_stop`](crate::should_stop)). [`Request::send`] waits, and looks at it all the time.
//! [`Request::start`] does not wait: what it gives is a [`Pending`] answer, of which there may be many, and which may
//! outlive the call of the plugin; [`wait`] waits for the first of several. Nothing but these calls moves a pending
//! answer on, so memory is bounded by the limits of the requests.
//!
//! Errors say what the worker shall do: a server that cannot be reached, does not answer in time or breaks off
//! is asked again (retriable); what the sandbox refuses needs the operator, whose log names the grant that is missing
//! (configuration); what TLS refuses needs somebody else (fatal). Whatever the server answers is no error:
//! [`Response::success`] makes one of it. No error has a query, a header or a body in it, which may be secret.
//!
//! ```
//! # use std::time::Duration;
//! # use transom_sdk::{Error, Value, testing};
//! use transom_sdk::http::{Request, Response, Url};
//!
//! fn name_of(id: &str) -> Result<Value, Error> {
//!     let url = Url::parse("https://api.example.com/users").map_err(Error::config)?.with_query("id", id);
//!     let request = Request::get(url).with_bearer("token").timeout(Duration::from_secs(5)).limit(100_000);
//!     request.send()?.success()?.json()
//! }
//!
//! // In a test there is no server, but a double.
//! testing::http(|request| Ok(Response::new(200).with_body(format!("\"{}\"", request.url()))));
//! assert_eq!(name_of("7").unwrap(), "https://api.example.com/users?id=7");
//! testing::http(|_| Ok(Response::new(503).with_header("retry-after", "7")));
//! assert_eq!(
//!     name_of("7").unwrap_err(),
//!     Error::retriable("GET https://api.example.com/users: the server answered 503: it is in trouble")
//!         .retry_after(Duration::from_secs(7))
//! );
//! ```

mod encoding;
mod message;
mod pending;
mod url;
#[cfg(target_arch = "wasm32")]
pub(crate) mod wasi;

pub use message::{Headers, Method, Request, Response};
pub use pending::{Pending, Streamed, wait};
pub use url::{Url, escape};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::exchange as raw;
#[cfg(target_arch = "wasm32")]
pub(crate) use wasi as raw;

/// What there is of a body.
#[derive(Debug)]
pub(crate) enum Piece {
    /// So much, and at least a byte.
    Bytes(Vec<u8>),
    /// No more.
    End,
    /// Nothing now.
    NotYet,
}
