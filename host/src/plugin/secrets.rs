//! Reading secrets where guests run: beside their threads, and not for ever.
//!
//! Secrets stand in files (see `config/providers`), and a disk may be slow or gone. So whatever reads them does it on
//! a thread that may block, and nobody waits for it for longer than [`LIMIT`].

use crate::config::{Problem, Problems, RawConfig, Vault};
use std::time::Duration;

/// How long all that one configuration refers to may take to be read.
const LIMIT: Duration = Duration::from_secs(10);

/// Does what may read files on a thread that may block; `None`: it is not done after [`LIMIT`].
pub(crate) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let work = tokio::task::spawn_blocking(work);
    tokio::time::timeout(LIMIT, work).await.ok()?.ok()
}

/// The problem of what took too long.
pub(crate) fn too_slow() -> String {
    format!("what it refers to was not read within {} s", LIMIT.as_secs())
}

/// A configuration with its references resolved.
///
/// # Errors
/// All that cannot be.
pub(crate) async fn resolve(vault: &Vault, config: &RawConfig) -> Result<RawConfig, Problems> {
    if !Vault::concerns(config) {
        return Ok(config.clone());
    }
    let (vault, config) = (vault.clone(), config.clone());
    let resolved = off_thread(move || vault.resolve(&config)).await;
    resolved.unwrap_or_else(|| Err(Problems(vec![Problem::without_value("config.providers", too_slow())])))
}

/// The value of a secret that the worker names.
pub(super) async fn ask(vault: &Vault, name: String) -> Result<String, String> {
    let vault = vault.clone();
    off_thread(move || vault.ask(&name)).await.unwrap_or_else(|| Err(too_slow()))
}
