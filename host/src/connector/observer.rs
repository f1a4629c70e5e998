//! The connector's own instance, for plugins that watch the outside system (`watch` in their manifest).
//!
//! What the tasks should read may grow and shrink: tables, shards, files. So the worker keeps one instance of such
//! a connector beside its tasks, in a task of its own on the guests' runtime, and calls `watch` on it again and
//! again. True is what `requestTaskReconfiguration` is to Kafka Connect: `task-configs` is called, on the same
//! instance. The same happens when a guest, here or in a task, called `host.request-reconfiguration`.
//!
//! ```text
//! supervisor ── Observer: stop, plan ──▶ instance: start, task-configs, (watch, task-configs?)*, stop
//!     ▲                                      │
//!     └──────── Word: planned, failed ───────┘
//! ```
//!
//! It changes nothing by itself: it only has the last [`Word`], and the connector's one actor acts on it. That is a
//! state and no queue, as nothing but the newest plan counts; with the observer goes its word, so that nobody
//! hears from an instance that has ended.
//!
//! An error, a trap or a missed deadline fails the connector and no task: what they read goes on as it was
//! planned. The instance is then made anew, with the backoff of tasks; a watch that went well forgives. It lives
//! only while the connector is to run: Kafka Connect calls `stop` at a pause and `start` at a resume, so an
//! instance ends there and a new one plans when it goes on.
//!
//! Each call is bounded by the call's deadline, a guest that answers at once by [`PACE`], and a stop by the
//! worker's time for it: `should-stop` says that it is wanted, and who does not listen is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{info, warn};

use super::Services;
use super::plan::{Planning, TaskConfig};
use crate::config::{ConnectorConfig, Vault};
use crate::plugin::{ConnectorInstance, Plugin};
use crate::task::failure::Failure;
use crate::task::restart::{BY_HAND, RestartBudget};
use crate::task::spawn::{Place, Running};

/// How long a guest is asked to wait in one call.
const MAX_WAIT: Duration = Duration::from_secs(2);
/// Between the starts of two calls, should it not wait.
const PACE: Duration = Duration::from_secs(1);

/// What the connector learns from its instance.
#[derive(Debug, Clone)]
pub(super) enum Word {
    /// These should be the tasks.
    Planned(Vec<TaskConfig>),
    /// The instance is gone; why, and what the next one waits for.
    Failed { trace: String, waits_for: String },
}

impl Word {
    /// That nothing but a restart by hand will help.
    pub(super) fn failed(failure: &Failure, vault: &Vault) -> Self {
        Self::Failed { trace: failure.trace(vault), waits_for: BY_HAND.to_owned() }
    }
}

/// The connector's hold on its instance. Dropped: the instance is dropped where it stands.
#[derive(Debug)]
pub(super) struct Observer {
    running: Running,
    /// Dropped to ask for the end.
    stop: watch::Sender<()>,
    should_stop: Arc<AtomicBool>,
    reconfigure: Arc<AtomicBool>,
    /// `None` until there is one.
    word: watch::Receiver<Option<Word>>,
    /// It ended by itself, and this was told.
    over: bool,
}

impl Observer {
    /// Starts an instance, and others after it when it fails.
    ///
    /// # Errors
    /// The operating system has no thread left.
    pub(super) fn start(
        services: &Services,
        config: &ConnectorConfig,
        plugin: &Arc<Plugin>,
    ) -> Result<Self, Failure> {
        let planning = Planning::new(services, config, plugin);
        let place = Place::of(&planning.setup.sandbox);
        let (stop, stopped) = watch::channel(());
        let (say, word) = watch::channel(None);
        let (should_stop, reconfigure) =
            (planning.setup.should_stop.clone(), planning.setup.reconfigure.clone());
        let keeper = Keeper {
            planning,
            budget: RestartBudget::new(services.config.restart_max, services.config.restart_backoff),
            stopped,
            say,
        };
        let name = format!("{}-connector", config.name);
        let running = Running::start(&services.guests, place, &name, keeper.run());
        let running = running.map_err(|source| Failure::Thread { source })?;
        Ok(Self { running, stop, should_stop, reconfigure, word, over: false })
    }

