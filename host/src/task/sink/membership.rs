//! The name under which a sink task is a member of its consumer group.
//!
//! Static membership brings a task back in a tenth of a second after a kill, where a dynamic member has to wait
//! for its dead predecessor to expire, and it fences a zombie. Its trap: a static member that comes back to a
//! stable group causes no rebalance, even if its topics changed or partitions were added meanwhile. So the name
//! is made of everything that decides who owns what. Any change of it is a new member, which costs one session
//! time-out at most: nothing ends the membership of a static member but that, so the partitions of the former one
//! stay with it until then. The [`Roster`] knows who is no former member.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use sha2::{Digest, Sha256};

use crate::kafka::{Admin, ClientSettings, Group, KafkaError, Membership, Subscription};
use crate::lock::unpoisoned;

/// Makes the membership of one task, when its consumer is made: topics may have changed since the last one.
#[derive(Debug)]
pub(crate) struct Members {
    pub(crate) admin: Admin,
    pub(crate) connector: String,
    pub(crate) task: u32,
    pub(crate) tasks_max: u32,
    /// Tells this worker from others; `None`: static membership is off.
    pub(crate) worker: Option<String>,
    /// The task's place in the worker's roster, for as long as the task lives.
    pub(crate) seat: Seat,
}

/// The group that a connector's sinks share.
pub(crate) fn group_of(settings: &ClientSettings, connector: &str) -> String {
    settings.get("group.id").map_or_else(|| format!("connect-{connector}"), str::to_owned)
}

/// The static members that the tasks of a worker are at present.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roster(Arc<Mutex<Vec<Weak<str>>>>);

/// One task's place in it.
#[derive(Debug)]
pub(crate) struct Seat {
    roster: Roster,
    taken_by: Mutex<Option<Arc<str>>>,
}

impl Roster {
    pub(crate) fn seat(&self) -> Seat {
        Seat { roster: self.clone(), taken_by: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<str>>> {
        unpoisoned(self.0.lock())
    }

    fn has(&self, instance_id: &str) -> bool {
        self.lock().iter().filter_map(Weak::upgrade).any(|present| *present == *instance_id)
    }

    /// The members of a group that were tasks of this connector in this worker, and are none any more. While the
    /// group is stable, those of them that own partitions, unless `all` are asked for: others are in nobody's way.
    pub(crate) fn former(&self, group: &Group, connector: &str, worker: &str, all: bool) -> Vec<String> {
        let own = |id: &str| is_name_of(id, connector, worker) && !self.has(id);
        let in_the_way = group.members.iter().filter(|member| all || member.holds || !group.stable);
        let mut former: Vec<_> =
            in_the_way.map(|member| member.instance_id().to_owned()).filter(|id| own(id)).collect();
        former.sort_unstable();
        former
    }
}

impl Seat {
    fn take(&self, instance_id: &str) {
        let present: Arc<str> = instance_id.into();
        {
            let mut list = self.roster.lock();
            list.retain(|other| other.strong_count() > 0);
            list.push(Arc::downgrade(&present));
        }
        // Whom it was taken by before goes with this.
        *unpoisoned(self.taken_by.lock()) = Some(present);
    }
}

impl Members {
    /// The group and this task's place in it.
    pub(super) async fn membership(
        &self,
        settings: &ClientSettings,
        subscription: &Subscription,
    ) -> Result<Membership, KafkaError> {
        let group = group_of(settings, &self.connector);
        let Some(worker) = &self.worker else { return Ok(Membership { group, instance_id: None }) };
        let topics = self.admin.partition_counts(subscription).await?;
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
        let instance_id = instance_id(&shares, self.task);
        self.seat.take(&instance_id);
        Ok(Membership { group, instance_id: Some(instance_id) })
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

/// `group.instance.id` of a task: connector, task, worker, and what decides about the assignment.
fn instance_id(shares: &Shares<'_>, task: u32) -> String {
    let decisive = [shares.tasks_max.to_string(), shares.pattern.unwrap_or_default().to_owned()];
    let topics = shares.topics.iter().flat_map(|(topic, count)| [topic.clone(), count.to_string()]);
    let shared: Vec<_> = decisive.into_iter().chain(topics).collect();
    let shared = digest(shared.iter().map(String::as_str), SHARES);
    format!("{}-{task}-{}-{shared}", shares.connector, worker_tag(shares.worker))
}

/// Bytes of the hashes in a name: collisions have to be unlikely among the members of one group.
const WORKER: usize = 4;
const SHARES: usize = 6;

fn worker_tag(worker: &str) -> String {
    digest([worker], WORKER)
}

/// Whether `id` is the `group.instance.id` of some task, now or before, of this connector in this worker.
fn is_name_of(id: &str, connector: &str, worker: &str) -> bool {
    let parts = || {
        let (task, rest) = id.strip_prefix(connector)?.strip_prefix('-')?.split_once('-')?;
        let (tag, shared) = rest.split_once('-')?;
        Some((task, tag, shared))
    };
    parts().is_some_and(|(task, tag, shared)| {
        task.parse::<u32>().is_ok() && tag == worker_tag(worker) && shared.len() == 2 * SHARES
    })
}

fn digest<'a>(fields: impl IntoIterator<Item = &'a str>, bytes: usize) -> String {
    let mut hash = Sha256::new();
    for field in fields {
        // Lengths keep ("ab", "c") and ("a", "bc") apart.
        hash.update((field.len() as u64).to_le_bytes());
        hash.update(field);
    }
    hash.finalize()[..bytes].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::Member;

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

    fn member(id: &str, holds: bool) -> Member {
        Member { id: format!("{id}-6f9619ff-8b86-d011-b42d-00c04fc964ff"), holds }
    }

    #[test]
    fn former_members_are_those_of_this_connector_and_worker_that_no_task_is_now() {
        let (before, now) = ([("t".to_owned(), 3)], [("t".to_owned(), 4)]);
        let former = instance_id(&shares(&before, "w"), 1);
        let of_other_worker = instance_id(&shares(&before, "v"), 1);
        let of_other_connector = instance_id(&Shares { connector: "c-1", ..shares(&before, "w") }, 1);
        let present = instance_id(&shares(&now, "w"), 0);
        let members = [&former, &of_other_worker, &of_other_connector, &present, "rdkafka"];
        let group = Group { stable: true, members: members.map(|id| member(id, true)).into() };
        let roster = Roster::default();
        let seat = roster.seat();
        seat.take(&present);
        assert_eq!(roster.former(&group, "c", "w", false), std::slice::from_ref(&former));
        drop(seat);
        assert_eq!(roster.former(&group, "c", "w", false).len(), 2, "the task has ended");
    }

    #[test]
    fn who_owns_nothing_is_in_the_way_only_while_the_group_waits_for_it() {
        let topics = [("t".to_owned(), 3)];
        let members = vec![member(&instance_id(&shares(&topics, "w"), 1), false)];
        let roster = Roster::default();
        let group = Group { stable: true, members };
        assert!(roster.former(&group, "c", "w", false).is_empty());
        assert_eq!(roster.former(&group, "c", "w", true).len(), 1);
        assert_eq!(roster.former(&Group { stable: false, ..group }, "c", "w", false).len(), 1);
    }

    #[test]
    fn a_seat_is_taken_by_one_member_at_a_time() {
        let roster = Roster::default();
        let seat = roster.seat();
        seat.take("old");
        seat.take("new");
        assert!(roster.has("new") && !roster.has("old"));
    }
}
