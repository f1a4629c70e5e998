//! What was refused to a guest: an error for the guest, a count, and a line for the operator that names
//! the missing grant and the key to write.
//!
//! A guest that asks again and again is told no each time, but the log says it once for each thing, and
//! no more than 32 things an instance.

use super::log::{GuestLog, Level};
use super::meters::Meters;
use crate::config::fs_key;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// Different refusals that an instance may log.
const LINES: usize = 32;

/// Counts and logs the refusals of one instance.
#[derive(Debug)]
pub(crate) struct Refusals {
    log: Arc<GuestLog>,
    meters: Arc<Meters>,
    said: HashSet<String>,
}

impl Refusals {
    pub(crate) fn new(log: Arc<GuestLog>, meters: Arc<Meters>) -> Self {
        Self { log, meters, said: HashSet::new() }
    }

    /// The guest named a path that no grant covers; `dir`: it wanted the directory itself.
    pub(crate) fn path(&mut self, path: &Path, dir: bool, write: bool) {
        let nearest = if dir { path } else { path.parent().unwrap_or(path) };
        // Nobody should be talked into granting everything; and a name without a folder starts here.
        let nearest = if nearest == Path::new("/") { Path::new("/<directory>") } else { nearest };
        let key = fs_key(&self.log.speaker().plugin, nearest, write);
        self.say(
            &key,
            &format!("refused {}: no granted directory holds it; `{key}` would grant it", path.display()),
        );
    }

    /// The guest named a path that leaves the granted directory it starts from.
    pub(crate) fn escape(&mut self, dir: &Path, path: &str) {
        let what = format!("refused {path:?}: it leads out of the granted directory {}", dir.display());
        self.say(&what, &what);
    }

    /// A path was refused below a granted directory, and not by its letters.
    pub(crate) fn link(&mut self, dir: &Path, path: &str) {
        let what = format!(
            "refused {path:?} in {}: a link leads out of the granted directory, or the system forbids it",
            dir.display()
        );
        self.say(&what, &what);
    }

    /// The guest wanted to write where it may only read.
    pub(crate) fn write(&mut self, dir: &Path) {
        let key = fs_key(&self.log.speaker().plugin, dir, true);
        self.say(
            &key,
            &format!("refused to write: {} is granted for reading; `{key}` would grant it", dir.display()),
        );
    }

    /// The guest wanted to open what is neither a file nor a directory.
    pub(crate) fn special(&mut self, path: &Path, kind: &str) {
        let what =
            format!("refused {}: it is {kind}, and only files and directories can be opened", path.display());
        self.say(&what, &what);
    }

    /// The guest wanted to talk to the network.
    pub(crate) fn network(&mut self, what: &str) {
        let plugin = &self.log.speaker().plugin;
        let text = format!("refused {what}: the network is not granted (`sandbox.{plugin}.net`)");
        self.say(what, &text);
    }

    /// The guest wanted a secret. Answers with what the guest is told.
    pub(crate) fn secret(&mut self, name: &str) -> String {
        let name: String = name.chars().take(64).collect();
        let plugin = &self.log.speaker().plugin;
        let text =
            format!("refused the secret {name:?}: it is not granted (`sandbox.{plugin}.secrets={name}`)");
        self.say(&text, &text);
        text
    }

    fn say(&mut self, about: &str, text: &str) {
        self.meters.add_refusal();
        if self.said.len() < LINES && self.said.insert(about.to_owned()) {
            self.log.own(Level::Warn, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::log::Speaker;

    #[test]
    fn each_refusal_counts_and_is_said_once() {
        let meters = Arc::<Meters>::default();
        let speaker = Speaker { plugin: "p".into(), connector: "c".into(), task: None };
        let log = Arc::new(GuestLog::new(speaker, 1, Arc::clone(&meters)));
        let mut refusals = Refusals::new(log, Arc::clone(&meters));
        refusals.path(Path::new("/etc/passwd"), false, false);
        refusals.path(Path::new("/etc"), true, false);
        refusals.network("a TCP socket");
        let told = refusals.secret("aws-key");
        assert!(told.contains("sandbox.p.secrets=aws-key"), "{told}");
        assert_eq!((meters.refusals(), refusals.said.len()), (4, 3));
    }
}
