//! Sources: what one instance delivers, another must be able to go on with.
//!
//! One instance reads the whole first: to the end, or so many records. It is the measure for the others, which
//! begin in its middle. A source whose records differ from one reading to the next has no measure: that is found
//! out where something does not fit, and said.

mod haul;
mod reader;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::haul::{Ask, Haul, are_distinct, compare};
use self::reader::{Broken, Reader};
use super::contract;
use super::report::{Checked, Miss, Recorder};
use super::rig::{PATIENCE, Positions, Recalled, Rig, patiently, recalled};
use crate::config::Sandbox;
use crate::plugin::CallError;

/// A poll that is asked to wait so long has to be asked for.
const LONG: Duration = Duration::from_secs(20);
/// So often it is tried to find a source waiting.
const TRIES: usize = 20;
/// Polls before and after which memory is looked at.
const WARM: usize = 20;
const POLLS: usize = 80;
/// Bytes that memory may grow by during so many polls.
const GROWTH: usize = 32 << 20;
/// A batch of few bytes.
const FEW_BYTES: u32 = 16 << 10;

/// Makes the checks of a source.
pub(super) async fn check(recorder: &mut Recorder<'_>, rig: &Rig) {
    let mut whole = Haul::default();
    // Else there is nothing to be measured, and all of these are skipped.
    let read = if recorder.holds("task.opens") { read(rig, &mut whole).await } else { Ok(()) };
    recorder.check(&contract::SOURCE_RETRIES, async { retries(&whole, &read) }).await;
    recorder.check(&contract::POLLS, async { polls(&whole, read) }).await;
    recorder.check(&contract::SIZES, sizes(rig, &whole)).await;
    recorder
        .check(&contract::TOPICS, async { rule(&whole.wrong.topics, "granted, and names of topics") })
        .await;
    recorder
        .check(&contract::FORMATS, async { rule(&whole.wrong.formats, "keys and values are what they say") })
        .await;
    recorder.check(&contract::MARKS, async { marks(&whole) }).await;
    recorder.check(&contract::WAITS, async { waits(&whole) }).await;
    recorder.check(&contract::SOURCE_STOPS, stops(rig, &whole)).await;
    recorder.check(&contract::RESUMES, resumes(rig, &whole)).await;
    recorder.check(&contract::COMMITS, commits(rig)).await;
    recorder.check(&contract::SOURCE_MEMORY, memory(rig)).await;
    recorder.check(&contract::SOURCE_SWAPS, swaps(rig, &whole)).await;
}

/// A short piece of work: open, poll, close. Tells the memory after `open`.
pub(super) async fn exercise(rig: &Rig, sandbox: &Arc<Sandbox>) -> Result<usize, CallError> {
    let mut reader = Reader::open(rig, sandbox, 1, &Positions::default()).await?;
    let memory = reader.instance.memory();
    let instance = &mut reader.instance;
    for _ in 0..3 {
        let _ = patiently(async || instance.poll(100, FEW_BYTES, Duration::ZERO, 64 << 20).await).await?;
    }
    let _ = instance.close().await;
    Ok(memory)
}

/// Opens an instance and kills it in a call that has `limit`.
pub(super) async fn killed(rig: &Rig, limit: Duration) -> Result<(), CallError> {
    let mut reader = Reader::first(rig, &Positions::default()).await?;
    reader.instance.set_call_timeout(limit);
    reader.instance.poll(100, FEW_BYTES, Duration::ZERO, 64 << 20).await.map(drop)
}

/// Opens and closes an instance; the last of the results is that of `close`.
pub(super) async fn open_and_close(rig: &Rig) -> Result<Result<(), CallError>, CallError> {
    let mut reader = Reader::first(rig, &Positions::default()).await?;
    Ok(reader.instance.close().await)
}

/// Reads the whole.
async fn read(rig: &Rig, whole: &mut Haul) -> Result<(), Broken> {
    let mut reader = Reader::first(rig, &Positions::default()).await?;
    let drained = reader.drain(1, rig.records).await;
    *whole = reader.haul;
    drained
}

