//! Partitions that come and go, in Kafka Connect's order.

use super::partitions::{At, Tp};
use super::{Sink, consumer_failed, seeks};
use crate::kafka::Event;
use crate::plugin::{Reason, SinkInstance};
use crate::task::context::Context;
use crate::task::failure::Failure;

impl Sink {
    /// Acts on everything the consumer has said.
    pub(super) async fn react(
        &mut self,
        ctx: &mut Context,
        instance: &mut SinkInstance,
    ) -> Result<(), Failure> {
        self.commit_results(ctx);
        while self.next_event() {
            match self.event.take().expect("there is one") {
                Event::Assign(list) => {
                    let tps: Vec<Tp> = list.iter().cloned().map(Tp::from).collect();
                    if let Err(failure) = self.assigned(ctx, instance, &tps).await {
                        // The client still waits for its answer: it gets one without this instance.
                        tps.iter().for_each(|tp| self.partitions.revoke(tp));
                        self.event = Some(Event::Assign(list));
                        return Err(failure);
                    }
                }
                Event::Revoke { partitions, lost: away } => {
                    let tps: Vec<Tp> = partitions.into_iter().map(Tp::from).collect();
                    let away = away || self.consumer().assignment_lost();
                    self.revoked(ctx, instance, &tps, away).await?;
                }
                event => return Err(self.ended_by(event)),
            }
        }
        Ok(())
    }

    /// Whether there is an event to act on; it then stands in `self.event`.
    pub(super) fn next_event(&mut self) -> bool {
        if self.event.is_none() {
            self.event = self.consumer().take_event();
        }
        self.event.is_some()
    }

    /// Acts on the event without an instance: there is nobody to be asked, and the group must not wait. May be
    /// dropped at any await; the event then stays.
    pub(super) async fn react_alone(&mut self) -> Result<(), Failure> {
        match self.event.clone() {
            None => {}
            Some(Event::Assign(list)) => {
                let tps: Vec<Tp> = list.into_iter().map(Tp::from).collect();
                self.learn(&tps).await?;
                let start: Vec<_> =
                    tps.iter().map(|tp| (tp.clone().into(), self.partitions.committed_of(tp))).collect();
                self.consumer().assign(&start).map_err(consumer_failed)?;
                self.hold_still()?;
            }
            Some(Event::Revoke { partitions, .. }) => {
                for tp in &partitions {
                    self.partitions.revoke(&Tp::from(tp.clone()));
                }
                self.consumer().unassign(&partitions).map_err(consumer_failed)?;
            }
            Some(event) => return Err(self.ended_by(event)),
        }
        self.event = None;
        Ok(())
    }

    fn ended_by(&self, event: Event) -> Failure {
        match event {
            Event::Error(error) => consumer_failed(error),
            _ => Failure::Fenced {
                group: self.membership.group.clone(),
                instance: self.membership.instance_id.clone().unwrap_or_default(),
            },
        }
    }

    /// Committed offsets, the guest's `assign`, then the consumer's.
    async fn assigned(
        &mut self,
        ctx: &mut Context,
        instance: &mut SinkInstance,
        list: &[Tp],
    ) -> Result<(), Failure> {
        if list.is_empty() {
            // An empty assignment has to be answered all the same, or the group waits for it.
            return self.consumer().assign(&[]).map_err(consumer_failed);
        }
        self.learn(list).await?;
        let json = self.partitions.assignment(list.iter());
        instance.set_assigned(self.partitions.all().cloned().map(Into::into).collect());
        self.beside(ctx, instance.assign(&json)).await.map_err(Failure::Call)?;
        // Seeks of what comes are start offsets; the rest of what was asked is done as after any call.
        let mut requests = instance.take_requests();
        let seeks = seeks(std::mem::take(&mut requests.seeks));
        let start: Vec<_> = list
            .iter()
            .map(|tp| {
                let sought = seeks.iter().rev().find(|at| at.tp == *tp).map(|at| at.offset);
                (tp.clone().into(), sought.or(self.partitions.committed_of(tp)))
            })
            .collect();
        self.consumer().assign(&start).map_err(consumer_failed)?;
        let (new, old): (Vec<_>, Vec<_>) = seeks.into_iter().partition(|at| list.contains(&at.tp));
        for at in new {
            self.partitions.sought(&at.tp, at.offset);
        }
        self.seek(ctx, old).await?;
        ctx.metrics.partitions.set(self.partitions.len() as i64);
        self.obey(ctx, requests).await
    }

