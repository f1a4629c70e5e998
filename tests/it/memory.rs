//! Memory is bounded by budgets, whatever piles up in Kafka.

use std::fs;
use std::path::Path;

use transom_tests::guests::FAULTY_SINK;
use transom_tests::{Record, Worker, kafka, unique, until};

const MIB: u64 = 1 << 20;

/// Sinks of one worker, each with a group of its own.
const SINKS: usize = 100;
/// What all of them together may fetch ahead.
const PREFETCH: u64 = 64 * MIB;
/// Records that the sinks have taken before the backlog comes: what they leave behind is the fixed part.
const FIRST: u64 = 5_000;
/// The backlog of each sink. Fetched by all of them it is 300 MB of values, and in librdkafka, where a record
/// of a hundred bytes costs some five hundred, 1.5 GB.
const BACKLOG: u64 = 30_000;
/// No sink gets less than 256 KiB, and allocators keep what they were given once.
const SLACK: u64 = 64 * MIB;

fn records(count: u64) -> impl Iterator<Item = Record> {
    (0..count).map(|number| Record::of(format!("{number:0100}")))
}

/// Waits until every sink has taken this many records.
fn await_taken(worker: &Worker, sinks: &[String], records: u64) {
    until("every sink to take its records", || {
        let metrics = worker.metrics();
        let taken = |name: &String| {
            metrics.sum("transom_task_records_out_total", &[("connector", name)]).unwrap_or(0.0)
        };
        let behind: Vec<_> = sinks.iter().map(taken).filter(|taken| *taken < records as f64).collect();
        let least = behind.iter().copied().fold(f64::INFINITY, f64::min);
        if behind.is_empty() { Ok(()) } else { Err(format!("{} behind, one at {least}", behind.len())) }
    });
}

/// Adds sinks that take nothing while the file `gate` exists.
fn slow_sinks(topic: &str, gate: &Path, worker: &mut Worker) -> Vec<String> {
    let gate = gate.display().to_string();
    let config = [
        ("connector.class", "faulty-sink"),
        ("topics", topic),
        ("fault", "slow"),
        ("fault.at", "put"),
        ("fault.while", &gate),
        ("consumer.override.auto.offset.reset", "earliest"),
    ];
    let names: Vec<String> = (0..SINKS).map(|_| unique("slow")).collect();
    for name in &names {
        worker.connector(name, &config);
    }
    names
}

#[test]
fn a_hundred_sinks_with_a_backlog_stay_within_the_prefetch_budget() {
    let kafka = kafka();
    let topic = unique("backlog");
    kafka.create_topic(&topic, 1, &[]);
    kafka.produce(&topic, records(FIRST));
    let mut worker = Worker::new(kafka);
    let data = worker.folder().join("data");
    fs::create_dir(&data).unwrap();
    worker.install(&FAULTY_SINK).grant("faulty-sink", &data, "");
    worker.set("consumer.prefetch.max.bytes", &PREFETCH.to_string());
    let gate = data.join("gate");
    let sinks = slow_sinks(&topic, &gate, &mut worker);
    worker.start();
    await_taken(&worker, &sinks, FIRST);
    let fixed = worker.process().settled_memory();

    fs::write(&gate, "").unwrap();
    kafka.produce(&topic, records(BACKLOG));
    let held = worker.process().settled_memory();
    eprintln!("{SINKS} sinks: {} MiB, with a backlog {} MiB", fixed / MIB, held / MIB);
    assert!(
        held <= fixed + PREFETCH + SLACK,
        "{} MiB with a backlog, {} MiB without: more than the budget of {} MiB",
        held / MIB,
        fixed / MIB,
        PREFETCH / MIB
    );
    fs::remove_file(&gate).unwrap();
    await_taken(&worker, &sinks, FIRST + BACKLOG);
    assert!(worker.terminate().success());
}
