//! Instances of plugins, typed: the calls of the contract as async functions.
//!
//! One instance is one task (or one connector), with a store of its own. It dies with the first trap or
//! missed deadline and is then made anew by its owner. Calls take `&mut self`: never two at a time.
//! A call's limit is `sandbox.<plugin>.call.timeout.ms`, plus the time it was asked to wait.

use super::bindings::{TaskExports, connector, sink_task, source_task, transform};
use super::call::{Answer, CallError, Core, JSON_MAX};
use super::imports::{Setup, TaskState};
use super::limits::HANDLES;
use super::load::{Code, Plugin};
use super::requests::{SinkRequests, TopicPartition};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::Store;
use wasmtime::component::Instance;

/// Bytes a batch may answer beyond what was asked for or given: its small columns.
const BATCH_SLACK: usize = 1 << 20;

/// Makes a store and an instance in it; the guest's start functions run here, with a call's limit.
pub(crate) async fn instantiate(code: &Code, setup: Setup) -> Result<(Core, Instance), CallError> {
    let state = TaskState::new(&code.engine, &code.name, setup)?;
    let mut store = Store::new(code.engine.wasm(), state);
    store.limiter(|state| &mut state.limits);
    store.set_max_component_handles(HANDLES);
    store.epoch_deadline_async_yield_and_update(1);
    let mut core = Core::new(store, Arc::clone(&code.name));
    let mut call = core.begin("instantiate", Duration::ZERO, JSON_MAX)?;
    let outcome = call.run(code.pre.instantiate_async(&mut core.store)).await;
    let instance = core.end(&call, outcome.map(|result| result.map(Instantiated)))?;
    Ok((core, instance.0))
}

struct Instantiated(Instance);

impl Answer for Instantiated {
    fn size(&self) -> usize {
        0
    }
}

/// What all instances can do.
macro_rules! every_instance {
    ($type:ident) => {
        impl $type {
            /// Whether it can no longer be called.
            pub(crate) fn is_dead(&self) -> bool {
                self.core.is_dead()
            }

            /// The plugin it is an instance of.
            pub(crate) fn plugin(&self) -> &Arc<Plugin> {
                &self.plugin
            }

            /// Bytes of its memories.
            pub(crate) fn memory(&self) -> usize {
                self.core.store.data().limits.memory()
            }

            /// The time that calls have from now on, beyond what they are asked to wait.
            pub(crate) fn set_call_timeout(&mut self, timeout: Duration) {
                self.core.set_timeout(timeout);
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($type)).field("plugin", &self.plugin).finish_non_exhaustive()
            }
        }
    };
}

/// Calls a function of `self.guest` that fails in the guest's own words.
macro_rules! fallible {
    ($self:ident, $name:literal, $wait:expr, $max:expr, $call:ident($($arg:expr),*)) => {{
        let mut call = $self.core.begin($name, $wait, $max)?;
        let outcome = call.run($self.guest.$call(&mut $self.core.store, $($arg),*)).await;
        $self.core.end_fallible(&call, outcome)
    }};
}

/// Calls a function of `self.guest` that cannot fail but by trapping.
macro_rules! infallible {
    ($self:ident, $name:literal, $max:expr, $call:ident($($arg:expr),*)) => {{
        let mut call = $self.core.begin($name, Duration::ZERO, $max)?;
        let outcome = call.run($self.guest.$call(&mut $self.core.store, $($arg),*)).await;
        $self.core.end(&call, outcome)
    }};
}

/// An instance of a source's task.
pub(crate) struct SourceInstance {
    core: Core,
    plugin: Arc<Plugin>,
    guest: source_task::Guest,
}

every_instance!(SourceInstance);

impl SourceInstance {
    /// Makes one.
    pub(crate) async fn new(plugin: &Arc<Plugin>, setup: Setup) -> Result<Self, CallError> {
        let TaskExports::Source(indices) = &plugin.code().exports.task else {
            return Err(CallError::WrongKind { plugin: plugin.name_arc(), wanted: "source" });
        };
        let (mut core, instance) = instantiate(plugin.code(), setup).await?;
        let guest =
            indices.load(&mut core.store, &instance).map_err(|error| core.trap("instantiate", &error))?;
        Ok(Self { core, plugin: Arc::clone(plugin), guest })
    }

