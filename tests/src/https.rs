//! An HTTPS server in the test: real TLS with a certificate that only who is told trusts, HTTP/2 where it offers it,
//! and a count of what was accepted, by which a test sees whether connections are used again.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::process::Folder;

/// What answers a request. It may block: every test has a runtime of its own.
type Handler = dyn Fn(&Request<Bytes>) -> Response<Full<Bytes>> + Send + Sync;

/// A server on the loopback address. It ends when it is dropped.
pub struct Https {
    address: SocketAddr,
    counts: Arc<Counts>,
    folder: Folder,
    _runtime: Runtime,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicUsize,
    http2: AtomicUsize,
    requests: AtomicUsize,
}

impl Https {
    /// Serves with these protocols (`h2`, `http/1.1`), the one that is liked best first.
    ///
    /// # Panics
    /// When it cannot.
    pub fn start(
        protocols: &[&str],
        handler: impl Fn(&Request<Bytes>) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let folder = Folder::new("https");
        let (authority, mut config) = certificates();
        std::fs::write(folder.path().join("ca.pem"), authority).expect("a file");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let counts = Arc::<Counts>::default();
        let (acceptor, counted) = (TlsAcceptor::from(Arc::new(config)), Arc::clone(&counts));
        let handler: Arc<Handler> = Arc::new(handler);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(acceptor.clone(), stream, Arc::clone(&handler), Arc::clone(&counted)));
            }
        });
        Self { address, counts, folder, _runtime: runtime }
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// `https://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate of whom one has to trust.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Connections so far, also those that came to nothing.
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::Relaxed)
    }

    /// Those of the requests that came by HTTP/2.
    pub fn http2(&self) -> usize {
        self.counts.http2.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Https {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Https").field("address", &self.address).field("counts", &self.counts).finish()
    }
}

/// One connection, until it ends in whatever way.
async fn serve(acceptor: TlsAcceptor, stream: TcpStream, handler: Arc<Handler>, counts: Arc<Counts>) {
    let _ = stream.set_nodelay(true);
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request: Request<Incoming>| {
        let (handler, counts) = (Arc::clone(&handler), Arc::clone(&counts));
        async move {
            counts.requests.fetch_add(1, Ordering::Relaxed);
            if request.version() == Version::HTTP_2 {
                counts.http2.fetch_add(1, Ordering::Relaxed);
            }
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            Ok::<_, Infallible>(handler(&Request::from_parts(parts, body)))
        }
    });
    let stream = TokioIo::new(stream);
    let _ = if http2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await
    } else {
        hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await
    };
}

/// A certificate authority as PEM, and a server's configuration with a certificate of its.
fn certificates() -> (String, ServerConfig) {
    let key = || KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("no name is wrong");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (authority_key, own_key) = (key(), key());
    let root = authority.self_signed(&authority_key).expect("a certificate");
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a good name");
    let own = own.signed_by(&own_key, &Issuer::new(authority, authority_key)).expect("a certificate");
    let chain: Vec<CertificateDer<'static>> = vec![own.der().clone()];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("key and certificate belong together");
    (root.pem(), config)
}
