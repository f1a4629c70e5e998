//! Records that a plugin cannot take: the end of the task, or, where they are tolerated, dead letters.
//!
//! A plugin may learn late that a record failed, of any record that is not committed yet. So where there are dead
//! letters, the records of each put are kept as they came from Kafka until their offsets are committed. What is kept is
//! bounded: with more than [`KEPT`] bytes nothing is taken from Kafka until commits have made room. Without dead letters
//! nothing is kept and nothing is copied.
//!
//! Kafka has acknowledged a dead letter before the offset of its record can be committed (invariants 1 and 3); one that
//! it does not take fails the task, and the record comes again. (Kafka Connect logs that and goes on.) A record that is
//! tolerated without dead letters is counted and said.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tracing::{error, warn};
use transom_batch::{Batch, Limits, Outcome, Record, Run, TimestampType, Writer};

use super::incoming::Span;
use super::partitions::{Partitions, Tp};
use crate::config::{DeadLetters, Errors, Tolerance, Vault};
use crate::kafka::{Ack, Admin, ClientSettings, Lane, Outgoing, Producers};
use crate::task::context::Context;
use crate::task::failure::Failure;

/// Bytes of records that are kept before nothing more is taken.
const KEPT: usize = 64 << 20;
/// Bytes of dead letters on their way.
const IN_FLIGHT: usize = 4 << 20;
/// Bytes of what a plugin says about a record.
const MESSAGE: usize = 8 << 10;
/// What Kafka Connect says of a record that a sink's task reported.
const STAGE: &str = "TASK_PUT";
const CLASS: &str = "org.apache.kafka.connect.sink.SinkTask";

/// What it is made of.
pub(crate) struct RejectParts {
    pub(crate) errors: Errors,
    pub(crate) admin: Admin,
    pub(crate) producers: Producers,
    /// Of the producer that writes dead letters.
    pub(crate) settings: ClientSettings,
}

/// See the module.
pub(super) struct Rejects {
    parts: RejectParts,
    lane: Option<Lane>,
    /// The puts that are not committed, oldest first.
    kept: VecDeque<Kept>,
    bytes: usize,
}

/// The records of one put.
struct Kept {
    spans: Vec<Span>,
    batch: Vec<u8>,
}

/// Why the plugin could not take a record.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reason {
    code: u32,
    message: String,
}

/// What failed, by place.
pub(super) struct Failed(BTreeMap<(Tp, i64), Reason>);

impl Failed {
    /// What an outcome batch names, all of it records that were put and are not committed.
    pub(super) fn parse(
        outcome: &[u8],
        limits: &Limits,
        partitions: &Partitions,
        vault: &Vault,
    ) -> Result<Self, Failure> {
        if outcome.is_empty() {
            return Ok(Self(BTreeMap::new()));
        }
        let outcome =
            Outcome::parse(outcome, limits).map_err(|source| Failure::Batch { call: "put", source })?;
        let mut failed = BTreeMap::new();
        for failure in outcome.failures() {
            let tp = Tp { topic: failure.topic.to_owned(), partition: failure.partition };
            if !partitions.may_fail(&tp, failure.offset) {
                return Err(Failure::Answer {
                    call: "put",
                    problem: "the outcome of a record that it was not given, or that is committed".to_owned(),
                    text: format!("{}-{} at offset {}", tp.topic, tp.partition, failure.offset),
                });
            }
            let message = &failure.message[..failure.message.floor_char_boundary(MESSAGE)];
            let reason = Reason { code: failure.code, message: vault.hide(message).into_owned() };
            let _ = failed.insert((tp, failure.offset), reason);
        }
        Ok(Self(failed))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn as_failure(&self) -> Option<Failure> {
        let ((tp, offset), reason) = self.0.first_key_value()?;
        Some(Failure::Rejected {
            topic: tp.topic.clone(),
            partition: tp.partition,
            offset: *offset,
            code: reason.code,
            message: reason.message.clone(),
            more: self.0.len() - 1,
        })
    }
}

impl Rejects {
    pub(super) fn new(parts: RejectParts) -> Self {
        Self { parts, lane: None, kept: VecDeque::new(), bytes: 0 }
    }

    fn dead_letters(&self) -> Option<&DeadLetters> {
        self.parts.errors.dead_letters.as_ref().filter(|_| self.parts.errors.tolerance == Tolerance::All)
    }

    /// Whether the records of each put have to be given to [`keep`](Self::keep).
    pub(super) fn keeps(&self) -> bool {
        self.dead_letters().is_some()
    }

