//! One task's consumer: a member of a group, with two queues.
//!
//! ```text
//! brokers ─▶ events   rebalances, errors ─▶ serve ─▶ take_event ─▶ assign, unassign
//!         ├▶ records  what is fetched    ─▶ poll
//!         └▶ commits  results            ─▶ take_commit_result
//! ```
//!
//! librdkafka puts records and rebalances into one queue. Here each partition's records are led to a queue of
//! their own before it is first fetched, so that no rebalance stands behind records, and none has to be taken
//! while a `put` runs or a retry waits. From the moment a rebalance begins until it is answered, librdkafka gives
//! out no record: it stops the partitions and drops what was fetched, to be fetched again.
//!
//! Nothing here waits for the group. A rebalance becomes an [`Event`]; the task answers it with
//! [`Consumer::assign`] or [`Consumer::unassign`], for which librdkafka waits as long as the session lives.
//! **Every** one has to be answered, one of no partitions too. A commit that waited would stall the whole
//! group: it waits for a rebalance that waits for this member.
//!
//! Queues wake whoever waits in [`Consumer::ready`] when they were empty and no longer are. So whoever waits
//! has emptied them first; [`CAP`] bounds what a mistake in that would cost.

mod events;
mod subscription;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

pub(crate) use self::events::Event;
use self::events::Notes;
use self::subscription::prefetching;
pub(crate) use self::subscription::{Membership, Subscription};
use super::blocking::on_thread;
use super::native::{Client, Kind, Message, Messages, Partitions, Queue};
use super::{ClientSettings, KafkaError, TopicPartition};

/// How long questions to the group's coordinator may take.
const ANSWER_MS: i32 = 30_000;
/// How long [`Consumer::ready`] waits at most.
const CAP: Duration = Duration::from_millis(500);
/// Errors taken from a queue at once, where only errors are.
const ERRORS: usize = 16;

/// The end of a commit: each partition, its offset, and why it did not hold.
pub(crate) type CommitResult = Vec<(TopicPartition, i64, Option<KafkaError>)>;

/// A partition and an offset.
pub(crate) type Place = (TopicPartition, i64);

/// See the module.
#[derive(Debug)]
pub(crate) struct Consumer {
    // Queues before the client: they go first.
    events: Queue,
    records: Queue,
    commits: Queue,
    client: Arc<Client>,
    wake: Arc<Notify>,
    notes: Notes,
    messages: Messages,
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Messages")
    }
}

