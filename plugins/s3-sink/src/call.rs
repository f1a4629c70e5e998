//! What the writers of a task share in one call of `put`: the settings, one time for all, and what comes of it.

use std::time::{Duration, Instant, SystemTime};

use transom_sdk::{Error, KafkaOffset};

use crate::config::Settings;

/// How long a call may write before it comes back, to be called again with the same batch.
const LONG: Duration = Duration::from_secs(8);
const SOON: Duration = Duration::from_millis(1);

/// What a call works with.
pub(crate) struct Call<'c> {
    pub(crate) settings: &'c Settings,
    start: Instant,
    /// Milliseconds since the epoch.
    pub(crate) now: i64,
    /// Where to go on reading.
    pub(crate) seeks: Vec<KafkaOffset>,
    /// Cuts that were completed.
    pub(crate) cuts: usize,
}

impl<'c> Call<'c> {
    pub(crate) fn new(settings: &'c Settings) -> Self {
        Self { settings, start: Instant::now(), now: now(), seeks: Vec::new(), cuts: 0 }
    }

    /// # Errors
    /// It takes long: what is left is done by the next call.
    pub(crate) fn in_time(&self) -> Result<(), Error> {
        if self.start.elapsed() < LONG {
            return Ok(());
        }
        Err(Error::retriable("still writing objects").retry_after(SOON))
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
