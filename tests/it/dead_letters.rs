//! Records that a plugin cannot take, and where they go (invariant 3: delivered, dead-lettered, or the end of the task).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use transom_tests::guests::FAULTY_SINK;
use transom_tests::{Record, Worker, kafka, unique, until};

/// One record in ten is bad.
const BAD: usize = 10;

/// A sink that refuses bad records, and what it reads.
struct Job {
    worker: Worker,
    topic: String,
    letters: String,
    connector: String,
    sent: usize,
}

impl Job {
    /// `fault`: how the plugin refuses.
    fn new(fault: &str, more: &[(&str, &str)]) -> Self {
        let (topic, letters, connector) = (unique("records"), unique("letters"), unique("refuses"));
        kafka().create_topic(&topic, 2, &[]);
        let mut worker = Worker::new(kafka());
        let folder = worker.folder().join("out");
        fs::create_dir(&folder).unwrap();
        let file = folder.join("records").display().to_string();
        let config = [
            ("connector.class", "org.example.FaultySink"),
            ("topics", &topic),
            ("file", &file),
            ("fault", fault),
            ("fault.at", "put"),
            ("errors.tolerance", "all"),
            ("errors.deadletterqueue.topic.name", &letters),
            ("errors.deadletterqueue.topic.replication.factor", "1"),
            ("errors.deadletterqueue.context.headers.enable", "true"),
        ];
        let config: Vec<_> = config.iter().chain(more).copied().collect();
        worker
            .install(&FAULTY_SINK)
            .grant("faulty-sink", &folder, ":rw")
            .set("offset.flush.interval.ms", "200")
            .connector(&connector, &config);
        Self { worker, topic, letters, connector, sent: 0 }
    }

    fn send(&mut self, records: usize) {
        let record = |number: usize| {
            let kind = if number.is_multiple_of(BAD) { "bad" } else { "good" };
            Record {
                headers: vec![
                    ("number".to_owned(), Some(number.to_string().into_bytes())),
                    ("none".into(), None),
                ],
                timestamp: Some(1_700_000_000_000 + number as i64),
                ..Record::keyed(format!("key {number}"), format!("{kind} {number}"))
            }
        };
        kafka().produce(&self.topic, (self.sent..self.sent + records).map(record));
        self.sent += records;
    }

    /// The dead letters, when as many records as are bad are among them.
    #[track_caller]
    fn letters(&self) -> Vec<Record> {
        // By then there is a topic for them.
        self.worker.await_running(&self.connector, 1);
        until("the dead letters", || {
            let letters = kafka().read_all(&self.letters);
            let different: BTreeSet<_> = letters.iter().map(|letter| letter.text().to_owned()).collect();
            if different.len() == self.sent.div_ceil(BAD) {
                Ok(letters)
            } else {
                Err(different.len().to_string())
            }
        })
    }

    #[track_caller]
    fn await_counter(&self, name: &str, wanted: usize) {
        until(name, || {
            let now = self.worker.metrics().sum(name, &[("connector", &self.connector)]).unwrap_or(0.0);
            if now == wanted as f64 { Ok(()) } else { Err(now.to_string()) }
        });
    }
}

/// The headers of Kafka Connect, by what follows their prefix.
fn context(letter: &Record) -> BTreeMap<&str, String> {
    let text = |value: &Option<Vec<u8>>| String::from_utf8(value.clone().unwrap_or_default()).unwrap();
    let named = letter
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("__connect.errors.")?, text(value))));
    named.collect()
}

fn as_they_came(fault: &str, message: &str) {
    // Whoever learns late does not say before that it is durable.
    let mut job = Job::new(fault, &[("hold", "true")]);
    job.send(3_000);
    job.worker.start();
    let letters = job.letters();
    assert_eq!(letters.len(), 300, "each once");
    let originals: BTreeMap<_, _> =
        kafka().read_all(&job.topic).into_iter().map(|record| (record.text().to_owned(), record)).collect();
    for letter in &letters {
        let original = &originals[letter.text()];
        assert!(letter.text().starts_with("bad "), "{}", letter.text());
        assert_eq!((&letter.key, letter.timestamp), (&original.key, original.timestamp));
        assert_eq!(letter.headers[..2], original.headers[..]);
        let place = [original.partition.unwrap().to_string(), original.offset.to_string()];
        let context = context(letter);
        assert_eq!([context["partition"].clone(), context["offset"].clone()], place);
        for (name, value) in [
            ("topic", job.topic.as_str()),
            ("connector.name", &job.connector),
            ("task.id", "0"),
            ("stage", "TASK_PUT"),
            ("class.name", "org.apache.kafka.connect.sink.SinkTask"),
            ("exception.class.name", "org.apache.kafka.connect.errors.DataException"),
            ("exception.message", message),
        ] {
            assert_eq!(context[name], value, "{name}");
        }
    }
    job.await_counter("transom_task_dead_letters_total", 300);
    job.await_counter("transom_task_failures_total", 0);
}

#[test]
fn a_refused_record_goes_to_the_dead_letters_as_it_came() {
    as_they_came("refuse-bad", "it is bad");
}

#[test]
fn a_record_that_is_refused_by_a_later_call_does_so_too() {
    as_they_came("refuse-bad-late", "learnt late");
}

#[test]
fn a_killed_worker_loses_no_dead_letter() {
    const KILLS: usize = 10;
    let mut job = Job::new("refuse-bad", &[]);
    for kill in 0..KILLS {
        job.send(2_000);
        job.worker.start();
        job.worker.await_running(&job.connector, 1);
        // Instants that differ from kill to kill, by how far the letters have got.
        until("some letters", || {
            let letters = kafka().read_all(&job.letters).len();
            if letters > kill * 200 + kill * 17 % 150 { Ok(()) } else { Err(letters.to_string()) }
        });
        job.worker.kill();
    }
    job.worker.start();
    let letters = job.letters();
    eprintln!("{} dead letters of {} after {KILLS} kills", letters.len(), job.sent.div_ceil(BAD));
}

#[test]
fn what_is_tolerated_without_dead_letters_is_counted_and_said() {
    let mut job =
        Job::new("refuse-bad", &[("errors.deadletterqueue.topic.name", ""), ("errors.log.enable", "true")]);
    job.send(1_000);
    job.worker.start();
    job.await_counter("transom_task_records_skipped_total", 100);
    job.worker.await_log(&["records that the plugin could not take are left out", "it is bad"]);
    let task = format!("Error encountered in task {}-0. Executing stage 'TASK_PUT'", job.connector);
    job.worker.await_log(&[&task]);
    job.await_counter("transom_task_failures_total", 0);
}

#[test]
fn a_topic_that_cannot_be_made_names_the_setting() {
    let factor = ("errors.deadletterqueue.topic.replication.factor", "7");
    let mut job = Job::new("refuse-bad", &[factor]);
    job.worker.set("task.restart.max", "0").start();
    let trace = job.worker.await_failed(&job.connector);
    assert!(trace.contains("errors.deadletterqueue.topic.replication.factor=7"), "{trace}");
}
