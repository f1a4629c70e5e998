//! The two requests that the sink makes: to write, and to ask a server who it is.

use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use transom_sdk::http::Request;

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

    fn sign(&self, request: Request) -> Request {
        match &self.login {
            Login::None => request,
            Login::Basic(user, password) => request.with_basic_auth(user, password),
            Login::ApiKey(key) => request.with_header("authorization", &format!("ApiKey {key}")),
        }
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.expect("a vector takes all")
}
