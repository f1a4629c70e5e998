//! Figures, not tests: s3-sink beside a native client that does the same work before the same server. Run by hand, with
//! the release build, on a machine that does nothing else:
//!
//! `TRANSOM_BIN=target/release/transom cargo test -p transom-tests --test it s3::speed -- --ignored --nocapture \
//!  --test-threads=1`
//!
//! The native client reads the topic by librdkafka, puts a line for each record into a buffer, which it compresses where
//! the plugin does, and puts an object for every `flush.size` records, signed and on the condition that there is none;
//! like the plugin it waits for each, while librdkafka reads ahead. It knows no partitions of folders, no rotation by
//! time, and commits nothing. Both clocks begin before anything of the topic is read.

use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use transom_tests::measure::{Run, compare, in_turn};
use transom_tests::process::Usage;

use super::*;

#[path = "../../../plugins/s3-sink/src/s3/sigv4.rs"]
#[allow(dead_code, reason = "the plugin needs more of it")]
mod sigv4;

/// Runs of each that count.
const RUNS: usize = 5;
/// Runs of each before.
const WARM: usize = 1;

/// What is measured.
struct Case {
    size: usize,
    records: usize,
    flush: usize,
    gzip: bool,
}

/// As S3 writes it.
fn now() -> String {
    let date = Command::new("date").args(["-u", "+%Y%m%dT%H%M%SZ"]).output().unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}

fn put(agent: &ureq::Agent, bucket: &Bucket, number: usize, body: &[u8]) {
    let (path, digest) = (format!("/{}/topics/object-{number}", bucket.name), sigv4::digest(body));
    let time = now();
    let headers = [("host", versitygw().address()), ("if-none-match", "*".to_owned())]
        .into_iter()
        .chain([("x-amz-content-sha256", digest.clone()), ("x-amz-date", time.clone())]);
    let headers: Vec<_> = headers.map(|(name, value)| (name.to_owned(), value)).collect();
    let signer = sigv4::Signer {
        access: ACCESS.to_owned(),
        secret: SECRET.to_owned(),
        region: "us-east-1".to_owned(),
        service: "s3",
    };
    let signed = sigv4::Signed {
        method: "PUT",
        path: &path,
        query: "",
        headers: &headers,
        digest: &digest,
        time: &time,
    };
    let mut request = agent.put(format!("{}{path}", versitygw().url()));
    for (name, value) in headers.iter().filter(|(name, _)| name != "host") {
        request = request.header(name, value);
    }
    request.header("authorization", signer.authorization(&signed)).send(body).unwrap();
}

fn native(topic: &str, case: &Case) -> Run {
    let (bucket, agent) = (versitygw().bucket(), ureq::Agent::new_with_defaults());
    let (before, begun) = (Usage::own().unwrap().cpu_ms, Instant::now());
    let (mut first, mut body, mut records) = (None, Vec::new(), 0);
    kafka().read_alone(topic, case.records as u64, |_, _, value| {
        body.extend_from_slice(value);
        body.push(b'\n');
        records += 1;
        if records % case.flush == 0 {
            let object = std::mem::take(&mut body);
            let object = if case.gzip {
                let mut packed = GzEncoder::new(Vec::new(), Compression::default());
                packed.write_all(&object).unwrap();
                packed.finish().unwrap()
            } else {
                object
            };
            put(&agent, &bucket, records / case.flush, &object);
            first.get_or_insert_with(Instant::now);
        }
    });
    finished(case, begun, first.unwrap(), Usage::own().unwrap().cpu_ms - before)
}

fn finished(case: &Case, begun: Instant, first: Instant, cpu_ms: u64) -> Run {
    let rest = (case.records - case.flush) as f64;
    Run { whole: begun.elapsed(), rate: rest / first.elapsed().as_secs_f64(), cpu_ms: cpu_ms as f64 }
}

fn plugin(job: &mut Job, case: &Case, run: usize) -> Run {
    let bucket = versitygw().bucket();
    let name = format!("{}-{run}", job.connector);
    let mut config = json!(job.config);
    config["s3.bucket.name"] = bucket.name.as_str().into();
    let (before, begun) = (job.worker.process().usage().unwrap().cpu_ms, Instant::now());
    job.worker.rest().put(&format!("/connectors/{name}/config"), Some(&config)).expect(201);
    let mut first = None;
    let seen = until("all objects", || {
        let there = bucket.count("topics");
        if there > 0 {
            first.get_or_insert_with(|| (Instant::now(), there));
        }
        if there == case.records / case.flush { Ok(first) } else { Err(format!("{there} objects")) }
    });
    let took = begun.elapsed();
    let (since, there) = seen.unwrap_or((begun, 0));
    let after = job.worker.process().usage().unwrap();
    let rest = (case.records - there * case.flush) as f64;
    let busy = job.worker.metrics().sum("transom_task_guest_seconds_total", &[("connector", &name)]);
    eprintln!(
        "    {:.2} s in the plugin (its waits included), {} MiB resident",
        busy.unwrap_or(0.0),
        after.memory >> 20
    );
    let _ = job.worker.rest().delete(&format!("/connectors/{name}"));
    Run {
        whole: took,
        rate: rest / since.elapsed().max(Duration::from_millis(1)).as_secs_f64(),
        cpu_ms: (after.cpu_ms - before) as f64,
    }
}

#[test]
#[ignore = "a measurement"]
fn objects_beside_a_native_client() {
    for case in [
        Case { size: 1_000, records: 200_000, flush: 10_000, gzip: false },
        Case { size: 100, records: 1_000_000, flush: 50_000, gzip: false },
        Case { size: 1_000, records: 100_000, flush: 10_000, gzip: true },
    ] {
        let flush = case.flush.to_string();
        let codec = if case.gzip { "gzip" } else { "none" };
        let more = [("flush.size", flush.as_str()), ("s3.compression.type", codec)];
        let mut job = Job::new(kafka(), &versitygw().url(), &more);
        job.size = case.size;
        job.worker.start();
        job.worker.await_running(&job.connector, 1);
        let _ = job.worker.rest().delete(&format!("/connectors/{}", job.connector));
        job.produce(case.records);
        let native = |job: &mut Job| native(&job.topic, &case);
        let runs = in_turn(&mut job, WARM, RUNS, native, |job, run| plugin(job, &case, run));
        compare(&format!("{} records of {} bytes, {codec}", case.records, case.size), &runs, case.records);
    }
}
