//! A plugin can hurt only its own task (invariant 7): every way to misbehave ends in a FAILED task that
//! says why, and its neighbours do not notice.

mod side_by_side;
mod sinks;
mod sources;
mod versions;

use transom_tests::guests::{FAULTY_SINK, FAULTY_SOURCE};
use transom_tests::{Kafka, Worker, kafka, unique, until};

/// A way to misbehave: its settings, and what the trace of the failure must have.
struct Fault {
    what: &'static str,
    at: &'static str,
    more: &'static [(&'static str, &'static str)],
    trace: &'static [&'static str],
}

const fn fault(what: &'static str, at: &'static str, trace: &'static [&'static str]) -> Fault {
    Fault { what, at, more: &[], trace }
}

const fn fault_with(
    what: &'static str,
    at: &'static str,
    more: &'static [(&'static str, &'static str)],
    trace: &'static [&'static str],
) -> Fault {
    Fault { what, at, more, trace }
}

/// A worker with both faulty plugins, tight limits, and no second chance for a task.
fn worker(kafka: &Kafka) -> Worker {
    let mut worker = Worker::new(kafka);
    worker
        .install(&FAULTY_SOURCE)
        .install(&FAULTY_SINK)
        .set("task.restart.max", "0")
        .set("sandbox.default.call.timeout.ms", "1500")
        .set("sandbox.default.memory.max", "50331648");
    worker
}

/// Adds a connector with this fault, and returns its name.
fn add(worker: &mut Worker, class: &str, fault: &Fault, more: &[(&str, &str)]) -> String {
    let name = unique(&format!("{}-at-{}", fault.what, fault.at));
    let mut config = vec![("connector.class", class), ("fault", fault.what), ("fault.at", fault.at)];
    config.extend_from_slice(fault.more);
    config.extend_from_slice(more);
    worker.connector(&name, &config);
    name
}

#[track_caller]
fn check_trace(worker: &Worker, name: &str, fault: &Fault) {
    let trace = worker.await_failed(name);
    for part in fault.trace {
        assert!(trace.contains(part), "{name}: the trace does not say {part:?}:\n{trace}");
    }
}

/// Adds a well-behaved source that counts into a topic of its own, and returns its name and topic.
fn count(worker: &mut Worker, more: &[(&str, &str)]) -> (String, String) {
    let (name, topic) = (unique("counts"), unique("count"));
    kafka().create_topic(&topic, 1, &[]);
    let mut config = vec![("connector.class", "faulty-source"), ("topic", &topic), ("poll.records", "20")];
    config.extend_from_slice(more);
    worker.connector(&name, &config);
    (name, topic)
}

/// Waits until a topic has records that it has not now.
#[track_caller]
pub(super) fn await_more(kafka: &Kafka, topic: &str) {
    let before: i64 = kafka.end_offsets(topic).iter().sum();
    kafka.await_records(topic, before + 200);
}

/// The numbers that a faulty source has written into a topic of one partition.
fn numbers(kafka: &Kafka, topic: &str) -> Vec<u64> {
    kafka.read_lines(topic).iter().map(|line| line.parse().unwrap()).collect()
}

/// Checks that a source's numbers all arrived, the first arrivals in order, and returns how many came again.
#[track_caller]
pub(super) fn check_numbers(numbers: &[u64]) -> usize {
    let mut next = 0;
    for &number in numbers {
        assert!(number <= next, "{number} came before {next}");
        next = next.max(number + 1);
    }
    numbers.len() - usize::try_from(next).unwrap()
}

pub(super) fn lines(path: &std::path::Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[track_caller]
fn await_lines(path: &std::path::Path, count: usize) {
    until("lines to be written", || {
        let lines = lines(path).len();
        if lines >= count { Ok(()) } else { Err(format!("{lines} of {count} lines")) }
    });
}