fn retries(whole: &Haul, read: &Result<(), Broken>) -> Checked {
    match read {
        Err(Broken::OnlyRetries(_)) => {
            Err(Miss::Failed("poll never recovered from its errors of code 1".into()))
        }
        _ if whole.retries == 0 => Err(Miss::Skipped("no poll answered with an error of code 1".to_owned())),
        _ => Ok(format!("polled again after {} errors of code 1", whole.retries)),
    }
}

fn polls(whole: &Haul, read: Result<(), Broken>) -> Checked {
    match read {
        Err(Broken::OnlyRetries(_)) => Err(Miss::Skipped("it needs source.retries".to_owned())),
        Err(broken) => Err(broken.into()),
        Ok(()) if whole.records.is_empty() => Err(Miss::Failed(
            "no record came, and so nothing can be said; give it something to read, or --config that finds some".into(),
        )),
        Ok(()) => {
            let end = if whole.ended { "to its end" } else { "and there is more" };
            Ok(format!("{} records in {} polls, {end}", whole.records.len(), whole.polls - whole.idle))
        }
    }
}

fn rule(wrong: &Option<String>, seen: &str) -> Checked {
    match wrong {
        Some(wrong) => Err(Miss::Failed(wrong.clone())),
        None => Ok(seen.to_owned()),
    }
}

/// The whole was read in batches of few records; here they are of few bytes.
async fn sizes(rig: &Rig, whole: &Haul) -> Checked {
    let _ = rule(&whole.wrong.sizes, "")?;
    let mut reader = Reader::first(rig, &Positions::default()).await?;
    for _ in 0..TRIES {
        let ask = Ask { records: 10_000, bytes: FEW_BYTES, wait: Duration::ZERO };
        match reader.poll(ask).await {
            Ok(true) | Err(Broken::OnlyRetries(_)) => {}
            Ok(false) => break,
            Err(broken) => return Err(broken.into()),
        }
    }
    rule(&reader.haul.wrong.sizes, "twice of what was asked for at most")
}

fn marks(whole: &Haul) -> Checked {
    let _ = rule(&whole.wrong.marks, "")?;
    match whole.positions(usize::MAX).len() {
        0 => Err(Miss::Failed(format!(
            "{} records and no mark: all of them come again after a restart",
            whole.records.len()
        ))),
        partitions => Ok(format!("of {partitions} source partitions")),
    }
}

fn waits(whole: &Haul) -> Checked {
    let _ = rule(&whole.wrong.late, "")?;
    match whole.idle {
        0 => Err(Miss::Skipped("it always had records".to_owned())),
        _ => Ok(format!("{} ms at most", whole.longest.as_millis())),
    }
}

/// Finds the source waiting in a poll, and asks for it.
async fn stops(rig: &Rig, whole: &Haul) -> Checked {
    let end = if whole.ended { whole.positions(usize::MAX) } else { Positions::default() };
    let mut reader = Reader::first(rig, &end).await?;
    let should_stop = Arc::clone(&reader.should_stop);
    for _ in 0..TRIES {
        let poll = reader.instance.poll(100, FEW_BYTES, LONG, 64 << 20);
        match recalled("poll", &should_stop, poll).await {
            Ok(Recalled::After(time)) => {
                return Ok(format!("back {} ms after it was asked for", time.as_millis()));
            }
            Ok(Recalled::Early(_)) => {}
            Err(miss) => return Err(miss),
        }
    }
    Err(Miss::Skipped("it never waited".to_owned()))
}

async fn resumes(rig: &Rig, whole: &Haul) -> Checked {
    let Some(cut) = whole.cut(whole.records.len() / 2) else {
        return Err(Miss::Skipped("there is no mark between two records".to_owned()));
    };
    let mut second = Reader::first(rig, &whole.positions(cut)).await?;
    let rest = whole.records.len() - cut;
    second.drain(rest, beyond(whole, rest)).await?;
    let parts = [&whole.records[..cut], &second.haul.records];
    judge(rig, whole, parts).await?;
    Ok(format!("{cut} records, then a new instance with the other {rest}"))
}

