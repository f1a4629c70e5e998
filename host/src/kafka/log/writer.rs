//! What is added to a log: groups of records, one after the other, on a thread of their own.
//!
//! A group is answered when every replica has all of it (`acks=all`), with the places where its records are. What
//! waits while a group is written goes together in the next one, so that many writers cost no more than one. With a
//! transactional id a group is a transaction: readers see all of it or nothing, and who was fenced (another writer of
//! this id has begun) writes nothing any more, for ever.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError as RdError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::{ClientContext, config::RDKafkaLogLevel};
use tokio::sync::{mpsc, oneshot};

use crate::kafka::admin::translate;
use crate::kafka::{ClientSettings, KafkaError};
use crate::lock::unpoisoned;

/// Groups that may wait.
const QUEUE: usize = 1024;
/// How long it is listened to what the client has to say, at first and after a second without an end: the call takes
/// all of its time, whatever it hears.
const LISTEN: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];
/// How long a transaction may take, as in Java's store.
const TRANSACTION: Duration = Duration::from_secs(30);
/// How long a broker waits for one that nobody ends.
const ABANDONED_MS: &str = "35000";

/// A record: its key, and its value or `None` for "gone".
pub(crate) type KeyValue = (Vec<u8>, Option<Vec<u8>>);
/// Where a record is: its partition and its offset.
type Place = (i32, i64);

struct Group {
    records: Vec<KeyValue>,
    done: oneshot::Sender<Result<Vec<Place>, KafkaError>>,
}

/// See the module. Dropped: what is not written yet is given up.
pub(crate) struct LogWriter {
    topic: String,
    groups: mpsc::Sender<Group>,
    ending: Arc<AtomicBool>,
}

impl fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogWriter").field(&self.topic).finish()
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
    }
}

impl LogWriter {
    /// A writer whose records are tried until they are there.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub(crate) fn new(settings: &ClientSettings, topic: &str) -> Result<Self, KafkaError> {
        let writing = Writing::new(settings, topic, false)?;
        Self::start(writing, |writing, groups| writing.run(groups))
    }

    /// The one writer of this transactional id: those before it write nothing any more, and what they had begun and
    /// not ended is undone, when this returns.
    ///
    /// # Errors
    /// librdkafka refuses the settings, or Kafka does not answer or refuses.
    pub(crate) async fn transactional(
        settings: &ClientSettings,
        topic: &str,
        id: &str,
    ) -> Result<Self, KafkaError> {
        let limit = TRANSACTION.as_millis().to_string();
        let settings = settings
            .with("transactional.id", id)
            .with("enable.idempotence", "true")
            .with("max.in.flight.requests.per.connection", "5")
            .with("message.timeout.ms", limit)
            .with("transaction.timeout.ms", ABANDONED_MS);
        let writing = Writing::new(&settings, topic, true)?;
        let (begun, begin) = oneshot::channel();
        let writer = Self::start(writing, |writing, groups| {
            let begin = writing.producer.init_transactions(TRANSACTION).map_err(|error| failed(&error));
            let good = begin.is_ok();
            let _ = begun.send(begin);
            if good {
                writing.run(groups);
            }
        })?;
        begin.await.unwrap_or_else(|_| Err(ended(topic)))?;
        Ok(writer)
    }

    fn start(
        writing: Writing,
        run: impl FnOnce(Writing, mpsc::Receiver<Group>) + Send + 'static,
    ) -> Result<Self, KafkaError> {
        let (sender, groups) = mpsc::channel(QUEUE);
        let (topic, ending) = (writing.topic.clone(), writing.ending.clone());
        let started =
            thread::Builder::new().name("log-writer".to_owned()).spawn(move || run(writing, groups));
        let _ = started.map_err(|error| KafkaError::local(format!("no thread for a writer: {error}")))?;
        Ok(Self { topic, groups: sender, ending })
    }

    /// Adds records, and tells where they are once they are durable.
    ///
    /// # Errors
    /// Kafka refuses them; of a transactional writer none of them is there then. `fatal`: nothing can be written by this
    /// one any more.
    pub(crate) async fn write(&self, records: Vec<KeyValue>) -> Result<Vec<Place>, KafkaError> {
        let (done, answer) = oneshot::channel();
        let group = Group { records, done };
        self.groups.send(group).await.map_err(|_| ended(&self.topic))?;
        answer.await.map_err(|_| ended(&self.topic))?
    }
}

fn ended(topic: &str) -> KafkaError {
    KafkaError::local(format!("the writer of {topic} has ended"))
}

/// The thread's half.
struct Writing {
    producer: BaseProducer<Delivered>,
    topic: String,
    transactional: bool,
    ending: Arc<AtomicBool>,
}

