//! `wasi:sockets` for guests that have no network: every component may import it, nobody gets a socket
//! or a name resolved.
//!
//! The three doors (a TCP socket, a UDP socket, a name) are shut here, with an error the guest sees and
//! a line the operator sees; behind them the WASI library's own policy denies everything once more.

use super::refusals::Refusals;
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{
    self, HostResolveAddressStream, ResolveAddressStream,
};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddress, IpAddressFamily};
use wasmtime_wasi::p2::bindings::sockets::{tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{DynPollable, Network, SocketError, SocketResult, TcpSocket, UdpSocket};
use wasmtime_wasi::sockets::WasiSocketsCtxView;

/// Marks the view for the linker.
pub(crate) struct NoNetwork;

impl HasData for NoNetwork {
    type Data<'a> = NoNetworkView<'a>;
}

/// The network as one instance sees it.
pub(crate) struct NoNetworkView<'a> {
    pub(crate) wasi: WasiSocketsCtxView<'a>,
    pub(crate) refusals: &'a mut Refusals,
}

impl network::Host for NoNetworkView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        network::Host::convert_error_code(&mut self.wasi, error)
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        network::Host::network_error_code(&mut self.wasi, error)
    }
}

impl network::HostNetwork for NoNetworkView<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut self.wasi, network)
    }
}

impl tcp_create_socket::Host for NoNetworkView<'_> {
    fn create_tcp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        self.refusals.network("a TCP socket");
        Err(ErrorCode::AccessDenied.into())
    }
}

impl udp_create_socket::Host for NoNetworkView<'_> {
    async fn create_udp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        self.refusals.network("a UDP socket");
        Err(ErrorCode::AccessDenied.into())
    }
}

impl ip_name_lookup::Host for NoNetworkView<'_> {
    fn resolve_addresses(
        &mut self,
        _: Resource<Network>,
        _: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        self.refusals.network("a name lookup");
        Err(ErrorCode::AccessDenied.into())
    }
}

impl HostResolveAddressStream for NoNetworkView<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        self.wasi.resolve_next_address(stream)
    }

    fn subscribe(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        HostResolveAddressStream::subscribe(&mut self.wasi, stream)
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        HostResolveAddressStream::drop(&mut self.wasi, stream)
    }
}