    pub(crate) async fn open(&mut self, config: &str) -> Result<(), CallError> {
        fallible!(self, "open", Duration::ZERO, JSON_MAX, call_open(config))
    }

    /// The next records: a batch that is not yet looked at, or an empty one; of at most `answer_max` bytes.
    pub(crate) async fn poll(
        &mut self,
        max_records: u32,
        max_bytes: u32,
        max_wait: Duration,
        answer_max: usize,
    ) -> Result<Vec<u8>, CallError> {
        let wait_ms = u32::try_from(max_wait.as_millis()).unwrap_or(u32::MAX);
        fallible!(self, "poll", max_wait, answer_max, call_poll(max_records, max_bytes, wait_ms))
    }

    pub(crate) async fn commit(&mut self, offsets: &str) -> Result<(), CallError> {
        fallible!(self, "commit", Duration::ZERO, JSON_MAX, call_commit(offsets))
    }

    pub(crate) async fn close(&mut self) -> Result<(), CallError> {
        infallible!(self, "close", 0, call_close())
    }
}

/// An instance of a sink's task.
pub(crate) struct SinkInstance {
    core: Core,
    plugin: Arc<Plugin>,
    guest: sink_task::Guest,
}

every_instance!(SinkInstance);

impl SinkInstance {
    /// Makes one.
    pub(crate) async fn new(plugin: &Arc<Plugin>, setup: Setup) -> Result<Self, CallError> {
        let TaskExports::Sink(indices) = &plugin.code().exports.task else {
            return Err(CallError::WrongKind { plugin: plugin.name_arc(), wanted: "sink" });
        };
        let (mut core, instance) = instantiate(plugin.code(), setup).await?;
        let guest =
            indices.load(&mut core.store, &instance).map_err(|error| core.trap("instantiate", &error))?;
        Ok(Self { core, plugin: Arc::clone(plugin), guest })
    }

    pub(crate) async fn open(&mut self, config: &str) -> Result<(), CallError> {
        fallible!(self, "open", Duration::ZERO, JSON_MAX, call_open(config))
    }

    /// Which partitions the guest may name in requests: to be told before `assign` and after `revoke`.
    pub(crate) fn set_assigned(&mut self, assigned: HashSet<TopicPartition>) {
        self.core.store.data_mut().desk.assign(assigned);
    }

    /// What the guest asked for in calls that have returned. After every call.
    pub(crate) fn take_requests(&mut self) -> SinkRequests {
        self.core.store.data_mut().desk.take()
    }

    pub(crate) async fn assign(&mut self, partitions: &str) -> Result<(), CallError> {
        fallible!(self, "assign", Duration::ZERO, JSON_MAX, call_assign(partitions))
    }

    pub(crate) async fn revoke(&mut self, partitions: &str, lost: bool) -> Result<(), CallError> {
        fallible!(self, "revoke", Duration::ZERO, JSON_MAX, call_revoke(partitions, lost))
    }

    /// Hands over a batch. Answers with an outcome batch that is not yet looked at, or an empty one.
    pub(crate) async fn put(&mut self, batch: &[u8]) -> Result<Vec<u8>, CallError> {
        let answer_max = batch.len().saturating_add(BATCH_SLACK);
        fallible!(self, "put", Duration::ZERO, answer_max, call_put(batch))
    }

    pub(crate) async fn pre_commit(&mut self, offsets: &str, reason: Reason) -> Result<String, CallError> {
        fallible!(self, "pre-commit", Duration::ZERO, JSON_MAX, call_pre_commit(offsets, reason as u32))
    }

    pub(crate) async fn close(&mut self) -> Result<(), CallError> {
        infallible!(self, "close", 0, call_close())
    }
}

/// The configuration of a task's instance: the task's own, and what the worker adds.
pub(crate) fn instance_config(
    task_config: &serde_json::Map<String, serde_json::Value>,
    connector: &str,
    task: u32,
    generation: u64,
) -> String {
    let mut config = task_config.clone();
    let _ = config.insert("transom.connector".into(), connector.into());
    let _ = config.insert("transom.task".into(), task.to_string().into());
    let _ = config.insert("transom.generation".into(), generation.to_string().into());
    serde_json::Value::Object(config).to_string()
}

