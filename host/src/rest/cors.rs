//! Which web pages may use the API from a browser: those of origins that the operator names.
//!
//! A browser sends the page's origin along, and hands an answer over only if it says that this origin may have it;
//! for what a form could not do it asks first (`OPTIONS` with `Access-Control-Request-Method`). Nothing is refused
//! here: whoever is no browser does not care.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::config::RestConfig;

/// How long a browser may remember what it was told, in seconds.
const REMEMBERED: HeaderValue = HeaderValue::from_static("60");

/// Who may do what.
#[derive(Debug)]
pub(super) struct Policy {
    origins: Vec<String>,
    methods: HeaderValue,
}

impl Policy {
    /// `None`: no page of another origin may anything.
    pub(super) fn of(config: &RestConfig) -> Option<Arc<Self>> {
        if config.allowed_origins.is_empty() {
            return None;
        }
        let methods = match config.allowed_methods.join(",") {
            none if none.is_empty() => "GET,POST,HEAD".to_owned(),
            some => some,
        };
        let methods = HeaderValue::try_from(methods).unwrap_or(HeaderValue::from_static("GET"));
        Some(Arc::new(Self { origins: config.allowed_origins.clone(), methods }))
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        let is = |allowed: &String| allowed == "*" || allowed.as_bytes() == origin.as_bytes();
        self.origins.iter().any(is)
    }
}

/// Tells browsers.
pub(super) async fn tell(State(policy): State<Arc<Policy>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).filter(|origin| policy.allows(origin)).cloned();
    let asks_first = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut put = |name: HeaderName, value: HeaderValue| drop(headers.insert(name, value));
    // Two origins must not share what a cache keeps.
    put(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        put(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if asks_first {
            put(header::ACCESS_CONTROL_ALLOW_METHODS, policy.methods.clone());
            put(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type"));
            put(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn policy(origins: &[&str], methods: &[&str]) -> Option<Arc<Policy>> {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Policy::of(&RestConfig {
            listeners: Vec::new(),
            admin_listeners: None,
            allowed_origins: list(origins),
            allowed_methods: list(methods),
            body_max: 1,
            timeout: Duration::from_secs(1),
        })
    }

    #[test]
    fn origins_are_allowed_by_name_or_all() {
        let origin = HeaderValue::from_static("https://ui.example.com");
        assert!(policy(&[], &["GET"]).is_none(), "nobody, and nothing is said");
        assert!(policy(&["https://ui.example.com"], &[]).unwrap().allows(&origin));
        assert!(policy(&["*"], &[]).unwrap().allows(&origin));
        assert!(!policy(&["https://example.com"], &[]).unwrap().allows(&origin));
    }

    #[test]
    fn methods_are_those_of_the_operator_or_kafka_connects() {
        assert_eq!(policy(&["*"], &["GET", "PUT"]).unwrap().methods, "GET,PUT");
        assert_eq!(policy(&["*"], &[]).unwrap().methods, "GET,POST,HEAD");
    }
}
