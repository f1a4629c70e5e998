//! The contract's `net`: connections of TCP and TLS as plain functions over numbers, for languages that have no
//! sockets and for protocols that change to TLS halfway.
//!
//! A connection is made by [`Net::connect`], so names, addresses, number and bytes are looked at there. Here calls are
//! bounded: each waits at most as long as it was told, and looks meanwhile whether the worker wants the task back.
//! Reading and writing may be given up between two bytes and nothing is lost; a connection that failed is gone.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::metered::Metered;
use super::{Net, Refused, tls};
use crate::config::NetScheme;
use crate::plugin::call::Code;

/// The longest that any call waits, whatever it was told: as long as the worker's own patience with a call.
const LONGEST: Duration = Duration::from_secs(60);
/// How often a call that waits looks whether it is wanted back.
const STEP: Duration = Duration::from_millis(50);
/// The most that one call takes out of a connection.
const MOST: u32 = 1 << 20;

/// The connections of one instance.
pub(in crate::plugin) struct Dialled {
    net: Arc<Net>,
    should_stop: Arc<AtomicBool>,
    tls: Option<TlsConnector>,
    open: HashMap<u32, Connection>,
    next: u32,
}

struct Connection {
    stream: Stream,
    host: String,
}

enum Stream {
    Plain(Metered),
    Tls(Box<TlsStream<Metered>>),
}

/// Why a call failed, and what the guest should make of it.
#[derive(Debug, thiserror::Error)]
pub(in crate::plugin) enum DialError {
    #[error("there is no connection {0}")]
    None(u32),
    #[error("{0}")]
    Argument(&'static str),
    #[error("{host} does not answer")]
    Late { host: String },
    #[error("{host}: {source}")]
    Io { host: String, source: io::Error },
    #[error("{host}: no certificate or key of the worker's can be used: {source}")]
    Files { host: String, source: crate::config::Problems },
}

impl DialError {
    /// The code of `wit/types.wit`.
    pub(in crate::plugin) fn code(&self) -> Code {
        match self {
            Self::None(_) | Self::Argument(_) => Code::Fatal,
            Self::Late { .. } => Code::Retriable,
            Self::Files { .. } => Code::Configuration,
            Self::Io { source, .. } => match source.get_ref().and_then(|inner| inner.downcast_ref()) {
                Some(Refused::Host { .. } | Refused::Address { .. }) => Code::Configuration,
                Some(Refused::Connections { .. }) => Code::Retriable,
                None if is_distrust(source) => Code::Configuration,
                None => Code::Retriable,
            },
        }
    }
}

fn is_distrust(error: &io::Error) -> bool {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}

impl Dialled {
    pub(in crate::plugin) fn new(net: Arc<Net>, should_stop: Arc<AtomicBool>) -> Self {
        Self { net, should_stop, tls: None, open: HashMap::new(), next: 1 }
    }

    pub(in crate::plugin) async fn connect(
        &mut self,
        host: String,
        port: u32,
        tls: bool,
        wait: u32,
    ) -> Result<u32, DialError> {
        let Some(port) = u16::try_from(port).ok().filter(|port| *port > 0) else {
            return Err(DialError::Argument("a port is a number from 1 to 65535"));
        };
        let patience = self.patience(wait).of_a_connection()?;
        let stream = match patience.wait(self.net.connect(NetScheme::Tcp, &host, port)).await {
            Ok(Some(stream)) => stream,
            Ok(None) => return Err(DialError::Late { host }),
            Err(source) => return Err(DialError::Io { host, source }),
        };
        let stream = if tls { self.secure(stream, &host, &patience).await? } else { Stream::Plain(stream) };
        let number = self.next;
        // So many no instance makes: each takes longer than a round trip.
        self.next = self.next.checked_add(1).ok_or(DialError::Argument("no numbers are left"))?;
        let _ = self.open.insert(number, Connection { stream, host });
        Ok(number)
    }

    pub(in crate::plugin) async fn start_tls(&mut self, number: u32, wait: u32) -> Result<(), DialError> {
        let patience = self.patience(wait).of_a_connection()?;
        let Connection { stream, host } = self.take(number)?;
        let stream = match stream {
            Stream::Plain(stream) => self.secure(stream, &host, &patience).await?,
            Stream::Tls(_) => return Err(DialError::Argument("the connection had TLS already")),
        };
        let _ = self.open.insert(number, Connection { stream, host });
        Ok(())
    }

