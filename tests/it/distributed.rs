//! A cluster of our own workers: state in Kafka, one that leads, others that stand by.

use std::time::{Duration, Instant};
use std::{fs, thread};

use rustix::process::Signal;
use serde_json::{Value, json};
use transom_tests::file_job::FileJob;
use transom_tests::{Record, Worker, kafka, unique, until};

/// Waits until this worker runs the connectors.
fn await_lead(worker: &Worker) {
    worker.await_log(&["this worker runs the connectors of its cluster"]);
}

fn leads(worker: &Worker, connector: &str, at: &Worker) -> Result<(), String> {
    let status = at.rest().try_get(&format!("/connectors/{connector}/status"))?;
    let id = worker.rest().url().trim_start_matches("http://").to_owned();
    let is_there = |part: &Value| part["worker_id"] == id && part["state"] == "RUNNING";
    let tasks =
        status["tasks"].as_array().is_some_and(|tasks| tasks.len() == 1 && tasks.iter().all(is_there));
    if is_there(&status["connector"]) && tasks { Ok(()) } else { Err(status.to_string()) }
}

/// Waits until it is kept that the source has read all lines.
fn await_saved(job: &FileJob) {
    let length = fs::metadata(job.input()).unwrap().len();
    until("the source's offset to be kept", || {
        let offsets = job.worker.rest().try_get(&format!("/connectors/{}/offsets", job.source))?;
        match offsets["offsets"][0]["offset"]["position"] == length {
            true => Ok(()),
            false => Err(offsets.to_string()),
        }
    });
}

#[test]
fn everything_is_there_again_after_a_kill() {
    let group = unique("kept");
    let mut job = FileJob::distributed(kafka(), &group);
    job.append(2_000);
    job.worker.start();
    job.create_at(job.worker.rest(), &[]);
    let quiet = json!({ "connector.class": "FileStreamSource", "file": "/none", "topic": job.topic });
    for (name, state) in [("a paused/one", "PAUSED"), ("stopped", "STOPPED"), ("gone", "RUNNING")] {
        let body = json!({ "name": name, "config": quiet, "initial_state": state });
        job.worker.rest().post("/connectors", Some(&body)).expect(201);
    }
    job.worker.rest().delete("/connectors/gone").expect(204);
    job.await_last_line();
    let tasks = |worker: &Worker| worker.rest().get(&format!("/connectors/{}/tasks", job.source)).expect(200);
    let before = (job.worker.rest().get("/connectors?expand=info").expect(200), tasks(&job.worker));
    // Or both the source and the sink might repeat all of them.
    await_saved(&job);
    job.worker.kill();
    assert_eq!(kafka().partitions(&format!("{group}-config")), 1);

    job.append(2_000);
    job.worker.start();
    job.await_last_line();
    assert!(job.check_output() <= 2_000, "what a kill repeats is bounded");
    let worker = &job.worker;
    worker.await_status("stopped", |status| status["connector"]["state"] == "STOPPED");
    worker.await_status("a%20paused%2Fone", |status| status["connector"]["state"] == "PAUSED");
    worker.await_running(&job.source, 1);
    let tasks = worker.rest().get(&format!("/connectors/{}/tasks", job.source)).expect(200);
    assert_eq!((worker.rest().get("/connectors?expand=info").expect(200), tasks), before);
    worker.rest().get("/connectors/gone").expect(404);
}

