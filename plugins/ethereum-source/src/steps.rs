//! The steps of the source, from one look at the chain to the next, and what it does when one fails.

use std::time::{Duration, Instant};

use transom_sdk::{Error, Kind, log, wait};

use crate::chunk::{Chunk, Outcome, Plan};
use crate::config::Start;
use crate::fetch::{Back, Fetch, Look, ONE_BY_ONE, Seen, Walk};
use crate::offset::{Entry, Hash, Offset};
use crate::rpc::{self, Failure, Query};
use crate::{EthereumSource, Partition, Step};

impl EthereumSource {
    /// Goes on with what is next, and waits so long at most. False: nothing came of it.
    pub(crate) fn advance(&mut self, most: Duration) -> Result<bool, Error> {
        match self.try_advance(most) {
            Ok(went_on) => Ok(went_on),
            Err(Failure::TooMuch(why)) => self.ask_for_less(&why).map(|()| true),
            Err(Failure::Busy(error)) => self.busy(error).map(|()| true),
            Err(Failure::Error(error)) => self.failed(error).map(|()| true),
        }
    }

    fn try_advance(&mut self, most: Duration) -> Result<bool, Failure> {
        match &mut self.step {
            Step::Due(at) => {
                let early = at.saturating_duration_since(Instant::now());
                if !early.is_zero() {
                    wait(early.min(most));
                    return Ok(false);
                }
                self.step = match self.partition {
                    None => Step::Identify(Query::new(Vec::new())),
                    Some(_) => Step::Look(Look::new(&self.offset)),
                };
            }
            Step::Identify(query) => {
                if !query.advance(&mut self.rpc, most)? {
                    return Ok(false);
                }
                self.identified()?;
            }
            Step::Look(look) => match look.advance(&mut self.rpc, most)? {
                None => return Ok(false),
                Some(Seen::Head(head)) => self.seen(head),
                Some(Seen::Lags(head)) => self.lags(Some(head)),
                Some(Seen::Reorganised) => self.walk(),
            },
            Step::Read(fetch) => match fetch.advance(&mut self.rpc, &self.settings, most)? {
                None => return Ok(false),
                Some(Outcome::Chunk(chunk)) => self.take(chunk)?,
                Some(Outcome::Reorganised) => self.walk(),
                Some(Outcome::Lags) => self.lags(None),
            },
            Step::Walk(walk) => match walk.advance(&mut self.rpc, &self.offset, most)? {
                None => return Ok(false),
                Some(Back::To(kept)) => self.back(kept),
                Some(Back::Lags) => self.lags(None),
                Some(Back::Nowhere) => return Err(self.too_deep().into()),
            },
            // Both wait for nothing but the worker.
            Step::Send(_) | Step::Remove => {}
        }
        Ok(true)
    }

    /// The chain is known, and so is where to go on.
    fn identified(&mut self) -> Result<(), Error> {
        let Some(chain) = self.rpc.chain else { return Ok(()) };
        let partition = Partition { chain };
        let stored = self.context.offset::<Offset>(&partition)?;
        let begun = stored.is_some();
        self.offset = stored.unwrap_or_default();
        if !begun && let Start::At(block) = self.settings.start {
            self.offset.next = block;
        }
        self.partition = Some(partition);
        self.step = if self.offset.removing.is_empty() { Step::Due(Instant::now()) } else { Step::Remove };
        if begun && self.offset.filter != self.settings.filter && self.offset.removing.is_empty() {
            // What is counted by another filter cannot be skipped; what may have been written by it is taken back.
            self.offset.sent = 0;
            if !self.offset.announced.is_empty() {
                self.back(self.offset.window.len());
            }
        }
        // An offset without a filter was set by hand, or is none: a start that is behind what there is waits.
        if begun || matches!(self.settings.start, Start::At(_)) {
            self.offset.filter.clone_from(&self.settings.filter);
        }
        Ok(())
    }

    /// The end of the chain is known.
    fn seen(&mut self, head: u64) {
        let target = head.checked_sub(self.settings.confirmations);
        self.target = target;
        self.settled = head.checked_sub(self.settings.depth as u64);
        if self.offset.filter.is_empty() {
            self.offset.next = target.map_or(0, |target| target + 1);
            self.offset.filter.clone_from(&self.settings.filter);
            self.told = false;
        }
        transom_sdk::metric("head_block", head as f64);
        transom_sdk::metric("next_block", self.offset.next as f64);
        self.step = self.next();
    }

    /// Reads on, or waits for more blocks.
    pub(crate) fn next(&mut self) -> Step {
        match self.plan(self.offset.next, self.offset.window.last().map(|entry| entry.hash)) {
            Some(plan) => Step::Read(Box::new(Fetch::new(plan, &self.settings))),
            None => Step::Due(Instant::now() + self.settings.interval),
        }
    }

