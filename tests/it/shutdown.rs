//! How a worker ends: in good order within its time, and saying what it waits for; at once when told twice.
//! Either way nothing that was acknowledged is lost (invariant 6).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use transom_tests::guests::{DATAGEN_SOURCE, FAULTY_SINK, FAULTY_SOURCE};
use transom_tests::{Kafka, Record, Worker, kafka, unique, until};

const GRACE: &str = "task.shutdown.graceful.timeout.ms";
/// Far more than a grace of a second, far less than the calls that outlast it.
const SOON: Duration = Duration::from_secs(15);

/// A worker whose plugins may write into a folder, and that folder.
fn worker(kafka: &Kafka) -> (Worker, PathBuf) {
    let mut worker = Worker::new(kafka);
    let data = worker.folder().join("data");
    fs::create_dir(&data).unwrap();
    worker.install(&FAULTY_SINK).install(&FAULTY_SOURCE).install(&DATAGEN_SOURCE);
    worker.grant("faulty-sink", &data, ":rw").set("offset.flush.interval.ms", "200");
    (worker, data)
}

fn topic_with(kafka: &Kafka, records: usize) -> String {
    let topic = unique("ends");
    kafka.create_topic(&topic, 1, &[]);
    kafka.produce(&topic, (0..records).map(|n| Record::of(n.to_string())));
    topic
}

/// Adds a sink into the file `out` whose puts sleep so long while the file `slow` exists.
fn slow_sink(worker: &mut Worker, data: &Path, topic: &str, ms: &str) -> String {
    let name = unique("slow");
    let (out, slow) = (data.join("out").display().to_string(), data.join("slow"));
    fs::write(&slow, "").unwrap();
    let config = [
        ("connector.class", "faulty-sink"),
        ("topics", topic),
        ("file", &out),
        ("fault", "slow"),
        ("fault.at", "put"),
        ("fault.ms", ms),
        ("fault.while", &slow.display().to_string()),
        ("consumer.override.auto.offset.reset", "earliest"),
    ];
    worker.connector(&name, &config);
    name
}

/// Waits until a sink has been given records and has not taken them yet.
fn await_put(worker: &Worker, sink: &str) {
    until("a put to be under way", || {
        let sum = |name| worker.metrics().sum(name, &[("connector", sink)]).unwrap_or(0.0);
        let (given, taken) = (sum("transom_task_records_in_total"), sum("transom_task_records_out_total"));
        if given > taken { Ok(()) } else { Err(format!("{taken} of {given} taken")) }
    });
}

/// Waits until records wait for a broker that stands still.
fn await_in_flight(worker: &Worker) {
    until("records to be in flight", || {
        let in_flight = worker.metrics().sum("transom_task_in_flight_records", &[]).unwrap_or(0.0);
        if in_flight > 1_000.0 { Ok(()) } else { Err(format!("{in_flight}")) }
    });
}

/// The values that a faulty sink has written, in their order.
fn values(data: &Path) -> Vec<usize> {
    let out = fs::read_to_string(data.join("out")).unwrap_or_default();
    out.lines().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
}

fn await_values(data: &Path, last: usize) {
    until("the last record", || match values(data).last() {
        Some(value) if *value == last => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn a_signal_lets_a_slow_sink_finish_and_says_what_it_waits_for() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut worker, data) = worker(kafka());
        let topic = topic_with(kafka(), 1_000);
        worker.set(GRACE, "60000");
        let sink = slow_sink(&mut worker, &data, &topic, "3000");
        worker.start();
        await_put(&worker, &sink);
        worker.process().signal(signal);
        worker.await_log(&["stopping: waiting for the call of the plugin", &sink]);
        assert_eq!(worker.wait().code(), Some(0), "{signal:?} ends it in good order");
        let taken = values(&data).len();
        assert!(taken > 0, "the put was finished");
        let committed = kafka().committed(&format!("connect-{sink}"), &topic);
        assert_eq!(committed, [Some(taken as i64)], "and committed");

        fs::remove_file(data.join("slow")).unwrap();
        worker.start();
        await_values(&data, 999);
        assert_eq!(values(&data), (0..1_000).collect::<Vec<_>>(), "none missing, none twice");
    }
}

