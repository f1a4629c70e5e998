//! Beside a native client that makes the same calls.

use std::time::Instant;

use super::*;

#[path = "../../../plugins/s3-sink/src/s3/sigv4.rs"]
#[allow(dead_code, reason = "the plugin needs more of it")]
mod sigv4;

/// As S3 writes it.
fn now() -> String {
    let date = std::process::Command::new("date").args(["-u", "+%Y%m%dT%H%M%SZ"]).output().unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}

/// The same calls by librdkafka and a signing client in this process, one after the other as the plugin makes them:
/// the topic is read, and objects of this size are put. Seconds.
fn native(topic: &str, records: u64, bytes: usize, objects: usize) -> f64 {
    let (bucket, begun) = (versitygw().bucket(), Instant::now());
    kafka().consume_alone(topic, records);
    let body = vec![b'x'; bytes];
    let agent = ureq::Agent::new_with_defaults();
    for number in 0..objects {
        let (path, digest) = (format!("/{}/object-{number}", bucket.name), sigv4::digest(&body));
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
        request.header("authorization", signer.authorization(&signed)).send(&body[..]).unwrap();
    }
    begun.elapsed().as_secs_f64()
}

#[test]
#[ignore = "a measurement"]
fn memory_and_speed_of_100_000_records() {
    for (size, records, more) in [
        (1_000, 100_000, vec![("flush.size", "10000")]),
        (100, 1_000_000, vec![("flush.size", "50000")]),
        (1_000, 100_000, vec![("flush.size", "10000"), ("s3.compression.type", "gzip")]),
    ] {
        let mut job = Job::new(kafka(), &versitygw().url(), &more);
        job.size = size;
        job.produce(records);
        // The clock begins with the first object: what the worker and its plugins take to start is paid before.
        job.worker.start();
        until("the first object", || match job.bucket.objects("topics/").len() {
            0 => Err("none".to_owned()),
            _ => Ok(()),
        });
        let begun = Instant::now();
        let flush: usize = more[0].1.parse().unwrap();
        until("all objects", || {
            let there = job.bucket.objects("topics/").len();
            if there == records / flush { Ok(()) } else { Err(there.to_string()) }
        });
        let rest = (records / flush - 1) as f64 / (records / flush) as f64;
        let took = begun.elapsed().as_secs_f64() / rest;
        let native = native(&job.topic, records as u64, flush * size, records / flush);
        eprintln!(
            "native: {:.0} records/s; s3-sink takes {:.2} times as long",
            records as f64 / native,
            took / native
        );
        let usage = job.worker.process().usage().unwrap();
        eprintln!(
            "{records} records of {size} bytes, {more:?}: {:.0} records/s, {:.2} us CPU a record, {} MiB",
            records as f64 / took,
            usage.cpu_ms as f64 * 1000.0 / records as f64,
            usage.memory >> 20
        );
    }
}