    async fn secure(
        &mut self,
        stream: Metered,
        host: &str,
        patience: &Patience,
    ) -> Result<Stream, DialError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name =
            ServerName::try_from(bare).map_err(|_| DialError::Argument("the host has no name for TLS"))?;
        let connecting = self.tls(host)?.connect(name, stream);
        match patience.wait(connecting).await {
            Ok(Some(stream)) => Ok(Stream::Tls(Box::new(stream))),
            Ok(None) => Err(DialError::Late { host: host.to_owned() }),
            Err(source) => {
                if let Some(tls) = source.get_ref().and_then(|inner| inner.downcast_ref()) {
                    self.net.refusals.tls(host, tls);
                }
                Err(DialError::Io { host: host.to_owned(), source })
            }
        }
    }

    /// Made at the first need: reading certificates takes a while.
    fn tls(&mut self, host: &str) -> Result<TlsConnector, DialError> {
        if let Some(tls) = &self.tls {
            return Ok(tls.clone());
        }
        let config = tls::client_config(self.net.refusals.plugin(), &self.net.sandbox)
            .map_err(|source| DialError::Files { host: host.to_owned(), source })?;
        Ok(self.tls.insert(TlsConnector::from(Arc::new(config))).clone())
    }

    /// Bytes that were taken.
    pub(in crate::plugin) async fn send(
        &mut self,
        number: u32,
        bytes: &[u8],
        wait: u32,
    ) -> Result<u32, DialError> {
        let bytes = &bytes[..bytes.len().min(MOST as usize)];
        let patience = self.patience(wait);
        let mut connection = self.take(number)?;
        let mut taken = 0;
        let sending = async {
            while taken < bytes.len() {
                match connection.stream.write(&bytes[taken..]).await? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    more => taken += more,
                }
            }
            connection.stream.flush().await
        };
        // What was taken and did not go out yet does so with the next call.
        let sent = patience.wait(sending).await;
        let _ = self.put_back(number, connection, sent)?;
        Ok(u32::try_from(taken).expect("no more than MOST"))
    }

    /// What came; `None`: the other side has closed.
    pub(in crate::plugin) async fn receive(
        &mut self,
        number: u32,
        most: u32,
        wait: u32,
    ) -> Result<Option<Vec<u8>>, DialError> {
        let patience = self.patience(wait);
        let mut connection = self.take(number)?;
        let mut bytes = Vec::new();
        let most = u64::from(most.clamp(1, MOST));
        let came = patience
            .wait(async {
                // What is left of the last call has to be out before an answer can come.
                connection.stream.flush().await?;
                (&mut connection.stream).take(most).read_buf(&mut bytes).await
            })
            .await;
        let ended = self.put_back(number, connection, came)? == Some(0);
        Ok((!ended).then_some(bytes))
    }

    pub(in crate::plugin) async fn close(&mut self, number: u32) {
        if let Ok(mut connection) = self.take(number) {
            // Only TLS has something to say; who does not listen does not hold this up.
            let _ = timeout(STEP, connection.stream.shutdown()).await;
        }
    }

    fn take(&mut self, number: u32) -> Result<Connection, DialError> {
        self.open.remove(&number).ok_or(DialError::None(number))
    }

    /// A connection stays unless it failed.
    fn put_back<T>(
        &mut self,
        number: u32,
        connection: Connection,
        done: io::Result<T>,
    ) -> Result<T, DialError> {
        match done {
            Ok(value) => {
                let _ = self.open.insert(number, connection);
                Ok(value)
            }
            Err(source) => Err(DialError::Io { host: connection.host, source }),
        }
    }

    fn patience(&self, wait: u32) -> Patience {
        let wait = Duration::from_millis(wait.into()).min(LONGEST);
        Patience { wait, end: Instant::now() + wait, should_stop: Arc::clone(&self.should_stop) }
    }
}

/// How long a call waits.
struct Patience {
    wait: Duration,
    end: Instant,
    should_stop: Arc<AtomicBool>,
}

impl Patience {
    fn of_a_connection(self) -> Result<Self, DialError> {
        match self.wait.is_zero() {
            true => Err(DialError::Argument("to connect takes time, and max-wait-ms is 0")),
            false => Ok(self),
        }
    }

    /// What comes of `waited_for`; `None` when the time is over, or the worker wants the task back.
    async fn wait<T>(&self, waited_for: impl Future<Output = io::Result<T>>) -> io::Result<Option<T>> {
        let mut waited_for = pin!(waited_for);
        loop {
            let step = (Instant::now() + STEP).min(self.end);
            if let Ok(done) = timeout_at(step, &mut waited_for).await {
                return done.map(Some);
            }
            if step == self.end || self.should_stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
