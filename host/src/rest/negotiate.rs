//! Whether a request and this API speak the same language: the media types of bodies, and the form of paths.

use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;

/// Refuses what comes with something else than JSON, or asks for something else.
///
/// Anything else is refused before it is read. This is also what keeps a web page in an operator's
/// browser from posting to the worker: a page cannot send this type to another host unasked.
pub(super) async fn json(request: Request, next: Next) -> Response {
    match check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(status) => ApiError::plain(status).into_response(),
    }
}

fn check(headers: &HeaderMap) -> Result<(), StatusCode> {
    if !brings_json(headers)? {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    if accepts_json(headers) { Ok(()) } else { Err(StatusCode::NOT_ACCEPTABLE) }
}

/// Whether the body, if there is one, is JSON.
fn brings_json(headers: &HeaderMap) -> Result<bool, StatusCode> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        // Where no length is told there may be nothing: who reads it sees.
        let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        return Ok(length.is_none_or(|length| length == "0"));
    };
    let value = value.to_str().map_err(|_| StatusCode::BAD_REQUEST)?;
    let media_type = value.split(';').next().unwrap_or_default().trim();
    if !media_type.contains('/') {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(media_type.eq_ignore_ascii_case("application/json"))
}

/// Whether the answer may be JSON. How much it is liked does not matter: there is nothing else.
fn accepts_json(headers: &HeaderMap) -> bool {
    let ranges: Vec<_> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let takes = |range: &str| {
        let range = range.split(';').next().unwrap_or_default().trim();
        ["*/*", "application/*", "application/json"].iter().any(|known| range.eq_ignore_ascii_case(known))
    };
    let said = |list: &&str| !list.trim().is_empty();
    ranges.iter().all(|list| !said(list)) || ranges.iter().flat_map(|list| list.split(',')).any(takes)
}

/// `/connectors/` is `/connectors`; a path with empty or broken segments is none.
pub(super) async fn path(mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.contains("//") || !is_well_encoded(path) {
        let message = format!("HTTP 400 Bad Request: the path {path} has an empty segment or a wrong escape");
        return ApiError::bad_request(message).into_response();
    }
    if let Some(uri) = trimmed(request.uri()) {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

/// Whether every percent sign begins an escape, and none of them is a NUL.
fn is_well_encoded(path: &str) -> bool {
    path.split('%').skip(1).all(|part| {
        let digits = part.as_bytes().get(..2).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit) && digits != b"00"
    })
}

fn trimmed(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let short = path.strip_suffix('/').filter(|short| !short.is_empty())?;
    let path_and_query = match uri.query() {
        Some(query) => format!("{short}?{query}"),
        None => short.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    fn status(pairs: &[(header::HeaderName, &'static str)]) -> u16 {
        check(&headers(pairs)).err().map_or(200, |status| status.as_u16())
    }

    #[test]
    fn only_json_is_taken_where_there_is_a_body() {
        let of = |value| status(&[(header::CONTENT_TYPE, value)]);
        assert_eq!(of("application/json"), 200);
        assert_eq!(of("Application/JSON; charset=utf-8"), 200);
        assert_eq!(of("application/merge-patch+json"), 415);
        assert_eq!(of("text/plain"), 415);
        assert_eq!(of("nonsense"), 400);
        assert_eq!(status(&[]), 200, "nothing is nothing wrong");
        assert_eq!(status(&[(header::CONTENT_LENGTH, "2")]), 415);
        assert_eq!(status(&[(header::TRANSFER_ENCODING, "chunked")]), 200, "it may be empty");
    }

    #[test]
    fn who_wants_no_json_gets_nothing() {
        let of = |value| status(&[(header::ACCEPT, value)]);
        for good in ["*/*", "application/json", "text/html, application/*;q=0.1", "APPLICATION/JSON;v=1", ""]
        {
            assert_eq!(of(good), 200, "{good}");
        }
        for bad in ["text/html", "application/xml", "nonsense"] {
            assert_eq!(of(bad), 406, "{bad}");
        }
    }

    #[test]
    fn one_trailing_slash_is_dropped_and_the_query_kept() {
        let of = |uri: &'static str| trimmed(&Uri::from_static(uri)).map(|uri| uri.to_string());
        assert_eq!(of("/connectors/"), Some("/connectors".to_owned()));
        assert_eq!(of("/connectors/?expand=info"), Some("/connectors?expand=info".to_owned()));
        assert_eq!(of("/connectors/a%2F"), None);
        assert_eq!(of("/"), None);
    }

    #[test]
    fn escapes_have_two_digits() {
        assert!(is_well_encoded("/a%2Fb%c3%BC"));
        for broken in ["/%", "/%2", "/%zz", "/a%00"] {
            assert!(!is_well_encoded(broken), "{broken}");
        }
    }
}
