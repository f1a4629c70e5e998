//! OAuth 2 with client credentials: a server that gives tokens and is the API too.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use serde_json::json;
use transom_tests::https::Https;
use ureq::http::Method;

use super::cursors::{CURSORS, page};
use super::{Reader, header, status};

/// Nothing in here may be seen by anybody.
const SECRET: &str = "canary-5d1c";
/// `me:canary-5d1c` in Base64.
const BASIC: &str = "bWU6Y2FuYXJ5LTVkMWM=";
/// What tokens begin with.
const TOKEN: &str = "canary-token";

const ITEMS: usize = 3_000;
/// Requests for which a token is good.
const GOOD_FOR: usize = 7;

/// What the server has seen.
#[derive(Debug, Default)]
struct Seen {
    /// Tokens given out; the last one is good.
    tokens: usize,
    /// What it is good for still.
    left: usize,
    pages: usize,
    refused: usize,
}

impl Seen {
    fn answer(&mut self, request: &Request<Bytes>) -> Response<Full<Bytes>> {
        if request.uri().path() == "/token" {
            return self.give(request);
        }
        if self.left == 0 || header(request, "authorization") != Some(&format!("Bearer {}", self.token())) {
            self.refused += 1;
            return status(401);
        }
        (self.left, self.pages) = (self.left - 1, self.pages + 1);
        page(request, ITEMS)
    }

    fn give(&mut self, request: &Request<Bytes>) -> Response<Full<Bytes>> {
        let body = String::from_utf8_lossy(request.body());
        let in_header = header(request, "authorization") == Some(&format!("Basic {BASIC}"));
        let in_body = body.ends_with(&format!("&client_id=me&client_secret={SECRET}"));
        if !body.starts_with("grant_type=client_credentials") || in_header == in_body {
            // Some servers repeat what they were told.
            let answer = json!({ "error": "invalid_client", "error_description": body });
            return Response::builder().status(401).body(Full::from(answer.to_string())).unwrap();
        }
        (self.tokens, self.left) = (self.tokens + 1, GOOD_FOR);
        let answer =
            json!({ "access_token": self.token(), "token_type": "Bearer", "expires_in": 3600 }).to_string();
        Response::new(Full::from(answer))
    }

    fn token(&self) -> String {
        format!("{TOKEN}-{}", self.tokens)
    }
}

/// The server, and a worker that knows this secret and logs all it can.
fn reader(secret: &str, more: &[(&str, &str)]) -> (Reader, Arc<Mutex<Seen>>) {
    let seen = Arc::<Mutex<Seen>>::default();
    let kept = Arc::clone(&seen);
    let api = Https::start(&["h2", "http/1.1"], move |request| kept.lock().unwrap().answer(request));
    let url = format!("{}/token", api.url());
    let login =
        [("oauth2.token.url", url.as_str()), ("oauth2.client.id", "me"), ("oauth2.client.secret", secret)];
    let mut reader = Reader::new(api, &[&CURSORS[..], &login, more].concat());
    reader.worker.verbose();
    (reader, seen)
}

/// What the worker says to the connector's configuration, with or without a try of the connection.
fn validated(reader: &Reader, tried: &str) -> String {
    let rest = reader.worker.rest();
    let mut config = rest.get(&format!("/connectors/{}/config", reader.connector)).expect(200);
    config["validate.connection"] = tried.into();
    let path = "/connector-plugins/HttpSource/config/validate";
    let (code, text) = rest.send(&Method::PUT, path, Some(config.to_string())).unwrap();
    assert_eq!(code, 200, "{text}");
    text
}

/// Looks for secrets in all that the worker says, but for the configuration itself, which is shown to whoever may
/// ask for it, as Kafka Connect does.
#[track_caller]
fn nothing_is_told(reader: &Reader) {
    let (name, rest) = (&reader.connector, reader.worker.rest());
    let paths = [
        "/".to_owned(),
        "/health".to_owned(),
        "/metrics".to_owned(),
        "/connectors".to_owned(),
        "/connectors?expand=status".to_owned(),
        "/connector-plugins".to_owned(),
        "/connector-plugins/HttpSource/config".to_owned(),
        format!("/connectors/{name}/status"),
        format!("/connectors/{name}/tasks/0/status"),
    ];
    let mut said: Vec<_> =
        paths.into_iter().map(|path| (rest.try_get_text(&path).expect("an answer"), path)).collect();
    said.extend(["false", "true"].map(|tried| (validated(reader, tried), "the check".to_owned())));
    said.push((reader.worker.log(), "the log".to_owned()));
    let offsets = std::fs::read(reader.worker.folder().join("offsets.json")).unwrap_or_default();
    said.push((String::from_utf8_lossy(&offsets).into_owned(), "the offsets".to_owned()));
    for (text, whence) in said {
        for secret in [SECRET, BASIC, TOKEN] {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{whence} tells a secret");
        }
    }
}

#[test]
fn a_token_that_expires_is_got_anew_and_the_secret_stays_one() {
    for place in ["header", "body"] {
        let (mut reader, seen) = reader(SECRET, &[("oauth2.client.auth", place)]);
        reader.worker.start();
        assert_eq!(reader.check(ITEMS), 0, "no item came twice");
        let seen = seen.lock().unwrap();
        assert!(seen.pages >= ITEMS / 100, "{seen:?}");
        assert!(seen.tokens >= seen.pages / GOOD_FOR, "{seen:?}");
        // A new token only where there was none yet, or the server refused the last one.
        assert!(seen.tokens <= seen.refused + 1, "{seen:?}");
        assert!(seen.refused <= seen.pages / GOOD_FOR, "{seen:?}");
        drop(seen);
        assert!(reader.worker.log().contains("DEBUG"), "the log has all there is to say");
        nothing_is_told(&reader);
    }
}

#[test]
fn a_wrong_secret_fails_in_words_that_do_not_tell_it() {
    let wrong = format!("{SECRET}-wrong");
    for place in ["header", "body"] {
        let (mut reader, seen) = reader(&wrong, &[("oauth2.client.auth", place)]);
        reader.worker.set("task.restart.max", "0").start();
        let trace = reader.worker.await_failed(&reader.connector);
        let expected =
            format!("no token: invalid_client: POST {}/token: the server answered 401", reader.api.url());
        assert!(trace.contains(&expected), "{trace}");
        assert!(validated(&reader, "true").contains(&expected));
        assert_eq!(seen.lock().unwrap().pages, 0);
        nothing_is_told(&reader);
    }
}