#[test]
fn a_task_that_takes_too_long_is_dropped_in_time_and_loses_nothing() {
    let (mut worker, data) = worker(kafka());
    let topic = topic_with(kafka(), 100);
    worker.set(GRACE, "1000");
    let sink = slow_sink(&mut worker, &data, &topic, "25000");
    worker.start();
    await_put(&worker, &sink);
    let begun = Instant::now();
    assert_eq!(worker.terminate().code(), Some(0));
    assert!(begun.elapsed() < SOON, "it took {:?}", begun.elapsed());
    worker.await_log(&["did not stop in time", "the call of the plugin", &sink]);
    fs::remove_file(data.join("slow")).unwrap();
    worker.start();
    await_values(&data, 99);
    assert_eq!(values(&data), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_connector_that_is_still_planning_does_not_delay_the_end() {
    let (mut worker, _) = worker(kafka());
    worker.set(GRACE, "1000");
    let name = unique("plans");
    let config = [
        ("connector.class", "faulty-source"),
        ("topic", "never-written"),
        ("fault", "sleep"),
        ("fault.at", "task-configs"),
    ];
    worker.connector(&name, &config);
    worker.start();
    until("the connector to be there", || worker.rest().try_get(&format!("/connectors/{name}")));
    let begun = Instant::now();
    assert_eq!(worker.terminate().code(), Some(0));
    assert!(begun.elapsed() < SOON, "it took {:?}", begun.elapsed());
    worker.await_log(&["stopping", "not waited for", &name]);
}

#[test]
fn what_is_in_flight_to_a_broker_that_stands_still_is_waited_for_and_not_lost() {
    let kafka = Kafka::start_private();
    kafka.create_topic("stands", 1, &[]);
    let (mut worker, _) = worker(&kafka);
    worker.set(GRACE, "2500");
    worker.connector("load", &[("connector.class", "DatagenSource"), ("topic", "stands"), ("rate", "20000")]);
    worker.start();
    kafka.await_records("stands", 20_000);
    kafka.pause_broker(1);
    await_in_flight(&worker);
    let begun = Instant::now();
    assert_eq!(worker.terminate().code(), Some(0));
    assert!(begun.elapsed() < SOON, "it took {:?}", begun.elapsed());
    worker.await_log(&["stopping: waiting for", "records in flight to be acknowledged"]);
    worker.await_log(&["did not stop in time", "records in flight to be acknowledged"]);
    kafka.resume_broker(1);
    let before = kafka.end_offsets("stands")[0];
    worker.start();
    kafka.await_records("stands", before + 20_000);
    assert!(worker.terminate().success());
    check_numbers(&kafka, "stands");
}

#[test]
fn a_second_signal_ends_it_at_once_and_loses_nothing_that_was_acknowledged() {
    const ROUNDS: usize = 6;
    let kafka = Kafka::start_private();
    let (loaded, sunk) = (unique("loaded"), topic_with(&kafka, 100));
    kafka.create_topic(&loaded, 1, &[]);
    let (mut worker, data) = worker(&kafka);
    worker.set(GRACE, "60000");
    worker.connector("load", &[("connector.class", "DatagenSource"), ("topic", &loaded), ("rate", "20000")]);
    // Its put outlasts everything here.
    let sink = slow_sink(&mut worker, &data, &sunk, "25000");
    for round in 0..ROUNDS {
        let before = kafka.end_offsets(&loaded)[0];
        worker.start();
        kafka.await_records(&loaded, before + 5_000);
        await_put(&worker, &sink);
        // What it sends from now on is not acknowledged while it lives.
        kafka.pause_broker(1);
        await_in_flight(&worker);
        let (signal, code) = if round % 2 == 0 { (Signal::TERM, 143) } else { (Signal::INT, 130) };
        let said = worker.log().matches("a second signal ends the worker at once").count();
        worker.process().signal(Signal::TERM);
        until("the first signal to be noticed", || {
            let now = worker.log().matches("a second signal ends the worker at once").count();
            if now > said { Ok(()) } else { Err(String::new()) }
        });
        let begun = Instant::now();
        worker.process().signal(signal);
        assert_eq!(worker.wait().code(), Some(code));
        assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
        kafka.resume_broker(1);
    }
    fs::remove_file(data.join("slow")).unwrap();
    let before = kafka.end_offsets(&loaded)[0];
    worker.start();
    await_values(&data, 99);
    kafka.await_records(&loaded, before + 5_000);
    assert!(worker.terminate().success());
    assert_eq!(values(&data), (0..100).collect::<Vec<_>>());
    check_numbers(&kafka, &loaded);
}

/// Checks that the numbers of a datagen source with one partition are all there, the first arrivals in order.
#[track_caller]
fn check_numbers(kafka: &Kafka, topic: &str) {
    let mut next = 0;
    for record in kafka.read_all(topic) {
        let number: u64 = record.text().split(' ').nth(1).unwrap().parse().unwrap();
        assert!(number <= next, "{number} came before {next}");
        next = next.max(number + 1);
    }
}
