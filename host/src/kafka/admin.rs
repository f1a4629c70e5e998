//! Questions about topics and the cluster. Each makes a client of its own and ends it: they are rare.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::blocking::on_thread;
use super::{ClientSettings, KafkaError, Subscription};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// The id of the cluster.
///
/// # Errors
/// No broker answers.
pub(crate) async fn cluster_id(settings: &ClientSettings) -> Result<String, KafkaError> {
    let client = client(settings);
    on_thread("cluster-id", move || {
        let client = client?;
        client.client().fetch_cluster_id(ANSWER).ok_or_else(|| KafkaError::local("no broker answers"))
    })
    .await
}

/// The topics of a subscription with the number of their partitions, by name. Topics that do not exist are
/// left out.
///
/// # Errors
/// No broker answers.
pub(crate) async fn partition_counts(
    settings: &ClientSettings,
    subscription: &Subscription,
) -> Result<Vec<(String, usize)>, KafkaError> {
    let (client, subscription) = (client(settings), subscription.clone());
    on_thread("topics", move || {
        let client = client?;
        let chosen: Box<dyn Fn(&str) -> bool> = match &subscription {
            Subscription::Topics(topics) => Box::new(|name| topics.iter().any(|topic| topic == name)),
            Subscription::Pattern(pattern) => Box::new(pattern.matcher()),
        };
        let metadata =
            client.fetch_metadata(None, ANSWER).map_err(|error| KafkaError::local(error.to_string()))?;
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

fn client(settings: &ClientSettings) -> Result<BaseConsumer, KafkaError> {
    let mut config = ClientConfig::new();
    for (name, value) in settings.native() {
        let _ = config.set(name, value);
    }
    config.create().map_err(|error| KafkaError::local(error.to_string()))
}