#[test]
fn a_standby_answers_and_takes_over_from_a_leader_that_is_killed() {
    let group = unique("standby");
    let mut job = FileJob::distributed(kafka(), &group);
    let mut standby = job.another(kafka(), &group);
    job.append(5_000);
    job.worker.start();
    await_lead(&job.worker);
    standby.start();
    // A change that comes to the standby is carried out by the leader, and seen by both.
    job.create_at(standby.rest(), &[]);
    job.await_last_line();
    for connector in [&job.source, &job.sink] {
        until("the standby to show what the leader does", || leads(&job.worker, connector, &standby));
        let config =
            |worker: &Worker| worker.rest().get(&format!("/connectors/{connector}/config")).expect(200);
        assert_eq!(config(&standby), config(&job.worker));
        let tasks = |worker: &Worker| {
            worker.rest().get(&format!("/connectors/{connector}")).expect(200)["tasks"].clone()
        };
        assert_eq!(tasks(&standby), tasks(&job.worker));
    }
    standby.rest().put("/connectors/nobody/pause", None).expect(404);
    assert_eq!(standby.metrics().sum("transom_task_running", &[]), None, "it runs nothing");

    job.append(20_000);
    until("some of them to arrive", || if job.arrived() > 6_000 { Ok(()) } else { Err("none".into()) });
    job.worker.kill();
    let begun = Instant::now();
    job.append(5_000);
    until("the standby to take over", || leads(&standby, &job.sink, &standby));
    eprintln!("taken over after {:?} (session 3 s)", begun.elapsed());
    job.await_last_line();
    let repeated = job.check_output();
    eprintln!("{repeated} lines came more than once");

    // Who comes back stands by.
    job.worker.start();
    until("the first to see who leads", || leads(&standby, &job.source, &job.worker));
    job.worker.rest().put(&format!("/connectors/{}/pause", job.source), None).expect(202);
    standby.await_status(&job.source, |status| status["tasks"][0]["state"] == "PAUSED");
}

/// A leader that is in the middle of its work, and a worker that stands by.
fn busy(group: &str) -> (FileJob, Worker) {
    let mut job = FileJob::distributed(kafka(), group);
    let mut standby = job.another(kafka(), group);
    job.append(5_000);
    job.worker.start();
    await_lead(&job.worker);
    job.create_at(job.worker.rest(), &[]);
    standby.start();
    job.await_last_line();
    job.append(20_000);
    (job, standby)
}

#[test]
fn a_leader_that_ends_in_good_order_hands_over_at_once_and_repeats_nothing() {
    let group = unique("handed-over");
    let (mut job, standby) = busy(&group);
    assert!(job.worker.terminate().success());
    let begun = Instant::now();
    job.append(1_000);
    until("the standby to take over", || leads(&standby, &job.source, &standby));
    eprintln!("handed over after {:?}", begun.elapsed());
    job.await_last_line();
    assert_eq!(job.check_output(), 0, "nothing came twice");
}

#[test]
fn a_leader_that_was_stopped_and_wakes_up_writes_nothing_and_stops_its_tasks() {
    let group = unique("woken");
    let (mut job, standby) = busy(&group);

    job.worker.process().signal(Signal::STOP);
    // It finds this when it wakes up, and may believe that it leads.
    let (rest, path) = (job.worker.rest().clone(), format!("/connectors/{}/config", job.source));
    let mut config = json!(job.worker.connector_config(&job.source));
    config["batch.size"] = json!("17");
    let asked = thread::spawn(move || rest.put(&path, Some(&config)));
    job.append(5_000);
    until("the standby to take over", || leads(&standby, &job.sink, &standby));
    job.append(1_000);
    let records = kafka().read_all(&format!("{group}-config")).len();
    job.worker.process().signal(Signal::CONT);

    let answer = asked.join().unwrap();
    let written = kafka().read_all(&format!("{group}-config")).split_off(records);
    let is_there = written.iter().any(|record| record.text().contains("batch.size"));
    eprintln!("answered {}: {}", answer.status, answer.body);
    // Refused, or led to the one that leads now; what was refused is in no topic.
    assert_eq!(is_there, answer.status == 200, "{answer:?}");
    let now = standby.rest().get(&format!("/connectors/{}/config", job.source)).expect(200);
    assert_eq!(now["batch.size"] == "17", answer.status == 200, "{now}");

    job.worker.await_log(&["this worker leads no more"]);
    until("the first to run nothing", || match job.worker.metrics().sum("transom_task_running", &[]) {
        None => Ok(()),
        Some(tasks) => Err(format!("{tasks} tasks")),
    });
    until("the first to see who leads", || leads(&standby, &job.source, &job.worker));
    job.append(1_000);
    job.await_last_line();
    let repeated = job.check_output();
    eprintln!("{repeated} lines came more than once");
    // It can be asked for changes as before.
    job.worker.rest().put(&format!("/connectors/{}/pause", job.source), None).expect(202);
    standby.await_status(&job.source, |status| status["tasks"][0]["state"] == "PAUSED");
}

