//! Waiting for something to become true: the only place where tests sleep.
//!
//! A limit here is not part of what a test says. It is so generous that reaching it means "never",
//! and what was seen last is told then.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a test waits for what should come at once, on a machine that may be busy.
pub const LIMIT: Duration = Duration::from_secs(90);

const STEP: Duration = Duration::from_millis(15);

/// Asks until the answer is `Ok`, and returns it.
///
/// # Panics
/// After [`LIMIT`], with `what` and the last answer.
#[track_caller]
pub fn until<T>(what: &str, ask: impl FnMut() -> Result<T, String>) -> T {
    match try_until(LIMIT, ask) {
        Ok(value) => value,
        Err(last) => panic!("waited {} s for {what}; last seen: {last}", LIMIT.as_secs()),
    }
}

/// Asks until the answer is `Ok`, for at most `limit`.
///
/// # Errors
/// The last answer, when the time is over.
pub fn try_until<T>(limit: Duration, mut ask: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let end = Instant::now() + limit;
    loop {
        match ask() {
            Ok(value) => return Ok(value),
            Err(last) if Instant::now() >= end => return Err(last),
            Err(_) => sleep(STEP),
        }
    }
}
