//! A source that counts: record `n` of a task has the value `n` and moves its offset to `n + 1`.
//!
//! Beside the keys of `fault` and `connector`: `topic`; `partition`; `records`, after which it is idle;
//! `poll.records`, the size of a batch.

#![cfg(target_arch = "wasm32")]

#[path = "../../connector.rs"]
mod connector;
#[path = "../../fault.rs"]
mod fault;
#[path = "../../reach.rs"]
mod reach;
mod rubbish;

use std::cell::RefCell;
use std::thread;
use std::time::{Duration, Instant};

use bindings::exports::transom::connect::{plugin, source_task};
use bindings::transom::connect::types::Error;
use bindings::transom::connect::{host, source_context};
use fault::{Faults, error, key, manifest, parse};
use serde_json::{Value, json};
use transom_batch::{Format, Run, Writer};

mod bindings {
    #![allow(unsafe_code, unreachable_pub, clippy::allow_attributes_without_reason, reason = "generated")]
    wit_bindgen::generate!({ path: "../../../wit", world: "source-plugin" });
    use super::Plugin;
    export!(Plugin);
}

#[derive(Debug)]
struct Plugin;

#[derive(Debug)]
struct Task {
    faults: Faults,
    next: u64,
    writer: Writer,
}

thread_local! {
    static TASK: RefCell<Option<Task>> = const { RefCell::new(None) };
}

impl plugin::Guest for Plugin {
    fn describe() -> String {
        let keys = [
            key("topic", "STRING", json!("faulty")),
            key("records", "LONG", json!("9000000000")),
            key("poll.records", "INT", json!("100")),
        ];
        manifest("source", json!(keys))
    }
}

impl source_task::Guest for Plugin {
    fn open(config: String) -> Result<(), Error> {
        let mut faults = Faults::new(parse(&config)?);
        let fault = faults.call("open")?;
        let task = faults.text("transom.task").unwrap_or("0");
        let saved = source_context::offsets(&json!([{ "task": task }]).to_string());
        let saved: Value = serde_json::from_str(&saved.map_err(|e| error(1, e))?)
            .map_err(|e| error(2, format!("offsets are no JSON: {e}")))?;
        let next = match fault.as_deref() {
            Some("forgets") => 0,
            Some("skips") => saved[0]["next"].as_u64().map_or(0, |next| next + 1),
            _ => saved[0]["next"].as_u64().unwrap_or(0),
        };
        faults.journal(&format!("open {next}"));
        TASK.set(Some(Task { faults, next, writer: Writer::new() }));
        Ok(())
    }

    fn poll(max_records: u32, max_bytes: u32, max_wait_ms: u32) -> Result<Vec<u8>, Error> {
        with_task(|task| task.poll(max_records, max_bytes, max_wait_ms))
    }

    fn commit(offsets: String) -> Result<(), Error> {
        with_task(|task| {
            task.faults.call("commit")?;
            let saved: Value = serde_json::from_str(&offsets).map_err(|e| error(2, e.to_string()))?;
            host::metric("committed", saved[0]["offset"]["next"].as_f64().unwrap_or(-1.0));
            task.faults.journal(&format!("commit {offsets}"));
            Ok(())
        })
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
    fn poll(&mut self, max_records: u32, max_bytes: u32, max_wait_ms: u32) -> Result<Vec<u8>, Error> {
        let fault = self.faults.call("poll")?;
        let total = self.faults.number("records").unwrap_or(u64::MAX);
        let wanted = self.faults.number("poll.records").unwrap_or(100).min(u64::from(max_records));
        let count = wanted.min(total.saturating_sub(self.next));
        let harmless = fault.as_deref().is_none_or(|fault| ["late", "deaf", "no-marks"].contains(&fault));
        if count == 0 && harmless {
            match fault.as_deref() {
                Some("late") => wait(max_wait_ms + 3_000),
                Some("deaf") => thread::sleep(Duration::from_millis(max_wait_ms.into())),
                _ => wait(max_wait_ms),
            }
            return Ok(Vec::new());
        }
        if let Some(fault) = fault.as_deref().filter(|_| !harmless) {
            return self.rubbish(fault, max_records, max_bytes);
        }
        let batch = self.batch(count, fault.as_deref() != Some("no-marks"))?;
        self.next += count;
        self.faults.records += count;
        Ok(batch)
    }

    /// The next records, without taking them as sent.
    fn batch(&mut self, count: u64, marks: bool) -> Result<Vec<u8>, Error> {
        let refused = |e: transom_batch::WriteError| error(2, e.to_string());
        let topic = self.faults.text("topic").unwrap_or("faulty");
        let partition = self.faults.number("partition").and_then(|p| i32::try_from(p).ok());
        let run = Run {
            topic,
            partition,
            key_format: Format::String,
            value_format: Format::String,
            ..Run::default()
        };
        let task = self.faults.text("transom.task").unwrap_or("0");
        self.writer.run(&run).map_err(refused)?;
        for n in self.next..self.next + count {
            self.writer.push(Some(task.as_bytes()), Some(n.to_string().as_bytes()), None).map_err(refused)?;
            if !marks {
                continue;
            }
            let offset = json!({ "next": n + 1 }).to_string();
            self.writer.mark(&json!({ "task": task }).to_string(), &offset).map_err(refused)?;
        }
        Ok(self.writer.finish())
    }
}

/// Waits until somebody wants this call back, or the time is over.
fn wait(max_wait_ms: u32) {
    let end = Instant::now() + Duration::from_millis(max_wait_ms.into());
    while Instant::now() < end && !host::should_stop() {
        thread::sleep(Duration::from_millis(20));
    }
}
