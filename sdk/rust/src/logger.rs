//! `log` records, `tracing` events and panics on their way to the worker's log.
//!
//! The export macros install both, with the first call of an instance. `tracing` needs nothing here:
//! with its feature `log` an event without a subscriber is a `log` record.

use std::cell::Cell;
use std::panic::PanicHookInfo;

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::host::raw;

struct Bridge;

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            match record.args().as_str() {
                Some(text) => raw::log(level(record.level()), text),
                None => raw::log(level(record.level()), &record.args().to_string()),
            }
        }
    }

    fn flush(&self) {}
}

/// As the contract counts levels.
fn level(level: Level) -> u32 {
    match level {
        Level::Error => 1,
        Level::Warn => 2,
        Level::Info => 3,
        Level::Debug => 4,
        Level::Trace => 5,
    }
}

/// Sends what is logged to the worker: debug and above, unless the plugin calls
/// `log::set_max_level`. (The worker filters too, but only after the text was made.)
pub(crate) fn install() {
    thread_local!(static DONE: Cell<bool> = const { Cell::new(false) });
    if !DONE.replace(true) && log::set_logger(&Bridge).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

/// Logs a panic with its place: after it the component traps, and a trap does not tell why.
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "native tests keep their own hook"))]
pub(crate) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| raw::log(1, &describe(panic))));
}

fn describe(panic: &PanicHookInfo<'_>) -> String {
    let message = panic.payload_as_str().unwrap_or("no message");
    match panic.location() {
        Some(place) => format!("panicked at {}:{}:{}: {message}", place.file(), place.line(), place.column()),
        None => format!("panicked: {message}"),
    }
}
