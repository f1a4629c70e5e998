//! What was refused to a guest: an error for the guest, a count, and a line for the operator that names
//! the missing grant and the key to write.
//!
//! A guest that asks again and again is told no each time, but the log says it once for each thing, and
//! no more than 32 things an instance.

use super::log::{GuestLog, Level};
use super::meters::Meters;
use crate::config::{NetScheme, fs_key};
use std::collections::HashSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Different refusals that an instance may log.
const LINES: usize = 32;

/// Counts and logs the refusals of one instance.
#[derive(Debug)]
pub(crate) struct Refusals {
    log: Arc<GuestLog>,
    meters: Arc<Meters>,
    said: Mutex<HashSet<String>>,
}

impl Refusals {
    pub(crate) fn new(log: Arc<GuestLog>, meters: Arc<Meters>) -> Self {
        Self { log, meters, said: Mutex::default() }
    }

    /// The plugin's name, as keys have it.
    pub(crate) fn plugin(&self) -> &str {
        &self.log.speaker().plugin
    }

    /// The guest named a path that no grant covers; `dir`: it wanted the directory itself.
    pub(crate) fn path(&self, path: &Path, dir: bool, write: bool) {
        let nearest = if dir { path } else { path.parent().unwrap_or(path) };
        // Nobody should be talked into granting everything; and a name without a folder starts here.
        let nearest = if nearest == Path::new("/") { Path::new("/<directory>") } else { nearest };
        let key = fs_key(self.plugin(), nearest, write);
        self.say(
            &key,
            &format!("refused {}: no granted directory holds it; `{key}` would grant it", path.display()),
        );
    }

    /// The guest named a path that leaves the granted directory it starts from.
    pub(crate) fn escape(&self, dir: &Path, path: &str) {
        let what = format!("refused {path:?}: it leads out of the granted directory {}", dir.display());
        self.say(&what, &what);
    }

    /// A path was refused below a granted directory, and not by its letters.
    pub(crate) fn link(&self, dir: &Path, path: &str) {
        let what = format!(
            "refused {path:?} in {}: a link leads out of the granted directory, or the system forbids it",
            dir.display()
        );
        self.say(&what, &what);
    }

    /// The guest wanted to write where it may only read.
    pub(crate) fn write(&self, dir: &Path) {
        let key = fs_key(self.plugin(), dir, true);
        self.say(
            &key,
            &format!("refused to write: {} is granted for reading; `{key}` would grant it", dir.display()),
        );
    }

    /// The guest wanted to open what is neither a file nor a directory.
    pub(crate) fn special(&self, path: &Path, kind: &str) {
        let what =
            format!("refused {}: it is {kind}, and only files and directories can be opened", path.display());
        self.say(&what, &what);
    }

    /// The guest wanted something of the network that no connection is.
    pub(crate) fn network(&self, what: &str) {
        let plugin = self.plugin();
        let text = format!(
            "refused {what}: only what tcp://host:port in `sandbox.{plugin}.net` names may be resolved and connected to"
        );
        self.say(what, &text);
    }

    /// The guest wanted to connect to a host that no grant covers.
    pub(crate) fn host(&self, scheme: NetScheme, host: &str, port: u16) {
        let host: String = host.chars().take(255).collect();
        let key = format!("sandbox.{}.net={scheme}://{host}:{port}", self.plugin());
        self.say(&key, &format!("refused a connection to {host}:{port}: `{key}` would grant it"));
    }

    /// A host that is granted is at addresses that are not.
    pub(crate) fn address(&self, scheme: NetScheme, host: &str, port: u16, addresses: &[IpAddr]) {
        let list: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        let first = match addresses.first() {
            Some(IpAddr::V6(six)) => format!("[{six}]"),
            Some(four) => four.to_string(),
            None => "<address>".to_owned(),
        };
        let plugin = self.plugin();
        let text = format!(
            "refused a connection to {host}:{port}: it is at {}, which a machine has for itself or no grant covers; \
             only an address grants it: `sandbox.{plugin}.net={scheme}://{first}:{port}`",
            list.join(", ")
        );
        self.say(&text, &text);
    }

    /// TLS failed. No refusal of ours, but whom to trust is the operator's to say.
    pub(crate) fn tls(&self, host: &str, error: &rustls::Error) {
        let plugin = self.plugin();
        let text = format!(
            "no TLS with {host}: {error}; whom to trust besides what the system does is set with \
             `sandbox.{plugin}.tls.ca=/file.pem`"
        );
        self.tell(&text, &text);
    }

    /// The guest wanted a secret. Answers with what the guest is told.
    pub(crate) fn secret(&self, name: &str) -> String {
        let name: String = name.chars().take(64).collect();
        let plugin = self.plugin();
        let text =
            format!("refused the secret {name:?}: it is not granted (`sandbox.{plugin}.secrets={name}`)");
        self.say(&text, &text);
        text
    }

    fn say(&self, about: &str, text: &str) {
        self.meters.add_refusal();
        self.tell(about, text);
    }

    fn tell(&self, about: &str, text: &str) {
        // A set: a panic elsewhere leaves it whole.
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() < LINES && said.insert(about.to_owned()) {
            drop(said);
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
        let refusals = Refusals::new(log, Arc::clone(&meters));
        refusals.path(Path::new("/etc/passwd"), false, false);
        refusals.path(Path::new("/etc"), true, false);
        refusals.network("a TCP socket");
        let told = refusals.secret("aws-key");
        assert!(told.contains("sandbox.p.secrets=aws-key"), "{told}");
        assert_eq!((meters.refusals(), refusals.said.lock().unwrap().len()), (4, 3));
    }
}
