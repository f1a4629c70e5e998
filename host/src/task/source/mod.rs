//! A source task: guest → batch → converters → producer → ledger → offsets → guest.
//!
//! The loop is its own back-pressure: it polls only while its lane has room, and holds one batch at a time.
//! While the guest is in a call, acknowledgements are settled and offsets saved beside it, so a slow `poll`
//! delays nothing that was sent before.

mod outgoing;
mod progress;

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use transom_batch::{Batch, Limits};

use self::outgoing::Outgoings;
use self::progress::{Positions, Progress};
use super::context::{Context, Next, changed};
use super::drive::{Body, End, Reason};
use super::failure::Failure;
use super::status::State;
use super::watermark::Watermark;
use crate::config::Sandbox;
use crate::convert::Converters;
use crate::kafka::{ClientSettings, Producers, SendError};
use crate::offsets::OffsetStore;
use crate::plugin::{CallError, OffsetLookup, Plugin, SourceInstance};

/// What a poll is asked for at most.
const MAX_RECORDS: u32 = 10_000;
const MAX_BYTES: u32 = 1 << 20;
const MAX_WAIT: Duration = Duration::from_millis(500);
/// What it may return at most, beside a record as large as Kafka takes.
const LIMITS: Limits = Limits { bytes: 2 * MAX_BYTES as usize, records: 2 * MAX_RECORDS };
/// An empty poll that came back sooner than this did not wait; the next one has to.
const IDLE_WAIT: Duration = Duration::from_millis(20);
/// While Kafka takes nothing, what it says is looked at this often.
const COMPLAINT: Duration = Duration::from_millis(500);
/// Where a retriable error names no time.
const RETRY_WAIT: Duration = Duration::from_millis(500);

/// What a source is made of, but for its context.
pub(crate) struct SourceParts {
    pub(crate) producers: Producers,
    pub(crate) settings: ClientSettings,
    pub(crate) store: OffsetStore,
    pub(crate) converters: Converters,
    pub(crate) sandbox: Arc<Sandbox>,
    /// Bytes this task may have in flight.
    pub(crate) in_flight: usize,
}

/// The body of a source task.
pub(crate) struct Source {
    parts: SourceParts,
    /// `None` before the first open and after the producer failed.
    progress: Option<Progress>,
    outgoings: Outgoings,
    watermark: Watermark,
    limits: Limits,
    /// Topics that were found to be granted.
    granted: HashSet<String>,
}

impl Source {
    pub(crate) fn new(parts: SourceParts) -> Self {
        let watermark = Watermark::new(parts.sandbox.memory_max);
        let largest = parts.settings.get("message.max.bytes").and_then(|bytes| bytes.parse().ok());
        let limits = Limits { bytes: LIMITS.bytes + largest.unwrap_or(0), ..LIMITS };
        let (outgoings, granted) = (Outgoings::default(), HashSet::new());
        Self { parts, progress: None, outgoings, watermark, limits, granted }
    }

    async fn progress(&mut self, ctx: &Context) -> Result<&mut Progress, Failure> {
        if self.progress.is_none() {
            let producer = self
                .parts
                .producers
                .get(&self.parts.settings)
                .await
                .map_err(|source| Failure::Kafka { doing: "could not make a producer".into(), source })?;
            self.progress = Some(Progress::new(
                ctx.identity.connector.as_str().into(),
                self.parts.store.clone(),
                ctx.metrics.clone(),
                &producer,
                self.parts.in_flight,
            ));
        }
        Ok(self.progress.as_mut().expect("made above"))
    }

    /// Sends a batch, waiting for room where there is none.
    async fn send(&mut self, ctx: &mut Context, bytes: &[u8]) -> Result<(), Failure> {
        let batch =
            Batch::parse(bytes, &self.limits).map_err(|source| Failure::Batch { call: "poll", source })?;
        self.check_topics(ctx, &batch)?;
        let progress = self.progress.as_mut().expect("a source that pumps has a lane");
        submit(progress, &batch)?;
        let converted = self.outgoings.convert(&batch, &self.parts.converters)?;
        ctx.metrics.batches.add(1);
        ctx.metrics.records_in.add(batch.len() as u64);
        ctx.metrics.bytes_in.add(converted.bytes());
        if !batch.is_empty() {
            batch.topics().for_each(|topic| ctx.topics.note(topic));
        }
        let mut sent = 0;
        while sent < batch.len() {
            match progress.lane.send(converted.from(sent)) {
                Ok(count) => sent += count,
                Err(SendError { accepted, source }) => {
                    let doing = format!("kafka did not take record {} of a batch", sent + accepted);
                    return Err(Failure::Kafka { doing, source });
                }
            }
            progress.catch_up()?;
            if sent < batch.len() {
                wait_for_room(ctx, progress).await?;
            }
        }
        Ok(())
    }

