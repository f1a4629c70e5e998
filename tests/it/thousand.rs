//! A thousand connectors beside Kafka Connect's: created, listed and deleted by one client, a request after the other.
//!
//! `cargo test -p transom-tests --test it thousand -- --ignored --nocapture --test-threads=1`

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use transom_tests::guests::FILE_SOURCE;
use transom_tests::process::{Folder, Process};
use transom_tests::wait::try_until;
use transom_tests::worker::rest::{Answer, Rest};
use transom_tests::{JavaWorker, Worker, kafka, unique};

const CONNECTORS: usize = 1_000;
/// How long a worker may create, and how long delete: then it is told how far it came.
const PATIENCE: Duration = Duration::from_secs(300);
/// Java with a heap that is enough, and all else as it comes.
const JAVA: &[&str] = &["-Xmx1g"];

/// What the requests are about.
struct Job<'a> {
    /// `STOPPED`, or `RUNNING` with a task each that has an empty file to read.
    state: &'a str,
    folder: &'a Path,
    topic: String,
}

impl Job<'_> {
    /// The answer of a worker that is not busy agreeing who does what.
    fn settled(ask: impl Fn() -> Answer) -> Answer {
        let busy = |answer: &Answer| answer.status == 409;
        let ended = try_until(PATIENCE, || {
            let answer = ask();
            if busy(&answer) { Err(answer.body.to_string()) } else { Ok(answer) }
        });
        ended.unwrap_or_else(|last| panic!("busy for ever: {last}"))
    }

    /// Does `act` with one number after the other, as long as there is patience; how many it did.
    fn each(count: usize, act: impl Fn(usize)) -> (usize, Duration) {
        let begun = Instant::now();
        let done = (0..count).take_while(|_| begun.elapsed() < PATIENCE).map(act).count();
        (done, begun.elapsed())
    }

    /// Waits until all are what they shall be; how long it took, or how many are not.
    fn await_states(&self, rest: &Rest, count: usize) -> String {
        let begun = Instant::now();
        let is = |part: &Value| part["state"] == self.state;
        let ready = |connector: &Value| {
            let tasks = connector["status"]["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
            let wanted = usize::from(self.state == "RUNNING");
            is(&connector["status"]["connector"]) && tasks.len() == wanted && tasks.iter().all(is)
        };
        let ended = try_until(PATIENCE, || {
            let all = rest.try_get("/connectors?expand=status")?;
            let behind = all.as_object().into_iter().flatten().filter(|(_, each)| !ready(each)).count();
            if behind == 0 { Ok(()) } else { Err(format!("{behind} of {count} are not after {PATIENCE:?}")) }
        });
        ended.err().unwrap_or_else(|| format!("{:.1?}", begun.elapsed()))
    }

    /// Prints the figures of one worker.
    fn measure(&self, who: &str, rest: &Rest, process: &Process) {
        let memory = || process.usage().unwrap().memory >> 20;
        let cpu = || process.usage().unwrap().cpu_ms as f64 / 1_000.0;
        let (idle, begun) = (memory(), cpu());
        let config = json!({
            "connector.class": "FileStreamSource", "file": self.folder.join("in.txt"), "topic": self.topic,
        });
        let (count, created) = Self::each(CONNECTORS, |number| {
            let body = json!({ "name": format!("c{number}"), "config": config, "initial_state": self.state });
            Self::settled(|| rest.post("/connectors", Some(&body))).expect(201);
        });
        let ready = self.await_states(rest, count);
        let full = memory();
        let lists = (0..5).map(|_| {
            let begun = Instant::now();
            let all = rest.get("/connectors?expand=status").expect(200);
            assert_eq!(all.as_object().unwrap().len(), count);
            begun.elapsed()
        });
        let mut lists: Vec<_> = lists.collect();
        lists.sort_unstable();
        let (gone, deleted) = Self::each(count, |number| {
            Self::settled(|| rest.delete(&format!("/connectors/c{number}"))).expect(204);
        });
        let mut text = format!("{who}, {count} connectors {}: ", self.state);
        let each = |time: Duration, count: usize| time / u32::try_from(count.max(1)).unwrap();
        write!(text, "created in {created:.1?} ({:.1?} each), ", each(created, count)).unwrap();
        write!(text, "all {} after another {ready}, ", self.state).unwrap();
        write!(text, "listed in {:.1?} (median of 5), ", lists[2]).unwrap();
        write!(text, "{gone} deleted in {deleted:.1?} ({:.1?} each); ", each(deleted, gone)).unwrap();
        write!(text, "{idle} MB before, {full} MB with them, {} MB after; ", memory()).unwrap();
        eprintln!("{text}{:.1} s of CPU", cpu() - begun);
    }
}

fn ours(job: &Job<'_>, mut worker: Worker, who: &str) {
    worker.install(&FILE_SOURCE).grant("file-source", job.folder, "");
    worker.start();
    worker.await_plugins(1);
    let rest = worker.rest().clone();
    job.measure(who, &rest, worker.process());
}

fn compare(state: &str) {
    let folder = Folder::new("thousand");
    fs::write(folder.path().join("in.txt"), "").unwrap();
    let job = Job { state, folder: folder.path(), topic: unique("thousand") };
    kafka().create_topic(&job.topic, 1, &[]);
    ours(&job, Worker::distributed(kafka(), &unique("thousand")), "Transom, distributed");
    ours(&job, Worker::new(kafka()), "Transom, standalone");
    let mut java = JavaWorker::distributed_with(JAVA, kafka(), &unique("thousand-java"), &[]);
    let rest = java.rest().clone();
    job.measure("Java, distributed", &rest, java.process());
}

#[test]
#[ignore = "a measurement"]
fn a_thousand_stopped_connectors_beside_javas() {
    compare("STOPPED");
}

#[test]
#[ignore = "a measurement"]
fn a_thousand_running_connectors_beside_javas() {
    compare("RUNNING");
}
