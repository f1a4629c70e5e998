//! Transom against the real thing. One binary: the broker is started once.

mod harness;
