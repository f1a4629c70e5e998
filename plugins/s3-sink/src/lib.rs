//! Writes objects into S3: see `README.md`.
//!
//! Each Kafka partition has a `writer::Writer` of its own. What is committed is the last cut of each, never what
//! is still open (invariant 1), so a stop, a swap, a rebalance and a crash are the same to the bucket: reading goes
//! on at the last cut, and what was open is made again, under the same names and with the same content.

mod call;
mod compress;
mod config;
mod formats;
mod keys;
mod note;
mod object;
mod partitioner;
mod rotation;
mod s3;
#[cfg(test)]
mod tests;
mod time_path;
mod writer;

use std::collections::BTreeMap;
use std::time::Duration;

use transom_sdk::{
    Assigned, Batch, Error, Failures, KafkaOffset, Kind, Manifest, OffsetChange, Problems, Reason, Sink,
    SinkContext, TopicPartition, log,
};

use call::Call;
use config::{Config, Settings};
use note::Notes;
use writer::Writer;

/// A task. Not `Debug`: some of it is secret.
struct S3Sink {
    settings: Settings,
    context: SinkContext,
    writers: BTreeMap<(String, i32), Writer>,
    /// Records that no object can hold, and why: told when a call succeeds, which may be a later one.
    refused: Vec<Refused>,
}

struct Refused {
    topic: String,
    partition: i32,
    offset: i64,
    why: String,
}

impl Sink for S3Sink {
    type Config = Config;

    fn manifest() -> Manifest {
        config::manifest()
    }

    fn validate(config: &Config, problems: &mut Problems) {
        match config.read() {
            Err(found) => found.iter().for_each(|(key, message)| problems.add(key, message)),
            Ok(settings) if config.validate_connection => {
                if let Err(error) = settings.bucket.head_bucket() {
                    problems.add("s3.bucket.name", format!("the connection was tried: {error}"));
                }
            }
            Ok(_) => {}
        }
    }

    /// What is noted of cuts belongs to the offsets: with others it is worth nothing.
    fn alter_offsets(config: &Config, changes: &[OffsetChange]) -> Result<bool, Error> {
        let settings = config.read()?;
        for OffsetChange { partition, .. } in changes {
            let (Some(topic), Some(number)) =
                (partition["kafka_topic"].as_str(), partition["kafka_partition"].as_i64())
            else {
                return Err(Error::config(format!(
                    "the partition {partition} needs the keys 'kafka_topic' and 'kafka_partition'"
                )));
            };
            let number =
                i32::try_from(number).map_err(|_| Error::config(format!("{number} is no partition")))?;
            Notes::of(&settings.notes_dir, &config.name, topic, number).forget(&settings.bucket)?;
        }
        Ok(true)
    }

    fn open(config: Config, context: &SinkContext) -> Result<Self, Error> {
        Ok(Self {
            settings: config.read()?,
            context: context.clone(),
            writers: BTreeMap::new(),
            refused: Vec::new(),
        })
    }

    fn assign(&mut self, partitions: &[Assigned]) -> Result<(), Error> {
        for Assigned { topic, partition, offset } in partitions {
            let notes = Notes::of(&self.settings.notes_dir, self.context.connector(), topic, *partition);
            let writer = Writer::new(topic, *partition, *offset, notes);
            self.writers.insert((topic.clone(), *partition), writer);
        }
        Ok(())
    }

    fn revoke(&mut self, partitions: &[TopicPartition], lost: bool) -> Result<(), Error> {
        for TopicPartition { topic, partition } in partitions {
            let writer = self.writers.remove(&(topic.clone(), *partition));
            // Of a lost partition another instance may have taken the uploads over.
            if let Some(mut writer) = writer.filter(|_| !lost) {
                writer.abandon(&self.settings);
            }
        }
        Ok(())
    }

