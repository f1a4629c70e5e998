//! Writes documents to Elasticsearch or OpenSearch: see `README.md`.
//!
//! `put` makes actions of records and adds them to requests (`document`), which are sent several at a time and
//! answered in later calls (`traffic`). What the answers say goes into the books (`ledger`), by which `pre_commit`
//! tells what is durable (`tracker`).
//!
//! Where there is no room `put` waits for some, a while; then it gives the batch back and the worker comes again with
//! it, which holds up the partitions and nothing else.

mod answer;
mod bulk;
mod config;
mod document;
mod keys;
mod ledger;
mod naming;
mod requests;
#[cfg(test)]
mod tests;
mod tracker;
mod traffic;

use std::rc::Rc;
use std::time::{Duration, Instant};

use transom_sdk::{
    Batch, Error, Failures, KafkaOffset, Manifest, Problems, Reason, Record, Sink, SinkContext,
    TopicPartition, log, metric, should_stop,
};

use config::{Config, Settings};
use document::Written;
use ledger::Ledger;
use naming::Names;
use traffic::Traffic;

/// How long a put waits for room.
const PATIENCE: Duration = Duration::from_secs(2);
/// When the worker comes again with what there was no room for.
const COME_AGAIN: Duration = Duration::from_millis(20);
/// Records between the oldest that is not confirmed and the newest, for each that may wait for an answer: behind one
/// that is refused for long, the others go on for so long.
const WINDOWS: usize = 10;

/// A task. Not `Debug`: some of it is secret.
struct ElasticsearchSink {
    settings: Rc<Settings>,
    context: SinkContext,
    names: Names,
    traffic: Traffic,
    ledger: Ledger,
}

impl Sink for ElasticsearchSink {
    type Config = Config;

    fn manifest() -> Manifest {
        keys::manifest()
    }

    fn validate(config: &Config, problems: &mut Problems) {
        match config.read() {
            Err(found) => found.iter().for_each(|(key, message)| problems.add(key, message)),
            Ok(settings) if config.validate_connection => requests::check(&settings, problems),
            Ok(_) => {}
        }
    }

    fn open(config: Config, context: &SinkContext) -> Result<Self, Error> {
        for (key, instead) in keys::without_effect(&config.others) {
            log::warn!("{key} has no effect here: {instead}");
        }
        let settings = Rc::new(config.read()?);
        Ok(Self {
            context: context.clone(),
            names: Names::new(settings.naming.clone()),
            traffic: Traffic::new(Rc::clone(&settings)),
            ledger: Ledger::new(settings.malformed, settings.drop_invalid),
            settings,
        })
    }

    fn put(&mut self, batch: &Batch<'_>, failures: &mut Failures) -> Result<(), Error> {
        self.traffic.turn(&mut self.ledger)?;
        if !batch.is_empty() {
            self.make_room(batch.len())?;
            batch.records().for_each(|record| self.take(&record));
        }
        self.traffic.turn(&mut self.ledger)?;
        // Last: a put that fails names nobody.
        self.ledger.name(failures);
        if let Some(soon) = self.traffic.soon() {
            self.context.timeout(soon);
        } else if self.ledger.has_refused() {
            self.context.timeout(Duration::ZERO);
        }
        self.show();
        Ok(())
    }

    fn pre_commit(&mut self, offsets: Vec<KafkaOffset>, reason: Reason) -> Result<Vec<KafkaOffset>, Error> {
        self.traffic.turn(&mut self.ledger)?;
        if matches!(reason, Reason::Revoke | Reason::Stop | Reason::Swap) {
            self.flush()?;
        }
        let confirmed = |offset: KafkaOffset| {
            let confirmed = self.ledger.tracker.confirmed(&offset.topic, offset.partition)?;
            Some(KafkaOffset { offset: confirmed.min(offset.offset), ..offset })
        };
        Ok(offsets.into_iter().filter_map(confirmed).collect())
    }

    /// What is left of these partitions is neither sent nor told any more: it is the next owner's.
    fn revoke(&mut self, partitions: &[TopicPartition], _: bool) -> Result<(), Error> {
        for partition in partitions {
            self.ledger.tracker.forget(&partition.topic, partition.partition);
        }
        Ok(())
    }
}

impl ElasticsearchSink {
    /// Waits until a batch can be taken.
    fn make_room(&mut self, records: usize) -> Result<(), Error> {
        let start = Instant::now();
        loop {
            // Refused records leave only when they are named: they must not keep out the put that does.
            let window = self.ledger.tracker.window() < self.settings.buffered_records * WINDOWS;
            if self.traffic.has_room(records) && (window || self.ledger.has_refused()) {
                return Ok(());
            }
            let left = PATIENCE.saturating_sub(start.elapsed());
            if left.is_zero() || should_stop() {
                let after = self.traffic.soon().unwrap_or(COME_AGAIN).clamp(COME_AGAIN, PATIENCE);
                return Err(Error::retriable(self.traffic.trouble()).retry_after(after));
            }
            self.traffic.wait(left);
            self.traffic.turn(&mut self.ledger)?;
        }
    }

    fn take(&mut self, record: &Record<'_>) {
        let place = self.ledger.tracker.take(record.topic(), record.partition(), record.offset());
        let written = self.traffic.add(|bulk| {
            let written = document::write(record, &self.settings, &mut self.names, &mut bulk.body);
            if let Ok(Written::Action { document, alone }) = written {
                bulk.push(place, document, alone);
            }
            written
        });
        match written {
            Ok(Written::Action { .. }) => {}
            Ok(Written::Nothing) => self.ledger.confirm(place),
            Err(why) => self.ledger.invalid(place, format!("it {why}")),
        }
    }

    /// Sends everything and waits for the answers, a bounded time.
    fn flush(&mut self) -> Result<(), Error> {
        let start = Instant::now();
        self.traffic.seal();
        loop {
            self.traffic.turn(&mut self.ledger)?;
            let left = self.settings.flush.saturating_sub(start.elapsed());
            // The server may have said that it takes nothing until later than that.
            let in_time = self.traffic.soon().is_some_and(|soon| soon <= left);
            if self.traffic.waiting() == 0 || !in_time || should_stop() {
                return Ok(());
            }
            self.traffic.wait(left);
        }
    }

    fn show(&self) {
        metric("waiting_records", self.traffic.waiting() as f64);
        metric("requests_in_flight", self.traffic.in_flight() as f64);
        self.ledger.show();
    }
}

transom_sdk::sink!(ElasticsearchSink);
