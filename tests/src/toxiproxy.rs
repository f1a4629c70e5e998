//! A bad network: [toxiproxy](https://github.com/Shopify/toxiproxy) between a plugin and its server.
//!
//! One toxiproxy serves the test binary; each [`Proxy`] is a port of its own before one server. What is
//! done to it holds for connections that are open and for those to come, until [`Proxy::heal`].

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::process::{Folder, Process, installed};
use crate::worker::rest::Rest;
use crate::{ports, unique, wait};

/// The one server, and where it is told what to do.
struct Server {
    api: Rest,
    _process: Process,
    _folder: Folder,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let program = installed("go-tool.sh", &["toxiproxy"]);
        let (folder, port) = (Folder::new("toxiproxy"), ports::free());
        let args = ["-host", "127.0.0.1", "-port", &port.to_string()];
        let mut process = Process::start(program, args, &folder.path().join("log"));
        let api = Rest::new(port);
        let up = wait::try_until(wait::LIMIT, || {
            assert!(process.exited().is_none(), "toxiproxy ended: {}", process.log_tail(20));
            api.try_get("/version")
        });
        up.unwrap_or_else(|last| panic!("toxiproxy does not answer: {last}"));
        Server { api, _process: process, _folder: folder }
    })
}

/// A way to one server that can be made bad. It is closed when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    name: String,
    port: u16,
}

impl Proxy {
    /// A way to the server at `upstream` (`127.0.0.1:port`), a good one at first.
    ///
    /// # Panics
    /// When there can be none.
    pub fn new(upstream: &str) -> Self {
        let (name, port) = (unique("proxy"), ports::free());
        let body = json!({ "name": name, "listen": format!("127.0.0.1:{port}"), "upstream": upstream });
        server().api.post("/proxies", Some(&body)).expect(201);
        Self { name, port }
    }

    /// Where it listens, for instance `127.0.0.1:12345`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Everything takes so long more, either way.
    pub fn delay(&self, ms: u32) {
        for stream in ["upstream", "downstream"] {
            self.poison("latency", stream, &json!({ "latency": ms }));
        }
    }

    /// So many KB/s come through, either way.
    pub fn slow(&self, kb_per_second: u32) {
        for stream in ["upstream", "downstream"] {
            self.poison("bandwidth", stream, &json!({ "rate": kb_per_second }));
        }
    }

    /// Connections stay, and no byte of an answer comes any more: a half-open network.
    pub fn silence(&self) {
        self.poison("timeout", "downstream", &json!({ "timeout": 0 }));
    }

    /// Every connection is reset, in the middle of whatever it does, and so is each new one.
    pub fn reset(&self) {
        self.poison("reset_peer", "downstream", &json!({ "timeout": 0 }));
    }

    /// Connections are closed, and new ones refused.
    pub fn cut(&self) {
        self.enable(false);
    }

    /// The way is good again. Connections that were silenced are closed.
    ///
    /// # Panics
    /// When toxiproxy refuses.
    pub fn heal(&self) {
        let path = format!("/proxies/{}/toxics", self.name);
        let toxics = server().api.get(&path).expect(200);
        for toxic in toxics.as_array().into_iter().flatten() {
            let name = toxic["name"].as_str().expect("toxics have names");
            server().api.delete(&format!("{path}/{name}")).expect(204);
        }
        self.enable(true);
    }

    fn poison(&self, kind: &str, stream: &str, attributes: &Value) {
        let body = json!({ "type": kind, "stream": stream, "attributes": attributes });
        server().api.post(&format!("/proxies/{}/toxics", self.name), Some(&body)).expect(200);
    }

    fn enable(&self, enabled: bool) {
        let body = json!({ "enabled": enabled });
        server().api.post(&format!("/proxies/{}", self.name), Some(&body)).expect(200);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = server().api.delete(&format!("/proxies/{}", self.name));
    }
}
