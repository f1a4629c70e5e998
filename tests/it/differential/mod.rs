//! Transom and Kafka Connect are asked the same, and answer the same.
//!
//! The scripts beside this file are sent, request by request, to a real Java worker (distributed: the reference)
//! and to Transom, standalone and distributed, at the same time and on the same broker. Status, headers and bodies
//! are compared after [`side`] has taken out what differs between any two workers. What is left must stand in the
//! table of [`known`], with its reason; and every row of it must be of use.
//!
//! `TRANSOM_TEST_TRANSCRIPT=<file>` writes all requests with both answers.

mod definitions;
mod known;
mod script;
mod side;

use std::fmt::Write as _;
use std::{env, fs, thread};

use transom_tests::guests::{FILE_SINK, FILE_SOURCE};
use transom_tests::process::Folder;
use transom_tests::worker::rest::Rest;
use transom_tests::{JavaWorker, Worker, kafka, unique};

use known::KNOWN;
use script::{Step, What};
pub(crate) use side::members;
use side::{Seen, Side};

macro_rules! scripts {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!($name))),*] };
}

/// In this order.
const SCRIPTS: &[(&str, &str)] = scripts![
    "root.http",
    "connectors.http",
    "names.http",
    "config.http",
    "state.http",
    "source_offsets.http",
    "sink_offsets.http",
    "topics.http",
    "json.http",
    "life.http",
    "plugins.http",
    "validate.http",
    "loggers.http",
    "protocol.http",
    "odd_names.http",
];

/// Settings of both workers.
const SETTINGS: &[(&str, &str)] = &[
    ("offset.flush.interval.ms", "1000"),
    ("access.control.allow.origin", "http://good.example"),
    ("access.control.allow.methods", "GET,PUT"),
];

/// An aspect in which two answers differ.
struct Difference<'a> {
    step: &'a Step,
    request: String,
    aspect: String,
    java: String,
    ours: String,
}

#[test]
fn java_and_transom_answer_alike() {
    let steps: Vec<Step> = SCRIPTS.iter().flat_map(|(file, text)| script::read(file, text)).collect();
    let requests = steps.iter().filter(|step| matches!(step.what, What::Request { .. })).count();
    assert!(requests >= 200, "{requests} requests");
    let [java, standalone, distributed] = all(&steps);
    if let Some(file) = env::var_os("TRANSOM_TEST_TRANSCRIPT") {
        fs::write(file, transcript(&steps, [&java, &standalone, &distributed])).unwrap();
    }
    let mut used = KNOWN.map(|row| vec![0; row.differences.len()]);
    let mut report = String::new();
    for (mode, ours) in [("standalone", &standalone), ("distributed", &distributed)] {
        let answers = steps.iter().zip(java.iter().zip(ours));
        for difference in answers.flat_map(|(step, (java, ours))| compare(step, java, ours)) {
            if let Some((row, pattern)) = known::row_of(&difference) {
                used[row][pattern] += 1;
                continue;
            }
            let Difference { step, request, aspect, java, ours } = difference;
            writeln!(report, "{} {request}\n  {aspect}\n    java    {java}", step.at).unwrap();
            writeln!(report, "    transom {ours} ({mode})").unwrap();
        }
    }
    for (row, used) in KNOWN.iter().zip(&used) {
        for (pattern, _) in row.differences.iter().zip(used).filter(|(_, used)| **used == 0) {
            writeln!(report, "nothing is explained any more by {pattern:?} of: {}", row.why).unwrap();
        }
    }
    println!("{requests} requests, differences by row of the table: {used:?}");
    assert!(report.is_empty(), "Java and Transom differ:\n{report}");
}

/// Sends everything to all of them at the same time.
fn all(steps: &[Step]) -> [Vec<Option<Seen>>; 3] {
    let kafka = kafka();
    let java = || {
        let folder = Folder::new("differential-java");
        let worker = JavaWorker::distributed(kafka, &unique("differential"), SETTINGS);
        side(worker.rest(), "xj0", &folder).run(steps)
    };
    let distributed = || Worker::distributed(kafka, &unique("differential-ours"));
    thread::scope(|scope| {
        let sides = [
            scope.spawn(java),
            scope.spawn(|| ours(Worker::new(kafka), "xt0", steps)),
            scope.spawn(move || ours(distributed(), "xd0", steps)),
        ];
        sides.map(|side| side.join().expect("a side"))
    })
}

fn ours(mut worker: Worker, tag: &str, steps: &[Step]) -> Vec<Option<Seen>> {
    let folder = Folder::new("differential-ours");
    worker.install(&FILE_SOURCE).install(&FILE_SINK);
    worker.grant("file-source", folder.path(), "").grant("file-sink", folder.path(), ":rw");
    // As Java's without a configuration of log4j.
    worker.environment("TRANSOM_LOG", "error");
    for (key, value) in SETTINGS {
        worker.set(key, value);
    }
    worker.start();
    worker.await_plugins(2);
    side(worker.rest(), tag, &folder).run(steps)
}

fn side(rest: &Rest, tag: &str, folder: &Folder) -> Side {
    let port = rest.url().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let versions = if tag == "xj0" { &["4.1.1"][..] } else { &["4.1.1", "0.1.0"] };
    Side { port, tag: tag.to_owned(), folder: folder.path().to_owned(), versions }
}

fn compare<'a>(step: &'a Step, java: &Option<Seen>, ours: &Option<Seen>) -> Vec<Difference<'a>> {
    let none = Seen { aspects: vec![("status".to_owned(), "as awaited".to_owned())], raw: String::new() };
    let (java, ours) = (java.as_ref().unwrap_or(&none), ours.as_ref().unwrap_or(&none));
    let request = match &step.what {
        What::Request { line, .. } => line.clone(),
        What::Await { path, text, there } => format!("await {path} {text} {there}"),
        What::Lines { .. } => String::new(),
    };
    let of = |seen: &Seen, aspect: &str| {
        seen.aspects
            .iter()
            .find(|(name, _)| name == aspect)
            .map_or_else(|| "-".to_owned(), |(_, text)| text.clone())
    };
    let mut names: Vec<&String> = java.aspects.iter().chain(&ours.aspects).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    let both_told = of(java, "body") == of(ours, "body") || of(java, "status") == of(ours, "status");
    names
        .into_iter()
        .map(|aspect| Difference {
            step,
            request: request.clone(),
            aspect: aspect.clone(),
            java: of(java, aspect),
            ours: of(ours, aspect),
        })
        .filter(|difference| difference.java != difference.ours)
        // Where only one had something to tell of keys, the bodies say so.
        .filter(|difference| both_told || !definitions::is_told(&difference.aspect))
        .collect()
}

fn transcript(steps: &[Step], sides: [&[Option<Seen>]; 3]) -> String {
    let mut text = String::new();
    for (number, step) in steps.iter().enumerate() {
        let raw = |side: usize| sides[side][number].as_ref().map_or("", |seen| seen.raw.as_str());
        writeln!(text, "{} {:?}\n  J {}\n  T {}\n  D {}", step.at, step.what, raw(0), raw(1), raw(2))
            .unwrap();
    }
    text
}
