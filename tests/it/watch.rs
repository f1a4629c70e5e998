//! Connectors that watch the outside system: their tasks follow it, and what goes wrong in watching is not
//! theirs to suffer.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use transom_tests::guests::{
    FAULTY_SOURCE_WATCHES, FAULTY_SOURCE_WATCHES_FAILS_TO_START, FAULTY_SOURCE_WATCHES_V2,
};
use transom_tests::{Worker, kafka, unique, until};

use crate::faults::{await_more, check_numbers, lines};

/// A worker with one connector that watches a file with a line for each task.
struct Watched {
    worker: Worker,
    name: String,
    topic: String,
}

impl Watched {
    /// Not started yet; `settings` are more of the connector's.
    fn new(outside: &str, settings: &[(&str, &str)]) -> Self {
        let mut worker = Worker::new(kafka());
        let folder = worker.folder().join("granted");
        fs::create_dir(&folder).unwrap();
        worker.install(&FAULTY_SOURCE_WATCHES).grant("faulty-source", &folder, ":rw");
        let mut watched = Self { worker, name: unique("watches"), topic: unique("watched") };
        kafka().create_topic(&watched.topic, 1, &[]);
        watched.outside(outside);
        let config = watched.config(settings);
        let config: Vec<_> = config.iter().map(|(key, value)| (*key, value.as_str())).collect();
        watched.worker.connector(&watched.name, &config);
        watched
    }

    fn started(outside: &str, settings: &[(&str, &str)]) -> Self {
        let mut watched = Self::new(outside, settings);
        watched.worker.start();
        watched
    }

    /// A connector that failed in watching, with two lines outside and one task, and does not start again by itself.
    /// What was wrong is mended.
    #[track_caller]
    fn failed() -> Self {
        let mut watched = Self::new("a\n", &[("fault", "trap"), ("fault.at", "watch")]);
        watched.worker.set("task.restart.max", "0").start();
        watched.await_running(1);
        fs::write(watched.file("broken"), "").unwrap();
        watched.outside("a\nb\n");
        watched.await_state("FAILED");
        fs::remove_file(watched.file("broken")).unwrap();
        watched
    }

    fn config<'a>(&self, settings: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
        let path = |name| self.file(name).display().to_string();
        let mut config = vec![
            ("connector.class", "faulty-source".to_owned()),
            ("tasks.max", "4".to_owned()),
            ("topic", self.topic.clone()),
            ("poll.records", "20".to_owned()),
            ("tasks.file", path("outside")),
            ("journal", path("journal")),
            ("fault.while", path("broken")),
        ];
        config.extend(settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
        config
    }

    fn file(&self, name: &str) -> PathBuf {
        self.worker.folder().join("granted").join(name)
    }

    /// Changes the outside system, all of it at once.
    fn outside(&self, content: &str) {
        let part = self.file("part");
        fs::write(&part, content).unwrap();
        fs::rename(part, self.file("outside")).unwrap();
    }

    /// Lines of the journal that have all these words.
    fn journal(&self, words: &[&str]) -> usize {
        let has = |line: &&String| words.iter().all(|word| line.split(' ').any(|other| other == *word));
        lines(&self.file("journal")).iter().filter(has).count()
    }

    #[track_caller]
    fn await_journal(&self, words: &[&str], count: usize) {
        until(&format!("the journal to have {count} lines with {words:?}"), || {
            let found = self.journal(words);
            if found >= count { Ok(()) } else { Err(format!("{:?}", lines(&self.file("journal")))) }
        });
    }

    /// How often a task was opened.
    fn opened(&self, task: &str) -> usize {
        let is = |line: &&String| line.starts_with(&format!("{task} ")) && line.contains(" open ");
        lines(&self.file("journal")).iter().filter(is).count()
    }

    #[track_caller]
    fn await_running(&self, tasks: usize) {
        self.worker.await_running(&self.name, tasks);
    }