#[test]
fn who_is_fenced_writes_nothing_and_begins_anew() {
    let group = unique("fenced");
    let mut job = FileJob::distributed(kafka(), &group);
    job.append(1_000);
    job.worker.start();
    await_lead(&job.worker);
    job.create_at(job.worker.rest(), &[]);
    job.await_last_line();
    let topic = format!("{group}-config");
    let records = kafka().read_all(&topic).len();
    // Somebody takes the right to write, as another leader does.
    kafka().fence(&format!("connect-cluster-{group}"));
    let refused = job.worker.rest().put(&format!("/connectors/{}/pause", job.source), None);
    assert_eq!(refused.status, 500, "{refused:?}");
    let text = refused.body["message"].as_str().unwrap();
    assert!(text.starts_with("Failed to write to config topic") && text.contains("fenced"), "{text}");
    assert_eq!(kafka().read_all(&topic).len(), records, "it has written nothing");
    job.worker.await_log(&["another leader has begun"]);
    // It still holds its place in the group, so it takes the right back, and everything goes on.
    job.worker.rest().put(&format!("/connectors/{}/pause", job.source), None).expect(202);
    job.worker.await_status(&job.source, |status| status["tasks"][0]["state"] == "PAUSED");
    job.worker.rest().put(&format!("/connectors/{}/resume", job.source), None).expect(202);
    job.append(1_000);
    job.await_last_line();
    job.check_output();
}

#[test]
fn topics_that_would_lose_state_are_refused() {
    let refused = |prepare: &dyn Fn(&str), words: &[&str]| {
        let group = unique("wrong");
        prepare(&group);
        let mut worker = Worker::distributed(kafka(), &group);
        worker.launch();
        assert!(!worker.wait().success());
        for word in words {
            assert!(worker.log().contains(word), "no word of {word}:\n{}", worker.log());
        }
    };
    for (topic, key) in [("offset", "offset.storage.topic"), ("status", "status.storage.topic")] {
        let prepare = |group: &str| {
            kafka().create_topic(&format!("{group}-{topic}"), 2, &[("cleanup.policy", "delete")])
        };
        refused(&prepare, &[key, "'cleanup.policy=compact'", "'cleanup.policy=delete'"]);
    }
    refused(
        &|group| kafka().create_topic(&format!("{group}-config"), 2, &[("cleanup.policy", "compact")]),
        &["config.storage.topic", "single partition", "found 2 partitions"],
    );
    let mut worker = Worker::distributed(kafka(), &unique("wrong"));
    worker.set("config.storage.replication.factor", "3").launch();
    assert!(!worker.wait().success());
    assert!(worker.log().contains("config.storage.replication.factor"), "{}", worker.log());
}

#[test]
fn what_is_missing_is_told_all_at_once() {
    let mut worker = Worker::distributed(kafka(), "g");
    let keys = ["group.id", "config.storage.topic", "offset.storage.topic", "status.storage.topic"];
    for key in keys {
        worker.unset(key);
    }
    worker.launch();
    assert_eq!(worker.wait().code(), Some(2));
    for key in keys {
        let missing = format!("Missing required configuration \"{key}\"");
        assert!(worker.log().contains(&missing), "{}", worker.log());
    }
}

