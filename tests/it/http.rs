//! http-source against a real HTTPS server.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use serde_json::{Value, json};
use transom_tests::guests::{HTTP_SOURCE, HTTP_SOURCE_V2};
use transom_tests::https::Https;
use transom_tests::toxiproxy::Proxy;
use transom_tests::{Kafka, Worker, kafka, unique, until};

/// Items a page.
const PAGE: usize = 100;

/// An API with so many numbered items, to be read by cursors, and a worker that reads it.
struct Job {
    api: Https,
    total: Arc<AtomicUsize>,
    /// The API answers nothing while the test holds it.
    silence: Arc<Mutex<()>>,
    /// Milliseconds that each answer takes.
    delay: Arc<AtomicU64>,
    worker: Worker,
    topic: String,
    connector: String,
}

impl Job {
    fn new(kafka: &Kafka, protocols: &[&str], more: &[(&str, &str)]) -> Self {
        Self::by(kafka, protocols, more, |api| api.url())
    }

    /// The same, with the API asked at another address that leads to it.
    fn by(
        kafka: &Kafka,
        protocols: &[&str],
        more: &[(&str, &str)],
        way: impl FnOnce(&Https) -> String,
    ) -> Self {
        let total = Arc::new(AtomicUsize::new(0));
        let silence = Arc::new(Mutex::new(()));
        let delay = Arc::new(AtomicU64::new(0));
        let (served, gate, slow) = (Arc::clone(&total), Arc::clone(&silence), Arc::clone(&delay));
        let api = Https::start(protocols, move |request| {
            drop(gate.lock());
            thread::sleep(Duration::from_millis(slow.load(Ordering::Relaxed)));
            page(request, served.load(Ordering::Relaxed))
        });
        let (topic, connector) = (unique("items"), unique("http"));
        kafka.create_topic(&topic, 1, &[]);
        let mut worker = Worker::new(kafka);
        let way = way(&api);
        let url = format!("{way}/items");
        let config = [
            ("connector.class", "HttpSource"),
            ("url", &url),
            ("topic", &topic),
            ("interval.ms", "50"),
            ("backoff.ms", "50"),
            ("items.path", "/items"),
            ("key.path", "/id"),
            ("pagination", "cursor"),
            ("cursor.path", "/next"),
            ("cursor.param", "after"),
            ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
            ("value.converter.schemas.enable", "false"),
        ];
        let config: Vec<_> = config.iter().chain(more).copied().collect();
        worker
            .install(&HTTP_SOURCE)
            .set("sandbox.http-source.net", &way)
            .set("sandbox.http-source.tls.ca", &api.ca().display().to_string())
            .set("offset.flush.interval.ms", "200")
            .connector(&connector, &config);
        Self { api, total, silence, delay, worker, topic, connector }
    }

    /// The API has so many items more.
    fn add(&self, items: usize) -> usize {
        self.total.fetch_add(items, Ordering::Relaxed) + items
    }

