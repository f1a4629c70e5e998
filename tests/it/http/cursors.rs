//! An API of cursors: connections, kills, swaps, faults, and what is refused.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use serde_json::json;
use transom_tests::guests::{HTTP_SOURCE, HTTP_SOURCE_V2};
use transom_tests::https::Https;
use transom_tests::toxiproxy::Proxy;
use transom_tests::{kafka, until};

use super::{Reader, header, items, parameters, status};

/// Items a page.
const PAGE: usize = 100;

/// How the pages of [`page`] are read.
pub(super) const CURSORS: [(&str, &str); 4] =
    [("items.path", "/items"), ("pagination", "cursor"), ("cursor.path", "/next"), ("cursor.param", "after")];

/// An API with so many numbered items, to be read by cursors, and a worker that reads it.
struct Job {
    reader: Reader,
    total: Arc<AtomicUsize>,
    /// The API answers nothing while the test holds it.
    silence: Arc<Mutex<()>>,
    /// Milliseconds that each answer takes.
    delay: Arc<AtomicU64>,
}

impl Job {
    fn new(protocols: &[&str], more: &[(&str, &str)]) -> Self {
        Self::by(protocols, more, Https::url)
    }

    /// The same, with the API asked at another address that leads to it.
    fn by(protocols: &[&str], more: &[(&str, &str)], way: impl FnOnce(&Https) -> String) -> Self {
        let total = Arc::new(AtomicUsize::new(0));
        let silence = Arc::new(Mutex::new(()));
        let delay = Arc::new(AtomicU64::new(0));
        let (served, gate, slow) = (Arc::clone(&total), Arc::clone(&silence), Arc::clone(&delay));
        let api = Https::start(protocols, move |request| {
            drop(gate.lock());
            thread::sleep(Duration::from_millis(slow.load(Ordering::Relaxed)));
            page(request, served.load(Ordering::Relaxed))
        });
        let way = way(&api);
        let reader = Reader::by(api, &way, &[&CURSORS[..], more].concat());
        Self { reader, total, silence, delay }
    }

    /// The API has so many items more.
    fn add(&self, items: usize) -> usize {
        self.total.fetch_add(items, Ordering::Relaxed) + items
    }

    /// See [`Reader::check`].
    #[track_caller]
    fn check(&self) -> usize {
        self.reader.check(self.total.load(Ordering::Relaxed))
    }

    #[track_caller]
    fn await_version(&self, version: &str) {
        until("the other version", || {
            let running = self.reader.status()?["tasks"][0]["version"].clone();
            if running == version { Ok(()) } else { Err(running.to_string()) }
        });
    }

    /// How often the plugin asked for another try later.
    fn failed_polls(&self) -> f64 {
        let labels = [("connector", self.reader.connector.as_str())];
        self.reader.worker.metrics().sum("transom_task_retries_total", &labels).unwrap_or(0.0)
    }
}

