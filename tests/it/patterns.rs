//! `topics.regex`, in Java's dialect.

use std::collections::BTreeSet;
use std::fs;

use transom_tests::guests::FILE_SINK;
use transom_tests::{Kafka, Worker, kafka, unique, until};

/// Makes topics that hold one line each, their name.
fn topics(kafka: &Kafka, names: &[String]) {
    for name in names {
        kafka.create_topic(name, 1, &[]);
        kafka.produce_lines(name, [name.as_str()]);
    }
}

#[test]
fn a_sink_reads_every_topic_whose_whole_name_matches_and_no_other() {
    let (kafka, orders, name) = (kafka(), unique("orders"), unique("sink"));
    let named = |list: &[&str]| -> Vec<String> { list.iter().map(|end| format!("{orders}{end}")).collect() };
    let mut matching = named(&[".eu-1", ".us-22"]);
    topics(kafka, &matching);
    // What stands before, behind, or where a plain dot, a digit or one of two words belongs.
    topics(
        kafka,
        &[&named(&[".eu-1-old", ".uk-1", ".eu-", ".us-x", "-eu-1"])[..], &[format!("my{orders}.eu-1")]]
            .concat(),
    );

    let mut worker = Worker::new(kafka);
    let data = worker.folder().join("data");
    fs::create_dir(&data).unwrap();
    worker.install(&FILE_SINK).grant("file-sink", &data, ":rw");
    let out = data.join("out");
    let config = [
        ("connector.class", "FileStreamSink"),
        ("file", &out.display().to_string()),
        ("topics.regex", &format!(r"{orders}\.(?:eu|us)-\d+")),
        ("consumer.override.auto.offset.reset", "earliest"),
        ("consumer.override.metadata.max.age.ms", "500"),
    ];
    worker.connector(&name, &config);
    worker.start();
    let await_lines = |wanted: &[String]| {
        let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
        until("a line of each topic", || {
            let text = fs::read_to_string(&out).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            assert!(lines.iter().all(|line| wanted.contains(line)), "of {wanted:?} only: {lines:?}");
            if lines.len() == wanted.len() { Ok(()) } else { Err(format!("{lines:?}")) }
        });
    };
    await_lines(&matching);

    // Made later, those that do not match first: who has seen the last one has seen them all.
    topics(kafka, &named(&[".us-3x", ".jp-3"]));
    let later = named(&[".us-3", ".eu-444"]);
    topics(kafka, &later);
    matching.extend(later);
    await_lines(&matching);
    worker.await_running(&name, 1);
}
