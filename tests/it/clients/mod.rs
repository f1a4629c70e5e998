//! A client library that knows nothing of Transom does all that it can, and sees what it sees of Kafka Connect.
//!
//! kafka-connect-py from PyPI: its programs `kc` and `kafka-connect`, one process a command, and its class
//! `KafkaConnect`. Each of [`steps`] is done to a real Java worker and to Transom at the same time; exit code and
//! output must be as the step says on both, and alike. So a fault of the client shows as one that both workers meet.

mod steps;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{fs, thread};

use regex::Regex;
use serde_json::{Value, json};
use transom_tests::guests::{FILE_SINK, FILE_SOURCE};
use transom_tests::process::{Folder, installed};
use transom_tests::wait::{LIMIT, try_until};
use transom_tests::worker::rest::Rest;
use transom_tests::{JavaWorker, Worker, kafka, unique, until};

use crate::differential::members;
use steps::{Like, STEPS};

/// Connectors that shall not wait long for offsets and groups.
const SETTINGS: &[(&str, &str)] = &[("offset.flush.interval.ms", "1000")];

/// What a step came to: an exit code, and what was printed, with the worker's own names taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    code: i32,
    output: String,
}

/// A worker, and the client before it.
struct Side<'a> {
    /// The folder with the client's programs.
    programs: &'a str,
    rest: &'a Rest,
    /// What `@` stands for.
    tag: String,
    folder: &'a Path,
}

impl Side<'_> {
    /// Does all steps; the outcome of each.
    fn run(&self) -> Vec<Outcome> {
        fs::write(self.folder.join("in.txt"), "one\ntwo\nthree\n").unwrap();
        fs::write(self.folder.join("config.json"), self.fill("{config}")).unwrap();
        let sink = json!({ "name": self.fill("@copy"), "config": {
            "connector.class": "FileStreamSink",
            "file": self.folder.join("out.txt"),
            "topics": self.fill("@topic"),
            "consumer.override.auto.offset.reset": "earliest",
        } });
        fs::write(self.folder.join("sink.json"), sink.to_string()).unwrap();
        kafka().create_topic(&self.fill("@topic"), 1, &[]);
        STEPS.iter().map(|(line, _, says, _)| self.step(line, says)).collect()
    }

    fn step(&self, line: &str, says: &str) -> Outcome {
        let words: Vec<String> = line.split(' ').map(|word| self.fill(word)).collect();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka_connect_py.py");
        match words[0].as_str() {
            "await" => self.await_state(&words[1], &words[2], words[3].parse().unwrap()),
            "topics" => self.await_topics(&words[1]),
            "call" => self.settled(says, &[&[script.to_owned(), self.rest.url().to_owned()], &words[1..]]),
            program => self.settled(says, &[&[format!("{}/{program}", self.programs)], &words[1..]]),
        }
    }

    /// The outcome; of a worker that is busy agreeing who does what, the first that is another.
    fn settled(&self, says: &str, words: &[&[String]]) -> Outcome {
        let words = words.concat();
        let ended = try_until(LIMIT, || {
            let outcome = self.outcome(&words);
            let busy = outcome.output.contains("409") && !says.contains("409");
            if busy { Err(outcome.output) } else { Ok(outcome) }
        });
        ended.unwrap_or_else(|output| Outcome { code: -1, output })
    }

    fn outcome(&self, words: &[String]) -> Outcome {
        let output = Command::new(format!("{}/python3", self.programs))
            .args(words)
            .env("KAFKA_CONNECT_URL", self.rest.url())
            .output()
            .expect("the client runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let text = text.trim();
        let text = serde_json::from_str::<Value>(text)
            .map_or_else(|_| text.to_owned(), |value| members(value).to_string());
        Outcome { code: output.status.code().unwrap_or(-1), output: self.blank(&text) }
    }

    fn await_state(&self, name: &str, state: &str, tasks: usize) -> Outcome {
        let path = name.replace(' ', "%20").replace('é', "%C3%A9");
        until(&format!("{name} to be {state}"), || {
            let status = self.rest.try_get(&format!("/connectors/{path}/status"))?;
            let all = status["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
            let there = status["connector"]["state"] == state && all.len() == tasks;
            if there && all.iter().all(|task| task["state"] == state) {
                Ok(())
            } else {
                Err(status.to_string())
            }
        });
        Outcome { code: 0, output: String::new() }
    }

    fn await_topics(&self, name: &str) -> Outcome {
        until(&format!("the topics of {name}"), || {
            let topics = self.rest.try_get(&format!("/connectors/{name}/topics"))?;
            if topics[name]["topics"] == json!([]) { Err(topics.to_string()) } else { Ok(()) }
        });
        Outcome { code: 0, output: String::new() }
    }

    fn fill(&self, text: &str) -> String {
        let config = json!({
            "connector.class": "FileStreamSource", "file": self.folder.join("in.txt"), "topic": "@topic",
            "batch.size": "7",
        });
        let new = Regex::new(r"\{new:([^}]*)\}").unwrap();
        let mut plain = config.clone();
        plain.as_object_mut().unwrap().remove("batch.size");
        new.replace_all(text, |found: &regex::Captures<'_>| {
            json!({ "name": &found[1], "config": plain }).to_string()
        })
        .replace("{config}", &config.to_string())
        .replace("{blank}", " ")
        .replace("{dir}", &self.folder.display().to_string())
        .replace('@', &self.tag)
    }

    fn blank(&self, text: &str) -> String {
        // Jetty has its own name for 500, the client prints whatever name comes.
        text.replace("500 Server Error: Server Error", "500 Server Error: Internal Server Error")
            .replace(&self.tag, "@")
            .replace(&self.folder.display().to_string(), "{dir}")
            .replace(self.rest.url().trim_start_matches("http://"), "{worker}")
    }
}

