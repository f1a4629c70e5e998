//! What has to hold before every server: each is a function of the server.

use ureq::http::Method;

use super::*;

/// Records that come again change nothing: neither documents nor versions.
pub(super) fn a_topic_is_written_and_written_again(search: &'static Search) {
    let mut job = Job::new(search, &[]);
    job.add(5_000);
    job.worker.start();
    job.check();
    let before = search.documents(&job.index);
    let again = job.connect(&search.url(), &[]);
    assert!(job.worker.terminate().success());
    job.worker.start();
    job.await_committed(&again);
    assert_same(&search.documents(&job.index), &before);
}

pub(super) fn tombstones_delete(search: &'static Search) {
    let mut job = Job::new(search, &[("behavior.on.null.values", "delete"), ("batch.size", "10")]);
    job.add(KEYS);
    let tombstone = |number: usize| Record { value: None, ..Record::keyed(key(number), "") };
    kafka().produce(&job.topic, (0..KEYS / 2).map(tombstone));
    // One that is there again, and one that never was.
    kafka().produce(&job.topic, [Record::keyed("k7", r#"{"n":7000}"#), tombstone(KEYS * 2 - 1)]);
    job.worker.start();
    job.await_committed(&job.connector);
    let mut expected = job.expected();
    expected.retain(|key, _| key[1..].parse::<usize>().unwrap() >= KEYS / 2);
    expected.remove(&key(KEYS * 2 - 1));
    let version = (KEYS + KEYS / 2) as i64;
    expected.insert("k7".into(), Document { version, source: json!({ "n": 7000 }) });
    assert_same(&search.documents(&job.index), &expected);
}

pub(super) fn fields_are_put_into_documents(search: &'static Search) {
    let mut job = Job::new(search, &[("write.method", "upsert"), ("batch.size", "7")]);
    let part = |field: &str, number: usize| Record::keyed(key(number), json!({ field: number }).to_string());
    kafka().produce(&job.topic, (0..300).map(|number| part("a", number)));
    kafka().produce(&job.topic, (0..300).map(|number| part("b", number)));
    // One document again and again: the last one wins.
    kafka().produce(&job.topic, (0..300).map(|number| Record::keyed("hot", format!("{{\"n\":{number}}}"))));
    job.worker.start();
    job.await_committed(&job.connector);
    let documents = search.documents(&job.index);
    assert_eq!(documents.len(), 301);
    assert_eq!(documents["hot"].source, json!({ "n": 299 }));
    for number in 0..300 {
        assert_eq!(documents[&key(number)].source, json!({ "a": number, "b": number }));
    }
}

/// A record that the server refuses fails the task, which names it; what is behind it is not committed.
pub(super) fn a_mapping_error_names_the_record(search: &'static Search) {
    let mut job = Job::new(search, &[]);
    strict(search, &job.index);
    kafka()
        .produce(&job.topic, [Record::keyed("a", r#"{"n":1}"#), Record::keyed("b", r#"{"n":"no number"}"#)]);
    kafka().produce(&job.topic, [Record::keyed("c", r#"{"n":3}"#), Record::keyed("d", r#"{"other":1}"#)]);
    job.worker.start();
    let trace = job.worker.await_failed(&job.connector);
    for part in [job.topic.as_str(), "mapper_parsing_exception"] {
        assert!(trace.contains(part), "no {part} in {trace}");
    }
    let committed = kafka().committed(&format!("connect-{}", job.connector), &job.topic)[0];
    assert!(committed.unwrap_or(0) <= 1, "{committed:?}");
    search.await_count(&job.index, 2);
}

/// Or goes to the dead letters, as it came, whenever the server tells.
pub(super) fn a_mapping_error_goes_to_the_dead_letters(search: &'static Search) {
    let letters = unique("letters");
    let tolerant = [
        ("errors.tolerance", "all"),
        ("errors.deadletterqueue.topic.name", letters.as_str()),
        ("errors.deadletterqueue.topic.replication.factor", "1"),
        ("errors.deadletterqueue.context.headers.enable", "true"),
    ];
    let mut job = Job::new(search, &tolerant);
    strict(search, &job.index);
    let record = |n: usize| {
        let value = if n.is_multiple_of(7) {
            format!(r#"{{"n":"no number {n}"}}"#)
        } else {
            format!(r#"{{"n":{n}}}"#)
        };
        Record::keyed(n.to_string(), value)
    };
    kafka().produce(&job.topic, (0..700).map(record));
    job.worker.start();
    job.await_committed(&job.connector);
    search.await_count(&job.index, 600);
    let letters = kafka().read_all(&letters);
    let keys: Vec<usize> = letters.iter().map(|letter| letter.key_text().parse().unwrap()).collect();
    assert_eq!(keys, (0..700).step_by(7).collect::<Vec<_>>(), "each once, in order");
    for letter in letters {
        let of =
            |name: &str| letter.headers.iter().find(|(header, _)| header == name).unwrap().1.clone().unwrap();
        let message = String::from_utf8(of("__connect.errors.exception.message")).unwrap();
        assert!(message.contains("mapper_parsing_exception"), "{message}");
        assert_eq!(of("__connect.errors.offset"), letter.key.unwrap());
    }
}

/// Or is left out, as it is configured.
pub(super) fn a_mapping_error_is_left_out(search: &'static Search) {
    let mut job =
        Job::new(search, &[("behavior.on.malformed.documents", "warn"), ("drop.invalid.message", "true")]);
    strict(search, &job.index);
    kafka()
        .produce(&job.topic, [Record::keyed("a", r#"{"n":1}"#), Record::keyed("b", r#"{"n":"no number"}"#)]);
    kafka().produce(
        &job.topic,
        [Record::keyed("c", r#"{"other":1}"#), Record::of("{}"), Record::keyed("d", "[]")],
    );
    kafka().produce(&job.topic, [Record::keyed("e", "{\"n\":"), Record::keyed("f", r#"{"n":6}"#)]);
    job.worker.start();
    job.await_committed(&job.connector);
    assert_eq!(search.documents(&job.index).into_keys().collect::<Vec<_>>(), ["a", "f"]);
    for offset in 1..=5 {
        job.worker.await_log(&[&format!("{}-0 at offset {offset} is left out", job.topic)]);
    }
    assert_eq!(job.metric("refused_records"), 5.0);
}

fn strict(search: &Search, index: &str) {
    let body = json!({ "mappings": { "dynamic": "strict", "properties": { "n": { "type": "integer" } } } });
    search.create(index, &body);
}

/// While the server takes no writes, the sink tries again and again, and the task goes on.
pub(super) fn an_index_that_is_closed_for_now_holds_up_the_partition(search: &'static Search) {
    let mut job = Job::new(search, &[("batch.size", "500")]);
    job.add(1_500);
    job.worker.start();
    job.check();
    let block = |closed: Value| {
        let settings = json!({ "index.blocks.read_only_allow_delete": closed });
        search.call(&Method::PUT, &format!("/{}/_settings", job.index), Some(&settings)).expect(200);
    };
    block(json!(true));
    let committed = job.added as i64;
    let before = job.metric("retried_requests");
    kafka().produce(
        &job.topic,
        (1_500..4_000).map(|number| Record::keyed(key(number), value(number).to_string())),
    );
    until("refused requests", || match job.metric("retried_requests") {
        retried if retried >= before + 8.0 => Ok(()),
        retried => Err(retried.to_string()),
    });
    job.worker.await_running(&job.connector, 1);
    assert_eq!(kafka().committed(&format!("connect-{}", job.connector), &job.topic), [Some(committed)]);
    block(Value::Null);
    job.added = 4_000;
    job.check();
}
