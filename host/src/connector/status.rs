//! What a connector and its tasks are doing: the states of Kafka Connect and what is shown with them.

use std::sync::Arc;

use crate::plugin::Kind;

/// The state of a connector or a task, in Kafka Connect's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Not started yet, or on its way out.
    Unassigned,
    /// At work.
    Running,
    /// Started, but told to wait.
    Paused,
    /// Told to hold nothing: a connector without tasks.
    Stopped,
    /// Ended by an error; `trace` says which.
    Failed,
    /// About to start again.
    Restarting,
}

impl State {
    /// The word used in the REST API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unassigned => "UNASSIGNED",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
            Self::Failed => "FAILED",
            Self::Restarting => "RESTARTING",
        }
    }
}

/// Which code a connector or task runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CodeVersion {
    /// The plugin's name.
    pub(crate) plugin: String,
    /// Its version, as the manifest says.
    pub(crate) version: String,
    /// The sha256 of the component file, in hexadecimal.
    pub(crate) sha256: String,
}

/// The last replacement of a task's plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SwapReport {
    /// What ran before.
    pub(crate) from: CodeVersion,
    /// What was to run.
    pub(crate) to: CodeVersion,
    /// Why it did not come to that; `None` when it did.
    pub(crate) error: Option<String>,
    /// How long the task stood still, in milliseconds.
    pub(crate) pause_ms: f64,
}

/// One task, as a reader sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TaskStatus {
    /// The task's number, from 0.
    pub(crate) id: u32,
    pub(crate) state: State,
    /// Why it failed, with the guest's backtrace where there is one.
    pub(crate) trace: Option<String>,
    /// What it waits for, where that is not obvious from the state.
    pub(crate) waiting_for: Option<String>,
    /// `None` where it failed before its code was known.
    pub(crate) code: Option<CodeVersion>,
    pub(crate) last_swap: Option<SwapReport>,
    /// How often it was started again after a failure.
    pub(crate) restarts: u32,
}

/// One connector, as a reader sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ConnectorStatus {
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) trace: Option<String>,
    /// `None` while the plugin of its class is not known.
    pub(crate) kind: Option<Kind>,
    pub(crate) code: Option<CodeVersion>,
    /// In the order of their numbers.
    pub(crate) tasks: Vec<Arc<TaskStatus>>,
}
