//! One call into a guest: bounded in time, in what it may answer, and in what a failure can break.
//!
//! A call cannot be taken back. A guest that traps, or that is not done at its deadline, leaves its
//! instance in the middle of something; so the instance is dead from then on, and so it is when
//! the caller drops the call's future. Whoever owns it makes a new one and goes on from what was
//! committed.
//!
//! While a guest computes, it gives the thread back at every tick of the engine; that is also when its
//! deadline is looked at, and its share of the processor ([`super::cpu`]). While it waits inside a host function, the runtime's timer does. Only a file
//! operation holds the thread until the system answers.

use super::bindings::types;
use super::cpu::{Brake, Share};
use super::imports::TaskState;
use super::meters::Meters;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::ready;
use std::time::{Duration, Instant};
use wasmtime::{Store, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// Bytes of a JSON answer.
pub(crate) const JSON_MAX: usize = 1 << 20;
/// What a guest may hand to the host in one go beside its answer: a piece of a file, a log line.
const ASIDE: usize = 8 << 20;
/// Bytes of a backtrace that is shown.
const BACKTRACE_BYTES: usize = 4 << 10;

/// What the worker shall do about a guest's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Call again later.
    Retriable,
    /// The task fails.
    Fatal,
    /// The task fails because of a record, or the record goes elsewhere.
    BadRecord,
    /// Nothing helps until the configuration changes.
    Configuration,
}

