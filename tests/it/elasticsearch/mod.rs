//! elasticsearch-sink against a real OpenSearch; in `systems_elasticsearch` against a real Elasticsearch.

mod documents;
mod faults;
mod login;
mod overload;
mod scenes;
mod speed;
mod systems_elasticsearch;

use std::collections::BTreeMap;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use serde_json::{Value, json};
use transom_tests::guests::ELASTICSEARCH_SINK;
use transom_tests::search::{Document, Search};
use transom_tests::{Record, Worker, kafka, unique, until};

/// Documents that records are about, where they are about the same ones.
const KEYS: usize = 1_000;

/// A topic with numbered records, and a worker that writes them.
struct Job {
    search: &'static Search,
    worker: Worker,
    topic: String,
    index: String,
    connector: String,
    /// Records so far.
    added: usize,
}

impl Job {
    fn new(search: &'static Search, more: &[(&str, &str)]) -> Self {
        Self::by(search, &search.url(), 1, more)
    }

    /// A job that reaches the server at this address.
    fn by(search: &'static Search, url: &str, partitions: i32, more: &[(&str, &str)]) -> Self {
        let topic = unique("Docs");
        let index = topic.to_lowercase();
        kafka().create_topic(&topic, partitions, &[]);
        let mut worker = Worker::new(kafka());
        worker
            .install(&ELASTICSEARCH_SINK)
            .set("sandbox.elasticsearch-sink.net", url)
            .set("offset.flush.interval.ms", "200");
        let mut job = Self { search, worker, topic, index, connector: String::new(), added: 0 };
        job.connector = job.connect(url, more);
        job
    }

    /// Another connector on the same topic.
    fn connect(&mut self, url: &str, more: &[(&str, &str)]) -> String {
        let name = unique("es");
        let own = [
            ("connector.class", "io.confluent.connect.elasticsearch.ElasticsearchSinkConnector"),
            ("topics", &self.topic),
            ("connection.url", url),
            ("consumer.override.auto.offset.reset", "earliest"),
        ];
        let config: Vec<_> = own.iter().chain(more).copied().collect();
        self.worker.connector(&name, &config);
        name
    }

    /// So many records more, about `KEYS` documents in turn.
    fn add(&mut self, records: usize) -> usize {
        let numbers = self.added..self.added + records;
        kafka().produce(
            &self.topic,
            numbers.map(|number| Record::keyed(key(number), value(number).to_string())),
        );
        self.added += records;
        self.added
    }

    /// What the server has to have in the end, if every record's version is its offset.
    fn expected(&self) -> BTreeMap<String, Document> {
        let last = (0..self.added).map(|number| (key(number), document(number as i64, number)));
        last.collect()
    }

    /// Waits until all is committed, and checks the documents.
    #[track_caller]
    fn check(&self) {
        self.await_committed(&self.connector);
        assert_same(&self.search.documents(&self.index), &self.expected());
    }

    /// Waits until a connector has committed all there is.
    #[track_caller]
    fn await_committed(&self, connector: &str) {
        let ends = kafka().end_offsets(&self.topic);
        until("all to be committed", || {
            let committed = kafka().committed(&format!("connect-{connector}"), &self.topic);
            let all = committed.iter().zip(&ends).all(|(committed, end)| committed.unwrap_or(0) == *end);
            if all { Ok(()) } else { Err(format!("{committed:?} of {ends:?}")) }
        });
    }

    fn metric(&self, name: &str) -> f64 {
        let labels = [("connector", self.connector.as_str()), ("name", name)];
        self.worker.metrics().sum("transom_plugin_metric", &labels).unwrap_or(0.0)
    }

    fn version(&self) -> Value {
        let status = self.worker.rest().get(&format!("/connectors/{}/status", self.connector)).expect(200);
        status["tasks"][0]["version"].clone()
    }
}

fn key(number: usize) -> String {
    format!("k{}", number % KEYS)
}

fn value(number: usize) -> Value {
    json!({ "n": number, "text": format!("document {number} {}", "x".repeat(number % 90)) })
}

fn document(version: i64, number: usize) -> Document {
    Document { version, source: value(number) }
}

/// An answer with a body of JSON.
fn answer(status: u16, body: String) -> Response<Full<Bytes>> {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(Full::from(body)).unwrap()
}

/// What the server answers to a request that comes by another one, perhaps with another body.
fn hand_on(search: &Search, request: &Request<Bytes>, body: Vec<u8>) -> (u16, String) {
    let path = request.uri().path_and_query().unwrap().as_str();
    let body = String::from_utf8(body).unwrap();
    search.pass(request.method(), path, (!body.is_empty()).then_some(body))
}

/// Equal, without showing all of them.
#[track_caller]
fn assert_same(found: &BTreeMap<String, Document>, expected: &BTreeMap<String, Document>) {
    let other = expected.iter().find(|(id, document)| found.get(*id) != Some(document));
    let found_there = other.and_then(|(id, _)| found.get(id));
    assert_eq!((found.len(), other, found_there), (expected.len(), None, None));
}