/// How many records of a second instance are looked at: more than there should be.
fn beyond(whole: &Haul, rest: usize) -> usize {
    if whole.ended { rest + whole.records.len() } else { rest + rest / 2 }
}

async fn judge(rig: &Rig, whole: &Haul, parts: [&[haul::Taken]; 2]) -> Result<(), Miss> {
    if !whole.ended && !are_distinct(&whole.records) {
        return Err(Miss::Skipped(
            "it has no end, and its records cannot be told from each other".to_owned(),
        ));
    }
    let Err(wrong) = compare(&whole.records, parts, whole.ended) else { return Ok(()) };
    // Whether the measure is one.
    let mut again = Reader::first(rig, &Positions::default()).await?;
    again.drain(whole.records.len(), beyond(whole, whole.records.len())).await?;
    match compare(&whole.records, [&again.haul.records, &[]], whole.ended) {
        Ok(()) => Err(Miss::Failed(wrong)),
        Err(_) => Err(Miss::Skipped(format!("read twice from its beginning it differs, too ({wrong})"))),
    }
}

async fn commits(rig: &Rig) -> Checked {
    let mut reader = Reader::first(rig, &Positions::default()).await?;
    reader.drain(1, 1).await?;
    let positions = reader.haul.positions(usize::MAX).json();
    let instance = &mut reader.instance;
    for _ in 0..2 {
        patiently(async || instance.commit(&positions).await).await?;
    }
    reader.drain(1, reader.haul.records.len() + 1).await?;
    Ok("the same twice, and polled on".to_owned())
}

async fn memory(rig: &Rig) -> Checked {
    let mut reader = Reader::first(rig, &Positions::default()).await?;
    let instance = &mut reader.instance;
    let (mut warm, begun) = (0, Instant::now());
    for poll in 0..WARM + POLLS {
        if poll == WARM {
            warm = instance.memory();
        }
        if begun.elapsed() > PATIENCE {
            return Err(Miss::Skipped(format!("{poll} polls took {} s", PATIENCE.as_secs())));
        }
        match instance.poll(100, FEW_BYTES, Duration::ZERO, 64 << 20).await {
            Err(error) if error.retriable().is_none() => return Err(error.into()),
            _ => {}
        }
    }
    grown(warm, instance.memory(), POLLS, "polls")
}

/// Whether memory grew by more than a buffer needs.
pub(super) fn grown(before: usize, after: usize, calls: usize, what: &str) -> Checked {
    let mib = |bytes: usize| bytes.div_ceil(1 << 20);
    if after.saturating_sub(before) > GROWTH {
        return Err(Miss::Failed(format!(
            "from {} MiB it grew to {} MiB during {calls} {what}",
            mib(before),
            mib(after)
        )));
    }
    Ok(format!("{} MiB after {calls} {what}", mib(after)))
}

/// Settles the old instance at the border of a batch, as the worker does, and goes on with a new one.
async fn swaps(rig: &Rig, whole: &Haul) -> Checked {
    let mut old = Reader::first(rig, &Positions::default()).await?;
    let half = (whole.records.len() / 2).max(1);
    old.drain(half, half).await?;
    let positions = old.haul.positions(usize::MAX);
    let offsets = positions.json();
    let instance = &mut old.instance;
    patiently(async || instance.commit(&offsets).await).await?;
    let _ = instance.close().await;
    let first = &old.haul.records[..old.haul.covered()];
    let rest = whole.records.len().saturating_sub(first.len());
    let mut new = Reader::open(rig, &rig.sandbox, 2, &positions).await?;
    new.drain(rest, beyond(whole, rest)).await?;
    judge(rig, whole, [first, &new.haul.records]).await?;
    Ok(format!("{} records by the old instance, then {} by the new one", first.len(), new.haul.records.len()))
}
