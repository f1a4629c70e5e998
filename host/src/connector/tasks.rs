//! The tasks of one connector: starting them, ordering them about, ending them within a time.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::plan::TaskConfig;
use super::{Services, TaskView};
use crate::config::{ConnectorConfig, Kind, RawConfig};

use crate::task::context::{Context, Duty, Identity, Links, Order, code_version};
use crate::task::drive::drive;
use crate::task::failure::Failure;
use crate::task::restart::RestartBudget;
use crate::task::spawn::{Place, Running, shown};
use crate::task::status::{State, SwapReport, TaskStatus};
use crate::task::topics::Topics;
use crate::task::{sink, source};

/// A task that was started.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) number: u32,
    pub(super) view: TaskView,
    orders: watch::Sender<Order>,
    running: Running,
    /// Set by a guest that wants its connector to plan anew.
    reconfigure: Arc<AtomicBool>,
}

impl Task {
    /// Changes what the task shall be doing.
    pub(super) fn order(&self, change: impl FnOnce(&mut Order)) {
        self.orders.send_modify(change);
    }
}

/// All tasks, in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Tasks(Vec<Task>, Topics);

impl Tasks {
    /// None yet; they will note the topics they use here.
    pub(super) fn noting(topics: Topics) -> Self {
        Self(Vec::new(), topics)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Task> {
        self.0.iter()
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|task| task.number)
    }

    pub(super) fn contains(&self, number: u32) -> bool {
        self.numbers().any(|other| other == number)
    }

    /// The numbers of those that have another configuration than these say, or none.
    pub(super) fn other_than(&self, configs: &[TaskConfig]) -> BTreeSet<u32> {
        let stays = |task: &&Task| configs.get(task.number as usize) == Some(&task.view.config);
        self.0.iter().filter(|task| !stays(task)).map(|task| task.number).collect()
    }

    pub(super) fn views(&self) -> Vec<TaskView> {
        self.0.iter().map(|task| task.view.clone()).collect()
    }

    pub(super) fn each(&self, act: impl FnMut(&Task)) {
        self.0.iter().for_each(act);
    }

    pub(super) fn with(&self, number: u32, act: impl FnOnce(&Task)) {
        if let Some(task) = self.0.iter().find(|task| task.number == number) {
            act(task);
        }
    }

    /// Whether a guest asked for other task configurations since the last call.
    pub(super) fn take_reconfigure(&self) -> bool {
        self.0.iter().fold(false, |asked, task| asked | task.reconfigure.swap(false, Ordering::Relaxed))
    }

    /// What a task says that went back from this code.
    pub(super) fn rolled_back(&self, sha256: &str) -> Option<SwapReport> {
        let back = |swap: &SwapReport| swap.rolled_back && swap.to.sha256 == sha256;
        self.0
            .iter()
            .find_map(|task| task.view.status.borrow().last_swap.as_ref().filter(|swap| back(swap)).cloned())
    }

    /// Starts tasks with these numbers.
    pub(super) fn start_some(
        &mut self,
        services: &Arc<Services>,
        config: &ConnectorConfig,
        configs: Vec<(u32, TaskConfig)>,
        order: Order,
    ) -> Result<(), Failure> {
        for (number, task_config) in configs {
            let task = start(services, (config, &self.1), (number, task_config), order.clone())?;
            self.0.push(task);
        }
        self.0.sort_by_key(|task| task.number);
        Ok(())
    }

    /// Ends when this task has done what there was to do about new code: it runs it, refused it, or does not
    /// run at all.
    pub(super) async fn swapped(&mut self, number: Option<u32>) {
        let Some(task) = self.0.iter_mut().find(|task| Some(task.number) == number) else {
            return pending().await;
        };
        let wanted = task.orders.borrow().plugin.sha256().to_owned();
        let settled = |status: &TaskStatus| {
            let runs = status.code.as_ref().is_some_and(|code| code.sha256 == wanted);
            let refused = status.last_swap.as_ref().is_some_and(|swap| swap.to.sha256 == wanted);
            runs || refused || matches!(status.state, State::Failed | State::Unassigned)
        };
        let mut status = task.view.status.clone();
        // An error: the task is gone, and with it the wait.
        let _ = status.wait_for(settled).await;
    }

