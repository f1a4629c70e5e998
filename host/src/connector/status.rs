//! What a connector and its tasks are doing, as a reader sees it.

use crate::config::Kind;
pub(crate) use crate::task::status::{CodeVersion, Elsewhere, State, SwapReport, TaskStatus};

/// One connector, as a reader sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ConnectorStatus {
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) trace: Option<String>,
    /// `None` while the plugin of its class is not known.
    pub(crate) kind: Option<Kind>,
    pub(crate) code: Option<CodeVersion>,
    /// Why a newer version of the plugin could not be taken.
    pub(crate) plugin_problem: Option<String>,
    /// What it waits for, where that is not obvious from the state.
    pub(crate) waiting_for: Option<String>,
    /// In the order of their numbers.
    pub(crate) tasks: Vec<TaskStatus>,
    /// `None`: it is this worker's.
    pub(crate) elsewhere: Option<Elsewhere>,
}
