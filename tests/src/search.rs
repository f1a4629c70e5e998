//! A real search server: one node of OpenSearch or Elasticsearch, made of jars.
//!
//! OpenSearch is up in some four seconds, Elasticsearch in ten; each holds some 250 MB. Tests share one of each,
//! with indices of their own ([`crate::unique`]).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Value, json};
use ureq::http::Method;

use crate::process::{Folder, Process, installed};
use crate::worker::rest::{Answer, Rest};
use crate::{ports, wait};

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// OpenSearch.
    OpenSearch,
    /// Elasticsearch.
    Elasticsearch,
}

/// One node.
#[derive(Debug)]
pub struct Search {
    port: u16,
    rest: Rest,
    process: Process,
    // After the process: they are dropped in this order.
    _folder: Folder,
}

/// A document as the server has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its version.
    pub version: i64,
    /// What was written.
    pub source: Value,
}

/// The OpenSearch that the tests of this binary share.
pub fn opensearch() -> &'static Search {
    static SHARED: OnceLock<Search> = OnceLock::new();
    SHARED.get_or_init(|| Search::start(Engine::OpenSearch))
}

/// The Elasticsearch that the tests of this binary share.
pub fn elasticsearch() -> &'static Search {
    static SHARED: OnceLock<Search> = OnceLock::new();
    SHARED.get_or_init(|| Search::start(Engine::Elasticsearch))
}

impl Search {
    /// A node for one test, or for all.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start(engine: Engine) -> Self {
        let program = installed(script(engine), &[]);
        let folder = Folder::new("search");
        std::fs::create_dir(folder.path().join("config")).expect("a folder");
        let (port, transport) = (ports::free(), ports::free());
        let class_path = format!("{0}/classes:{0}/lib/*", program);
        let home = folder.path().display().to_string();
        let temporary = format!("-Djava.io.tmpdir={home}");
        let (port_text, transport) = (port.to_string(), transport.to_string());
        let options = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", &temporary, "-cp", &class_path];
        let arguments = ["SearchNode", &home, &port_text, &transport];
        let log = folder.path().join("log");
        let mut process = Process::start("java", options.iter().chain(&arguments), &log);
        let rest = Rest::new(port);
        wait::until("the search server to serve", || match process.exited() {
            None => rest.try_get("/_cluster/health").map(|_| ()),
            Some(status) => panic!("it ended ({status}):\n{}", process.log_tail(60)),
        });
        Self { port, rest, process, _folder: folder }
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the node has printed.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Any request, with a JSON body if given.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn call(&self, method: &Method, path: &str, body: Option<&Value>) -> Answer {
        self.rest.try_call(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Any request with any body: the status and the body of the answer.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn pass(&self, method: &Method, path: &str, body: Option<String>) -> (u16, String) {
        self.rest.send(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Makes an index with these settings and mappings.
    ///
    /// # Panics
    /// When it cannot be made.
    #[track_caller]
    pub fn create(&self, index: &str, body: &Value) {
        self.call(&Method::PUT, &format!("/{index}"), Some(body)).expect(200);
    }

    /// How many documents an index, or several by a pattern, have by now.
    ///
    /// # Errors
    /// There is no such index.
    pub fn count(&self, index: &str) -> Result<u64, String> {
        self.rest.try_call(&Method::POST, &format!("/{index}/_refresh"), None)?;
        let count = self.rest.try_get(&format!("/{index}/_count"))?;
        count["count"].as_u64().ok_or_else(|| count.to_string())
    }

    /// Waits until an index has so many documents.
    ///
    /// # Panics
    /// When it never has.
    #[track_caller]
    pub fn await_count(&self, index: &str, documents: u64) {
        wait::until(&format!("{documents} documents in {index}"), || match self.count(index)? {
            count if count == documents => Ok(()),
            count => Err(format!("{count} documents")),
        });
    }

    /// A document.
    ///
    /// # Errors
    /// The answer, when there is none.
    pub fn document(&self, index: &str, id: &str) -> Result<Document, String> {
        let found = self.rest.try_get(&format!("/{index}/_doc/{id}"))?;
        Ok(Document::of(&found))
    }

    /// All documents of an index, by their ids.
    ///
    /// # Panics
    /// When they cannot be read.
    #[track_caller]
    pub fn documents(&self, index: &str) -> BTreeMap<String, Document> {
        self.call(&Method::POST, &format!("/{index}/_refresh"), None).expect(200);
        let query = json!({ "size": 10_000, "version": true, "sort": ["_doc"] });
        let mut page =
            self.call(&Method::POST, &format!("/{index}/_search?scroll=1m"), Some(&query)).expect(200);
        let mut documents = BTreeMap::new();
        loop {
            let hits = page["hits"]["hits"].as_array().cloned().unwrap_or_default();
            if hits.is_empty() {
                return documents;
            }
            let named = |hit: &Value| (hit["_id"].as_str().unwrap_or_default().to_owned(), Document::of(hit));
            documents.extend(hits.iter().map(named));
            let next = json!({ "scroll": "1m", "scroll_id": page["_scroll_id"] });
            page = self.call(&Method::POST, "/_search/scroll", Some(&next)).expect(200);
        }
    }
}

impl Document {
    fn of(hit: &Value) -> Self {
        Self { version: hit["_version"].as_i64().unwrap_or(-1), source: hit["_source"].clone() }
    }
}

fn script(engine: Engine) -> &'static str {
    match engine {
        Engine::OpenSearch => "opensearch.sh",
        Engine::Elasticsearch => "elasticsearch.sh",
    }
}
