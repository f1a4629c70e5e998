//! What both loops share: the orders they follow, the state they show, the counters they bump.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{info, warn};

use super::failure::Failure;
use super::metrics::TaskMetrics;
use super::restart::RestartBudget;
use super::status::{CodeVersion, State, SwapReport, TaskStatus};
use super::topics::Topics;
use crate::config::{RawConfig, Sandbox, Vault};
use crate::plugin::{self, OffsetLookup, Plugin, Setup};

/// What a task shall be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    Run,
    Pause,
    Stop,
}

/// What the connector wants of a task: a wish, not an event, so that the newest is all there is to know.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) duty: Duty,
    /// The code it shall run.
    pub(crate) plugin: Arc<Plugin>,
}

/// What a loop has to do next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Go on.
    Run,
    /// Hold still.
    Pause,
    /// End in good order.
    Stop,
    /// Take the one path to this code.
    Swap(Arc<Plugin>),
}

/// Who a task is and what it runs with; never changes while it lives.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) connector: String,
    pub(crate) task: u32,
    /// The task's configuration, a JSON object of strings, without what the worker adds.
    pub(crate) config: serde_json::Map<String, serde_json::Value>,
    /// Those of its keys whose text is what the user wrote, with references to be resolved.
    pub(crate) references: RawConfig,
    /// The connector's.
    pub(crate) vault: Vault,
}

/// What a task and its connector share.
#[derive(Debug)]
pub(crate) struct Links {
    pub(crate) orders: watch::Receiver<Order>,
    pub(crate) status: watch::Sender<TaskStatus>,
    pub(crate) metrics: Arc<TaskMetrics>,
    pub(crate) topics: Topics,
    /// Set by a guest that wants its connector to plan anew.
    pub(crate) reconfigure: Arc<AtomicBool>,
}

/// One task's view of its connector, and what it shows of itself.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) identity: Identity,
    pub(crate) orders: watch::Receiver<Order>,
    pub(crate) metrics: Arc<TaskMetrics>,
    /// Those that the connector uses.
    pub(crate) topics: Topics,
    /// What the guest's `should-stop` answers.
    pub(crate) should_stop: Arc<AtomicBool>,
    /// The code that runs, or ran last.
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) budget: RestartBudget,
    /// Set by a guest that wants its connector to plan anew.
    reconfigure: Arc<AtomicBool>,
    status: watch::Sender<TaskStatus>,
    /// The code that failed to open when it should have replaced `plugin`, or soon after: not tried again.
    refused: Option<String>,
    /// How long new code has to prove itself.
    probation: Duration,
    /// The code before `plugin`, and when `plugin` has proved itself.
    before: Option<(Arc<Plugin>, Instant)>,
    /// Why `plugin` is what ran before, until it runs again.
    back: Option<String>,
    generation: u64,
}

impl Context {
    pub(crate) fn new(identity: Identity, links: Links, budget: RestartBudget, probation: Duration) -> Self {
        let Links { orders, status, metrics, topics, reconfigure } = links;
        let plugin = orders.borrow().plugin.clone();
        Self {
            identity,
            orders,
            metrics,
            topics,
            should_stop: Arc::new(AtomicBool::new(false)),
            plugin,
            budget,
            reconfigure,
            status,
            refused: None,
            probation,
            before: None,
            back: None,
            generation: 0,
        }
    }

    /// What the newest order asks for.
    pub(crate) fn next(&mut self) -> Next {
        let order = self.orders.borrow_and_update().clone();
        if order.duty == Duty::Stop {
            return Next::Stop;
        }
        let wanted = order.plugin.sha256();
        if wanted != self.plugin.sha256() && self.refused.as_deref() != Some(wanted) {
            return Next::Swap(order.plugin);
        }
        if order.duty == Duty::Pause { Next::Pause } else { Next::Run }
    }

    /// Waits for a newer order.
    pub(crate) async fn changed(&mut self) {
        changed(&mut self.orders).await;
    }

    /// The configuration for a new instance, as JSON. What it refers to is read anew each time.
    ///
    /// # Errors
    /// What it refers to cannot be had.
    pub(crate) async fn instance_config(&mut self) -> Result<String, Failure> {
        let Identity { references, vault, .. } = &self.identity;
        let resolved = plugin::resolve(vault, references).await.map_err(Failure::Secrets)?;
        self.generation += 1;
        let Identity { connector, task, config, .. } = &self.identity;
        let mut config = config.clone();
        config.extend(resolved.into_iter().map(|(key, value)| (key, value.into())));
        Ok(plugin::instance_config(&config, connector, *task, self.generation))
    }

    /// What a new instance is given besides its configuration.
    pub(crate) fn setup(&self, sandbox: &Arc<Sandbox>, offsets: Option<Arc<dyn OffsetLookup>>) -> Setup {
        Setup {
            connector: self.identity.connector.as_str().into(),
            task: Some(self.identity.task),
            sandbox: sandbox.clone(),
            should_stop: self.should_stop.clone(),
            meters: self.metrics.guest.clone(),
            reconfigure: self.reconfigure.clone(),
            offsets,
            vault: self.identity.vault.clone(),
        }
    }

    /// A guest call is about to begin.
    pub(crate) fn clear_should_stop(&self) {
        self.should_stop.store(false, Ordering::Relaxed);
    }

