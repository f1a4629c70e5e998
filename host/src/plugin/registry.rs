//! The plugins there are: those in the folders of `plugin.path`, kept up to date while the worker runs.
//!
//! At start every file is looked at once; those whose code is cached are there when [`Registry::open`]
//! returns, the others follow from the background as the compiler gets to them ([`Registry::settled`]
//! says when all were tried). From then on a thread follows the folders (see [`super::watch`]).
//!
//! Identity: a name and version is one content, and a class or alias is one plugin's, whichever file it
//! comes from; a file that would break this is refused and the first one stays. Several versions of one
//! plugin may lie side by side; a connector gets the newest that its `connector.plugin.version` allows. A
//! deleted file's plugin is not found any more; tasks that run it keep it. Whoever may write a folder holds
//! every grant made to the plugins in it, so folders that group or others may write are refused at start.

use super::engine::Engine;
use super::load::{Candidate, LoadError, Plugin};
use super::watch::{Stamp, files, watch};
use crate::config::{Problem, Problems, Sandboxes, VersionRange};
use crate::lock::unpoisoned;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use tokio::sync::{broadcast, watch as watch_channel};

/// Changes that a slow subscriber may fall behind before it misses some.
const BACKLOG: usize = 256;

/// The plugins there are; clones are the same registry. The folders are watched until the last is gone.
#[derive(Debug, Clone)]
pub(crate) struct Registry(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    engine: Engine,
    sandboxes: Sandboxes,
    folders: Vec<PathBuf>,
    state: Mutex<State>,
    changes: broadcast::Sender<Change>,
    settled: watch_channel::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, Entry>,
}

/// A file, as it was when it was last looked at.
#[derive(Debug)]
struct Entry {
    stamp: Stamp,
    /// The plugin that is in use from this file: of the last content that was good.
    plugin: Option<Arc<Plugin>>,
    /// Why the content that is there now is not in use.
    failure: Option<Arc<Failure>>,
}

/// What happened in the folders.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// A new plugin, or a new version in place of another (same [`Plugin::path`]).
    Loaded(Arc<Plugin>),
    /// A file that is not in use; a plugin that was loaded from it before still is.
    Failed(Arc<Failure>),
    /// The file of this plugin was deleted.
    Gone(Arc<Plugin>),
}

/// A file that is no plugin, or none that may be used.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The file.
    pub(crate) path: PathBuf,
    /// Why.
    pub(crate) error: RefusedFile,
}

impl Failure {
    /// Whether the file is the one that this plugin came from: a new version of it that is no good.
    pub(crate) fn concerns(&self, plugin: &Plugin) -> bool {
        self.path == plugin.path()
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.error)?;
        let mut source = std::error::Error::source(&self.error);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// Why a file is not in use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RefusedFile {
    /// It is no plugin.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Another file says it is the same, with another content.
    #[error("{name} {version} is already there with another content, from {}", other.display())]
    SameVersion {
        /// The plugin.
        name: String,
        /// Its version.
        version: String,
        /// The file that was first.
        other: PathBuf,
    },
    /// Another plugin has its class or alias.
    #[error("the class or alias {handle} is already that of {owner}, from {}", other.display())]
    SameHandle {
        /// The class or alias.
        handle: String,
        /// The plugin that was first.
        owner: String,
        /// Its file.
        other: PathBuf,
    },
}

impl Registry {
    /// Looks at the folders, loads what is cached, and goes on in the background.
    ///
    /// # Errors
    /// All that is wrong with the folders themselves (not with the files in them).
    pub(crate) fn open(
        engine: Engine,
        folders: Vec<PathBuf>,
        sandboxes: Sandboxes,
    ) -> Result<Self, Problems> {
        check_folders(&folders)?;
        let (changes, _) = broadcast::channel(BACKLOG);
        let (settled, _) = watch_channel::channel(false);
        let state = Mutex::default();
        let shared = Arc::new(Shared { engine, sandboxes, folders, state, changes, settled });
        shared.first_look();
        watch(&shared).map_err(|error| one_problem(&format!("cannot be watched: {error}")))?;
        Ok(Self(shared))
    }

