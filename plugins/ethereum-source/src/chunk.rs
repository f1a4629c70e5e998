//! Blocks that were read: checked, and turned into records.
//!
//! The text of an answer is kept as the node wrote it, once, and the records are places in it. What the node says is
//! checked before: every block must follow its predecessor, every log must be of the block that stands at its number.
//! An answer in which they are not was given while the chain changed, and is asked for again.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;
use transom_sdk::{Error, Records};

use crate::config::Settings;
use crate::offset::{Entry, Hash, What, unhex};
use crate::rpc::{Answers, number};

/// A block, as far as the source looks into it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header<'a> {
    pub(crate) hash: Hash,
    pub(crate) parent_hash: Hash,
    #[serde(borrow)]
    pub(crate) number: &'a RawValue,
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow)]
    transactions: &'a RawValue,
}

impl<'a> Header<'a> {
    /// Reads a block. None: the node has none.
    pub(crate) fn read(text: &'a str) -> Result<Option<Self>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        serde_json::from_str(text)
            .map(Some)
            .map_err(|wrong| format!("a block is not as it should be: {wrong}"))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log<'a> {
    block_hash: Hash,
    #[serde(borrow)]
    block_number: &'a RawValue,
    #[serde(borrow)]
    log_index: &'a RawValue,
    #[serde(borrow, default)]
    block_timestamp: Option<&'a RawValue>,
}

/// What of a log its event is made of.
#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    topics: Vec<&'a str>,
    data: &'a str,
}

/// What was to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Whether the blocks may still be reorganised: then they are read one by one.
    pub(crate) near: bool,
    /// The hash of the block before.
    pub(crate) parent: Option<Hash>,
}

/// What came of it.
pub(crate) enum Outcome {
    Chunk(Chunk),
    /// The block before is another one now.
    Reorganised,
    /// The node does not have all of it.
    Lags,
}

/// A record that is in an answer.
struct Item {
    number: u64,
    what: What,
    hash: Hash,
    /// Milliseconds since the epoch, where the node says it.
    time: Option<i64>,
    body: usize,
    at: Range<usize>,
    /// Of a block: where its transactions are.
    inner: Range<usize>,
}

/// Blocks that were read, and how many of their records were sent.
pub(crate) struct Chunk {
    bodies: Vec<String>,
    items: Vec<Item>,
    /// The blocks, one by one; or the last one only.
    pub(crate) blocks: Vec<Entry>,
    pub(crate) plan: Plan,
    pub(crate) sent: usize,
}

impl Chunk {
    /// Reads answers: first of blocks, then of logs.
    ///
    /// # Errors
    /// They do not fit each other, or are none.
    pub(crate) fn read(
        plan: &Plan,
        settings: &Settings,
        blocks: Answers,
        logs: Answers,
    ) -> Result<Outcome, String> {
        let mut reading = Reading { plan, settings, items: Vec::new(), blocks: Vec::new() };
        for call in 0..blocks.len() {
            let Some(header) = Header::read(blocks.text(call))? else { return Ok(Outcome::Lags) };
            let number = number(header.number.get())?;
            if number == plan.from && plan.parent.is_some_and(|parent| parent != header.parent_hash) {
                return Ok(Outcome::Reorganised);
            }
            reading.block(number, &header, &blocks, call)?;
        }
        for call in 0..logs.len() {
            reading.logs(&logs, call, blocks.bodies.len())?;
        }
        let (mut items, known) = (reading.items, reading.blocks);
        if known.last().is_none_or(|(number, ..)| *number != plan.to) {
            return Err("it has another block than the one it was asked for".into());
        }
        items.sort_by_key(|item| (item.number, item.what));
        let mut entries: Vec<_> = known.into_iter().map(|(_, entry, _)| entry).collect();
        if !plan.near {
            entries = entries.pop().map(|last| Entry::bare(last.hash)).into_iter().collect();
        }
        let mut bodies = blocks.bodies;
        bodies.extend(logs.bodies);
        Ok(Outcome::Chunk(Self { bodies, items, blocks: entries, plan: plan.clone(), sent: 0 }))
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.sent >= self.items.len()
    }

    /// The hash of the last block.
    pub(crate) fn last(&self) -> Option<Hash> {
        self.blocks.last().map(|entry| entry.hash)
    }

    /// Adds records until the batch is full, or there are no more.
    pub(crate) fn send(&mut self, settings: &Settings, records: &mut Records) -> Result<(), Error> {
        let mut text = String::new();
        while let Some(item) = self.items.get(self.sent)
            && !records.is_full()
        {
            text.clear();
            let body = &self.bodies[item.body];
            item.write(body, settings, &mut text)?;
            let key = key(item.hash, item.what);
            records.topic(settings.topic(item.what));
            let mut entry = records.key_string(&key);
            if let Some(time) = item.time {
                entry = entry.timestamp(time);
            }
            entry.json(serde_json::from_str::<&RawValue>(&text)?)?;
            self.sent += 1;
        }
        Ok(())
    }
}

/// The key of a record: the block's hash, and the number of the transaction or log.
pub(crate) fn key(hash: Hash, what: What) -> String {
    match what {
        What::Block => format!("0x{hash}"),
        What::Transaction(index) | What::Log(index) => format!("0x{hash}-{index}"),
    }
}

