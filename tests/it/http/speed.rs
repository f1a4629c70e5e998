//! Figures, not tests: http-source beside a native client that makes the same requests of the same server. Run by
//! hand, with the release build, on a machine that does nothing else:
//!
//! `TRANSOM_BIN=target/release/transom cargo test -p transom-tests --test it http::speed -- --ignored --nocapture \
//!  --test-threads=1`

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use transom_tests::https::Https;
use transom_tests::process::Usage;
use transom_tests::{kafka, unique, until};

use super::cursors::CURSORS;
use super::{Reader, shelf};

/// Runs of each, in turn; the best counts.
const RUNS: usize = 3;

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    next: Option<usize>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
}

/// A client with one connection, as lean as can be, and a producer.
async fn fetch(api: &Https, topic: &str) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(api.ca()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let stream = TcpStream::connect(api.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let stream = TlsConnector::from(config).connect("127.0.0.1".try_into().unwrap(), stream).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    let producer = kafka().alone(topic);
    let mut after = None;
    loop {
        let path = after.map_or("/items".to_owned(), |after: usize| format!("/items?after={after}"));
        let request = Request::get(path)
            .header("host", api.address())
            .header("accept", "application/json")
            .body(Empty::<Bytes>::new());
        let answer = sender.send_request(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let page: Page<'_> = serde_json::from_slice(&body).unwrap();
        for item in page.items {
            let Item { id } = serde_json::from_str(item.get()).unwrap();
            producer.send(Some(id.get().as_bytes()), item.get().as_bytes());
        }
        producer.poll();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    producer.finish();
    driver.abort();
}

/// Time, and CPU time of the one who fetches.
fn native(api: &Https) -> (Duration, f64) {
    let topic = unique("native");
    kafka().create_topic(&topic, 1, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (before, begun) = (Usage::own().unwrap().cpu_ms, Instant::now());
    runtime.block_on(fetch(api, &topic));
    (begun.elapsed(), (Usage::own().unwrap().cpu_ms - before) as f64)
}

fn plugin(reader: &mut Reader, run: usize, total: usize) -> (Duration, f64) {
    let (name, topic) = (format!("{}-{run}", reader.connector), unique("plugin"));
    kafka().create_topic(&topic, 1, &[]);
    let rest = reader.worker.rest().clone();
    let mut config = rest.get(&format!("/connectors/{}/config", reader.connector)).expect(200);
    config["name"] = name.as_str().into();
    config["topic"] = topic.as_str().into();
    let (before, begun) = (reader.worker.process().usage().unwrap().cpu_ms, Instant::now());
    rest.put(&format!("/connectors/{name}/config"), Some(&config)).expect(201);
    let mut started = None;
    until("all items", || {
        let read = reader.worker.metrics().sum("transom_task_records_out_total", &[("connector", &name)]);
        if read > Some(0.0) {
            started.get_or_insert(begun.elapsed());
        }
        if read >= Some(total as f64) { Ok(()) } else { Err(format!("{read:?}")) }
    });
    let took = begun.elapsed();
    let cpu = (reader.worker.process().usage().unwrap().cpu_ms - before) as f64;
    let busy = reader.worker.metrics().sum("transom_task_guest_seconds_total", &[("connector", &name)]);
    eprintln!(
        "    of {took:?}, {:.2} s in the plugin (its waits included); the first items after {started:?} at most",
        busy.unwrap_or(0.0)
    );
    rest.delete(&format!("/connectors/{name}")).expect(204);
    (took, cpu)
}

#[test]
#[ignore = "a measurement"]
fn items_a_second_beside_a_native_client() {
    for (total, size) in [(500_000, 100), (1_000_000, 1_000)] {
        // Over one connection each, and with the first start of the plugin paid before.
        let mut reader = Reader::new(shelf(&["http/1.1"], total, size), &CURSORS);
        reader.worker.start();
        reader.check(total);
        let runs: Vec<_> =
            (0..RUNS).map(|run| (native(&reader.api), plugin(&mut reader, run, total))).collect();
        let report = |what: &str, (took, cpu): (Duration, f64)| {
            eprintln!(
                "{what}, {size} items a page: {:.0} items/s, {:.0} pages/s, {:.2} us CPU an item",
                total as f64 / took.as_secs_f64(),
                (total / size) as f64 / took.as_secs_f64(),
                cpu * 1000.0 / total as f64
            );
            took
        };
        let native = report(
            "native (its CPU with the server's)",
            runs.iter().map(|run| run.0).min_by_key(|run| run.0).unwrap(),
        );
        let plugin = report("http-source", runs.iter().map(|run| run.1).min_by_key(|run| run.0).unwrap());
        eprintln!("http-source takes {:.2} times as long", plugin.as_secs_f64() / native.as_secs_f64());
    }
}