    pub(crate) fn show(&self, state: State) {
        let _ = self.status.send_if_modified(|status| {
            let changed = status.state != state || status.trace.is_some();
            status.state = state;
            status.trace = None;
            changed
        });
    }

    pub(crate) fn show_running(&mut self) {
        self.back = None;
        let code = code_version(&self.plugin);
        self.status.send_modify(|status| status.code = Some(code));
        self.show(State::Running);
    }

    /// Says what a task that does not move waits for.
    pub(crate) fn show_waiting(&self, what: Option<String>) {
        let _ = self.status.send_if_modified(|status| {
            let changed = status.waiting_for != what;
            status.waiting_for = what;
            changed
        });
    }

    pub(crate) fn show_failed(&self, failure: &Failure) {
        self.metrics.failures.add(1);
        let trace = failure.trace(&self.identity.vault);
        let trace = match &self.back {
            Some(why) => format!("{why}, and that cannot go on from the present offsets: {trace}"),
            None => trace,
        };
        warn!(connector = self.identity.connector, task = self.identity.task, "task failed: {trace}");
        self.status.send_modify(|status| {
            status.state = State::Failed;
            status.trace = Some(trace);
        });
    }

    pub(crate) fn show_restart(&self) {
        self.metrics.restarts.add(1);
        self.status.send_modify(|status| {
            status.state = State::Restarting;
            status.restarts += 1;
        });
    }

    /// The swap to `to` is done.
    pub(crate) fn swapped(&mut self, to: Arc<Plugin>, begun: Instant) {
        let from = std::mem::replace(&mut self.plugin, to);
        self.refused = None;
        self.metrics.swaps.add(1);
        let report = self.report(code_version(&from), code_version(&self.plugin), None, begun.elapsed());
        self.before = Some((from, Instant::now() + self.probation));
        info!(
            connector = self.identity.connector,
            task = self.identity.task,
            pause_ms = report.pause_ms,
            "plugin {} replaced: version {} ({}) by version {} ({})",
            report.to.plugin,
            report.from.version,
            short(&report.from.sha256),
            report.to.version,
            short(&report.to.sha256),
        );
        self.status.send_modify(|status| status.last_swap = Some(report));
        self.show_running();
    }

    /// After a failure of code that has not proved itself: makes what ran before it the code to run. False: there is
    /// none, or the failure is not the code's.
    ///
    /// What the new code committed stays committed (invariant 2): if the old one cannot open with that, the task
    /// fails and says so.
    pub(crate) fn roll_back(&mut self, failure: &Failure) -> bool {
        let Some((old, until)) = self.before.take() else { return false };
        if Instant::now() >= until || !failure.is_the_plugins() {
            return false;
        }
        let failed = std::mem::replace(&mut self.plugin, old);
        self.metrics.rollbacks.add(1);
        let (millis, version) = (self.probation.as_millis(), self.plugin.version());
        let how = format!("failed on probation (plugin.probation.ms={millis}), version {version} runs again");
        self.back = Some(format!(
            "version {} failed on probation and was rolled back to version {}",
            failed.version(),
            self.plugin.version()
        ));
        let report = self.report_of(&failed, failure, Duration::ZERO);
        self.keep_out(&how, SwapReport { rolled_back: true, ..report });
        true
    }

    /// The swap to `to` failed; what ran before goes on.
    pub(crate) fn swap_refused(&mut self, to: &Plugin, failure: &Failure, begun: Instant) {
        self.metrics.swap_failures.add(1);
        let how = format!("failed to open, version {} goes on", self.plugin.version());
        self.keep_out(&how, self.report_of(to, failure, begun.elapsed()));
    }

    /// Of code that does not run, because of this failure; what ran before does.
    fn report_of(&self, failed: &Plugin, failure: &Failure, pause: Duration) -> SwapReport {
        let trace = failure.trace(&self.identity.vault);
        self.report(code_version(&self.plugin), code_version(failed), Some(trace), pause)
    }

    /// Sees to it that the code of a swap that failed is not tried again, and says why.
    fn keep_out(&mut self, how: &str, report: SwapReport) {
        warn!(
            connector = self.identity.connector,
            task = self.identity.task,
            "plugin {} version {} ({}) {how}: {}",
            report.to.plugin,
            report.to.version,
            short(&report.to.sha256),
            report.error.as_deref().unwrap_or_default(),
        );
        self.refused = Some(report.to.sha256.clone());
        self.status.send_modify(|status| status.last_swap = Some(report));
    }

    fn report(
        &self,
        from: CodeVersion,
        to: CodeVersion,
        error: Option<String>,
        pause: Duration,
    ) -> SwapReport {
        SwapReport { from, to, error, rolled_back: false, pause_ms: pause.as_secs_f64() * 1000.0 }
    }
}

/// Waits for a newer order; for ever when the connector is gone, which drops the task.
pub(crate) async fn changed(orders: &mut watch::Receiver<Order>) {
    if orders.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What a status shows of a plugin.
pub(crate) fn code_version(plugin: &Plugin) -> CodeVersion {
    CodeVersion {
        plugin: plugin.name().to_owned(),
        version: plugin.version().to_string(),
        sha256: plugin.sha256().to_owned(),
    }
}

/// Enough of a hash to tell two versions apart in a log line.
fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}
