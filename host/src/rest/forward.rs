//! Changes that belong to another worker of the cluster: led to its REST API, and its answer back.
//!
//! Any worker answers any request. Reads it answers itself; what changes a connector only the leader may do. The
//! request goes there as it came, its `Host` too, so that a `Location` in the answer is the address that the client
//! knows; it is marked with `forward=false`, as between Java's workers, and a worker that gets such a request and does
//! not lead (any more) refuses it, so that no request goes in circles.
//!
//! A request that could not be handed over is tried again as long as there is hope for a leader, and so is one that found
//! this worker to lead when it came and no more when it was to be written. One that was handed over is not: it may have
//! been carried out.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::error::ApiError;
use crate::worker::api::WorkerError;
use crate::worker::{Turn, Worker};

/// Marks a request that was led here by another worker.
const FORWARDED: &str = "forward=false";
/// How long the other worker may take to take a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// And to answer: as long as a client waits.
const ANSWER: Duration = Duration::from_secs(90);
/// How long it is tried to hand a request over.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(200);
/// What of a request goes with it, and what of an answer comes back.
const HEADERS: [header::HeaderName; 5] =
    [header::CONTENT_TYPE, header::ACCEPT, header::AUTHORIZATION, header::HOST, header::LOCATION];

/// Says of an answer that this worker led when the request came, and does not any more; nothing was done.
#[derive(Debug, Clone, Copy)]
pub(super) struct NotLeading;

/// Carries a change out where it belongs.
pub(super) async fn to_leader(State(worker): State<Worker>, request: Request, next: Next) -> Response {
    if !worker.is_clustered() || !is_change(&request) {
        return next.run(request).await;
    }
    carried_out(&worker, request, next).await.unwrap_or_else(IntoResponse::into_response)
}

/// Here, or by the leader, or by the next one, should that be gone.
async fn carried_out(worker: &Worker, request: Request, next: Next) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let too_large = |error: axum::Error| ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string());
    let body = to_bytes(body, worker.rest_config().body_max).await.map_err(too_large)?;
    let was_forwarded = parts.uri.query().is_some_and(|query| query.split('&').any(|part| part == FORWARDED));
    let until = Instant::now() + PATIENCE;
    loop {
        match worker.turn().await? {
            Turn::Here => {
                let request = Request::from_parts(parts.clone(), Body::from(body.clone()));
                let response = next.clone().run(request).await;
                if response.extensions().get::<NotLeading>().is_none() || Instant::now() >= until {
                    return Ok(response);
                }
            }
            Turn::At(_) if was_forwarded => return Err(WorkerError::NotLeading.into()),
            Turn::At(leader) => match connect(&leader).await {
                Ok(stream) => {
                    let uri = forwarded(&parts.uri);
                    tracing::debug!(%leader, %uri, "leading a request to the leader");
                    return send(stream, (parts.method, uri), parts.headers, body).await;
                }
                Err(error) if Instant::now() >= until => return Err(failed(&leader, &error)),
                Err(_) => {}
            },
        }
        sleep(AGAIN).await;
    }
}

async fn connect(address: &str) -> io::Result<TcpStream> {
    match timeout(CONNECT, TcpStream::connect(address)).await {
        Ok(connected) => connected,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn is_change(request: &Request) -> bool {
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS];
    !reads.contains(request.method())
        && request.uri().path().starts_with("/connectors")
        && !request.uri().path().starts_with("/connector-plugins")
}

fn forwarded(uri: &Uri) -> PathAndQuery {
    let text = match uri.query() {
        Some(query) => format!("{}?{query}&{FORWARDED}", uri.path()),
        None => format!("{}?{FORWARDED}", uri.path()),
    };
    PathAndQuery::try_from(text).unwrap_or_else(|_| PathAndQuery::from_static("/"))
}

async fn send(
    stream: TcpStream,
    (method, path): (Method, PathAndQuery),
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let exchange = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        drop(tokio::spawn(connection));
        let mut request = hyper::Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from(path);
        copy(&headers, request.headers_mut());
        sender.send_request(request).await
    };
    let io = |error: String| {
        let message = format!("IO Error trying to forward REST request: {error}");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    };
    let answer = timeout(ANSWER, exchange).await.map_err(|_| io("the leader does not answer".to_owned()))?;
    let (parts, body) = answer.map_err(|error| io(error.to_string()))?.into_parts();
    let body = to_bytes(Body::new(body), usize::MAX).await.map_err(|error| io(error.to_string()))?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = parts.status;
    copy(&parts.headers, response.headers_mut());
    Ok(response)
}

fn copy(from: &HeaderMap, to: &mut HeaderMap) {
    for name in &HEADERS {
        if let Some(value) = from.get(name) {
            let _ = to.insert(name, value.clone());
        }
    }
}

fn failed(leader: &str, error: &io::Error) -> ApiError {
    let message = format!("IO Error trying to forward REST request: {leader}: {error}");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_marked_and_otherwise_as_it_came() {
        let of = |uri: &'static str| forwarded(&Uri::from_static(uri)).to_string();
        assert_eq!(of("/connectors/a%2Fb/restart"), "/connectors/a%2Fb/restart?forward=false");
        assert_eq!(
            of("/connectors/a/restart?onlyFailed=true"),
            "/connectors/a/restart?onlyFailed=true&forward=false"
        );
    }

    #[test]
    fn only_changes_of_connectors_are_led_elsewhere() {
        let of = |method: Method, uri: &'static str| {
            is_change(&Request::builder().method(method).uri(uri).body(Body::empty()).unwrap())
        };
        assert!(of(Method::POST, "/connectors") && of(Method::PUT, "/connectors/a/config"));
        assert!(of(Method::DELETE, "/connectors/a") && of(Method::PATCH, "/connectors/a/offsets"));
        assert!(!of(Method::GET, "/connectors") && !of(Method::OPTIONS, "/connectors"));
        assert!(!of(Method::PUT, "/connector-plugins/a/config/validate"));
        assert!(!of(Method::PUT, "/admin/loggers/root"));
    }
}
