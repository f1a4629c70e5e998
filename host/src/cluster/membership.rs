//! Who leads: a place in the consumer group `group.id` over the one-partition config topic.
//!
//! Whoever holds the partition leads; nothing is read by this consumer. Kafka's coordinator decides, and takes the
//! partition from a member of which it has not heard for `session.timeout.ms`. Such a member is not told before it
//! asks again, so every third of the session each worker has the group described and looks for itself; one that has
//! not found itself for two thirds gives the lead up, whatever it believes. A clock that jumped (a process that was
//! stopped) counts as silence.
//!
//! A partition that goes in good order is given back when the worker's tasks have stopped; one that is lost at once.
//! The members' client ids carry the addresses of their REST APIs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, info, warn};

use crate::config::ClusterConfig;
use crate::kafka::{
    Admin, ClientSettings, Consumer, Event, KafkaError, Membership as Place, Subscription, TopicPartition,
};
use crate::lock::unpoisoned;

/// What stands before the address in a client id.
const PREFIX: &str = "connect-";
/// A group that cannot be joined is tried again after this.
const AGAIN: Duration = Duration::from_secs(1);
/// How long the tasks may take before a partition is given back without them.
const HAND_OVER: Duration = Duration::from_secs(30);
/// How much may be fetched ahead of what nobody reads.
const PREFETCH: usize = 1 << 16;

/// See the module.
#[derive(Debug)]
pub(crate) struct Membership {
    shared: Arc<Shared>,
    running: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    group: String,
    admin: Admin,
    /// Some while this worker leads; another number each time.
    term: watch::Sender<Option<u64>>,
    /// True while the worker runs something as a leader.
    busy: watch::Sender<bool>,
    /// True once the worker leaves.
    leaving: watch::Sender<bool>,
    /// The coordinator's name of this member.
    member: watch::Sender<Option<String>>,
    /// When it was last seen in the group.
    seen: watch::Sender<Instant>,
    session: Duration,
}

impl Membership {
    /// Joins the group, and stays in it.
    pub(super) fn start(
        client: ClientSettings,
        config: &ClusterConfig,
        admin: Admin,
        advertised: &str,
    ) -> Self {
        let client = client
            .with("client.id", format!("{PREFIX}{advertised}"))
            .with("session.timeout.ms", config.session_timeout.as_millis().to_string())
            .with("heartbeat.interval.ms", config.heartbeat_interval.as_millis().to_string());
        let shared = Arc::new(Shared {
            group: config.group.clone(),
            admin,
            term: watch::Sender::new(None),
            busy: watch::Sender::new(false),
            leaving: watch::Sender::new(false),
            member: watch::Sender::new(None),
            seen: watch::Sender::new(Instant::now()),
            session: config.session_timeout,
        });
        let member = Member { shared: shared.clone(), client, topic: config.configs.name.clone(), terms: 0 };
        let prover = shared.clone();
        let running = tokio::spawn(async move {
            tokio::select! {
                () = member.run() => {}
                () = prover.prove() => {}
            }
        });
        Self { shared, running: Mutex::new(Some(running)) }
    }

    /// Some while this worker leads, with another number each time.
    pub(crate) fn term(&self) -> watch::Receiver<Option<u64>> {
        self.shared.term.subscribe()
    }

    /// Says whether the worker runs something as a leader: its place is given back when it does not.
    pub(crate) fn set_busy(&self, busy: bool) {
        let _ = self.shared.busy.send_replace(busy);
    }

    /// The address of the leader's REST API, if there is one now.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub(crate) async fn leader(&self) -> Result<Option<String>, KafkaError> {
        let group = self.shared.admin.group(&self.shared.group).await?;
        let leader = group.members.iter().find(|member| group.stable && member.holds);
        Ok(leader.and_then(|leader| leader.instance_id().strip_prefix(PREFIX)).map(str::to_owned))
    }

    /// Leaves the group in good order, so that another worker need not wait for the end of the session.
    pub(crate) async fn leave(&self) {
        let _ = self.shared.leaving.send_replace(true);
        let running = unpoisoned(self.running.lock()).take();
        if let Some(mut running) = running
            && timeout(self.shared.session, &mut running).await.is_err()
        {
            running.abort();
        }
    }
}