    /// Sees to it that there is a topic for dead letters, before the first of them.
    pub(super) async fn prepare(&mut self) -> Result<(), Failure> {
        let Some(dead_letters) = self.dead_letters() else { return Ok(()) };
        if self.lane.is_some() {
            return Ok(());
        }
        let (topic, factor) = (&dead_letters.topic, dead_letters.replication_factor);
        self.parts.admin.ensure_topic(topic, factor).await.map_err(|source| Failure::Kafka {
            doing: format!(
                "could not create the topic of dead letters {topic} \
                 (errors.deadletterqueue.topic.replication.factor={})",
                factor.map_or_else(|| "-1".to_owned(), |factor| factor.to_string())
            ),
            source,
        })?;
        let producer = self.parts.producers.get(&self.parts.settings).await.map_err(|source| {
            Failure::Kafka { doing: "could not make a producer for dead letters".to_owned(), source }
        })?;
        self.lane = Some(producer.lane(IN_FLIGHT));
        Ok(())
    }

    /// Keeps the records of a put, as they came.
    pub(super) fn keep(&mut self, spans: &[Span], batch: Vec<u8>) {
        if self.keeps() && !spans.is_empty() {
            self.bytes += batch.len();
            self.kept.push_back(Kept { spans: spans.to_vec(), batch });
        }
    }

    /// Whether nothing may be taken until commits have made room.
    pub(super) fn is_full(&self) -> bool {
        self.bytes > KEPT
    }

    /// Lets go of what can no longer fail.
    pub(super) fn forget(&mut self, partitions: &Partitions) {
        let settled = |span: &Span| !partitions.may_fail(&span.tp, span.next - 1);
        while let Some(oldest) = self.kept.pop_front_if(|oldest| oldest.spans.iter().all(settled)) {
            self.bytes -= oldest.batch.len();
        }
    }

    /// Nothing that was put counts any more.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.bytes = 0;
    }

    /// Gives the producer up: it failed, or nothing is written any more.
    pub(super) fn close(&mut self) {
        self.clear();
        self.lane = None;
    }

    /// Does with failed records what the configuration says.
    pub(super) async fn handle(&mut self, ctx: &Context, failed: Failed) -> Result<(), Failure> {
        let Some(failure) = failed.as_failure() else { return Ok(()) };
        self.log(ctx, &failed);
        if self.parts.errors.tolerance == Tolerance::None {
            return Err(failure);
        }
        let records = failed.0.len() as u64;
        if self.keeps() {
            let written = self.write(ctx, &failed).await;
            if written.is_err() {
                self.close();
            }
            written?;
            ctx.metrics.dead_letters.add(records);
        } else {
            ctx.metrics.records_skipped.add(records);
        }
        let what = if self.keeps() { "went to the dead letters" } else { "are left out" };
        warn!(
            connector = ctx.identity.connector,
            task = ctx.identity.task,
            "{records} records that the plugin could not take {what}; the first: {failure}"
        );
        Ok(())
    }

    /// As Kafka Connect logs it, where the configuration asks for it.
    fn log(&self, ctx: &Context, failed: &Failed) {
        if !self.parts.errors.log {
            return;
        }
        for ((tp, offset), reason) in &failed.0 {
            let record = if self.parts.errors.log_messages {
                let Tp { topic, partition } = tp;
                format!(
                    ", where consumed record is {{topic='{topic}', partition={partition}, offset={offset}}}"
                )
            } else {
                String::new()
            };
            error!(
                connector = ctx.identity.connector,
                task = ctx.identity.task,
                "Error encountered in task {}-{}. Executing stage '{STAGE}' with class '{CLASS}'{record}: {}",
                ctx.identity.connector,
                ctx.identity.task,
                reason.message
            );
        }
    }

    /// Writes dead letters, and waits until Kafka has them.
    async fn write(&mut self, ctx: &Context, failed: &Failed) -> Result<(), Failure> {
        self.prepare().await?;
        let Some(dead_letters) = self.dead_letters() else { return Ok(()) };
        let letters = Letters { dead_letters, ctx, failed };
        let bytes = letters.collect(&self.kept)?;
        let topic = dead_letters.topic.clone();
        let batch = Batch::parse(&bytes, &EVERYTHING).expect("written by ourselves");
        let lane = self.lane.as_mut().expect("it is prepared");
        let unwritten = |source| Failure::Kafka {
            doing: format!("could not write to the topic of dead letters {topic}"),
            source,
        };
        let mut records = batch.records().map(outgoing).peekable();
        let (mut acks, mut under_way): (Vec<Ack>, u64) = (Vec::new(), 0);
        while records.peek().is_some() || under_way > 0 {
            under_way += lane.send(&mut records).map_err(|error| unwritten(error.source))? as u64;
            lane.acks(&mut acks).await.map_err(unwritten)?;
            for ack in acks.drain(..) {
                under_way -= ack.last - ack.first + 1;
                if let Some(error) = ack.error {
                    return Err(unwritten(error));
                }
            }
        }
        Ok(())
    }
}

