//! `wasi:http` for guests: requests go out through a client of ours that keeps connections, speaks HTTP/2 where the
//! other side does, and bounds what comes back.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, Sleep, timeout};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::{outgoing_handler, types as http_types};
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostOutgoingRequest};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, WasiHttpView};

use super::connect::{Connector, target};
use super::{Net, Refused, tls};
use crate::config::Problems;
use crate::plugin::refusals::Refusals;

/// A connection that nobody used for so long is closed: servers close theirs after a minute, most of them.
const IDLE: Duration = Duration::from_secs(50);

type HttpClient = Client<HttpsConnector<Connector>, WasiBody>;
type Sent = Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

/// The hooks of one instance.
pub(crate) struct Http {
    net: Arc<Net>,
    /// Made at the first request: reading certificates takes a while.
    client: Arc<OnceLock<HttpClient>>,
}

impl Http {
    pub(crate) fn new(net: Arc<Net>) -> Self {
        Self { net, client: Arc::default() }
    }
}

impl WasiHttpHooks for Http {
    /// The client does, where the protocol has one.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let (net, client) = (Arc::clone(&self.net), Arc::clone(&self.client));
        Box::new(async move {
            let response = send(&net, &client, request, options.unwrap_or_default()).await?;
            let done: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(async { Ok(()) });
            Ok((response, done))
        })
    }
}

/// Defines `outgoing-handler`. Wasmtime's own reads the options of a request and leaves them in the table: a guest that
/// gives some would have filled it after as many requests as it may have handles.
pub(crate) fn add_to_linker<T: WasiHttpView + 'static>(l: &mut Linker<T>) -> wasmtime::Result<()> {
    l.instance("wasi:http/outgoing-handler@0.2.12")?.func_wrap("handle", handle::<T>)
}

type Handled = Result<Resource<HostFutureIncomingResponse>, http_types::ErrorCode>;

fn handle<T: WasiHttpView>(
    mut store: StoreContextMut<'_, T>,
    (request, options): (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>),
) -> wasmtime::Result<(Handled,)> {
    let mut http = store.data_mut().http();
    let given = options.as_ref().map(|options| Resource::<RequestOptions>::new_own(options.rep()));
    let sent = outgoing_handler::Host::handle(&mut http, request, options);
    if let Some(given) = given {
        let _ = http.table.delete(given)?;
    }
    Ok((match sent {
        Ok(answer) => Ok(answer),
        Err(error) => Err(error.downcast()?),
    },))
}

async fn send(
    net: &Arc<Net>,
    client: &OnceLock<HttpClient>,
    request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<Response<WasiBody>, Error> {
    let (scheme, host, port) = target(request.uri()).ok_or(Error::HttpRequestUriInvalid)?;
    // A connection that is kept was made for a host that is granted; this is for the words of the refusal.
    let _ = net.grants(scheme, host, port).map_err(|_| Error::HttpRequestDenied)?;
    let host = host.to_owned();
    let client = match client.get() {
        Some(client) => client,
        None => {
            let made = make(net).map_err(|error| Error::InternalError(Some(error.to_string())))?;
            client.get_or_init(|| made)
        }
    };
    let most = net.sandbox.net_timeout;
    let first = options.first_byte_timeout.map_or(most, |wanted| wanted.min(most));
    let between = options.between_bytes_timeout.map_or(most, |wanted| wanted.min(most));
    net.counted.meters.add_request();
    let response = timeout(first, client.request(request))
        .await
        .map_err(|_| Error::HttpResponseTimeout)?
        .map_err(|error| explain(&net.refusals, &host, &error))?;
    let left = net.sandbox.net_response_max;
    Ok(response.map(|body| Bounded { body, left, between, idle: None }.boxed_unsync()))
}

fn make(net: &Arc<Net>) -> Result<HttpClient, Problems> {
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls::client_config(net.refusals.plugin(), &net.sandbox)?)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(Connector(Arc::clone(net)));
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(net.sandbox.net_connections)
        .build(connector))
}

/// What went wrong, in the words of `wasi:http`; what those have no room for is told the operator.
fn explain(refusals: &Refusals, host: &str, error: &ClientError) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    let mut of_io = None;
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return match refused {
                Refused::Host { .. } => Error::HttpRequestDenied,
                Refused::Address { .. } => Error::DestinationIpProhibited,
                Refused::Connections { .. } => Error::ConnectionLimitReached,
            };
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            refusals.tls(host, tls);
            return match tls {
                rustls::Error::InvalidCertificate(_) => Error::TlsCertificateError,
                _ => Error::TlsProtocolError,
            };
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            of_io = Some(io.kind());
            // Errors of ours stand within one of these, where the chain of sources does not look.
            if let Some(inner) = io.get_ref() {
                cause = Some(inner);
                continue;
            }
        }
        cause = error.source();
    }
    tracing::debug!(host, "a plugin's request failed: {error:?}");
    match of_io {
        Some(io::ErrorKind::TimedOut) => Error::ConnectionTimeout,
        Some(io::ErrorKind::ConnectionRefused) => Error::ConnectionRefused,
        Some(io::ErrorKind::NotFound | io::ErrorKind::Other) if error.is_connect() => {
            Error::DnsError { rcode: None, info_code: None }
        }
        _ if error.is_connect() => Error::DestinationUnavailable,
        _ => Error::ConnectionTerminated,
    }
}

/// A body that ends in an error when it is too long, or too long in coming.
struct Bounded {
    body: Incoming,
    left: u64,
    between: Duration,
    /// Set while something is waited for.
    idle: Option<Pin<Box<Sleep>>>,
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.idle = None;
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                match self.left.checked_sub(bytes) {
                    Some(left) => self.left = left,
                    None => return Poll::Ready(Some(Err(Error::HttpResponseBodySize(None)))),
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let between = self.between;
                let idle = self
                    .idle
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + between)));
                ready!(idle.as_mut().poll(cx));
                Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
