//! A file that only whole lines are appended to.
//!
//! What can go wrong, and the answer. A worker is killed in the middle of a write: the next instance
//! cuts the torn line off; it was not committed, so its record comes again. A write fails half way (a
//! full disk): the file is cut back to what it was, and the same batch comes again. Somebody takes the
//! file away (rotation): the next commit notices and goes on in a new one. A killed instance writes
//! late: it appends whole lines, which are duplicates at worst; it never cuts, which only `open` and a
//! failed write of its own do.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use transom_sdk::{Error, log};

/// What is searched at once for the end of the last whole line.
const STEP: u64 = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Appender {
    path: String,
    file: File,
    identity: (u64, u64),
    /// Whether something was written since the last sync.
    dirty: bool,
}

impl Appender {
    /// Opens the file, makes it if need be, and cuts off a torn last line.
    pub(crate) fn open(path: &str) -> Result<Self, Error> {
        let failed = |error: std::io::Error| {
            let hint = match error.kind() {
                std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => {
                    " (does the folder exist, and is it granted for writing in sandbox.file-sink.fs?)"
                }
                _ => "",
            };
            Error::from(error).context(format!("opening {path}{hint}"))
        };
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
        let whole = whole_lines(&mut file).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        if whole < len {
            log::warn!(
                "{path} ended in the middle of a line: its last {} bytes were cut off; they were not committed, \
                 and their record comes again",
                len - whole
            );
            file.set_len(whole).map_err(failed)?;
        }
        let stat = rustix::fs::fstat(&file).map_err(|error| failed(error.into()))?;
        Ok(Self { path: path.into(), file, identity: (stat.st_dev, stat.st_ino), dirty: whole < len })
    }

    /// Appends whole lines, all of them or none.
    pub(crate) fn append(&mut self, lines: &[u8]) -> Result<(), Error> {
        if lines.is_empty() {
            return Ok(());
        }
        let before = self.file.metadata().map_err(|error| self.failed(error))?.len();
        self.dirty = true;
        self.file.write_all(lines).map_err(|error| {
            // The same batch comes again: what is there of it must go, or it would be there twice.
            match self.file.set_len(before) {
                Ok(()) => self.failed(error),
                Err(also) => Error::fatal(format!("writing {}: {error}; then cutting it: {also}", self.path)),
            }
        })
    }

    /// Makes what was appended durable.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        if self.dirty {
            self.file.sync_data().map_err(|error| self.failed(error))?;
            self.dirty = false;
        }
        self.follow_rotation()
    }

    /// Goes on in a new file if this one has lost its name: nobody would find the lines.
    fn follow_rotation(&mut self) -> Result<(), Error> {
        let now = match File::open(&self.path) {
            Ok(file) => Some(rustix::fs::fstat(&file).map_err(|error| self.failed(error.into()))?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(self.failed(error)),
        };
        if now.is_none_or(|now| (now.st_dev, now.st_ino) != self.identity) {
            log::info!("{} was taken away, and is made anew", self.path);
            *self = Self::open(&self.path)?;
        }
        Ok(())
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::from(error).context(format!("writing {}", self.path))
    }
}

/// The length of the file up to its last newline.
fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut buffer = vec![0; STEP as usize];
    while end > 0 {
        let start = end.saturating_sub(STEP);
        let piece = &mut buffer[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(piece)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
