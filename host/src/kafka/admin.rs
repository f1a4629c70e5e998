//! Questions about topics, groups and the cluster, asked by one client that lives as long as the worker.
//!
//! A client of its own for every question would connect, log in and fetch the cluster's metadata each time. This
//! one has a question wait on a thread of its own, within a limit, so that neither a runtime nor the data path
//! waits for a broker. librdkafka tells a question that was not answered no more than that; what kept the answer
//! from coming (a refused password, a name that does not resolve) it tells beside it, as an error of the client.
//! So those are remembered until the next answer, and stand in the error of the question.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{Client, ClientContext, DefaultClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError as RdError, RDKafkaErrorCode as Code};
use rdkafka::groups::{GroupInfo, GroupMemberInfo};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};

use super::blocking::on_thread;
use super::native::error_of;
use super::{ClientSettings, KafkaError, Subscription};
use crate::lock::unpoisoned;

/// What a random UUID adds to the name of a member, with its dash.
const UUID: usize = 37;

/// A client that asks. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Admin {
    client: Arc<BaseProducer<Heard>>,
    config: Arc<ClientConfig>,
    limit: Duration,
}

/// A consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Group {
    /// Who owns what is settled; otherwise the coordinator waits for its members, the dead ones among them.
    pub(crate) stable: bool,
    pub(crate) members: Vec<Member>,
}

/// A member of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// The coordinator's name of it.
    pub(crate) id: String,
    /// Whether it owns partitions; known of a stable group only.
    pub(crate) holds: bool,
}

impl Member {
    /// Its `group.instance.id`, if it is a static one; of others it is the client's id, which is as good as any
    /// name that is not ours. The coordinator puts a random UUID behind either.
    pub(crate) fn instance_id(&self) -> &str {
        self.id.len().checked_sub(UUID).and_then(|length| self.id.get(..length)).unwrap_or_default()
    }
}

