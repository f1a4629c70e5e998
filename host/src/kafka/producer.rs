//! Producers, shared by tasks whose settings are equal, and each task's lane through one.
//!
//! Sharing makes batches larger and connections fewer. What it could cost, and does not:
//!
//! * One task's records cannot fill the queue of all: each [`Lane`] has a budget of bytes in flight.
//! * A record carries its lane and its number through librdkafka; deliveries come back by the hundred, are
//!   joined into ranges, and reach the lane in one lock a range. No allocation and no lock a record.
//! * A client that is dead (fenced, or out of sequence) tells all its lanes; the next one is made only after it
//!   is destroyed, so that no late record of the old one lands behind one of the new (invariant 4).

use std::collections::HashMap;
use std::iter;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use transom_batch::Headers;

use super::native::{BatchBuffer, Client, Hooks, Kind, Queue, QueueEvent, Slot, TopicRef};
use super::{ClientSettings, KafkaError};

/// What librdkafka keeps for a record besides its bytes, about.
const OVERHEAD: u64 = 160;
/// Records handed over at once.
const STEP: usize = 512;
/// Bits of a record's number in what librdkafka carries; the rest is the lane's.
const NUMBER_BITS: u32 = 48;
const NUMBER: u64 = (1 << NUMBER_BITS) - 1;
/// How long a producer's thread waits for an event.
const POLL_MS: i32 = 100;
/// How often it looks whether it is the last owner of its client.
const LAST_OWNER: Duration = Duration::from_millis(1);

/// All producers of a worker. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Producers(Arc<Mutex<HashMap<ClientSettings, Entry>>>);

#[derive(Debug)]
struct Entry {
    producer: Weak<Producer>,
    /// True once its client is destroyed.
    destroyed: watch::Receiver<bool>,
}

/// A producer client, alive as long as somebody has a lane through it.
#[derive(Debug)]
pub(crate) struct Producer {
    client: Arc<Client>,
    queue: Arc<Queue>,
    lanes: Arc<Lanes>,
    ending: Arc<AtomicBool>,
}

/// The lanes of one producer, by their number.
#[derive(Debug, Default)]
struct Lanes {
    lanes: Mutex<Vec<Option<Arc<Shared>>>>,
    /// Why the client is dead.
    dead: OnceLock<KafkaError>,
}

/// What a lane and the producer's thread share.
#[derive(Debug, Default)]
struct Shared {
    acks: Mutex<Vec<Ack>>,
    records: AtomicU64,
    bytes: AtomicU64,
    /// Its task is gone; the number is free again when nothing is in flight.
    left: AtomicBool,
    wake: Notify,
}

/// Records `first..=last` have ended their way.
#[derive(Debug, Clone)]
pub(crate) struct Ack {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Why they did not arrive.
    pub(crate) error: Option<KafkaError>,
}

/// One task's share of a producer. Its records are numbered from 0.
#[derive(Debug)]
pub(crate) struct Lane {
    producer: Arc<Producer>,
    shared: Arc<Shared>,
    number: u64,
    next: u64,
    budget: u64,
    topics: HashMap<String, TopicRef>,
    buffer: BatchBuffer,
}

impl std::fmt::Debug for BatchBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BatchBuffer")
    }
}

/// What is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InFlight {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// A record that librdkafka did not take.
#[derive(Debug)]
pub(crate) struct SendError {
    /// How many before it were taken.
    pub(crate) accepted: usize,
    pub(crate) source: KafkaError,
}

/// A record to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: &'a str,
    /// `None`: the partitioner decides.
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    /// Milliseconds since the epoch; `None`: now.
    pub(crate) timestamp: Option<i64>,
    pub(crate) headers: Headers<'a>,
}

impl Producers {
    /// The producer for these settings: the one that is there, or a new one.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub(crate) async fn get(&self, settings: &ClientSettings) -> Result<Arc<Producer>, KafkaError> {
        loop {
            let mut ending = match self.find_or_start(settings)? {
                Found::Producer(producer) => return Ok(producer),
                Found::Ending(ending) => ending,
            };
            // An error: the thread is gone, and with it the client.
            let _ = ending.wait_for(|destroyed| *destroyed).await;
        }
    }

    fn find_or_start(&self, settings: &ClientSettings) -> Result<Found, KafkaError> {
        let mut entries = lock(&self.0);
        if let Some(entry) = entries.get(settings) {
            match entry.producer.upgrade() {
                Some(producer) if producer.lanes.dead.get().is_none() => return Ok(Found::Producer(producer)),
                _ if *entry.destroyed.borrow() => {}
                // Dead, or on its way out: its client has to be gone before another one sends.
                _ => return Ok(Found::Ending(entry.destroyed.clone())),
            }
        }
        let (producer, destroyed) = Producer::start(settings)?;
        let entry = Entry { producer: Arc::downgrade(&producer), destroyed };
        let _ = entries.insert(settings.clone(), entry);
        Ok(Found::Producer(producer))
    }
}

enum Found {
    Producer(Arc<Producer>),
    /// Not destroyed yet.
    Ending(watch::Receiver<bool>),
}

