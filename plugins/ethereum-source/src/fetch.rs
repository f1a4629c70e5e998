//! Reading blocks and their logs: which calls that takes.
//!
//! What lies deeper than `reorg.depth.max` is read in ranges: the logs of all blocks by one call, with the first and
//! the last block for their hashes. What may still be reorganised is read block by block, and the logs by the block's
//! hash: a node that does not have this very block says so, where it would answer a range with what it happens to have.

use std::time::Duration;

use serde_json::{Value, json};
use transom_sdk::{Error, log};

use crate::chunk::{Chunk, Header, Outcome, Plan};
use crate::config::Settings;
use crate::offset::{Hash, Offset};
use crate::rpc::{Answers, Call, Failure, Query, Rpc, number};

/// Blocks that are read one by one, at once: whole ones are large.
pub(crate) const ONE_BY_ONE: u64 = 20;
/// Blocks of the window that are compared at once.
const COMPARED: usize = 16;

/// Blocks that are being read.
pub(crate) struct Fetch {
    pub(crate) plan: Plan,
    query: Query,
    /// The blocks, while their logs are asked for.
    blocks: Option<Answers>,
}

fn hex(number: u64) -> Value {
    format!("{number:#x}").into()
}

fn block(number: u64, whole: bool) -> Call {
    Call::new("eth_getBlockByNumber", json!([hex(number), whole]))
}

impl Fetch {
    pub(crate) fn new(plan: Plan, settings: &Settings) -> Self {
        let whole = settings.transactions.is_some();
        let Plan { from, to, near, .. } = plan;
        let calls = if near || settings.has_blocks() {
            (from..=to).map(|number| block(number, whole)).collect()
        } else if from == to {
            vec![block(from, false)]
        } else {
            vec![block(from, false), block(to, false)]
        };
        Self { plan, query: Query::new(calls), blocks: None }
    }

    /// Has it under way.
    pub(crate) fn begin(mut self, rpc: &mut Rpc) -> Self {
        self.query.begin(rpc);
        self
    }

    /// Goes on, and waits so long at most.
    pub(crate) fn advance(
        &mut self,
        rpc: &mut Rpc,
        settings: &Settings,
        most: Duration,
    ) -> Result<Option<Outcome>, Failure> {
        loop {
            if !self.query.advance(rpc, most)? {
                return Ok(None);
            }
            let answers = std::mem::replace(&mut self.query, Query::new(Vec::new())).answers();
            let (blocks, logs) = match self.blocks.take() {
                Some(blocks) => (blocks, answers),
                None if settings.logs.is_some() => {
                    let Some(calls) = self.logs(&answers, settings).map_err(|wrong| said(rpc, &wrong))?
                    else {
                        return Ok(Some(Outcome::Lags));
                    };
                    self.query = Query::new(calls);
                    self.blocks = Some(answers);
                    continue;
                }
                None => (answers, Answers::default()),
            };
            let outcome = Chunk::read(&self.plan, settings, blocks, logs);
            return outcome.map(Some).map_err(|wrong| said(rpc, &wrong));
        }
    }

    /// The calls for the logs. None: the node does not have all of the blocks.
    fn logs(&self, blocks: &Answers, settings: &Settings) -> Result<Option<Vec<Call>>, String> {
        let mut calls = Vec::new();
        for call in 0..blocks.len() {
            let Some(header) = Header::read(blocks.text(call))? else { return Ok(None) };
            if self.plan.near {
                calls.push(settings.get_logs(json!({ "blockHash": format!("0x{}", header.hash) })));
            }
        }
        if !self.plan.near {
            let Plan { from, to, .. } = self.plan;
            calls.push(settings.get_logs(json!({ "fromBlock": hex(from), "toBlock": hex(to) })));
        }
        Ok(Some(calls))
    }
}

fn said(rpc: &Rpc, wrong: &str) -> Failure {
    Error::retriable(format!("{}: {wrong}", rpc.name())).into()
}

/// A look at the end of the chain, and whether the newest known block is still there.
pub(crate) struct Look {
    query: Query,
    known: Option<Hash>,
}

/// What it saw.
pub(crate) enum Seen {
    Head(u64),
    /// The newest known block is another one now.
    Reorganised,
    /// The node's newest block.
    Lags(u64),
}

impl Look {
    pub(crate) fn new(offset: &Offset) -> Self {
        let known = offset.top();
        let mut calls = vec![Call::new("eth_blockNumber", json!([]))];
        calls.extend(known.map(|(number, _)| block(number, false)));
        Self { query: Query::new(calls), known: known.map(|(_, entry)| entry.hash) }
    }

    pub(crate) fn advance(&mut self, rpc: &mut Rpc, most: Duration) -> Result<Option<Seen>, Failure> {
        if !self.query.advance(rpc, most)? {
            return Ok(None);
        }
        let answers = std::mem::replace(&mut self.query, Query::new(Vec::new())).answers();
        let head = number(answers.text(0)).map_err(|wrong| said(rpc, &wrong))?;
        let Some(hash) = self.known else { return Ok(Some(Seen::Head(head))) };
        let header = Header::read(answers.text(1)).map_err(|wrong| said(rpc, &wrong))?;
        Ok(Some(match header {
            // What it has not seen it cannot judge.
            None => Seen::Lags(head),
            Some(header) if header.hash != hash => Seen::Reorganised,
            Some(_) => Seen::Head(head),
        }))
    }
}

/// The way back to the block that the old chain and the new one have in common.
pub(crate) struct Walk {
    query: Query,
    /// The blocks of the window that are compared: from here, and so many.
    from: usize,
    count: usize,
}

/// Where it led.
pub(crate) enum Back {
    /// So many blocks of the window are still there.
    To(usize),
    Lags,
    /// Nothing of the window is.
    Nowhere,
}

impl Walk {
    pub(crate) fn new(offset: &Offset) -> Self {
        Self::below(offset, offset.window.len())
    }

    fn below(offset: &Offset, end: usize) -> Self {
        let from = end.saturating_sub(COMPARED);
        let calls = (from..end).map(|index| block(offset.number(index), false)).collect();
        Self { query: Query::new(calls), from, count: end - from }
    }

    pub(crate) fn advance(
        &mut self,
        rpc: &mut Rpc,
        offset: &Offset,
        most: Duration,
    ) -> Result<Option<Back>, Failure> {
        loop {
            if self.count == 0 {
                return Ok(Some(Back::Nowhere));
            }
            if !self.query.advance(rpc, most)? {
                return Ok(None);
            }
            let answers = std::mem::replace(&mut self.query, Query::new(Vec::new())).answers();
            for index in (0..self.count).rev() {
                let header = Header::read(answers.text(index)).map_err(|wrong| said(rpc, &wrong))?;
                match header {
                    None => return Ok(Some(Back::Lags)),
                    Some(header) if header.hash == offset.window[self.from + index].hash => {
                        return Ok(Some(Back::To(self.from + index + 1)));
                    }
                    Some(_) => {}
                }
            }
            log::debug!("the chains still differ at block {}", offset.number(self.from));
            *self = Self::below(offset, self.from);
        }
    }
}
