//! The host's test double: what the contract's imports do in a native test.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::{KafkaOffset, Position, TopicPartition};

#[derive(Debug, Default)]
struct Double {
    logs: Vec<(log::Level, String)>,
    metrics: BTreeMap<String, f64>,
    secrets: BTreeMap<String, String>,
    should_stop: bool,
    reconfigurations: usize,
    stored: Vec<Position>,
    seeks: Vec<KafkaOffset>,
    paused: BTreeSet<TopicPartition>,
    commit_requests: usize,
    timeout: Option<Duration>,
}

thread_local!(static DOUBLE: RefCell<Double> = RefCell::default());

fn with<R>(call: impl FnOnce(&mut Double) -> R) -> R {
    DOUBLE.with_borrow_mut(call)
}

/// For a new test.
pub(crate) fn reset() {
    with(|double| *double = Double::default());
    super::exchange::reset();
    crate::logger::install();
}

/// Makes a source partition's offset durable.
pub(super) fn store(position: Position) {
    with(|double| {
        double.stored.retain(|stored| stored.partition != position.partition);
        double.stored.push(position);
    });
}

/// What was logged, oldest first.
pub fn logs() -> Vec<(log::Level, String)> {
    with(|double| double.logs.clone())
}

/// The gauges, by name.
pub fn metrics() -> BTreeMap<String, f64> {
    with(|double| double.metrics.clone())
}

/// Grants a secret.
pub fn set_secret(name: &str, value: &str) {
    with(|double| {
        double.secrets.insert(name.into(), value.into());
    });
}

/// What [`should_stop`](crate::should_stop) answers from now on; false in the beginning.
pub fn set_should_stop(stop: bool) {
    with(|double| double.should_stop = stop);
}

/// How often the plugin asked to plan the tasks anew.
pub fn reconfigurations() -> usize {
    with(|double| double.reconfigurations)
}

/// Where the sink went on reading, oldest first.
pub fn seeks() -> Vec<KafkaOffset> {
    with(|double| double.seeks.clone())
}

/// The partitions that the sink has paused.
pub fn paused() -> BTreeSet<TopicPartition> {
    with(|double| double.paused.clone())
}

/// How often the sink asked for a commit.
pub fn commit_requests() -> usize {
    with(|double| double.commit_requests)
}

/// When the sink asked to be called last.
pub fn requested_timeout() -> Option<Duration> {
    with(|double| double.timeout)
}

// The contract's imports.

pub(crate) fn log(level: u32, message: &str) {
    let level = match level {
        1 => log::Level::Error,
        2 => log::Level::Warn,
        3 => log::Level::Info,
        4 => log::Level::Debug,
        _ => log::Level::Trace,
    };
    with(|double| double.logs.push((level, message.into())));
}

pub(crate) fn should_stop() -> bool {
    with(|double| double.should_stop)
}

pub(crate) fn secret(name: &str) -> Result<String, String> {
    let value = with(|double| double.secrets.get(name).cloned());
    value.ok_or_else(|| format!("the secret {name} is not granted: see `testing::set_secret`"))
}

pub(crate) fn metric(name: &str, value: f64) {
    with(|double| {
        double.metrics.insert(name.into(), value);
    });
}

pub(crate) fn request_reconfiguration() {
    with(|double| double.reconfigurations += 1);
}

pub(crate) fn offsets(partitions: &str) -> Result<String, String> {
    let asked: Vec<Value> = serde_json::from_str(partitions).map_err(|error| error.to_string())?;
    let offset = |double: &Double, partition: &Value| {
        double.stored.iter().find(|stored| stored.partition == *partition).map(|stored| stored.offset.clone())
    };
    let offsets: Vec<Option<Value>> = with(|double| asked.iter().map(|p| offset(double, p)).collect());
    serde_json::to_string(&offsets).map_err(|error| error.to_string())
}

pub(crate) fn seek(offsets: &str) -> Result<(), String> {
    let offsets: Vec<KafkaOffset> = serde_json::from_str(offsets).map_err(|error| error.to_string())?;
    with(|double| double.seeks.extend(offsets));
    Ok(())
}

pub(crate) fn pause(partitions: &str) {
    with(|double| double.paused.extend(parse(partitions)));
}

pub(crate) fn resume(partitions: &str) {
    let resumed = parse(partitions);
    with(|double| double.paused.retain(|partition| !resumed.contains(partition)));
}

pub(crate) fn request_commit() {
    with(|double| double.commit_requests += 1);
}

pub(crate) fn timeout(ms: u32) {
    with(|double| double.timeout = Some(Duration::from_millis(ms.into())));
}

fn parse(partitions: &str) -> Vec<TopicPartition> {
    serde_json::from_str(partitions).expect("the SDK writes what it reads")
}
