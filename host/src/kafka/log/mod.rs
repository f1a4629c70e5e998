//! A compacted topic that is a worker's memory: read from its beginning, and followed from then on.
//!
//! ```text
//! topic ─▶ Log: each record to whoever keeps the state ─▶ positions ─▶ caught_up: everything up to here was taken
//!   ▲
//!   └───── LogWriter: groups of records, all or none if it is transactional
//! ```
//!
//! A log reads committed records only, so nothing of a writer that was fenced in the middle is ever seen. It has no
//! group: each worker reads all of it. How far it is, is told by offsets; where a transaction ends there are some
//! without a record, so the end of a partition counts as well as a record does.
//!
//! Whoever writes waits until what was written has come back, and acts on that: what is in memory is what any other
//! worker would read.

mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::native::{Client, Hooks, Kind, Message, Messages, Partitions, Queue};
use super::{Admin, ClientSettings, KafkaError, TopicPartition};

pub(crate) use self::writer::LogWriter;

/// Records taken at once.
const STEP: usize = 512;
/// How long the reader waits at most before it looks again.
const CAP: Duration = Duration::from_millis(500);
/// librdkafka's word for a partition's first offset.
const BEGINNING: i64 = -2;
/// What may be fetched ahead.
const PREFETCH: &[(&str, &str)] =
    &[("queued.max.messages.kbytes", "16384"), ("queued.min.messages", "20000")];

/// See the module. Dropped: it reads no more.
#[derive(Debug)]
pub(crate) struct Log {
    topic: String,
    admin: Admin,
    /// Of each partition the next offset.
    positions: watch::Receiver<Vec<i64>>,
    /// Dropped to end the reader.
    _running: watch::Sender<()>,
}

impl Log {
    /// Begins to read. `take` is given every record in the order of its partition, and must not wait.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub(crate) fn follow(
        settings: &ClientSettings,
        (topic, partitions): (&str, usize),
        admin: Admin,
        take: impl FnMut(&Message<'_>) + Send + 'static,
    ) -> Result<Self, KafkaError> {
        let own = [("enable.partition.eof", "true"), ("isolation.level", "read_committed")];
        let settings = own
            .iter()
            .chain(PREFETCH)
            .fold(settings.clone(), |settings, (name, value)| settings.with(name, *value));
        let client = Arc::new(Client::new(Kind::Consumer, &settings, Hooks::default())?);
        let (mut queue, wake) = (Queue::consumer(&client), Arc::new(Notify::new()));
        queue.wake(wake.clone());
        let count = i32::try_from(partitions).unwrap_or(i32::MAX);
        let list: Vec<_> = (0..count).map(|partition| TopicPartition::new(topic, partition)).collect();
        client.assign(&Partitions::new(list.iter().map(|partition| (partition, Some(BEGINNING)))))?;
        let (tell, positions) = watch::channel(vec![0; partitions]);
        let (running, stopped) = watch::channel(());
        let reader = Reader { topic: topic.to_owned(), queue, client, wake, tell };
        drop(tokio::spawn(reader.run(stopped, take)));
        Ok(Self { topic: topic.to_owned(), admin, positions, _running: running })
    }

    /// Waits until everything is taken that the topic had when this was called.
    ///
    /// # Errors
    /// A broker does not answer.
    pub(crate) async fn caught_up(&self) -> Result<(), KafkaError> {
        let partitions = self.positions.borrow().len();
        let ends = self.admin.ends(&self.topic, partitions).await?;
        self.reached(|positions| positions.iter().zip(&ends).all(|(position, end)| position >= end)).await
    }

    /// Waits until these records were taken, each told by its partition and offset.
    ///
    /// # Errors
    /// The reader has ended.
    pub(crate) async fn taken(&self, records: &[(i32, i64)]) -> Result<(), KafkaError> {
        let is_past = |positions: &Vec<i64>, (partition, offset): (i32, i64)| {
            let position = usize::try_from(partition).ok().and_then(|partition| positions.get(partition));
            position.is_some_and(|position| *position > offset)
        };
        self.reached(|positions| records.iter().all(|record| is_past(positions, *record))).await
    }

    async fn reached(&self, wanted: impl Fn(&Vec<i64>) -> bool) -> Result<(), KafkaError> {
        let mut positions = self.positions.clone();
        let reached = positions.wait_for(|positions| wanted(positions)).await;
        reached.map(drop).map_err(|_| KafkaError::local(format!("nobody reads {} any more", self.topic)))
    }
}

struct Reader {
    topic: String,
    // Before the client: it goes first.
    queue: Queue,
    client: Arc<Client>,
    wake: Arc<Notify>,
    tell: watch::Sender<Vec<i64>>,
}

impl Reader {
    async fn run(self, mut stopped: watch::Receiver<()>, mut take: impl FnMut(&Message<'_>)) {
        let mut messages = Messages::new();
        while stopped.has_changed().is_ok() {
            let taken = self.step(&mut messages, &mut take);
            if taken == STEP {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                _ = stopped.changed() => {}
                _ = tokio::time::timeout(CAP, self.wake.notified()) => {}
            }
        }
        let Self { queue, client, .. } = self;
        // To destroy a client blocks.
        let ended = std::thread::Builder::new().name("log-end".to_owned()).spawn(move || {
            drop(queue);
            drop(client);
        });
        drop(ended);
    }

    fn step(&self, messages: &mut Messages, take: &mut impl FnMut(&Message<'_>)) -> usize {
        let reached = std::cell::RefCell::new(Vec::new());
        let count = messages.take_to_ends(
            &self.queue,
            STEP,
            |message| match message {
                Ok(message) => {
                    take(&message);
                    reached.borrow_mut().push((message.partition(), message.offset() + 1));
                }
                // It goes on trying; whoever waits for it says that it waits.
                Err(error) => tracing::warn!("reading {}: {error}", self.topic),
            },
            |partition, next| reached.borrow_mut().push((partition, next)),
        );
        let reached = reached.into_inner();
        if !reached.is_empty() {
            self.tell.send_modify(|positions| {
                for (partition, next) in reached {
                    if let Some(position) = usize::try_from(partition).ok().and_then(|p| positions.get_mut(p))
                    {
                        *position = next.max(*position);
                    }
                }
            });
        }
        count
    }
}
