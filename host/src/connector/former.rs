//! Former members of a sink's consumer group, which nobody but time can remove.
//!
//! A static member does not leave its group: after a stop, a kill or a change of what makes its name, it is
//! there, with the partitions it had, until its session times out. New tasks get nothing meanwhile, and whatever
//! needs an empty group has to wait. One watch for each connector finds that out and has [`Shown`] say it: while
//! some task has nothing assigned, or the connector is stopped. It describes the group at most once a second, less
//! often while it finds nothing, and not at all while everybody has partitions; so it costs the data path nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::info;

use super::lifecycle::Target;
use super::{Services, Shown};
use crate::config::{ConnectorConfig, Kind};
use crate::kafka::{ClientKind, KafkaError};
use crate::task::sink::group_of;

/// How often the group is described while there is something to tell.
const OFTEN: Duration = Duration::from_secs(1);
/// And at least while there is not: more tasks than partitions is nothing unusual.
const SELDOM: Duration = Duration::from_secs(30);

/// Ends when dropped.
#[derive(Debug)]
pub(super) struct Watch(AbortHandle);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a watch looks for.
struct Search {
    services: Arc<Services>,
    shown: Arc<Shown>,
    connector: String,
    group: String,
    /// The longest that a former member stays, if it was configured as the connector is now.
    session_ms: String,
}

impl Watch {
    /// Watches over the group of a connector that is, or is about to be, as `target` says. `None`: there is nothing
    /// to watch, as it has no static members.
    pub(super) fn start(
        services: &Arc<Services>,
        config: &ConnectorConfig,
        target: Target,
        shown: &Arc<Shown>,
    ) -> Option<Self> {
        shown.set_group(None);
        if config.kind != Kind::Sink || !services.config.static_membership {
            return None;
        }
        // With settings that are wrong there is no member, and the tasks say what is wrong.
        let settings = services.client(config, ClientKind::Consumer).ok()?;
        let search = Search {
            group: group_of(&settings, &config.name),
            session_ms: settings.get("session.timeout.ms").unwrap_or_default().to_owned(),
            connector: config.name.clone(),
            services: services.clone(),
            shown: shown.clone(),
        };
        let watching = if target == Target::Stopped {
            // Said at once, or a reader could take silence for an empty group.
            shown.set_group(Some(format!("Kafka to tell who is left in group {}", search.group)));
            tokio::spawn(search.until_empty())
        } else {
            tokio::spawn(search.while_it_lives())
        };
        Some(Self(watching.abort_handle()))
    }
}

impl Search {
    /// For a connector that is stopped.
    async fn until_empty(self) {
        while let Some(found) = self.find(true).await {
            self.tell(Some(found));
            sleep(OFTEN).await;
        }
        self.tell(None);
    }

    /// For a connector with tasks.
    async fn while_it_lives(self) {
        let mut pause = OFTEN;
        loop {
            sleep(pause).await;
            let found = if self.shown.has_idle_task() { self.find(false).await } else { None };
            pause = match (&found, self.shown.has_idle_task()) {
                (None, true) => (2 * pause).min(SELDOM),
                _ => OFTEN,
            };
            self.tell(found);
        }
    }

    /// What there is to wait for, in words; `all` as in [`crate::task::sink::Roster::former`].
    async fn find(&self, all: bool) -> Option<String> {
        let group = &self.group;
        match self.services.admin.group(group).await {
            Ok(described) => {
                let (roster, worker) = (&self.services.roster, &self.services.identity);
                let former = roster.former(&described, &self.connector, worker, all);
                (!former.is_empty()).then(|| {
                    let (ms, names) = (&self.session_ms, former.join(", "));
                    format!("former members of group {group} to expire (session.timeout.ms={ms}): {names}")
                })
            }
            Err(error) => Some(unknown(group, &error)),
        }
    }

    fn tell(&self, found: Option<String>) {
        if self.shown.set_group(found.clone()) {
            match found {
                Some(what) => info!(connector = self.connector, "waiting for {what}"),
                None => info!(connector = self.connector, "group {} is free of former members", self.group),
            }
        }
    }
}

fn unknown(group: &str, error: &KafkaError) -> String {
    format!("Kafka to tell who is in group {group}: {error}")
}
