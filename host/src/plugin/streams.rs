//! Streams over a guest's files that read and write on the thread that runs the guest.
//!
//! The WASI library's own file streams hand a plain `write` to a thread pool and return: such a write
//! can land after the call that made it is over, even after its instance was killed and a successor has
//! started. These do not: when a call into the guest has ended, in whatever way, so has every file
//! operation it began (design rule: a late write of an older instance must do no harm). The price is
//! that a slow disk holds the thread; tasks with files have threads of their own.
//!
//! Appending is `pwritev2(RWF_APPEND)`: the kernel takes the end of the file and writes in one step, as
//! with `O_APPEND`, even if the guest did not open the file so.

use bytes::{Bytes, BytesMut};
use rustix::io::{Errno, ReadWriteFlags, pwritev2};
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

/// Bytes of one read or write: what a guest may make the host allocate.
const CHUNK: usize = 64 << 10;

/// Reads a file from a position on.
pub(crate) struct FileInput {
    file: Arc<File>,
    position: u64,
}

impl FileInput {
    pub(crate) fn new(file: Arc<File>, position: u64) -> Self {
        Self { file, position }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for FileInput {
    async fn ready(&mut self) {}
}

impl InputStream for FileInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let mut buffer = BytesMut::zeroed(size.min(CHUNK));
        let read = loop {
            match self.file.read_at(&mut buffer, self.position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result.map_err(failed)?,
            }
        };
        if read == 0 {
            return Err(StreamError::Closed);
        }
        self.position += read as u64;
        buffer.truncate(read);
        Ok(buffer.freeze())
    }
}

/// Writes a file from a position on, or at its end.
pub(crate) struct FileOutput {
    file: Arc<File>,
    /// `None`: at the end.
    position: Option<u64>,
    closed: bool,
}

impl FileOutput {
    pub(crate) fn at(file: Arc<File>, position: u64) -> Self {
        Self { file, position: Some(position), closed: false }
    }

    pub(crate) fn append(file: Arc<File>) -> Self {
        Self { file, position: None, closed: false }
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = match self.position {
                Some(position) => self.file.write_at(bytes, position),
                None => append(&self.file, bytes),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    bytes = &bytes[n..];
                    self.position = self.position.map(|position| position + n as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for FileOutput {
    async fn ready(&mut self) {}
}

impl OutputStream for FileOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if self.closed {
            return Err(StreamError::Closed);
        }
        self.write_all(&bytes).map_err(|error| {
            self.closed = true;
            failed(error)
        })
    }

    fn flush(&mut self) -> StreamResult<()> {
        if self.closed { Err(StreamError::Closed) } else { Ok(()) }
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if self.closed { Err(StreamError::Closed) } else { Ok(CHUNK) }
    }
}

fn failed(error: io::Error) -> StreamError {
    StreamError::LastOperationFailed(error.into())
}

/// One atomic append. File systems without `RWF_APPEND` are refused rather than raced.
fn append(file: &File, bytes: &[u8]) -> io::Result<usize> {
    match pwritev2(file, &[IoSlice::new(bytes)], 0, ReadWriteFlags::APPEND) {
        Ok(n) => Ok(n),
        Err(Errno::NOSYS | Errno::NOTSUP) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the file system has no atomic append (pwritev2 with RWF_APPEND)",
        )),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_have_landed_when_they_return() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = Arc::new(File::options().create_new(true).read(true).write(true).open(&path).unwrap());
        let mut at = FileOutput::at(Arc::clone(&file), 2);
        at.write(Bytes::from_static(b"cd")).unwrap();
        at.write(Bytes::from_static(b"ef")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"\0\0cdef");
    }

    #[test]
    fn appends_go_to_the_end_wherever_it_is_by_then() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = Arc::new(File::options().create_new(true).read(true).write(true).open(&path).unwrap());
        let mut one = FileOutput::append(Arc::clone(&file));
        let mut two = FileOutput::append(Arc::new(File::options().write(true).open(&path).unwrap()));
        one.write(Bytes::from_static(b"a")).unwrap();
        two.write(Bytes::from_static(b"b")).unwrap();
        one.write(Bytes::from_static(b"c")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
    }

    #[test]
    fn reads_go_on_where_they_were_and_see_what_was_added() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "hello").unwrap();
        let mut input = FileInput::new(Arc::new(File::open(&path).unwrap()), 1);
        assert_eq!(&input.read(3).unwrap()[..], b"ell");
        assert_eq!(&input.read(100).unwrap()[..], b"o");
        assert!(matches!(input.read(1), Err(StreamError::Closed)));
        std::fs::write(&path, "hello again").unwrap();
        assert_eq!(&input.read(100).unwrap()[..], b" again");
    }
}
