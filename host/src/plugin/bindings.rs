//! The contract in `wit/`, as Rust.
//!
//! One `bindgen!` binds the world that has every export; what a component is, is learnt from the
//! exports it has (see [`Exports`]). Exports are called asynchronously: the guest runs on a fiber and
//! gives the thread back at every tick. Imports are plain functions, except those that may have to
//! wait for a store or for the network. A batch goes down as a borrowed slice (one copy, into the guest's memory) and
//! comes up as a vector (one copy, out of it).

mod generated {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "transom:connect/worker-side",
        imports: {
            "transom:connect/source-context.offsets": async,
            "transom:connect/net.connect": async,
            "transom:connect/net.start-tls": async,
            "transom:connect/net.send": async,
            "transom:connect/net.receive": async,
            "transom:connect/net.close": async,
        },
        exports: { default: async },
    });
}

pub(crate) use generated::exports::transom::connect::{connector, plugin, sink_task, source_task, transform};
pub(crate) use generated::transom::connect::{host, net, sink_context, source_context, types};

use super::imports::TaskState;
use crate::config::Kind;
use wasmtime::component::InstancePre;

/// Where the exports of one component are; looked up once a component.
#[derive(Clone)]
pub(crate) struct Exports {
    pub(crate) plugin: plugin::GuestIndices,
    pub(crate) connector: Option<connector::GuestIndices>,
    pub(crate) task: TaskExports,
}

/// The interface that makes a component a source, a sink or a transform.
#[derive(Clone)]
pub(crate) enum TaskExports {
    Source(source_task::GuestIndices),
    Sink(sink_task::GuestIndices),
    Transform(transform::GuestIndices),
}

/// What is wrong with the exports of a component.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportsError {
    /// `plugin` is missing or has another shape.
    #[error("it does not export `transom:connect/plugin` as the contract says")]
    NoPlugin(#[source] wasmtime::Error),
    /// A source or sink without `connector`.
    #[error("it is a {kind} but does not export `transom:connect/connector` as the contract says")]
    NoConnector {
        /// What it is otherwise.
        kind: Kind,
        /// The missing function.
        #[source]
        source: wasmtime::Error,
    },
    /// None of the three, or more than one.
    #[error("it exports {found} of `source-task`, `sink-task` and `transform`; exactly one makes a plugin")]
    NotOneKind {
        /// How many of them it exports.
        found: usize,
    },
}

impl Exports {
    /// Learns from its exports what a component is.
    ///
    /// # Errors
    /// When they are not those of one kind of plugin.
    pub(crate) fn of(pre: &InstancePre<TaskState>) -> Result<Self, ExportsError> {
        let plugin = plugin::GuestIndices::new(pre).map_err(ExportsError::NoPlugin)?;
        let mut tasks = [
            source_task::GuestIndices::new(pre).map(TaskExports::Source).ok(),
            sink_task::GuestIndices::new(pre).map(TaskExports::Sink).ok(),
            transform::GuestIndices::new(pre).map(TaskExports::Transform).ok(),
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
        let found = tasks.len();
        let (Some(task), 1) = (tasks.pop(), found) else {
            return Err(ExportsError::NotOneKind { found });
        };
        let connector = connector::GuestIndices::new(pre);
        let connector = match task.kind() {
            Kind::Transform => connector.ok(),
            kind => Some(connector.map_err(|source| ExportsError::NoConnector { kind, source })?),
        };
        Ok(Self { plugin, connector, task })
    }

    /// What the component is.
    pub(crate) fn kind(&self) -> Kind {
        self.task.kind()
    }
}

impl TaskExports {
    fn kind(&self) -> Kind {
        match self {
            Self::Source(_) => Kind::Source,
            Self::Sink(_) => Kind::Sink,
            Self::Transform(_) => Kind::Transform,
        }
    }
}
