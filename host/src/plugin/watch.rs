//! Follows the plugin folders: a thread that looks whenever the system says that something happened, and
//! every two seconds anyway, because some file systems say nothing.
//!
//! A look is a listing. A file whose stamp (inode, size, time) is new is loaded once the stamp has stayed
//! the same for 200 ms; that a file copied slowly enough to look finished is really whole shows when it
//! is compiled and asked what it is: half a component is none. A file that failed is not tried again
//! until its stamp changes. Loading happens on this thread, one file after the other: the compiler is
//! one at a time as well.

use super::registry::Shared;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// How long a file must stay as it is before it is taken.
const STABLE: Duration = Duration::from_millis(200);
/// The time between two looks while a file is not yet stable.
const SOON: Duration = Duration::from_millis(50);
/// The time between two looks when nothing is known to happen.
const ANYWAY: Duration = Duration::from_secs(2);

/// What changes when a file does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    size: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let meta = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        Some(Self { inode: meta.ino(), size: meta.len(), modified: meta.modified().ok() })
    }
}

/// The files that may be plugins, by name. Hidden ones are not: that is how others write temporary files.
pub(crate) fn files(folders: &[PathBuf]) -> Vec<(PathBuf, Stamp)> {
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let candidate = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with(".wasm") && !name.starts_with('.')
    };
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(candidate)
        .filter_map(|path| Stamp::of(&path).map(|stamp| (path, stamp)))
        .collect();
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    files
}

/// Starts to follow the folders of the registry, until it is gone.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn watch(shared: &Arc<Shared>) -> io::Result<()> {
    let (wake, woken) = sync_channel(1);
    let watcher = notice(shared.folders(), wake.clone());
    let shared = Arc::downgrade(shared);
    let follow = move || {
        // Both live as long as the thread: the watcher to wake it, the sender so that without a watcher
        // the channel is not closed.
        let _alive = (watcher, wake);
        follow(&shared, &woken);
    };
    thread::Builder::new().name("plugin-watch".to_owned()).spawn(follow)?;
    Ok(())
}

/// Has the system wake us when something happens in the folders; `None`: it does not, looking must do.
fn notice(folders: &[PathBuf], wake: SyncSender<()>) -> Option<RecommendedWatcher> {
    // What happened is of no interest: the look finds out. One wake-up that waits is enough.
    let woken = move |event: notify::Result<Event>| {
        // Looking opens the folders and reads the files, which is told too, and would wake us for ever.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            let _ = wake.try_send(());
        }
    };
    let watcher = notify::recommended_watcher(woken).and_then(|mut watcher| {
        folders.iter().try_for_each(|folder| watcher.watch(folder, RecursiveMode::NonRecursive))?;
        Ok(watcher)
    });
    watcher
        .inspect_err(
            |error| tracing::warn!(%error, "plugin folders are looked at every {} s", ANYWAY.as_secs()),
        )
        .ok()
}

/// What is not yet as it will be: files that are new or changed, and files that are gone.
#[derive(Debug, Default)]
struct Unsettled {
    changed: HashMap<PathBuf, (Stamp, Instant)>,
    gone: HashMap<PathBuf, Instant>,
}

fn follow(shared: &Weak<Shared>, woken: &Receiver<()>) {
    let mut unsettled = Unsettled::default();
    let mut first = true;
    while let Some(shared) = shared.upgrade() {
        // What was there at start is not being written: it is taken without waiting.
        let stable = if first { Duration::ZERO } else { STABLE };
        unsettled.look(&shared, stable);
        if first {
            shared.settle();
            first = false;
        }
        drop(shared);
        let pause = if unsettled.changed.is_empty() && unsettled.gone.is_empty() { ANYWAY } else { SOON };
        if let Err(RecvTimeoutError::Disconnected) = woken.recv_timeout(pause) {
            return;
        }
    }
}

impl Unsettled {
    /// One look: takes and forgets what has been as it is for `stable`, remembers the rest.
    fn look(&mut self, shared: &Shared, stable: Duration) {
        let files = files(shared.folders());
        let now = Instant::now();
        let there = |path: &Path| files.binary_search_by(|(file, _)| file.as_path().cmp(path)).is_ok();
        self.changed.retain(|path, _| there(path));
        self.gone.retain(|path, _| !there(path));
        let missing = shared.known().into_iter().filter(|path| !there(path));
        // Tools that replace a file by deleting it first get the same time to bring it back.
        let gone: Vec<_> =
            missing.filter(|path| now - *self.gone.entry(path.clone()).or_insert(now) >= stable).collect();
        self.gone.retain(|path, _| !gone.contains(path));
        shared.forget(&gone);
        for (path, stamp) in files {
            if shared.knows(&path, &stamp) {
                self.changed.remove(&path);
            } else if self.has_been(&path, &stamp, now) >= stable {
                self.changed.remove(&path);
                shared.take(&path, stamp);
            }
        }
    }

    /// How long the file has looked like this.
    fn has_been(&mut self, path: &Path, stamp: &Stamp, now: Instant) -> Duration {
        match self.changed.get(path) {
            Some((before, since)) if before == stamp => now - *since,
            _ => {
                self.changed.insert(path.to_owned(), (stamp.clone(), now));
                Duration::ZERO
            }
        }
    }
}
