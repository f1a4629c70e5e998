//! Figures, not tests: run by hand, with the release build, on a machine that does nothing else.
//!
//! `TRANSOM_BIN=target/release/transom cargo test -p transom-tests --test it speed -- --ignored --nocapture \
//!  --test-threads=1`

use std::time::{Duration, Instant};

use transom_tests::guests::{BLACKHOLE_SINK, DATAGEN_SOURCE, FILE_SINK, FILE_SOURCE};
use transom_tests::process::Usage;
use transom_tests::{Worker, kafka, unique, until};

const RECORDS: u64 = 3_000_000;
const SWAPS: usize = 20;

/// Waits until a counter of a connector has reached a number.
fn await_counter(worker: &Worker, name: &str, connector: &str, wanted: u64) {
    until("records to pass", || {
        let now = worker.metrics().sum(name, &[("connector", connector)]).unwrap_or(0.0);
        if now >= wanted as f64 { Ok(()) } else { Err(now.to_string()) }
    });
}

fn report(what: &str, took: Duration, before: Usage, after: Usage) {
    eprintln!(
        "{what}: {:.0} records/s, {:.2} us CPU a record, {} MiB resident",
        RECORDS as f64 / took.as_secs_f64(),
        (after.cpu_ms - before.cpu_ms) as f64 * 1000.0 / RECORDS as f64,
        after.memory >> 20
    );
}

/// The same by librdkafka alone, in this process.
fn alone(what: &str, run: impl FnOnce()) {
    let (before, begun) = (Usage::own().unwrap(), Instant::now());
    run();
    report(what, begun.elapsed(), before, Usage::own().unwrap());
}

#[test]
#[ignore = "a measurement"]
fn records_a_second_of_a_source_and_a_sink() {
    let kafka = kafka();
    let topic = unique("speed");
    kafka.create_topic(&topic, 1, &[]);
    let mut worker = Worker::new(kafka);
    worker.install(&DATAGEN_SOURCE).install(&BLACKHOLE_SINK).start();
    // Both plugins are compiled before the clock runs.
    worker.await_plugins(2);
    let total = RECORDS.to_string();
    let source = [("connector.class", "DatagenSource"), ("topic", &topic), ("total", &total)];
    let sink = [("connector.class", "BlackholeSink"), ("topics", &topic)];
    for (name, config, counter) in [
        ("source", &source[..], "transom_task_records_out_total"),
        ("sink", &sink[..], "transom_task_records_out_total"),
    ] {
        let config: serde_json::Map<_, _> =
            config.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
        let before = worker.process().usage().unwrap();
        let begun = Instant::now();
        worker.rest().put(&format!("/connectors/{name}/config"), Some(&config.into())).expect(201);
        await_counter(&worker, counter, name, RECORDS);
        let took = begun.elapsed();
        report(name, took, before, worker.process().usage().unwrap());
    }
    assert_eq!(kafka.end_offsets(&topic).iter().sum::<i64>(), RECORDS as i64);
    let topic = unique("alone");
    kafka.create_topic(&topic, 1, &[]);
    alone("librdkafka alone, producing", || kafka.produce_alone(&topic, RECORDS, &[b'x'; 100]));
    alone("librdkafka alone, consuming", || kafka.consume_alone(&topic, RECORDS));
}

#[test]
#[ignore = "a measurement"]
fn time_to_the_first_answer_and_idle_memory() {
    let mut worker = Worker::new(kafka());
    worker.install(&DATAGEN_SOURCE).install(&BLACKHOLE_SINK).install(&FILE_SOURCE).install(&FILE_SINK);
    worker.start();
    worker.await_plugins(4);
    let mut times: Vec<Duration> = (0..10)
        .map(|_| {
            assert!(worker.terminate().success());
            let begun = Instant::now();
            worker.launch();
            while worker.rest().try_get("/").is_err() {}
            begun.elapsed()
        })
        .collect();
    times.sort();
    let memory = worker.process().usage().unwrap().memory;
    eprintln!(
        "start to first answer: median {:?}, worst {:?}; idle: {} MiB",
        times[5],
        times[9],
        memory >> 20
    );
}

#[test]
#[ignore = "a measurement"]
fn pause_of_a_task_while_its_plugin_is_replaced() {
    let kafka = kafka();
    let topic = unique("swaps");
    kafka.create_topic(&topic, 1, &[]);
    let mut worker = Worker::new(kafka);
    worker.install(&DATAGEN_SOURCE);
    worker.connector("source", &[("connector.class", "DatagenSource"), ("topic", &topic), ("rate", "50000")]);
    worker.start();
    await_counter(&worker, "transom_task_records_out_total", "source", 100_000);
    let code = std::fs::read(DATAGEN_SOURCE.path).unwrap();
    let mut pauses: Vec<f64> = (0..SWAPS)
        .map(|swap| {
            // Another build of the same code: a custom section more.
            let mut build = code.clone();
            build.extend_from_slice(&[0, 6, 4]);
            build.extend_from_slice(b"test");
            build.push(swap as u8);
            let file = worker.folder().join("build.wasm");
            std::fs::write(&file, build).unwrap();
            worker.install_as(&file, "datagen-source.wasm");
            until("the swap", || {
                let metrics = worker.metrics();
                let swaps =
                    metrics.sum("transom_task_swaps_total", &[("connector", "source")]).unwrap_or(0.0);
                if swaps >= (swap + 1) as f64 { Ok(()) } else { Err(swaps.to_string()) }
            });
            let status = worker.rest().try_get("/connectors/source/status").unwrap();
            status["tasks"][0]["last_swap"]["pause_ms"].as_f64().unwrap()
        })
        .collect();
    assert!(worker.terminate().success());
    let records = kafka.read_all(&topic);
    for (expected, record) in records.iter().enumerate() {
        assert_eq!(record.text().split(' ').nth(1), Some(expected.to_string().as_str()));
    }
    pauses.sort_by(f64::total_cmp);
    eprintln!(
        "swap under 50,000 records/s: pause median {:.1} ms, worst of {SWAPS} {:.1} ms; {} records, none lost, repeated or out of order",
        pauses[SWAPS / 2],
        pauses[SWAPS - 1],
        records.len()
    );
}
