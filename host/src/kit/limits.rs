//! What becomes of a plugin at the limits that the operator sets, and of the one that comes after.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::contract;
use super::report::{Checked, Miss, Recorder};
use super::rig::{PATIENCE, Rig};
use super::{sink, source};
use crate::config::{Kind, Sandbox};
use crate::plugin::CallError;

/// The time of calls that are to be cut off.
const SHORT: Duration = Duration::from_millis(1);
/// The time of calls that are to end by themselves.
const ENOUGH: Duration = Duration::from_secs(5);
/// Before a new instance is tried again.
const BACKOFF: Duration = Duration::from_millis(500);
/// The least memory that can be set.
const LEAST: usize = 1 << 16;

/// Makes the checks of what all tasks have in common, before the others.
pub(super) async fn check_life(recorder: &mut Recorder<'_>, rig: &Rig) {
    let mut closed = Ok(());
    recorder
        .check(&contract::OPENS, async {
            for _ in 0..2 {
                closed = open_and_close(rig).await?;
            }
            Ok("twice, one instance after the other".to_owned())
        })
        .await;
    recorder
        .check(&contract::CLOSES, async {
            closed?;
            Ok("right after `open`".to_owned())
        })
        .await;
}

/// Makes the checks that kill instances, which come last.
pub(super) async fn check(recorder: &mut Recorder<'_>, rig: &Rig) {
    recorder.check(&contract::LIMITS_MEMORY, memory(rig)).await;
    // What it needs has another name for each kind.
    let works = recorder.holds("source.polls") || recorder.holds("sink.redelivery");
    recorder
        .check(&contract::LIMITS_TIME, async {
            if works { time(rig).await } else { Err(Miss::Skipped("it needs a task that works".to_owned())) }
        })
        .await;
}

async fn open_and_close(rig: &Rig) -> Result<Result<(), CallError>, CallError> {
    match rig.plugin.kind() {
        Kind::Source => source::open_and_close(rig).await,
        _ => sink::open_and_close(rig).await,
    }
}

/// A task's life in short. Tells its memory after `open`.
async fn exercise(rig: &Rig, sandbox: &Arc<Sandbox>) -> Result<usize, Miss> {
    match rig.plugin.kind() {
        Kind::Source => Ok(source::exercise(rig, sandbox).await?),
        _ => sink::exercise(rig, sandbox).await,
    }
}

/// No more memory than it has once it is open, then half of that.
async fn memory(rig: &Rig) -> Checked {
    let Ok(needs) = exercise(rig, &rig.sandbox).await else {
        return Err(Miss::Skipped("it does not work with all of its memory either".to_owned()));
    };
    let mut seen = Vec::new();
    for max in [needs, needs / 2] {
        let max = max.max(LEAST);
        let end = exercise(rig, &rig.limited(max, ENOUGH.min(rig.sandbox.call_timeout))).await;
        if let Err(Miss::Late(reason)) = &end {
            return Err(Miss::Failed(format!("with {max} bytes {reason}")));
        }
        seen.push(format!("{} KiB: {}", max >> 10, if end.is_ok() { "works" } else { "gives up" }));
    }
    Ok(seen.join(", "))
}

/// Kills an instance in the middle of a call, and expects a new one to work.
async fn time(rig: &Rig) -> Checked {
    let killed = match rig.plugin.kind() {
        Kind::Source => source::killed(rig, SHORT).await.map_err(Miss::from),
        _ => sink::killed(rig, SHORT).await,
    };
    let until = Instant::now() + PATIENCE;
    loop {
        match exercise(rig, &rig.sandbox).await {
            Ok(_) => break,
            Err(_) if Instant::now() < until => tokio::time::sleep(BACKOFF).await,
            Err(Miss::Failed(reason) | Miss::Late(reason)) => {
                let last =
                    format!("a call was cut off, and for {} s no new instance worked", PATIENCE.as_secs());
                return Err(Miss::Failed(format!("{last}: {reason}")));
            }
            Err(skipped) => return Err(skipped),
        }
    }
    Ok(match killed {
        Ok(()) => "the call was done before it could be cut off".to_owned(),
        Err(_) => "a call was cut off, and a new instance works".to_owned(),
    })
}