    /// The newest plugin whose class, alias or name this is.
    pub(crate) fn find(&self, handle: &str) -> Option<Arc<Plugin>> {
        self.pick(handle, None)
    }

    /// The newest that a range of versions allows; none is any.
    pub(crate) fn pick(&self, handle: &str, wanted: Option<&VersionRange>) -> Option<Arc<Plugin>> {
        let allowed =
            |plugin: &Arc<Plugin>| wanted.is_none_or(|range| range.contains(&plugin.version().to_string()));
        self.all(handle).into_iter().rfind(allowed)
    }

    /// The versions there are of it, the newest last.
    pub(crate) fn versions(&self, handle: &str) -> Vec<String> {
        let mut versions: Vec<_> =
            self.all(handle).iter().map(|plugin| plugin.version().to_string()).collect();
        versions.dedup();
        versions
    }

    /// Every plugin whose class, alias or name this is, the newest last.
    fn all(&self, handle: &str) -> Vec<Arc<Plugin>> {
        let of_handle = |plugin: &Arc<Plugin>| plugin.manifest().handles().any(|known| known == handle);
        let mut all: Vec<_> = self.list().into_iter().filter(of_handle).collect();
        all.sort_by(|a, b| a.version().cmp(b.version()));
        all
    }

    /// All plugins, by file.
    pub(crate) fn list(&self) -> Vec<Arc<Plugin>> {
        self.0.lock().files.values().filter_map(|entry| entry.plugin.clone()).collect()
    }

    /// The files that are not in use as they are, and why.
    pub(crate) fn problems(&self) -> Vec<Arc<Failure>> {
        self.0.lock().files.values().filter_map(|entry| entry.failure.clone()).collect()
    }

    /// What changes from now on. Who falls behind is told so, and looks at [`Registry::list`].
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.0.changes.subscribe()
    }

    /// Returns when every file that was there at start has been tried.
    pub(crate) async fn settled(&self) {
        // An error would mean that the sender is gone, and with it whatever could still come.
        let _ = self.0.settled.subscribe().wait_for(|settled| *settled).await;
    }
}

impl Shared {
    pub(crate) fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    pub(crate) fn settle(&self) {
        self.settled.send_replace(true);
    }

    /// Whether the file was looked at in this state.
    pub(crate) fn knows(&self, path: &Path, stamp: &Stamp) -> bool {
        self.lock().files.get(path).is_some_and(|entry| entry.stamp == *stamp)
    }

    /// Loads the file and puts it in place, or says why not.
    pub(crate) fn take(&self, path: &Path, stamp: Stamp) {
        self.place(path, stamp, Plugin::load(&self.engine, path, &self.sandboxes));
    }

    /// The files that were looked at.
    pub(crate) fn known(&self) -> Vec<PathBuf> {
        self.lock().files.keys().cloned().collect()
    }

    /// Forgets files that are not there any more, and lets those try again that they kept out.
    pub(crate) fn forget(&self, paths: &[PathBuf]) {
        let mut state = self.lock();
        let gone: Vec<_> = paths.iter().filter_map(|path| state.files.remove(path)?.plugin).collect();
        if gone.is_empty() {
            return;
        }
        state.files.retain(|_, entry| {
            let kept_out =
                entry.failure.as_ref().is_some_and(|failure| !matches!(failure.error, RefusedFile::Load(_)));
            !kept_out || entry.plugin.is_some()
        });
        drop(state);
        for plugin in gone {
            tracing::info!(%plugin, file = %plugin.path().display(), "the plugin's file is gone");
            let _ = self.changes.send(Change::Gone(plugin));
        }
    }

