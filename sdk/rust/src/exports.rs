//! The component's side: the contract's exports, for any source, sink or transformation.
//!
//! One instance is one task and calls never overlap, so the instance's state is a value of the
//! (only) thread; the generated traits have no `self` to keep it in.

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::time::Duration;

use crate::bindings::imports::transom::connect::types;
use crate::bindings::{connector, plugin, sink, source, transform};
use crate::runtime::{self, Planned, SinkSide, SinkTask, SourceSide, SourceTask, TransformTask};
use crate::{Connector, Error, Sink, Source, Transform, logger};

/// The name and version of the plugin's crate, which only the export macro knows.
pub trait Named: 'static {
    /// Its name.
    const NAME: &'static str;
    /// Its version.
    const VERSION: &'static str;
}

/// What the world of sources exports.
#[derive(Debug)]
pub struct SourcePlugin<N, S>(PhantomData<(N, S)>);
/// What the world of sinks exports.
#[derive(Debug)]
pub struct SinkPlugin<N, S>(PhantomData<(N, S)>);
/// What the world of transformations exports.
#[derive(Debug)]
pub struct TransformPlugin<N, T>(PhantomData<(N, T)>);

thread_local! {
    static TASK: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
    static CONNECTOR: RefCell<Option<Box<dyn Connector>>> = const { RefCell::new(None) };
}

/// Before the first call of an instance that runs the author's code.
fn install() {
    logger::install();
    logger::install_panic_hook();
}

fn out(error: Error) -> types::Error {
    let (code, message, retry_after_ms, detail) = error.into_parts();
    types::Error { code, message, retry_after_ms, detail }
}

fn open<T: 'static>(task: Result<T, Error>) -> Result<(), types::Error> {
    TASK.set(Some(Box::new(task.map_err(out)?)));
    Ok(())
}

fn with_task<T: 'static, R>(call: impl FnOnce(&mut T) -> Result<R, Error>) -> Result<R, types::Error> {
    TASK.with_borrow_mut(|task| match task.as_mut().and_then(|task| task.downcast_mut()) {
        Some(task) => call(task).map_err(out),
        None => Err(out(Error::fatal("the task is not open"))),
    })
}

fn close<T: 'static>(call: impl FnOnce(T)) {
    if let Some(Ok(task)) = TASK.take().map(<Box<dyn Any>>::downcast) {
        call(*task);
    }
}

fn start<P: Planned>(config: &str) -> Result<(), types::Error> {
    install();
    CONNECTOR.set(Some(runtime::start::<P>(config).map_err(out)?));
    Ok(())
}

fn with_connector<R>(call: impl FnOnce(&mut dyn Connector) -> Result<R, Error>) -> Result<R, types::Error> {
    CONNECTOR.with_borrow_mut(|connector| match connector {
        Some(connector) => call(connector.as_mut()).map_err(out),
        None => Err(out(Error::fatal("the connector is not started"))),
    })
}

/// The interfaces that sources and sinks share.
macro_rules! shared_exports {
    ($plugin:ident $kind:ident $side:ident $name:literal) => {
        impl<N: Named, S: $kind> plugin::exports::transom::connect::plugin::Guest for $plugin<N, S> {
            fn describe() -> String {
                install();
                S::manifest().to_json(N::NAME, N::VERSION, $name).to_string()
            }
        }

        impl<N: Named, S: $kind> connector::exports::transom::connect::connector::Guest for $plugin<N, S> {
            fn validate(config: String) -> String {
                install();
                runtime::validate::<$side<S>>(&config)
            }

            fn alter_offsets(config: String, offsets: String) -> Result<bool, types::Error> {
                install();
                runtime::alter_offsets::<$side<S>>(&config, &offsets).map_err(out)
            }

            fn start(config: String) -> Result<(), types::Error> {
                start::<$side<S>>(&config)
            }

            fn task_configs(max_tasks: u32) -> Result<Vec<String>, types::Error> {
                with_connector(|connector| runtime::task_configs(connector, max_tasks))
            }

            fn watch(max_wait_ms: u32) -> Result<bool, types::Error> {
                with_connector(|connector| connector.watch(Duration::from_millis(max_wait_ms.into())))
            }

            fn stop() {
                if let Some(mut connector) = CONNECTOR.take() {
                    connector.stop();
                }
            }
        }
    };
}

shared_exports!(SourcePlugin Source SourceSide "source");
shared_exports!(SinkPlugin Sink SinkSide "sink");

impl<N: Named, S: Source> source::exports::transom::connect::source_task::Guest for SourcePlugin<N, S> {
    fn open(config: String) -> Result<(), types::Error> {
        install();
        open(SourceTask::<S>::open(&config))
    }

    fn poll(max_records: u32, max_bytes: u32, max_wait_ms: u32) -> Result<Vec<u8>, types::Error> {
        with_task(|task: &mut SourceTask<S>| task.poll(max_records, max_bytes, max_wait_ms))
    }

    fn commit(offsets: String) -> Result<(), types::Error> {
        with_task(|task: &mut SourceTask<S>| task.commit(&offsets))
    }

    fn close() {
        close(SourceTask::<S>::close);
    }
}

impl<N: Named, S: Sink> sink::exports::transom::connect::sink_task::Guest for SinkPlugin<N, S> {
    fn open(config: String) -> Result<(), types::Error> {
        install();
        open(SinkTask::<S>::open(&config))
    }

    fn assign(partitions: String) -> Result<(), types::Error> {
        with_task(|task: &mut SinkTask<S>| task.assign(&partitions))
    }

    fn revoke(partitions: String, lost: bool) -> Result<(), types::Error> {
        with_task(|task: &mut SinkTask<S>| task.revoke(&partitions, lost))
    }

    fn put(batch: Vec<u8>) -> Result<Vec<u8>, types::Error> {
        with_task(|task: &mut SinkTask<S>| task.put(&batch))
    }

    fn pre_commit(offsets: String, reason: u32) -> Result<String, types::Error> {
        with_task(|task: &mut SinkTask<S>| task.pre_commit(&offsets, reason))
    }

    fn close() {
        close(SinkTask::<S>::close);
    }
}

impl<N: Named, T: Transform> plugin::exports::transom::connect::plugin::Guest for TransformPlugin<N, T> {
    fn describe() -> String {
        install();
        T::manifest().to_json(N::NAME, N::VERSION, "transform").to_string()
    }
}

impl<N: Named, T: Transform> transform::exports::transom::connect::transform::Guest
    for TransformPlugin<N, T>
{
    fn open(config: String) -> Result<(), types::Error> {
        install();
        open(TransformTask::<T>::open(&config))
    }

    fn apply(batch: Vec<u8>) -> Result<Vec<u8>, types::Error> {
        with_task(|task: &mut TransformTask<T>| task.apply(&batch))
    }

    fn close() {
        close(TransformTask::<T>::close);
    }
}
