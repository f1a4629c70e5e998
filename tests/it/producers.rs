//! Producers are shared by tasks with equal settings: one task's trouble is not another's.

use std::collections::BTreeMap;

use transom_tests::guests::DATAGEN_SOURCE;
use transom_tests::{Kafka, Record, Worker, java, kafka, unique, until};

fn datagen(worker: &mut Worker, name: &str, topic: &str, more: &[(&str, &str)]) {
    let mut config = vec![("connector.class", "DatagenSource"), ("topic", topic)];
    config.extend_from_slice(more);
    worker.connector(name, &config);
}

fn delivered(worker: &Worker, connector: &str) -> f64 {
    worker.metrics().sum("transom_task_records_out_total", &[("connector", connector)]).unwrap_or(0.0)
}

/// Waits until a connector has delivered this many records more than now.
#[track_caller]
fn await_more(worker: &Worker, connector: &str, records: f64) {
    let before = delivered(worker, connector);
    until("records to be delivered", || {
        let now = delivered(worker, connector);
        if now >= before + records { Ok(()) } else { Err(format!("{now}, {before} before")) }
    });
}

#[test]
fn a_topic_without_a_leader_does_not_hold_up_its_neighbour() {
    let kafka = Kafka::start_private();
    let second = kafka.add_broker();
    kafka.create_topic_on(second, "leaderless");
    kafka.create_topic_on(1, "sound");
    let mut worker = Worker::new(&kafka);
    worker.install(&DATAGEN_SOURCE).set("producer.inflight.max.bytes", "1000000");
    datagen(&mut worker, "stuck", "leaderless", &[("rate", "5000")]);
    datagen(&mut worker, "undisturbed", "sound", &[("rate", "5000")]);
    worker.start();
    await_more(&worker, "stuck", 1_000.0);
    await_more(&worker, "undisturbed", 1_000.0);
    kafka.kill_broker(second);
    // Far more than the queue of one producer would hold of the other's records.
    await_more(&worker, "undisturbed", 50_000.0);
    let in_flight =
        worker.metrics().sum("transom_task_in_flight_bytes", &[("connector", "stuck")]).unwrap_or(0.0);
    assert!(in_flight <= 2_000_000.0, "{in_flight} bytes in flight, in spite of the budget");
    kafka.restart_broker(second);
    await_more(&worker, "stuck", 1_000.0);
}

#[test]
fn a_source_that_outruns_kafka_stays_within_its_budget_and_goes_on() {
    const BUDGET: u64 = 4_000_000;
    let kafka = Kafka::start_private();
    kafka.create_topic("slow", 1, &[]);
    let mut worker = Worker::new(&kafka);
    worker.install(&DATAGEN_SOURCE).set("producer.inflight.max.bytes", &BUDGET.to_string());
    datagen(&mut worker, "fast", "slow", &[]);
    worker.start();
    await_more(&worker, "fast", 20_000.0);
    kafka.pause_broker(1);
    let in_flight = |worker: &Worker| {
        worker.metrics().sum("transom_task_in_flight_bytes", &[("connector", "fast")]).unwrap_or(0.0) as u64
    };
    let before = worker.process().usage().unwrap().memory;
    until("the budget to be used up", || {
        let bytes = in_flight(&worker);
        if bytes >= BUDGET { Ok(()) } else { Err(format!("{bytes} bytes in flight")) }
    });
    let held = worker.process().settled_memory();
    // What is handed over at once may pass the budget; what librdkafka keeps for a record is an estimate.
    assert!(in_flight(&worker) < BUDGET + BUDGET / 4, "{} bytes in flight", in_flight(&worker));
    assert!(held < before + 4 * BUDGET, "{held} bytes of memory, {before} before the broker stood still");
    kafka.resume_broker(1);
    await_more(&worker, "fast", 100_000.0);
    assert!(worker.terminate().success());
    check_sequence(&kafka.read_all("slow"));
}

#[test]
fn a_topic_that_is_truncated_does_not_hold_up_its_neighbour() {
    let kafka = kafka();
    let (truncated, sound) = (unique("truncated"), unique("sound"));
    kafka.create_topic(&truncated, 1, &[]);
    kafka.create_topic(&sound, 1, &[]);
    let mut worker = Worker::new(kafka);
    worker.install(&DATAGEN_SOURCE);
    datagen(&mut worker, "cut", &truncated, &[("rate", "2000")]);
    datagen(&mut worker, "undisturbed", &sound, &[("rate", "2000")]);
    worker.start();
    for _ in 0..5 {
        await_more(&worker, "cut", 500.0);
        let end = kafka.end_offsets(&truncated)[0];
        kafka.delete_records(&truncated, 0, end);
        await_more(&worker, "undisturbed", 500.0);
    }
    await_more(&worker, "cut", 500.0);
    assert!(worker.terminate().success());
    check_sequence(&kafka.read_all(&sound));
}

/// The records of a datagen source with one partition carry consecutive numbers.
#[track_caller]
fn check_sequence(records: &[Record]) {
    for (expected, record) in records.iter().enumerate() {
        let number = record.text().split(' ').nth(1);
        assert_eq!(number, Some(expected.to_string().as_str()), "a gap, a repetition or a wrong order");
    }
}

#[test]
fn keys_go_where_java_sends_them() {
    let kafka = kafka();
    let (ours, javas) = (unique("ours"), unique("javas"));
    for topic in [&ours, &javas] {
        kafka.create_topic(topic, 7, &[]);
    }
    let mut worker = Worker::new(kafka);
    worker.install(&DATAGEN_SOURCE);
    datagen(&mut worker, "keys", &ours, &[("keys", "500"), ("total", "5000")]);
    worker.start();
    kafka.await_records(&ours, 5_000);
    let ours: BTreeMap<String, Option<i32>> =
        kafka.read_all(&ours).iter().map(|record| (record.key_text().to_owned(), record.partition)).collect();
    assert_eq!(ours.len(), 500);
    java::produce(kafka, &javas, ours.keys().map(|key| (key.as_str(), "value")));
    kafka.await_records(&javas, 500);
    for record in kafka.read_all(&javas) {
        assert_eq!(ours[record.key_text()], record.partition, "key {}", record.key_text());
    }
}
