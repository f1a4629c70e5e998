//! Where the source stands, and what it needs to know of the blocks before to notice that they are gone.
//!
//! Servers do not tell that a chain was reorganised: it shows by hashes. So the offset has the hashes of the last
//! blocks (as many as `reorg.depth.max`), and which records each of them has given; with them the records can be
//! taken back without the node, which has often forgotten an orphaned block.
//!
//! What is about to be written is announced in the offset first, and written when that is durable. So a worker that is
//! killed in between knows which records may be in Kafka, even if the chain is another one when it comes back; and
//! what it has begun to take back is always taken back to its end.
//!
//! Bounds: a hash is 64 bytes, and the numbers of a block's logs at most [`Spans::MOST`] ranges.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use transom_sdk::Value;

/// The hash of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash([u8; 32]);

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Hash {
    type Err = String;

    /// With or without `0x`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut hash = [0; 32];
        let bytes = unhex(text).ok_or_else(|| format!("{text} is no hash"))?;
        if bytes.len() != hash.len() {
            return Err(format!("{text} is no hash of 32 bytes"));
        }
        hash.copy_from_slice(&bytes);
        Ok(Self(hash))
    }
}

/// Without `0x`.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The bytes of a text of hexadecimal digits, with or without `0x`.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let pairs = digits.chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// Numbers of logs: ranges in ascending order, both ends included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Spans(Vec<(u32, u32)>);

impl Spans {
    /// More ranges than this are not kept apart: what lies between the last ones counts as written, and may be taken
    /// back though it never was. That does no harm, and an offset stays small.
    pub(crate) const MOST: usize = 64;

    /// Adds a number that is greater than those before.
    pub(crate) fn add(&mut self, number: u32) {
        let full = self.0.len() >= Self::MOST;
        match self.0.last_mut() {
            Some((_, last)) if *last + 1 == number || full => *last = number,
            _ => self.0.push((number, number)),
        }
    }

    fn newest_first(&self) -> impl Iterator<Item = u32> {
        self.0.iter().rev().flat_map(|(first, last)| (*first..=*last).rev())
    }
}

/// A record of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Block,
    Transaction(u32),
    Log(u32),
}

/// A block that was read, and the records it gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) hash: Hash,
    /// Whether it is a record itself.
    pub(crate) block: bool,
    /// How many of its transactions are.
    pub(crate) transactions: u32,
    pub(crate) logs: Spans,
}

impl Entry {
    /// A block without records.
    pub(crate) fn bare(hash: Hash) -> Self {
        Self { hash, block: false, transactions: 0, logs: Spans::default() }
    }

    /// Its records, the last one first: as they are taken back.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = What> {
        let logs = self.logs.newest_first().map(What::Log);
        let transactions = (0..self.transactions).rev().map(What::Transaction);
        logs.chain(transactions).chain(self.block.then_some(What::Block))
    }
}