    #[track_caller]
    fn await_state(&self, state: &str) -> Value {
        self.worker.await_status(&self.name, |status| status["connector"]["state"] == state)
    }

    #[track_caller]
    fn put(&self, what: &str, body: Option<&Value>) -> u16 {
        self.worker.rest().put(&format!("/connectors/{}/{what}", self.name), body).status
    }

    /// Ends the worker and checks that every task's numbers arrived once and in order.
    #[track_caller]
    fn check(mut self) {
        assert!(self.worker.terminate().success());
        let records = kafka().read_all(&self.topic);
        for task in 0..4 {
            let own = records.iter().filter(|record| record.key_text() == task.to_string());
            let numbers: Vec<u64> = own.map(|record| record.text().parse().unwrap()).collect();
            assert_eq!(check_numbers(&numbers), 0, "task {task} repeated nothing");
        }
    }
}

/// Connector and first task run this version.
fn runs(version: &str) -> impl Fn(&Value) -> bool {
    move |status| status["connector"]["version"] == version && status["tasks"][0]["version"] == version
}

#[test]
fn tasks_come_and_go_with_the_outside_and_the_others_go_on() {
    let watched = Watched::started("a\n", &[]);
    watched.await_running(1);
    watched.outside("a\nb\nc\n");
    watched.await_running(3);
    watched.await_journal(&["2", "open"], 1);
    watched.outside("a\nB\n");
    watched.await_journal(&["1", "open"], 2);
    watched.await_running(2);
    let tasks = watched.worker.rest().get(&format!("/connectors/{}/tasks", watched.name)).expect(200);
    assert_eq!(tasks[1]["config"]["share"], "B");
    await_more(kafka(), &watched.topic);
    assert_eq!(["0", "1", "2"].map(|task| watched.opened(task)), [1, 2, 1]);
    watched.check();
}

#[test]
fn no_more_tasks_come_than_are_allowed() {
    let watched = Watched::started("a\n", &[("tasks.max", "2")]);
    watched.await_running(1);
    watched.outside("a\nb\nc\nd\n");
    watched.await_running(2);
    watched.check();
}

#[test]
fn a_connector_may_have_no_tasks_until_there_is_something_outside() {
    let watched = Watched::started("", &[]);
    watched.await_running(0);
    watched.outside("a\n");
    watched.await_running(1);
    watched.outside("");
    watched.await_running(0);
    assert_eq!(watched.put("pause", None), 202);
    watched.await_state("PAUSED");
    watched.outside("a\nb\n");
    assert_eq!(watched.put("resume", None), 202);
    watched.await_running(2);
    watched.check();
}

#[test]
fn nothing_restarts_when_the_plan_is_the_same() {
    let watched = Watched::started("a\nb\n", &[]);
    watched.await_running(2);
    watched.await_journal(&["watch"], 1);
    watched.outside("a\nb\n# nothing to read\n");
    watched.await_journal(&["plan"], 2);
    watched.outside("a\nb\nc\n");
    watched.await_running(3);
    assert_eq!(["0", "1", "2"].map(|task| watched.opened(task)), [1, 1, 1]);
    assert_eq!(watched.journal(&["start"]), 1);
    watched.check();
}

