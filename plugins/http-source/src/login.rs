//! How the source shows who it is.
//!
//! A token is got when there is none, kept until shortly before it expires, and forgotten when the server refuses it.

use std::time::{Duration, Instant};

use serde_json::Value;
use transom_sdk::Error;
use transom_sdk::http::{Request, Response, Url, escape};

/// A token is not used any more so long before its end, or a tenth of its life if that is less.
const MARGIN: Duration = Duration::from_secs(30);
/// No token is kept for longer.
const LONGEST: Duration = Duration::from_secs(86_400);
/// The longest answer of a token server.
const ANSWER: usize = 1 << 20;
/// What a server may say is wrong (RFC 6749, 5.2); anything else it says is not repeated.
const REASONS: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

/// Not `Debug`: it is secret.
pub(crate) enum Login {
    None,
    Basic { user: String, password: String },
    OAuth2(OAuth2),
}

/// A client of OAuth 2, and the token it has.
pub(crate) struct OAuth2 {
    url: Url,
    id: String,
    secret: String,
    scope: Option<String>,
    in_body: bool,
    token: Option<Token>,
}

struct Token {
    text: String,
    /// `None`: until the server refuses it.
    until: Option<Instant>,
}

impl Login {
    /// The request for a token, if one is needed first, in this time.
    pub(crate) fn wants(&self, timeout: Duration) -> Option<Request> {
        match self {
            Self::OAuth2(client) if !client.has_token() => {
                Some(client.request().timeout(timeout).limit(ANSWER))
            }
            _ => None,
        }
    }

    /// The request with what shows who asks.
    pub(crate) fn sign(&self, request: Request) -> Request {
        match self {
            Self::None => request,
            Self::Basic { user, password } => request.with_basic_auth(user, password),
            Self::OAuth2(client) => match &client.token {
                Some(token) => request.with_bearer(&token.text),
                None => request,
            },
        }
    }

    /// The answer to [`wants`](Self::wants).
    pub(crate) fn accept(&mut self, response: Response) -> Result<(), Error> {
        match self {
            Self::OAuth2(client) => client.accept(response),
            _ => Ok(()),
        }
    }

    /// The server refuses it. True: another attempt has another token.
    pub(crate) fn refused(&mut self) -> bool {
        match self {
            Self::OAuth2(client) => client.token.take().is_some(),
            _ => false,
        }
    }
}

impl OAuth2 {
    pub(crate) fn new(
        url: Url,
        (id, secret): (String, String),
        scope: Option<String>,
        in_body: bool,
    ) -> Self {
        Self { url, id, secret, scope, in_body, token: None }
    }

    fn has_token(&self) -> bool {
        self.token.as_ref().is_some_and(|token| token.until.is_none_or(|until| Instant::now() < until))
    }

    fn request(&self) -> Request {
        let mut form = "grant_type=client_credentials".to_owned();
        let mut add = |name: &str, value: &str| {
            form.extend(["&", name, "=", &escape(value)]);
        };
        if let Some(scope) = &self.scope {
            add("scope", scope);
        }
        if self.in_body {
            add("client_id", &self.id);
            add("client_secret", &self.secret);
        }
        let request = Request::post(self.url.clone(), form)
            .with_header("content-type", "application/x-www-form-urlencoded")
            .with_header("accept", "application/json");
        if self.in_body { request } else { request.with_basic_auth(&escape(&self.id), &escape(&self.secret)) }
    }

    fn accept(&mut self, response: Response) -> Result<(), Error> {
        if !(200..300).contains(&response.status) {
            let error = response.error();
            let said: Value = serde_json::from_slice(&response.body).unwrap_or_default();
            let reason = REASONS.into_iter().find(|reason| said["error"] == **reason);
            return Err(reason.map_or(error.clone(), |reason| error.context(reason)).context("no token"));
        }
        let answer: Value = response.json().map_err(|error| error.context("no token"))?;
        let text = answer["access_token"].as_str().filter(|text| !text.is_empty()).ok_or_else(|| {
            Error::fatal(format!("no token: the answer of {} has no access_token", self.url.without_query()))
        })?;
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let from = self.url.without_query();
            return Err(Error::fatal(format!("no token: that of {from} has signs that no header may have")));
        }
        // Some write the number as a text.
        let seconds = answer["expires_in"].as_u64().or_else(|| answer["expires_in"].as_str()?.parse().ok());
        let until = seconds.map(|seconds| {
            let life = Duration::from_secs(seconds).min(LONGEST);
            Instant::now() + life.saturating_sub(MARGIN.min(life / 10))
        });
        self.token = Some(Token { text: text.to_owned(), until });
        Ok(())
    }
}
