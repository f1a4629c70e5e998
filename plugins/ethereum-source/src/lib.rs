//! Follows an Ethereum chain: see `README.md`.
//!
//! The source is a small machine, see [`Step`]: it looks for the chain's end, reads the next blocks, writes their
//! records, and walks back when the chain was reorganised. Each step goes on over several calls of `poll`, so that a
//! slow node holds up nothing. What the offset says and why is told in [`offset`], how blocks are read in [`fetch`].
//!
//! Bounds: the answers of one range, and of the next one where that is read ahead; the offset's window.

mod abi;
mod chunk;
mod config;
mod fetch;
mod keys;
mod offset;
mod rpc;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use transom_sdk::{
    Error, Kind, Manifest, OffsetChange, Position, Problems, Records, Source, SourceContext, log,
    should_stop, wait,
};

use chunk::{Chunk, Outcome, Plan};
use config::{Config, Settings, Start};
use fetch::{Back, Fetch, Look, ONE_BY_ONE, Seen, Walk};
use offset::{Offset, What};
use rpc::{Failure, Query, Rpc};

/// How long a poll may wait for what the worker tells between two polls.
const MOMENT: Duration = Duration::from_millis(5);

/// The source partition.
#[derive(Serialize)]
struct Partition {
    #[serde(rename = "chainId")]
    chain: u64,
}

/// What the source does next.
enum Step {
    /// Looks for the end of the chain, when it is time.
    Due(Instant),
    /// Asks for the chain.
    Identify(Query),
    Look(Look),
    Read(Box<Fetch>),
    Walk(Walk),
    /// Writes what was read.
    Send(Box<Chunk>),
    /// Takes back what was written of blocks that are gone.
    Remove,
}

/// A task: there is only one. Not `Debug`: some of it is secret.
struct EthereumSource {
    settings: Settings,
    context: SourceContext,
    rpc: Rpc,
    /// Once the chain is known.
    partition: Option<Partition>,
    /// Where the source stands, behind what was sent.
    offset: Offset,
    /// Whether `offset` was told the worker.
    told: bool,
    /// Whether nothing may be written before `offset` is durable: it announces what will be.
    awaits: bool,
    /// The last block that may be read, as far as is known, and the last one that cannot be reorganised.
    target: Option<u64>,
    settled: Option<u64>,
    /// How many blocks a range has now.
    range: u64,
    step: Step,
    /// What is read while something is sent.
    ahead: Option<Box<Fetch>>,
}

impl Source for EthereumSource {
    type Config = Config;

    fn manifest() -> Manifest {
        keys::manifest()
    }

    fn validate(config: &Config, problems: &mut Problems) {
        match config.read() {
            Err(found) => found.iter().for_each(|(key, message)| problems.add(key, message)),
            Ok(settings) if config.validate_connection => config::check(&settings, problems),
            Ok(_) => {}
        }
    }

    fn alter_offsets(_: &Config, changes: &[OffsetChange]) -> Result<bool, Error> {
        for OffsetChange { partition, offset } in changes {
            if !partition["chainId"].is_u64() {
                return Err(Error::config(format!("the partition {partition} needs the number 'chainId'")));
            }
            if let Some(offset) = offset {
                Offset::check(offset).map_err(|wrong| {
                    Error::config(format!(
                        "{offset} is no offset, such as {{\"next\": 17000000}} is one: {wrong}"
                    ))
                })?;
            }
        }
        Ok(true)
    }

    fn open(config: Config, context: &SourceContext) -> Result<Self, Error> {
        let settings = config.read()?;
        Ok(Self {
            rpc: Rpc::new(settings.access.clone()),
            context: context.clone(),
            partition: None,
            offset: Offset::default(),
            told: true,
            awaits: false,
            target: None,
            settled: None,
            range: settings.range,
            step: Step::Due(Instant::now()),
            ahead: None,
            settings,
        })
    }

