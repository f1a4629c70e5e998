//! A sink task: consumer queue → converters → batch → guest; and back: pre-commit → commit.
//!
//! The loop holds one batch at a time. While the guest is in a call the consumer's queue is served beside it,
//! so that a slow `put` costs neither the membership nor anybody's rebalance; what the queue says is acted on
//! when the call has returned, in Kafka Connect's order: pre-commit, commit, revoke, unassign; committed
//! offsets, assign (seeks become start offsets), assign the consumer.

mod body;
mod commit;
mod incoming;
mod membership;
mod partitions;
mod rebalance;
mod rejects;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use transom_batch::Limits;

use self::incoming::{Incoming, Ready};
pub(crate) use self::membership::{Members, Roster, group_of};
use self::partitions::{At, Partitions, Tp};
pub(crate) use self::rejects::RejectParts;
use self::rejects::{Failed, Rejects};
use super::context::{Context, Next, changed};
use super::failure::Failure;
use super::status::State;
use super::watermark::Watermark;
use crate::config::Sandbox;
use crate::convert::Converters;
use crate::kafka::{ClientSettings, Consumer, Event, KafkaError, Membership, Subscription};
use crate::plugin::{self, CallError, SinkInstance, SinkRequests};

/// Records of one put at most, or fewer where `max.poll.records` says so.
const MAX_RECORDS: usize = 5_000;
/// Bytes of keys and values after which nothing is added to a put.
const MAX_BYTES: usize = 1 << 20;
/// Records taken from the queue at once: a put is larger than `MAX_BYTES` by so many at most.
const STEP: usize = 500;
/// The guest hears from the worker at least this often.
const IDLE_PUT: Duration = Duration::from_millis(500);
/// Where a retriable error names no time.
const RETRY_WAIT: Duration = Duration::from_millis(500);
/// What `put` may answer at most.
const OUTCOME: Limits = Limits { bytes: 16 << 20, records: 10 * MAX_RECORDS as u32 };

/// What a sink is made of, but for its context.
pub(crate) struct SinkParts {
    pub(crate) settings: ClientSettings,
    pub(crate) subscription: Subscription,
    pub(crate) members: Members,
    /// Bytes the consumer may fetch ahead.
    pub(crate) prefetch: crate::kafka::PrefetchShare,
    pub(crate) converters: Converters,
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) commit_interval: Duration,
    /// How long a commit that is waited for may take.
    pub(crate) commit_timeout: Duration,
}

/// The body of a sink task.
pub(crate) struct Sink {
    parts: SinkParts,
    /// Of one put.
    max_records: usize,
    /// `None` before the first open and after the client failed.
    consumer: Option<Consumer>,
    /// The consumer's.
    membership: Membership,
    partitions: Partitions,
    incoming: Incoming,
    rejects: Rejects,
    /// Bytes the consumer was made to fetch ahead.
    prefetched: usize,
    /// Commits that were sent and not yet answered.
    commits_under_way: usize,
    /// A commit met a rebalance: once that has settled it can hold.
    commit_again: bool,
    last_put: Instant,
    next_commit: Instant,
    commit_requested: bool,
    /// The guest asked to hear from the worker by then.
    wake: Option<Instant>,
    /// What the client said and has not been acted on.
    event: Option<Event>,
    watermark: Watermark,
    /// When the client was fenced last.
    fenced: Option<Instant>,
}

impl Sink {
    pub(crate) fn new(parts: SinkParts, rejects: RejectParts) -> Self {
        let now = Instant::now();
        let rejects = Rejects::new(rejects);
        Self {
            incoming: Incoming::new(parts.converters, rejects.keeps()),
            rejects,
            next_commit: now + parts.commit_interval,
            watermark: Watermark::new(parts.sandbox.memory_max),
            max_records: max_records(&parts.settings),
            parts,
            consumer: None,
            membership: Membership::default(),
            partitions: Partitions::default(),
            prefetched: 0,
            commits_under_way: 0,
            commit_again: false,
            last_put: now,
            commit_requested: false,
            wake: None,
            event: None,
            fenced: None,
        }
    }

    /// Whether there are so many more sinks now that the consumer's part of the budget has shrunk by half.
    fn outgrown(&self) -> bool {
        self.consumer.is_some() && self.parts.prefetch.bytes() <= self.prefetched / 2
    }