impl Admin {
    /// Makes the client; it connects at the first question. An answer may take as long as `limit`.
    ///
    /// # Errors
    /// librdkafka refuses the settings: a certificate cannot be read, for instance.
    pub(crate) fn new(settings: &ClientSettings, limit: Duration) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        for (name, value) in settings.native() {
            let _ = config.set(name, value);
        }
        let client = config.create_with_context(Heard::default()).map_err(|error| translate(&error))?;
        Ok(Self { client: Arc::new(client), config: Arc::new(config), limit })
    }

    /// The id of the cluster.
    ///
    /// # Errors
    /// No broker answers.
    pub(crate) async fn cluster_id(&self) -> Result<String, KafkaError> {
        self.ask("cluster-id", |client, limit| {
            client.fetch_cluster_id(limit).ok_or_else(|| error_of(Code::OperationTimedOut as i32))
        })
        .await
    }

    /// The topics of a subscription with the number of their partitions, by name. Topics that do not exist are
    /// left out, and asking creates none.
    ///
    /// # Errors
    /// No broker answers.
    pub(crate) async fn partition_counts(
        &self,
        subscription: &Subscription,
    ) -> Result<Vec<(String, usize)>, KafkaError> {
        let subscription = subscription.clone();
        self.ask("topics", move |client, limit| {
            let chosen: Box<dyn Fn(&str) -> bool> = match &subscription {
                Subscription::Topics(topics) => Box::new(|name| topics.iter().any(|topic| topic == name)),
                Subscription::Pattern(pattern) => Box::new(pattern.matcher()),
            };
            let metadata = client.fetch_metadata(None, limit).map_err(|error| translate(&error))?;
            let mut topics: Vec<_> = metadata
                .topics()
                .iter()
                .filter(|topic| chosen(topic.name()) && !topic.partitions().is_empty())
                .map(|topic| (topic.name().to_owned(), topic.partitions().len()))
                .collect();
            topics.sort();
            Ok(topics)
        })
        .await
    }

    /// The end of each of a topic's partitions, as readers of committed records see it.
    ///
    /// # Errors
    /// A broker does not answer.
    pub(crate) async fn ends(&self, topic: &str, partitions: usize) -> Result<Vec<i64>, KafkaError> {
        let topic = topic.to_owned();
        self.ask("ends", move |client, limit| {
            let end = |partition| client.fetch_watermarks(&topic, partition, limit).map(|(_, end)| end);
            let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
            (0..partitions).map(|partition| end(partition).map_err(|error| translate(&error))).collect()
        })
        .await
    }

    /// A client with more calls than the one that asks has; it is made for one call and dropped.
    pub(super) fn full(&self) -> Result<(AdminClient<DefaultClientContext>, AdminOptions), KafkaError> {
        let client = self.config.create().map_err(|error| translate(&error))?;
        let options = AdminOptions::new().request_timeout(Some(self.limit));
        Ok((client, options.operation_timeout(Some(self.limit))))
    }

    /// Makes a topic of one partition, if there is none of this name. `replication`: `None` is the broker's default.
    ///
    /// # Errors
    /// No broker answers, or it refuses.
    pub(crate) async fn ensure_topic(&self, name: &str, replication: Option<u16>) -> Result<(), KafkaError> {
        if !self.partition_counts(&Subscription::Topics(vec![name.to_owned()])).await?.is_empty() {
            return Ok(());
        }
        self.create(&new_topic(name, Some(1), replication)).await?
    }

    /// Makes a topic. The inner error is the broker's refusal; that somebody else was quicker is none.
    pub(super) async fn create(&self, topic: &NewTopic<'_>) -> Result<Result<(), KafkaError>, KafkaError> {
        let (admin, options) = self.full()?;
        let made = admin.create_topics([topic], &options).await.map_err(|error| translate(&error))?;
        Ok(match made.into_iter().next() {
            Some(Err((_, code))) if code != Code::TopicAlreadyExists => Err(error_of(code as i32)),
            _ => Ok(()),
        })
    }

    /// A group. One that nobody knows has no members; nor has one that may not be looked at, or whose broker cannot
    /// tell (the embedded one).
    ///
    /// # Errors
    /// A broker does not answer.
    pub(crate) async fn group(&self, name: &str) -> Result<Group, KafkaError> {
        let name = name.to_owned();
        self.ask("group", move |client, limit| {
            let groups = match client.fetch_group_list(Some(&name), limit) {
                Ok(groups) => groups,
                Err(RdError::GroupListFetch(Code::UnsupportedFeature)) => return Ok(Group::default()),
                Err(error) => return Err(translate(&error)),
            };
            Ok(groups.groups().iter().find(|group| group.name() == name).map(Group::from).unwrap_or_default())
        })
        .await
    }

    pub(super) async fn ask<T: Send + 'static>(
        &self,
        what: &str,
        question: impl FnOnce(&Client<Heard>, Duration) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, KafkaError> {
        let (client, limit) = (self.client.clone(), self.limit);
        on_thread(what, move || {
            let answer = question(client.client(), limit);
            // The client tells what it has to tell only when asked, and one thing only when asked without a time.
            client.poll(Duration::from_millis(1));
            client.context().judge(answer)
        })
        .await
    }
}

/// Without the settings: there are passwords among them.
impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Admin")
    }
}

impl From<&GroupInfo> for Group {
    fn from(group: &GroupInfo) -> Self {
        let member = |member: &GroupMemberInfo| Member {
            id: member.id().to_owned(),
            holds: member.assignment().is_some_and(has_topics),
        };
        Self { stable: group.state() == "Stable", members: group.members().iter().map(member).collect() }
    }
}

/// Whether an assignment, as members write it, names a topic: a version of two bytes, then how many there are.
fn has_topics(assignment: &[u8]) -> bool {
    assignment.get(2..6).is_some_and(|count| count != [0; 4])
}

/// `None`: the broker's default.
pub(super) fn new_topic(name: &str, partitions: Option<u32>, replication: Option<u16>) -> NewTopic<'_> {
    let partitions = partitions.map_or(-1, |count| i32::try_from(count).unwrap_or(i32::MAX));
    NewTopic::new(name, partitions, TopicReplication::Fixed(replication.map_or(-1, i32::from)))
}

pub(super) fn translate(error: &RdError) -> KafkaError {
    match error.rdkafka_error_code() {
        Some(code) => error_of(code as i32),
        None => KafkaError::local(error.to_string()),
    }
}

