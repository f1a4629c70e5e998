//! The actor that owns a connector.

mod keep;
mod reload;
mod restart;
mod swap;

use std::collections::{BTreeSet, VecDeque};
use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config::ConnectorConfig;
use crate::connector::former::Watch;
use crate::connector::lifecycle::{Step, Target, reached, step};
use crate::connector::observer::{Observer, Word};
use crate::connector::plan::TaskConfig;
use crate::connector::status::State;
use crate::connector::supervisor::reload::Reload;
use crate::connector::tasks::Tasks;
use crate::connector::{Command, Restart, Services, Shown, plan};
use crate::plugin::Plugin;
use crate::task::context::{Duty, Order, code_version};
use crate::task::restart::BY_HAND;

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
    /// The connector's own instance, if the plugin watches the outside system and the target is to run.
    observer: Option<Observer>,
    /// Whether the tasks are those of a configuration before this one.
    outdated: bool,
    /// Over its consumer group.
    watch: Option<Watch>,
    /// The code before `plugin`, while that has not proved itself.
    before: Option<Arc<Plugin>>,
    /// The content of code that was rolled back: not taken again by itself.
    put_aside: Option<String>,
    /// Tasks that have yet to be told of `plugin`, the first being at it.
    swapping: VecDeque<u32>,
    /// Of what the configuration refers to.
    reload: Option<Reload>,
    closing: watch::Receiver<bool>,
    /// The tasks are another worker's, and were not planned by this one.
    adopted: bool,
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
            plugin: None,
            before: None,
            put_aside: None,
            tasks: Tasks::noting(shown.topics().clone()),
            shown,
            observer: None,
            outdated: false,
            watch: None,
            swapping: VecDeque::new(),
            reload: None,
            closing,
            adopted: false,
        }
    }

    /// Runs until shut down, or until nobody can send commands any more.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Command>, former: Vec<TaskConfig>) {
        self.adopt(former).await;
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
                word = Observer::hear(self.observer.as_mut()) => self.heed(word).await,
                _ = look.tick() => self.look().await,
            }
        }
        self.stop(self.services.config.shutdown_timeout).await;
    }

    /// Does what tasks ask for without a word: another plan, the way back from new code.
    async fn look(&mut self) {
        if self.tasks.take_reconfigure() {
            self.replan().await;
        }
        if let Some(report) = self.plugin.as_ref().and_then(|plugin| self.tasks.rolled_back(plugin.sha256()))
        {
            self.go_back(&report).await;
        }
        if self.target == Target::Running && Reload::is_news(self.reload.as_mut(), &self.config).await {
            self.restart(Restart { include_tasks: true, only_failed: false }).await;
        }
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
                self.configure(*config).await;
                let _ = done.send(());
            }
            Command::Swap => self.swap().await,
            Command::PluginProblem(problem) => self.shown.set_plugin_problem(problem),
            Command::Restart(what, done) => {
                self.announce(what);
                let _ = done.send(());
                self.restart(what).await;
            }
            Command::RestartTask(task, done) => {
                let exists = self.tasks.contains(task);
                if exists {
                    self.shown.set_restarting(BTreeSet::from([task]));
                }
                let _ = done.send(exists);
                if exists {
                    self.restart_tasks(BTreeSet::from([task])).await;
                }
            }
            Command::Shutdown(until, done) => {
                self.stop(until.saturating_duration_since(Instant::now())).await;
                self.shown.set_state(State::Unassigned);
                return Some(done);
            }
        }
        None
    }

    /// Takes another configuration. Tasks of a paused connector are there afterwards, as they were: there will be a
    /// new plan when they go on, as in Kafka Connect.
    async fn configure(&mut self, config: ConnectorConfig) {
        let stay = self.target == Target::Paused && config.class == self.config.class;
        let tasks =
            self.tasks.iter().filter(|_| stay).map(|task| (task.number, task.view.config.clone())).collect();
        self.stop(self.services.config.shutdown_timeout).await;
        self.config = config;
        self.shown.set_config(&self.config);
        self.plugin = self.pick().filter(|_| stay);
        let _ = self.begin(tasks);
        self.outdated = !self.tasks.is_empty();
        self.reach().await;
    }

    /// Does what the target asks for.
    async fn reach(&mut self) {
        if self.target == Target::Running && self.outdated {
            self.stop(self.services.config.shutdown_timeout).await;
        }
        let step = step(self.target, self.is_active());
        if step == Step::Start {
            // Before the tasks read it, so that no change is missed in between.
            self.reload = Reload::of(&self.config).await;
        }
        match step {
            Step::Start => self.start().await,
            Step::Stop => self.stop(self.services.config.shutdown_timeout).await,
            Step::Pause => {
                self.order(Duty::Pause);
                self.unobserve(self.services.config.shutdown_timeout).await;
            }
            Step::Resume => {
                self.order(Duty::Run);
                // What another worker left may be planned otherwise by now.
                if std::mem::take(&mut self.adopted) {
                    self.replan().await;
                }
            }
            Step::Nothing => {}
        }
        // The old one first: what it found is no news of the new one's group.
        self.watch = None;
        self.watch = Watch::start(&self.services, &self.config, self.target, &self.shown);
        match step {
            Step::Start => {}
            // Its instance says how it is, and may have said so already.
            Step::Resume if self.watches() => {
                if self.observer.is_none() {
                    self.observe().await;
                }
            }
            // A pause mends nothing, so what failed still says so: as in Kafka Connect.
            _ if self.target == Target::Paused && self.shown.has_failed() => {
                self.shown.set_waits_for(format!("a resume, or {BY_HAND}"));
            }
            _ => self.shown.set_state(reached(self.target)),
        }
    }

    /// Whether anything runs.
    fn is_active(&self) -> bool {
        !self.tasks.is_empty() || self.observer.is_some()
    }

    /// Whether the plugin watches the outside system.
    fn watches(&self) -> bool {
        self.plugin.as_ref().is_some_and(|plugin| plugin.manifest().watch)
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
        let Some(plugin) = self.pick() else {
            // Whatever comes is new then, also what ran here before.
            self.plugin = None;
            return self.fail(self.no_plugin());
        };
        (self.plugin, self.before) = (Some(plugin.clone()), None);
        self.shown.set_code(plugin.kind(), code_version(&plugin));
        if self.watches() {
            return self.observe().await;
        }
        match self.answer(plan::task_configs(&self.services, &self.config, &plugin)).await {
            Some(Ok(configs)) => self.apply(configs).await,
            Some(Err(failure)) => self.fail(failure.trace(&self.config.vault)),
            None => {}
        }
    }

    fn fail(&self, trace: String) {
        warn!(connector = self.config.name, "connector failed: {trace}");
        self.shown.set_failed(trace, BY_HAND.to_owned());
    }

    /// Starts the connector's own instance, and does what it says first.
    async fn observe(&mut self) {
        let Some(plugin) = self.plugin.clone() else { return };
        if let Some(word) = self.first_word(&plugin).await {
            self.heed(word).await;
        }
    }

    /// `None`: as in [`Self::answer`].
    async fn first_word(&mut self, plugin: &Arc<Plugin>) -> Option<Word> {
        let mut observer = match Observer::start(&self.services, &self.config, plugin) {
            Ok(observer) => observer,
            Err(failure) => return Some(Word::failed(&failure, &self.config.vault)),
        };
        let word = self.answer(Observer::hear(Some(&mut observer))).await;
        self.observer = Some(observer);
        word
    }

    async fn heed(&mut self, word: Word) {
        match word {
            Word::Planned(configs) => self.apply(configs).await,
            Word::Failed { trace, waits_for } => self.shown.set_failed(trace, waits_for),
        }
    }

    /// Ends the connector's own instance, if there is one.
    async fn unobserve(&mut self, limit: Duration) {
        if let Some(observer) = self.observer.take() {
            observer.stop(&self.config.name, limit).await;
        }
    }

    /// A guest asked for it: other tasks, if the plugin now answers with other configurations.
    async fn replan(&mut self) {
        let Some(plugin) = self.plugin.clone() else { return };
        if self.watches() {
            // Where there is none, the next one plans anyway.
            return self.observer.iter().for_each(Observer::plan);
        }
        let Some(planned) = self.answer(plan::task_configs(&self.services, &self.config, &plugin)).await
        else {
            return;
        };
        match planned {
            Ok(configs) => self.apply(configs).await,
            Err(failure) => {
                warn!(
                    connector = self.config.name,
                    "no new task configurations: {}",
                    failure.trace(&self.config.vault)
                );
            }
        }
    }

    /// Makes the tasks those of a plan. Tasks that are in it as they are go on undisturbed.
    async fn apply(&mut self, configs: Vec<TaskConfig>) {
        let kept = keep::as_kept(&self.config, &configs);
        let gone = self.tasks.other_than(&configs);
        let missing: Vec<(u32, TaskConfig)> = (0..)
            .zip(configs)
            .filter(|(number, _)| !self.tasks.contains(*number) || gone.contains(number))
            .collect();
        if !self.tasks.is_empty() && (!gone.is_empty() || !missing.is_empty()) {
            let started: Vec<u32> = missing.iter().map(|(number, _)| *number).collect();
            info!(
                connector = self.config.name,
                "the plugin plans anew: ends tasks {gone:?}, starts {started:?}"
            );
        }
        let limit = self.services.config.shutdown_timeout;
        let _ = self.tasks.stop_some(&self.config.name, &gone, limit).await;
        if !self.keep(kept).await {
            return;
        }
        if self.begin(missing) {
            self.shown.set_state(reached(self.target));
        }
    }

    /// Starts tasks. False: they could not, and the connector failed.
    fn begin(&mut self, configs: Vec<(u32, TaskConfig)>) -> bool {
        let Some(plugin) = self.plugin.clone() else { return false };
        let duty = if self.target == Target::Paused { Duty::Pause } else { Duty::Run };
        let started = self.tasks.start_some(&self.services, &self.config, configs, Order { duty, plugin });
        self.shown.set_tasks(self.tasks.views());
        // Nobody waits for a task to take new code that is not there any more.
        self.swapping.retain(|number| self.tasks.contains(*number));
        self.swap_one();
        if let Err(failure) = &started {
            self.fail(failure.trace(&self.config.vault));
        }
        started.is_ok()
    }

    fn order(&mut self, duty: Duty) {
        self.tasks.each(|task| task.order(|order| order.duty = duty));
    }

    /// Ends everything, side by side.
    async fn stop(&mut self, limit: Duration) {
        self.swapping.clear();
        self.outdated = false;
        let (name, observer) = (&self.config.name, self.observer.take());
        let unobserve = async {
            if let Some(observer) = observer {
                observer.stop(name, limit).await;
            }
        };
        let ((), ()) = tokio::join!(unobserve, self.tasks.stop(name, limit));
        self.shown.set_tasks(Vec::new());
    }
}
