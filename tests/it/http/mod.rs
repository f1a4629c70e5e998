//! http-source against real HTTPS servers.

mod answers;
mod cursors;
mod load;
mod login;
mod speed;

use std::collections::BTreeMap;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use serde_json::{Value, json};
use transom_tests::guests::HTTP_SOURCE;
use transom_tests::https::Https;
use transom_tests::{Worker, kafka, unique, until};

/// What every API of these tests has in common: items under `/items`, known by their numbers.
const COMMON: [(&str, &str); 6] = [
    ("connector.class", "HttpSource"),
    ("interval.ms", "50"),
    ("backoff.ms", "50"),
    ("key.path", "/id"),
    ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
    ("value.converter.schemas.enable", "false"),
];

/// An API, and a worker that reads it into a topic.
struct Reader {
    api: Https,
    worker: Worker,
    topic: String,
    connector: String,
}

impl Reader {
    /// A worker, not started yet, that asks the API for `/items` by these settings.
    fn new(api: Https, settings: &[(&str, &str)]) -> Self {
        let way = api.url();
        Self::by(api, &way, settings)
    }

    /// The same, with the API asked at another address that leads to it.
    fn by(api: Https, way: &str, settings: &[(&str, &str)]) -> Self {
        let (topic, connector) = (unique("items"), unique("http"));
        kafka().create_topic(&topic, 1, &[]);
        let url = format!("{way}/items");
        let mut config = COMMON.to_vec();
        config.extend([("url", url.as_str()), ("topic", &topic)]);
        config.extend(settings);
        let mut worker = Worker::new(kafka());
        worker
            .install(&HTTP_SOURCE)
            .set("sandbox.http-source.net", way)
            .set("sandbox.http-source.tls.ca", &api.ca().display().to_string())
            .set("offset.flush.interval.ms", "200")
            .connector(&connector, &config);
        Self { api, worker, topic, connector }
    }

    /// Waits until the last of so many items is in Kafka, checks that every item is there, in order and as the
    /// server wrote it, and returns how many came again.
    #[track_caller]
    fn check(&self, total: usize) -> usize {
        let mut repeated = 0;
        until("the last item", || {
            let mut next = 0;
            repeated = 0;
            for record in kafka().read_all(&self.topic) {
                let id: usize = record.key_text().parse().unwrap();
                assert_eq!(record.text(), item(id), "an item is not as the server wrote it");
                assert!(id <= next, "item {id} came before item {next}");
                if id == next { next += 1 } else { repeated += 1 }
            }
            if next == total { Ok(()) } else { Err(format!("{next} of {total} items")) }
        });
        repeated
    }

    /// The connector's status; there is none before its plugin is compiled.
    fn status(&self) -> Result<Value, String> {
        self.worker.rest().try_get(&format!("/connectors/{}/status", self.connector))
    }
}

/// As no serializer would write it: what arrives is what was sent.
fn item(id: usize) -> String {
    format!(r#"{{"id":{id},"price":{id}.10,"text":"\u00e4 {}"}}"#, "x".repeat(id % 50))
}

/// Items as the elements of an array.
fn items(range: std::ops::Range<usize>) -> String {
    format!("[{}]", range.map(item).collect::<Vec<_>>().join(","))
}

/// The query's parameters.
fn parameters(request: &Request<Bytes>) -> BTreeMap<&str, &str> {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').filter_map(|pair| pair.split_once('=')).collect()
}

/// An API of so many items, as many a page as is said, with the pages written beforehand: it answers as fast as it can.
fn shelf(protocols: &[&str], total: usize, size: usize) -> Https {
    let pages: Vec<_> = (0..total)
        .step_by(size)
        .map(|from| {
            let to = (from + size).min(total);
            let next = if to < total { json!(to) } else { json!(null) };
            Bytes::from(format!(r#"{{"items":{},"next":{next}}}"#, items(from..to)))
        })
        .collect();
    Https::start(protocols, move |request| {
        let from: usize = parameters(request).get("after").map_or(0, |after| after.parse().unwrap());
        Response::new(Full::from(pages[from / size].clone()))
    })
}

/// An answer without a body.
fn status(code: u16) -> Response<Full<Bytes>> {
    Response::builder().status(code).body(Full::default()).unwrap()
}

/// The value of a request's header, if there is one.
fn header<'r>(request: &'r Request<Bytes>, name: &str) -> Option<&'r str> {
    request.headers().get(name).map(|value| value.to_str().unwrap())
}
