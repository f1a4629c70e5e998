//! The actor that owns a connector.

use std::collections::{BTreeSet, VecDeque};
use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use super::former::Watch;
use super::lifecycle::{Step, Target, reached, step};
use super::status::State;
use super::tasks::{Task, Tasks};
use super::{Command, Restart, Services, Shown, plan};
use crate::config::ConnectorConfig;
use crate::plugin::Plugin;
use crate::task::context::{Duty, Order, code_version};

/// How often tasks are asked whether their guests want another plan.
const LOOK: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Supervisor {
    services: Arc<Services>,
    config: ConnectorConfig,
    target: Target,
    shown: Arc<Shown>,
    /// The code of the tasks; `None` until the class was found.
    plugin: Option<Arc<Plugin>>,
    tasks: Tasks,
    /// Over its consumer group.
    watch: Option<Watch>,
    /// Tasks that have yet to be told of `plugin`, the first being at it.
    swapping: VecDeque<u32>,
    closing: watch::Receiver<bool>,
}

impl Supervisor {
    pub(super) fn new(
        services: Arc<Services>,
        config: ConnectorConfig,
        target: Target,
        shown: Arc<Shown>,
        closing: watch::Receiver<bool>,
    ) -> Self {
        Self {
            services,
            config,
            target,
            shown,
            plugin: None,
            tasks: Tasks::default(),
            watch: None,
            swapping: VecDeque::new(),
            closing,
        }
    }

