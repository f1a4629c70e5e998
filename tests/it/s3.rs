//! s3-sink against a real server of S3.

use std::collections::BTreeMap;
use std::time::Instant;

use transom_tests::gate::{Gate, Hold};
use transom_tests::guests::{S3_SINK, S3_SINK_V2};
use transom_tests::toxiproxy::Proxy;
use transom_tests::versitygw::{ACCESS, Bucket, SECRET, versitygw};
use transom_tests::{Kafka, Record, Worker, kafka, unique, until};

#[path = "../../plugins/s3-sink/src/s3/sigv4.rs"]
#[allow(dead_code, reason = "the plugin needs more of it")]
mod sigv4;

/// A worker that writes a topic into a bucket.
struct Job {
    worker: Worker,
    topic: String,
    connector: String,
    bucket: Bucket,
    config: BTreeMap<String, String>,
    produced: usize,
    size: usize,
}

impl Job {
    fn new(kafka: &Kafka, url: &str, more: &[(&str, &str)]) -> Self {
        let (topic, connector, bucket) = (unique("records"), unique("s3"), versitygw().bucket());
        kafka.create_topic(&topic, 1, &[]);
        let mut worker = Worker::new(kafka);
        let own = [
            ("connector.class", "io.confluent.connect.s3.S3SinkConnector"),
            ("topics", &topic),
            ("consumer.override.auto.offset.reset", "earliest"),
            ("s3.bucket.name", &bucket.name),
            ("s3.region", "us-east-1"),
            ("store.url", url),
            ("aws.access.key.id", ACCESS),
            ("aws.secret.access.key", SECRET),
            ("format.class", "io.confluent.connect.s3.format.bytearray.ByteArrayFormat"),
            ("flush.size", "500"),
            ("s3.retry.backoff.ms", "50"),
            ("value.converter", "org.apache.kafka.connect.converters.ByteArrayConverter"),
        ];
        let config: BTreeMap<_, _> =
            own.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        worker.install(&S3_SINK).set("sandbox.s3-sink.net", url).set("offset.flush.interval.ms", "60000");
        let mut job = Self { worker, topic, connector, bucket, config, produced: 0, size: 100 };
        job.configure();
        job
    }

    fn configure(&mut self) {
        let config: Vec<_> = self.config.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        self.worker.connector(&self.connector, &config);
    }

    fn set(&mut self, key: &str, value: &str) {
        self.config.insert(key.to_owned(), value.to_owned());
        self.configure();
    }

    /// So many records more.
    fn produce(&mut self, records: usize) {
        let size = self.size;
        let all = (self.produced..self.produced + records).map(|n| Record::of(value(n, size)));
        kafka().produce(&self.topic, all);
        self.produced += records;
    }

    /// The numbers of the records in the bucket: by object, each object in its order.
    fn numbers(&self) -> BTreeMap<String, Vec<usize>> {
        let objects = self.bucket.objects("topics/");
        let read = |content: Vec<u8>| {
            let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            lines
                .map(|line| {
                    let text = String::from_utf8_lossy(line).into_owned();
                    let number: usize = text.split(' ').next().unwrap().parse().unwrap();
                    assert_eq!(text, value(number, self.size), "a record is not as it was produced");
                    number
                })
                .collect()
        };
        objects.into_iter().map(|(key, content)| (key, read(content))).collect()
    }

    /// Waits until so many records are there, and checks that each is there once, in order within its object.
    #[track_caller]
    fn check(&self, records: usize) -> BTreeMap<String, Vec<usize>> {
        let objects = until(&format!("{records} records in the bucket"), || {
            let objects = self.numbers();
            let there: usize = objects.values().map(Vec::len).sum();
            if there >= records {
                Ok(objects)
            } else {
                Err(format!("{there} records in {} objects", objects.len()))
            }
        });
        let mut all: Vec<usize> = objects.values().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..records).collect::<Vec<_>>(), "each record is there once");
        assert!(objects.values().all(|numbers| numbers.is_sorted()), "objects are in order");
        objects
    }
}

fn value(number: usize, size: usize) -> String {
    let head = format!("{number} ");
    let filler = "x".repeat(size.saturating_sub(head.len()));
    head + &filler
}

#[test]
fn records_become_objects_named_by_their_first_offsets() {
    let mut job = Job::new(kafka(), &versitygw().url(), &[("validate.connection", "true")]);
    job.produce(1_250);
    job.worker.start();
    let objects = job.check(1_000);
    let key = |offset: usize| format!("topics/{0}/partition=0/{0}+0+{offset:010}.bin", job.topic);
    assert_eq!(objects.keys().cloned().collect::<Vec<_>>(), [key(0), key(500)]);
    // What is open is not lost by a stop, and not written by it.
    assert!(job.worker.terminate().success());
    job.produce(250);
    job.worker.start();
    job.check(1_500);
    assert!(!job.worker.log().contains(SECRET));
}

