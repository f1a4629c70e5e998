//! The network of one instance: what it may reach, and within which limits.
//!
//! ```text
//! guest ── wasi:http ────▶ http ─────┐
//!       ├─ net ──────────▶ dial ─────┤
//!       └─ wasi:sockets ─▶ sockets ──┴▶ Net: by name first, by the address of every connection then
//! ```
//!
//! The guest never has a socket that leads where it may not go. What it asks for is compared with the grants
//! before a name is resolved; the names it may use are resolved here; and a connection is made to one of just those
//! addresses that were found and allowed, so that a name that changes between the two is no way round. Nothing is
//! followed (redirects, proxies of the environment): a guest that wants to go on asks again.
//!
//! A [`Net`] belongs to one instance and goes with it, its connections and what is under way included; so a task can
//! be stopped, replaced and killed while its guest waits for an answer. Connections are kept and used again from
//! call to call.

mod connect;
mod dial;
mod http;
mod metered;
mod sockets;
mod tcp;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) use self::dial::{DialError, Dialled};
pub(super) use self::http::{Http, add_to_linker as add_http_to_linker};
use self::metered::{Counted, Rate};
pub(super) use self::sockets::{NetView, Resolved, Sockets};
pub(crate) use self::tls::check_tls;
use super::meters::Meters;
use super::refusals::Refusals;
use crate::config::{NetGrant, NetScheme, Sandbox, address, plain};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Net {
    sandbox: Arc<Sandbox>,
    refusals: Arc<Refusals>,
    counted: Counted,
    connections: Arc<Semaphore>,
}

/// Why a guest got no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// No grant has this scheme, host and port.
    #[error("{scheme}://{host}:{port} is not granted")]
    Host { scheme: NetScheme, host: String, port: u16 },
    /// The host is granted, and what its name resolves to is not.
    #[error("{host} is at {}, which is not granted", list(addresses))]
    Address { host: String, addresses: Vec<IpAddr> },
    /// As many connections as the instance may have are open.
    #[error("all {most} connections of the task are in use")]
    Connections { most: usize },
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Net {
    pub(super) fn new(sandbox: Arc<Sandbox>, refusals: Arc<Refusals>, meters: Arc<Meters>) -> Self {
        let connections = Arc::new(Semaphore::new(sandbox.net_connections));
        let rate = sandbox.net_rate.map(|bytes| Arc::new(Rate::new(bytes)));
        Self { sandbox, refusals, counted: Counted { meters, rate }, connections }
    }

    fn counted(&self) -> Counted {
        self.counted.clone()
    }

    /// A place among the connections that the task may have.
    fn place(&self) -> Result<OwnedSemaphorePermit, Refused> {
        let most = self.sandbox.net_connections;
        Arc::clone(&self.connections).try_acquire_owned().map_err(|_| Refused::Connections { most })
    }

    /// The grants that may be meant by a connection, or the operator is told which one is missing.
    fn grants(&self, scheme: NetScheme, host: &str, port: u16) -> Result<Vec<&NetGrant>, Refused> {
        let covers = |grant: &&NetGrant| grant.covers(scheme, host, port);
        let grants: Vec<_> = self.sandbox.net.iter().filter(covers).collect();
        if grants.is_empty() {
            self.refusals.host(scheme, host, port);
            return Err(Refused::Host { scheme, host: host.to_owned(), port });
        }
        Ok(grants)
    }

    /// Those of the addresses that `host` has at which it may be reached.
    fn allowed(
        &self,
        (scheme, host, port): (NetScheme, &str, u16),
        found: Vec<IpAddr>,
    ) -> Result<Vec<SocketAddr>, Refused> {
        let grants = self.grants(scheme, host, port)?;
        let permitted = |address: &IpAddr| grants.iter().any(|grant| grant.permits(host, *address));
        // What was looked at is what is connected to.
        let at = |address: IpAddr| SocketAddr::new(plain(address), port);
        let allowed: Vec<_> = found.iter().copied().filter(permitted).map(at).collect();
        if allowed.is_empty() && !found.is_empty() {
            self.refusals.address(scheme, host, port, &found);
            return Err(Refused::Address { host: host.to_owned(), addresses: found });
        }
        Ok(allowed)
    }
}

/// The addresses that a host's name stands for.
async fn resolve(host: &str) -> std::io::Result<Vec<IpAddr>> {
    if let Some(address) = address(host) {
        return Ok(vec![address]);
    }
    let found = tokio::net::lookup_host((host, 0)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

#[cfg(test)]
mod tests;
