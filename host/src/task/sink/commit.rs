//! Commits: only what `pre-commit` answered, only what is owned, only what was put.
//!
//! The periodic commit is sent and not waited for; its answer comes back through the consumer. A commit before
//! a revoke, a stop or a swap is waited for, while events are served: waiting without serving them stalls the
//! whole group, because the commit waits for a rebalance that waits for this member.

use tokio::time::Instant;
use tracing::warn;

use super::partitions::{At, Tp};
use super::{Sink, consumer_failed};
use crate::plugin::{Reason, SinkInstance};
use crate::task::context::Context;
use crate::task::failure::Failure;

impl Sink {
    /// The commit that is due, by time or by wish.
    pub(super) async fn commit_due(
        &mut self,
        ctx: &mut Context,
        instance: &mut SinkInstance,
    ) -> Result<(), Failure> {
        let reason = if self.commit_requested { Reason::Requested } else { Reason::Interval };
        self.commit_requested = false;
        self.next_commit = Instant::now() + self.parts.commit_interval;
        self.measure_lag(ctx);
        let all: Vec<Tp> = self.partitions.all().cloned().collect();
        self.pre_commit(ctx, instance, &all, reason).await
    }

    /// How far the guest is behind, as far as the last fetches told.
    fn measure_lag(&self, ctx: &Context) {
        let Some(consumer) = &self.consumer else { return };
        let behind = |(tp, next): (&Tp, i64)| {
            consumer.high_watermark(&tp.clone().into()).map_or(0, |end| (end - next).max(0))
        };
        ctx.metrics.lag.set(self.partitions.positions().map(behind).sum());
    }

    /// Commits what is durable of all partitions and waits for the answer.
    pub(super) async fn commit_now(
        &mut self,
        ctx: &mut Context,
        instance: &mut SinkInstance,
        reason: Reason,
    ) -> Result<(), Failure> {
        let until = Instant::now() + self.parts.commit_timeout;
        loop {
            let all: Vec<Tp> = self.partitions.all().cloned().collect();
            self.commit_again = false;
            self.commit_of(ctx, instance, &all, reason).await?;
            if !self.commit_again || Instant::now() >= until {
                return Ok(());
            }
            // Leaving now would repeat what was put: the group has to settle first.
            self.consumer().serve();
            if self.has_event() {
                self.react(ctx, instance).await?;
            } else {
                self.consumer().ready().await;
            }
        }
    }

    /// The same for some partitions.
    pub(super) async fn commit_of(
        &mut self,
        ctx: &mut Context,
        instance: &mut SinkInstance,
        of: &[Tp],
        reason: Reason,
    ) -> Result<(), Failure> {
        self.pre_commit(ctx, instance, of, reason).await?;
        self.commits_answered(ctx).await
    }

    /// Asks the guest what is durable and sends the commit (invariant 1).
    async fn pre_commit(
        &mut self,
        ctx: &mut Context,
        instance: &mut SinkInstance,
        of: &[Tp],
        reason: Reason,
    ) -> Result<(), Failure> {
        self.commit_results(ctx);
        let offered = self.partitions.to_commit(of.iter());
        if offered.is_empty() {
            return Ok(());
        }
        let json = serde_json::to_string(&offered).expect("offsets are JSON");
        let answer = match self.beside(ctx, instance.pre_commit(&json, reason)).await {
            Ok(answer) => answer,
            // Not now: what is not committed comes again, or is asked for again at the next interval.
            Err(error) if error.retriable().is_some() => {
                ctx.metrics.commit_failures.add(1);
                return Ok(());
            }
            Err(error) => return Err(Failure::Call(error)),
        };
        self.requests(ctx, instance).await?;
        if answer.is_empty() {
            return Ok(());
        }
        let answer: Vec<At> = serde_json::from_str(&answer).map_err(|error| Failure::Answer {
            call: "pre-commit",
            problem: format!("something else than a list of offsets ({error})"),
            text: answer.clone(),
        })?;
        let (accepted, refused) = self.partitions.accept(answer);
        for refused in refused {
            warn!(
                connector = ctx.identity.connector,
                task = ctx.identity.task,
                "the plugin's `pre-commit` named offset {} of {}-{}, which is not committed: {}",
                refused.at.offset,
                refused.at.tp.topic,
                refused.at.tp.partition,
                refused.why
            );
        }
        if !accepted.is_empty() {
            self.send(accepted)?;
        }
        Ok(())
    }

    fn send(&mut self, offsets: Vec<At>) -> Result<(), Failure> {
        let offsets: Vec<_> = offsets.into_iter().map(|at| (at.tp.into(), at.offset)).collect();
        self.consumer().commit(&offsets).map_err(consumer_failed)?;
        self.commits_under_way += 1;
        Ok(())
    }

    /// Takes the answers that have come.
    pub(super) fn commit_results(&mut self, ctx: &mut Context) {
        while let Some(result) = self.consumer().take_commit_result() {
            self.commits_under_way = self.commits_under_way.saturating_sub(1);
            let mut failed = None;
            for (tp, offset, error) in result {
                let tp = Tp::from(tp);
                match error {
                    None => self.partitions.committed(&tp, offset),
                    Some(error) => {
                        self.partitions.commit_failed(&tp);
                        failed = Some(error);
                    }
                }
            }
            match failed {
                None => {
                    self.rejects.forget(&self.partitions);
                    ctx.metrics.commits.add(1);
                    ctx.budget.progress();
                }
                Some(error) => {
                    ctx.metrics.commit_failures.add(1);
                    if error.is_rebalance() {
                        // While the group settles this is its way of saying "later".
                        self.commit_again = true;
                    } else {
                        warn!(
                            connector = ctx.identity.connector,
                            task = ctx.identity.task,
                            "a commit failed and is tried again: {error}"
                        );
                    }
                }
            }
        }
    }

    /// Waits until no commit is under way, serving events.
    async fn commits_answered(&mut self, ctx: &mut Context) -> Result<(), Failure> {
        let until = Instant::now() + self.parts.commit_timeout;
        while self.commits_under_way > 0 {
            self.consumer().serve();
            self.commit_results(ctx);
            if self.commits_under_way == 0 || self.consumer().is_dead() {
                break;
            }
            tokio::select! {
                () = self.consumer().ready() => {}
                () = tokio::time::sleep_until(until) => {
                    warn!(
                        connector = ctx.identity.connector,
                        task = ctx.identity.task,
                        "a commit was not answered within {} ms (offset.flush.timeout.ms); its records will come again",
                        self.parts.commit_timeout.as_millis()
                    );
                    self.commits_under_way = 0;
                }
            }
        }
        Ok(())
    }
}