/// `<hash>[ b][ t<transactions>][ l<logs>]`, such as `5e…0f b t3 l0-4,9`: an offset has many of them.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.hash)?;
        if self.block {
            f.write_str(" b")?;
        }
        if self.transactions > 0 {
            write!(f, " t{}", self.transactions)?;
        }
        for (index, (first, last)) in self.logs.0.iter().enumerate() {
            f.write_str(if index == 0 { " l" } else { "," })?;
            write!(f, "{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Entry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no block, as '<hash> b t3 l0-4,9' is one");
        let mut parts = text.split(' ');
        let mut entry = Self::bare(parts.next().unwrap_or_default().parse()?);
        for part in parts {
            match part.split_at_checked(1) {
                Some(("b", "")) => entry.block = true,
                Some(("t", count)) => entry.transactions = count.parse().map_err(|_| wrong())?,
                Some(("l", ranges)) => {
                    for range in ranges.split(',') {
                        let (first, last) = range.split_once('-').unwrap_or((range, range));
                        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
                        entry.logs.0.push((number(first)?, number(last)?));
                    }
                }
                _ => return Err(wrong()),
            }
        }
        Ok(entry)
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The source offset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offset {
    /// The first block that is not done.
    pub(crate) next: u64,
    /// The blocks right before it, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) window: Vec<Entry>,
    /// From `next` on: blocks whose records may be written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) announced: Vec<Entry>,
    /// From `next` on: blocks that are gone, and whose records are to be taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) removing: Vec<Entry>,
    /// How many records from `next` on were written, or of `removing` taken back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) sent: usize,
    /// What was asked for, as a digest: the count means nothing for anything else.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) filter: String,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Offset {
    /// The newest block that is known, with its number.
    pub(crate) fn top(&self) -> Option<(u64, &Entry)> {
        match self.announced.last() {
            Some(last) => Some((self.next + self.announced.len() as u64 - 1, last)),
            None => self.window.last().map(|last| (self.next.saturating_sub(1), last)),
        }
    }

    /// The number of a block of the window.
    pub(crate) fn number(&self, index: usize) -> u64 {
        (self.next + index as u64).saturating_sub(self.window.len() as u64)
    }

    /// The blocks up to this one are done.
    pub(crate) fn done(&mut self, last: u64, blocks: Vec<Entry>, most: usize) {
        // Blocks that were skipped over part the window.
        if self.next + blocks.len() as u64 != last + 1 {
            self.window.clear();
        }
        self.window.extend(blocks);
        let extra = self.window.len().saturating_sub(most);
        self.window.drain(..extra);
        self.next = last + 1;
        self.announced.clear();
    }

    /// The chain is another one behind so many blocks of the window. Returns whether there is something to take back.
    pub(crate) fn back(&mut self, kept: usize) -> bool {
        let first = self.number(kept);
        let mut gone = self.window.split_off(kept);
        gone.append(&mut self.announced);
        self.next = first;
        self.sent = 0;
        self.removing = gone;
        if self.to_remove() == 0 {
            self.removing.clear();
        }
        !self.removing.is_empty()
    }

    /// How many records are to be taken back, with those that were already.
    pub(crate) fn to_remove(&self) -> usize {
        self.removing.iter().map(|entry| entry.newest_first().count()).sum()
    }

    /// The records to take back, each with its block's number and hash, the last one first.
    pub(crate) fn removals(&self) -> impl Iterator<Item = (u64, Hash, What)> {
        let numbered = self.removing.iter().enumerate().rev();
        numbered
            .flat_map(|(index, entry)| {
                let number = self.next + index as u64;
                entry.newest_first().map(move |what| (number, entry.hash, what))
            })
            .skip(self.sent)
    }

    /// Whether it could be an offset.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check(offset: &Value) -> Result<(), String> {
        Self::deserialize(offset).map(drop).map_err(|wrong| wrong.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(byte: u8) -> Hash {
        Hash([byte; 32])
    }

    #[test]
    fn a_block_is_written_as_it_is_read() {
        let mut entry = Entry::bare(hash(0xab));
        for log in [0, 1, 2, 7, 9, 10] {
            entry.logs.add(log);
        }
        (entry.block, entry.transactions) = (true, 3);
        let text = format!("{} b t3 l0-2,7,9-10", "ab".repeat(32));
        assert_eq!(entry.to_string(), text);
        assert_eq!(text.parse::<Entry>().unwrap(), entry);
        let what: Vec<_> = entry.newest_first().collect();
        assert_eq!(what[..3], [What::Log(10), What::Log(9), What::Log(7)]);
        assert_eq!(
            what[6..],
            [What::Transaction(2), What::Transaction(1), What::Transaction(0), What::Block]
        );
        for wrong in
            ["", "ab", &format!("{} x", hash(1)), &format!("{} t", hash(1)), &format!("{} l1-", hash(1))]
        {
            assert!(wrong.parse::<Entry>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn scattered_logs_take_no_more_than_their_bound() {
        let mut spans = Spans::default();
        (0..100_000).for_each(|number| spans.add(number * 2));
        assert_eq!(spans.0.len(), Spans::MOST);
        assert!(spans.newest_first().any(|number| number == 199_998));
        assert_eq!(spans.0[..2], [(0, 0), (2, 2)]);
    }

    #[test]
    fn the_window_follows_and_goes_back() {
        let mut offset = Offset { next: 10, ..Offset::default() };
        let with_log = |byte| {
            let mut entry = Entry::bare(hash(byte));
            entry.logs.add(u32::from(byte));
            entry
        };
        offset.done(10, vec![with_log(10)], 3);
        offset.done(13, vec![with_log(11), with_log(12), with_log(13)], 3);
        assert_eq!((offset.next, offset.window.len(), offset.number(0)), (14, 3, 11));
        offset.announced = vec![with_log(14)];
        assert_eq!(offset.top().unwrap().0, 14);
        assert!(offset.back(1));
        assert_eq!((offset.next, offset.window.len()), (12, 1));
        let removed: Vec<_> = offset.removals().map(|(number, _, what)| (number, what)).collect();
        assert_eq!(removed, [(14, What::Log(14)), (13, What::Log(13)), (12, What::Log(12))]);
        offset.sent = 2;
        assert_eq!(offset.removals().count(), 1);
        let json = serde_json::to_string(&offset).unwrap();
        assert_eq!(serde_json::from_str::<Offset>(&json).unwrap(), offset);
    }

    #[test]
    fn a_range_that_was_not_read_block_by_block_begins_a_new_window() {
        let mut offset = Offset { next: 5, window: vec![Entry::bare(hash(4))], ..Offset::default() };
        offset.done(1004, vec![Entry::bare(hash(9))], 64);
        assert_eq!((offset.next, offset.window.len(), offset.number(0)), (1005, 1, 1004));
        assert!(!offset.back(0), "nothing to take back");
        assert_eq!(offset.next, 1004);
    }
}