/// What keeps two outcomes of a step from being the right one.
fn complaint(step: &(&str, i32, &str, Like), java: &Outcome, ours: &Outcome) -> Option<&'static str> {
    let (_, code, says, like) = step;
    let passing = Regex::new(r#""(state|version)":("[^"]*"|null)"#).unwrap();
    let masked = |outcome: &Outcome| passing.replace_all(&outcome.output, "\"$1\":…").into_owned();
    let right = |outcome: &Outcome| outcome.code == *code && outcome.output.contains(says);
    let alike = match like {
        Like::Whole => java == ours,
        Like::Settling => masked(java) == masked(ours),
        Like::Code => true,
    };
    match (right(java), right(ours)) {
        (false, false) => Some("both are not as the step says"),
        (false, true) => Some("Java is not as the step says"),
        (true, false) => Some("Transom is not as the step says"),
        (true, true) if !alike => Some("they differ"),
        (true, true) => None,
    }
}

/// Every command and every method that the client has is among the steps.
fn assert_whole_surface(programs: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka_connect_py.py");
    let output = Command::new(format!("{programs}/python3")).arg(script).output().expect("the client runs");
    let surface: Value = serde_json::from_slice(&output.stdout).expect("a list of names");
    let used: BTreeSet<_> = STEPS
        .iter()
        .flat_map(|(line, ..)| {
            let (program, rest) = line.split_once(' ').unwrap();
            rest.split(' ').map(move |word| (program, word))
        })
        .collect();
    let mut count = 0;
    for program in ["kc", "call"] {
        for name in surface[program].as_array().unwrap() {
            let name = name.as_str().unwrap();
            assert!(used.contains(&(program, name)), "no step has: {program} {name}");
            count += 1;
        }
    }
    eprintln!("{count} commands and methods");
}

fn both(programs: &str) -> (Vec<Outcome>, Vec<Outcome>) {
    let folders = [Folder::new("clients-java"), Folder::new("clients-ours")];
    thread::scope(|scope| {
        let java = scope.spawn(|| {
            let worker = JavaWorker::distributed(kafka(), &unique("clients-java"), SETTINGS);
            Side { programs, rest: worker.rest(), tag: unique("xj"), folder: folders[0].path() }.run()
        });
        let ours = scope.spawn(|| {
            let mut worker = Worker::distributed(kafka(), &unique("clients"));
            worker.install(&FILE_SOURCE).install(&FILE_SINK);
            worker.grant("file-source", folders[1].path(), "").grant("file-sink", folders[1].path(), ":rw");
            for (key, value) in SETTINGS {
                worker.set(key, value);
            }
            worker.start();
            worker.await_plugins(2);
            Side { programs, rest: worker.rest(), tag: unique("xt"), folder: folders[1].path() }.run()
        });
        (java.join().expect("Java's side"), ours.join().expect("our side"))
    })
}

#[test]
#[ignore = "takes minutes"]
fn systems_kafka_connect_py_does_all_it_can() {
    let programs = installed("python-tool.sh", &["kafka-connect-py"]);
    assert_whole_surface(&programs);
    let (java, ours) = both(&programs);
    let mut report = String::new();
    for (step, (java, ours)) in STEPS.iter().zip(java.iter().zip(&ours)) {
        if let Some(why) = complaint(step, java, ours) {
            let (line, code, says, _) = step;
            writeln!(
                report,
                "{line}: {why}\n  step    {code} {says}\n  java    {} {}\n  transom {} {}",
                java.code, java.output, ours.code, ours.output
            )
            .unwrap();
        }
    }
    println!("{} steps", STEPS.len());
    assert!(report.is_empty(), "{report}");
}