    /// What to read from a block on. None: there is nothing yet.
    fn plan(&self, from: u64, parent: Option<Hash>) -> Option<Plan> {
        if !self.offset.announced.is_empty() && from == self.offset.next {
            // Announced before this instance: read again as it was.
            let to = from + self.offset.announced.len() as u64 - 1;
            return Some(Plan { from, to, near: true, parent });
        }
        let target = self.target.filter(|target| *target >= from)?;
        let settled = self.settled.filter(|settled| *settled >= from).map(|settled| settled.min(target));
        let near = settled.is_none();
        let one_by_one = near || self.settings.has_blocks();
        let most = if one_by_one { self.range.min(ONE_BY_ONE) } else { self.range };
        let to = settled.unwrap_or(target).min(from + most.max(1) - 1);
        Some(Plan { from, to, near, parent })
    }

    /// Blocks were read.
    fn take(&mut self, mut chunk: Chunk) -> Result<(), Error> {
        let again = !self.offset.announced.is_empty();
        let same = |ours: &Entry, theirs: &Entry| ours.hash == theirs.hash;
        if again && !self.offset.announced.iter().zip(&chunk.blocks).all(|(ours, theirs)| same(ours, theirs))
        {
            // The chain has changed since it was looked at.
            self.step = Step::Due(Instant::now());
            return Ok(());
        }
        self.range = (self.range + self.range / 8 + 1).min(self.settings.range);
        // Of records that were written before, more than these may be.
        let skipped = self.offset.sent.min(chunk.len());
        chunk.sent = skipped;
        if chunk.is_sent() {
            self.offset.done(chunk.plan.to, chunk.blocks, self.settings.depth);
            self.offset.sent -= skipped;
            self.told = false;
            self.step = self.next();
            return Ok(());
        }
        if chunk.plan.near {
            if !again {
                self.offset.announced.clone_from(&chunk.blocks);
                (self.told, self.awaits) = (false, true);
            }
        } else if let Some(plan) = self.plan(chunk.plan.to + 1, chunk.last()).filter(|plan| !plan.near) {
            let ahead = Fetch::new(plan, &self.settings).begin(&mut self.rpc);
            self.ahead = Some(Box::new(ahead));
        }
        self.step = Step::Send(Box::new(chunk));
        Ok(())
    }

    /// The chain is another one: looks for what it has in common with what is known.
    fn walk(&mut self) {
        log::info!("the chain was reorganised before block {}", self.offset.next);
        self.ahead = None;
        self.step = Step::Walk(Walk::new(&self.offset));
    }

    /// So many blocks of the window are still there.
    fn back(&mut self, kept: usize) {
        let gone = self.offset.window.len() - kept + self.offset.announced.len();
        let removes = self.offset.back(kept);
        log::info!("{gone} blocks from {} on are not of the chain any more", self.offset.next);
        self.told = false;
        // Begun is ended: that it is begun must be known after a kill.
        self.awaits = removes;
        self.step = if removes { Step::Remove } else { Step::Due(Instant::now()) };
    }

    fn too_deep(&self) -> Error {
        let (first, last) = (self.offset.number(0), self.offset.next.saturating_sub(1));
        Error::config(format!(
            "the chain was reorganised deeper than reorg.depth.max={} allows: of the blocks {first} to {last}, all that \
             are known, none is in it any more. Raise reorg.depth.max, take back by hand what was written of blocks \
             that are gone, and set the connector's offset to {{\"next\": <block>}}",
            self.settings.depth
        ))
    }

    /// A node that has less than was read already is not believed.
    fn lags(&mut self, head: Option<u64>) {
        let what =
            head.map_or("lacks blocks that there are".to_owned(), |head| format!("is at block {head} only"));
        let why = format!("{} {what}, {} is the next one to read", self.rpc.name(), self.offset.next);
        log::info!("{why}");
        self.ahead = None;
        let until = self.rpc.next(Some(self.settings.interval));
        self.step = Step::Due(Instant::now() + until);
    }

    /// The node has refused a range as too large.
    fn ask_for_less(&mut self, why: &str) -> Result<(), Error> {
        self.ahead = None;
        if let Step::Read(fetch) = &self.step {
            let Plan { from, to, .. } = fetch.plan;
            let resumed = !self.offset.announced.is_empty();
            if to > from && !resumed {
                self.range = (to - from).div_ceil(2);
                log::info!("blocks {from} to {to} are too much at once, {} are asked for: {why}", self.range);
                self.step = self.next();
                return Ok(());
            }
        }
        self.failed(Error::retriable(format!("{why}; it cannot be asked for less")))
    }

    /// The node goes on later, unless there is another one: that begins anew, for what two nodes say need not belong
    /// together.
    fn busy(&mut self, error: Error) -> Result<(), Error> {
        let asked = self.rpc.current();
        let until = self.rpc.next(error.after());
        if self.rpc.current() == asked {
            return Err(error.retry_after(until));
        }
        self.left(error, until)
    }

    /// Another node is asked, or this one later.
    fn failed(&mut self, error: Error) -> Result<(), Error> {
        if error.kind() != Kind::Retriable {
            return Err(error);
        }
        let until = self.rpc.next(error.after());
        self.left(error, until)
    }

    fn left(&mut self, error: Error, until: Duration) -> Result<(), Error> {
        self.ahead = None;
        self.step = Step::Due(Instant::now() + until);
        if until.is_zero() {
            rpc::told(&self.rpc, error.message());
            return Ok(());
        }
        Err(error.retry_after(until))
    }
}