#[test]
fn what_goes_wrong_in_watching_fails_the_connector_and_no_task() {
    let faults = [
        ("trap", "watch", "unreachable"),
        ("panic", "watch", "told to panic in watch"),
        ("spin", "watch", "sandbox.faulty-source.call.timeout.ms"),
        ("grow", "watch", "sandbox.faulty-source.memory.max"),
        ("fatal", "watch", "told to fail in watch"),
        ("garbage", "task-configs", "task-configs"),
        ("too-many-tasks", "task-configs", "has generated 5 tasks, which is greater than 4"),
    ];
    for (what, at, reason) in faults {
        let mut watched = Watched::new("a\n", &[("fault", what), ("fault.at", at)]);
        watched
            .worker
            .set("task.restart.max", "0")
            .set("sandbox.default.call.timeout.ms", "1500")
            .set("sandbox.default.memory.max", "50331648")
            .start();
        watched.await_running(1);
        fs::write(watched.file("broken"), "").unwrap();
        watched.outside("a\nb\n");
        let status = watched.await_state("FAILED");
        let trace = status["connector"]["trace"].as_str().unwrap();
        assert!(trace.contains(reason), "{what} at {at}: {trace}");
        let waits_for = status["connector"]["waiting_for"].as_str().unwrap();
        assert!(waits_for.contains("by hand"), "{what} at {at}: {waits_for}");
        assert_eq!(status["tasks"][0]["state"], "RUNNING", "{what} at {at}");
        await_more(kafka(), &watched.topic);
        assert_eq!(watched.opened("0"), 1, "{what} at {at}");
        watched.check();
    }
}

#[test]
fn a_connector_that_failed_in_watching_starts_again_by_itself() {
    let mut watched = Watched::new("a\n", &[("fault", "trap"), ("fault.at", "watch")]);
    watched.worker.set("task.restart.max", "20").set("task.restart.backoff.ms", "50").start();
    watched.await_running(1);
    fs::write(watched.file("broken"), "").unwrap();
    watched.outside("a\nb\n");
    watched.await_journal(&["start"], 3);
    watched.await_state("FAILED");
    fs::remove_file(watched.file("broken")).unwrap();
    watched.await_running(2);
    watched.outside("a\nb\nc\n");
    watched.await_running(3);
    assert_eq!(watched.opened("0"), 1);
    watched.check();
}

#[test]
fn a_restart_by_rest_starts_a_failed_connector_and_no_task() {
    let watched = Watched::failed();
    let restart = format!("/connectors/{}/restart", watched.name);
    watched.worker.rest().post(&restart, None).expect(204);
    watched.await_running(2);
    assert_eq!(watched.journal(&["start"]), 2);
    let failed = format!("{restart}?includeTasks=true&onlyFailed=true");
    watched.worker.rest().post(&failed, None).expect(202);
    watched.outside("a\nb\nc\n");
    watched.await_running(3);
    assert_eq!((watched.journal(&["start"]), watched.opened("0")), (2, 1), "nothing had failed");
    watched.check();
}

#[test]
fn a_failed_connector_stays_failed_when_it_is_paused() {
    let watched = Watched::failed();
    assert_eq!(watched.put("pause", None), 202);
    let task_paused = |status: &Value| status["tasks"][0]["state"] == "PAUSED";
    let status = watched.worker.await_status(&watched.name, task_paused);
    assert_eq!(status["connector"]["state"], "FAILED");
    assert!(status["connector"]["trace"].as_str().unwrap().contains("unreachable"), "{status}");
    watched.worker.rest().post(&format!("/connectors/{}/restart", watched.name), None).expect(204);
    let status = watched.await_state("PAUSED");
    assert_eq!((&status["connector"]["trace"], watched.journal(&["start"])), (&Value::Null, 1));
    assert_eq!(watched.put("resume", None), 202);
    watched.await_running(2);
    watched.check();
}

#[test]
fn a_first_plan_that_fails_is_tried_again() {
    let mut watched = Watched::new("a\n", &[("fault", "fatal"), ("fault.at", "task-configs")]);
    fs::write(watched.file("broken"), "").unwrap();
    watched.worker.set("task.restart.max", "20").set("task.restart.backoff.ms", "50").start();
    let status = watched.await_state("FAILED");
    assert_eq!(status["tasks"], json!([]));
    fs::remove_file(watched.file("broken")).unwrap();
    watched.await_running(1);
    watched.check();
}