    /// The next word; waits for ever where nobody observes.
    pub(super) async fn hear(observer: Option<&mut Self>) -> Word {
        let Some(Self { word, over, .. }) = observer.filter(|observer| !observer.over) else {
            return std::future::pending().await;
        };
        if word.changed().await.is_err() {
            *over = true;
            return Word::failed(&Failure::Panicked, &Vault::default());
        }
        word.borrow_and_update().clone().expect("only words are said")
    }

    /// Asks for another plan, though nothing may have changed outside.
    pub(super) fn plan(&self) {
        self.reconfigure.store(true, Ordering::Relaxed);
        self.should_stop.store(true, Ordering::Release);
    }

    /// Ends the instance in good order, or where it stands after `limit`.
    pub(super) async fn stop(mut self, connector: &str, limit: Duration) {
        drop(self.stop);
        self.should_stop.store(true, Ordering::Release);
        if timeout(limit, self.running.ended()).await.is_err() {
            warn!(connector, "the connector's instance did not stop in time and is dropped");
            self.running.abort();
        }
    }
}

/// The other side: who keeps the instance.
struct Keeper {
    planning: Planning,
    budget: RestartBudget,
    /// An error once the connector wants the end.
    stopped: watch::Receiver<()>,
    say: watch::Sender<Option<Word>>,
}

impl Keeper {
    /// Instances one after the other, until stop.
    async fn run(mut self) {
        while let Err(failure) = self.incarnation().await {
            let trace = failure.trace(&self.planning.setup.vault);
            warn!(connector = self.connector(), "connector failed, its tasks go on: {trace}");
            let wait = if failure.can_start_again() { self.budget.failed() } else { None };
            self.say(Word::Failed { trace, waits_for: self.budget.waits_for(wait) });
            tokio::select! {
                _ = self.stopped.changed() => return,
                () = sleep(wait.unwrap_or_default()), if wait.is_some() => {}
            }
            info!(connector = self.connector(), "connector starts again");
        }
    }

    /// One instance, until stop or failure.
    async fn incarnation(&mut self) -> Result<(), Failure> {
        let mut instance = self.planning.start().await?;
        let end = self.attend(&mut instance).await;
        // It goes; an error on its way out changes nothing, and of a dead one it can be no other.
        let _ = instance.stop().await;
        end
    }

    fn connector(&self) -> &str {
        &self.planning.setup.connector
    }

    async fn attend(&mut self, instance: &mut ConnectorInstance) -> Result<(), Failure> {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changed = true;
        loop {
            // Read before the next call, so that what is asked for during it costs one more plan and is not lost.
            changed |= self.planning.setup.reconfigure.swap(false, Ordering::Relaxed);
            if changed {
                let configs = self.planning.ask(instance).await?;
                self.say(Word::Planned(configs));
            }
            tokio::select! {
                biased;
                _ = self.stopped.changed() => return Ok(()),
                _ = pace.tick() => {}
            }
            changed = self.watch(instance).await?;
        }
    }

    /// One call of `watch`, or none when something else is asked for.
    async fn watch(&mut self, instance: &mut ConnectorInstance) -> Result<bool, Failure> {
        // Whoever asks for something raises the flag after it: what was asked before this line is seen below, the
        // rest by the guest.
        let _ = self.planning.setup.should_stop.swap(false, Ordering::AcqRel);
        if self.planning.setup.reconfigure.load(Ordering::Relaxed) || self.stopped.has_changed().is_err() {
            return Ok(false);
        }
        let changed = instance.watch(MAX_WAIT).await.map_err(Failure::Call)?;
        self.budget.progress();
        Ok(changed)
    }

    fn say(&self, word: Word) {
        // Nobody there to hear it: the connector is about to drop the instance.
        let _ = self.say.send(Some(word));
    }
}
