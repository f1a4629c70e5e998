//! Transom against the real thing. One binary: the broker is started once.

mod harness;
mod kills;
mod main_job;
mod membership;
mod producers;
mod rest;
mod swap;
mod tidy;
