//! The right to the file of offsets: one worker at a time.
//!
//! A worker keeps all offsets in memory and writes the file whole, so a second one on the same file would undo
//! what the first has saved, and the other way round. The right is an advisory lock (`flock`) on a file of its own,
//! as the file of offsets is replaced with every save. The operating system takes it back when the process ends,
//! in whichever way; the file of the lock stays, for to remove it would let two workers lock two files of one name.
//! It holds the process id of its owner, for whoever is refused. Where the file system keeps no locks between
//! machines, it guards against workers of one machine only.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::store::StoreError;

/// Held until dropped.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "closing it gives the right back")] File);

impl Lock {
    /// Takes the right to a file of offsets; never waits for it.
    pub(super) fn take(offsets: &Path) -> Result<Self, StoreError> {
        let path = beside(offsets);
        let failed = |source| StoreError::Lock { path: path.clone(), source: Arc::new(source) };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(failed)?;
                let holder = if holder.is_empty() { "unknown" } else { holder.trim() };
                return Err(StoreError::Held { path: offsets.to_owned(), holder: holder.to_owned() });
            }
            Err(error) => return Err(failed(error.into())),
        }
        sign(&mut file).map_err(failed)?;
        Ok(Self(file))
    }
}

/// Leaves this process's id.
fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", process::id())
}

fn beside(offsets: &Path) -> PathBuf {
    let mut name = offsets.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    offsets.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_second_is_told_whose_it_is_until_that_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("offsets.json");
        let first = Lock::take(&path).unwrap();
        let refused = Lock::take(&path).unwrap_err().to_string();
        let id = process::id().to_string();
        assert!(refused.contains(&id) && refused.contains(&path.display().to_string()), "{refused}");
        drop(first);
        drop(Lock::take(&path).unwrap());
        assert!(!path.exists(), "the file of offsets itself is left alone");
    }

    #[test]
    fn what_an_owner_left_behind_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("o.lock"), "4194304999\n").unwrap();
        let _lock = Lock::take(&folder.path().join("o")).unwrap();
        let text = std::fs::read_to_string(folder.path().join("o.lock")).unwrap();
        assert_eq!(text, format!("{}\n", process::id()));
    }

    #[test]
    fn a_folder_that_is_missing_is_an_error() {
        let refused = Lock::take(Path::new("/nowhere/offsets")).unwrap_err().to_string();
        assert!(refused.contains("/nowhere/offsets.lock"), "{refused}");
    }
}
