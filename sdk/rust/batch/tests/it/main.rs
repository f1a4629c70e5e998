//! The crate's tests from outside: what is written comes back, what is malformed is refused, and
//! the golden files mean what they say.

#![allow(clippy::unwrap_used, reason = "clippy.toml exempts test functions, not what they share")]

mod golden;
mod hostile;
mod model;
mod round_trip;
