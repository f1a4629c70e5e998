//! One task's consumer.
//!
//! Records come in batches, taken without waiting after the queue said that it is no longer empty; the same call
//! serves the rebalances, which become [`Event`]s. The task answers an event with [`Consumer::assign`] or
//! [`Consumer::unassign`]; librdkafka waits for that as long as the session lives. A rebalance stands in the queue
//! behind the records that were fetched before it, so a slow sink meets it after those.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::blocking::on_thread;
use super::native::{Client, Hooks, Kind, Message, Messages, Partitions, Queue, RawRebalance};
use super::{ClientSettings, KafkaError, TopicPartition};

/// How long questions to the group's coordinator may take.
const ANSWER_MS: i32 = 30_000;

/// What a sink reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subscription {
    Topics(Vec<String>),
    /// A regular expression that the whole name has to match.
    Pattern(String),
}

/// A place in a consumer group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) group: String,
    /// Static membership; `None`: dynamic.
    pub(crate) instance_id: Option<String>,
}

/// What a consumer has to say besides records.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// These come; `assign` answers.
    Assign(Vec<TopicPartition>),
    /// These go; `unassign` answers. Lost: somebody else may own them already.
    Revoke { partitions: Vec<TopicPartition>, lost: bool },
    /// Another member took this one's place: the client is dead.
    Fenced,
    /// The client is dead.
    Error(KafkaError),
}

/// The end of a commit: each partition, its offset, and why it did not hold.
pub(crate) type CommitResult = Vec<(TopicPartition, i64, Option<KafkaError>)>;

/// A partition and an offset.
pub(crate) type Place = (TopicPartition, i64);

type Events = Arc<Mutex<VecDeque<Event>>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Consumer {
    // Queues before the client: they go first.
    queue: Queue,
    commits: Queue,
    client: Arc<Client>,
    wake: Arc<Notify>,
    events: Events,
    messages: Messages,
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Messages")
    }
}

impl Consumer {
    /// Joins a group. Nothing is assigned before the task says so.
    ///
    /// # Errors
    /// librdkafka refuses the settings or the pattern.
    pub(crate) fn subscribe(
        settings: &ClientSettings,
        subscription: &Subscription,
        membership: &Membership,
        prefetch: usize,
    ) -> Result<Self, KafkaError> {
        let mut settings = settings
            .with("group.id", membership.group.as_str())
            .with("queued.max.messages.kbytes", (prefetch / 1024).max(1).to_string());
        if let Some(id) = &membership.instance_id {
            settings = settings.with("group.instance.id", id.as_str());
        }
        let (events, wake) = (Events::default(), Arc::new(Notify::new()));
        let client = Arc::new(Client::new(Kind::Consumer, &settings, hooks(&events, &wake))?);
        let mut queue = Queue::consumer(&client);
        queue.wake(Arc::clone(&wake));
        let mut commits = Queue::new(&client);
        commits.wake(Arc::clone(&wake));
        client.subscribe(&match subscription {
            Subscription::Topics(topics) => topics.clone(),
            // librdkafka takes what starts with ^ for a pattern, and matches it anywhere without the $.
            Subscription::Pattern(pattern) => vec![format!("^({pattern})$")],
        })?;
        Ok(Self { queue, commits, client, wake, events, messages: Messages::new() })
    }

    /// Waits until there may be something. May be dropped at any time.
    pub(crate) async fn ready(&self) {
        self.wake.notified().await;
    }

    /// Takes at most `max` records without waiting. Returns how many there were.
    ///
    /// # Errors
    /// The client is dead; what is only a nuisance is logged.
    pub(crate) fn poll(
        &mut self,
        max: usize,
        mut record: impl FnMut(&Message<'_>),
    ) -> Result<usize, KafkaError> {
        let (client, mut records, mut dead) = (&self.client, 0, None);
        let _ = self.messages.take(&self.queue, max, |message| match message {
            Ok(message) => {
                records += 1;
                record(&message);
            }
            Err(error) if error.fatal || client.fatal().is_some() => dead = Some(error),
            Err(error) => tracing::debug!(client = client.name(), "{error}"),
        });
        dead.map_or(Ok(records), Err)
    }

    /// Tells librdkafka that the task is alive, while it wants no records.
    pub(crate) fn keep_alive(&mut self) {
        let _ = self.messages.take(&self.queue, 0, |_| {});
    }

    pub(crate) fn has_event(&self) -> bool {
        !lock(&self.events).is_empty()
    }

    pub(crate) fn take_event(&self) -> Option<Event> {
        lock(&self.events).pop_front()
    }

    /// Answers an assignment; each partition starts at its offset, or where `auto.offset.reset` says.
    ///
    /// # Errors
    /// The client is dead.
    pub(crate) fn assign(&self, list: &[(TopicPartition, Option<i64>)]) -> Result<(), KafkaError> {
        self.client.assign(&Partitions::new(list.iter().map(|(partition, offset)| (partition, *offset))))
    }

    /// Answers a revocation.
    ///
    /// # Errors
    /// The client is dead.
    pub(crate) fn unassign(&self, list: &[TopicPartition]) -> Result<(), KafkaError> {
        self.client.unassign(&plain(list))
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
        let Self { queue, commits, client, .. } = self;
        let closed = on_thread("close", move || {
            let closed = client.close_consumer();
            drop((queue, commits));
            // The last owner: destroying blocks.
            drop(client);
            closed
        });
        if let Err(error) = closed.await {
            tracing::debug!("a consumer did not close in good order: {error}");
        }
    }
}

/// What the client calls back: it only takes notes.
fn hooks(events: &Events, wake: &Arc<Notify>) -> Hooks {
    let (rebalances, errors) =
        ((Arc::clone(events), Arc::clone(wake)), (Arc::clone(events), Arc::clone(wake)));
    Hooks {
        rebalance: Some(Box::new(move |rebalance: RawRebalance| {
            let RawRebalance { assigned, partitions, lost } = rebalance;
            let event = if assigned { Event::Assign(partitions) } else { Event::Revoke { partitions, lost } };
            lock(&rebalances.0).push_back(event);
            rebalances.1.notify_one();
        })),
        error: Some(Box::new(move |error: KafkaError| {
            if !error.fatal {
                return tracing::debug!("a consumer met an error: {error}");
            }
            let event = if error.is_fenced() { Event::Fenced } else { Event::Error(error) };
            lock(&errors.0).push_back(event);
            errors.1.notify_one();
        })),
        ..Hooks::default()
    }
}

fn plain(list: &[TopicPartition]) -> Partitions {
    Partitions::new(list.iter().map(|partition| (partition, None)))
}

fn lock(events: &Mutex<VecDeque<Event>>) -> MutexGuard<'_, VecDeque<Event>> {
    // A list of notes: a panic elsewhere leaves it whole.
    events.lock().unwrap_or_else(PoisonError::into_inner)
}
