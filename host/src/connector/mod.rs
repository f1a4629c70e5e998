//! One connector: a named configuration, the plugin it uses, and the tasks that run it.
//!
//! A connector is an actor: one tokio task that owns all of this and takes [`Command`]s, one at a time, so that
//! a stop never races a restart. It plans (asks the plugin for task configurations, on an instance that is
//! thrown away, or kept where the plugin watches the outside system: [`observer`]), starts tasks, passes orders to
//! them and replaces their plugin one task after the other. A new plan ends the tasks that it has not, starts those
//! that it has more, and leaves the others alone. What it shows ([`Shown`]) is read without asking it, so that a
//! connector that is busy still answers.

mod former;
pub(crate) mod lifecycle;
mod observer;
mod parts;
mod plan;
mod shown;
pub(crate) mod status;
mod supervisor;
mod tasks;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use self::lifecycle::Target;
pub(crate) use self::shown::{Shown, TaskView};
use crate::config::{ConnectorConfig, RawConfig, WorkerConfig};
use crate::kafka::{Admin, Producers};
use crate::offsets::OffsetStore;
use crate::plugin::{BoxFuture, Registry};
use crate::task::context::code_version;
use crate::task::sink::Roster;

pub(crate) use self::parts::Sought;
pub(crate) use self::plan::{advice, alter_offsets};

/// What all connectors of a worker share.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) config: WorkerConfig,
    pub(crate) registry: Registry,
    pub(crate) producers: Producers,
    pub(crate) offsets: OffsetStore,
    /// The runtime that guests run on.
    pub(crate) guests: tokio::runtime::Handle,
    pub(crate) prefetch: crate::kafka::PrefetchBudget,
    pub(crate) admin: Admin,
    /// Tells this worker's static members from those of another with the same connectors.
    pub(crate) identity: String,
    pub(crate) roster: Roster,
    /// `None`: what is planned lives as long as the worker.
    pub(crate) plans: Option<Arc<dyn Plans>>,
}

/// Where it is kept which tasks a connector has, for other workers.
pub(crate) trait Plans: fmt::Debug + Send + Sync {
    /// Keeps the configurations of a connector's tasks; they run when this has returned. An error: they must not.
    fn keep<'a>(&'a self, connector: &'a str, tasks: Vec<RawConfig>) -> BoxFuture<'a, Result<(), String>>;
}

/// Which parts of a connector to restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Restart {
    pub(crate) include_tasks: bool,
    pub(crate) only_failed: bool,
}

/// What may be asked of a connector. Each is answered when it is done.
#[derive(Debug)]
pub(crate) enum Command {
    SetTarget(Target, oneshot::Sender<()>),
    Configure(Box<ConnectorConfig>, oneshot::Sender<()>),
    /// The plugin of its class has a new version, which may be one for this connector.
    Swap,
    /// A new version of its plugin could not be loaded.
    PluginProblem(String),
    Restart(Restart, oneshot::Sender<()>),
    RestartTask(u32, oneshot::Sender<bool>),
    /// Sent by [`Connector::shutdown`].
    Shutdown(Instant, oneshot::Sender<()>),
}

/// A worker's link to one connector.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    pub(crate) shown: Arc<Shown>,
    commands: mpsc::Sender<Command>,
    /// True once it shall end: what it is busy with then need not be finished.
    closing: Arc<watch::Sender<bool>>,
}

impl Connector {
    /// Starts the actor.
    pub(crate) fn start(services: Arc<Services>, config: ConnectorConfig, target: Target) -> Self {
        Self::restore(services, config, target, Vec::new())
    }

    /// Starts it where another worker left it: with these tasks, if it is paused.
    pub(crate) fn restore(
        services: Arc<Services>,
        config: ConnectorConfig,
        target: Target,
        tasks: Vec<RawConfig>,
    ) -> Self {
        let (commands, inbox) = mpsc::channel(16);
        let shown = Arc::new(Shown::new(&config));
        if let Some(plugin) = services.registry.pick(&config.class, config.version.as_ref()) {
            shown.set_code(plugin.kind(), code_version(&plugin));
        }
        let (closing, told) = watch::channel(false);
        let supervisor = supervisor::Supervisor::new(services, config, target, shown.clone(), told);
        // Ends by itself when the last sender of commands is gone.
        drop(tokio::spawn(supervisor.run(inbox, tasks)));
        Self { shown, commands, closing: Arc::new(closing) }
    }

    /// Ends it: its tasks in good order, and where they stand when `limit` is over.
    pub(crate) async fn shutdown(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let _ = self.closing.send_replace(true);
        let _ = self.ask(|done| Command::Shutdown(until, done)).await;
    }

    /// Sends a command and waits until it is done; `None` when the connector has ended.
    pub(crate) async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.ok()?;
        answer.await.ok()
    }

    /// Sends a command that has no answer.
    pub(crate) async fn tell(&self, command: Command) {
        // A connector that has ended needs to be told nothing.
        let _ = self.commands.send(command).await;
    }
}
