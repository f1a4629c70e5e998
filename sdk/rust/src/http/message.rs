//! Requests and responses.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::encoding::{base64, http_date};
use super::{Pending, Url};
use crate::{Error, Kind};

/// How long an answer may take unless the request says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long an answer may take in any case.
const LONGEST: Duration = Duration::from_secs(86_400);
/// How long an answer may be unless the request says otherwise.
const LIMIT: usize = 16 << 20;

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names of HTTP")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// As HTTP writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Headers: names in any letter case, in their order. Their values are not shown by `Debug`: one of them is
/// usually a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a name.
    pub fn all<'h>(&'h self, name: &str) -> impl Iterator<Item = &'h str> {
        self.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Sets the one value of a name.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        self.0.push((name, value.into()));
    }

    /// Adds a value to those of a name.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    method: Method,
    url: Url,
    headers: Headers,
    body: Vec<u8>,
    name: Option<String>,
    pub(super) timeout: Duration,
    pub(super) limit: usize,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, url: Url) -> Self {
        let (headers, body) = (Headers::default(), Vec::new());
        Self { method, url, headers, body, name: None, timeout: TIMEOUT, limit: LIMIT }
    }

    /// A GET.
    pub fn get(url: Url) -> Self {
        Self::new(Method::Get, url)
    }

    /// A POST.
    pub fn post(url: Url, body: impl Into<Vec<u8>>) -> Self {
        Self::new(Method::Post, url).with_body(body)
    }

    /// With this value of a header, in place of others of its name.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.set(name, value);
        self
    }

    /// With a user's name and password.
    #[must_use]
    pub fn with_basic_auth(self, user: &str, password: &str) -> Self {
        let encoded = base64(format!("{user}:{password}").as_bytes());
        self.with_header("authorization", &format!("Basic {encoded}"))
    }

    /// With a token.
    #[must_use]
    pub fn with_bearer(self, token: &str) -> Self {
        self.with_header("authorization", &format!("Bearer {token}"))
    }

    /// With this body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// With a body of JSON.
    ///
    /// # Errors
    /// The value cannot be written as JSON.
    pub fn with_json(self, value: &(impl Serialize + ?Sized)) -> Result<Self, Error> {
        let body = serde_json::to_vec(value)?;
        Ok(self.with_header("content-type", "application/json").with_body(body))
    }

    /// The whole answer must be there after this time; 30 s unless said, and a day at most. The operator's limit
    /// (`sandbox.<plugin>.net.timeout.ms`) holds too.
    #[must_use]
    pub fn timeout(mut self, most: Duration) -> Self {
        self.timeout = most.min(LONGEST);
        self
    }

    /// The answer's body may have at most so many bytes; 16 MiB unless said. Answers that are read in pieces are
    /// not bounded.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// What messages call it. For addresses whose path is a secret; a query is left out anyway.
    #[must_use]
    pub fn called(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sends it, and waits for nothing.
    ///
    /// # Errors
    /// It cannot be sent.
    pub fn start(self) -> Result<Pending, Error> {
        Pending::start(self)
    }

    /// Sends it and waits for the whole answer.
    ///
    /// # Errors
    /// See the [module](super); an answer of any status is none.
    pub fn send(self) -> Result<Response, Error> {
        self.start()?.wait()
    }

    /// What it wants.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Where it goes.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Its headers.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Its body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// For messages.
    pub(super) fn label(&self) -> String {
        let named = || format!("{} {}", self.method.as_str(), self.url.without_query());
        self.name.clone().unwrap_or_else(named)
    }

    #[cfg(target_arch = "wasm32")]
    pub(super) fn into_body(self) -> Vec<u8> {
        self.body
    }
}

/// An answer with its whole body.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// What was asked, for messages.
    pub(super) label: String,
}

impl Response {
    /// An answer without headers and body, for the test double.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Headers::default(), body: Vec::new(), label: String::new() }
    }

    /// With one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.add(name, value);
        self
    }

    /// With this body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is none, which is taken for the mishap of a proxy: retriable.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            // Its own words may repeat what is in the answer.
            let at = (error.line(), error.column());
            Error::retriable(format!(
                "{}: the answer is not the JSON it should be, from line {}, column {} on",
                self.label, at.0, at.1
            ))
        })
    }

    /// The answer, if its status is of those that mean success.
    ///
    /// # Errors
    /// See [`error`](Self::error).
    pub fn success(self) -> Result<Self, Error> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(self.error()) }
    }

    /// The error that a status other than those of success is: retriable where a later attempt may be answered
    /// otherwise (408, 425, 429 and from 500 on), when the server says when, then; else fatal.
    pub fn error(&self) -> Error {
        let status = self.status;
        let kind = match status {
            408 | 425 | 429 | 500.. => Kind::Retriable,
            _ => Kind::Fatal,
        };
        let meaning = match status {
            300..=399 => ": redirects are not followed",
            401 => ": it knows no such user, or token",
            403 => ": it forbids it",
            404 => ": there is no such thing",
            429 => ": it wants fewer requests",
            500.. => ": it is in trouble",
            _ => "",
        };
        let error = Error::new(kind, format!("{}: the server answered {status}{meaning}", self.label));
        match self.retry_after() {
            Some(after) if kind == Kind::Retriable => error.retry_after(after),
            _ => error,
        }
    }

    /// When the server wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get("retry-after")?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        // A time that is past: now.
        Some(http_date(text)?.duration_since(SystemTime::now()).unwrap_or_default())
    }
}

/// Without the body.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {:?}, {} bytes", self.label, self.status, self.headers, self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_another_kind_is_not_repeated() {
        let answer = Response::new(200).with_body("{\"id\":\"canary\"}");
        let error = answer.json::<std::collections::BTreeMap<String, u32>>().unwrap_err();
        assert!(error.kind() == Kind::Retriable && error.message().contains("line 1, column"), "{error}");
        assert!(!error.message().contains("canary"), "{error}");
    }
}