#[test]
fn offsets_go_under_the_keys_that_the_topic_has() {
    let group = unique("keys");
    let mut job = FileJob::distributed(kafka(), &group);
    let offsets = format!("{group}-offset");
    job.append(100);
    kafka().create_topic(&offsets, 5, &[("cleanup.policy", "compact")]);
    // As another program may have written it: blanks are nothing to JSON, and much to a topic.
    let text = std::fs::read_to_string(job.input()).unwrap();
    let half = text.lines().take(50).map(|line| line.len() + 1).sum::<usize>();
    let key = format!("[ \"{}\", {{ \"filename\" : \"{}\" }} ]", job.source, job.input().display());
    kafka().produce(&offsets, [Record::keyed(key.clone(), format!("{{\"position\":{half}}}"))]);
    job.worker.start();
    job.create_at(job.worker.rest(), &[]);
    until(
        "the rest of the lines",
        || if job.arrived() >= 50 { Ok(()) } else { Err(job.arrived().to_string()) },
    );
    job.worker.rest().put(&format!("/connectors/{}/stop", job.source), None).expect(204);
    assert_eq!(kafka().read_lines(&job.topic).len(), 50, "it went on from the offset that was there");
    let records = kafka().read_all(&offsets);
    assert!(records.len() > 1, "offsets were saved");
    assert!(records.iter().all(|record| record.key_text() == key), "under one key");
    let partitions: std::collections::HashSet<_> = records.iter().map(|record| record.partition).collect();
    assert_eq!(partitions.len(), 1, "and in one partition");
}

#[test]
#[ignore = "a measurement"]
fn ten_thousand_connectors_are_read_in_seconds() {
    const CONNECTORS: usize = 10_000;
    let group = unique("many");
    let topic = format!("{group}-config");
    kafka().create_topic(&topic, 1, &[("cleanup.policy", "compact")]);
    let records = (0..CONNECTORS).flat_map(|number| {
        let config = json!({ "properties": {
            "connector.class": "FileStreamSource", "name": format!("c{number}"), "file": "/data/in.txt",
            "topic": "t", "tasks.max": "1", "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        } });
        [
            Record::keyed(format!("target-state-c{number}"), r#"{"state":"PAUSED","state.v2":"STOPPED"}"#),
            Record::keyed(format!("connector-c{number}"), config.to_string()),
            Record::keyed(format!("task-c{number}-0"), config.to_string()),
            Record::keyed(format!("commit-c{number}"), r#"{"tasks":1}"#),
            Record::keyed(format!("commit-c{number}"), r#"{"tasks":0}"#),
        ]
    });
    kafka().produce(&topic, records);
    let mut worker = Worker::distributed(kafka(), &group);
    worker.install(&transom_tests::guests::FILE_SOURCE);
    let begun = Instant::now();
    worker.start();
    let (read, begun_to_lead) = (begun.elapsed(), Instant::now());
    assert_eq!(worker.rest().get("/connectors").expect(200).as_array().unwrap().len(), CONNECTORS);
    await_lead(&worker);
    let lead = begun_to_lead.elapsed();
    let line = worker.await_log(&["the state in Kafka is read"]);
    until("the last status", || {
        let status = worker.rest().try_get(&format!("/connectors/c{}/status", CONNECTORS - 1))?;
        if status["connector"]["state"] == "STOPPED" { Ok(()) } else { Err(status.to_string()) }
    });
    let memory = worker.process().usage().unwrap().memory >> 20;
    thread::sleep(Duration::from_secs(3));
    let cpu = |worker: &mut Worker| worker.process().usage().unwrap().cpu_ms;
    let before = cpu(&mut worker);
    thread::sleep(Duration::from_secs(5));
    let idle = cpu(&mut worker) - before;
    eprintln!(
        "{CONNECTORS} connectors, {} records: read and answering after {read:?}, leading and running them {lead:?} later; \
         {memory} MB; idle {idle} ms of CPU in 5 s\n{line}",
        5 * CONNECTORS
    );
}
