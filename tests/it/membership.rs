//! Sinks are static members of their groups: back at once after a kill, and none of the traps of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;
use transom_tests::guests::{FAULTY_SINK, FILE_SINK};
use transom_tests::{Kafka, Record, Worker, kafka, unique, until};

/// Short enough to wait for, and as short as a broker allows by default.
const SESSION: &str = "6000";

/// A worker with one file sink; each task of it appends to the same file.
struct Sink {
    worker: Worker,
    name: String,
    topics: String,
    tasks: usize,
}

impl Sink {
    fn new(kafka: &Kafka, name: &str, topics: &str, tasks: usize) -> Self {
        let mut worker = Worker::new(kafka);
        let data = worker.folder().join("data");
        fs::create_dir(&data).unwrap();
        worker.install(&FILE_SINK).install(&FAULTY_SINK);
        worker.grant("default", &data, ":rw").set("offset.flush.interval.ms", "200");
        let mut sink = Self { worker, name: name.to_owned(), topics: String::new(), tasks };
        sink.configure(topics, tasks);
        sink
    }

    /// With several tasks it is the tests' own sink: `file-sink` has one writer, and so one task.
    fn configure(&mut self, topics: &str, tasks: usize) {
        self.topics = topics.to_owned();
        self.tasks = tasks;
        let class = if tasks == 1 { "FileStreamSink" } else { "faulty-sink" };
        let (file, tasks) = (self.output().display().to_string(), tasks.to_string());
        let config = [
            ("connector.class", class),
            ("file", &file),
            ("topics", topics),
            ("tasks.max", &tasks),
            ("consumer.override.auto.offset.reset", "earliest"),
            ("consumer.override.session.timeout.ms", SESSION),
            ("consumer.override.heartbeat.interval.ms", "500"),
        ];
        let name = self.name.clone();
        self.worker.connector(&name, &config);
    }

    fn start(&mut self) {
        self.worker.start();
        self.worker.await_running(&self.name, self.tasks);
    }

    fn output(&self) -> PathBuf {
        self.worker.folder().join("data/out.txt")
    }

    fn lines(&self) -> BTreeSet<String> {
        let output = fs::read_to_string(self.output()).unwrap_or_default();
        output.lines().filter_map(|line| line.rsplit(' ').next()).map(str::to_owned).collect()
    }
}

fn await_lines(sinks: &[&Sink], wanted: &BTreeSet<String>) {
    until("all lines to arrive", || {
        let arrived: BTreeSet<String> = sinks.iter().flat_map(|sink| sink.lines()).collect();
        let missing = wanted.difference(&arrived).count();
        if missing == 0 { Ok(()) } else { Err(format!("{missing} of {} are missing", wanted.len())) }
    });
}

/// Produces one record into each partition of a topic, and returns their values.
fn fill(kafka: &Kafka, topic: &str, what: &str) -> BTreeSet<String> {
    let values: Vec<String> = (0..200).map(|i| format!("{topic}/{what}/{i}")).collect();
    kafka.produce(topic, values.iter().map(|value| Record::keyed(value.clone(), value.clone())));
    values.into_iter().collect()
}

#[test]
fn topics_that_were_changed_while_the_worker_was_down_are_read() {
    let kafka = kafka();
    let (a, b) = (unique("a"), unique("b"));
    kafka.create_topic(&a, 2, &[]);
    kafka.create_topic(&b, 2, &[]);
    let mut sink = Sink::new(kafka, &unique("sink"), &a, 1);
    sink.start();
    let mut wanted = fill(kafka, &a, "first");
    await_lines(&[&sink], &wanted);
    sink.worker.kill();
    sink.configure(&format!("{a},{b}"), 1);
    sink.start();
    wanted.extend(fill(kafka, &a, "second"));
    wanted.extend(fill(kafka, &b, "second"));
    await_lines(&[&sink], &wanted);
}