    /// Runs until shut down, or until nobody can send commands any more.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        self.reach().await;
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                command = inbox.recv() => {
                    let Some(command) = command else { break };
                    if let Some(done) = self.obey(command).await {
                        let _ = done.send(());
                        return;
                    }
                }
                () = self.tasks.swapped(self.swapping.front().copied()) => self.swap_next(),
                _ = look.tick() => if self.tasks.take_reconfigure() { self.replan().await },
            }
        }
        self.stop_tasks(self.services.config.shutdown_timeout).await;
    }

    /// Carries a command out. Some: the connector has ended.
    async fn obey(&mut self, command: Command) -> Option<oneshot::Sender<()>> {
        match command {
            Command::SetTarget(target, done) => {
                self.target = target;
                self.reach().await;
                let _ = done.send(());
            }
            Command::Configure(config, done) => {
                self.stop_tasks(self.services.config.shutdown_timeout).await;
                self.config = *config;
                self.shown.set_config(self.config.raw.clone());
                self.plugin = None;
                self.reach().await;
                let _ = done.send(());
            }
            Command::Swap(plugin) => self.swap(plugin).await,
            Command::PluginProblem(problem) => self.shown.set_plugin_problem(problem),
            Command::Restart(what, done) => {
                let _ = done.send(());
                self.restart(what).await;
            }
            Command::RestartTask(task, done) => {
                let exists = self.tasks.contains(task);
                let _ = done.send(exists);
                if exists {
                    self.restart_tasks(BTreeSet::from([task])).await;
                }
            }
            Command::Shutdown(until, done) => {
                self.stop_tasks(until.saturating_duration_since(Instant::now())).await;
                self.shown.set_state(State::Unassigned, None);
                return Some(done);
            }
        }
        None
    }

    /// Does what the target asks for.
    async fn reach(&mut self) {
        let step = step(self.target, !self.tasks.is_empty());
        match step {
            Step::Start => self.start().await,
            Step::Stop => self.stop_tasks(self.services.config.shutdown_timeout).await,
            Step::Pause => self.order(Duty::Pause),
            Step::Resume => self.order(Duty::Run),
            Step::Nothing => {}
        }
        // The old one first: what it found is no news of the new one's group.
        self.watch = None;
        self.watch = Watch::start(&self.services, &self.config, self.target, &self.shown);
        if step != Step::Start {
            self.shown.set_state(reached(self.target), None);
        }
    }

    /// What the plugin answers, which may take it as long as it is granted. `None`: the connector shall end
    /// first, and then no answer is worth the wait.
    async fn answer<T>(&self, asked: impl Future<Output = T>) -> Option<T> {
        let mut closing = self.closing.clone();
        let closed = async move {
            if closing.wait_for(|closing| *closing).await.is_err() {
                // Nobody is left to close it; the end of the commands does.
                pending().await
            }
        };
        tokio::select! {
            biased;
            answer = asked => Some(answer),
            () = closed => {
                info!(connector = self.config.name, "stopping: what the plugin was asked for is not waited for");
                None
            }
        }
    }

    /// Plans and starts the tasks.
    async fn start(&mut self) {
        let class = &self.config.class;
        let Some(plugin) = self.services.registry.find(class) else {
            let trace = format!("no plugin for connector.class={class} in plugin.path");
            return self.shown.set_state(State::Failed, Some(trace));
        };
        self.plugin = Some(plugin.clone());
        self.shown.set_code(plugin.kind(), code_version(&plugin));
        let Some(planned) = self.answer(plan::task_configs(&self.services, &self.config, &plugin)).await
        else {
            return;
        };
        match planned {
            Err(failure) => {
                let trace = failure.trace();
                warn!(connector = self.config.name, "connector failed: {trace}");
                self.shown.set_state(State::Failed, Some(trace));
            }
            Ok(configs) if configs.len() > self.config.tasks_max as usize => {
                let trace = format!(
                    "The connector {} has generated {} tasks, which is greater than {}, the maximum number of \
                     tasks it is configured to create.",
                    self.config.name,
                    configs.len(),
                    self.config.tasks_max
                );
                self.shown.set_state(State::Failed, Some(trace));
            }
            Ok(configs) => {
                let order = Order { duty: Duty::Run, plugin };
                let started = self.tasks.start(&self.services, &self.config, configs, order);
                self.shown.set_tasks(self.tasks.views());
                match started {
                    Ok(()) => self.shown.set_state(State::Running, None),
                    Err(failure) => {
                        warn!(connector = self.config.name, "tasks could not start: {}", failure.trace());
                        self.shown.set_state(State::Failed, Some(failure.trace()));
                    }
                }
            }
        }
    }

    /// A guest asked for it: other tasks, if the plugin now answers with other configurations.
    async fn replan(&mut self) {
        let Some(plugin) = self.plugin.clone() else { return };
        let Some(planned) = self.answer(plan::task_configs(&self.services, &self.config, &plugin)).await
        else {
            return;
        };
        match planned {
            Ok(configs) if configs == self.tasks.configs() => {}
            Ok(_) => {
                info!(connector = self.config.name, "the plugin asked for other task configurations");
                self.stop_tasks(self.services.config.shutdown_timeout).await;
                self.reach().await;
            }
            Err(failure) => {
                warn!(connector = self.config.name, "no new task configurations: {}", failure.trace());
            }
        }
    }

    fn order(&mut self, duty: Duty) {
        self.tasks.each(|task| task.order(|order| order.duty = duty));
    }

    async fn stop_tasks(&mut self, limit: Duration) {
        self.swapping.clear();
        self.tasks.stop(&self.config.name, limit).await;
        self.shown.set_tasks(Vec::new());
    }

    /// Moves the tasks to new code, one after the other.
    async fn swap(&mut self, plugin: Arc<Plugin>) {
        let Some(old) = &self.plugin else {
            // It may be what the connector was missing.
            return if self.target == Target::Running {
                self.reach().await
            };
        };
        if old.sha256() == plugin.sha256() {
            return;
        }
        let Some(valid) = self.answer(plan::validate(&self.services, &self.config, &plugin)).await else {
            return;
        };
        if let Err(problems) = valid {
            let problem = format!(
                "version {} ({}) refuses the connector's configuration, version {} goes on: {problems}",
                plugin.version(),
                plugin.sha256(),
                old.version()
            );
            warn!(connector = self.config.name, "plugin {}: {problem}", plugin.name());
            return self.shown.set_plugin_problem(problem);
        }
        info!(
            connector = self.config.name,
            "replacing plugin {}: version {} ({}) by version {} ({})",
            plugin.name(),
            old.version(),
            old.sha256(),
            plugin.version(),
            plugin.sha256()
        );
        self.plugin = Some(plugin.clone());
        self.shown.set_code(plugin.kind(), code_version(&plugin));
        if self.tasks.is_empty() {
            // A connector that failed to plan gets another chance with other code.
            return self.reach().await;
        }
        self.swapping = self.tasks.numbers().collect();
        self.swap_one();
    }

    fn swap_next(&mut self) {
        let _ = self.swapping.pop_front();
        self.swap_one();
    }

    fn swap_one(&mut self) {
        if let (Some(task), Some(plugin)) = (self.swapping.front(), &self.plugin) {
            self.tasks.with(*task, |task| task.order(|order| order.plugin = plugin.clone()));
        }
    }

    async fn restart(&mut self, what: Restart) {
        let failed = self.shown.status().state == State::Failed;
        if self.tasks.is_empty() || (failed && what.include_tasks) {
            if !what.only_failed || failed {
                self.stop_tasks(self.services.config.shutdown_timeout).await;
                self.reach().await;
            }
            return;
        }
        if what.include_tasks {
            let chosen = self
                .tasks
                .iter()
                .filter(|task| !what.only_failed || task.view.status.borrow().state == State::Failed)
                .map(|task| task.number)
                .collect();
            self.restart_tasks(chosen).await;
        }
    }

    async fn restart_tasks(&mut self, chosen: BTreeSet<u32>) {
        let limit = self.services.config.shutdown_timeout;
        let stopped = self.tasks.stop_some(&self.config.name, &chosen, limit).await;
        let configs: Vec<(u32, _)> =
            stopped.into_iter().map(|task: Task| (task.number, task.view.config)).collect();
        let Some(plugin) = self.plugin.clone() else { return };
        let duty = if self.target == Target::Paused { Duty::Pause } else { Duty::Run };
        let started = self.tasks.start_some(&self.services, &self.config, configs, Order { duty, plugin });
        self.shown.set_tasks(self.tasks.views());
        if let Err(failure) = started {
            self.shown.set_state(State::Failed, Some(failure.trace()));
        }
    }
}
