//! Connections for HTTP: resolved, compared with the grants, made and counted, in this order.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use super::metered::Metered;
use super::{CONNECT, Net, resolve};
use crate::config::NetScheme;

/// Makes the connections of one instance.
#[derive(Clone)]
pub(super) struct Connector(pub(super) Arc<Net>);

type Connecting = Pin<Box<dyn Future<Output = io::Result<TokioIo<Metered>>> + Send>>;

impl Service<Uri> for Connector {
    type Response = TokioIo<Metered>;
    type Error = io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        let net = Arc::clone(&self.0);
        Box::pin(async move {
            let (scheme, host, port) = target(&uri).ok_or(io::ErrorKind::InvalidInput)?;
            let connected = net.connect(scheme, host, port).await?;
            Ok(TokioIo::new(connected))
        })
    }
}

/// What a URI wants to reach; `None` when it is no URI of HTTP.
pub(super) fn target(uri: &Uri) -> Option<(NetScheme, &str, u16)> {
    let scheme = match uri.scheme_str()? {
        "http" => NetScheme::Http,
        "https" => NetScheme::Https,
        _ => return None,
    };
    let default = if scheme == NetScheme::Https { 443 } else { 80 };
    Some((scheme, uri.host()?, uri.port_u16().unwrap_or(default)))
}

impl Net {
    /// Connects to one of the addresses of `host` that are allowed.
    pub(super) async fn connect(&self, scheme: NetScheme, host: &str, port: u16) -> io::Result<Metered> {
        self.connect_by(resolve, (scheme, host, port)).await
    }

    /// The same by another way to find addresses, which is asked once: a second answer might be another one.
    pub(super) async fn connect_by(
        &self,
        find: impl AsyncFnOnce(&str) -> io::Result<Vec<IpAddr>>,
        (scheme, host, port): (NetScheme, &str, u16),
    ) -> io::Result<Metered> {
        // By name first: what is not granted is not even resolved.
        let _ = self.grants(scheme, host, port).map_err(io::Error::other)?;
        let place = self.place().map_err(io::Error::other)?;
        let connecting = async {
            let found = find(host).await?;
            let allowed = self.allowed((scheme, host, port), found).map_err(io::Error::other)?;
            let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
            for address in allowed {
                match TcpStream::connect(address).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error,
                }
            }
            Err(last)
        };
        let stream = timeout(CONNECT, connecting).await.map_err(|_| io::ErrorKind::TimedOut)??;
        // Requests are written whole; to wait for more to send only costs time.
        stream.set_nodelay(true)?;
        Ok(Metered::new(stream, self.counted(), place))
    }
}