    fn check_topics(&mut self, ctx: &Context, batch: &Batch<'_>) -> Result<(), Failure> {
        for topic in batch.topics() {
            if self.granted.contains(topic) {
                continue;
            }
            if !self.parts.sandbox.may_write_topic(topic) {
                return Err(Failure::TopicNotGranted {
                    topic: topic.to_owned(),
                    plugin: ctx.plugin.name().to_owned(),
                });
            }
            let _ = self.granted.insert(topic.to_owned());
        }
        Ok(())
    }

    /// Waits while the connector is paused.
    async fn pause(&mut self, ctx: &mut Context) -> Result<(), Failure> {
        ctx.show(State::Paused);
        let progress = self.progress.as_mut().expect("a source that pumps has a lane");
        while matches!(ctx.next(), Next::Pause) {
            tokio::select! {
                () = ctx.changed() => {}
                stepped = progress.step() => stepped?,
            }
        }
        ctx.show_running();
        Ok(())
    }

    /// One poll and what comes of it.
    async fn turn(&mut self, ctx: &mut Context, instance: &mut SourceInstance) -> Result<(), Failure> {
        let progress = self.progress.as_mut().expect("a source that pumps has a lane");
        let durable = progress.take_durable();
        if !durable.is_empty() {
            let offsets = offsets_json(&durable);
            beside(ctx, progress, instance.commit(&offsets)).await?.map_err(Failure::Call)?;
        }
        if progress.take_committed() {
            ctx.budget.progress();
        }
        let begun = Instant::now();
        let poll = instance.poll(MAX_RECORDS, MAX_BYTES, MAX_WAIT, self.limits.bytes);
        let polled = beside(ctx, progress, poll).await?;
        let bytes = match polled {
            Ok(bytes) => bytes,
            Err(error) => {
                let Some(wait) = error.retriable() else { return Err(Failure::Call(error)) };
                ctx.metrics.retries.add(1);
                return rest(ctx, progress, wait.unwrap_or(RETRY_WAIT)).await;
            }
        };
        if bytes.is_empty() {
            return rest(ctx, progress, IDLE_WAIT.saturating_sub(begun.elapsed())).await;
        }
        self.send(ctx, &bytes).await
    }
}

impl Body for Source {
    type Instance = SourceInstance;

    async fn open(&mut self, ctx: &mut Context, plugin: &Arc<Plugin>) -> Result<SourceInstance, Failure> {
        let config = ctx.instance_config().await?;
        let offsets: Arc<dyn OffsetLookup> = Arc::new(self.parts.store.reader(&ctx.identity.connector));
        let setup = ctx.setup(&self.parts.sandbox, Some(offsets));
        let progress = self.progress(ctx).await?;
        let open = async {
            let mut instance = SourceInstance::new(plugin, setup).await?;
            instance.open(&config).await?;
            Ok(instance)
        };
        let instance = beside(ctx, progress, open).await?.map_err(Failure::Call)?;
        self.watermark.opened(instance.memory());
        Ok(instance)
    }

    async fn pump(&mut self, ctx: &mut Context, instance: &mut SourceInstance) -> Result<End, Failure> {
        loop {
            match ctx.next() {
                Next::Stop => return Ok(End::Stop),
                Next::Swap(plugin) => return Ok(End::Swap(plugin)),
                Next::Pause => self.pause(ctx).await?,
                Next::Run if self.watermark.passed(instance.memory()) => return Ok(End::Recycle),
                Next::Run => self.turn(ctx, instance).await?,
            }
        }
    }

    async fn settle(
        &mut self,
        ctx: &mut Context,
        mut instance: SourceInstance,
        _reason: Reason,
    ) -> Result<(), Failure> {
        let progress = self.progress.as_mut().expect("a source that pumped has a lane");
        drained(ctx, progress).await?;
        let durable = progress.take_durable();
        ctx.clear_should_stop();
        if !durable.is_empty() {
            let offsets = offsets_json(&durable);
            instance.commit(&offsets).await.map_err(Failure::Call)?;
        }
        // All is durable: an error on the way out cannot lose anything, so it is only told.
        if let Err(error) = instance.close().await {
            tracing::warn!(
                connector = ctx.identity.connector,
                task = ctx.identity.task,
                "the plugin's `close` failed: {}",
                super::failure::chain(&error)
            );
        }
        Ok(())
    }

