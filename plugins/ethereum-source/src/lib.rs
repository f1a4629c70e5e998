//! Follows an Ethereum chain: see `README.md`.
//!
//! The source is a small machine, see `Step`: it looks for the chain's end, reads the next blocks, writes their
//! records, and walks back when the chain was reorganised. Each step goes on over several calls of `poll`, so that a
//! slow node holds up nothing. What the offset says and why is told in `offset`, how blocks are read in `fetch`.
//!
//! Bounds: the answers of one range, and of the next one where that is read ahead; the offset's window.

mod abi;
mod chunk;
mod config;
mod fetch;
mod keys;
mod offset;
mod rpc;
mod steps;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use transom_sdk::{
    Error, Manifest, OffsetChange, Position, Problems, Records, Source, SourceContext, should_stop, wait,
};

use chunk::Chunk;
use config::{Config, Settings};
use fetch::{Fetch, Look, Walk};
use offset::{Offset, What};
use rpc::{Query, Rpc};

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
}

transom_sdk::source!(EthereumSource);