    fn has_event(&mut self) -> bool {
        self.event.is_some() || self.consumer().has_event()
    }

    fn consumer(&mut self) -> &mut Consumer {
        self.consumer.as_mut().expect("a sink that runs has a consumer")
    }

    /// Takes what the queue has, up to a batch: so many records at a time, until there are bytes enough.
    fn fill(&mut self) -> usize {
        let (incoming, consumer) = (&mut self.incoming, self.consumer.as_mut().expect("as above"));
        loop {
            let room = (self.max_records - incoming.len()).min(STEP);
            let taken = consumer.poll(room, |message| incoming.push(message));
            if taken < room || incoming.len() == self.max_records || incoming.bytes() >= MAX_BYTES {
                return incoming.len();
            }
        }
    }

    /// Pauses every partition: what was fetched of them is dropped, to be fetched again.
    fn hold_still(&mut self) -> Result<(), Failure> {
        let all: Vec<_> = self.partitions.all().cloned().map(Into::into).collect();
        self.consumer().pause(&all).map_err(consumer_failed)
    }

    /// One turn of the loop: events first, then records if there are any, else a wait.
    async fn turn(&mut self, ctx: &mut Context, instance: &mut SinkInstance) -> Result<(), Failure> {
        self.consumer().serve();
        self.react(ctx, instance).await?;
        if !self.rejects.is_full() && self.fill() > 0 {
            let (ready, failed) = self.incoming.take();
            self.take_note(ctx, &ready);
            if let Some(failure) = failed {
                return Err(failure);
            }
            ctx.show_waiting(None);
            self.put(ctx, instance, ready).await?;
        } else if Instant::now() >= self.deadline() {
            ctx.show_waiting(self.consumer().complaint().map(|error| format!("Kafka: {error}")));
            self.put(ctx, instance, Ready::empty()).await?;
        } else {
            self.wait(ctx).await;
        }
        if self.commit_requested || Instant::now() >= self.next_commit {
            self.commit_due(ctx, instance).await?;
        }
        Ok(())
    }

    fn take_note(&mut self, ctx: &Context, ready: &Ready) {
        for span in &ready.spans {
            ctx.topics.note(&span.tp.topic);
            self.partitions.taken(&span.tp, span.first, span.next);
        }
    }

    /// When the guest has to hear from the worker.
    fn deadline(&self) -> Instant {
        let idle = self.last_put + IDLE_PUT;
        self.wake.map_or(idle, |wake| wake.min(idle))
    }

    /// Waits for records, events, orders, or the next thing that is due.
    async fn wait(&mut self, ctx: &mut Context) {
        let until = self.deadline().min(self.next_commit);
        tokio::select! {
            () = self.consumer().ready() => {}
            () = tokio::time::sleep_until(until) => {}
            () = ctx.changed() => {}
        }
    }

    /// Puts a batch, again and again while the guest says that it is worth it.
    async fn put(
        &mut self,
        ctx: &mut Context,
        instance: &mut SinkInstance,
        ready: Ready,
    ) -> Result<(), Failure> {
        ctx.metrics.records_in.add(ready.records);
        ctx.metrics.bytes_in.add(ready.payload);
        let Ready { bytes, records, payload, spans, originals } = ready;
        loop {
            self.wake = None;
            let result = self.beside(ctx, instance.put(&bytes)).await;
            self.last_put = Instant::now();
            match result {
                Ok(outcome) => {
                    for span in &spans {
                        self.partitions.put(&span.tp, span.next);
                    }
                    self.rejects.keep(&spans, originals);
                    self.reject(ctx, &outcome).await?;
                    ctx.metrics.batches.add(1);
                    ctx.metrics.records_out.add(records);
                    ctx.metrics.bytes_out.add(payload);
                    return self.requests(ctx, instance).await;
                }
                Err(error) => {
                    let Some(wait) = error.retriable() else { return Err(Failure::Call(error)) };
                    ctx.metrics.retries.add(1);
                    self.requests(ctx, instance).await?;
                    if !self.retry_wait(ctx, instance, wait.unwrap_or(RETRY_WAIT)).await? {
                        // An order or a rebalance comes first; what was not put is read again.
                        return self.untake().await;
                    }
                }
            }
        }
    }

