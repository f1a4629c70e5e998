//! Topics and groups: making, changing and looking at them.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::{Client, DefaultClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::client::TIMEOUT;
use crate::{Kafka, wait};

/// A consumer group, as the broker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// `Stable`, `PreparingRebalance`, `Empty`, `Dead`, ….
    pub state: String,
    /// The client ids of its members.
    pub members: Vec<String>,
    /// What the broker calls them: whoever leaves and comes back is called otherwise.
    pub ids: Vec<String>,
}

impl Kafka {
    /// Makes a topic with this number of partitions and waits until it can be used.
    ///
    /// # Panics
    /// When it is refused.
    pub fn create_topic(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let new = settings.iter().fold(new, |new, (key, value)| new.set(key, value));
        self.make(topic, &new);
    }

    /// Makes a topic of one partition that lives on one broker alone.
    ///
    /// # Panics
    /// When it is refused.
    pub fn create_topic_on(&self, broker: usize, topic: &str) {
        let broker = [i32::try_from(broker).expect("a small number")];
        self.make(topic, &NewTopic::new(topic, 1, TopicReplication::Variable(&[&broker])));
    }

    /// Adds partitions to a topic, up to this number, and waits until they can be used.
    ///
    /// # Panics
    /// When it is refused.
    pub fn grow_topic(&self, topic: &str, partitions: i32) {
        let count = usize::try_from(partitions).expect("a count");
        let new = NewPartitions::new(topic, count);
        expect_one(
            &format!("cannot grow {topic}"),
            block_on(self.admin().create_partitions([&new], &options())),
        );
        self.await_leaders(topic, partitions);
    }

    /// Deletes a topic and waits until it is gone.
    ///
    /// # Panics
    /// When it is refused.
    pub fn delete_topic(&self, topic: &str) {
        let deleted = self.admin().delete_topics(&[topic], &options());
        expect_one(&format!("cannot delete {topic}"), block_on(deleted));
        // Asking for one topic by name would create it again.
        wait::until(&format!("{topic} to go"), || {
            let metadata = self.native().fetch_metadata(None, TIMEOUT).map_err(|e| e.to_string())?;
            let there = metadata.topics().iter().any(|t| t.name() == topic);
            if there { Err("still there".to_owned()) } else { Ok(()) }
        });
    }

    /// Deletes the records before `offset` from one partition.
    ///
    /// # Panics
    /// When it is refused.
    pub fn delete_records(&self, topic: &str, partition: i32, offset: i64) {
        let mut before = TopicPartitionList::new();
        before.add_partition_offset(topic, partition, Offset::Offset(offset)).expect("a valid offset");
        let deleted = block_on(self.admin().delete_records(&before, &options()));
        let deleted = deleted.unwrap_or_else(|e| panic!("cannot delete records of {topic}: {e}"));
        for element in deleted.elements() {
            element.error().unwrap_or_else(|e| panic!("cannot delete records of {topic}: {e}"));
        }
    }

    /// The number of partitions of a topic that must exist, or come soon: a broker knows of a topic a moment after
    /// whoever made it was told so.
    ///
    /// # Panics
    /// When it does not, or has none with a leader.
    pub fn partitions(&self, topic: &str) -> i32 {
        let count = wait::until(&format!("the partitions of {topic}"), || {
            let metadata = self.native().fetch_metadata(None, TIMEOUT).map_err(|e| e.to_string())?;
            let found = metadata.topics().iter().find(|t| t.name() == topic);
            match found.map_or(0, |t| t.partitions().len()) {
                0 => Err("there is no such topic".to_owned()),
                count => Ok(count),
            }
        });
        i32::try_from(count).expect("a small number")
    }

    /// What a group has committed for each partition of a topic.
    ///
    /// # Panics
    /// When it cannot be had.
    pub fn committed(&self, group: &str, topic: &str) -> Vec<Option<i64>> {
        let consumer: BaseConsumer = self.config().set("group.id", group).create().expect("a consumer");
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_range(topic, 0, self.partitions(topic) - 1);
        let committed = wait::until(&format!("the offsets of {group}"), || {
            consumer.committed_offsets(partitions.clone(), TIMEOUT).map_err(|e| e.to_string())
        });
        let offset = |offset| if let Offset::Offset(offset) = offset { Some(offset) } else { None };
        let mut elements = committed.elements();
        elements.sort_by_key(rdkafka::topic_partition_list::TopicPartitionListElem::partition);
        elements.iter().map(|element| offset(element.offset())).collect()
    }

    /// A consumer group, if the broker knows it.
    ///
    /// # Panics
    /// When it cannot be asked.
    pub fn group(&self, group: &str) -> Option<Group> {
        let list = wait::until(&format!("the group {group}"), || {
            self.native().fetch_group_list(Some(group), TIMEOUT).map_err(|e| e.to_string())
        });
        let found = list.groups().iter().find(|g| g.name() == group && g.state() != "Dead")?;
        let members = found.members().iter().map(|member| member.client_id().to_owned()).collect();
        let ids = found.members().iter().map(|member| member.id().to_owned()).collect();
        Some(Group { state: found.state().to_owned(), members, ids })
    }

    pub(super) fn count_brokers(&self) -> Result<usize, String> {
        let metadata = self.native().fetch_metadata(None, TIMEOUT).map_err(|e| e.to_string())?;
        Ok(metadata.brokers().len())
    }

    pub(super) fn native(&self) -> &Client<DefaultClientContext> {
        self.admin().inner()
    }

    fn admin(&self) -> &AdminClient<DefaultClientContext> {
        self.admin.get_or_init(|| self.config().create().expect("an admin client"))
    }

    fn make(&self, topic: &str, new: &NewTopic<'_>) {
        let partitions = match &new.replication {
            TopicReplication::Fixed(_) => new.num_partitions,
            TopicReplication::Variable(placed) => i32::try_from(placed.len()).expect("a small number"),
        };
        expect_one(
            &format!("cannot create {topic}"),
            block_on(self.admin().create_topics([new], &options())),
        );
        self.await_leaders(topic, partitions);
    }

    fn await_leaders(&self, topic: &str, partitions: i32) {
        wait::until(&format!("leaders of {topic}"), || {
            let metadata = self.native().fetch_metadata(None, TIMEOUT).map_err(|e| e.to_string())?;
            let found = metadata.topics().iter().find(|t| t.name() == topic).ok_or("not there")?;
            let led = found.partitions().iter().filter(|p| p.leader() >= 0 && p.error().is_none()).count();
            if i32::try_from(led) == Ok(partitions) { Ok(()) } else { Err(format!("{led} leaders")) }
        });
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

#[track_caller]
fn expect_one(what: &str, answer: KafkaResult<Vec<Result<String, (String, RDKafkaErrorCode)>>>) {
    let results = answer.unwrap_or_else(|e| panic!("{what}: {e}"));
    for result in results {
        result.unwrap_or_else(|(_, code)| panic!("{what}: {code}"));
    }
}

/// Runs a future to its end on this thread: the admin client's answers come on threads of its own, so
/// that no runtime is needed.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
