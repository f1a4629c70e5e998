//! Producers, shared by tasks whose settings are equal, and each task's lane through one.
//!
//! Sharing makes batches larger and connections fewer. What it could cost, and does not:
//!
//! * One task's records cannot fill the queue of all: each [`Lane`] has a budget of bytes in flight, and a part of
//!   the common one that nobody can take from it.
//! * A record carries its lane and its number through librdkafka; deliveries come back by the hundred, are
//!   joined into ranges, and reach the lane in one lock a range. No allocation and no lock a record.
//! * A client that is dead (fenced, or out of sequence) tells all its lanes; the next one is made only after it
//!   is destroyed, so that no late record of the old one lands behind one of the new (invariant 4).

mod deliveries;
mod lane;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use transom_batch::Headers;

use self::deliveries::Deliveries;
use super::complaint::Complaints;
use super::native::{BatchBuffer, Client, Hooks, Kind, Queue, TopicRef};
use super::{ClientSettings, KafkaError};
use crate::lock::unpoisoned;

/// What librdkafka keeps for a record besides its bytes, about.
const OVERHEAD: u64 = 160;
/// Bits of a record's number in what librdkafka carries; the rest is the lane's.
const NUMBER_BITS: u32 = 48;
const NUMBER: u64 = (1 << NUMBER_BITS) - 1;
const QUEUE_KBYTES: &str = "queue.buffering.max.kbytes";
const QUEUE_MESSAGES: &str = "queue.buffering.max.messages";
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
    /// What it says while it goes on trying.
    complaints: Complaints,
    /// In flight, of all lanes.
    bytes: AtomicU64,
    /// `buffer.memory`: what all lanes together may have in flight, but for what each may always have.
    budget: u64,
    /// `max.request.size`: what a record may have.
    largest: usize,
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
        let mut entries = unpoisoned(self.0.lock());
        if let Some(entry) = entries.get(settings) {
            match entry.producer.upgrade() {
                Some(producer) if producer.lanes.dead.get().is_none() => {
                    return Ok(Found::Producer(producer));
                }
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
        let number = |name: &str, default: u64| {
            settings.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
        };
        let lanes = Arc::new(Lanes {
            budget: number(QUEUE_KBYTES, u64::MAX / 1024).saturating_mul(1024),
            largest: usize::try_from(number("message.max.bytes", u64::MAX)).unwrap_or(usize::MAX),
            ..Lanes::default()
        });
        // The bytes are counted here. A queue of librdkafka's that is full refuses a record in the middle of a
        // batch and takes the next one (invariant 4), so its own never is.
        let unlimited = settings.clone().with(QUEUE_KBYTES, i32::MAX.to_string()).with(QUEUE_MESSAGES, "0");
        let client = Arc::new(Client::new(Kind::Producer, &unlimited, Hooks::default())?);
        let queue = Arc::new(Queue::main(&client));
        let ending = Arc::<AtomicBool>::default();
        let (gone, destroyed) = watch::channel(false);
        let deliveries = Deliveries::new(lanes.clone());
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
        let mut lanes = unpoisoned(self.lanes.lanes.lock());
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

impl Lanes {
    /// Tells every lane that the client is dead.
    fn die(&self, error: KafkaError) {
        if self.dead.set(error).is_ok() {
            for lane in unpoisoned(self.lanes.lock()).iter().flatten() {
                lane.wake.notify_one();
            }
        }
    }

    /// Takes back what was counted as in flight, at its end.
    fn uncount(&self, lane: &Shared, records: u64, bytes: u64) {
        let _ = self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        let _ = lane.bytes.fetch_sub(bytes, Ordering::AcqRel);
        let _ = lane.records.fetch_sub(records, Ordering::AcqRel);
    }

    /// Frees the numbers of lanes that are gone and have nothing in flight.
    fn sweep(&self) {
        for lane in unpoisoned(self.lanes.lock()).iter_mut() {
            let done = lane.as_ref().is_some_and(|lane| {
                lane.left.load(Ordering::Acquire) && lane.records.load(Ordering::Acquire) == 0
            });
            if done {
                *lane = None;
            }
        }
    }
}
