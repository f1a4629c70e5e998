//! What the operator grants a plugin. Nothing that is not listed here is granted.
//!
//! The settings come from the worker's configuration (`sandbox.<plugin>.*`), never from a connector's:
//! whoever may write that is not the operator.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The sandboxes of all plugins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sandboxes {
    /// `sandbox.default.*`: for plugins that are not named.
    pub(crate) default: Arc<Sandbox>,
    /// `sandbox.<plugin>.*`, each complete: what it does not say itself comes from the default.
    pub(crate) by_plugin: HashMap<String, Arc<Sandbox>>,
}

impl Sandboxes {
    /// The sandbox of the plugin with this name.
    pub(crate) fn of(&self, plugin: &str) -> Arc<Sandbox> {
        Arc::clone(self.by_plugin.get(plugin).unwrap_or(&self.default))
    }
}

/// The sandbox of one plugin: its grants and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sandbox {
    /// `fs`: the directories a guest sees, each under its own path.
    pub(crate) fs: Vec<Grant>,
    /// `env`: the environment the guest sees, already resolved.
    pub(crate) env: Vec<(String, String)>,
    /// `memory.max`: bytes, summed over all memories of a task.
    pub(crate) memory_max: usize,
    /// `call.timeout.ms`: how long a call may take beyond the time it was asked to wait.
    pub(crate) call_timeout: Duration,
    /// `log.rate`: lines a second that a task may write; as many at once.
    pub(crate) log_rate: u32,
    /// `sha256`: the only content that may load under this plugin's name, in lower-case hex.
    pub(crate) sha256: Option<String>,
}

/// A directory that a guest may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    /// An absolute path; the guest sees the directory under the same one.
    pub(crate) dir: PathBuf,
    /// `:rw`: files may be written, created and deleted.
    pub(crate) write: bool,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            fs: Vec::new(),
            env: Vec::new(),
            memory_max: 256 << 20,
            call_timeout: Duration::from_secs(30),
            log_rate: 100,
            sha256: None,
        }
    }
}

impl Sandbox {
    /// For instances that may do nothing, such as the one that is asked what the plugin is.
    pub(crate) fn nothing(&self) -> Self {
        Self { fs: Vec::new(), env: Vec::new(), ..self.clone() }
    }

    /// Whether a task needs a thread of its own, because its guest may read or write files: these
    /// operations run on the thread that runs the guest.
    pub(crate) fn blocks(&self) -> bool {
        !self.fs.is_empty()
    }
}

/// The key that grants `what` to `plugin`, with an example value: what a refusal tells the operator.
pub(crate) fn fs_key(plugin: &str, dir: &Path, write: bool) -> String {
    let rw = if write { ":rw" } else { "" };
    format!("sandbox.{plugin}.fs={}{rw}", dir.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_sandbox_grants_nothing() {
        let sandbox = Sandbox::default();
        assert!(sandbox.fs.is_empty() && sandbox.env.is_empty() && !sandbox.blocks());
    }

    #[test]
    fn a_throw_away_instance_keeps_the_limits_and_loses_the_grants() {
        let grant = Grant { dir: "/data".into(), write: true };
        let sandbox = Sandbox { fs: vec![grant], memory_max: 7, ..Sandbox::default() };
        assert_eq!(sandbox.nothing(), Sandbox { memory_max: 7, ..Sandbox::default() });
    }

    #[test]
    fn the_key_of_a_grant_can_be_pasted_into_the_configuration() {
        assert_eq!(fs_key("file-sink", Path::new("/data/out"), true), "sandbox.file-sink.fs=/data/out:rw");
    }
}
