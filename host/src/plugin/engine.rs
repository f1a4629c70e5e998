//! The machine that all guests run on: one Wasmtime engine, one linker, one ticker for the process.
//!
//! Code is made by Cranelift with epoch checks: every 10 ms the ticker advances the epoch, and a guest
//! that is running gives its thread back (see [`super::call`]), so a loop can neither starve its
//! neighbours nor outlive its deadline. Memory is reserved on demand, 4 GiB of address space a memory,
//! so that bounds checks cost nothing. Features that no guest toolchain needs are off: what is not there
//! cannot be broken out of.

use super::cache::Cache;
use super::compile::Compiler;
use super::grants::Nowhere;
use super::imports::{TaskState, add_to_linker};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::Linker;
use wasmtime::{Config, InstanceAllocationStrategy};

/// The time between two chances to interrupt a guest.
const TICK: Duration = Duration::from_millis(10);

/// The engine of the process; clones are the same one.
#[derive(Clone)]
pub(crate) struct Engine(Arc<Inner>);

struct Inner {
    wasm: wasmtime::Engine,
    linker: Linker<TaskState>,
    nowhere: Nowhere,
    cache: Cache,
    compiler: Compiler,
}

/// What the engine needs to know of the worker.
#[derive(Debug, Clone)]
pub(crate) struct EngineSettings {
    /// A folder of the worker's own, for compiled code (made with mode 0700 if it is missing).
    pub(crate) cache: PathBuf,
    /// The most bytes the folder may hold.
    pub(crate) cache_max: u64,
    /// The program that is run as `<program> __compile <in.wasm> <out>`: the worker itself.
    pub(crate) compiler: PathBuf,
}

/// The engine could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// Wasmtime does not run here, or not as configured.
    #[error("cannot set up the WebAssembly engine")]
    Wasm(#[source] wasmtime::Error),
    /// The folder for compiled code cannot be used.
    #[error(transparent)]
    Cache(#[from] super::cache::CacheError),
    /// The ticker's thread could not be started.
    #[error("cannot start the thread that interrupts guests")]
    Ticker(#[source] std::io::Error),
}

impl Engine {
    /// Makes the engine and starts its ticker, which ends with the last clone.
    ///
    /// # Errors
    /// When the machine cannot run it or the cache folder cannot be used.
    pub(crate) fn new(settings: EngineSettings) -> Result<Self, EngineError> {
        let wasm = wasm_engine().map_err(EngineError::Wasm)?;
        let mut linker = Linker::new(&wasm);
        add_to_linker(&mut linker).map_err(EngineError::Wasm)?;
        let cache = Cache::open(settings.cache, settings.cache_max, &wasm)?;
        let nowhere = Nowhere::new(&cache.temporary()).map_err(|source| cache.unusable(source))?;
        start_ticker(&wasm).map_err(EngineError::Ticker)?;
        let compiler = Compiler::new(settings.compiler);
        Ok(Self(Arc::new(Inner { wasm, linker, nowhere, cache, compiler })))
    }

    pub(crate) fn wasm(&self) -> &wasmtime::Engine {
        &self.0.wasm
    }

    pub(crate) fn linker(&self) -> &Linker<TaskState> {
        &self.0.linker
    }

    pub(crate) fn nowhere(&self) -> &Nowhere {
        &self.0.nowhere
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.0.cache
    }

    pub(crate) fn compiler(&self) -> &Compiler {
        &self.0.compiler
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// The engine as the worker and its compiling child both make it: their artifacts must be compatible.
pub(crate) fn wasm_engine() -> wasmtime::Result<wasmtime::Engine> {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        // The host's functions run on the guest's stack: they get what the guest may not use, 2 MiB.
        .max_wasm_stack(1 << 20)
        .async_stack_size(3 << 20)
        // Loading and unloading code for ever would otherwise register and unregister unwind tables.
        .native_unwind_info(false)
        // The compiling child is bounded to one thread, and nobody else compiles.
        .parallel_compilation(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_relaxed_simd(false);
    wasmtime::Engine::new(&config)
}

fn start_ticker(engine: &wasmtime::Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    };
    std::thread::Builder::new().name("guest-ticker".to_owned()).spawn(tick)?;
    Ok(())
}