#[test]
fn partitions_that_were_added_while_the_worker_was_down_are_read() {
    let kafka = kafka();
    let topic = unique("grows");
    kafka.create_topic(&topic, 1, &[]);
    let mut sink = Sink::new(kafka, &unique("sink"), &topic, 1);
    sink.start();
    let mut wanted = fill(kafka, &topic, "first");
    await_lines(&[&sink], &wanted);
    sink.worker.kill();
    kafka.grow_topic(&topic, 4);
    sink.start();
    wanted.extend(fill(kafka, &topic, "second"));
    await_lines(&[&sink], &wanted);
}

#[test]
fn four_tasks_made_two_read_everything() {
    let kafka = kafka();
    let topic = unique("four");
    kafka.create_topic(&topic, 4, &[]);
    let mut sink = Sink::new(kafka, &unique("sink"), &topic, 4);
    sink.start();
    let mut wanted = fill(kafka, &topic, "first");
    await_lines(&[&sink], &wanted);
    let kill = [true, false];
    for kill in kill {
        if kill {
            sink.worker.kill()
        } else {
            let _ = sink.worker.terminate();
        }
        sink.configure(&topic, if kill { 2 } else { 3 });
        sink.start();
        wanted.extend(fill(kafka, &topic, if kill { "second" } else { "third" }));
        await_lines(&[&sink], &wanted);
    }
}

#[test]
fn two_workers_with_the_same_connector_share_its_partitions() {
    let kafka = kafka();
    let (topic, name) = (unique("shared"), unique("sink"));
    kafka.create_topic(&topic, 4, &[]);
    let (mut one, mut two) = (Sink::new(kafka, &name, &topic, 1), Sink::new(kafka, &name, &topic, 1));
    one.start();
    two.start();
    let mut wanted = BTreeSet::new();
    until("both to be given records", || {
        wanted.extend(fill(kafka, &topic, &unique("round")));
        let (of_one, of_two) = (one.lines().len(), two.lines().len());
        if of_one > 0 && of_two > 0 { Ok(()) } else { Err(format!("{of_one} and {of_two}")) }
    });
    await_lines(&[&one, &two], &wanted);
    for sink in [&one, &two] {
        assert_eq!(
            sink.worker.await_running(&name, 1)["tasks"][0]["state"],
            "RUNNING",
            "none fenced the other"
        );
    }
}

#[test]
fn a_zombie_gives_way() {
    let kafka = kafka();
    let (topic, name) = (unique("zombie"), unique("sink"));
    kafka.create_topic(&topic, 2, &[]);
    let mut zombie = Sink::new(kafka, &name, &topic, 1);
    zombie.start();
    let mut wanted = fill(kafka, &topic, "first");
    await_lines(&[&zombie], &wanted);
    zombie.worker.process().signal(Signal::STOP);

    // The same worker once more, as somebody would start it who believes that it is dead.
    let mut heir = Sink::new(kafka, &name, &topic, 1);
    let offsets = zombie.worker.folder().join("offsets.json").display().to_string();
    heir.worker.set("offset.storage.file.filename", &offsets);
    heir.start();
    wanted.extend(fill(kafka, &topic, "second"));
    await_lines(&[&zombie, &heir], &wanted);

    zombie.worker.process().signal(Signal::CONT);
    wanted.extend(fill(kafka, &topic, "third"));
    await_lines(&[&zombie, &heir], &wanted);
    until("one of the two to give way", || {
        let states: Vec<String> = [&zombie, &heir]
            .iter()
            .map(|sink| {
                let status = sink.worker.rest().try_get(&format!("/connectors/{name}/status"))?;
                Ok(status["tasks"][0]["state"].as_str().unwrap_or_default().to_owned())
            })
            .collect::<Result<_, String>>()?;
        let failed = states.iter().filter(|state| *state == "FAILED").count();
        if failed == 1 && states.contains(&"RUNNING".to_owned()) {
            Ok(())
        } else {
            Err(format!("{states:?}"))
        }
    });
    wanted.extend(fill(kafka, &topic, "fourth"));
    await_lines(&[&zombie, &heir], &wanted);
}