    fn put(&mut self, batch: &Batch<'_>, failures: &mut Failures) -> Result<(), Error> {
        let mut call = Call::new(&self.settings);
        self.writers.values_mut().for_each(Writer::begin_call);
        let taken = take(&mut self.writers, batch, &mut self.refused, &mut call);
        let Call { mut seeks, cuts, now, .. } = call;
        if cuts > 0 {
            self.context.request_commit();
        }
        let due = self.writers.values().filter_map(Writer::due).min();
        if let Some(due) = due {
            self.context.timeout(Duration::from_millis((due - now).max(0).unsigned_abs()));
        }
        match taken {
            Err(error) if seeks.is_empty() || error.kind() != Kind::Retriable => return Err(error),
            // What was sought would come behind a batch that is repeated: so the others are sought too.
            Err(error) => {
                log::warn!("{error}; its records are read again");
                for ((topic, partition), writer) in &self.writers {
                    let sought = seeks.iter().any(|at| at.topic == *topic && at.partition == *partition);
                    let at = batch
                        .records()
                        .find(|record| record.topic() == topic && record.partition() == *partition);
                    if let (false, Some(first)) = (sought, at) {
                        let offset = writer.next().unwrap_or_else(|| first.offset());
                        seeks.push(KafkaOffset { topic: topic.clone(), partition: *partition, offset });
                    }
                }
            }
            Ok(()) => {}
        }
        // Invariant 3.
        for Refused { topic, partition, offset, why } in self.refused.drain(..) {
            failures.at(&topic, partition, offset, why);
        }
        if seeks.is_empty() { Ok(()) } else { self.context.seek(&seeks) }
    }

    fn pre_commit(&mut self, offsets: Vec<KafkaOffset>, _: Reason) -> Result<Vec<KafkaOffset>, Error> {
        let durable = |asked: KafkaOffset| {
            let writer = self.writers.get(&(asked.topic.clone(), asked.partition))?;
            // Only the cut itself: an offset before it would be the start of another group. Of a batch that is not
            // put yet, the cut may lie behind what the worker knows.
            let offset = writer.durable().filter(|durable| *durable <= asked.offset)?;
            Some(KafkaOffset { offset, ..asked })
        };
        Ok(offsets.into_iter().filter_map(durable).collect())
    }
}

/// Takes the records of a batch that were not taken yet.
fn take(
    writers: &mut BTreeMap<(String, i32), Writer>,
    batch: &Batch<'_>,
    refused: &mut Vec<Refused>,
    call: &mut Call<'_>,
) -> Result<(), Error> {
    for writer in writers.values_mut() {
        writer.work(call)?;
    }
    let mut all = batch.records();
    for (run, records) in batch.raw().runs() {
        let key = (run.topic.to_owned(), run.partition.unwrap_or(-1));
        let Some(writer) = writers.get_mut(&key) else {
            return Err(Error::fatal(format!("{}-{} was never assigned", key.0, key.1)));
        };
        for record in all.by_ref().take(records.len()) {
            match writer.take(&record, call) {
                Err(error) if error.kind() == Kind::BadRecord => {
                    let (topic, partition) = key.clone();
                    refused.push(Refused {
                        topic,
                        partition,
                        offset: record.offset(),
                        why: error.message().into(),
                    });
                    writer.pass(record.offset());
                }
                taken => taken?,
            }
            call.took(record.value().map_or(0, <[u8]>::len))?;
        }
        make_room(writers, call)?;
    }
    Ok(())
}

/// Keeps what is held within `buffer.max.bytes`.
fn make_room(writers: &mut BTreeMap<(String, i32), Writer>, call: &mut Call<'_>) -> Result<(), Error> {
    let held = |writers: &BTreeMap<_, Writer>| writers.values().map(Writer::held).sum::<usize>();
    let mut before = usize::MAX;
    loop {
        let now = held(writers);
        if now <= call.settings.buffer || now >= before {
            return Ok(());
        }
        before = now;
        if let Some(writer) = writers.values_mut().max_by_key(|writer| writer.held()) {
            writer.shrink(call)?;
        }
    }
}

transom_sdk::sink!(S3Sink);