    /// Waits until the last item is in Kafka, checks that every item is there, in order and as the server wrote it,
    /// and returns how many came again.
    #[track_caller]
    fn check(&self) -> usize {
        let total = self.total.load(Ordering::Relaxed);
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

    /// What the worker says about a failure, and its log.
    #[track_caller]
    fn await_version(&self, version: &str) {
        until("the other version", || {
            let running = self.version();
            if running == version { Ok(()) } else { Err(running.to_string()) }
        });
    }

    /// How often the plugin asked for another try later.
    fn failed_polls(&self) -> f64 {
        let labels = [("connector", self.connector.as_str())];
        self.worker.metrics().sum("transom_task_retries_total", &labels).unwrap_or(0.0)
    }

    fn version(&self) -> Value {
        self.worker.rest().get(&format!("/connectors/{}/status", self.connector)).expect(200)["tasks"][0]
            ["version"]
            .clone()
    }
}

/// As no serializer would write it: what arrives is what was sent.
fn item(id: usize) -> String {
    format!(r#"{{"id":{id},"price":{id}.10,"text":"\u00e4 {}"}}"#, "x".repeat(id % 50))
}

fn page(request: &Request<Bytes>, total: usize) -> Response<Full<Bytes>> {
    let query = request.uri().query().unwrap_or_default();
    let pairs: BTreeMap<_, _> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let from: usize = pairs.get("after").map_or(0, |after| after.parse().unwrap());
    let to = (from + PAGE).min(total);
    let items: Vec<_> = (from..to).map(item).collect();
    let next = if to < total { json!(to) } else { json!(null) };
    let tag = format!("\"{to}-{next}\"");
    if request.headers().get("if-none-match").is_some_and(|known| *known == *tag) {
        return Response::builder().status(304).body(Full::default()).unwrap();
    }
    let body = format!(r#"{{"items":[{}],"next":{next}}}"#, items.join(","));
    Response::builder().header("etag", tag).body(Full::from(body)).unwrap()
}

#[test]
fn an_api_is_followed_over_one_connection_of_http2() {
    let mut job = Job::new(kafka(), &["h2", "http/1.1"], &[("validate.connection", "true")]);
    job.add(2_345);
    job.worker.start();
    assert_eq!(job.check(), 0, "no item came twice");
    job.add(1_000);
    assert_eq!(job.check(), 0, "no item came twice");
    let (requests, http2, connections) = (job.api.requests(), job.api.http2(), job.api.connections());
    assert!(requests > 34, "{requests} requests");
    // One of the task; and one of each check of the configuration, which has an instance of its own.
    assert!(connections <= 3, "{connections} connections for {requests} requests");
    assert!(http2 > 34, "{http2} of {requests} requests came by HTTP/2");
}

#[test]
fn connections_of_http1_are_used_again() {
    let mut job = Job::new(kafka(), &["http/1.1"], &[]);
    job.add(3_000);
    job.worker.start();
    assert_eq!(job.check(), 0, "no item came twice");
    assert_eq!((job.api.http2(), job.api.connections()), (0, 1));
    assert!(job.api.requests() >= 30);
}

#[test]
fn a_killed_worker_loses_no_item() {
    const KILLS: usize = 20;
    let mut job = Job::new(kafka(), &["h2", "http/1.1"], &[]);
    // Pages come slowly, so that the kills fall among them.
    job.delay.store(4, Ordering::Relaxed);
    for kill in 0..KILLS {
        job.add(2_000);
        // Instants that differ from kill to kill, the same in every run, by how far the source has got.
        let before: i64 = kafka().end_offsets(&job.topic).iter().sum();
        job.worker.launch();
        kafka().await_records(&job.topic, before + 1 + (kill as i64 * 2_654_435_761) % 1_900);
        job.worker.kill();
    }
    job.delay.store(0, Ordering::Relaxed);
    let total = job.add(2_000);
    job.worker.start();
    let repeated = job.check();
    // What one kill repeats is bounded by what was delivered and not yet saved.
    assert!(repeated <= KILLS * 2_000, "{repeated} items came more than once");
    eprintln!("{repeated} of {total} items came more than once after {KILLS} kills");
}

#[test]
fn the_plugin_is_replaced_while_it_polls() {
    let mut job = Job::new(kafka(), &["h2", "http/1.1"], &[]);
    job.add(1_000);
    job.worker.start();
    for round in 0..6 {
        let guest = if round % 2 == 0 { &HTTP_SOURCE_V2 } else { &HTTP_SOURCE };
        job.add(1_500);
        job.worker.install(guest);
        job.add(1_500);
        job.await_version(guest.version);
    }
    assert_eq!(job.check(), 0, "no item came twice");
}

#[test]
fn a_server_that_does_not_answer_holds_up_nothing() {
    let mut job = Job::new(kafka(), &["h2"], &[]);
    job.add(500);
    job.worker.start();
    job.check();
    let silence = Arc::clone(&job.silence);
    let held = silence.lock().unwrap();
    let before = job.api.requests();
    until("a request", || if job.api.requests() > before { Ok(()) } else { Err(before.to_string()) });
    let start = Instant::now();
    job.worker.install(&HTTP_SOURCE_V2);
    job.await_version(HTTP_SOURCE_V2.version);
    job.worker.terminate();
    let took = start.elapsed();
    // Neither a request's time-out, 30 s, nor a call's.
    assert!(took < Duration::from_secs(20), "{took:?}");
    drop(held);
    job.add(500);
    job.worker.start();
    assert_eq!(job.check(), 0, "no item came twice");
}

#[test]
fn a_bad_network_loses_no_item() {
    let mut proxy = None;
    let patience = [("request.timeout.ms", "1000"), ("backoff.max.ms", "200")];
    let mut job = Job::by(kafka(), &["h2", "http/1.1"], &patience, |api| {
        let way = proxy.insert(Proxy::new(&api.address()));
        format!("https://{}", way.address())
    });
    let proxy = proxy.expect("the way there");
    job.add(1_000);
    job.worker.start();
    job.check();
    let lasting: [fn(&Proxy); 2] = [|way| way.delay(50), |way| way.slow(100)];
    for fault in lasting {
        fault(&proxy);
        job.add(1_000);
        assert_eq!(job.check(), 0, "no item came twice");
        proxy.heal();
    }
    let breaking: [fn(&Proxy); 3] = [Proxy::silence, Proxy::reset, Proxy::cut];
    for fault in breaking {
        let failed = job.failed_polls();
        fault(&proxy);
        job.add(1_000);
        until("a failed poll", || if job.failed_polls() > failed { Ok(()) } else { Err(failed.to_string()) });
        proxy.heal();
        assert_eq!(job.check(), 0, "no item came twice");
    }
}

#[test]
fn a_certificate_that_is_not_trusted_names_the_setting() {
    let mut job = Job::new(kafka(), &["http/1.1"], &[]);
    job.worker.unset("sandbox.http-source.tls.ca").start();
    let trace = job.worker.await_failed(&job.connector);
    assert!(trace.contains("certificate is not trusted") && trace.contains("tls.ca"), "{trace}");
    job.worker.await_log(&["no TLS with 127.0.0.1", "sandbox.http-source.tls.ca="]);
    assert_eq!(job.api.requests(), 0);
}

#[test]
fn a_host_that_is_not_granted_names_the_grant() {
    let mut job = Job::new(kafka(), &["http/1.1"], &[]);
    job.worker.unset("sandbox.http-source.net").start();
    let trace = job.worker.await_failed(&job.connector);
    let grant = job.api.url();
    assert!(trace.contains("the sandbox refused it") && trace.contains(&grant), "{trace}");
    job.worker.await_log(&[&format!("`sandbox.http-source.net={grant}` would grant it")]);
    assert_eq!(job.api.connections(), 0);
}