/// Why a sink is asked what is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It is time.
    Interval = 1,
    /// The plugin asked for it.
    Requested = 2,
    /// Partitions go.
    Revoke = 3,
    /// The task ends.
    Stop = 4,
    /// The plugin is replaced.
    Swap = 5,
}

/// An instance of a connector.
pub(crate) struct ConnectorInstance {
    core: Core,
    plugin: Arc<Plugin>,
    guest: connector::Guest,
}

every_instance!(ConnectorInstance);

impl ConnectorInstance {
    /// Makes one.
    pub(crate) async fn new(plugin: &Arc<Plugin>, setup: Setup) -> Result<Self, CallError> {
        let Some(indices) = &plugin.code().exports.connector else {
            return Err(CallError::WrongKind { plugin: plugin.name_arc(), wanted: "connector" });
        };
        let (mut core, instance) = instantiate(plugin.code(), setup).await?;
        let guest =
            indices.load(&mut core.store, &instance).map_err(|error| core.trap("instantiate", &error))?;
        Ok(Self { core, plugin: Arc::clone(plugin), guest })
    }

    pub(crate) async fn validate(&mut self, config: &str) -> Result<String, CallError> {
        infallible!(self, "validate", JSON_MAX, call_validate(config))
    }

    pub(crate) async fn alter_offsets(&mut self, config: &str, offsets: &str) -> Result<bool, CallError> {
        fallible!(self, "alter-offsets", Duration::ZERO, JSON_MAX, call_alter_offsets(config, offsets))
    }

    pub(crate) async fn start(&mut self, config: &str) -> Result<(), CallError> {
        fallible!(self, "start", Duration::ZERO, JSON_MAX, call_start(config))
    }

    /// The configurations of the tasks: JSON objects that are not yet looked at, and perhaps too many.
    pub(crate) async fn task_configs(&mut self, max_tasks: u32) -> Result<Vec<String>, CallError> {
        fallible!(self, "task-configs", Duration::ZERO, 8 * JSON_MAX, call_task_configs(max_tasks))
    }

    pub(crate) async fn watch(&mut self, max_wait: Duration) -> Result<bool, CallError> {
        let wait_ms = u32::try_from(max_wait.as_millis()).unwrap_or(u32::MAX);
        fallible!(self, "watch", max_wait, JSON_MAX, call_watch(wait_ms))
    }

    pub(crate) async fn stop(&mut self) -> Result<(), CallError> {
        infallible!(self, "stop", 0, call_stop())
    }
}

/// An instance of a transform.
pub(crate) struct TransformInstance {
    core: Core,
    plugin: Arc<Plugin>,
    guest: transform::Guest,
}

every_instance!(TransformInstance);

impl TransformInstance {
    /// Makes one.
    pub(crate) async fn new(plugin: &Arc<Plugin>, setup: Setup) -> Result<Self, CallError> {
        let TaskExports::Transform(indices) = &plugin.code().exports.task else {
            return Err(CallError::WrongKind { plugin: plugin.name_arc(), wanted: "transform" });
        };
        let (mut core, instance) = instantiate(plugin.code(), setup).await?;
        let guest =
            indices.load(&mut core.store, &instance).map_err(|error| core.trap("instantiate", &error))?;
        Ok(Self { core, plugin: Arc::clone(plugin), guest })
    }

    pub(crate) async fn open(&mut self, config: &str) -> Result<(), CallError> {
        fallible!(self, "open", Duration::ZERO, JSON_MAX, call_open(config))
    }

    /// Transforms a batch; the answer is not yet looked at and may be at most `answer_max` bytes.
    pub(crate) async fn apply(&mut self, batch: &[u8], answer_max: usize) -> Result<Vec<u8>, CallError> {
        fallible!(self, "apply", Duration::ZERO, answer_max, call_apply(batch))
    }

    pub(crate) async fn close(&mut self) -> Result<(), CallError> {
        infallible!(self, "close", 0, call_close())
    }
}