/// What the client has told since the last answer.
#[derive(Debug, Default)]
pub(super) struct Heard(Mutex<Option<KafkaError>>);

impl Heard {
    fn lock(&self) -> MutexGuard<'_, Option<KafkaError>> {
        unpoisoned(self.0.lock())
    }

    /// Puts in the place of "nobody answered" what kept the answer from coming.
    fn judge<T>(&self, answer: Result<T, KafkaError>) -> Result<T, KafkaError> {
        let unanswered = [Code::OperationTimedOut, Code::BrokerTransportFailure, Code::AllBrokersDown];
        match answer {
            Ok(answer) => {
                *self.lock() = None;
                Ok(answer)
            }
            Err(error) if unanswered.iter().any(|code| *code as i32 == error.code) => {
                let heard = self.lock().clone();
                Err(heard.map_or(error, |heard| KafkaError {
                    message: format!("no broker answers: {}", heard.message),
                    ..heard
                }))
            }
            Err(error) => Err(error),
        }
    }
}

impl ClientContext for Heard {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        // Not louder: what matters of it is in the error of the question.
        tracing::debug!(target: "kafka", ?level, facility, "{line}");
    }

    fn error(&self, error: RdError, reason: &str) {
        let error = translate(&error);
        let mut heard = self.lock();
        // That all brokers are down follows what is wrong with each, and says less.
        if heard.is_none() || error.code != Code::AllBrokersDown as i32 {
            *heard = Some(KafkaError { message: reason.to_owned(), ..error });
        }
    }
}

impl ProducerContext for Heard {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

#[cfg(test)]
mod tests {
    use super::super::embedded::Embedded;
    use super::super::{ClientKind, ClientSource, resolve};
    use super::*;
    use crate::config::{OverridePolicy, RawConfig, TopicPattern};

    fn admin(bootstrap: &str, limit: Duration) -> Admin {
        let common = RawConfig::from([("bootstrap.servers".to_owned(), bootstrap.to_owned())]);
        let (none, policy) = (RawConfig::new(), OverridePolicy::All);
        let source = ClientSource { common: &common, prefixed: &none, overrides: &none, policy };
        Admin::new(&resolve(ClientKind::Admin, &source).unwrap(), limit).unwrap()
    }

    #[tokio::test]
    async fn topics_are_counted_by_name_and_by_pattern_and_asking_creates_none() {
        let kafka = Embedded::start().unwrap();
        kafka.create_topic("one", 1).unwrap();
        kafka.create_topic("three", 3).unwrap();
        let admin = admin(&kafka.bootstrap_servers(), Duration::from_secs(60));
        let named = Subscription::Topics(vec!["three".to_owned(), "missing".to_owned()]);
        for _ in 0..2 {
            assert_eq!(admin.partition_counts(&named).await.unwrap(), [("three".to_owned(), 3)]);
        }
        let pattern = Subscription::Pattern(TopicPattern::new("o.*|thre").unwrap());
        assert_eq!(admin.partition_counts(&pattern).await.unwrap(), [("one".to_owned(), 1)]);
        assert!(!admin.cluster_id().await.unwrap().is_empty());
        assert_eq!(admin.group("g").await.unwrap(), Group::default(), "it cannot tell");
    }

    #[tokio::test]
    async fn a_question_that_nobody_answers_says_why() {
        let error = admin("127.0.0.1:1", Duration::from_secs(1)).cluster_id().await.unwrap_err();
        assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
        assert!(error.to_string().contains("Connection refused"), "{error}");
    }

    #[test]
    fn the_instance_id_is_what_stands_before_the_uuid() {
        let member = |id: &str| Member { id: id.to_owned(), holds: false };
        let id = "lines-0-cafe-6f9619ff-8b86-d011-b42d-00c04fc964ff";
        assert_eq!(member(id).instance_id(), "lines-0-cafe");
        assert_eq!(member("short").instance_id(), "");
        assert_eq!(member(&"é".repeat(19)).instance_id(), "", "no boundary of a character");
    }

    #[test]
    fn an_assignment_without_topics_holds_nothing() {
        assert!(!has_topics(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 0]));
        assert!(has_topics(&[0, 1, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 0]));
        assert!(!has_topics(&[0, 1, 0]));
    }
}