impl Consumer {
    /// Joins a group. Nothing is assigned before the task says so. `prefetch`: how many bytes it may fetch ahead.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub(crate) fn subscribe(
        settings: &ClientSettings,
        subscription: &Subscription,
        membership: &Membership,
        prefetch: usize,
    ) -> Result<Self, KafkaError> {
        let mut settings =
            prefetching(settings.clone(), prefetch).with("group.id", membership.group.as_str());
        if let Some(id) = &membership.instance_id {
            settings = settings.with("group.instance.id", id.as_str());
        }
        let (notes, wake) = (Notes::default(), Arc::new(Notify::new()));
        let client = Arc::new(Client::new(Kind::Consumer, &settings, notes.hooks(&wake))?);
        let [events, records, commits] = [Queue::consumer(&client), Queue::new(&client), Queue::new(&client)]
            .map(|mut queue| {
                queue.wake(Arc::clone(&wake));
                queue
            });
        client.subscribe(&subscription.native())?;
        Ok(Self { events, records, commits, client, wake, notes, messages: Messages::new() })
    }

    /// Waits until there may be something, half a second at most. May be dropped at any time.
    pub(crate) async fn ready(&self) {
        let _ = tokio::time::timeout(CAP, self.wake.notified()).await;
    }

    /// Lets the client say what it has to say besides records, and tells the group that the task is alive. To be
    /// called whenever [`Consumer::ready`] returns, whether records are wanted or not.
    pub(crate) fn serve(&mut self) {
        loop {
            let (notes, client) = (&self.notes, &self.client);
            let count = self.messages.take(&self.events, ERRORS, |message| match message {
                // The end of the client comes as an error without its cause.
                Err(error) => notes.failed(client.fatal().unwrap_or(error)),
                // It is taken and nobody has it: only reading again from what is committed mends that.
                Ok(stray) => notes.failed(
                    KafkaError::local(format!(
                        "record {}-{} at offset {} came by the queue of events",
                        stray.topic(),
                        stray.partition(),
                        stray.offset()
                    ))
                    .into_fatal(),
                ),
            });
            if count < ERRORS {
                return;
            }
        }
    }

    /// Takes at most `max` records and errors without waiting. Returns how many there were; fewer than `max`: there
    /// are no more.
    pub(crate) fn poll(&mut self, max: usize, mut record: impl FnMut(&Message<'_>)) -> usize {
        let (mut arrived, notes) = (false, &self.notes);
        let taken = self.messages.take(&self.records, max, |message| match message {
            Ok(message) => {
                arrived = true;
                record(&message);
            }
            Err(error) => notes.failed(error),
        });
        if arrived {
            self.notes.complaints().clear();
        }
        taken
    }

    /// What keeps records from coming, as far as the client knows: it goes on trying.
    pub(crate) fn complaint(&self) -> Option<KafkaError> {
        self.notes.complaints().newest()
    }

    /// Whether the client is of no more use; an event says why.
    pub(crate) fn is_dead(&self) -> bool {
        self.notes.is_dead()
    }

    pub(crate) fn has_event(&self) -> bool {
        self.notes.has_event()
    }

    pub(crate) fn take_event(&self) -> Option<Event> {
        self.notes.take_event()
    }

    /// Answers an assignment; each partition starts at its offset, or where `auto.offset.reset` says.
    ///
    /// # Errors
    /// The client is dead.
    pub(crate) fn assign(&self, list: &[(TopicPartition, Option<i64>)]) -> Result<(), KafkaError> {
        for (partition, _) in list {
            self.records.collect(partition)?;
        }
        self.client.assign(&Partitions::new(list.iter().map(|(partition, offset)| (partition, *offset))))
    }

    /// Answers a revocation.
    ///
    /// # Errors
    /// The client is dead.
    pub(crate) fn unassign(&self, list: &[TopicPartition]) -> Result<(), KafkaError> {
        self.client.unassign(&plain(list))
    }

    /// The name that the group's coordinator gave this member; `None` while it is none.
    pub(crate) fn member_id(&self) -> Option<String> {
        self.client.member_id()
    }

    /// Whether what is assigned may be somebody else's by now.
    pub(crate) fn assignment_lost(&self) -> bool {
        self.client.assignment_lost()
    }

    /// The committed offset of each partition; `None`: nothing was ever committed.
    ///
    /// # Errors
    /// The coordinator does not answer, or refuses.
    pub(crate) async fn committed(
        &self,
        list: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, Option<i64>)>, KafkaError> {
        let (client, list) = (Arc::clone(&self.client), plain(list));
        let entries = on_thread("committed", move || client.committed(&list, ANSWER_MS)).await?;
        let checked = entries.into_iter().map(|entry| match entry.error {
            Some(error) => Err(error),
            None => Ok((entry.partition, entry.offset.filter(|offset| *offset >= 0))),
        });
        checked.collect()
    }

    /// Sends a commit. Its end comes by [`Consumer::take_commit_result`].
    ///
    /// # Errors
    /// It could not even be sent.
    pub(crate) fn commit(&self, list: &[Place]) -> Result<(), KafkaError> {
        let list = Partitions::new(list.iter().map(|(partition, offset)| (partition, Some(*offset))));
        self.client.commit(&list, &self.commits)
    }

    pub(crate) fn take_commit_result(&self) -> Option<CommitResult> {
        loop {
            let (_, whole, entries) =
                self.commits.poll(0)?.commit().or_else(|| Some((0, None, Vec::new())))?;
            if entries.is_empty() && whole.is_none() {
                continue;
            }
            let result = entries.into_iter().map(|entry| {
                let error = entry.error.or_else(|| whole.clone());
                (entry.partition, entry.offset.unwrap_or(-1), error)
            });
            return Some(result.collect());
        }
    }

    /// # Errors
    /// The client does not know the partitions.
    pub(crate) fn pause(&self, list: &[TopicPartition]) -> Result<(), KafkaError> {
        if list.is_empty() { Ok(()) } else { self.client.pause(&plain(list)) }
    }

    /// # Errors
    /// The client does not know the partitions.
    pub(crate) fn resume(&self, list: &[TopicPartition]) -> Result<(), KafkaError> {
        if list.is_empty() { Ok(()) } else { self.client.resume(&plain(list)) }
    }

    /// Goes on elsewhere; what was fetched before is dropped.
    ///
    /// # Errors
    /// A partition is not assigned, or its fetcher did not turn in time.
    pub(crate) async fn seek(&self, list: &[Place]) -> Result<(), KafkaError> {
        let places = Partitions::new(list.iter().map(|(partition, offset)| (partition, Some(*offset))));
        let client = Arc::clone(&self.client);
        on_thread("seek", move || client.seek(&places, ANSWER_MS)).await
    }

    /// The end of a partition, as the last fetch told it.
    pub(crate) fn high_watermark(&self, partition: &TopicPartition) -> Option<i64> {
        self.client.high_watermark(partition)
    }

    /// Ends the membership; a static member keeps its place until its session times out.
    pub(crate) async fn close(self) {
        let Self { events, records, commits, client, .. } = self;
        let closed = on_thread("close", move || {
            let closed = client.close_consumer();
            drop((events, records, commits));
            // The last owner: destroying blocks.
            drop(client);
            closed
        });
        if let Err(error) = closed.await {
            tracing::debug!("a consumer did not close in good order: {error}");
        }
    }
}

fn plain(list: &[TopicPartition]) -> Partitions {
    Partitions::new(list.iter().map(|partition| (partition, None)))
}
