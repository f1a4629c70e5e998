//! What a connector shows of itself: read by REST and metrics, written by its actor.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use super::status::{CodeVersion, ConnectorStatus, State, TaskStatus};
use crate::config::{ConnectorConfig, Kind, Vault};
use crate::lock::unpoisoned;
use crate::task::metrics::TaskMetrics;
use crate::task::topics::Topics;

/// A task as others see it.
#[derive(Debug, Clone)]
pub(crate) struct TaskView {
    pub(crate) status: watch::Receiver<TaskStatus>,
    pub(crate) metrics: Arc<TaskMetrics>,
    /// What the plugin returned for this task.
    pub(crate) config: BTreeMap<String, String>,
}

impl TaskView {
    /// Whether it could move records and has no partition to take them from (sink).
    fn is_idle(&self) -> bool {
        self.status.borrow().state == State::Running && self.metrics.partitions.get() == 0
    }
}

#[derive(Debug)]
struct Inner {
    config: BTreeMap<String, String>,
    vault: Vault,
    state: State,
    trace: Option<String>,
    /// What a connector that failed waits for.
    waits_for: Option<String>,
    kind: Option<Kind>,
    code: Option<CodeVersion>,
    plugin_problem: Option<String>,
    /// What it waits for that stands in the way of its group.
    group: Option<String>,
    tasks: Vec<TaskView>,
    /// Tasks that are about to be started again.
    restarting: BTreeSet<u32>,
}

/// The latest of everything.
#[derive(Debug)]
pub(crate) struct Shown {
    name: String,
    topics: Topics,
    inner: Mutex<Inner>,
}

impl Shown {
    pub(crate) fn new(config: &ConnectorConfig) -> Self {
        Self {
            name: config.name.clone(),
            topics: Topics::default(),
            inner: Mutex::new(Inner {
                config: config.raw.clone(),
                vault: config.vault.clone(),
                state: State::Unassigned,
                trace: None,
                waits_for: None,
                kind: Some(config.kind),
                code: None,
                plugin_problem: None,
                group: None,
                tasks: Vec::new(),
                restarting: BTreeSet::new(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        unpoisoned(self.inner.lock())
    }

    /// The topics it uses.
    pub(crate) fn topics(&self) -> &Topics {
        &self.topics
    }

    pub(crate) fn config(&self) -> BTreeMap<String, String> {
        self.lock().config.clone()
    }

    pub(crate) fn kind(&self) -> Option<Kind> {
        self.lock().kind
    }

    pub(crate) fn tasks(&self) -> Vec<TaskView> {
        self.lock().tasks.clone()
    }

    /// What the plugin returned for each task: what the user wrote as it is, the rest without secrets.
    pub(crate) fn task_configs(&self) -> Vec<BTreeMap<String, String>> {
        let inner = self.lock();
        let shown = |(key, value): (&String, &String)| {
            let written = inner.config.get(key) == Some(value);
            let value = if written { value.clone() } else { inner.vault.hide(value).into_owned() };
            (inner.vault.hide(key).into_owned(), value)
        };
        inner.tasks.iter().map(|task| task.config.iter().map(shown).collect()).collect()
    }

    pub(crate) fn status(&self) -> ConnectorStatus {
        let inner = self.lock();
        let of_task = |task: &TaskView| {
            let idle = task.is_idle();
            let mut status = task.status.borrow().clone();
            if inner.restarting.contains(&status.id) {
                status.state = State::Restarting;
            }
            // What the task itself says comes first.
            status.waiting_for = status.waiting_for.or_else(|| inner.group.clone().filter(|_| idle));
            status
        };
        ConnectorStatus {
            name: self.name.clone(),
            state: inner.state,
            trace: inner.trace.clone(),
            kind: inner.kind,
            code: inner.code.clone(),
            plugin_problem: inner.plugin_problem.clone(),
            waiting_for: match inner.state {
                State::Failed => inner.waits_for.clone(),
                State::Stopped => inner.group.clone(),
                _ => None,
            },
            tasks: inner.tasks.iter().map(of_task).collect(),
            elsewhere: None,
        }
    }

    pub(super) fn has_idle_task(&self) -> bool {
        self.lock().tasks.iter().any(TaskView::is_idle)
    }

    /// Says what stands in the way of the group. True: that is news.
    pub(super) fn set_group(&self, what: Option<String>) -> bool {
        let mut inner = self.lock();
        let changed = inner.group != what;
        inner.group = what;
        changed
    }

    pub(super) fn set_config(&self, config: &ConnectorConfig) {
        let mut inner = self.lock();
        inner.config = config.raw.clone();
        inner.vault = config.vault.clone();
    }

    pub(super) fn set_state(&self, state: State) {
        let mut inner = self.lock();
        inner.state = state;
        inner.trace = None;
    }

    pub(super) fn set_failed(&self, trace: String, waits_for: String) {
        let mut inner = self.lock();
        inner.state = State::Failed;
        inner.trace = Some(trace);
        inner.waits_for = Some(waits_for);
    }

    pub(super) fn set_waits_for(&self, what: String) {
        self.lock().waits_for = Some(what);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.lock().state == State::Failed
    }

    pub(super) fn set_code(&self, kind: Kind, code: CodeVersion) {
        let mut inner = self.lock();
        inner.kind = Some(kind);
        inner.code = Some(code);
        inner.plugin_problem = None;
    }

    pub(super) fn set_plugin_problem(&self, problem: String) {
        self.lock().plugin_problem = Some(problem);
    }

    pub(super) fn set_restarting(&self, tasks: BTreeSet<u32>) {
        self.lock().restarting = tasks;
    }

    /// Shows these; none of them is about to be started again.
    pub(super) fn set_tasks(&self, tasks: Vec<TaskView>) {
        let mut inner = self.lock();
        inner.tasks = tasks;
        inner.restarting.clear();
    }
}