    /// Takes the partitions into the books with what Kafka knows of them.
    pub(super) async fn learn(&mut self, list: &[Tp]) -> Result<(), Failure> {
        let wanted: Vec<_> = list.iter().cloned().map(Into::into).collect();
        let committed = self.consumer().committed(&wanted).await.map_err(consumer_failed)?;
        for (tp, offset) in committed {
            self.partitions.assign(tp.into(), offset);
        }
        Ok(())
    }

    /// Pre-commit and commit (unless lost), the guest's `revoke`, then the consumer's.
    async fn revoked(
        &mut self,
        ctx: &mut Context,
        instance: &mut SinkInstance,
        list: &[Tp],
        lost: bool,
    ) -> Result<(), Failure> {
        let known: Vec<Tp> = list.iter().filter(|tp| self.partitions.owns(tp)).cloned().collect();
        let left = self.leave(ctx, instance, &known, lost).await;
        // Whatever the guest did, the partitions go: the group waits for it.
        for tp in &known {
            self.partitions.revoke(tp);
        }
        let list: Vec<_> = list.iter().cloned().map(Into::into).collect();
        self.consumer().unassign(&list).map_err(consumer_failed)?;
        ctx.metrics.partitions.set(self.partitions.len() as i64);
        left
    }

    async fn leave(
        &mut self,
        ctx: &mut Context,
        instance: &mut SinkInstance,
        known: &[Tp],
        lost: bool,
    ) -> Result<(), Failure> {
        if known.is_empty() {
            return Ok(());
        }
        if !lost {
            self.commit_of(ctx, instance, known, Reason::Revoke).await?;
        }
        let json = serde_json::to_string(known).expect("partitions are JSON");
        self.beside(ctx, instance.revoke(&json, lost)).await.map_err(Failure::Call)
    }

    /// Goes back, in every partition, to what is committed.
    pub(super) async fn rewind(&mut self) -> Result<(), Failure> {
        let seeks = self.partitions.rewind();
        self.seek_consumer(&seeks).await
    }

    /// Goes back, in every partition, to what was taken and never put.
    pub(super) async fn untake(&mut self) -> Result<(), Failure> {
        let seeks = self.partitions.untake();
        self.seek_consumer(&seeks).await
    }

    pub(super) async fn seek(&mut self, _ctx: &Context, list: Vec<At>) -> Result<(), Failure> {
        self.seek_consumer(&list).await?;
        for at in list {
            self.partitions.sought(&at.tp, at.offset);
        }
        Ok(())
    }

    async fn seek_consumer(&mut self, seeks: &[At]) -> Result<(), Failure> {
        if seeks.is_empty() {
            return Ok(());
        }
        let seeks: Vec<_> = seeks.iter().map(|at| (at.tp.clone().into(), at.offset)).collect();
        self.consumer().seek(&seeks).await.map_err(consumer_failed)
    }

    pub(super) fn hold(&mut self, list: Vec<Tp>, held: bool) -> Result<(), Failure> {
        let list: Vec<Tp> = list.into_iter().filter(|tp| self.partitions.owns(tp)).collect();
        for tp in &list {
            self.partitions.hold(tp, held);
        }
        let list: Vec<_> = list.into_iter().map(Into::into).collect();
        let consumer = self.consumer();
        if held { consumer.pause(&list) } else { consumer.resume(&list) }.map_err(consumer_failed)
    }
}