/// For what this worker wrote itself.
const EVERYTHING: Limits = Limits { bytes: usize::MAX, records: u32::MAX };

fn outgoing<'a>(record: Record<'a>) -> Outgoing<'a> {
    Outgoing {
        topic: record.run.topic,
        partition: None,
        key: record.key,
        value: record.value,
        timestamp: record.timestamp,
        headers: record.headers(),
    }
}

/// The dead letters of some failed records.
struct Letters<'a> {
    dead_letters: &'a DeadLetters,
    ctx: &'a Context,
    failed: &'a Failed,
}

impl Letters<'_> {
    /// All of them, as a batch.
    fn collect(&self, kept: &VecDeque<Kept>) -> Result<Vec<u8>, Failure> {
        let mut writer = Writer::new();
        // A record that was put twice, after a seek, is kept twice.
        let mut found = BTreeSet::new();
        let concerned = |kept: &&Kept| {
            kept.spans.iter().any(|span| {
                let from = (span.tp.clone(), span.first);
                let to = (span.tp.clone(), span.next);
                self.failed.0.range(from..to).next().is_some()
            })
        };
        for kept in kept.iter().filter(concerned) {
            let batch = Batch::parse(&kept.batch, &EVERYTHING).expect("written by ourselves");
            for record in batch.records() {
                let tp = Tp {
                    topic: record.run.topic.to_owned(),
                    partition: record.run.partition.unwrap_or_default(),
                };
                let place = (tp, record.offset.unwrap_or_default());
                if let Some(reason) = self.failed.0.get(&place)
                    && !found.contains(&place)
                {
                    self.letter(&mut writer, &record, &place, reason)?;
                    let _ = found.insert(place);
                }
            }
        }
        match self.failed.0.keys().find(|place| !found.contains(*place)) {
            None => Ok(writer.finish()),
            // Nothing is left out in silence; the record comes again (invariant 3).
            Some((tp, offset)) => Err(Failure::Answer {
                call: "put",
                problem: "the outcome of a record that is not kept any more".to_owned(),
                text: format!("{}-{} at offset {offset}", tp.topic, tp.partition),
            }),
        }
    }

    fn letter(
        &self,
        writer: &mut Writer,
        record: &Record<'_>,
        (tp, offset): &(Tp, i64),
        reason: &Reason,
    ) -> Result<(), Failure> {
        let write = |source| Failure::Write {
            topic: tp.topic.clone(),
            partition: tp.partition,
            offset: *offset,
            source,
        };
        let run =
            Run { topic: &self.dead_letters.topic, timestamp_type: TimestampType::Create, ..Run::default() };
        writer.run(&run).map_err(write)?;
        writer.push(record.key, record.value, record.timestamp).map_err(write)?;
        for (name, value) in record.headers() {
            writer.header(name, value).map_err(write)?;
        }
        if self.dead_letters.context_headers {
            for (name, value) in self.context(tp, *offset, reason) {
                writer.header(&format!("__connect.errors.{name}"), Some(value.as_bytes())).map_err(write)?;
            }
        }
        Ok(())
    }

    /// What Kafka Connect says of where it failed and why, in its order.
    fn context(&self, tp: &Tp, offset: i64, reason: &Reason) -> [(&'static str, String); 10] {
        let exception = match reason.code {
            3 => "org.apache.kafka.connect.errors.DataException",
            _ => "org.apache.kafka.connect.errors.ConnectException",
        };
        [
            ("topic", tp.topic.clone()),
            ("partition", tp.partition.to_string()),
            ("offset", offset.to_string()),
            ("connector.name", self.ctx.identity.connector.clone()),
            ("task.id", self.ctx.identity.task.to_string()),
            ("stage", STAGE.to_owned()),
            ("class.name", CLASS.to_owned()),
            ("exception.class.name", exception.to_owned()),
            ("exception.message", reason.message.clone()),
            ("exception.stacktrace", format!("{exception}: {}", reason.message)),
        ]
    }
}
