//! From acknowledgements to durable offsets: the half of a source that runs while the guest is busy.
//!
//! Acknowledgements go to the ledger, the ledger says what may be saved, the store makes it durable, and only
//! then is it there for the guest's `commit` (invariants 1 and 2). One save is under way at a time; the next
//! starts when it has ended and [`SAVE_PERIOD`] has passed, so a kill repeats at most what one period and
//! what is in flight hold.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::kafka::{Ack, KafkaError, Lane, Producer};
use crate::offsets::{Ledger, OffsetStore, StoreError};
use crate::task::failure::Failure;
use crate::task::metrics::TaskMetrics;

/// Offsets that move are saved this often.
const SAVE_PERIOD: Duration = Duration::from_millis(100);

/// Source partitions, as JSON, with their offsets, as JSON.
pub(crate) type Positions = Vec<(Arc<str>, Arc<str>)>;

type Saving = Pin<Box<dyn Future<Output = Result<Positions, StoreError>> + Send>>;

/// A source's lane to Kafka, its ledger and its saves.
pub(crate) struct Progress {
    connector: Arc<str>,
    store: OffsetStore,
    metrics: Arc<TaskMetrics>,
    pub(crate) lane: Lane,
    pub(crate) ledger: Ledger,
    acks: Vec<Ack>,
    saving: Option<Saving>,
    next_save: Instant,
    /// Saved, and not yet told to the guest.
    durable: Positions,
    /// Set when Kafka said so; the lane then takes no more.
    committed: bool,
}

impl Progress {
    pub(crate) fn new(
        connector: Arc<str>,
        store: OffsetStore,
        metrics: Arc<TaskMetrics>,
        producer: &Arc<Producer>,
        budget: usize,
    ) -> Self {
        Self {
            connector,
            store,
            metrics,
            lane: producer.lane(budget),
            ledger: Ledger::new(),
            acks: Vec::new(),
            saving: None,
            next_save: Instant::now(),
            durable: Vec::new(),
            committed: false,
        }
    }

    /// Waits for the next thing to happen and deals with it. May be dropped at any await.
    pub(crate) async fn step(&mut self) -> Result<(), Failure> {
        self.begin_save();
        let due = self.saving.is_none() && self.ledger.has_committable();
        tokio::select! {
            result = self.lane.acks(&mut self.acks) => {
                result.map_err(|source| kafka("the producer gave up", source))?;
                self.settle_acks()
            }
            saved = saved(&mut self.saving) => self.end_save(saved),
            () = tokio::time::sleep_until(self.next_save), if due => Ok(()),
        }
    }

    /// Deals with whatever has happened, without waiting.
    pub(crate) fn catch_up(&mut self) -> Result<(), Failure> {
        self.lane.try_acks(&mut self.acks).map_err(|source| kafka("the producer gave up", source))?;
        self.settle_acks()
    }

    /// Waits until nothing is in flight and all that can be is saved.
    pub(crate) async fn drain(&mut self) -> Result<(), Failure> {
        loop {
            // Asked before the acks are taken: zero means that the last of them are among those.
            let idle = self.lane.in_flight().records == 0;
            self.catch_up()?;
            if !idle && self.lane.in_flight().records == 0 {
                continue;
            }
            if idle {
                // The last save need not wait for its period.
                self.next_save = Instant::now();
                self.begin_save();
                if self.saving.is_none() {
                    return Ok(());
                }
            }
            self.step().await?;
        }
    }

    /// What became durable since the last call.
    pub(crate) fn take_durable(&mut self) -> Positions {
        std::mem::take(&mut self.durable)
    }

    /// Whether anything was made durable since the last call: what a restart budget calls progress.
    pub(crate) fn take_committed(&mut self) -> bool {
        std::mem::take(&mut self.committed)
    }

    fn settle_acks(&mut self) -> Result<(), Failure> {
        let mut acked = 0;
        let mut failed = None;
        for ack in self.acks.drain(..) {
            match ack.error {
                None => {
                    acked += ack.last - ack.first + 1;
                    self.ledger.acked(ack.first, ack.last);
                }
                Some(error) => failed = failed.or(Some(error)),
            }
        }
        self.metrics.records_out.add(acked);
        let in_flight = self.lane.in_flight();
        self.metrics.in_flight_records.set(in_flight.records as i64);
        self.metrics.in_flight_bytes.set(in_flight.bytes as i64);
        match failed {
            None => Ok(()),
            Some(error) => Err(kafka("kafka refused a record", error)),
        }
    }

    fn begin_save(&mut self) {
        if self.saving.is_some() || Instant::now() < self.next_save || !self.ledger.has_committable() {
            return;
        }
        let positions = self.ledger.committable();
        self.next_save = Instant::now() + SAVE_PERIOD;
        let (store, connector) = (self.store.clone(), self.connector.clone());
        self.saving = Some(Box::pin(async move {
            store.save(&connector, positions.clone()).await?;
            Ok(positions)
        }));
    }

    fn end_save(&mut self, saved: Result<Positions, StoreError>) -> Result<(), Failure> {
        self.saving = None;
        match saved {
            Ok(positions) => {
                self.metrics.commits.add(1);
                self.committed = true;
                // The newest of each source partition is all the guest needs to know.
                self.durable.retain(|(old, _)| positions.iter().all(|(new, _)| new != old));
                self.durable.extend(positions);
                Ok(())
            }
            Err(error) => {
                self.metrics.commit_failures.add(1);
                Err(error.into())
            }
        }
    }
}

async fn saved(saving: &mut Option<Saving>) -> Result<Positions, StoreError> {
    match saving {
        Some(saving) => saving.await,
        None => std::future::pending().await,
    }
}

fn kafka(doing: &str, source: KafkaError) -> Failure {
    Failure::Kafka { doing: doing.to_owned(), source }
}
