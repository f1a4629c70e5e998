//! What a task is doing: Kafka Connect's states and what is shown with them.

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
    const ALL: [Self; 6] =
        [Self::Unassigned, Self::Running, Self::Paused, Self::Stopped, Self::Failed, Self::Restarting];

    /// Of the word used in the REST API.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

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
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SwapReport {
    /// What ran before.
    pub(crate) from: CodeVersion,
    /// What was to run.
    pub(crate) to: CodeVersion,
    /// Why it did not come to that; `None` when it did.
    pub(crate) error: Option<String>,
    /// Whether it ran, failed soon, and what ran before came back.
    pub(crate) rolled_back: bool,
    /// How long the task stood still, in milliseconds.
    pub(crate) pause_ms: f64,
}

/// Who told a status, where it was not this worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// `host:port` of the worker.
    pub(crate) worker: String,
    /// The version of the plugin that it runs there.
    pub(crate) version: Option<String>,
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
    /// `None`: it is this worker's.
    pub(crate) elsewhere: Option<Elsewhere>,
}
