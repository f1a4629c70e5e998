//! The server: listeners, the routes of all resources, and what every answer has in common.
//!
//! Binding and serving are two steps. A port that is taken, perhaps by another worker with the same
//! connectors, is found out before anything was started; and who asks for port 0 learns which one
//! it became before the worker tells anybody its address.

use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::error::ApiError;
use super::{connectors, forward, plugins};
use crate::version::{COMMIT, VERSION};
use crate::worker::Worker;

/// The largest body that is read. A configuration that lists ten thousand topics fits.
pub(super) const BODY_LIMIT: usize = 4 << 20;

/// How long requests that are under way may take when the server ends.
const GRACE: Duration = Duration::from_secs(3);

/// A listener could not be opened.
#[derive(Debug, Error)]
#[error("cannot listen on {host}:{port} (setting `listeners`)")]
pub(crate) struct BindError {
    host: String,
    port: u16,
    source: io::Error,
}

/// Listeners that are open and not yet served: clients that connect wait.
#[derive(Debug)]
pub(crate) struct Server {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
}

impl Server {
    /// Opens a listener for each host and port. An empty host means every interface; port 0 means
    /// any free one.
    pub(crate) async fn bind(listeners: impl IntoIterator<Item = (String, u16)>) -> Result<Self, BindError> {
        let mut server = Self { listeners: Vec::new(), addresses: Vec::new() };
        for (host, port) in listeners {
            match listen(&host, port).await {
                Ok((listener, address)) => {
                    server.listeners.push(listener);
                    server.addresses.push(address);
                }
                Err(source) => return Err(BindError { host, port, source }),
            }
        }
        Ok(server)
    }

    /// Where it listens, in the order of `bind`'s argument.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until `shutdown`, then lets requests that are under way end, for three seconds at
    /// most. A change that was begun goes on even then.
    pub(crate) async fn serve(self, worker: Worker, shutdown: impl Future<Output = ()>) {
        let (end, ended) = watch::channel(());
        let app = app(worker);
        let mut serving = JoinSet::new();
        for listener in self.listeners {
            let mut ended = ended.clone();
            // The channel's end is the signal: nothing is ever sent.
            let signal = async move { while ended.changed().await.is_ok() {} };
            serving.spawn(axum::serve(listener, app.clone()).with_graceful_shutdown(signal).into_future());
        }
        shutdown.await;
        drop(end);
        let all_ended = async { while serving.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all_ended).await.is_err() {
            tracing::warn!(grace = ?GRACE, "REST requests were still under way and are not answered");
        }
    }
}

async fn listen(host: &str, port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = if host.is_empty() {
        match TcpListener::bind(("::", port)).await {
            // A machine without IPv6.
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
                TcpListener::bind(("0.0.0.0", port)).await?
            }
            bound => bound?,
        }
    } else {
        TcpListener::bind((host.trim_matches(['[', ']']), port)).await?
    };
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// All routes. What rewrites a path must run before routing, so the routes are the fallback of an
/// outer router which has none.
fn app(worker: Worker) -> Router {
    let routes = Router::new()
        .route("/", get(root))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .merge(connectors::routes())
        .merge(plugins::routes())
        .fallback(async || ApiError::plain(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(other_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(worker.clone());
    Router::new()
        .fallback_service(routes)
        .layer(middleware::from_fn_with_state(worker, forward::to_leader))
        .layer(middleware::from_fn(without_trailing_slash))
        .layer(middleware::from_fn(log))
}

async fn root(State(worker): State<Worker>) -> Json<Value> {
    Json(json!({ "version": VERSION, "commit": COMMIT, "kafka_cluster_id": worker.kafka_cluster_id() }))
}

/// The server only runs while a worker does, so an answer at all is the good one.
async fn health() -> Json<Value> {
    let message = "Worker has completed startup and is ready to handle requests.";
    Json(json!({ "status": "healthy", "message": message }))
}

async fn metrics(State(worker): State<Worker>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], worker.metrics_text())
}

/// A path that exists, with a method that it does not have. Axum adds which ones it has.
async fn other_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::OK.into_response();
    }
    ApiError::plain(StatusCode::METHOD_NOT_ALLOWED).into_response()
}

/// `/connectors/` is `/connectors`.
async fn without_trailing_slash(mut request: Request, next: Next) -> Response {
    if let Some(uri) = trimmed(request.uri()) {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

fn trimmed(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let short = path.trim_end_matches('/');
    if short.len() == path.len() || short.is_empty() {
        return None;
    }
    let path_and_query = match uri.query() {
        Some(query) => format!("{short}?{query}"),
        None => short.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

async fn log(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let begin = Instant::now();
    let response = next.run(request).await;
    tracing::debug!(%method, %path, status = response.status().as_u16(), elapsed = ?begin.elapsed(), "request");
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_slashes_are_dropped_and_the_query_kept() {
        let of = |uri: &'static str| trimmed(&Uri::from_static(uri)).map(|uri| uri.to_string());
        assert_eq!(of("/connectors/"), Some("/connectors".to_owned()));
        assert_eq!(of("/connectors//?expand=info"), Some("/connectors?expand=info".to_owned()));
        assert_eq!(of("/connectors/a%2F"), None);
        assert_eq!(of("/"), None);
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_an_error_that_names_it() {
        let first = Server::bind([("127.0.0.1".to_owned(), 0)]).await.unwrap();
        let port = first.addresses()[0].port();
        let error = Server::bind([("127.0.0.1".to_owned(), port)]).await.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen on 127.0.0.1:{port} (setting `listeners`)"));
    }

    #[tokio::test]
    async fn several_listeners_may_be_open() {
        let listeners = [("127.0.0.1".to_owned(), 0), (String::new(), 0), ("localhost".to_owned(), 0)];
        let server = Server::bind(listeners).await.unwrap();
        assert!(server.addresses().iter().all(|address| address.port() != 0));
        assert_eq!(server.addresses().len(), 3);
    }
}
