//! Figures, not tests: elasticsearch-sink beside a native client that does the same work before the same server. Run by
//! hand, with the release build, on a machine that does nothing else:
//!
//! `TRANSOM_BIN=target/release/transom cargo test -p transom-tests --test it elasticsearch::speed -- --ignored \
//!  --nocapture --test-threads=1`
//!
//! The native client reads the topic by librdkafka with the worker's settings, writes the same action for each record
//! (id and external version), and sends bodies of the same size over as many connections as there may be requests under
//! way, a thread each; of each answer it looks at `errors` and counts the items, as the plugin does. It keeps no copy
//! of what it sends, tries nothing again, and commits nothing.

use std::io::Write as _;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::IgnoredAny;
use transom_tests::measure::{Run, compare, in_turn};
use transom_tests::process::Usage;
use transom_tests::search::opensearch;
use ureq::Agent;
use ureq::http::Method;

use super::*;

/// Runs of each that count: the medians do.
const RUNS: usize = 7;
/// Runs of each before, while the server warms up.
const WARM: usize = 3;
const IN_FLIGHT: usize = 5;
const BATCH: usize = 2_000;
const BYTES: usize = 5 << 20;

#[derive(Deserialize)]
struct Answer {
    errors: bool,
    items: Vec<IgnoredAny>,
}

fn fresh(search: &Search) -> String {
    let index = unique("speed");
    search.create(&index, &json!({ "settings": { "number_of_replicas": 0, "refresh_interval": "-1" } }));
    index
}

/// Waits until so many documents are written: since the beginning, and documents a second since the first ones.
#[track_caller]
fn watch(search: &Search, index: &str, begun: Instant, total: usize) -> (Duration, f64) {
    let mut first = None;
    until("all documents", || {
        let stats = search.call(&Method::GET, &format!("/{index}/_stats/indexing"), None).expect(200);
        let written = stats["_all"]["primaries"]["indexing"]["index_total"].as_u64().unwrap_or(0) as usize;
        if written > 0 && first.is_none() {
            first = Some((Instant::now(), written));
        }
        if written >= total { Ok(()) } else { Err(format!("{written} of {total}")) }
    });
    let (since, seen) = first.unwrap_or((begun, 0));
    (begun.elapsed(), (total - seen) as f64 / since.elapsed().as_secs_f64())
}

/// Sends what comes, one body after the other.
fn sender(url: &str, bodies: &Mutex<Receiver<(Vec<u8>, usize)>>) {
    let agent = Agent::new_with_defaults();
    loop {
        let next = bodies.lock().unwrap().recv();
        let Ok((body, actions)) = next else { return };
        let mut answer =
            agent.post(url).header("content-type", "application/x-ndjson").send(&body[..]).unwrap();
        let text = answer.body_mut().with_config().limit(64 << 20).read_to_vec().unwrap();
        let answer: Answer = serde_json::from_slice(&text).unwrap();
        assert!(!answer.errors && answer.items.len() == actions);
    }
}

fn native(search: &Search, topic: &str, total: usize) -> Run {
    let index = fresh(search);
    let url = format!("{}/_bulk?filter_path=errors,items.*.status,items.*.error", search.url());
    let (before, begun) = (Usage::own().unwrap().cpu_ms, Instant::now());
    let (whole, rate) = thread::scope(|scope| {
        let (give, take) = sync_channel(1);
        let take = Arc::new(Mutex::new(take));
        for _ in 0..IN_FLIGHT {
            let (take, url) = (Arc::clone(&take), url.as_str());
            scope.spawn(move || sender(url, &take));
        }
        let name = index.as_str();
        scope.spawn(move || {
            let (mut body, mut actions) = (Vec::new(), 0);
            kafka().read_alone(topic, total as u64, |offset, key, value| {
                write!(body, "{{\"index\":{{\"_index\":\"{name}\",\"_id\":").unwrap();
                serde_json::to_writer(&mut body, std::str::from_utf8(key).unwrap()).unwrap();
                writeln!(body, ",\"version\":{offset},\"version_type\":\"external\"}}}}").unwrap();
                body.extend_from_slice(value);
                body.push(b'\n');
                actions += 1;
                if actions == BATCH || body.len() >= BYTES {
                    give.send((std::mem::take(&mut body), actions)).unwrap();
                    actions = 0;
                }
            });
            if actions > 0 {
                give.send((body, actions)).unwrap();
            }
        });
        watch(search, &index, begun, total)
    });
    let run = Run { whole, rate, cpu_ms: (Usage::own().unwrap().cpu_ms - before) as f64 };
    assert_eq!(search.count(&index), Ok(total as u64));
    run
}

fn plugin(job: &mut Job, run: usize, total: usize) -> Run {
    let index = fresh(job.search);
    let name = format!("speed-{run}-{total}");
    let config = json!({
        "connector.class": "ElasticsearchSink", "topics": job.topic, "connection.url": job.search.url(),
        "index": index, "batch.size": BATCH.to_string(), "bulk.size.bytes": BYTES.to_string(),
        "max.in.flight.requests": IN_FLIGHT.to_string(), "consumer.override.auto.offset.reset": "earliest",
    });
    let (before, begun) = (job.worker.process().usage().unwrap().cpu_ms, Instant::now());
    job.worker.rest().put(&format!("/connectors/{name}/config"), Some(&config)).expect(201);
    let (whole, rate) = watch(job.search, &index, begun, total);
    let after = job.worker.process().usage().unwrap();
    job.await_committed(&name);
    let labels = [("connector", name.as_str())];
    let metrics = job.worker.metrics();
    eprintln!(
        "    {} requests, {:.2} s in the plugin (its waits included), {} MiB resident",
        metrics.sum("transom_task_guest_requests_total", &labels).unwrap_or(0.0),
        metrics.sum("transom_task_guest_seconds_total", &labels).unwrap_or(0.0),
        after.memory >> 20
    );
    assert_eq!(job.search.count(&index), Ok(total as u64));
    let _ = job.worker.rest().delete(&format!("/connectors/{name}"));
    Run { whole, rate, cpu_ms: (after.cpu_ms - before) as f64 }
}

#[test]
#[ignore = "a measurement"]
fn documents_a_second_beside_a_native_client() {
    let search = opensearch();
    for (total, size) in [(100_000, 200), (40_000, 2_000)] {
        let mut job = Job::new(search, &[]);
        job.worker.start();
        job.worker.await_running(&job.connector, 1);
        // The connector that has come up so far would write the records too.
        let _ = job.worker.rest().delete(&format!("/connectors/{}", job.connector));
        let value = |number: usize| json!({ "n": number, "at": 1_700_000_000_000_u64 + number as u64, "text": "x".repeat(size - 40) });
        let record = |number: usize| Record::keyed(format!("key-{number}"), value(number).to_string());
        kafka().produce(&job.topic, (0..total).map(record));
        let native = |job: &mut Job| native(search, &job.topic, total);
        let runs = in_turn(&mut job, WARM, RUNS, native, |job, run| plugin(job, run, total));
        compare(&format!("{total} documents of {size} bytes"), &runs, total);
    }
}
