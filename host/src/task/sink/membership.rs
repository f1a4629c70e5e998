//! The name under which a sink task is a member of its consumer group.
//!
//! Static membership brings a task back in a tenth of a second after a kill, where a dynamic member has to wait
//! for its dead predecessor to expire, and it fences a zombie. Its trap: a static member that comes back to a
//! stable group causes no rebalance, even if its topics changed or partitions were added meanwhile. So the name
//! is made of everything that decides who owns what. Any change of it is a new member, which costs one session
//! time-out at most.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::kafka::{ClientSettings, KafkaError, Membership, Subscription, admin};

/// Makes the membership of one task, when its consumer is made: topics may have changed since the last one.
#[derive(Debug, Clone)]
pub(crate) struct Members {
    pub(crate) admin: ClientSettings,
    pub(crate) connector: String,
    pub(crate) task: u32,
    pub(crate) tasks_max: u32,
    /// Tells this worker from others; `None`: static membership is off.
    pub(crate) worker: Option<String>,
}

impl Members {
    /// The group and this task's place in it.
    pub(super) async fn membership(
        &self,
        settings: &ClientSettings,
        subscription: &Subscription,
    ) -> Result<Membership, KafkaError> {
        let group = match settings.get("group.id") {
            Some(group) => group.to_owned(),
            None => format!("connect-{}", self.connector),
        };
        let Some(worker) = &self.worker else { return Ok(Membership { group, instance_id: None }) };
        let topics = admin::partition_counts(&self.admin, subscription).await?;
        let shares = Shares {
            connector: &self.connector,
            tasks_max: self.tasks_max,
            topics: &topics,
            pattern: match subscription {
                Subscription::Pattern(pattern) => Some(pattern.as_str()),
                Subscription::Topics(_) => None,
            },
            worker,
        };
        Ok(Membership { group, instance_id: Some(instance_id(&shares, self.task)) })
    }
}

/// What decides about an assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shares<'a> {
    connector: &'a str,
    tasks_max: u32,
    /// Topics with the number of their partitions at start, in the order of their names.
    topics: &'a [(String, usize)],
    /// The pattern, when topics are chosen by one.
    pattern: Option<&'a str>,
    /// Tells two workers with the same connector apart, so that they share the work instead of fencing each
    /// other.
    worker: &'a str,
}

/// `group.instance.id` of a task.
fn instance_id(shares: &Shares<'_>, task: u32) -> String {
    let mut hash = Sha256::new();
    let mut field = |text: &str| {
        // Lengths keep ("ab", "c") and ("a", "bc") apart.
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    field(shares.worker);
    field(&shares.tasks_max.to_string());
    field(shares.pattern.unwrap_or_default());
    for (topic, partitions) in shares.topics {
        field(topic);
        field(&partitions.to_string());
    }
    let mut name = format!("{}-{task}-", shares.connector);
    for byte in &hash.finalize()[..6] {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares<'a>(topics: &'a [(String, usize)], worker: &'a str) -> Shares<'a> {
        Shares { connector: "c", tasks_max: 2, topics, pattern: None, worker }
    }

    #[test]
    fn the_same_task_has_the_same_name_after_a_restart() {
        let topics = [("t".to_owned(), 3)];
        assert_eq!(instance_id(&shares(&topics, "w"), 1), instance_id(&shares(&topics, "w"), 1));
    }

    #[test]
    fn anything_that_decides_about_the_assignment_makes_a_new_member() {
        let topics = [("t".to_owned(), 3)];
        let name = instance_id(&shares(&topics, "w"), 1);
        assert_ne!(name, instance_id(&shares(&topics, "w"), 0));
        assert_ne!(name, instance_id(&shares(&topics, "v"), 1));
        assert_ne!(name, instance_id(&shares(&[("t".to_owned(), 4)], "w"), 1));
        assert_ne!(name, instance_id(&shares(&[("u".to_owned(), 3)], "w"), 1));
        assert_ne!(name, instance_id(&Shares { tasks_max: 3, ..shares(&topics, "w") }, 1));
    }
}
