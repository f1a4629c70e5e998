//! A sink that writes what it gets: a line `topic partition offset key value` a record, to `file` if
//! there is one, durable at the next pre-commit.
//!
//! Beside the keys of `fault` and `connector`: `hold`, whether nothing is committed unless it must be;
//! `assign.seek`, offsets to seek to when partitions come; `put.timeout.ms`; `put.request.commit`;
//! `put.pause`, partitions to pause at the first put, and resume at the put `put.resume.after`.

#![cfg(target_arch = "wasm32")]

#[path = "../../connector.rs"]
mod connector;
#[path = "../../fault.rs"]
mod fault;
#[path = "../../reach.rs"]
mod reach;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::thread;
use std::time::Duration;

use bindings::exports::transom::connect::{plugin, sink_task};
use bindings::transom::connect::types::Error;
use bindings::transom::connect::{host, sink_context};
use fault::{Faults, error, key, manifest, parse};
use serde_json::{Value, json};
use transom_batch::{Batch, Failure, Limits, OutcomeWriter};

mod bindings {
    #![allow(unsafe_code, unreachable_pub, clippy::allow_attributes_without_reason, reason = "generated")]
    wit_bindgen::generate!({ path: "../../../wit", world: "sink-plugin" });
    use super::Plugin;
    export!(Plugin);
}

#[derive(Debug)]
struct Plugin;

#[derive(Debug)]
struct Task {
    faults: Faults,
    file: Option<File>,
    puts: u64,
    /// What `pre-commit` answered last.
    answered: Option<String>,
    /// Partitions that somebody else may own.
    lost: Vec<Value>,
}

thread_local! {
    static TASK: RefCell<Option<Task>> = const { RefCell::new(None) };
}

impl plugin::Guest for Plugin {
    fn describe() -> String {
        manifest("sink", json!([key("file", "STRING", json!(null)), key("hold", "BOOLEAN", json!("false"))]))
    }
}

impl sink_task::Guest for Plugin {
    fn open(config: String) -> Result<(), Error> {
        let mut faults = Faults::new(parse(&config)?);
        faults.call("open")?;
        let open = |path: &str| OpenOptions::new().append(true).create(true).open(path);
        let file = faults.text("file").map(open).transpose().map_err(|e| error(2, format!("file: {e}")))?;
        faults.journal("open");
        TASK.set(Some(Task { faults, file, puts: 0, answered: None, lost: Vec::new() }));
        Ok(())
    }

    fn assign(partitions: String) -> Result<(), Error> {
        with_task(|task| {
            task.faults.call("assign")?;
            if let Some(offsets) = task.faults.text("assign.seek") {
                sink_context::seek(offsets).map_err(|e| error(2, e))?;
            }
            task.faults.journal(&format!("assign {partitions}"));
            Ok(())
        })
    }

    fn revoke(partitions: String, lost: bool) -> Result<(), Error> {
        with_task(|task| {
            task.faults.call("revoke")?;
            if lost {
                let partitions: Value =
                    serde_json::from_str(&partitions).map_err(|e| error(2, e.to_string()))?;
                task.lost.extend(partitions.as_array().cloned().unwrap_or_default());
            }
            task.faults.journal(&format!("{} {partitions}", if lost { "lost" } else { "revoke" }));
            Ok(())
        })
    }

    fn put(batch: Vec<u8>) -> Result<Vec<u8>, Error> {
        with_task(|task| task.put(&batch))
    }

    fn pre_commit(offsets: String, reason: u32) -> Result<String, Error> {
        with_task(|task| task.pre_commit(offsets, reason))
    }

    fn close() {
        let closed = with_task(|task| {
            task.faults.call("close")?;
            task.faults.journal("close");
            Ok(())
        });
        if let Err(e) = closed {
            host::log(1, &e.message);
        }
    }
}

fn with_task<T>(act: impl FnOnce(&mut Task) -> Result<T, Error>) -> Result<T, Error> {
    TASK.with_borrow_mut(|task| act(task.as_mut().ok_or_else(|| error(2, "a call before open"))?))
}

impl Task {
    fn put(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        // The worker's own limits are what is tested here.
        let limits = Limits { bytes: usize::MAX, records: u32::MAX };
        let batch = Batch::parse(bytes, &limits).map_err(|e| error(2, e.to_string()))?;
        let fault = self.faults.call("put")?;
        self.misbehave(fault.as_deref().unwrap_or_default(), &batch)?;
        self.puts += 1;
        self.context_calls()?;
        let mut lines = String::new();
        let mut outcome = OutcomeWriter::new();
        for record in batch.records() {
            let text =
                |bytes: Option<&[u8]>| bytes.map_or("-".into(), |b| String::from_utf8_lossy(b).into_owned());
            let (topic, partition) = (record.run.topic, record.run.partition.unwrap_or(-1));
            let offset = record.offset.ok_or_else(|| error(2, "a record without offset"))?;
            if let Some(fault @ ("refuse" | "foreign-outcome")) = fault.as_deref() {
                let topic = if fault == "foreign-outcome" { "never-seen" } else { topic };
                let failure = Failure { topic, partition, offset, code: 3, message: "told to refuse it" };
                outcome.fail(failure).map_err(|e| error(2, e.to_string()))?;
            }
            let line = format!("{topic} {partition} {offset} {} {}", text(record.key), text(record.value));
            writeln!(lines, "{line}").expect("a string takes all");
        }
        if let Some(file) = &mut self.file {
            file.write_all(lines.as_bytes()).map_err(|e| error(1, format!("file: {e}")))?;
        }
        self.faults.records += batch.len() as u64;
        host::metric("records", self.faults.records as f64);
        if !batch.is_empty() {
            self.faults.journal(&format!("put {}", batch.len()));
        }
        Ok(match fault.as_deref() {
            Some("garbage") => vec![0xAB; 100],
            _ => outcome.finish(),
        })
    }