#[test]
fn every_step_of_an_upload_can_be_killed() {
    let gate = Gate::start(&versitygw().address());
    // 12 MiB a group in parts of 5 MiB: note, uploads, create, three parts, complete.
    let more = [("s3.part.size", "5242880"), ("flush.size", "120")];
    let mut job = Job::new(kafka(), &gate.url(), &more);
    job.size = 100_000;
    let mut killed = Vec::new();
    for hold in [Hold::Before, Hold::After] {
        for number in 0..7 {
            // A worker that comes new asks for its note and for uploads that are left; then come the five of an object.
            gate.hold(if number < 2 { number } else { number - 2 }, hold);
            job.produce(120);
            if number < 2 {
                job.worker.launch();
            }
            gate.await_held();
            job.worker.kill();
            killed.push((hold, gate.requests().pop().unwrap_or_default()));
            gate.open();
            if number > 0 {
                job.worker.start();
                job.check(job.produced);
            }
        }
        assert!(job.worker.terminate().success());
    }
    let all: Vec<_> = killed.iter().map(|(_, line)| line.as_str()).collect();
    for part in ["uploads=", "partNumber=1", "partNumber=3", "POST", "?uploadId="] {
        assert!(all.iter().any(|line| line.contains(part)), "{part}: {all:#?}");
    }
    until("no upload to be left", || match job.bucket.uploads() {
        0 => Ok(()),
        left => Err(left.to_string()),
    });
}

#[test]
fn a_worker_that_is_killed_twenty_times_writes_each_record_once() {
    const KILLS: usize = 20;
    let gate = Gate::start(&versitygw().address());
    let mut job = Job::new(kafka(), &gate.url(), &[("flush.size", "300")]);
    for kill in 0..KILLS {
        job.produce(1_500);
        let number = (kill * 7) % 11;
        gate.hold(number % 6, if kill % 2 == 0 { Hold::Before } else { Hold::After });
        job.worker.launch();
        gate.await_held();
        job.worker.kill();
        gate.open();
    }
    job.worker.start();
    let objects = job.check(job.produced);
    assert_eq!(objects.len(), job.produced / 300);
}

#[test]
fn cuts_by_the_clock_are_exactly_once_too() {
    let gate = Gate::start(&versitygw().address());
    let more = [
        ("flush.size", "1000000"),
        ("rotate.schedule.interval.ms", "100"),
        ("partitioner.class", "TimeBasedPartitioner"),
        ("path.format", "'second'=ss"),
        ("partition.duration.ms", "1000"),
        ("timezone", "Europe/Berlin"),
    ];
    let mut job = Job::new(kafka(), &gate.url(), &more);
    for kill in 0..8 {
        job.produce(1_000);
        gate.hold(2 + kill / 2 % 2, if kill % 2 == 0 { Hold::Before } else { Hold::After });
        job.worker.launch();
        gate.await_held();
        job.worker.kill();
        gate.open();
    }
    // Also what comes last is closed, although nothing comes behind it.
    job.worker.start();
    job.check(job.produced);
}

#[test]
fn the_plugin_is_replaced_while_it_writes() {
    let mut job = Job::new(kafka(), &versitygw().url(), &[]);
    job.produce(1_000);
    job.worker.start();
    for round in 0..6 {
        let guest = if round % 2 == 0 { &S3_SINK_V2 } else { &S3_SINK };
        job.produce(1_500);
        job.worker.install(guest);
        job.produce(1_500);
        let version = guest.version;
        job.worker.await_status(&job.connector, |status| status["tasks"][0]["version"] == version);
    }
    let objects = job.check(job.produced);
    assert_eq!(objects.len(), job.produced / 500, "every object is whole");
}

#[test]
fn a_bad_network_loses_nothing_and_repeats_nothing() {
    let proxy = Proxy::new(&versitygw().address());
    let url = format!("http://{}", proxy.address());
    let mut job = Job::new(kafka(), &url, &[("request.timeout.ms", "700"), ("flush.size", "100")]);
    job.worker.start();
    type Fault = fn(&Proxy);
    let faults: [(&str, Fault); 5] = [
        ("latency", |proxy| proxy.delay(50)),
        ("slow", |proxy| proxy.slow(40)),
        ("cut", Proxy::cut),
        ("reset", Proxy::reset),
        ("half-open", Proxy::silence),
    ];
    for (what, fault) in faults {
        job.produce(200);
        job.check(job.produced);
        fault(&proxy);
        job.produce(300);
        if matches!(what, "latency" | "slow") {
            job.check(job.produced);
        } else {
            until("a retry", || {
                let retries = job.worker.metrics().sum("transom_task_retries_total", &[]).unwrap_or(0.0);
                if retries > 0.0 { Ok(()) } else { Err(format!("{what}: none")) }
            });
        }
        proxy.heal();
        job.check(job.produced);
    }
    job.worker.await_running(&job.connector, 1);
}

#[test]
fn what_is_wrong_with_bucket_or_secret_is_said_without_the_secret() {
    let mut job = Job::new(kafka(), &versitygw().url(), &[]);
    job.set("aws.secret.access.key", "canary-wrong-secret");
    job.produce(500);
    job.worker.set("task.restart.max", "0").start();
    let trace = job.worker.await_failed(&job.connector);
    assert!(trace.contains("aws.secret.access.key is not that of aws.access.key.id"), "{trace}");
    let log = job.worker.log();
    assert!(!log.contains("canary-wrong-secret") && !trace.contains("canary-wrong-secret"));
    let config = serde_json::json!({
        "connector.class": "S3SinkConnector", "name": "x", "topics": "t", "s3.bucket.name": "no-such-bucket",
        "store.url": versitygw().url(), "aws.access.key.id": ACCESS, "aws.secret.access.key": SECRET,
        "format.class": "JsonFormat", "flush.size": "1", "validate.connection": "true", "s3.region": "us-east-1",
    });
    let path = "/connector-plugins/S3SinkConnector/config/validate";
    let answer = job.worker.rest().put(path, Some(&config)).expect(200).to_string();
    assert!(answer.contains("the connection was tried"), "{answer}");
}

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
