//! Connections for protocols that are not HTTP: databases, brokers, mail.
//!
//! A [`Connection`] reads and writes like any stream of the standard library, so that crates that speak a protocol over
//! `Read + Write` work as they are. TLS, from the first byte on or after both sides agreed on it, ends in the worker:
//! it has the keys and decides whom to trust. The operator grants where connections may go, with
//! `sandbox.<plugin>.net=tcp://host:port`.
//!
//! Nothing waits longer than the connection's time-out, nor when the worker wants the call back: reading then fails
//! with [`TimedOut`](io::ErrorKind::TimedOut), the connection is as good as before, and no byte is lost.
//!
//! Natively, for tests, it is a connection of the operating system, without TLS.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use crate::{Error, should_stop};

#[cfg(target_arch = "wasm32")]
use self::worker::Raw;

#[cfg(not(target_arch = "wasm32"))]
use self::native::Raw;

/// A connection. It is closed when it is dropped.
#[derive(Debug)]
pub struct Connection {
    raw: Raw,
    timeout: Duration,
}

impl Connection {
    /// Connects to a host, by name or address. `timeout` holds for this and for each later call.
    ///
    /// # Errors
    /// Retriable: the host cannot be reached now. Configuration: it is not granted.
    pub fn open(host: &str, port: u16, timeout: Duration) -> Result<Self, Error> {
        Ok(Self { raw: Raw::open(host, port, false, timeout)?, timeout })
    }

    /// The same with TLS from the first byte on.
    ///
    /// # Errors
    /// As for [`open`](Self::open). Configuration: the host's certificate is not trusted.
    pub fn open_tls(host: &str, port: u16, timeout: Duration) -> Result<Self, Error> {
        Ok(Self { raw: Raw::open(host, port, true, timeout)?, timeout })
    }

    /// Goes over to TLS, after both sides agreed on it. What was received before must have been read.
    ///
    /// # Errors
    /// As for [`open_tls`](Self::open_tls). The connection is then gone.
    pub fn start_tls(&mut self) -> Result<(), Error> {
        self.raw.start_tls(self.timeout)
    }

    /// How long a call may wait from now on.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Tries in steps until something comes of it, the time is over or the worker wants the call back.
    fn patiently<T>(
        &mut self,
        mut attempt: impl FnMut(&mut Raw, Duration) -> io::Result<Option<T>>,
    ) -> io::Result<T> {
        let end = Instant::now() + self.timeout;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if let Some(done) = attempt(&mut self.raw, left)? {
                return Ok(done);
            }
            if should_stop() || end <= Instant::now() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.patiently(|raw, wait| raw.receive(buffer, wait))
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.patiently(|raw, wait| raw.send(bytes, wait))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(target_arch = "wasm32")]
mod worker {
    use super::*;
    use crate::Kind;
    use crate::bindings::imports::transom::connect::net;
    use crate::bindings::imports::transom::connect::types;

    #[derive(Debug)]
    pub(super) struct Raw(u32);

    fn told(error: types::Error) -> Error {
        let kind = match error.code {
            1 => Kind::Retriable,
            4 => Kind::Config,
            _ => Kind::Fatal,
        };
        Error::new(kind, error.message)
    }

    fn failed(error: types::Error) -> io::Error {
        io::Error::other(told(error))
    }

    fn milliseconds(wait: Duration) -> u32 {
        u32::try_from(wait.as_millis()).unwrap_or(u32::MAX)
    }

    impl Raw {
        pub(super) fn open(host: &str, port: u16, tls: bool, wait: Duration) -> Result<Self, Error> {
            net::connect(host, port.into(), tls, milliseconds(wait)).map(Self).map_err(told)
        }

        pub(super) fn start_tls(&mut self, wait: Duration) -> Result<(), Error> {
            net::start_tls(self.0, milliseconds(wait)).map_err(told)
        }

        /// `None`: nothing was taken in time.
        pub(super) fn send(&mut self, bytes: &[u8], wait: Duration) -> io::Result<Option<usize>> {
            let taken = net::send(self.0, bytes, milliseconds(wait)).map_err(failed)?;
            Ok((taken > 0).then_some(taken as usize))
        }

        /// `None`: nothing came in time; 0: the other side has closed.
        pub(super) fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<Option<usize>> {
            let most = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
            let Some(came) = net::receive(self.0, most, milliseconds(wait)).map_err(failed)? else {
                return Ok(Some(0));
            };
            buffer[..came.len()].copy_from_slice(&came);
            Ok((!came.is_empty()).then_some(came.len()))
        }
    }

    impl Drop for Raw {
        fn drop(&mut self) {
            net::close(self.0);
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::net::{TcpStream, ToSocketAddrs as _};

    use super::*;
    use crate::host::STEP;

    #[derive(Debug)]
    pub(super) struct Raw(TcpStream);

    fn in_time<T>(done: io::Result<T>) -> io::Result<Option<T>> {
        match done {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(None)
            }
            done => done.map(Some),
        }
    }

    impl Raw {
        pub(super) fn open(host: &str, port: u16, tls: bool, wait: Duration) -> Result<Self, Error> {
            if tls {
                return Err(Error::fatal("natively there is no TLS"));
            }
            let unreachable = |error: io::Error| Error::retriable(format!("{host}:{port}: {error}"));
            let mut addresses = (host, port).to_socket_addrs().map_err(unreachable)?;
            let address =
                addresses.next().ok_or_else(|| Error::retriable(format!("{host} has no address")))?;
            TcpStream::connect_timeout(&address, wait.max(STEP)).map(Self).map_err(unreachable)
        }

        pub(super) fn start_tls(&mut self, _: Duration) -> Result<(), Error> {
            Err(Error::fatal("natively there is no TLS"))
        }

        pub(super) fn send(&mut self, bytes: &[u8], wait: Duration) -> io::Result<Option<usize>> {
            self.0.set_write_timeout(Some(wait.clamp(Duration::from_millis(1), STEP)))?;
            in_time(self.0.write(bytes))
        }

        pub(super) fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<Option<usize>> {
            self.0.set_read_timeout(Some(wait.clamp(Duration::from_millis(1), STEP)))?;
            in_time(self.0.read(buffer))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::testing;

    #[test]
    fn it_reads_what_comes_and_gives_up_when_the_worker_wants_the_call_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let other = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut five = [0; 5];
            stream.read_exact(&mut five).unwrap();
            stream.write_all(&five).unwrap();
            stream
        });
        let mut connection = Connection::open("127.0.0.1", port, Duration::from_secs(60)).unwrap();
        connection.write_all(b"hello").unwrap();
        let mut five = [0; 5];
        connection.read_exact(&mut five).unwrap();
        assert_eq!(&five, b"hello");
        let stream = other.join().unwrap();
        testing::set_should_stop(true);
        assert_eq!(connection.read(&mut five).unwrap_err().kind(), io::ErrorKind::TimedOut);
        testing::set_should_stop(false);
        drop(stream);
        assert_eq!(connection.read(&mut five).unwrap(), 0);
    }
}