    /// Sees to the records that the guest could not take, before anything of them can be committed.
    async fn reject(&mut self, ctx: &Context, outcome: &[u8]) -> Result<(), Failure> {
        let failed = Failed::parse(outcome, &OUTCOME, &self.partitions, &ctx.identity.vault)?;
        // A commit makes room for what is kept.
        self.commit_requested |= self.rejects.is_full();
        if failed.is_empty() {
            return Ok(());
        }
        let consumer = self.consumer.as_mut().expect("as above");
        let mut handling = pin!(self.rejects.handle(ctx, failed));
        loop {
            tokio::select! {
                biased;
                handled = &mut handling => return handled,
                () = consumer.ready() => consumer.serve(),
            }
        }
    }

    /// Waits before a retry, serving events. False: give the batch up, something else comes first.
    async fn retry_wait(
        &mut self,
        ctx: &mut Context,
        instance: &mut SinkInstance,
        wait: Duration,
    ) -> Result<bool, Failure> {
        let until = Instant::now() + wait;
        loop {
            if !matches!(ctx.next(), Next::Run) {
                return Ok(false);
            }
            self.consumer().serve();
            if self.has_event() {
                self.react(ctx, instance).await?;
                return Ok(false);
            }
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ok(true),
                () = ctx.changed() => {}
                () = self.consumer().ready() => {}
            }
        }
    }

    /// Runs a call of the guest while the consumer's queue is served beside it.
    async fn beside<T>(
        &mut self,
        ctx: &mut Context,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        ctx.clear_should_stop();
        let mut call = pin!(call);
        loop {
            tokio::select! {
                biased;
                result = &mut call => return result,
                () = changed(&mut ctx.orders) => ctx.should_stop.store(true, Ordering::Relaxed),
                () = self.consumer().ready() => {
                    self.consumer().serve();
                    if self.has_event() {
                        ctx.should_stop.store(true, Ordering::Relaxed);
                    }
                }
            }
        }
    }

    /// Does what the guest asked for during its last call.
    async fn requests(&mut self, ctx: &Context, instance: &mut SinkInstance) -> Result<(), Failure> {
        let requests = instance.take_requests();
        if requests.is_empty() { Ok(()) } else { self.obey(ctx, requests).await }
    }

    async fn obey(&mut self, ctx: &Context, requests: SinkRequests) -> Result<(), Failure> {
        self.commit_requested |= requests.commit;
        if let Some(wait) = requests.timeout {
            self.wake = Some(Instant::now() + wait);
        }
        for held in [true, false] {
            let list = requests.pauses.iter().filter(|(_, wanted)| **wanted == held);
            self.hold(list.map(|(tp, _)| Tp::from(tp.clone())).collect(), held)?;
        }
        self.seek(ctx, seeks(requests.seeks)).await
    }

    /// Holds still while the connector is paused: in the group, but without a put.
    async fn pause(&mut self, ctx: &mut Context, instance: &mut SinkInstance) -> Result<(), Failure> {
        self.commit_now(ctx, instance, plugin::Reason::Requested).await?;
        self.hold_still()?;
        ctx.show(State::Paused);
        while matches!(ctx.next(), Next::Pause) {
            self.consumer().serve();
            if self.has_event() {
                self.react(ctx, instance).await?;
                self.hold_still()?;
            }
            tokio::select! {
                () = ctx.changed() => {}
                () = self.consumer().ready() => {}
                () = tokio::time::sleep(IDLE_PUT) => {}
            }
        }
        let flowing: Vec<_> = self.partitions.flowing().cloned().map(Into::into).collect();
        self.consumer().resume(&flowing).map_err(consumer_failed)?;
        ctx.show_running();
        Ok(())
    }
}

/// `max.poll.records`, which is a number from 1 where it is set, and never more than a put can take.
fn max_records(settings: &ClientSettings) -> usize {
    let set = settings.get("max.poll.records").and_then(|text| text.parse().ok());
    set.unwrap_or(MAX_RECORDS).clamp(1, MAX_RECORDS)
}

/// The places a guest asked to go on from.
fn seeks(sought: BTreeMap<(String, i32), i64>) -> Vec<At> {
    sought.into_iter().map(|(tp, offset)| At { tp: tp.into(), offset }).collect()
}

fn consumer_failed(source: KafkaError) -> Failure {
    Failure::Kafka { doing: "the consumer failed".to_owned(), source }
}
