//! The offsets of a sink's consumer group, looked at and changed from outside.

use std::collections::BTreeMap;

use super::admin::Admin;
use super::native::{Entry, GroupRequest, Partitions, group_request};
use super::{KafkaError, TopicPartition};

/// What a group has committed.
pub(crate) type Committed = BTreeMap<(String, i32), i64>;

/// What shall be committed of each partition; `None`: nothing any more.
pub(crate) type Wanted = BTreeMap<(String, i32), Option<i64>>;

impl Admin {
    /// All that a group has committed; nothing, if nobody knows it.
    ///
    /// # Errors
    /// No broker answers, or the group may not be looked at.
    pub(crate) async fn group_offsets(&self, group: &str) -> Result<Committed, KafkaError> {
        let listed = self.of_group(group, |ask| ask(GroupRequest::List)).await?;
        let line = |entry: Entry| {
            let TopicPartition { topic, partition } = entry.partition;
            // A negative one is librdkafka's for "none".
            entry.offset.filter(|offset| *offset >= 0).map(|offset| ((topic.to_string(), partition), offset))
        };
        Ok(listed.into_iter().filter_map(line).collect())
    }

    /// Commits in a group's name. A broker refuses it while the group has members.
    ///
    /// # Errors
    /// No broker answers, or it refuses; the first partition that it refuses.
    pub(crate) async fn alter_group_offsets(&self, group: &str, wanted: &Wanted) -> Result<(), KafkaError> {
        let part = |kept: bool| -> Vec<(TopicPartition, Option<i64>)> {
            let chosen = wanted.iter().filter(|(_, offset)| offset.is_some() == kept);
            chosen
                .map(|((topic, partition), offset)| {
                    (TopicPartition::new(topic.as_str(), *partition), *offset)
                })
                .collect()
        };
        let (kept, gone) = (part(true), part(false));
        let answered = self
            .of_group(group, move |ask| {
                let list = |lines: &[(TopicPartition, Option<i64>)]| {
                    Partitions::new(lines.iter().map(|(partition, offset)| (partition, *offset)))
                };
                let mut answers = Vec::new();
                if !gone.is_empty() {
                    answers.extend(ask(GroupRequest::Forget(&list(&gone)))?);
                }
                if !kept.is_empty() {
                    answers.extend(ask(GroupRequest::Alter(&list(&kept)))?);
                }
                Ok(answers)
            })
            .await?;
        answered.into_iter().find_map(|entry| entry.error).map_or(Ok(()), Err)
    }

    /// Deletes a group with all of its offsets. One that is not there is no error.
    ///
    /// # Errors
    /// No broker answers, or it refuses: the group has members.
    pub(crate) async fn delete_group(&self, group: &str) -> Result<(), KafkaError> {
        match self.of_group(group, |ask| ask(GroupRequest::Delete)).await {
            Err(error) if !error.is_unknown_group() => Err(error),
            _ => Ok(()),
        }
    }

    /// Does what needs to be asked of one group.
    async fn of_group(
        &self,
        group: &str,
        work: impl FnOnce(
            &dyn Fn(GroupRequest<'_>) -> Result<Vec<Entry>, KafkaError>,
        ) -> Result<Vec<Entry>, KafkaError>
        + Send
        + 'static,
    ) -> Result<Vec<Entry>, KafkaError> {
        let group = group.to_owned();
        self.ask("group-offsets", move |client, limit| {
            work(&|request| group_request(client, &group, request, limit))
        })
        .await
    }
}
