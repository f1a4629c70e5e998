//! The directories that an instance is given: what the operator granted, and one that stands for all the rest
//! (see [`super::files`]). Each instance opens them anew, so that a directory that was replaced meanwhile is the new
//! one.

use crate::config::{Grant, fs_key};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use wasmtime_wasi::filesystem::Dir;
use wasmtime_wasi::{FsPerms, OpenMode};

/// A grant that cannot be given.
#[derive(Debug, thiserror::Error)]
#[error("`{key}` cannot be granted")]
pub(crate) struct GrantError {
    /// The key with its value.
    pub(crate) key: String,
    /// Why the directory could not be opened.
    #[source]
    pub(crate) source: io::Error,
}

/// The directory that stands for everything that is not granted; one for the process.
#[derive(Clone)]
pub(crate) struct Nowhere(Dir);

impl Nowhere {
    /// Makes it: a new directory at `path`, unlinked as soon as it is open.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        std::fs::create_dir(path)?;
        let dir = open_dir(path);
        std::fs::remove_dir(path)?;
        Ok(Self(Dir::new(dir?, FsPerms::ReadOnly, OpenMode::READ, true)))
    }
}

fn open_dir(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_PATH).open(path)
}

/// The directories of one instance.
pub(crate) struct Granted {
    pub(super) dirs: Vec<Preopen>,
}

/// A directory that a guest starts from.
pub(super) struct Preopen {
    pub(super) dir: Dir,
    pub(super) path: PathBuf,
    /// False: it stands for all that is not granted.
    pub(super) granted: bool,
}

impl Granted {
    /// Opens what is granted.
    ///
    /// # Errors
    /// When one of the directories cannot be opened.
    pub(crate) fn open(plugin: &str, grants: &[Grant], nowhere: &Nowhere) -> Result<Self, GrantError> {
        let mut dirs = Vec::with_capacity(grants.len() + 1);
        for Grant { dir, write } in grants {
            let file =
                open_dir(dir).map_err(|source| GrantError { key: fs_key(plugin, dir, *write), source })?;
            let (perms, mode) = match write {
                true => (FsPerms::ReadWrite, OpenMode::READ | OpenMode::WRITE),
                false => (FsPerms::ReadOnly, OpenMode::READ),
            };
            dirs.push(Preopen { dir: Dir::new(file, perms, mode, true), path: dir.clone(), granted: true });
        }
        if dirs.iter().all(|dir| dir.path != Path::new("/")) {
            dirs.push(Preopen { dir: nowhere.0.clone(), path: "/".into(), granted: false });
        }
        Ok(Self { dirs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nowhere_is_empty_and_stays_so() {
        let scratch = tempfile::tempdir().unwrap();
        let nowhere = Nowhere::new(&scratch.path().join("nowhere")).unwrap();
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
        assert!(nowhere.0.dir.metadata().unwrap().is_dir());
    }

    #[test]
    fn a_grant_of_what_is_not_there_names_its_key() {
        let scratch = tempfile::tempdir().unwrap();
        let nowhere = Nowhere::new(&scratch.path().join("nowhere")).unwrap();
        let grant = Grant { dir: scratch.path().join("missing"), write: true };
        let error = Granted::open("file-sink", &[grant], &nowhere).err().unwrap();
        assert!(error.key.starts_with("sandbox.file-sink.fs=") && error.key.ends_with("/missing:rw"));
    }
}
