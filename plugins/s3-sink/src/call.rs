//! What the writers of a task share in one call of `put`: the settings, one time for all, and what comes of it.

use std::time::{Duration, Instant, SystemTime};

use transom_sdk::{Error, KafkaOffset};

use crate::config::Settings;

/// How long a call may write before it comes back, to be called again with the same batch.
const LONG: Duration = Duration::from_secs(8);
/// Bytes of records between two looks at the clock, which costs a call of the host; a record counts as some more.
const LOOK: usize = 1 << 20;
const RECORD: usize = 256;
const SOON: Duration = Duration::from_millis(1);

/// What a call works with.
pub(crate) struct Call<'c> {
    pub(crate) settings: &'c Settings,
    start: Instant,
    /// Bytes since the last look at the clock.
    since: usize,
    /// Milliseconds since the epoch.
    pub(crate) now: i64,
    /// Where to go on reading.
    pub(crate) seeks: Vec<KafkaOffset>,
    /// Cuts that were completed.
    pub(crate) cuts: usize,
}

impl<'c> Call<'c> {
    pub(crate) fn new(settings: &'c Settings) -> Self {
        Self { settings, start: Instant::now(), since: 0, now: now(), seeks: Vec::new(), cuts: 0 }
    }

    /// The same, after a record of so many bytes; the clock is looked at now and then.
    ///
    /// # Errors
    /// As for [`in_time`](Self::in_time).
    pub(crate) fn took(&mut self, bytes: usize) -> Result<(), Error> {
        self.since += bytes + RECORD;
        if self.since < LOOK {
            return Ok(());
        }
        self.since = 0;
        self.in_time()
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
