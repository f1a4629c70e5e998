//! Where tasks run: on the guests' runtime, or on a thread of their own.
//!
//! WASI's file operations run to their end on the thread that asks for them, so that none of them can land
//! after its instance is gone. A disk that hangs must not hold up other guests (invariant 7), so a task whose
//! plugin is granted files gets its own thread. Everything else shares the guests' runtime, where epochs make
//! every guest yield.

use std::future::Future;
use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;

use super::status::{State, TaskStatus};
use crate::config::Sandbox;

/// Where a task is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Shared,
    OwnThread,
}

impl Place {
    /// Where an instance with these grants has to run.
    pub(crate) fn of(sandbox: &Sandbox) -> Self {
        if sandbox.blocks() { Self::OwnThread } else { Self::Shared }
    }
}

/// A task that was started.
#[derive(Debug)]
pub(crate) struct Running {
    done: oneshot::Receiver<()>,
    abort: Abort,
}

#[derive(Debug)]
enum Abort {
    Shared(AbortHandle),
    Thread(Option<oneshot::Sender<()>>),
}

impl Running {
    /// Starts `task`.
    ///
    /// # Errors
    /// The operating system has no thread left.
    pub(crate) fn start(
        guests: &Handle,
        place: Place,
        name: &str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<Self> {
        let (ended, done) = oneshot::channel();
        let task = async move {
            task.await;
            let _ = ended.send(());
        };
        let abort = match place {
            Place::Shared => Abort::Shared(guests.spawn(task).abort_handle()),
            Place::OwnThread => Abort::Thread(Some(on_own_thread(name, task)?)),
        };
        Ok(Self { done, abort })
    }

    /// Ends when the task has ended, in whichever way.
    pub(crate) async fn ended(&mut self) {
        // A sender dropped without a word is a task that was aborted or panicked: ended all the same.
        let _ = (&mut self.done).await;
    }

    /// Drops the task where it stands. What a kill may do at any instant, this may do too (invariant 6).
    pub(crate) fn abort(&mut self) {
        match &mut self.abort {
            Abort::Shared(handle) => handle.abort(),
            Abort::Thread(stop) => drop(stop.take()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.abort();
    }
}

fn on_own_thread(
    name: &str,
    task: impl Future<Output = ()> + Send + 'static,
) -> io::Result<oneshot::Sender<()>> {
    let (stop, stopped) = oneshot::channel();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let _ = thread::Builder::new().name(name.to_owned()).spawn(move || {
        runtime.block_on(async move {
            tokio::select! {
                () = task => {}
                // Dropped by `abort`: the task is dropped at its next await.
                _ = stopped => {}
            }
        });
        runtime.shutdown_background();
    })?;
    Ok(stop)
}

/// `task`, with a status that turns to failed should it end by a panic.
pub(crate) async fn shown(status: watch::Sender<TaskStatus>, task: impl Future<Output = ()>) {
    let mut guard = PanicGuard { status, armed: true };
    task.await;
    guard.armed = false;
}

/// Tells of a task that a panic of the worker's own code ended.
struct PanicGuard {
    status: watch::Sender<TaskStatus>,
    armed: bool,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let panicked = thread::panicking();
        self.status.send_modify(|status| {
            status.state = if panicked { State::Failed } else { State::Unassigned };
            if panicked {
                status.trace = Some("the worker's own code panicked in this task; see its log".to_owned());
            }
        });
    }
}