impl Code {
    /// As `wit/types.wit` has it.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Retriable => 1,
            Self::Fatal => 2,
            Self::BadRecord => 3,
            Self::Configuration => 4,
        }
    }

    fn from_guest(code: u32) -> Self {
        match code {
            1 => Self::Retriable,
            3 => Self::BadRecord,
            4 => Self::Configuration,
            _ => Self::Fatal,
        }
    }
}

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The guest said so. Its instance lives.
    #[error("{call}: {message}")]
    Guest {
        /// The function.
        call: &'static str,
        /// What shall be done.
        code: Code,
        /// In the guest's words, without secrets.
        message: String,
        /// When to call again; `None`: as the worker sees fit.
        retry_after: Option<Duration>,
        /// JSON or empty.
        detail: String,
    },
    /// The guest trapped. Its instance is dead.
    #[error("{call} trapped: {message}")]
    Trap {
        /// The function.
        call: &'static str,
        /// The trap, and what the guest said just before.
        message: String,
        /// The guest's frames, one a line; may be empty.
        backtrace: String,
    },
    /// The guest was not done in time. Its instance is dead.
    #[error(
        "{call} was not done after {} ms{}; `sandbox.{plugin}.call.timeout.ms` would give it more",
        limit.as_millis(), braked(*held, plugin)
    )]
    Deadline {
        /// The function.
        call: &'static str,
        /// The time it had.
        limit: Duration,
        /// How much of it `cpu.max` took.
        held: Duration,
        /// The plugin.
        plugin: Arc<str>,
    },
    /// The answer is not one the contract allows. Its instance lives, but is not to be trusted.
    #[error("{call} answered with {problem}")]
    Answer {
        /// The function.
        call: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// An earlier call trapped, was late, or was dropped.
    #[error("{call} is not possible: the instance is dead")]
    Dead {
        /// The function.
        call: &'static str,
    },
    /// What is granted cannot be given.
    #[error(transparent)]
    Grant(#[from] super::grants::GrantError),
    /// The plugin has no such interface.
    #[error("plugin {plugin} is not a {wanted}")]
    WrongKind {
        /// The plugin.
        plugin: Arc<str>,
        /// What it would have to be.
        wanted: &'static str,
    },
}

impl CallError {
    /// Whether the guest itself asked to be called again; and when.
    pub(crate) fn retriable(&self) -> Option<Option<Duration>> {
        match self {
            Self::Guest { code: Code::Retriable, retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}

fn braked(held: Duration, plugin: &str) -> String {
    if held.is_zero() {
        return String::new();
    }
    format!(", {} ms of which `sandbox.{plugin}.cpu.max` held it back", held.as_millis())
}

/// One instance's store, and whether it may still be called.
pub(crate) struct Core {
    pub(crate) store: Store<TaskState>,
    plugin: Arc<str>,
    timeout: Duration,
    share: Option<Share>,
    busy_or_dead: bool,
}

/// A call that is under way.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    name: &'static str,
    limit: Duration,
    answer_max: usize,
    meters: Arc<Meters>,
    share: Option<Share>,
    held: Duration,
}

/// What became of a call: `Err` is the deadline.
pub(crate) type Outcome<T> = Result<wasmtime::Result<T>, tokio::time::error::Elapsed>;

impl Call {
    /// Runs the call until it is done or its time is over.
    pub(crate) async fn run<T>(&mut self, guest: impl Future<Output = wasmtime::Result<T>>) -> Outcome<T> {
        let mut guest = pin!(guest);
        let Self { meters, share, held, limit, .. } = self;
        let mut brake = share.as_mut().map(Brake::new);
        let busy = poll_fn(|context| match &mut brake {
            None => stretch(meters, || guest.as_mut().poll(context)),
            Some(brake) => {
                ready!(brake.poll_ready(context));
                brake.run(|| stretch(meters, || guest.as_mut().poll(context)))
            }
        });
        let outcome = tokio::time::timeout(*limit, busy).await;
        if let Some(brake) = brake {
            *held = brake.held();
            meters.add_held(*held);
        }
        outcome
    }
}

fn stretch<T>(meters: &Meters, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    meters.add_busy(start.elapsed());
    result
}

impl Core {
    pub(crate) fn new(store: Store<TaskState>, plugin: Arc<str>) -> Self {
        let sandbox = &store.data().setup().sandbox;
        let (timeout, share) = (sandbox.call_timeout, Share::new(sandbox.cpu_max_permille));
        Self { store, plugin, timeout, share, busy_or_dead: false }
    }

    /// The time that calls have from now on, beyond what they are asked to wait.
    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.busy_or_dead
    }

    /// Begins a call that may take `wait` longer than the timeout and answer with `answer_max` bytes.
    pub(crate) fn begin(
        &mut self,
        name: &'static str,
        wait: Duration,
        answer_max: usize,
    ) -> Result<Call, CallError> {
        if self.busy_or_dead {
            return Err(CallError::Dead { call: name });
        }
        // Until `end`, so that a caller who drops the future leaves a dead instance behind.
        self.busy_or_dead = true;
        self.store.set_epoch_deadline(1);
        self.store.set_hostcall_fuel(answer_max.saturating_add(ASIDE));
        let state = self.store.data_mut();
        state.limits.forget();
        state.log.take_complaint();
        let meters = Arc::clone(&state.setup().meters);
        meters.add_call();
        let limit = self.timeout.saturating_add(wait);
        Ok(Call { name, limit, answer_max, meters, share: self.share, held: Duration::ZERO })
    }

    /// Ends a call: the answer, or why there is none.
    pub(crate) fn end<T: Answer>(&mut self, call: &Call, outcome: Outcome<T>) -> Result<T, CallError> {
        let name = call.name;
        self.share = call.share;
        let answer = match outcome {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(self.trap(name, &error)),
            Err(_) => {
                return Err(CallError::Deadline {
                    call: name,
                    limit: call.limit,
                    held: call.held,
                    plugin: Arc::clone(&self.plugin),
                });
            }
        };
        self.busy_or_dead = false;
        match answer.size() {
            size if size > call.answer_max => {
                let problem = format!("{size} bytes; at most {} are allowed", call.answer_max);
                Err(CallError::Answer { call: name, problem })
            }
            _ => Ok(answer),
        }
    }

    /// The same for functions that can fail in the guest's own words.
    pub(crate) fn end_fallible<T: Answer>(
        &mut self,
        call: &Call,
        outcome: Outcome<Result<T, types::Error>>,
    ) -> Result<T, CallError> {
        let answer = self.end(call, outcome)?;
        let vault = &self.store.data().setup().vault;
        answer.map_err(|error| CallError::Guest {
            call: call.name,
            code: Code::from_guest(error.code),
            message: vault.hide(&error.message).into_owned(),
            retry_after: (error.retry_after_ms > 0)
                .then(|| Duration::from_millis(error.retry_after_ms.into())),
            detail: vault.hide(&error.detail).into_owned(),
        })
    }

    /// What a trap is told as.
    pub(crate) fn trap(&mut self, call: &'static str, error: &wasmtime::Error) -> CallError {
        let state = self.store.data();
        let mut message = match (error.downcast_ref::<Trap>(), error.downcast_ref::<I32Exit>()) {
            (Some(trap), _) => trap.to_string(),
            (None, Some(I32Exit(status))) => format!("the guest ended itself with exit status {status}"),
            (None, None) => error.root_cause().to_string(),
        };
        if state.limits.memory_refused {
            let max = state.limits.memory_max();
            message += &format!(
                "; it wanted more than {max} bytes of memory (`sandbox.{}.memory.max`)",
                self.plugin
            );
        }
        let said = state.log.take_complaint();
        if !said.is_empty() {
            message += "; the guest said: ";
            message += &said;
        }
        let mut backtrace =
            error.downcast_ref::<WasmBacktrace>().map(ToString::to_string).unwrap_or_default();
        backtrace.truncate(backtrace.floor_char_boundary(BACKTRACE_BYTES));
        let message = state.setup().vault.hide(&message).into_owned();
        CallError::Trap { call, message, backtrace }
    }
}

/// Answers whose size is bounded.
pub(crate) trait Answer {
    /// Its bytes, as far as the guest decides them.
    fn size(&self) -> usize;
}

impl Answer for () {
    fn size(&self) -> usize {
        0
    }
}

impl Answer for bool {
    fn size(&self) -> usize {
        0
    }
}

impl Answer for String {
    fn size(&self) -> usize {
        self.len()
    }
}

impl Answer for Vec<u8> {
    fn size(&self) -> usize {
        self.len()
    }
}

impl Answer for Vec<String> {
    fn size(&self) -> usize {
        self.iter().map(String::len).sum()
    }
}

impl<T: Answer> Answer for Result<T, types::Error> {
    fn size(&self) -> usize {
        match self {
            Ok(answer) => answer.size(),
            Err(error) => error.message.len() + error.detail.len(),
        }
    }
}