    fn misbehave(&mut self, fault: &str, batch: &Batch<'_>) -> Result<(), Error> {
        match fault {
            "empty-panics" => assert!(!batch.is_empty(), "told to panic at an empty batch"),
            "null-panics" => {
                assert!(batch.records().all(|record| record.value.is_some()), "told to panic at a null");
            }
            "deaf" => self.dawdle(batch.len() as u64),
            "once" => return self.once(batch),
            _ => {}
        }
        Ok(())
    }

    /// Waits for a word from the worker, and then takes its time.
    fn dawdle(&self, records: u64) {
        if records < self.faults.number("fault.batch").unwrap_or(1) {
            return;
        }
        for _ in 0..30 {
            thread::sleep(Duration::from_millis(10));
            if host::should_stop() {
                return thread::sleep(Duration::from_secs(5));
            }
        }
    }

    /// Remembers outside how far each partition was, and takes nothing twice.
    fn once(&self, batch: &Batch<'_>) -> Result<(), Error> {
        let file = self.faults.text("fault.file").unwrap_or_default();
        let seen = std::fs::read_to_string(file).unwrap_or_default();
        let mut seen: Value = serde_json::from_str(&seen).unwrap_or_else(|_| json!({}));
        for record in batch.records() {
            let partition = record.run.partition.unwrap_or(-1).to_string();
            if record.offset <= seen[&partition].as_i64() {
                return Err(error(2, "told to take no record twice"));
            }
            seen[partition] = json!(record.offset);
        }
        std::fs::write(file, seen.to_string()).map_err(|e| error(2, format!("{file}: {e}")))
    }

    fn context_calls(&mut self) -> Result<(), Error> {
        if let Some(ms) = self.faults.number("put.timeout.ms") {
            sink_context::timeout(u32::try_from(ms).map_err(|e| error(4, e.to_string()))?);
        }
        if self.faults.text("put.request.commit") == Some("true") {
            sink_context::request_commit();
        }
        if let Some(partitions) = self.faults.text("put.pause") {
            if self.puts == 1 {
                sink_context::pause(partitions);
            } else if Some(self.puts) == self.faults.number("put.resume.after") {
                sink_context::resume(partitions);
            }
        }
        Ok(())
    }

    /// Beside the offsets one of each partition that was lost.
    fn with_lost(&self, offsets: &str) -> Result<String, Error> {
        let mut all: Vec<Value> = serde_json::from_str(offsets).map_err(|e| error(2, e.to_string()))?;
        for mut partition in self.lost.iter().cloned() {
            partition["offset"] = json!(1);
            all.push(partition);
        }
        Ok(json!(all).to_string())
    }

    fn pre_commit(&mut self, offsets: String, reason: u32) -> Result<String, Error> {
        const SWAP: u32 = 5;
        const REVOKE: u32 = 3;
        let fault = self.faults.call("pre-commit")?;
        if let Some(file) = &self.file {
            file.sync_all().map_err(|e| error(1, format!("file: {e}")))?;
        }
        self.faults.journal(&format!("pre-commit {reason} {offsets}"));
        let forced = (REVOKE..=SWAP).contains(&reason);
        let before = self.answered.replace(offsets.clone());
        Ok(match fault.as_deref() {
            None if self.faults.text("hold") == Some("true") && !forced => String::new(),
            None => offsets,
            Some("none") => String::new(),
            Some("backwards") => backwards(before, &offsets)?,
            Some("names-lost") => self.with_lost(&offsets)?,
            Some("beyond") => beyond(&offsets)?,
            Some("foreign") => r#"[{"topic":"never-seen","partition":0,"offset":1}]"#.to_owned(),
            Some(_) => "[{".to_owned(),
        })
    }
}

/// Half of what was answered last.
fn backwards(before: Option<String>, offsets: &str) -> Result<String, Error> {
    let Some(before) = before else { return Ok(offsets.to_owned()) };
    let mut all: Vec<Value> = serde_json::from_str(&before).map_err(|e| error(2, e.to_string()))?;
    for one in &mut all {
        one["offset"] = json!(one["offset"].as_i64().unwrap_or(0) / 2);
    }
    Ok(json!(all).to_string())
}

/// More than was put.
fn beyond(offsets: &str) -> Result<String, Error> {
    let mut all: Vec<serde_json::Value> =
        serde_json::from_str(offsets).map_err(|e| error(2, e.to_string()))?;
    for one in &mut all {
        one["offset"] = json!(one["offset"].as_i64().unwrap_or(0) + 1_000_000);
    }
    Ok(json!(all).to_string())
}
