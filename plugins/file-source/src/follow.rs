//! The file behind the name: read in large chunks, and followed when it grows, is truncated, or when
//! another file takes its name.
//!
//! Two numbers are kept: where the next read goes on, and how long the file was when it was looked at
//! last. Only when all of that is read is it looked at again, by opening the name once more: a device
//! and inode that differ are another file (its predecessor is read to its end first), a length below
//! what was read is a truncation. So nothing is read while nothing changes, and the memory is bounded:
//! one chunk, or as much as the longest line that is allowed.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};

use transom_sdk::{Error, log};

/// What is read at once.
const CHUNK: usize = 256 * 1024;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing: the file has not changed, or there is none.
    None,
    /// More bytes.
    Bytes,
    /// The file is shorter than what was read of it; it is read from its beginning.
    Truncated,
    /// Another file has the name now, and is read from its beginning.
    Rotated {
        /// The last line of the old one, which nothing will complete.
        rest: Vec<u8>,
    },
}

#[derive(Debug)]
struct Open {
    file: File,
    identity: (u64, u64),
    /// Where the next read goes on.
    read: u64,
    /// The length when it was looked at last.
    len: u64,
}

#[derive(Debug)]
pub(crate) struct Follower {
    path: String,
    open: Option<Open>,
    buffer: Vec<u8>,
    /// What of the buffer is read and not consumed.
    start: usize,
    end: usize,
    /// The place of `start` in the file.
    position: u64,
    /// Whether the present absence of the file was logged.
    missing: bool,
}

impl Follower {
    /// Follows a file from a position on.
    pub(crate) fn new(path: &str, position: u64) -> Self {
        let path = path.into();
        Self { path, open: None, buffer: vec![0; CHUNK], start: 0, end: 0, position, missing: false }
    }

    /// The bytes that were read and not consumed.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The place of the first unread byte in the file.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Steps over so many unread bytes.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.position += bytes as u64;
    }

    /// The error for a line that starts here and is too long.
    pub(crate) fn too_long(&self, most: usize) -> Error {
        Error::config(format!(
            "the line at byte {} of {} is longer than line.max.bytes={most}: raise it (and what the topic and \
             the producer allow), or mend the file",
            self.position, self.path
        ))
    }

    /// Looks for more. All unread bytes are one incomplete line, or less.
    pub(crate) fn advance(&mut self, line_max: usize) -> Result<News, Error> {
        let Some(open) = &self.open else { return self.first_look() };
        if open.read >= open.len {
            match self.look()? {
                News::Bytes => {}
                news => return Ok(news),
            }
        }
        self.read(line_max)
    }

    /// Opens the name, which nothing may have.
    fn reopen(&mut self) -> Result<Option<Open>, Error> {
        let failed = |error: std::io::Error| Error::from(error).context(format!("opening {}", self.path));
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let stat = rustix::fs::fstat(&file).map_err(|error| failed(error.into()))?;
        let len = stat.st_size as u64;
        Ok(Some(Open { file, identity: (stat.st_dev, stat.st_ino), read: 0, len }))
    }

    /// The first time, and again until the file is there.
    fn first_look(&mut self) -> Result<News, Error> {
        let Some(mut open) = self.reopen()? else {
            if !std::mem::replace(&mut self.missing, true) {
                log::warn!(
                    "waiting for {}: there is no such file, or its folder is not granted \
                     (sandbox.file-source.fs)",
                    self.path
                );
            }
            return Ok(News::None);
        };
        self.missing = false;
        let truncated = open.len < self.position;
        if truncated {
            self.log_truncation(open.len);
            self.position = 0;
        }
        open.read = open.file.seek(SeekFrom::Start(self.position)).map_err(|error| self.failed(error))?;
        self.open = Some(open);
        Ok(if truncated { News::Truncated } else { News::Bytes })
    }

    /// All is read: has the file grown, shrunk, or been replaced? `Bytes`: there may be more.
    fn look(&mut self) -> Result<News, Error> {
        let now = self.reopen()?;
        let Some(open) = &mut self.open else { return Ok(News::None) };
        let len = open.file.metadata().map_err(|error| Error::from(error).context(&self.path))?.len();
        let grown = len > open.len;
        open.len = len;
        if len < open.read {
            self.log_truncation(len);
            return self.restart(None).map(|()| News::Truncated);
        }
        if grown {
            return Ok(News::Bytes);
        }
        match now {
            // The length tells where a host does not tell inodes.
            Some(now) if now.identity != open.identity || now.len < open.read => {
                log::info!("{} is another file now, and is read from its beginning", self.path);
                let rest = self.unread();
                let rest = rest.strip_suffix(b"\r").unwrap_or(rest).to_vec();
                self.restart(Some(now))?;
                Ok(News::Rotated { rest })
            }
            // Also when the name is gone: whoever has the old file open may still write to it.
            _ => Ok(News::None),
        }
    }

    fn log_truncation(&self, len: u64) {
        log::warn!(
            "{} has {len} bytes, less than the {} that were read: it was truncated or replaced, and is read \
             from its beginning{}",
            self.path,
            self.position + self.unread().len() as u64,
            if self.unread().is_empty() { "" } else { " (its last, incomplete line is gone)" }
        );
    }

    /// Begins at the beginning, of the same or of another file.
    fn restart(&mut self, other: Option<Open>) -> Result<(), Error> {
        if other.is_some() {
            self.open = other;
        }
        (self.start, self.end, self.position) = (0, 0, 0);
        let Some(open) = &mut self.open else { return Ok(()) };
        open.read = 0;
        open.file.rewind().map_err(|error| Error::from(error).context(&self.path))
    }

    fn read(&mut self, line_max: usize) -> Result<News, Error> {
        self.make_room(line_max)?;
        let Some(open) = &mut self.open else { return Ok(News::None) };
        match open.file.read(&mut self.buffer[self.end..]) {
            Ok(0) => {
                // Shorter than it was: the next look tells why.
                open.len = open.read;
                Ok(News::None)
            }
            Ok(bytes) => {
                self.end += bytes;
                open.read += bytes as u64;
                Ok(News::Bytes)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(News::Bytes),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Makes room behind the unread bytes: by moving them to the front, or by a larger buffer.
    fn make_room(&mut self, line_max: usize) -> Result<(), Error> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        // Two bytes for the line's end.
        if self.end > line_max.saturating_add(2) {
            return Err(self.too_long(line_max));
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.end + CHUNK, 0);
        } else if self.end == 0 && self.buffer.len() > CHUNK {
            self.buffer = vec![0; CHUNK];
        }
        Ok(())
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::from(error).context(format!("reading {}", self.path))
    }
}