    fn poll(&mut self, records: &mut Records) -> Result<(), Error> {
        let start = Instant::now();
        loop {
            if self.give(records)? {
                return Ok(());
            }
            let left = records.max_wait().saturating_sub(start.elapsed());
            if self.awaits {
                // The worker tells what is durable between two polls.
                wait(left.min(MOMENT));
                return Ok(());
            }
            if !self.advance(left)? && (left.is_zero() || should_stop()) {
                return Ok(());
            }
        }
    }

    fn commit(&mut self, positions: &[Position]) -> Result<(), Error> {
        if self.awaits {
            let offset = serde_json::to_value(&self.offset)?;
            self.awaits = !positions.iter().any(|position| position.offset == offset);
        }
        Ok(())
    }
}

impl EthereumSource {
    /// Adds the records there are, and the position. False: there is nothing to tell.
    fn give(&mut self, records: &mut Records) -> Result<bool, Error> {
        if self.told && !self.awaits {
            match &mut self.step {
                Step::Send(chunk) => {
                    chunk.send(&self.settings, records)?;
                    self.offset.sent = chunk.sent;
                    if chunk.is_sent() {
                        self.finish();
                    }
                    self.told = false;
                }
                Step::Remove => {
                    self.remove(records)?;
                    self.told = false;
                }
                _ => {}
            }
        }
        let Some(partition) = self.partition.as_ref().filter(|_| !self.told) else { return Ok(false) };
        records.position(partition, &self.offset)?;
        self.told = true;
        Ok(true)
    }

    /// What is sent is done.
    fn finish(&mut self) {
        if let Step::Send(chunk) = std::mem::replace(&mut self.step, Step::Due(Instant::now())) {
            self.offset.done(chunk.plan.to, chunk.blocks, self.settings.depth);
            self.offset.sent = 0;
            self.step = match self.ahead.take() {
                Some(ahead) => Step::Read(ahead),
                None => self.next(),
            };
        }
    }

    /// Takes records back: each by its key.
    fn remove(&mut self, records: &mut Records) -> Result<(), Error> {
        let mut done = 0;
        let mut removals = self.offset.removals();
        for (number, hash, what) in &mut removals {
            let topic = self.settings.topic(what);
            done += 1;
            // Of a stream that is not wanted any more.
            if topic.is_empty() {
                continue;
            }
            let key = chunk::key(hash, what);
            let entry = records.topic(topic).key_string(&key);
            if self.settings.tombstones {
                entry.null();
            } else {
                let mut value = json!({
                    "removed": true, "blockHash": format!("0x{hash}"), "blockNumber": format!("{number:#x}"),
                });
                match what {
                    What::Block => {
                        value = json!({ "removed": true, "hash": format!("0x{hash}"), "number": format!("{number:#x}") });
                    }
                    What::Transaction(index) => value["transactionIndex"] = format!("{index:#x}").into(),
                    What::Log(index) => value["logIndex"] = format!("{index:#x}").into(),
                }
                entry.json(&value)?;
            }
            if records.is_full() {
                break;
            }
        }
        let left = removals.next().is_some();
        drop(removals);
        self.offset.sent += done;
        if !left {
            self.offset.removing.clear();
            self.offset.sent = 0;
            self.step = Step::Due(Instant::now());
        }
        Ok(())
    }

    /// Goes on with what is next, and waits so long at most. False: nothing came of it.
    fn advance(&mut self, most: Duration) -> Result<bool, Error> {
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
    fn next(&mut self) -> Step {
        match self.plan(self.offset.next, self.offset.window.last().map(|entry| entry.hash)) {
            Some(plan) => Step::Read(Box::new(Fetch::new(plan, &self.settings))),
            None => Step::Due(Instant::now() + self.settings.interval),
        }
    }

    /// What to read from a block on. None: there is nothing yet.
    fn plan(&self, from: u64, parent: Option<offset::Hash>) -> Option<Plan> {
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
        let same = |ours: &offset::Entry, theirs: &offset::Entry| ours.hash == theirs.hash;
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
        self.failed(Error::retriable(format!("{why} (it cannot be asked for less; see response.max.bytes)")))
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

transom_sdk::source!(EthereumSource);
