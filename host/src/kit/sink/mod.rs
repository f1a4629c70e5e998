//! Sinks: what is told durable is, and everything else may come again.
//!
//! The records are made up; of two partitions, whose offsets grow from check to check, as those of a topic that
//! goes on. What a plugin makes of them outside cannot be seen from here: whether they are there is for its own tests.

mod feed;
mod member;

use std::sync::Arc;
use std::time::Duration;

use transom_batch::Writer;

use self::feed::Feed;
use self::member::{Member, PARTITIONS, Starts, Wrong};
use super::contract;
use super::report::{Checked, Miss, Recorder};
use super::rig::{Recalled, Rig, recalled};
use super::source::grown;
use crate::config::Sandbox;
use crate::plugin::{CallError, Reason};

/// Puts before and after which memory is looked at.
const WARM: usize = 20;
const PUTS: usize = 80;
/// Instances one after the other, of which one at least must get on.
const ROUNDS: usize = 3;

/// The state of the checks: where the topic's partitions stand.
struct Sink<'r> {
    rig: &'r Rig,
    feed: Feed,
    /// No check has put anything at or above it.
    next: i64,
    refused: usize,
    wrong: Wrong,
}

/// Makes the checks of a sink.
pub(super) async fn check(recorder: &mut Recorder<'_>, rig: &Rig) {
    let mut sink = Sink { rig, feed: Feed::new(&rig.raw), next: 0, refused: 0, wrong: Wrong::default() };
    recorder.check(&contract::ASSIGNS, sink.assigns()).await;
    recorder.check(&contract::PUTS, sink.puts()).await;
    recorder.check(&contract::OUTCOMES, async { sink.outcomes() }).await;
    recorder.check(&contract::EMPTY, sink.empty()).await;
    recorder.check(&contract::TOMBSTONES, sink.tombstones()).await;
    recorder.check(&contract::PRE_COMMITS, sink.commits()).await;
    recorder
        .check(&contract::BOUNDS, async { rule(&sink.wrong.bounds, "never more than it was offered") })
        .await;
    recorder.check(&contract::FORWARD, async { rule(&sink.wrong.forward, "never less than before") }).await;
    recorder.check(&contract::PROGRESS, sink.progress()).await;
    recorder.check(&contract::REDELIVERY, sink.redelivery()).await;
    recorder.check(&contract::REVOKES, sink.revokes()).await;
    recorder.check(&contract::LOST, sink.lost()).await;
    recorder.check(&contract::SINK_STOPS, sink.stops()).await;
    recorder.check(&contract::SINK_MEMORY, sink.memory()).await;
    recorder.check(&contract::SINK_SWAPS, sink.swaps()).await;
}

/// A short piece of work: open, assign, put, pre-commit, close. Tells the memory after `open`.
pub(super) async fn exercise(rig: &Rig, sandbox: &Arc<Sandbox>) -> Result<usize, Miss> {
    let feed = Feed::new(&rig.raw);
    let mut member = Member::open(rig, sandbox, &feed, 1).await?;
    let memory = member.instance.memory();
    member.assign(&starts(None)).await?;
    member.put(10).await?;
    let _ = member.settle(Reason::Stop).await?;
    Ok(memory)
}

/// Opens an instance and kills it in a call that has `limit`.
pub(super) async fn killed(rig: &Rig, limit: Duration) -> Result<(), Miss> {
    let feed = Feed::new(&rig.raw);
    let mut member = Member::assigned(rig, &feed, 1, &starts(None)).await?;
    member.instance.set_call_timeout(limit);
    member.put(10).await
}

/// Opens and closes an instance; the last of the results is that of `close`.
pub(super) async fn open_and_close(rig: &Rig) -> Result<Result<(), CallError>, CallError> {
    let feed = Feed::new(&rig.raw);
    let mut member = Member::open(rig, &rig.sandbox, &feed, 1).await?;
    Ok(member.instance.close().await)
}