#[test]
fn the_plugin_of_a_watching_connector_is_replaced() {
    let mut watched = Watched::started("a\n", &[]);
    let (old, new) = (FAULTY_SOURCE_WATCHES.version, FAULTY_SOURCE_WATCHES_V2.version);
    watched.worker.await_status(&watched.name, runs(old));
    watched.await_journal(&[old, "watch"], 1);
    watched.outside("a\nb\n");
    watched.await_running(2);
    watched.worker.install(&FAULTY_SOURCE_WATCHES_V2);
    watched.worker.await_status(&watched.name, runs(new));
    watched.await_journal(&[new, "watch"], 1);
    assert_eq!((watched.journal(&[old, "stop"]), watched.journal(&[new, "start"])), (1, 1));
    watched.outside("a\nb\nc\n");
    watched.await_running(3);

    fs::write(watched.file("broken"), "").unwrap();
    watched.worker.install(&FAULTY_SOURCE_WATCHES_FAILS_TO_START);
    let status = watched
        .worker
        .await_status(&watched.name, |status| status["connector"]["plugin_problem"].is_string());
    let problem = status["connector"]["plugin_problem"].as_str().unwrap();
    assert!(problem.contains("told to fail in start"), "{problem}");
    assert!(runs(new)(&status), "{status}");
    watched.outside("a\n");
    watched.await_running(1);
    assert_eq!(watched.opened("2"), 1);
    watched.check();
}

#[test]
fn a_paused_connector_does_not_watch() {
    let watched = Watched::started("a\n", &[]);
    watched.await_journal(&["watch"], 1);
    assert_eq!(watched.put("pause", None), 202);
    let status = watched.await_state("PAUSED");
    assert_eq!(status["tasks"].as_array().map(Vec::len), Some(1));
    assert_eq!(watched.journal(&["stop"]), 1);
    watched.outside("a\nb\n");
    assert_eq!(watched.put("resume", None), 202);
    watched.await_running(2);
    assert_eq!((watched.journal(&["start"]), watched.opened("0")), (2, 1));
    watched.check();
}

#[test]
fn a_connector_that_waits_in_watch_is_configured_stopped_and_deleted() {
    let watched = Watched::started("a\n", &[]);
    let waits = |instance| {
        watched.await_journal(&["start"], instance);
        let before = watched.journal(&["watch"]);
        watched.await_journal(&["watch"], before + 1);
    };
    waits(1);
    let mut config = watched.config(&[]);
    config.push(("records", "1000000".to_owned()));
    let config: serde_json::Map<_, _> =
        config.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    assert_eq!(watched.put("config", Some(&Value::Object(config))), 200);
    assert_eq!(watched.journal(&["stop"]), 1);
    watched.await_running(1);
    waits(2);
    assert_eq!(watched.put("stop", None), 204);
    watched.await_state("STOPPED");
    assert_eq!(watched.journal(&["stop"]), 2);
    assert_eq!(watched.put("resume", None), 202);
    watched.await_running(1);
    waits(3);
    watched.worker.rest().delete(&format!("/connectors/{}", watched.name)).expect(204);
    assert_eq!(watched.journal(&["stop"]), 3);
    assert!(!watched.worker.log().contains("did not stop in time"), "it came back at once");
    watched.check();
}

#[test]
fn a_watch_that_does_not_come_back_holds_up_no_stop() {
    let mut watched = Watched::new("a\n", &[("fault", "sleep"), ("fault.at", "watch")]);
    watched.worker.set("task.shutdown.graceful.timeout.ms", "1000").start();
    watched.await_running(1);
    fs::write(watched.file("broken"), "").unwrap();
    watched.outside("a\n# what it was waiting for\n");
    watched.await_journal(&["plan"], 2);
    let before = watched.journal(&["watch"]);
    watched.await_journal(&["watch"], before + 1);
    watched.worker.rest().delete(&format!("/connectors/{}", watched.name)).expect(204);
    watched.worker.await_log(&["connector's instance did not stop in time"]);
    watched.check();
}