impl Producer {
    fn start(settings: &ClientSettings) -> Result<(Arc<Self>, watch::Receiver<bool>), KafkaError> {
        let client = Arc::new(Client::new(Kind::Producer, settings, Hooks::default())?);
        let queue = Arc::new(Queue::main(&client));
        let (lanes, ending) = (Arc::<Lanes>::default(), Arc::<AtomicBool>::default());
        let (gone, destroyed) = watch::channel(false);
        let deliveries = Deliveries { lanes: lanes.clone(), runs: Vec::new() };
        let thread = (Arc::clone(&client), Arc::clone(&queue), Arc::clone(&ending));
        let started = thread::Builder::new().name("producer".to_owned()).spawn(move || {
            let (client, queue, ending) = thread;
            deliveries.serve(&client, &queue, &ending);
            drop(queue);
            // Destroying blocks, which only this thread may; so it has to be the last owner. The others are
            // on their way out: lanes with their topics, and the producer itself.
            while Arc::strong_count(&client) > 1 {
                thread::sleep(LAST_OWNER);
            }
            drop(client);
            let _ = gone.send(true);
        });
        let _ = started.map_err(|error| KafkaError::local(format!("no thread for a producer: {error}")))?;
        Ok((Arc::new(Self { client, queue, lanes, ending }), destroyed))
    }

    /// One task's share, with so many bytes in flight at most.
    pub(crate) fn lane(self: &Arc<Self>, budget: usize) -> Lane {
        let shared = Arc::<Shared>::default();
        let mut lanes = lock(&self.lanes.lanes);
        let number = match lanes.iter().position(Option::is_none) {
            Some(number) => number,
            None => {
                lanes.push(None);
                lanes.len() - 1
            }
        };
        lanes[number] = Some(Arc::clone(&shared));
        Lane {
            producer: Arc::clone(self),
            shared,
            number: number as u64,
            next: 0,
            budget: budget as u64,
            topics: HashMap::new(),
            buffer: BatchBuffer::default(),
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // The thread drops the client after this; both of ours go right behind.
        self.ending.store(true, Ordering::Release);
        self.queue.interrupt();
    }
}

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
            self.producer.lanes.die(KafkaError::local("the client was given up with records in flight").into_fatal());
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

impl Lanes {
    /// Tells every lane that the client is dead.
    fn die(&self, error: KafkaError) {
        if self.dead.set(error).is_ok() {
            for lane in lock(&self.lanes).iter().flatten() {
                lane.wake.notify_one();
            }
        }
    }

    /// Frees the numbers of lanes that are gone and have nothing in flight.
    fn sweep(&self) {
        for lane in lock(&self.lanes).iter_mut() {
            let done = lane.as_ref().is_some_and(|lane| {
                lane.left.load(Ordering::Acquire) && lane.records.load(Ordering::Acquire) == 0
            });
            if done {
                *lane = None;
            }
        }
    }
}

/// Consecutive records of one lane that ended alike.
#[derive(Debug, Clone, Copy)]
struct Run {
    lane: u64,
    first: u64,
    last: u64,
    code: i32,
    bytes: u64,
}

/// The producer's thread: sorts deliveries into lanes.
struct Deliveries {
    lanes: Arc<Lanes>,
    runs: Vec<Run>,
}

impl Deliveries {
    fn serve(mut self, client: &Client, queue: &Queue, ending: &AtomicBool) {
        while !ending.load(Ordering::Acquire) {
            let Some(event) = queue.poll(POLL_MS) else { continue };
            self.take(&event);
            if let Some(error) = event.error() {
                if let Some(fatal) = client.fatal() {
                    tracing::error!(client = client.name(), "the producer is dead: {fatal}");
                    self.lanes.die(fatal);
                } else {
                    tracing::debug!(client = client.name(), "{error}");
                }
            }
        }
    }

    fn take(&mut self, event: &QueueEvent) {
        let runs = &mut self.runs;
        let _ = event.deliveries(|delivery| {
            let (lane, number) = (delivery.opaque >> NUMBER_BITS, delivery.opaque & NUMBER);
            let bytes = delivery.bytes as u64 + OVERHEAD;
            match runs.last_mut() {
                Some(run) if run.lane == lane && run.last + 1 == number && run.code == delivery.code => {
                    run.last = number;
                    run.bytes += bytes;
                }
                _ => runs.push(Run { lane, first: number, last: number, code: delivery.code, bytes }),
            }
        });
        if self.runs.is_empty() {
            return;
        }
        let mut swept = false;
        {
            let lanes = lock(&self.lanes.lanes);
            for run in self.runs.drain(..) {
                let Some(Some(lane)) = lanes.get(run.lane as usize) else { continue };
                let records = run.last - run.first + 1;
                let error = (run.code != 0).then(|| super::native::error_of(run.code));
                lock(&lane.acks).push(Ack { first: run.first, last: run.last, error });
                let _ = lane.bytes.fetch_sub(run.bytes, Ordering::AcqRel);
                let before = lane.records.fetch_sub(records, Ordering::AcqRel);
                swept |= before == records && lane.left.load(Ordering::Acquire);
                lane.wake.notify_one();
            }
        }
        if swept {
            self.lanes.sweep();
        }
    }
}

fn weight(key: Option<&[u8]>, value: Option<&[u8]>) -> u64 {
    (key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)) as u64 + OVERHEAD
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Plain lists: a panic elsewhere leaves them whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
