//! One instance of a source's task, and what comes out of it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::haul::{Ask, Haul};
use crate::config::Sandbox;
use crate::kit::report::Miss;
use crate::kit::rig::{PATIENCE, Positions, Rig, patiently, rest};
use crate::plugin::{CallError, SourceInstance};

/// Bytes that a poll may answer with so that it is looked at.
const ANSWER: usize = 64 << 20;
/// How long nothing comes from a source that is at its end.
const IDLE: Duration = Duration::from_millis(1500);
/// How long a poll is asked to wait.
const WAIT: Duration = Duration::from_millis(200);
/// A batch is so many bytes, as the worker asks.
const BYTES: u32 = 1 << 20;
/// An empty poll that did not wait is not repeated at once.
const PAUSE: Duration = Duration::from_millis(20);

/// Why a source was not read to where it should have been.
pub(super) enum Broken {
    /// Errors of code 1, and nothing else.
    OnlyRetries(CallError),
    Miss(Miss),
}

impl From<CallError> for Broken {
    fn from(error: CallError) -> Self {
        if error.retriable().is_some() { Self::OnlyRetries(error) } else { Self::Miss(error.into()) }
    }
}

impl From<Broken> for Miss {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::OnlyRetries(error) => Self::Failed(format!(
                "for {} s there were only errors of code 1, the last: {error}",
                PATIENCE.as_secs()
            )),
            Broken::Miss(miss) => miss,
        }
    }
}

/// An open instance.
pub(super) struct Reader<'r> {
    rig: &'r Rig,
    pub(super) instance: SourceInstance,
    pub(super) should_stop: Arc<AtomicBool>,
    pub(super) haul: Haul,
    /// How many of the haul's marks the source was told of as durable.
    settled: usize,
}

impl<'r> Reader<'r> {
    /// Opens a new instance, which goes on from these positions.
    pub(super) async fn open(
        rig: &'r Rig,
        sandbox: &Arc<Sandbox>,
        generation: u64,
        positions: &Positions,
    ) -> Result<Self, CallError> {
        let setup = rig.of_task(sandbox, Some(positions));
        let should_stop = Arc::clone(&setup.should_stop);
        let mut instance = SourceInstance::new(&rig.plugin, setup).await?;
        let config = rig.config(generation);
        patiently(async || instance.open(&config).await).await?;
        Ok(Self { rig, instance, should_stop, haul: Haul::default(), settled: 0 })
    }

    /// The same as the first instance of a worker that has just started.
    pub(super) async fn first(rig: &'r Rig, positions: &Positions) -> Result<Self, CallError> {
        Self::open(rig, &rig.sandbox, 1, positions).await
    }

    /// What polls are asked for, so that records come in some ten batches.
    fn ask(&self) -> Ask {
        let records = u32::try_from(self.rig.records / 10).unwrap_or(u32::MAX).max(1);
        Ask { records, bytes: BYTES, wait: WAIT }
    }

    /// One poll. True: something came.
    pub(super) async fn poll(&mut self, ask: Ask) -> Result<bool, Broken> {
        let begun = Instant::now();
        let bytes = self.instance.poll(ask.records, ask.bytes, ask.wait, ANSWER).await?;
        let came = self.haul.take(&bytes, ask, begun.elapsed(), &self.rig.sandbox).map_err(Broken::Miss)?;
        if bytes.is_empty() && begun.elapsed() < PAUSE {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(came)
    }

    /// Tells a source that has paused what is durable, as the worker does: it may be what it waits for. What it says
    /// to that is another check's business, as long as it lives.
    async fn settle(&mut self) -> Result<(), Broken> {
        let marks = self.haul.marks();
        if marks == self.settled {
            return Ok(());
        }
        self.settled = marks;
        let positions = self.haul.positions(usize::MAX).json();
        match self.instance.commit(&positions).await {
            Ok(()) | Err(CallError::Guest { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Polls until there are `most` records, or nothing comes any more: there is more patience before the first
    /// `expected` have come.
    pub(super) async fn drain(&mut self, expected: usize, most: usize) -> Result<(), Broken> {
        let (mut came, mut answered) = (Instant::now(), Instant::now());
        while self.haul.records.len() < most {
            match self.poll(self.ask()).await {
                Ok(true) => (came, answered) = (Instant::now(), Instant::now()),
                Ok(false) => {
                    answered = Instant::now();
                    self.settle().await?;
                }
                Err(Broken::Miss(miss)) => return Err(Broken::Miss(miss)),
                Err(Broken::OnlyRetries(error)) => {
                    self.haul.retries += 1;
                    let until = answered + PATIENCE;
                    if Instant::now() >= until {
                        return Err(Broken::OnlyRetries(error));
                    }
                    rest(&error, until).await;
                    continue;
                }
            }
            let patience = if self.haul.records.len() < expected { PATIENCE } else { IDLE };
            if came.elapsed() >= patience {
                self.haul.ended = true;
                break;
            }
        }
        Ok(())
    }
}
