//! The one path: drain, pre-commit, commit, close, new Store, open, assign, go on from what was committed.
//! Hot reload, recycling, stop and recovery from a failure all take it. It replaces the Store and never the
//! Kafka clients.
//!
//! A [`Body`] is what differs between a source and a sink; [`drive`] is what does not.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use tracing::info;

use super::context::{Context, Next};
use super::failure::Failure;
use super::status::State;
use crate::plugin::{self, Plugin};

/// Why an instance is asked to settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Stop,
    Swap,
}

impl From<Reason> for plugin::Reason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Stop => Self::Stop,
            Reason::Swap => Self::Swap,
        }
    }
}

/// What a loop came to its end for.
#[derive(Debug)]
pub(crate) enum End {
    Stop,
    Swap(Arc<Plugin>),
    /// What it runs with has grown past its part: replace it by a fresh one of the same code.
    Recycle,
}

/// The half of a task that knows its direction.
pub(crate) trait Body: Send {
    type Instance: Send;

    /// A new Store with an open instance that goes on from what was committed (invariant 2).
    fn open(
        &mut self,
        ctx: &mut Context,
        plugin: &Arc<Plugin>,
    ) -> impl Future<Output = Result<Self::Instance, Failure>> + Send;

    /// Moves records until an order or a failure ends it.
    fn pump(
        &mut self,
        ctx: &mut Context,
        instance: &mut Self::Instance,
    ) -> impl Future<Output = Result<End, Failure>> + Send;

    /// Drains, commits and closes (invariant 6).
    fn settle(
        &mut self,
        ctx: &mut Context,
        instance: Self::Instance,
        reason: Reason,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Brings the clients to where a new instance can go on, after `failure` left none. An error here
    /// costs another failure.
    fn recover(
        &mut self,
        ctx: &mut Context,
        failure: &Failure,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Keeps the clients alive while no instance runs. Never ends; dropped at any await.
    fn idle(&mut self) -> impl Future<Output = ()> + Send;

    /// Lets the clients go.
    fn release(self, ctx: &Context) -> impl Future<Output = ()> + Send;
}

/// Runs a task until it is told to stop.
pub(crate) async fn drive<B: Body>(mut body: B, mut ctx: Context) {
    loop {
        let Err(failure) = incarnations(&mut body, &mut ctx).await else { break };
        let failure = if ctx.roll_back(&failure) {
            match body.recover(&mut ctx, &failure).await {
                Ok(()) => continue,
                Err(failure) => failure,
            }
        } else {
            failure
        };
        if !failed(&mut body, &mut ctx, failure).await {
            break;
        }
    }
    body.release(&ctx).await;
    ctx.show(State::Unassigned);
}

/// Instances one after the other, until stop.
async fn incarnations<B: Body>(body: &mut B, ctx: &mut Context) -> Result<(), Failure> {
    if matches!(ctx.next(), Next::Stop) {
        return Ok(());
    }
    if let Next::Swap(plugin) = ctx.next() {
        // Nothing runs: the newest code is simply what starts.
        ctx.plugin = plugin;
    }
    let plugin = ctx.plugin.clone();
    let mut instance = body.open(ctx, &plugin).await?;
    ctx.show_running();
    info!(connector = ctx.identity.connector, task = ctx.identity.task, "task runs plugin {plugin}");
    loop {
        match body.pump(ctx, &mut instance).await? {
            End::Stop => return body.settle(ctx, instance, Reason::Stop).await,
            End::Recycle => {
                body.settle(ctx, instance, Reason::Swap).await?;
                let plugin = ctx.plugin.clone();
                instance = body.open(ctx, &plugin).await?;
            }
            End::Swap(next) => {
                let begun = Instant::now();
                body.settle(ctx, instance, Reason::Swap).await?;
                instance = swap(body, ctx, next, begun).await?;
            }
        }
    }
}

/// Opens the new code; when that fails, the old one again: the new one has committed nothing.
async fn swap<B: Body>(
    body: &mut B,
    ctx: &mut Context,
    next: Arc<Plugin>,
    begun: Instant,
) -> Result<B::Instance, Failure> {
    match body.open(ctx, &next).await {
        Ok(instance) => {
            ctx.swapped(next, begun);
            Ok(instance)
        }
        Err(failure) => {
            let plugin = ctx.plugin.clone();
            let instance = body.open(ctx, &plugin).await;
            ctx.swap_refused(&next, &failure, begun);
            instance
        }
    }
}

/// After a failure: shows it, recovers the clients, waits. False: the task shall stop.
async fn failed<B: Body>(body: &mut B, ctx: &mut Context, failure: Failure) -> bool {
    ctx.show_failed(&failure);
    let mut wait = if failure.can_start_again() { ctx.budget.failed() } else { None };
    if let Err(again) = body.recover(ctx, &failure).await {
        ctx.show_failed(&again);
        wait = wait.filter(|_| again.can_start_again());
    }
    ctx.show_waiting(Some(ctx.budget.waits_for(wait)));
    let tried = ctx.plugin.sha256().to_owned();
    let until = wait.map(|wait| tokio::time::Instant::now() + wait);
    let goes_on = loop {
        match ctx.next() {
            Next::Stop => break false,
            // Other code is another chance, budget or not.
            Next::Swap(plugin) if plugin.sha256() != tried => break true,
            _ => {}
        }
        tokio::select! {
            () = ctx.changed() => {}
            () = body.idle() => {}
            () = sleep_until(until) => break true,
        }
    };
    ctx.show_waiting(None);
    if goes_on {
        ctx.show_restart();
    }
    goes_on
}

async fn sleep_until(until: Option<tokio::time::Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}
