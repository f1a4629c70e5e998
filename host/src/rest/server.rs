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
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::api::{Api, Doc};
use super::cors::Policy;
use super::error::ApiError;
use super::{connectors, cors, forward, loggers, negotiate, plugins};
use crate::config::{Listener, RestConfig};
use crate::version::{COMMIT, KAFKA, VERSION};
use crate::worker::Worker;

/// How long requests that are under way may take when the server ends.
const GRACE: Duration = Duration::from_secs(3);

/// A listener could not be opened.
#[derive(Debug, Error)]
#[error("cannot listen on {host}:{port} (setting `{setting}`)")]
pub(crate) struct BindError {
    host: String,
    port: u16,
    setting: &'static str,
    source: io::Error,
}

/// Listeners that are open and not yet served: clients that connect wait.
#[derive(Debug)]
pub(crate) struct Server {
    open: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    /// `None`: the administrative endpoints are where all the others are.
    admin: Option<Vec<TcpListener>>,
}

impl Server {
    /// Opens a listener for each host and port. An empty host means every interface; port 0 means
    /// any free one.
    pub(crate) async fn bind(config: &RestConfig) -> Result<Self, BindError> {
        let open = bind_all(&config.listeners, "listeners").await?;
        let admin = match &config.admin_listeners {
            Some(listeners) => Some(bind_all(listeners, "admin.listeners").await?),
            None => None,
        };
        Ok(Self {
            addresses: open.iter().map(|(_, address)| *address).collect(),
            open: open.into_iter().map(|(listener, _)| listener).collect(),
            admin: admin.map(|admin| admin.into_iter().map(|(listener, _)| listener).collect()),
        })
    }

    /// Where it listens, in the order of `listeners`.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until `shutdown`, then lets requests that are under way end, for three seconds at
    /// most. A change that was begun goes on even then.
    pub(crate) async fn serve(self, worker: Worker, shutdown: impl Future<Output = ()>) {
        let (end, ended) = watch::channel(());
        let config = worker.rest_config().clone();
        let app = app(api(self.admin.is_none()), &worker, &config);
        let admin = app_of_admin(&worker, &config);
        let all = self.open.into_iter().map(|listener| (listener, app.clone()));
        let all = all.chain(self.admin.into_iter().flatten().map(|listener| (listener, admin.clone())));
        let mut serving = JoinSet::new();
        for (listener, app) in all {
            let mut ended = ended.clone();
            // The channel's end is the signal: nothing is ever sent.
            let signal = async move { while ended.changed().await.is_ok() {} };
            serving.spawn(axum::serve(listener, app).with_graceful_shutdown(signal).into_future());
        }
        shutdown.await;
        drop(end);
        let all_ended = async { while serving.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all_ended).await.is_err() {
            tracing::warn!(grace = ?GRACE, "REST requests were still under way and are not answered");
        }
    }
}

async fn bind_all(
    listeners: &[Listener],
    setting: &'static str,
) -> Result<Vec<(TcpListener, SocketAddr)>, BindError> {
    let mut open = Vec::new();
    for (host, port) in listeners {
        let bound = listen(host, *port).await;
        open.push(bound.map_err(|source| BindError { host: host.clone(), port: *port, setting, source })?);
    }
    Ok(open)
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

/// All routes of the listeners that are for everybody.
pub(super) fn api(with_admin: bool) -> Api {
    let text = "text/plain";
    let api = Api::default()
        .get("/", root, Doc::new("Which worker this is").answers(200, "Root"))
        .get("/health", health, Doc::new("Whether it is well").answers(200, "Health"))
        .get("/metrics", metrics, Doc::new("What its tasks count").answers(200, "Text").text(text))
        .merge(connectors::routes())
        .merge(plugins::routes());
    if with_admin { api.merge(loggers::routes()) } else { api }
}

fn app_of_admin(worker: &Worker, config: &RestConfig) -> Router {
    app(loggers::routes(), worker, config)
}

/// What rewrites a path must run before routing, so the routes are the fallback of an outer router which has none.
fn app(api: Api, worker: &Worker, config: &RestConfig) -> Router {
    let routes = api
        .into_router()
        .fallback(async || ApiError::plain(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(async || ApiError::plain(StatusCode::METHOD_NOT_ALLOWED))
        .layer(DefaultBodyLimit::max(config.body_max))
        .with_state(worker.clone());
    let mut app = Router::new()
        .fallback_service(routes)
        .layer(middleware::from_fn_with_state(worker.clone(), forward::to_leader))
        .layer(middleware::from_fn(negotiate::path));
    if let Some(policy) = Policy::of(config) {
        app = app.layer(middleware::from_fn_with_state(policy, cors::tell));
    }
    app.layer(middleware::from_fn(named)).layer(middleware::from_fn(log))
}

/// The version is that of the Kafka Connect whose API this is: clients look at it to know what they may ask.
async fn root(State(worker): State<Worker>) -> Json<Value> {
    let own = json!({ "version": VERSION, "commit": COMMIT });
    Json(json!({
        "version": KAFKA,
        "commit": COMMIT,
        "kafka_cluster_id": worker.kafka_cluster_id(),
        "transom": own,
    }))
}

/// The server only runs while a worker does, so an answer at all is the good one.
async fn health() -> Json<Value> {
    let message = "Worker has completed startup and is ready to handle requests.";
    Json(json!({ "status": "healthy", "message": message }))
}

async fn metrics(State(worker): State<Worker>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], worker.metrics_text())
}

/// Every answer says whose it is.
async fn named(request: Request, next: Next) -> Response {
    const NAME: HeaderValue = HeaderValue::from_static(concat!("Transom(", env!("CARGO_PKG_VERSION"), ")"));
    let mut response = next.run(request).await;
    let _ = response.headers_mut().insert(header::SERVER, NAME);
    response
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

    fn config(listeners: &[(&str, u16)]) -> RestConfig {
        RestConfig {
            listeners: listeners.iter().map(|(host, port)| ((*host).to_owned(), *port)).collect(),
            admin_listeners: None,
            allowed_origins: Vec::new(),
            allowed_methods: Vec::new(),
            body_max: 1,
            timeout: Duration::from_secs(1),
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_an_error_that_names_it() {
        let first = Server::bind(&config(&[("127.0.0.1", 0)])).await.unwrap();
        let port = first.addresses()[0].port();
        let error = Server::bind(&config(&[("127.0.0.1", port)])).await.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen on 127.0.0.1:{port} (setting `listeners`)"));
        let admin = Some(vec![("127.0.0.1".to_owned(), port)]);
        let both = RestConfig { admin_listeners: admin, ..config(&[("127.0.0.1", 0)]) };
        let error = Server::bind(&both).await.unwrap_err();
        assert!(error.to_string().ends_with("(setting `admin.listeners`)"), "{error}");
    }

    #[tokio::test]
    async fn several_listeners_may_be_open() {
        let server = Server::bind(&config(&[("127.0.0.1", 0), ("", 0), ("localhost", 0)])).await.unwrap();
        assert!(server.addresses().iter().all(|address| address.port() != 0));
        assert_eq!(server.addresses().len(), 3);
    }
}