fn starts(offset: Option<i64>) -> Starts {
    PARTITIONS.into_iter().map(|partition| (partition, offset)).collect()
}

fn rule(wrong: &Option<String>, seen: &str) -> Checked {
    match wrong {
        Some(wrong) => Err(Miss::Failed(wrong.clone())),
        None => Ok(seen.to_owned()),
    }
}

impl Sink<'_> {
    /// Where the next check begins: what came before is committed, or there was nothing. Offsets have gaps, as in a
    /// topic that is compacted.
    fn begin(&mut self) -> Starts {
        let begin = self.next;
        self.next += 1_000 + 10 * i64::try_from(self.rig.records).unwrap_or(0);
        starts((begin > 0).then_some(begin))
    }

    async fn assigns(&mut self) -> Checked {
        let _ = Member::assigned(self.rig, &self.feed, 1, &starts(None)).await?;
        Ok(format!("{} partitions of {}", PARTITIONS.len(), self.feed.topic))
    }

    async fn puts(&mut self) -> Checked {
        let begin = self.begin();
        let mut member = Member::assigned(self.rig, &self.feed, 1, &begin).await?;
        member.put_all(self.rig.records).await?;
        (self.refused, self.wrong.outcome) = (member.refused, member.wrong.outcome.take());
        Ok(format!("{} records in 10 batches", self.rig.records))
    }

    fn outcomes(&self) -> Checked {
        rule(&self.wrong.outcome, &format!("{} records were refused", self.refused))
    }

    async fn empty(&mut self) -> Checked {
        let begin = self.begin();
        let mut member = Member::assigned(self.rig, &self.feed, 1, &begin).await?;
        let without_bytes = Vec::new();
        let without_records = Writer::new().finish();
        member.put_nothing(&without_bytes).await?;
        member.put(1).await?;
        for batch in [&without_records, &without_bytes, &without_records] {
            member.put_nothing(batch).await?;
        }
        Ok("of 0 records, and of 0 bytes".to_owned())
    }

    async fn tombstones(&mut self) -> Checked {
        let feed = Feed::of_tombstones(&self.rig.raw);
        let begin = self.begin();
        let mut member = Member::assigned(self.rig, &feed, 1, &begin).await?;
        let batch = member.batch(1)?;
        let note = match member.instance.put(&batch).await {
            Ok(outcome) if outcome.is_empty() => "taken",
            Ok(_) => "named in the outcome",
            Err(CallError::Guest { code: crate::plugin::Code::BadRecord, .. }) => "refused by code 3",
            Err(error) => return Err(error.into()),
        };
        Ok(note.to_owned())
    }

    /// Every reason, each after something new.
    async fn commits(&mut self) -> Checked {
        let begin = self.begin();
        let mut member = Member::assigned(self.rig, &self.feed, 1, &begin).await?;
        let mut told = Vec::new();
        for reason in [Reason::Interval, Reason::Requested, Reason::Revoke, Reason::Stop, Reason::Swap] {
            member.put(2).await?;
            let new = member.pre_commit(reason).await?;
            told.push(format!("{reason:?} {}", if new { "moved" } else { "did not move" }));
        }
        (self.wrong.bounds, self.wrong.forward) = (member.wrong.bounds.take(), member.wrong.forward.take());
        Ok(told.join(", ").to_lowercase())
    }

    async fn progress(&mut self) -> Checked {
        let begin = self.begin();
        let mut at = begin.clone();
        for round in 1..=ROUNDS {
            let mut member = Member::assigned(self.rig, &self.feed, 1, &at).await?;
            member.put_all(self.rig.records).await?;
            member.put_nothing(&[]).await?;
            let next = member.next_offsets();
            at = member.settle(Reason::Stop).await?;
            if at != begin {
                let all = at.values().zip(next).all(|(durable, next)| *durable == Some(next));
                let how_much = if all { "all" } else { "a part" };
                return Ok(format!("{how_much} of what was put was durable at stop {round}"));
            }
        }
        Err(Miss::Failed(format!("{ROUNDS} instances were stopped in good order, and nothing was durable")))
    }

    /// Two kills: before anything was committed, and before a commit arrived.
    async fn redelivery(&mut self) -> Checked {
        let begin = self.begin();
        for kill in 1..=2 {
            let mut member = Member::assigned(self.rig, &self.feed, 1, &begin).await?;
            member.put_all(self.rig.records).await?;
            if kill == 2 {
                let _ = member.pre_commit(Reason::Interval).await?;
            }
        }
        let mut member = Member::assigned(self.rig, &self.feed, 1, &begin).await?;
        member.put_all(self.rig.records).await?;
        let _ = member.settle(Reason::Stop).await?;
        Ok(format!("{} records three times, by an instance each", self.rig.records))
    }

    async fn revokes(&mut self) -> Checked {
        let begin = self.begin();
        let mut member = Member::assigned(self.rig, &self.feed, 1, &begin).await?;
        member.put(2).await?;
        let [stays, goes] = PARTITIONS;
        let _ = member.pre_commit_of(&[goes], Reason::Revoke).await?;
        let at = member.starts().remove(&goes).flatten();
        member.revoke(&[goes], false).await?;
        member.put(2).await?;
        let _ = member.pre_commit_of(&[stays], Reason::Interval).await?;
        member.assign(&[(goes, at)].into()).await?;
        member.put(2).await?;
        let _ = member.settle(Reason::Stop).await?;
        Ok("one of two, and it came back".to_owned())
    }

    async fn lost(&mut self) -> Checked {
        let begin = self.begin();
        let mut member = Member::assigned(self.rig, &self.feed, 1, &begin).await?;
        member.put(2).await?;
        let at = member.starts();
        let [_, goes] = PARTITIONS;
        member.revoke(&[goes], true).await?;
        member.put(2).await?;
        let _ = member.pre_commit(Reason::Interval).await?;
        let _ = rule(&member.wrong.bounds, "")?;
        member.assign(&[(goes, at.get(&goes).copied().flatten())].into()).await?;
        member.put(2).await?;
        let _ = member.settle(Reason::Stop).await?;
        Ok("one of two, and it came back".to_owned())
    }

    async fn stops(&mut self) -> Checked {
        let begin = self.begin();
        let mut member = Member::assigned(self.rig, &self.feed, 1, &begin).await?;
        let batch = member.batch(10)?;
        let should_stop = Arc::clone(&member.should_stop);
        let put = recalled("put", &should_stop, member.instance.put(&batch)).await?;
        match put {
            Recalled::After(time) => Ok(format!("back {} ms after it was asked for", time.as_millis())),
            Recalled::Early(_) => Ok("put does not wait".to_owned()),
        }
    }

    async fn memory(&mut self) -> Checked {
        let begin = self.begin();
        let mut member = Member::assigned(self.rig, &self.feed, 1, &begin).await?;
        let mut warm = 0;
        for put in 0..WARM + PUTS {
            if put == WARM {
                warm = member.instance.memory();
            }
            member.put(1).await?;
            if put % 10 == 9 {
                let _ = member.pre_commit(Reason::Interval).await?;
            }
        }
        grown(warm, member.instance.memory(), PUTS, "puts")
    }

    async fn swaps(&mut self) -> Checked {
        let begin = self.begin();
        let mut old = Member::assigned(self.rig, &self.feed, 1, &begin).await?;
        old.put_all(self.rig.records).await?;
        let next = old.next_offsets();
        let at = old.settle(Reason::Swap).await?;
        let again: i64 = at.values().zip(next).map(|(durable, next)| next - durable.unwrap_or(0)).sum();
        let mut new = Member::assigned(self.rig, &self.feed, 2, &at).await?;
        new.put_all(self.rig.records).await?;
        let _ = new.settle(Reason::Stop).await?;
        Ok(format!("the new instance goes on, {again} records come again"))
    }
}