    async fn recover(&mut self, ctx: &mut Context, failure: &Failure) -> Result<(), Failure> {
        let Some(mut progress) = self.progress.take() else { return Ok(()) };
        if matches!(failure, Failure::Kafka { .. } | Failure::Offsets(_)) {
            // The lane has gaps: records that Kafka refused. What it still holds must end before a
            // successor sends (invariant 4).
            progress.lane.quiet().await;
            return Ok(());
        }
        // What the lost instance sent is good: saved first, it need not come twice.
        drained(ctx, &mut progress).await?;
        let _ = progress.take_durable();
        self.progress = Some(progress);
        Ok(())
    }

    async fn idle(&mut self) {
        // Errors show when the next instance steps.
        while let Some(progress) = &mut self.progress
            && progress.step().await.is_ok()
        {}
        std::future::pending().await
    }

    async fn release(mut self, _ctx: &Context) {
        if let Some(progress) = self.progress.take()
            && progress.lane.in_flight().records > 0
        {
            // Stopped with something in flight that has not ended: it has to, before the next one sends.
            progress.lane.purge();
            progress.lane.quiet().await;
        }
    }
}

/// Runs a call of the guest while acknowledgements are settled beside it. The outer error is of the lane or
/// the store; the guest's call is then dropped, and its instance with it.
async fn beside<T>(
    ctx: &mut Context,
    progress: &mut Progress,
    call: impl Future<Output = Result<T, CallError>>,
) -> Result<Result<T, CallError>, Failure> {
    ctx.clear_should_stop();
    let mut call = pin!(call);
    loop {
        tokio::select! {
            biased;
            result = &mut call => return Ok(result),
            () = changed(&mut ctx.orders) => ctx.should_stop.store(true, Ordering::Relaxed),
            stepped = progress.step() => stepped?,
        }
    }
}

/// Holds still for a while, or until an order comes.
async fn rest(ctx: &mut Context, progress: &mut Progress, wait: Duration) -> Result<(), Failure> {
    let until = tokio::time::Instant::now() + wait;
    show_complaint(ctx, progress);
    loop {
        tokio::select! {
            () = ctx.changed() => return Ok(()),
            () = tokio::time::sleep_until(until) => return Ok(()),
            stepped = progress.step() => stepped?,
        }
    }
}

async fn wait_for_room(ctx: &Context, progress: &mut Progress) -> Result<(), Failure> {
    while !progress.lane.has_room() {
        show_complaint(ctx, progress);
        tokio::select! {
            stepped = progress.step() => stepped?,
            () = tokio::time::sleep(COMPLAINT) => {}
        }
    }
    ctx.show_waiting(None);
    Ok(())
}

/// Says what keeps records from arriving.
fn show_complaint(ctx: &Context, progress: &Progress) {
    let records = progress.lane.in_flight().records;
    let complaint = progress.lane.complaint().filter(|_| records > 0);
    ctx.show_waiting(
        complaint.map(|error| format!("{records} records in flight to be acknowledged: {error}")),
    );
}

/// Drains, and says what for while it takes.
async fn drained(ctx: &Context, progress: &mut Progress) -> Result<(), Failure> {
    let records = progress.lane.in_flight().records;
    if records > 0 {
        ctx.show_waiting(Some(format!("{records} records in flight to be acknowledged")));
    }
    let drained = progress.drain().await;
    ctx.show_waiting(None);
    drained
}

/// Enters a batch's records and marks in the ledger, in their order.
fn submit(progress: &mut Progress, batch: &Batch<'_>) -> Result<(), Failure> {
    for partition in batch.source_partitions() {
        check_object("a source partition", partition)?;
    }
    let mut entered = 0;
    for mark in batch.marks() {
        if mark.after > entered {
            progress.ledger.submit(mark.after - entered);
            entered = mark.after;
        }
        check_object("a source offset", mark.offset)?;
        progress.ledger.mark(batch.source_partition(mark.partition), mark.offset);
    }
    let records = batch.len() as u32;
    if records > entered {
        progress.ledger.submit(records - entered);
    }
    Ok(())
}

/// The batch's reader knows text; that it is a JSON object only the offsets care for.
fn check_object(what: &str, text: &str) -> Result<(), Failure> {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(value) if value.get().starts_with('{') => Ok(()),
        _ => Err(Failure::Answer {
            call: "poll",
            problem: format!("a batch with {what} that is no JSON object"),
            text: text.to_owned(),
        }),
    }
}

/// The argument of the guest's `commit`. Both texts were found to be JSON objects when they came.
fn offsets_json(positions: &Positions) -> String {
    let entry = |(partition, offset): &(Arc<str>, Arc<str>)| {
        format!(r#"{{"partition":{partition},"offset":{offset}}}"#)
    };
    let list: Vec<String> = positions.iter().map(entry).collect();
    format!("[{}]", list.join(","))
}
