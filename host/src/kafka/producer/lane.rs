//! One task's share of a producer: sending, and hearing what became of it.

use std::iter;
use std::sync::atomic::Ordering;

use super::{Ack, InFlight, Lane, NUMBER, NUMBER_BITS, OVERHEAD, Outgoing, SendError};
use crate::kafka::KafkaError;
use crate::kafka::native::{Slot, TopicRef, error_of};
use crate::lock::unpoisoned;

/// Records handed over at once.
const STEP: usize = 512;

/// What a lane holds whatever the others do: with less it could not move at all.
const LEAST: u64 = 1 << 20;
/// What the protocol adds to a record that is alone in its batch, as Java's producer reckons: the batch's header,
/// and the record's length, attributes and deltas at their longest.
const ALONE: usize = 61 + 21;
/// More than the protocol adds to any record without headers.
const NEAR: usize = ALONE + 16;

impl Lane {
    /// Sends records in their order, as many as the budget has room for; at least one if anything fits.
    ///
    /// # Errors
    /// Kafka would not take a record, or librdkafka does not. The lane is of no more use.
    pub(crate) fn send<'a>(
        &mut self,
        records: impl Iterator<Item = Outgoing<'a>>,
    ) -> Result<usize, SendError> {
        let mut records = records.peekable();
        let mut sent = 0;
        let mut slots: Vec<Slot<'a>> = Vec::with_capacity(STEP);
        let largest = self.producer.lanes.largest;
        let fits = |record: &Outgoing<'_>| {
            // Small is what most are: the exact size is reckoned only of what comes near.
            is_plain(record) && payload(record.key, record.value) + NEAR <= largest || size(record) <= largest
        };
        while self.has_room() {
            let Some(record) = records.next() else { break };
            if !fits(&record) {
                return Err(SendError { accepted: sent, source: too_large(&record, largest) });
            }
            let topic = record.topic;
            let outcome = if is_plain(&record) {
                // One that does not fit ends the run: nothing behind it may be sent before it.
                let same = |other: &Outgoing<'_>| other.topic == topic && is_plain(other) && fits(other);
                slots.clear();
                let more = iter::from_fn(|| records.next_if(same)).take(STEP - 1);
                let numbered = iter::once(record.clone()).chain(more).zip(self.next..);
                slots.extend(numbered.map(|(record, number)| Slot {
                    partition: record.partition,
                    key: record.key,
                    value: record.value,
                    opaque: self.opaque(number),
                }));
                self.send_slots(topic, &slots)
            } else {
                self.send_one(&record)
            };
            sent += outcome.map_err(|error| SendError { accepted: sent + error.accepted, ..error })?;
        }
        Ok(sent)
    }

    fn opaque(&self, number: u64) -> u64 {
        (self.number << NUMBER_BITS) | (number & NUMBER)
    }

    fn send_slots(&mut self, topic: &str, slots: &[Slot<'_>]) -> Result<usize, SendError> {
        let bytes: u64 = slots.iter().map(|slot| weight(slot.key, slot.value)).sum();
        self.open_topic(topic).map_err(|source| SendError { accepted: 0, source })?;
        // Counted before: a delivery may be there before the call has returned.
        self.count(slots.len() as u64, bytes);
        let mut first = None;
        let (shared, lanes) = (&self.shared, &self.producer.lanes);
        self.topics[topic].produce(slots, &mut self.buffer, |index, code| {
            lanes.uncount(shared, 1, weight(slots[index].key, slots[index].value));
            first = first.or(Some((index, code)));
        });
        self.next += slots.len() as u64;
        match first {
            None => Ok(slots.len()),
            Some((accepted, code)) => Err(SendError { accepted, source: error_of(code) }),
        }
    }

    fn send_one(&mut self, record: &Outgoing<'_>) -> Result<usize, SendError> {
        let failed = |source| SendError { accepted: 0, source };
        self.open_topic(record.topic).map_err(failed)?;
        let bytes = weight(record.key, record.value);
        self.count(1, bytes);
        let slot = Slot {
            partition: record.partition,
            key: record.key,
            value: record.value,
            opaque: self.opaque(self.next),
        };
        self.next += 1;
        let produced = self.topics[record.topic].produce_one(&slot, record.timestamp, record.headers.clone());
        if produced.is_err() {
            self.producer.lanes.uncount(&self.shared, 1, bytes);
        }
        produced.map(|()| 1).map_err(failed)
    }

    fn open_topic(&mut self, name: &str) -> Result<(), KafkaError> {
        if !self.topics.contains_key(name) {
            let _ = self.topics.insert(name.to_owned(), TopicRef::new(&self.producer.client, name)?);
        }
        Ok(())
    }

    fn count(&self, records: u64, bytes: u64) {
        let _ = self.shared.records.fetch_add(records, Ordering::AcqRel);
        let _ = self.shared.bytes.fetch_add(bytes, Ordering::AcqRel);
        let _ = self.producer.lanes.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    /// What keeps records from arriving, as far as the client knows: it goes on trying.
    pub(crate) fn complaint(&self) -> Option<KafkaError> {
        self.producer.lanes.complaints.newest()
    }

    /// Waits until records have ended their way. May be dropped at any time.
    ///
    /// # Errors
    /// The client is dead.
    pub(crate) async fn acks(&mut self, out: &mut Vec<Ack>) -> Result<(), KafkaError> {
        loop {
            self.try_acks(out)?;
            if !out.is_empty() {
                return Ok(());
            }
            self.shared.wake.notified().await;
        }
    }

    /// The same, without waiting.
    ///
    /// # Errors
    /// The client is dead.
    pub(crate) fn try_acks(&mut self, out: &mut Vec<Ack>) -> Result<(), KafkaError> {
        let taken = {
            let mut acks = unpoisoned(self.shared.acks.lock());
            let any = !acks.is_empty();
            out.append(&mut acks);
            any
        };
        match self.producer.lanes.dead.get() {
            // What arrived before the end has arrived.
            Some(error) if !taken => Err(error.clone()),
            _ => Ok(()),
        }
    }

    pub(crate) fn in_flight(&self) -> InFlight {
        InFlight {
            records: self.shared.records.load(Ordering::Acquire),
            bytes: self.shared.bytes.load(Ordering::Acquire),
        }
    }

    /// Whether `send` would take a record: within the lane's own budget and, but for a little, that of all. A lane
    /// that has to wait for the others has records in flight itself, whose end wakes it.
    pub(crate) fn has_room(&self) -> bool {
        let (bytes, lanes) = (self.shared.bytes.load(Ordering::Acquire), &self.producer.lanes);
        bytes < LEAST.min(self.budget)
            || (bytes < self.budget && lanes.bytes.load(Ordering::Acquire) < lanes.budget)
    }

    /// Waits until nothing is in flight any more, whatever became of it. For a lane that is given up.
    pub(crate) async fn quiet(&self) {
        while self.in_flight().records > 0 && self.producer.lanes.dead.get().is_none() {
            self.shared.wake.notified().await;
        }
    }

    /// Gives up what is in flight and never ends, for the price of the client: every task that shares it goes
    /// on with another one, after this one is destroyed.
    pub(crate) fn purge(&self) {
        if self.in_flight().records > 0 {
            self.producer
                .lanes
                .die(KafkaError::local("the client was given up with records in flight").into_fatal());
            if let Err(error) = self.producer.client.purge() {
                tracing::warn!("could not give up what a producer holds: {error}");
            }
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.shared.left.store(true, Ordering::Release);
        self.producer.lanes.sweep();
    }
}

/// Whether nothing but key and value has to be told of it.
fn is_plain(record: &Outgoing<'_>) -> bool {
    record.timestamp.is_none() && record.headers.len() == 0
}

fn payload(key: Option<&[u8]>, value: Option<&[u8]>) -> usize {
    key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)
}

fn weight(key: Option<&[u8]>, value: Option<&[u8]>) -> u64 {
    payload(key, value) as u64 + OVERHEAD
}

/// The bytes of a request with this record alone, as Java's producer reckons.
fn size(record: &Outgoing<'_>) -> usize {
    let part = |bytes: Option<&[u8]>| bytes.map_or(1, |bytes| varint(bytes.len()) + bytes.len());
    let headers = record.headers.clone();
    let count = varint(headers.len());
    let headers: usize = headers.map(|(name, value)| part(Some(name.as_bytes())) + part(value)).sum();
    ALONE + part(record.key) + part(record.value) + count + headers
}

/// The length of a length.
fn varint(length: usize) -> usize {
    match length {
        0..0x40 => 1,
        0x40..0x2000 => 2,
        0x2000..0x10_0000 => 3,
        0x10_0000..0x800_0000 => 4,
        _ => 5,
    }
}

fn too_large(record: &Outgoing<'_>, largest: usize) -> KafkaError {
    KafkaError::local(format!(
        "a record for topic {} has {} bytes when serialized, which is larger than {largest}, the value of \
         max.request.size: raise it with producer.max.request.size or producer.override.max.request.size (and the \
         topic's max.message.bytes with it)",
        record.topic,
        size(record)
    ))
}

#[cfg(test)]
mod tests {
    use transom_batch::{Batch, Format, Limits, Run, TimestampType, Writer};

    use super::*;

    /// The size of the only record that `write` writes.
    fn size_of(write: impl FnOnce(&mut Writer)) -> usize {
        let mut writer = Writer::new();
        let run = Run {
            topic: "t",
            partition: None,
            key_format: Format::Bytes,
            value_format: Format::Bytes,
            key_schema: None,
            value_schema: None,
            timestamp_type: TimestampType::Create,
            base_offset: None,
        };
        writer.run(&run).unwrap();
        write(&mut writer);
        let bytes = writer.finish();
        let batch = Batch::parse(&bytes, &Limits { bytes: bytes.len(), records: 1 }).unwrap();
        let record = batch.records().next().unwrap();
        let (key, value, headers) = (record.key, record.value, record.headers());
        size(&Outgoing { topic: "t", partition: None, key, value, timestamp: None, headers })
    }

    #[test]
    fn a_records_size_is_what_javas_producer_reckons() {
        assert_eq!(size_of(|writer| writer.push(None, None, None).unwrap()), 61 + 21 + 1 + 1 + 1);
        let whole = size_of(|writer| {
            writer.push(Some(b"key"), Some(&[0; 100]), None).unwrap();
            writer.header("name", Some(b"value")).unwrap();
            writer.header("n", None).unwrap();
        });
        assert_eq!(whole, 61 + 21 + (1 + 3) + (2 + 100) + 1 + (1 + 4 + 1 + 5) + (1 + 1 + 1));
    }

    #[test]
    fn lengths_are_as_long_as_the_protocol_says() {
        // Zigzag: each length takes one bit more than it has.
        for bits in [6, 13, 20, 27] {
            assert_eq!(varint((1 << bits) - 1) + 1, varint(1 << bits), "{bits}");
        }
    }
}
