//! Sinks are static members of their groups: back at once after a kill, and none of the traps of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::{Value, json};
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
    session: &'static str,
}

impl Sink {
    fn new(kafka: &Kafka, name: &str, topics: &str, tasks: usize) -> Self {
        let mut worker = Worker::new(kafka);
        let data = worker.folder().join("data");
        fs::create_dir(&data).unwrap();
        worker.install(&FILE_SINK).install(&FAULTY_SINK);
        worker.grant("default", &data, ":rw").set("offset.flush.interval.ms", "200");
        let mut sink = Self { worker, name: name.to_owned(), topics: String::new(), tasks, session: SESSION };
        sink.configure(topics, tasks);
        sink
    }

    /// With several tasks it is the tests' own sink: `file-sink` has one writer, and so one task.
    fn configure(&mut self, topics: &str, tasks: usize) {
        self.topics = topics.to_owned();
        self.tasks = tasks;
        self.configure_with(&[]);
    }

    fn configure_with(&mut self, more: &[(&str, &str)]) {
        let config = self.config(more);
        let config: Vec<_> = config.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        self.worker.connector(&self.name, &config);
    }

    fn config(&self, more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let class = if self.tasks == 1 { "FileStreamSink" } else { "faulty-sink" };
        let (file, tasks) = (self.output().display().to_string(), self.tasks.to_string());
        let config = [
            ("connector.class", class),
            ("file", &file),
            ("topics", &self.topics),
            ("tasks.max", &tasks),
            ("consumer.override.auto.offset.reset", "earliest"),
            ("consumer.override.session.timeout.ms", self.session),
            ("consumer.override.heartbeat.interval.ms", "500"),
        ];
        config.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn path(&self, end: &str) -> String {
        format!("/connectors/{}{end}", self.name)
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

    // The same worker once more, on a machine that does not see the lock on the offsets, as somebody would start
    // it who believes that it is dead.
    fs::remove_file(zombie.worker.folder().join("offsets.json.lock")).unwrap();
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

/// What a part of a status waits for.
fn waiting_for(part: &Value) -> &str {
    part["waiting_for"].as_str().unwrap_or_default()
}

fn is_about_former_members(text: &str, sink: &Sink) -> bool {
    let group = format!("former members of group connect-{} ", sink.name);
    let session = format!("session.timeout.ms={}", sink.session);
    [group.as_str(), &session, &format!("{}-0-", sink.name)].iter().all(|part| text.contains(part))
}

#[test]
fn fewer_tasks_say_which_former_members_they_wait_for_and_then_go_on() {
    let kafka = kafka();
    let topic = unique("fewer");
    kafka.create_topic(&topic, 4, &[]);
    let mut sink = Sink::new(kafka, &unique("sink"), &topic, 4);
    // Long enough to be seen waiting for, however busy the machine is.
    sink.session = "20000";
    sink.configure(&topic, 4);
    sink.start();
    let mut wanted = fill(kafka, &topic, "first");
    await_lines(&[&sink], &wanted);

    sink.tasks = 2;
    sink.worker.rest().put(&sink.path("/config"), Some(&json!(sink.config(&[])))).expect(200);
    wanted.extend(fill(kafka, &topic, "second"));
    let tasks = |status: &Value| status["tasks"].as_array().cloned().unwrap_or_default();
    let status = sink.worker.await_status(&sink.name, |status| {
        let tasks = tasks(status);
        tasks.len() == 2 && tasks.iter().all(|task| is_about_former_members(waiting_for(task), &sink))
    });
    assert_eq!(status["connector"]["state"], "RUNNING");
    assert_eq!(status["connector"].get("waiting_for"), None, "it is the tasks that wait");

    await_lines(&[&sink], &wanted);
    let status = sink.worker.await_running(&sink.name, 2);
    assert_eq!(tasks(&status).iter().map(waiting_for).collect::<Vec<_>>(), ["", ""]);
}

#[test]
fn a_stopped_sink_says_that_it_waits_for_its_members_until_its_group_is_empty() {
    let kafka = kafka();
    let topic = unique("stopped");
    kafka.create_topic(&topic, 2, &[]);
    let mut sink = Sink::new(kafka, &unique("sink"), &topic, 2);
    sink.start();
    let mut wanted = fill(kafka, &topic, "first");
    await_lines(&[&sink], &wanted);
    let group = format!("connect-{}", sink.name);
    let rest = sink.worker.rest();

    // Started again before they have expired, the tasks take their places at once.
    rest.put(&sink.path("/stop"), None).expect(204);
    rest.put(&sink.path("/resume"), None).expect(202);
    wanted.extend(fill(kafka, &topic, "second"));
    await_lines(&[&sink], &wanted);
    let status = sink.worker.await_running(&sink.name, 2);
    assert_eq!(status["connector"].get("waiting_for"), None);

    rest.put(&sink.path("/stop"), None).expect(204);
    let status = rest.get(&sink.path("/status")).expect(200);
    assert_eq!(status["connector"]["state"], "STOPPED");
    assert_ne!(waiting_for(&status["connector"]), "", "from the first moment");
    sink.worker
        .await_status(&sink.name, |status| is_about_former_members(waiting_for(&status["connector"]), &sink));
    assert_eq!(kafka.group(&group).unwrap().members.len(), 2);
    sink.worker.await_status(&sink.name, |status| waiting_for(&status["connector"]).is_empty());
    assert_eq!(kafka.group(&group).unwrap().state, "Empty");

    rest.put(&sink.path("/resume"), None).expect(202);
    wanted.extend(fill(kafka, &topic, "third"));
    await_lines(&[&sink], &wanted);
    rest.delete(&sink.path("")).expect(204);
    rest.get(&sink.path("/status")).expect(404);
}

#[test]
fn a_second_worker_on_a_file_of_offsets_is_refused_until_the_first_is_dead() {
    let kafka = kafka();
    let topic = unique("offsets");
    kafka.create_topic(&topic, 1, &[]);
    let name = unique("sink");
    let (mut first, mut second) = (Sink::new(kafka, &name, &topic, 1), Sink::new(kafka, &name, &topic, 1));
    first.start();
    let offsets = first.worker.folder().join("offsets.json").display().to_string();
    second.worker.set("offset.storage.file.filename", &offsets);
    second.worker.launch();
    assert_eq!(second.worker.wait().code(), Some(1));
    let holder = format!("(process {})", first.worker.process().id());
    second.worker.await_log(&[&format!("offset.storage.file.filename={offsets}"), &holder]);

    let mut wanted = fill(kafka, &topic, "first");
    await_lines(&[&first], &wanted);
    first.worker.kill();
    second.start();
    wanted.extend(fill(kafka, &topic, "second"));
    await_lines(&[&first, &second], &wanted);
}

#[test]
fn overrides_choose_the_group_and_bound_a_put() {
    let kafka = kafka();
    let (topic, group) = (unique("bounded"), unique("group"));
    kafka.create_topic(&topic, 1, &[]);
    let wanted = fill(kafka, &topic, "all");
    let mut sink = Sink::new(kafka, &unique("sink"), &topic, 2);
    let journal = sink.worker.folder().join("data/journal");
    sink.configure_with(&[
        ("consumer.override.max.poll.records", "10"),
        ("consumer.override.group.id", &group),
        ("journal", &journal.display().to_string()),
    ]);
    sink.start();
    await_lines(&[&sink], &wanted);
    let journal = fs::read_to_string(journal).unwrap();
    let puts: Vec<usize> =
        journal.lines().filter_map(|line| line.split_once(" put ")?.1.parse().ok()).collect();
    assert_eq!(puts.iter().sum::<usize>(), wanted.len());
    assert!(puts.iter().all(|records| *records <= 10), "{puts:?}");
    until("the offset to be committed in the group", || match kafka.committed(&group, &topic)[..] {
        [Some(200)] => Ok(()),
        ref other => Err(format!("{other:?}")),
    });
    assert_eq!(kafka.committed(&format!("connect-{}", sink.name), &topic), [None]);

    for (key, wrong) in [("max.poll.records", "0"), ("max.poll.records", "ten"), ("group.id", "")] {
        let key = format!("consumer.override.{key}");
        let config = json!(sink.config(&[(&key, wrong)]));
        let answer = sink.worker.rest().put(&sink.path("/config"), Some(&config)).expect(400);
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains(&key) && message.contains("1 error(s)"), "{message}");
    }
}
