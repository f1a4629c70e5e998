//! A sink on the one path: what opening, settling and recovering mean for it.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::partitions::{Partitions, Tp};
use super::{Sink, consumer_failed};
use crate::kafka::Consumer;
use crate::plugin::{CallError, Plugin, SinkInstance};
use crate::task::context::{Context, Next};
use crate::task::drive::{Body, End, Reason};
use crate::task::failure::{Failure, chain};

/// Fenced twice within this time: somebody else runs this task too, and giving way is the only end to it.
const FENCED_AGAIN: Duration = Duration::from_secs(60);

impl Sink {
    /// The consumer, made if there is none: it outlives instances, and dies only with its own errors.
    async fn ensure_consumer(&mut self, ctx: &Context) -> Result<(), Failure> {
        if self.outgrown() {
            self.drop_consumer().await;
        }
        if self.consumer.is_none() {
            let failed = |doing: &str, source| Failure::Kafka { doing: doing.to_owned(), source };
            let subscription = &self.parts.subscription;
            ctx.show_waiting(Some("Kafka to tell which topics there are".into()));
            let membership = self.parts.members.membership(&self.parts.settings, subscription).await;
            ctx.show_waiting(None);
            self.membership =
                membership.map_err(|source| failed("could not ask Kafka for the topics", source))?;
            let (settings, prefetch) = (&self.parts.settings, self.parts.prefetch.bytes());
            let consumer = Consumer::subscribe(settings, subscription, &self.membership, prefetch)
                .map_err(|source| failed("could not make a consumer", source))?;
            self.consumer = Some(consumer);
            self.prefetched = prefetch;
            self.partitions = Partitions::default();
            self.commits_under_way = 0;
        }
        Ok(())
    }

    /// Brings a fresh instance to where the last one had committed.
    async fn hand_over(&mut self, ctx: &mut Context, instance: &mut SinkInstance) -> Result<(), Failure> {
        ctx.metrics.partitions.set(self.partitions.len() as i64);
        if self.partitions.is_empty() {
            return Ok(());
        }
        let all: Vec<Tp> = self.partitions.all().cloned().collect();
        // The old instance's wishes are gone with it.
        let plain: Vec<_> = all.iter().cloned().map(Into::into).collect();
        self.consumer().resume(&plain).map_err(consumer_failed)?;
        self.rewind().await?;
        let json = self.partitions.assignment(all.iter());
        instance.set_assigned(self.partitions.all().cloned().map(Into::into).collect());
        self.beside(ctx, instance.assign(&json)).await.map_err(Failure::Call)?;
        self.requests(ctx, instance).await
    }
}

impl Body for Sink {
    type Instance = SinkInstance;

    async fn open(&mut self, ctx: &mut Context, plugin: &Arc<Plugin>) -> Result<SinkInstance, Failure> {
        self.ensure_consumer(ctx).await?;
        // Where it goes on from what is committed, nothing of before can fail any more.
        self.rejects.clear();
        self.rejects.prepare().await?;
        let config = ctx.instance_config().await?;
        let setup = ctx.setup(&self.parts.sandbox, None);
        let open = async {
            let mut instance = SinkInstance::new(plugin, setup).await?;
            instance.open(&config).await?;
            Ok(instance)
        };
        let mut instance = self.beside(ctx, open).await.map_err(Failure::Call)?;
        self.watermark.opened(instance.memory());
        self.commit_requested = false;
        self.wake = None;
        self.last_put = Instant::now();
        self.hand_over(ctx, &mut instance).await?;
        Ok(instance)
    }

    async fn pump(&mut self, ctx: &mut Context, instance: &mut SinkInstance) -> Result<End, Failure> {
        loop {
            match ctx.next() {
                Next::Stop => return Ok(End::Stop),
                Next::Swap(plugin) => return Ok(End::Swap(plugin)),
                Next::Pause => self.pause(ctx, instance).await?,
                Next::Run if self.outgrown() || self.watermark.passed(instance.memory()) => {
                    return Ok(End::Recycle);
                }
                Next::Run => self.turn(ctx, instance).await?,
            }
        }
    }

    async fn settle(
        &mut self,
        ctx: &mut Context,
        mut instance: SinkInstance,
        reason: Reason,
    ) -> Result<(), Failure> {
        if reason == Reason::Stop {
            // Nothing more is wanted; what arrives meanwhile would only be read again by the next owner.
            self.hold_still()?;
        }
        ctx.show_waiting(Some("offsets to be committed".into()));
        let committed = self.commit_now(ctx, &mut instance, reason.into()).await;
        ctx.show_waiting(None);
        committed?;
        let all: Vec<Tp> = self.partitions.all().cloned().collect();
        if !all.is_empty() {
            let json = serde_json::to_string(&all).expect("partitions are JSON");
            // What is durable is committed: errors on the way out lose nothing, so they are only told.
            if let Err(error) = self.beside(ctx, instance.revoke(&json, false)).await {
                tell(ctx, &error);
                return Ok(());
            }
        }
        if let Err(error) = self.beside(ctx, instance.close()).await {
            tell(ctx, &error);
        }
        Ok(())
    }

    async fn recover(&mut self, ctx: &mut Context, failure: &Failure) -> Result<(), Failure> {
        let _ = self.incoming.take();
        self.rejects.clear();
        ctx.metrics.partitions.set(0);
        match failure {
            Failure::Fenced { .. } => {
                let again = self.fenced.is_some_and(|last| last.elapsed() < FENCED_AGAIN);
                self.fenced = Some(Instant::now());
                self.drop_consumer().await;
                if again { Err(Failure::FencedForGood) } else { Ok(()) }
            }
            Failure::Kafka { .. } => {
                self.drop_consumer().await;
                Ok(())
            }
            // The client is sound. Partitions stay; the next instance goes back to what is committed.
            _ => Ok(()),
        }
    }

    async fn idle(&mut self) {
        if self.consumer.is_none() {
            return pending().await;
        }
        // Nobody takes records now.
        if let Err(failure) = self.hold_still() {
            warn!("{}", chain(&failure));
        }
        loop {
            if self.next_event() {
                if let Err(failure) = self.react_alone().await {
                    warn!("{}", chain(&failure));
                    // The next instance gets a new client.
                    return self.drop_consumer().await;
                }
            } else {
                self.consumer().serve();
                if !self.has_event() {
                    self.consumer().ready().await;
                }
            }
        }
    }

    async fn release(mut self, ctx: &Context) {
        self.rejects.close();
        if self.consumer.is_some() {
            ctx.show_waiting(Some("its consumer to leave the group".into()));
            self.drop_consumer().await;
        }
    }
}

impl Sink {
    async fn drop_consumer(&mut self) {
        self.partitions = Partitions::default();
        self.commits_under_way = 0;
        self.event = None;
        if let Some(consumer) = self.consumer.take() {
            consumer.close().await;
        }
    }
}

fn tell(ctx: &Context, error: &CallError) {
    let error = chain(error);
    warn!(
        connector = ctx.identity.connector,
        task = ctx.identity.task,
        "the plugin failed while leaving: {error}"
    );
}