impl Shared {
    /// Looks for this member in the group, again and again.
    async fn prove(&self) {
        let mut every = interval(self.session / 3);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let _ = every.tick().await;
            let asked = Instant::now();
            let Some(id) = self.member.borrow().clone() else { continue };
            match self.admin.group(&self.group).await {
                Ok(group) if group.members.iter().any(|member| member.id == id) => {
                    let _ = self.seen.send_replace(asked);
                }
                Ok(_) => debug!(id, "this worker is not in group {}", self.group),
                Err(error) => warn!("who is in group {} cannot be told: {error}", self.group),
            }
        }
    }

    fn is_proven(&self) -> bool {
        self.seen.borrow().elapsed() < self.session * 2 / 3
    }

    fn resign(&self, why: &str) {
        if self.term.send_replace(None).is_some() {
            warn!(group = self.group, "this worker leads no more: {why}");
        }
    }
}

/// The member itself.
struct Member {
    shared: Arc<Shared>,
    client: ClientSettings,
    topic: String,
    terms: u64,
}

/// Why a consumer came to its end.
enum End {
    Left,
    Failed(String),
}

impl Member {
    /// Consumers one after the other, until the worker leaves.
    async fn run(mut self) {
        let subscription = Subscription::Topics(vec![self.topic.clone()]);
        let place = Place { group: self.shared.group.clone(), instance_id: None };
        let mut said = String::new();
        loop {
            let why = match Consumer::subscribe(&self.client, &subscription, &place, PREFETCH) {
                Ok(mut consumer) => {
                    let end = self.attend(&mut consumer).await;
                    let _ = self.shared.member.send_replace(None);
                    consumer.close().await;
                    match end {
                        End::Left => return,
                        End::Failed(why) => why,
                    }
                }
                Err(error) => error.to_string(),
            };
            self.shared.resign(&why);
            if said != why {
                warn!("this worker is not in group {}, and tries again: {why}", self.shared.group);
                said = why;
            }
            sleep(AGAIN).await;
        }
    }

    /// One consumer's life.
    async fn attend(&mut self, consumer: &mut Consumer) -> End {
        let mut leaving = self.shared.leaving.subscribe();
        // Whether the partition is ours, whatever we may believe of the lead.
        let mut holds = false;
        loop {
            tokio::select! {
                () = consumer.ready() => {}
                _ = leaving.wait_for(|leaving| *leaving) => return End::Left,
            }
            consumer.serve();
            let _ = consumer.poll(16, |_| {});
            let id = consumer.member_id();
            let _ = self.shared.member.send_if_modified(|member| {
                let changed = *member != id;
                member.clone_from(&id);
                changed
            });
            while let Some(event) = consumer.take_event() {
                match self.answer(consumer, event, &mut holds).await {
                    Ok(()) => {}
                    Err(end) => return end,
                }
            }
            self.judge(holds);
        }
    }

    async fn answer(&self, consumer: &Consumer, event: Event, holds: &mut bool) -> Result<(), End> {
        let failed = |error: KafkaError| End::Failed(error.to_string());
        match event {
            Event::Assign(list) => {
                let places: Vec<_> = list.iter().map(|partition| (partition.clone(), None)).collect();
                consumer.assign(&places).map_err(failed)?;
                consumer.pause(&list).map_err(failed)?;
                if !list.is_empty() {
                    *holds = true;
                    // The coordinator has just said so.
                    let _ = self.shared.seen.send_replace(Instant::now());
                }
                Ok(())
            }
            Event::Revoke { partitions, lost } => {
                if !partitions.is_empty() {
                    *holds = false;
                    self.shared.resign(if lost {
                        "its session was lost"
                    } else {
                        "another worker is to lead"
                    });
                    if !lost {
                        self.handed_over().await;
                    }
                }
                consumer.unassign(&partitions as &[TopicPartition]).map_err(failed)
            }
            Event::Fenced => Err(End::Failed("another member took its place".to_owned())),
            Event::Error(error) if error.is_other_protocol() => Err(End::Failed(format!(
                "{error}: it belongs to Kafka Connect's Java workers, or to other programs; stop them, or choose another \
                 group.id"
            ))),
            Event::Error(error) => Err(failed(error)),
        }
    }

    /// Begins or ends to lead.
    fn judge(&mut self, holds: bool) {
        let (leads, proven) = (self.shared.term.borrow().is_some(), self.shared.is_proven());
        if leads && !proven {
            self.shared.resign("it cannot prove that it is a member");
        } else if holds && proven && !leads {
            self.terms += 1;
            info!(group = self.shared.group, "this worker leads");
            let _ = self.shared.term.send_replace(Some(self.terms));
        }
    }

    /// Waits until the worker has stopped what it ran as a leader.
    async fn handed_over(&self) {
        let mut busy = self.shared.busy.subscribe();
        if timeout(HAND_OVER, busy.wait_for(|busy| !*busy)).await.is_err() {
            warn!("the lead is given back while tasks are still stopping");
        }
    }
}
