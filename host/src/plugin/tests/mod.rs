//! Tests of the whole floor: real files, real compiling children, guests written by hand.

mod files;
mod guest;
mod instance;
mod registry;

use super::compile::tests::compiler_program;
use super::{Engine, EngineSettings, Setup};
use crate::config::{Sandbox, Sandboxes};
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;

pub(crate) use guest::Guest;

/// An engine for all tests of this process: the folder is left to the system's temporary files.
pub(crate) fn engine() -> Engine {
    static ENGINE: LazyLock<(TempDir, Engine)> = LazyLock::new(|| {
        let dir = tempfile::tempdir().unwrap();
        let compiler = compiler_program(dir.path());
        let cache = dir.path().join("cache");
        let engine = Engine::new(EngineSettings { cache, cache_max: 1 << 30, compiler }).unwrap();
        (dir, engine)
    });
    ENGINE.1.clone()
}

/// What a test task gives its instance.
pub(crate) fn setup(sandbox: Sandbox) -> Setup {
    let throw_away = Setup::throw_away(&sandbox);
    Setup { connector: "c".into(), task: Some(0), sandbox: Arc::new(sandbox), ..throw_away }
}

/// This sandbox for every plugin.
pub(crate) fn sandboxes(sandbox: Sandbox) -> Sandboxes {
    Sandboxes::same(sandbox)
}
