//! The two requests that the sink makes: to write, and to ask a server who it is.

use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use transom_sdk::http::{Request, Response};
use transom_sdk::{Error, Problems, Value};

use crate::config::{Login, Settings};

/// How long a check of the connection may take: somebody waits for it.
const CHECK: Duration = Duration::from_secs(10);
/// An answer has less than so many bytes for an action, and one that failed a reason.
const ANSWER: usize = 64 << 20;

impl Settings {
    /// The request that writes.
    pub(crate) fn bulk_request(&self, server: usize, body: &[u8]) -> Request {
        let request = self.sign(Request::post(self.servers[server].0.clone(), Vec::new()));
        let request =
            request.with_header("content-type", "application/x-ndjson").timeout(self.timeout).limit(ANSWER);
        if self.gzip {
            request.with_header("content-encoding", "gzip").with_body(gzip(body))
        } else {
            request.with_body(body)
        }
    }

    /// The request that asks a server who it is.
    pub(crate) fn root_request(&self, server: usize) -> Request {
        self.sign(Request::get(self.servers[server].1.clone()))
            .timeout(self.timeout.min(CHECK))
            .limit(1 << 20)
    }

    /// The error that an answer is. Where it is about the login it says which keys mend it.
    pub(crate) fn error(&self, response: &Response) -> Error {
        let error = response.error();
        let (refused, forbidden) = match &self.login {
            Login::None => {
                let set = "set connection.username and connection.password, or connection.api.key";
                (set, set)
            }
            Login::Basic(..) => (
                "check connection.username and connection.password",
                "grant it to the user that connection.username names",
            ),
            Login::ApiKey(_) => {
                ("check connection.api.key", "grant it to the key that connection.api.key is")
            }
        };
        match response.status {
            401 => Error::fatal(format!("{}: {refused}", error.message())),
            403 => Error::fatal(format!("{}: {forbidden}", error.message())),
            _ => error,
        }
    }

    /// The key that has to do with an answer of this status to whoever asks who the server is.
    pub(crate) fn key_of(&self, status: u16) -> &'static str {
        match (status, &self.login) {
            (401 | 403, Login::None) => "connection.username",
            (401 | 403, Login::Basic(..)) => "connection.password",
            (401 | 403, Login::ApiKey(_)) => "connection.api.key",
            _ => "connection.url",
        }
    }

    fn sign(&self, request: Request) -> Request {
        match &self.login {
            Login::None => request,
            Login::Basic(user, password) => request.with_basic_auth(user, password),
            Login::ApiKey(key) => request.with_header("authorization", &format!("ApiKey {key}")),
        }
    }
}

/// Asks the servers who they are.
pub(crate) fn check(settings: &Settings, problems: &mut Problems) {
    for server in 0..settings.servers.len() {
        let request = settings.root_request(server);
        let address = request.url().without_query();
        let mut add = |key: &str, error: Error| {
            let value = if key == "connection.url" { address.as_str() } else { "[hidden]" };
            problems.invalid(key, value, format!("the connection was tried: {error}"));
        };
        match request.send() {
            Ok(response) if response.status == 200 => {
                let answer: Result<Value, _> = response.json();
                match answer {
                    Ok(answer) if answer["version"]["number"].is_string() => {}
                    Ok(_) => {
                        let stranger = "who answers is neither Elasticsearch nor OpenSearch";
                        add("connection.url", Error::fatal(stranger));
                    }
                    Err(error) => add("connection.url", error),
                }
            }
            Ok(response) => add(settings.key_of(response.status), settings.error(&response)),
            Err(error) => add("connection.url", error),
        }
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.expect("a vector takes all")
}
