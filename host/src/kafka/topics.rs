//! A topic with the settings that it needs: made if it is not there, and looked at if it is.
//!
//! State in a topic that forgets, or one whose records have no order among each other, is lost or wrong one day.
//! So a worker does not run on such a topic, and says which setting is to be changed; the words are Kafka Connect's.

use std::collections::BTreeMap;

use rdkafka::admin::ResourceSpecifier;
use rdkafka::error::RDKafkaErrorCode as Code;
use thiserror::Error;

use super::admin::{new_topic, translate};
use super::native::error_of;
use super::{Admin, KafkaError, Subscription};

/// A topic, as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicSpec {
    pub(crate) name: String,
    /// The worker's setting that names it.
    pub(crate) key: &'static str,
    /// What is kept in it, for messages: "connector configurations".
    pub(crate) content: &'static str,
    /// `None`: the broker's default.
    pub(crate) partitions: Option<u32>,
    /// Whether it must have one partition.
    pub(crate) single: bool,
    /// `None`: the broker's default.
    pub(crate) replication: Option<u16>,
    /// Settings of the topic, but for `cleanup.policy`.
    pub(crate) settings: BTreeMap<String, String>,
}

/// Why a topic cannot be used.
#[derive(Debug, Clone, Error)]
pub(crate) enum TopicError {
    #[error(
        "Topic '{name}' supplied via the '{key}' property is required to have 'cleanup.policy=compact' to guarantee \
         consistency and durability of {content}, but found the topic currently has 'cleanup.policy={policy}'. \
         Continuing would likely result in eventually losing {content} and problems restarting this Connect cluster in \
         the future. Change the '{key}' property in the Connect worker configurations to use a topic with \
         'cleanup.policy=compact'."
    )]
    Policy { name: String, key: &'static str, content: &'static str, policy: String },
    #[error(
        "Topic '{name}' supplied via the '{key}' property is required to have a single partition in order to \
         guarantee consistency of {content}, but found {partitions} partitions."
    )]
    Partitions { name: String, key: &'static str, content: &'static str, partitions: usize },
    #[error(
        "Unable to create topic '{name}' (setting {key}): {source}; replication factor {replication}, which \
         {} changes", key.replace(".topic", ".replication.factor")
    )]
    Refused { name: String, key: &'static str, replication: String, source: KafkaError },
    /// Trying again may help.
    #[error("topic {name} (setting {key}) cannot be reached")]
    Kafka { name: String, key: &'static str, source: KafkaError },
}

impl TopicError {
    /// Whether it is worth another try.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Kafka { .. })
    }
}

impl Admin {
    /// Makes a topic, or looks whether it is as it has to be. How many partitions it has.
    ///
    /// # Errors
    /// It is not, or cannot be had.
    pub(crate) async fn ensure_compacted(&self, spec: &TopicSpec) -> Result<usize, TopicError> {
        let kafka = |source| TopicError::Kafka { name: spec.name.clone(), key: spec.key, source };
        let mut partitions = self.partitions_of(&spec.name).await.map_err(kafka)?;
        if partitions == 0 {
            self.create_compacted(spec).await?;
            partitions = self.partitions_of(&spec.name).await.map_err(kafka)?;
        }
        if partitions == 0 {
            return Err(kafka(KafkaError::local("it was made and is not there yet")));
        }
        if let Some(policy) = self.cleanup_policy(&spec.name).await.map_err(kafka)?
            && policy != "compact"
        {
            let TopicSpec { name, key, content, .. } = spec.clone();
            return Err(TopicError::Policy { name, key, content, policy });
        }
        if spec.single && partitions != 1 {
            let TopicSpec { name, key, content, .. } = spec.clone();
            return Err(TopicError::Partitions { name, key, content, partitions });
        }
        Ok(partitions)
    }

    async fn partitions_of(&self, name: &str) -> Result<usize, KafkaError> {
        let counts = self.partition_counts(&Subscription::Topics(vec![name.to_owned()])).await?;
        Ok(counts.first().map_or(0, |(_, count)| *count))
    }

    async fn create_compacted(&self, spec: &TopicSpec) -> Result<(), TopicError> {
        let kafka = |source| TopicError::Kafka { name: spec.name.clone(), key: spec.key, source };
        let mut topic = new_topic(&spec.name, spec.partitions, spec.replication);
        for (name, value) in &spec.settings {
            topic = topic.set(name, value);
        }
        let made = self.create(&topic.set("cleanup.policy", "compact")).await.map_err(kafka)?;
        made.map_err(|source| TopicError::Refused {
            name: spec.name.clone(),
            key: spec.key,
            replication: spec.replication.map_or("of the broker's default".to_owned(), |f| f.to_string()),
            source,
        })?;
        // By somebody else, if that was quicker: what it made is looked at.
        tracing::info!("topic {} made", spec.name);
        Ok(())
    }

    /// `None`: nobody tells us, as it may be forbidden.
    async fn cleanup_policy(&self, topic: &str) -> Result<Option<String>, KafkaError> {
        let (admin, options) = self.full()?;
        let described = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options).await;
        let mut described = described.map_err(|error| translate(&error))?;
        match described.pop() {
            Some(Ok(resource)) => {
                let policy = resource.entries.into_iter().find(|entry| entry.name == "cleanup.policy");
                Ok(policy.and_then(|entry| entry.value))
            }
            Some(Err(code))
                if code == Code::TopicAuthorizationFailed || code == Code::ClusterAuthorizationFailed =>
            {
                tracing::warn!(
                    "not allowed to see the settings of {topic}: it has to have cleanup.policy=compact"
                );
                Ok(None)
            }
            Some(Err(code)) => Err(error_of(code as i32)),
            None => Ok(None),
        }
    }
}
