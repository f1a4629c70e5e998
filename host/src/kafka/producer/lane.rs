//! One task's share of a producer: sending, and hearing what became of it.

use std::iter;
use std::sync::atomic::Ordering;

use super::{Ack, InFlight, Lane, NUMBER, NUMBER_BITS, OVERHEAD, Outgoing, SendError, lock};
use crate::kafka::KafkaError;
use crate::kafka::native::{Slot, TopicRef};

/// Records handed over at once.
const STEP: usize = 512;

impl Lane {
    /// Sends records in their order, as many as the budget has room for; at least one if anything fits.
    ///
    /// # Errors
    /// librdkafka does not take a record. The lane is of no more use.
    pub(crate) fn send<'a>(
        &mut self,
        records: impl Iterator<Item = Outgoing<'a>>,
    ) -> Result<usize, SendError> {
        let mut records = records.peekable();
        let mut sent = 0;
        let mut slots: Vec<Slot<'a>> = Vec::with_capacity(STEP);
        while self.has_room() {
            let Some(record) = records.next() else { break };
            let topic = record.topic;
            if record.timestamp.is_some() || record.headers.len() > 0 {
                self.send_one(&record).map_err(|source| SendError { accepted: sent, source })?;
                sent += 1;
                continue;
            }
            let same = |other: &Outgoing<'_>| {
                other.topic == topic && other.timestamp.is_none() && other.headers.len() == 0
            };
            slots.clear();
            let more = iter::from_fn(|| records.next_if(same)).take(STEP - 1);
            slots.extend(iter::once(record.clone()).chain(more).enumerate().map(|(index, record)| Slot {
                partition: record.partition,
                key: record.key,
                value: record.value,
                opaque: (self.number << NUMBER_BITS) | ((self.next + index as u64) & NUMBER),
            }));
            let (accepted, error) = self.send_slots(topic, &slots);
            sent += accepted;
            if let Some(source) = error {
                return Err(SendError { accepted: sent, source });
            }
        }
        Ok(sent)
    }

    fn send_slots(&mut self, topic: &str, slots: &[Slot<'_>]) -> (usize, Option<KafkaError>) {
        let bytes: u64 = slots.iter().map(|slot| weight(slot.key, slot.value)).sum();
        if let Err(error) = self.open_topic(topic) {
            return (0, Some(error));
        }
        // Counted before: a delivery may be there before the call has returned.
        self.count(slots.len() as u64, bytes);
        let (accepted, error) = self.topics[topic].produce(slots, &mut self.buffer);
        self.next += slots.len() as u64;
        (accepted, error)
    }

    fn send_one(&mut self, record: &Outgoing<'_>) -> Result<(), KafkaError> {
        self.open_topic(record.topic)?;
        self.count(1, weight(record.key, record.value));
        let slot = Slot {
            partition: record.partition,
            key: record.key,
            value: record.value,
            opaque: (self.number << NUMBER_BITS) | (self.next & NUMBER),
        };
        self.next += 1;
        self.topics[record.topic].produce_one(&slot, record.timestamp, record.headers.clone())
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
            let mut acks = lock(&self.shared.acks);
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

    /// Whether `send` would take a record.
    pub(crate) fn has_room(&self) -> bool {
        self.shared.bytes.load(Ordering::Acquire) < self.budget
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

fn weight(key: Option<&[u8]>, value: Option<&[u8]>) -> u64 {
    (key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)) as u64 + OVERHEAD
}
