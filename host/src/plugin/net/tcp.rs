//! The sockets of `wasi:sockets`: the library's, counted among the connections that the task may have, and with streams
//! whose bytes are bounded and counted like those of every other connection.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use wasmtime_wasi::p2::bindings::sockets::tcp::{self, HostTcpSocket, ShutdownType};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, InputStream, Network, OutputStream, Pollable, SocketResult,
    StreamResult, TcpSocket,
};

use super::metered::Counted;
use super::sockets::NetView;

impl tcp::Host for NetView<'_> {}

/// What is as the library does it.
macro_rules! as_they_are {
    ($($name:ident($($argument:ident: $of:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&mut self, this: Resource<TcpSocket>, $($argument: $of),*) -> $answer {
            HostTcpSocket::$name(&mut self.wasi, this, $($argument),*)
        })*
    };
}

impl HostTcpSocket for NetView<'_> {
    as_they_are! {
        finish_bind() -> SocketResult<()>;
        start_connect(network: Resource<Network>, remote: IpSocketAddress) -> SocketResult<()>;
        finish_listen() -> SocketResult<()>;
        local_address() -> SocketResult<IpSocketAddress>;
        remote_address() -> SocketResult<IpSocketAddress>;
        is_listening() -> wasmtime::Result<bool>;
        address_family() -> wasmtime::Result<IpAddressFamily>;
        set_listen_backlog_size(value: u64) -> SocketResult<()>;
        keep_alive_enabled() -> SocketResult<bool>;
        set_keep_alive_enabled(value: bool) -> SocketResult<()>;
        keep_alive_idle_time() -> SocketResult<u64>;
        set_keep_alive_idle_time(value: u64) -> SocketResult<()>;
        keep_alive_interval() -> SocketResult<u64>;
        set_keep_alive_interval(value: u64) -> SocketResult<()>;
        keep_alive_count() -> SocketResult<u32>;
        set_keep_alive_count(value: u32) -> SocketResult<()>;
        hop_limit() -> SocketResult<u8>;
        set_hop_limit(value: u8) -> SocketResult<()>;
        receive_buffer_size() -> SocketResult<u64>;
        set_receive_buffer_size(value: u64) -> SocketResult<()>;
        send_buffer_size() -> SocketResult<u64>;
        set_send_buffer_size(value: u64) -> SocketResult<()>;
        subscribe() -> wasmtime::Result<Resource<DynPollable>>;
        shutdown(how: ShutdownType) -> SocketResult<()>;
    }

    /// Nobody chooses an address of its own.
    async fn start_bind(
        &mut self,
        _: Resource<TcpSocket>,
        _: Resource<Network>,
        _: IpSocketAddress,
    ) -> SocketResult<()> {
        self.net.refusals.network("a socket with an address of its own");
        Err(ErrorCode::AccessDenied.into())
    }

    async fn start_listen(&mut self, _: Resource<TcpSocket>) -> SocketResult<()> {
        self.net.refusals.network("a socket that listens");
        Err(ErrorCode::AccessDenied.into())
    }

    fn accept(
        &mut self,
        _: Resource<TcpSocket>,
    ) -> SocketResult<(Resource<TcpSocket>, Resource<DynInputStream>, Resource<DynOutputStream>)> {
        Err(ErrorCode::InvalidState.into())
    }

    fn finish_connect(
        &mut self,
        this: Resource<TcpSocket>,
    ) -> SocketResult<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let (input, output) = HostTcpSocket::finish_connect(&mut self.wasi, this)?;
        let table = &mut *self.wasi.table;
        let streams = table.get_mut(&input)?;
        let inner = std::mem::replace(streams, Box::new(Nothing));
        *streams = Box::new(Limited { inner, counted: self.net.counted(), pause: None });
        let streams = table.get_mut(&output)?;
        let inner = std::mem::replace(streams, Box::new(Nothing));
        *streams = Box::new(Limited { inner, counted: self.net.counted(), pause: None });
        Ok((input, output))
    }

    fn drop(&mut self, this: Resource<TcpSocket>) -> wasmtime::Result<()> {
        let socket = this.rep();
        HostTcpSocket::drop(&mut self.wasi, this)?;
        self.resolved.gone(socket);
        Ok(())
    }
}

/// A stream of the library's that waits until what passed was not too much.
struct Limited<S> {
    inner: S,
    counted: Counted,
    pause: Option<Instant>,
}

impl<S> Limited<S> {
    fn paused(&self) -> bool {
        self.pause.is_some_and(|end| Instant::now() < end)
    }

    fn pause(&mut self, wait: Duration) {
        self.pause = (!wait.is_zero()).then(|| Instant::now() + wait);
    }
}

#[async_trait]
impl<S: Pollable> Pollable for Limited<S> {
    async fn ready(&mut self) {
        if let Some(end) = self.pause {
            tokio::time::sleep_until(end).await;
            self.pause = None;
        }
        self.inner.ready().await;
    }
}

#[async_trait]
impl InputStream for Limited<DynInputStream> {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.paused() {
            return Ok(Bytes::new());
        }
        let bytes = self.inner.read(size)?;
        let wait = self.counted.received(bytes.len());
        self.pause(wait);
        Ok(bytes)
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[async_trait]
impl OutputStream for Limited<DynOutputStream> {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let length = bytes.len();
        self.inner.write(bytes)?;
        let wait = self.counted.sent(length);
        self.pause(wait);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if self.paused() { Ok(0) } else { self.inner.check_write() }
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

/// Stands where a stream was for a moment.
struct Nothing;

#[async_trait]
impl Pollable for Nothing {
    async fn ready(&mut self) {}
}

impl InputStream for Nothing {
    fn read(&mut self, _: usize) -> StreamResult<Bytes> {
        Ok(Bytes::new())
    }
}

impl OutputStream for Nothing {
    fn write(&mut self, _: Bytes) -> StreamResult<()> {
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(0)
    }
}