impl Item {
    /// The value: what the node wrote, and what is added to it.
    fn write(&self, body: &str, settings: &Settings, text: &mut String) -> Result<(), Error> {
        let whole = &body[self.at.clone()];
        let event = match self.what {
            What::Log(_) => settings.abi.as_ref().and_then(|abi| {
                let log: Content<'_> = serde_json::from_str(whole).ok()?;
                let topics = log.topics.iter().map(|topic| unhex(topic)?.try_into().ok());
                abi.decode(&topics.collect::<Option<Vec<_>>>()?, &unhex(log.data)?)
            }),
            _ => None,
        };
        match (self.what, event) {
            (What::Log(_), None) => text.push_str(whole),
            (What::Log(_), Some(event)) => {
                text.push_str(open(whole));
                text.push_str(",\"event\":");
                text.push_str(&event.to_string());
                text.push('}');
            }
            (What::Transaction(_), _) => {
                text.push_str(open(whole));
                text.push_str(",\"removed\":false}");
            }
            (What::Block, _) => {
                text.push_str(&body[self.at.start..self.inner.start]);
                text.push_str(&hashes(&body[self.inner.clone()])?);
                text.push_str(open(&body[self.inner.end..self.at.end]));
                text.push_str(",\"removed\":false}");
            }
        }
        Ok(())
    }
}

/// An object without its last brace.
fn open(object: &str) -> &str {
    let object = object.trim_end();
    object.strip_suffix('}').unwrap_or(object).trim_end()
}

/// The hashes of a block's transactions, which are there whole where they are records too.
fn hashes(transactions: &str) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Transaction<'a> {
        hash: &'a str,
    }
    if !transactions.contains('{') {
        return Ok(transactions.to_owned());
    }
    let whole: Vec<Transaction<'_>> = serde_json::from_str(transactions)?;
    let hashes: Vec<_> = whole.iter().map(|transaction| transaction.hash).collect();
    Ok(serde_json::to_string(&hashes)?)
}

/// What was found in answers so far.
struct Reading<'r> {
    plan: &'r Plan,
    settings: &'r Settings,
    items: Vec<Item>,
    /// Those of the blocks that were asked for, in their order, with their times.
    blocks: Vec<(u64, Entry, Option<i64>)>,
}

impl Reading<'_> {
    fn block(
        &mut self,
        number: u64,
        header: &Header<'_>,
        answers: &Answers,
        call: usize,
    ) -> Result<(), String> {
        if let Some((before, entry, _)) = self.blocks.last()
            && before + 1 == number
            && entry.hash != header.parent_hash
        {
            return Err(format!("the chain changed while block {number} was read"));
        }
        let mut entry = Entry::bare(header.hash);
        let time = milliseconds(header.timestamp);
        let mut add = |what, text: &str, inner| {
            let (body, at) = answers.place(call, text);
            self.items.push(Item { number, what, hash: header.hash, time, body, at, inner });
        };
        if self.settings.blocks.is_some() {
            let (_, inner) = answers.place(call, header.transactions.get());
            add(What::Block, answers.text(call), inner);
            entry.block = true;
        }
        if self.settings.transactions.is_some() {
            let all: Vec<&RawValue> = serde_json::from_str(header.transactions.get())
                .map_err(|wrong| format!("the transactions of block {number}: {wrong}"))?;
            for (index, transaction) in (0..).zip(&all) {
                add(What::Transaction(index), transaction.get(), 0..0);
                entry.transactions = index + 1;
            }
        }
        self.blocks.push((number, entry, time));
        Ok(())
    }

    fn logs(&mut self, answers: &Answers, call: usize, before: usize) -> Result<(), String> {
        let text = answers.text(call);
        let logs: Vec<&RawValue> = if text.is_empty() {
            return Err("it has no logs of a block that it had just now".into());
        } else {
            serde_json::from_str(text).map_err(|wrong| format!("logs are not as they should be: {wrong}"))?
        };
        let mut last = None;
        for raw in logs {
            let log: Log<'_> = serde_json::from_str(raw.get())
                .map_err(|wrong| format!("a log is not as it should be: {wrong}"))?;
            let block = number(log.block_number.get())?;
            let index = u32::try_from(number(log.log_index.get())?).map_err(|wrong| wrong.to_string())?;
            if block < self.plan.from
                || block > self.plan.to
                || last.is_some_and(|last| last >= (block, index))
            {
                return Err(format!("log {index} of block {block} is not where it should be"));
            }
            last = Some((block, index));
            self.log(block, index, &log)?;
            let (body, at) = answers.place(call, raw.get());
            let item = self.items.last_mut().expect("just added");
            (item.body, item.at) = (before + body, at);
        }
        Ok(())
    }

    fn log(&mut self, block: u64, index: u32, log: &Log<'_>) -> Result<(), String> {
        let at = self.blocks.binary_search_by_key(&block, |(number, ..)| *number);
        let known = at.ok().map(|at| &mut self.blocks[at]);
        let changed = known.as_ref().is_some_and(|(_, entry, _)| entry.hash != log.block_hash);
        if changed || (self.plan.near && known.is_none()) {
            return Err(format!("the logs of block {block} are of another block of this number"));
        }
        let mut time = log.block_timestamp.and_then(milliseconds);
        if let Some((_, entry, its)) = known {
            entry.logs.add(index);
            time = its.or(time);
        }
        let what = What::Log(index);
        self.items.push(Item {
            number: block,
            what,
            hash: log.block_hash,
            time,
            body: 0,
            at: 0..0,
            inner: 0..0,
        });
        Ok(())
    }
}

fn milliseconds(seconds: &RawValue) -> Option<i64> {
    number(seconds.get()).ok().and_then(|seconds| i64::try_from(seconds).ok()?.checked_mul(1000))
}
