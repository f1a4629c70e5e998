//! What the worker offers every plugin.
//!
//! In a component these are the contract's imports; natively a test double of the thread answers
//! (see [`testing`](crate::testing)).

#[cfg(target_arch = "wasm32")]
pub(crate) mod imports;
#[cfg(target_arch = "wasm32")]
pub(crate) use self::imports as raw;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::double as raw;

use std::time::{Duration, Instant};

use crate::Error;

/// How long a waiting call may not look whether it is wanted back.
pub(crate) const STEP: Duration = Duration::from_millis(100);

/// Whether the worker wants the call that is under way back soon. A call that waits should ask at
/// least every 100 ms.
pub fn should_stop() -> bool {
    raw::should_stop()
}

/// Waits so long, or until the worker wants the call back. What a source does that found nothing.
pub fn wait(most: Duration) {
    let start = Instant::now();
    while !should_stop() {
        let left = most.saturating_sub(start.elapsed());
        if left.is_zero() {
            break;
        }
        std::thread::sleep(left.min(STEP));
    }
}

/// The value of a secret that the operator names (`secret.<name>` in the worker's configuration), as it is now.
///
/// In a test, [`testing::set_secret`](crate::testing::set_secret) grants it.
///
/// # Errors
/// The operator has not granted the name (`sandbox.<plugin>.secrets`), nobody named it, or its provider does not have it.
pub fn secret(name: &str) -> Result<String, Error> {
    raw::secret(name).map_err(Error::config)
}

/// Sets a gauge of the task, shown at `/metrics` as `transom_plugin_metric{name="…"}`.
///
/// `name`: `[a-z_][a-z0-9_]*`, at most 64 bytes and 32 names a task; others are dropped.
pub fn metric(name: &str, value: f64) {
    raw::metric(name, value);
}

/// Asks the worker to plan the tasks anew: what they should read has changed.
pub fn request_reconfiguration() {
    raw::request_reconfiguration();
}