impl Writing {
    fn new(settings: &ClientSettings, topic: &str, transactional: bool) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        for (name, value) in settings.native() {
            let _ = config.set(name, value);
        }
        // A few records, and somebody waits for them.
        let _ = config.set("linger.ms", "0").set("acks", "all");
        let producer = config.create_with_context(Delivered::default()).map_err(|error| translate(&error))?;
        Ok(Self { producer, topic: topic.to_owned(), transactional, ending: Arc::default() })
    }

    fn run(self, mut groups: mpsc::Receiver<Group>) {
        while let Some(first) = groups.blocking_recv() {
            let mut together = vec![first];
            while together.len() < QUEUE
                && let Ok(group) = groups.try_recv()
            {
                together.push(group);
            }
            let records: Vec<&KeyValue> = together.iter().flat_map(|group| &group.records).collect();
            let written = if self.transactional { self.transact(&records) } else { self.send(&records) };
            let is_over = written.as_ref().is_err_and(|error| error.fatal);
            let mut places = written.map(Vec::into_iter);
            for Group { records, done } in together {
                let part = match &mut places {
                    Ok(places) => Ok(places.take(records.len()).collect()),
                    Err(error) => Err(error.clone()),
                };
                // Who does not wait any more was dropped, and needs no answer.
                let _ = done.send(part);
            }
            if is_over {
                return;
            }
        }
    }

    /// Sends records and waits until each has arrived or failed.
    fn send(&self, records: &[&KeyValue]) -> Result<Vec<Place>, KafkaError> {
        *self.delivered() = vec![None; records.len()];
        for (index, (key, value)) in records.iter().enumerate() {
            let mut record = BaseRecord::with_opaque_to(&self.topic, index).key(key.as_slice());
            record.payload = value.as_deref();
            loop {
                match self.producer.send(record) {
                    Ok(()) => break,
                    Err((RdError::MessageProduction(Code::QueueFull), back)) => {
                        self.producer.poll(LISTEN[0]);
                        record = back;
                    }
                    Err((error, _)) => return Err(failed(&error)),
                }
            }
        }
        let begun = Instant::now();
        while self.delivered().iter().any(Option::is_none) {
            self.producer.poll(LISTEN[usize::from(begun.elapsed() > Duration::from_secs(1))]);
            if self.ending.load(Ordering::Acquire) {
                return Err(ended(&self.topic));
            }
        }
        self.delivered().drain(..).flatten().collect()
    }

    fn transact(&self, records: &[&KeyValue]) -> Result<Vec<Place>, KafkaError> {
        self.producer.begin_transaction().map_err(|error| failed(&error))?;
        let sent = self.send(records);
        // What kept records from arriving shows in the commit as well, which knows best what is to be done.
        let committed = self.commit();
        if let Err(error) = &committed
            && !error.fatal
            && let Err(abort) = self.producer.abort_transaction(TRANSACTION)
        {
            let abort = failed(&abort);
            // In an unknown state it must not go on.
            return Err(if abort.fatal { abort } else { error.clone().into_fatal() });
        }
        committed.and(sent)
    }

    fn commit(&self) -> Result<(), KafkaError> {
        let until = Instant::now() + TRANSACTION;
        loop {
            match self.producer.commit_transaction(TRANSACTION) {
                Ok(()) => return Ok(()),
                Err(RdError::Transaction(error)) if error.is_retriable() && Instant::now() < until => {}
                Err(error) => return Err(failed(&error)),
            }
        }
    }

    fn delivered(&self) -> std::sync::MutexGuard<'_, Vec<Option<Result<Place, KafkaError>>>> {
        unpoisoned(self.producer.context().0.lock())
    }
}

/// The error, as the end of its client if it is that.
fn failed(error: &RdError) -> KafkaError {
    match error {
        RdError::Transaction(inner) => {
            let translated = KafkaError { message: inner.string(), ..translate(error) };
            if inner.is_fatal() || translated.is_fenced() { translated.into_fatal() } else { translated }
        }
        _ => {
            let translated = translate(error);
            if translated.is_fenced() { translated.into_fatal() } else { translated }
        }
    }
}

/// What became of the records of the group that is being written, by their index.
#[derive(Default)]
struct Delivered(Mutex<Vec<Option<Result<Place, KafkaError>>>>);

impl ClientContext for Delivered {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(target: "kafka", ?level, facility, "{line}");
    }

    fn error(&self, error: RdError, reason: &str) {
        tracing::debug!(target: "kafka", "{error}: {reason}");
    }
}

impl ProducerContext for Delivered {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let place = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(failed(error)),
        };
        if let Some(slot) = unpoisoned(self.0.lock()).get_mut(index) {
            *slot = Some(place);
        }
    }
}
