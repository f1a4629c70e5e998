//! A connection that is counted: it holds its place among those the task may have, and its bytes are bounded in
//! number a second and shown to the operator.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

use crate::plugin::meters::Meters;

/// So many bytes a second, of all connections of a task together; a second's worth may come at once.
#[derive(Debug)]
pub(super) struct Rate {
    a_second: f64,
    left: Mutex<(f64, Instant)>,
}

impl Rate {
    pub(super) fn new(a_second: u64) -> Self {
        let a_second = a_second as f64;
        Self { a_second, left: Mutex::new((a_second, Instant::now())) }
    }

    /// Takes what has passed already; the time until the debt is paid.
    fn take(&self, bytes: usize) -> Duration {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (had, at) = *left;
        let now = Instant::now();
        let since = now.duration_since(at).as_secs_f64();
        let has = (had + since * self.a_second).min(self.a_second) - bytes as f64;
        *left = (has, now);
        Duration::from_secs_f64((-has / self.a_second).max(0.0))
    }
}

/// What the bytes of one connection are counted by.
#[derive(Clone)]
pub(super) struct Counted {
    pub(super) meters: Arc<Meters>,
    pub(super) rate: Option<Arc<Rate>>,
}

impl Counted {
    /// So many bytes came in; how long to wait before the next.
    pub(super) fn received(&self, bytes: usize) -> Duration {
        self.meters.add_received(bytes);
        self.passed(bytes)
    }

    /// So many bytes went out; how long to wait before the next.
    pub(super) fn sent(&self, bytes: usize) -> Duration {
        self.meters.add_sent(bytes);
        self.passed(bytes)
    }

    fn passed(&self, bytes: usize) -> Duration {
        self.rate.as_ref().map_or(Duration::ZERO, |rate| rate.take(bytes))
    }
}

/// See the module.
pub(super) struct Metered {
    stream: TcpStream,
    counted: Counted,
    /// Until the debt is paid.
    pause: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl Metered {
    pub(super) fn new(stream: TcpStream, counted: Counted, place: OwnedSemaphorePermit) -> Self {
        counted.meters.add_connection();
        Self { stream, counted, pause: None, _place: place }
    }

    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(())
    }

    fn wait(&mut self, wait: Duration) {
        if !wait.is_zero() {
            self.pause = Some(Box::pin(tokio::time::sleep(wait)));
        }
    }
}

impl Connection for Metered {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_pause(cx));
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let bytes = buffer.filled().len() - before;
        let wait = self.counted.received(bytes);
        self.wait(wait);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_pause(cx));
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        let wait = self.counted.sent(written);
        self.wait(wait);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debt_takes_as_long_as_its_bytes_at_the_rate() {
        let rate = Rate::new(1000);
        assert_eq!(rate.take(1000), Duration::ZERO, "a second's worth at once");
        let wait = rate.take(2000).as_secs_f64();
        assert!(wait > 1.9 && wait <= 2.0, "{wait}");
    }
}