    /// Ends all tasks in good order, and those that take longer than `limit` where they stand.
    pub(super) async fn stop(&mut self, connector: &str, limit: Duration) {
        let all = self.numbers().collect();
        let _ = self.stop_some(connector, &all, limit).await;
    }

    /// Ends these tasks and returns what is left of them.
    pub(super) async fn stop_some(
        &mut self,
        connector: &str,
        chosen: &BTreeSet<u32>,
        limit: Duration,
    ) -> Vec<Task> {
        let (mut stopping, stay) = std::mem::take(&mut self.0)
            .into_iter()
            .partition::<Vec<_>, _>(|task| chosen.contains(&task.number));
        self.0 = stay;
        for task in &stopping {
            task.order(|order| order.duty = Duty::Stop);
        }
        let until = Instant::now() + limit;
        for task in &mut stopping {
            stop_one(connector, task, until).await;
        }
        stopping
    }
}

/// Waits for one task's end, saying now and then what it waits for.
async fn stop_one(connector: &str, task: &mut Task, until: Instant) {
    let mut say = Instant::now() + Duration::from_secs(1);
    while timeout_at(say.min(until), task.running.ended()).await.is_err() {
        let waiting_for = task.view.status.borrow().waiting_for.clone();
        let what = waiting_for.unwrap_or_else(|| "the call of the plugin that is under way".to_owned());
        if Instant::now() >= until {
            warn!(
                connector,
                task = task.number,
                "task did not stop in time and is dropped; it waited for {what}"
            );
            task.running.abort();
            return;
        }
        info!(connector, task = task.number, "stopping: waiting for {what}");
        say += Duration::from_secs(1);
    }
}

/// Starts one task.
fn start(
    services: &Arc<Services>,
    (config, topics): (&ConnectorConfig, &Topics),
    (number, task_config): (u32, TaskConfig),
    order: Order,
) -> Result<Task, Failure> {
    let plugin = order.plugin.clone();
    let (status, seen) = watch::channel(TaskStatus {
        id: number,
        state: State::Unassigned,
        trace: None,
        waiting_for: None,
        code: Some(code_version(&plugin)),
        last_swap: None,
        restarts: 0,
        elsewhere: None,
    });
    let (orders, received) = watch::channel(order);
    let view = TaskView { status: seen, metrics: Arc::default(), config: task_config.clone() };
    // Not what the plugin says by itself: else it could name what nobody gave it.
    let as_written = task_config.iter().filter(|(key, text)| config.raw.get(*key) == Some(text));
    let references: RawConfig = as_written.map(|(key, text)| (key.clone(), text.clone())).collect();
    let identity = Identity {
        connector: config.name.clone(),
        task: number,
        references,
        vault: config.vault.clone(),
        config: task_config.into_iter().map(|(key, value)| (key, value.into())).collect(),
    };
    let budget = RestartBudget::new(services.config.restart_max, services.config.restart_backoff);
    let reconfigure = Arc::<AtomicBool>::default();
    let links = Links {
        orders: received,
        status: status.clone(),
        metrics: view.metrics.clone(),
        topics: if services.config.topic_tracking { topics.clone() } else { Topics::default() },
        reconfigure: reconfigure.clone(),
    };
    let context = Context::new(identity, links, budget, services.config.probation);
    let sandbox = Arc::new(services.config.sandboxes.of(plugin.name()));
    let place = Place::of(&sandbox);
    let name = format!("{}-{number}", config.name);
    let running = match plugin.kind() {
        Kind::Source => {
            let body = source::Source::new(services.source_parts(config, sandbox)?);
            Running::start(&services.guests, place, &name, shown(status, drive(body, context)))
        }
        Kind::Sink => {
            let parts = services.sink_parts(config, sandbox, number)?;
            let body = sink::Sink::new(parts, services.reject_parts(config)?);
            Running::start(&services.guests, place, &name, shown(status, drive(body, context)))
        }
        Kind::Transform => unreachable!("a transformation is no connector: the class look-up refuses it"),
    };
    let running = running.map_err(|source| Failure::Thread { source })?;
    Ok(Task { number, view, orders, running, reconfigure })
}
