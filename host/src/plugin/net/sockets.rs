//! `wasi:sockets` for guests: TCP connections to where a `tcp://` grant leads, and nothing else.
//!
//! A guest resolves a name and connects to an address; so what a name it may use resolved to is remembered, and
//! with it the grants that stand for the name. A connection is compared with those, or with the grants of addresses.
//! UDP, and listening, nobody gets.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{
    self, HostResolveAddressStream, ResolveAddressStream,
};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddress, IpAddressFamily};
use wasmtime_wasi::p2::bindings::sockets::{tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{DynPollable, Network, SocketError, SocketResult, TcpSocket, UdpSocket};
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtxView};

use super::Net;
use crate::config::{NetScheme, plain};

/// Names an instance may have resolved at a time; whoever needs more resolves them again.
const NAMES: usize = 1024;

/// Marks the view for the linker.
pub(crate) struct Sockets;

impl HasData for Sockets {
    type Data<'a> = NetView<'a>;
}

/// The network as one instance sees it.
pub(crate) struct NetView<'a> {
    pub(crate) wasi: WasiSocketsCtxView<'a>,
    pub(crate) net: &'a Arc<Net>,
    pub(crate) resolved: &'a Resolved,
}

/// What an instance has of the network: what names stood for when they were resolved, and places of sockets.
#[derive(Clone, Default)]
pub(crate) struct Resolved(Arc<Mutex<Names>>);

#[derive(Default)]
struct Names {
    /// By address: the names that led there.
    of: HashMap<IpAddr, Vec<String>>,
    /// By stream that is still read: the name it is of.
    streams: HashMap<u32, String>,
    /// By socket: its place among the connections of the task.
    places: HashMap<u32, OwnedSemaphorePermit>,
}

impl Resolved {
    fn lock(&self) -> MutexGuard<'_, Names> {
        // Lists: a panic elsewhere leaves them whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn made(&self, socket: u32, place: OwnedSemaphorePermit) {
        let _ = self.lock().places.insert(socket, place);
    }

    pub(super) fn gone(&self, socket: u32) {
        let _ = self.lock().places.remove(&socket);
    }

    fn found(&self, stream: u32, address: IpAddr) {
        let mut names = self.lock();
        let Some(name) = names.streams.get(&stream).cloned() else { return };
        if names.of.len() >= NAMES {
            names.of.clear();
        }
        let list = names.of.entry(plain(address)).or_default();
        if !list.contains(&name) {
            list.push(name);
        }
    }

    fn names_of(&self, address: IpAddr) -> Vec<String> {
        self.lock().of.get(&plain(address)).cloned().unwrap_or_default()
    }

    /// Whether an instance may use an address so: what the WASI library asks before it does anything with it.
    pub(crate) fn check(
        &self,
        net: &Arc<Net>,
        address: SocketAddr,
        usage: SocketAddrUse,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + Sync>> {
        let allowed = match usage {
            SocketAddrUse::TcpConnect => self.may_connect(net, address),
            // What the system does by itself before it connects.
            SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
            _ => false,
        };
        Box::pin(std::future::ready(allowed))
    }

    fn may_connect(&self, net: &Net, address: SocketAddr) -> bool {
        let (ip, port) = (address.ip(), address.port());
        let literal = ip.to_string();
        let mut hosts = self.names_of(ip);
        hosts.push(literal.clone());
        let granted = hosts.iter().any(|host| {
            let grants = net.sandbox.net.iter().filter(|grant| grant.covers(NetScheme::Tcp, host, port));
            grants.into_iter().any(|grant| grant.permits(host, ip))
        });
        if granted {
            net.counted.meters.add_connection();
        } else {
            net.refusals.host(NetScheme::Tcp, hosts.first().unwrap_or(&literal), port);
        }
        granted
    }
}

impl network::Host for NetView<'_> {
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

impl network::HostNetwork for NetView<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut self.wasi, network)
    }
}

impl tcp_create_socket::Host for NetView<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        if !self.net.sandbox.may_use(NetScheme::Tcp) {
            self.net.refusals.network("a TCP socket");
            return Err(ErrorCode::AccessDenied.into());
        }
        let Ok(place) = self.net.place() else { return Err(ErrorCode::NewSocketLimit.into()) };
        let socket = self.wasi.create_tcp_socket(family)?;
        self.resolved.made(socket.rep(), place);
        Ok(socket)
    }
}

impl udp_create_socket::Host for NetView<'_> {
    async fn create_udp_socket(&mut self, _: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        self.net.refusals.network("a UDP socket");
        Err(ErrorCode::AccessDenied.into())
    }
}

impl ip_name_lookup::Host for NetView<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        let may = |grant: &crate::config::NetGrant| grant.covers_name(NetScheme::Tcp, &name);
        if !self.net.sandbox.net.iter().any(may) {
            self.net.refusals.network(&format!("the address of {name:?}"));
            return Err(ErrorCode::AccessDenied.into());
        }
        let stream = self.wasi.resolve_addresses(network, name.clone())?;
        let _ = self.resolved.lock().streams.insert(stream.rep(), name);
        Ok(stream)
    }
}

impl HostResolveAddressStream for NetView<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        let rep = stream.rep();
        let next = self.wasi.resolve_next_address(stream)?;
        if let Some(address) = &next {
            self.resolved.found(rep, to_std(*address));
        }
        Ok(next)
    }

    fn subscribe(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        HostResolveAddressStream::subscribe(&mut self.wasi, stream)
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        let _ = self.resolved.lock().streams.remove(&stream.rep());
        HostResolveAddressStream::drop(&mut self.wasi, stream)
    }
}

fn to_std(address: IpAddress) -> IpAddr {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => [a, b, c, d].into(),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => [a, b, c, d, e, f, g, h].into(),
    }
}