/// The page of an API of so many items that is asked for.
pub(super) fn page(request: &Request<Bytes>, total: usize) -> Response<Full<Bytes>> {
    let from: usize = parameters(request).get("after").map_or(0, |after| after.parse().unwrap());
    let to = (from + PAGE).min(total);
    let next = if to < total { json!(to) } else { json!(null) };
    let tag = format!("\"{to}-{next}\"");
    if header(request, "if-none-match") == Some(&tag) {
        return status(304);
    }
    let body = format!(r#"{{"items":{},"next":{next}}}"#, items(from..to));
    Response::builder().header("etag", tag).body(Full::from(body)).unwrap()
}

#[test]
fn an_api_is_followed_over_one_connection_of_http2() {
    let mut job = Job::new(&["h2", "http/1.1"], &[("validate.connection", "true")]);
    job.add(2_345);
    job.reader.worker.start();
    assert_eq!(job.check(), 0, "no item came twice");
    job.add(1_000);
    assert_eq!(job.check(), 0, "no item came twice");
    let (requests, http2, connections) =
        (job.reader.api.requests(), job.reader.api.http2(), job.reader.api.connections());
    assert!(requests > 34, "{requests} requests");
    // One of the task; and one of each check of the configuration, which has an instance of its own.
    assert!(connections <= 3, "{connections} connections for {requests} requests");
    assert!(http2 > 34, "{http2} of {requests} requests came by HTTP/2");
}

#[test]
fn connections_of_http1_are_used_again() {
    let mut job = Job::new(&["http/1.1"], &[]);
    job.add(3_000);
    job.reader.worker.start();
    assert_eq!(job.check(), 0, "no item came twice");
    assert_eq!((job.reader.api.http2(), job.reader.api.connections()), (0, 1));
    assert!(job.reader.api.requests() >= 30);
}

#[test]
fn a_killed_worker_loses_no_item() {
    const KILLS: usize = 20;
    let mut job = Job::new(&["h2", "http/1.1"], &[]);
    // Pages come slowly, so that the kills fall among them.
    job.delay.store(4, Ordering::Relaxed);
    for kill in 0..KILLS {
        job.add(2_000);
        // Instants that differ from kill to kill, the same in every run, by how far the source has got.
        let before: i64 = kafka().end_offsets(&job.reader.topic).iter().sum();
        job.reader.worker.launch();
        kafka().await_records(&job.reader.topic, before + 1 + (kill as i64 * 2_654_435_761) % 1_900);
        job.reader.worker.kill();
    }
    job.delay.store(0, Ordering::Relaxed);
    let total = job.add(2_000);
    job.reader.worker.start();
    let repeated = job.check();
    // What one kill repeats is bounded by what was delivered and not yet saved.
    assert!(repeated <= KILLS * 2_000, "{repeated} items came more than once");
    eprintln!("{repeated} of {total} items came more than once after {KILLS} kills");
}

#[test]
fn the_plugin_is_replaced_while_it_polls() {
    let mut job = Job::new(&["h2", "http/1.1"], &[]);
    job.add(1_000);
    job.reader.worker.start();
    for round in 0..6 {
        let guest = if round % 2 == 0 { &HTTP_SOURCE_V2 } else { &HTTP_SOURCE };
        job.add(1_500);
        job.reader.worker.install(guest);
        job.add(1_500);
        job.await_version(guest.version);
    }
    assert_eq!(job.check(), 0, "no item came twice");
}

#[test]
fn a_server_that_does_not_answer_holds_up_nothing() {
    let mut job = Job::new(&["h2"], &[]);
    job.add(500);
    job.reader.worker.start();
    job.check();
    let silence = Arc::clone(&job.silence);
    let held = silence.lock().unwrap();
    let before = job.reader.api.requests();
    until("a request", || if job.reader.api.requests() > before { Ok(()) } else { Err(before.to_string()) });
    let start = Instant::now();
    job.reader.worker.install(&HTTP_SOURCE_V2);
    job.await_version(HTTP_SOURCE_V2.version);
    job.reader.worker.terminate();
    let took = start.elapsed();
    // Neither a request's time-out, 30 s, nor a call's.
    assert!(took < Duration::from_secs(20), "{took:?}");
    drop(held);
    job.add(500);
    job.reader.worker.start();
    assert_eq!(job.check(), 0, "no item came twice");
}

#[test]
fn a_bad_network_loses_no_item() {
    let mut proxy = None;
    let patience = [("request.timeout.ms", "1000"), ("backoff.max.ms", "200")];
    let mut job = Job::by(&["h2", "http/1.1"], &patience, |api| {
        let way = proxy.insert(Proxy::new(&api.address()));
        format!("https://{}", way.address())
    });
    let proxy = proxy.expect("the way there");
    job.add(1_000);
    job.reader.worker.start();
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
    let mut job = Job::new(&["http/1.1"], &[]);
    job.reader.worker.unset("sandbox.http-source.tls.ca").start();
    let trace = job.reader.worker.await_failed(&job.reader.connector);
    assert!(trace.contains("certificate is not trusted") && trace.contains("tls.ca"), "{trace}");
    job.reader.worker.await_log(&["no TLS with 127.0.0.1", "sandbox.http-source.tls.ca="]);
    assert_eq!(job.reader.api.requests(), 0);
}

#[test]
fn a_host_that_is_not_granted_names_the_grant() {
    let mut job = Job::new(&["http/1.1"], &[]);
    job.reader.worker.unset("sandbox.http-source.net").start();
    let trace = job.reader.worker.await_failed(&job.reader.connector);
    let grant = job.reader.api.url();
    assert!(trace.contains("the sandbox refused it") && trace.contains(&grant), "{trace}");
    job.reader.worker.await_log(&[&format!("`sandbox.http-source.net={grant}` would grant it")]);
    assert_eq!(job.reader.api.connections(), 0);
}
