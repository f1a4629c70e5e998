//! s3-sink against a real server of S3.

mod faults;
mod formats;
mod identity;
mod kills;
mod speed;

use std::collections::BTreeMap;

use transom_tests::guests::S3_SINK;
use transom_tests::versitygw::{ACCESS, Bucket, SECRET, versitygw};
use transom_tests::{Kafka, Record, Worker, kafka, unique, until};

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
