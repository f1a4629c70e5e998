//! The main job: the lines of a file through Kafka into another file, by one worker.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::json;

use crate::guests::{FILE_SINK, FILE_SOURCE};
use crate::worker::rest::Rest;
use crate::{Kafka, Worker, unique, until};

/// A worker with a file source and a file sink around one topic of one partition.
#[derive(Debug)]
pub struct FileJob {
    /// The worker, not started yet.
    pub worker: Worker,
    /// The topic between the two.
    pub topic: String,
    /// The name of the source connector.
    pub source: String,
    /// The name of the sink connector.
    pub sink: String,
    written: usize,
}

impl FileJob {
    /// Everything in its place, and nothing started.
    pub fn new(kafka: &Kafka) -> Self {
        Self::of(kafka, Worker::new(kafka))
    }

    /// The same with a worker of the cluster `group`, to be started and then told of the connectors.
    pub fn distributed(kafka: &Kafka, group: &str) -> Self {
        Self::of(kafka, Worker::distributed(kafka, group))
    }

    fn of(kafka: &Kafka, mut worker: Worker) -> Self {
        let (topic, source, sink) = (unique("lines"), unique("source"), unique("sink"));
        kafka.create_topic(&topic, 1, &[]);
        let data = worker.folder().join("data");
        fs::create_dir(&data).expect("a folder for data");
        let (input, output) = (data.join("in.txt"), data.join("out.txt"));
        worker
            .install(&FILE_SOURCE)
            .install(&FILE_SINK)
            .grant("file-source", &data, "")
            .grant("file-sink", &data, ":rw")
            .set("offset.flush.interval.ms", "200")
            .connector(
                &source,
                &[
                    ("connector.class", "FileStreamSource"),
                    ("file", &input.display().to_string()),
                    ("topic", &topic),
                ],
            )
            .connector(
                &sink,
                &[
                    ("connector.class", "FileStreamSink"),
                    ("file", &output.display().to_string()),
                    ("topics", &topic),
                    ("consumer.override.auto.offset.reset", "earliest"),
                ],
            );
        Self { worker, topic, source, sink, written: 0 }
    }

    /// Another worker of the same cluster, with the same plugins and grants; not started yet.
    pub fn another(&self, kafka: &Kafka, group: &str) -> Worker {
        let mut worker = Worker::distributed(kafka, group);
        let data = self.worker.folder().join("data");
        worker
            .install(&FILE_SOURCE)
            .install(&FILE_SINK)
            .grant("file-source", &data, "")
            .grant("file-sink", &data, ":rw")
            .set("offset.flush.interval.ms", "200");
        worker
    }

    /// Creates both connectors at a worker, Kafka Connect's own or ours, with these settings besides.
    ///
    /// # Panics
    /// When one is refused.
    pub fn create_at(&self, rest: &Rest, more: &[(&str, &str)]) {
        for name in [&self.source, &self.sink] {
            let config = self.worker.connector_config(name).into_iter();
            let more = more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            let config: BTreeMap<_, _> = config.chain(more).collect();
            rest.post("/connectors", Some(&json!({ "name": name, "config": config }))).expect(201);
        }
    }

    /// The file that is read.
    pub fn input(&self) -> PathBuf {
        self.worker.folder().join("data/in.txt")
    }

    /// The file that is written.
    pub fn output(&self) -> PathBuf {
        self.worker.folder().join("data/out.txt")
    }

    /// Appends lines, each with its number in front, and returns how many there are by now.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn append(&mut self, lines: usize) -> usize {
        let mut text = String::new();
        for number in self.written..self.written + lines {
            text.push_str(&line(number));
            text.push('\n');
        }
        let mut file =
            OpenOptions::new().create(true).append(true).open(self.input()).expect("the input can be opened");
        file.write_all(text.as_bytes()).expect("the input can be written");
        self.written += lines;
        self.written
    }

    /// Lines of the output so far.
    pub fn arrived(&self) -> usize {
        let output = fs::read(self.output()).unwrap_or_default();
        output.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Waits until the output has the last line that was appended.
    ///
    /// # Panics
    /// When it never does.
    #[track_caller]
    pub fn await_last_line(&self) {
        let last = format!("{}\n", line(self.written - 1));
        until("the last line to arrive", || {
            let output = fs::read(self.output()).unwrap_or_default();
            let arrived = output.iter().filter(|byte| **byte == b'\n').count();
            if output.ends_with(last.as_bytes()) {
                Ok(())
            } else {
                Err(format!("{arrived} lines of {}", self.written))
            }
        });
    }

    /// Checks that every line arrived whole and that the first arrivals are in order. Returns how many lines
    /// came more than once.
    ///
    /// # Panics
    /// When a line is missing, torn, or out of order.
    #[track_caller]
    pub fn check_output(&self) -> usize {
        let output = fs::read_to_string(self.output()).expect("the output is text");
        let mut next = 0;
        let mut repeated = 0;
        for text in output.lines() {
            let number: usize = text
                .split(' ')
                .next()
                .and_then(|number| number.parse().ok())
                .unwrap_or_else(|| panic!("a line that was never written: {text:?}"));
            assert_eq!(text, line(number), "a torn line");
            match number {
                n if n == next => next += 1,
                n if n < next => repeated += 1,
                n => panic!("line {n} came before line {next}"),
            }
        }
        assert_eq!(next, self.written, "lines are missing");
        repeated
    }
}

/// A real text: its lines differ in length, so that a torn or shifted one shows.
const TEXT: &str = include_str!("../../LICENSE");

/// Line by line, over and over, each behind its number.
fn line(number: usize) -> String {
    static LINES: LazyLock<Vec<&str>> = LazyLock::new(|| TEXT.lines().collect());
    format!("{number} {}", LINES[number % LINES.len()])
}