    /// Loads what needs no compiling, each file on a thread of its own.
    fn first_look(&self) {
        let looked = thread::scope(|scope| {
            let look = |(path, stamp): (PathBuf, Stamp)| {
                scope.spawn(move || {
                    let loaded = match Candidate::read(&path) {
                        Ok(candidate) if !candidate.is_cached(&self.engine) => return None,
                        Ok(candidate) => candidate.load(&self.engine, &self.sandboxes),
                        Err(error) => Err(error),
                    };
                    Some((path, stamp, loaded))
                })
            };
            let threads: Vec<_> = files(&self.folders).into_iter().map(look).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok().flatten()).collect::<Vec<_>>()
        });
        // In the order of their names, so that the same file wins at every start.
        for (path, stamp, loaded) in looked {
            self.place(&path, stamp, loaded);
        }
    }

    fn place(&self, path: &Path, stamp: Stamp, loaded: Result<Arc<Plugin>, LoadError>) {
        if matches!(loaded, Err(LoadError::Unstable)) {
            // The next look sees another stamp.
            return;
        }
        let mut state = self.lock();
        let judged = loaded.map_err(RefusedFile::from).and_then(|plugin| {
            state.judge(path, &plugin)?;
            Ok(plugin)
        });
        let before = state.files.get(path).and_then(|entry| entry.plugin.clone());
        let (entry, change) = match judged {
            Ok(plugin) => {
                let same = before.is_some_and(|before| before.sha256() == plugin.sha256());
                let change = (!same).then(|| Change::Loaded(Arc::clone(&plugin)));
                (Entry { stamp, plugin: Some(plugin), failure: None }, change)
            }
            Err(error) => {
                let failure = Arc::new(Failure { path: path.to_owned(), error });
                let change = Some(Change::Failed(Arc::clone(&failure)));
                (Entry { stamp, plugin: before, failure: Some(failure) }, change)
            }
        };
        state.files.insert(path.to_owned(), entry);
        drop(state);
        if let Some(change) = change {
            change.log();
            let _ = self.changes.send(change);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.state.lock())
    }
}

impl State {
    /// The identity rules.
    fn judge(&self, path: &Path, plugin: &Plugin) -> Result<(), RefusedFile> {
        for (other, entry) in self.files.iter().filter(|(other, _)| *other != path) {
            let Some(there) = &entry.plugin else { continue };
            let other = other.clone();
            if there.name() == plugin.name() {
                if there.version() == plugin.version() && there.sha256() != plugin.sha256() {
                    let (name, version) = (plugin.name().to_owned(), plugin.version().to_string());
                    return Err(RefusedFile::SameVersion { name, version, other });
                }
            } else if let Some(handle) = plugin
                .manifest()
                .handles()
                .find(|handle| there.manifest().handles().any(|known| known == *handle))
            {
                let (handle, owner) = (handle.to_owned(), there.to_string());
                return Err(RefusedFile::SameHandle { handle, owner, other });
            }
        }
        Ok(())
    }
}

impl Change {
    fn log(&self) {
        match self {
            Self::Loaded(plugin) => {
                tracing::info!(%plugin, kind = %plugin.kind(), file = %plugin.path().display(), "loaded a plugin");
            }
            Self::Failed(failure) => tracing::warn!("cannot use {failure}"),
            Self::Gone(_) => {}
        }
    }
}

fn check_folders(folders: &[PathBuf]) -> Result<(), Problems> {
    let mut problems = Problems::default();
    for folder in folders {
        let problem = match folder_mode(folder) {
            Ok(mode) if mode & 0o022 == 0 => continue,
            Ok(mode) => format!(
                "is writable for group or others (mode {mode:04o}); whoever may write it holds every grant made to \
                 the plugins in it: chmod go-w {}",
                folder.display()
            ),
            Err(error) => format!("cannot be used: {error}"),
        };
        problems.push(Problem::new("plugin.path", folder.display().to_string(), problem));
    }
    problems.or(())
}

fn folder_mode(folder: &Path) -> io::Result<u32> {
    let meta = std::fs::metadata(folder)?;
    if meta.is_dir() { Ok(meta.mode() & 0o7777) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

fn one_problem(message: &str) -> Problems {
    Problems(vec![Problem::without_value("plugin.path", message)])
}
