//! A cluster of Java workers is taken over, and given back: the same topics, the same connectors, the same positions.

use std::fs;

use serde_json::{Value, json};
use transom_tests::file_job::FileJob;
use transom_tests::worker::rest::Rest;
use transom_tests::{JavaWorker, kafka, unique, until};

/// So that the group of the sink is soon free of a member that has gone.
const SESSION: (&str, &str) = ("consumer.override.session.timeout.ms", "6000");

fn await_state(rest: &Rest, connector: &str, state: &str, tasks: &[&str]) {
    until(&format!("{connector} to be {state}"), || {
        let status = rest.try_get(&format!("/connectors/{connector}/status"))?;
        let of_tasks: Vec<_> =
            status["tasks"].as_array().into_iter().flatten().map(|task| task["state"].clone()).collect();
        let wanted = status["connector"]["state"] == state && of_tasks == tasks;
        if wanted { Ok(()) } else { Err(status.to_string()) }
    });
}

#[test]
fn a_java_cluster_is_taken_over_and_given_back() {
    let group = unique("takeover");
    let mut job = FileJob::distributed(kafka(), &group);
    let (paused, stopped, topic) = (unique("paused-é"), unique("stopped"), unique("quiet"));
    kafka().create_topic(&topic, 1, &[]);
    let file = job.worker.folder().join("data/quiet.txt");
    fs::write(&file, "first\n").unwrap();
    let java = || JavaWorker::distributed(kafka(), &group, &[("offset.flush.interval.ms", "200")]);

    job.append(1_000);
    let worker = java();
    job.create_at(worker.rest(), &[SESSION]);
    let config =
        json!({ "connector.class": "FileStreamSource", "file": file.display().to_string(), "topic": topic });
    for (name, first) in [(&paused, "RUNNING"), (&stopped, "STOPPED")] {
        let body = json!({ "name": name, "config": config, "initial_state": first });
        worker.rest().post("/connectors", Some(&body)).expect(201);
    }
    job.await_last_line();
    let path = path_of(&paused);
    await_state(worker.rest(), &path, "RUNNING", &["RUNNING"]);
    kafka().await_records(&topic, 1);
    worker.rest().put(&format!("/connectors/{path}/pause"), None).expect(202);
    await_state(worker.rest(), &path, "PAUSED", &["PAUSED"]);
    let before = configs(worker.rest());
    worker.terminate();

    // Ours goes on where it stood.
    fs::write(&file, "first\nwhile it is paused\n").unwrap();
    job.append(1_000);
    job.worker.start();
    job.await_last_line();
    await_state(job.worker.rest(), &path, "PAUSED", &["PAUSED"]);
    await_state(job.worker.rest(), &stopped, "STOPPED", &[]);
    assert_eq!(configs(job.worker.rest()), before, "every configuration as it was");
    job.append(1_000);
    job.await_last_line();
    assert!(job.worker.terminate().success());
    assert_eq!(kafka().read_lines(&topic), ["first"], "paused is paused");
    assert_eq!(kafka().read_lines(&job.topic).len(), 3_000, "no line was read twice");

    // And back again.
    job.append(1_000);
    let worker = java();
    job.await_last_line();
    await_state(worker.rest(), &path, "PAUSED", &["PAUSED"]);
    await_state(worker.rest(), &stopped, "STOPPED", &[]);
    assert_eq!(configs(worker.rest()), before);
    worker.rest().put(&format!("/connectors/{path}/resume"), None).expect(202);
    kafka().await_records(&topic, 2);
    job.append(1_000);
    job.await_last_line();
    worker.terminate();
    assert_eq!(kafka().read_lines(&topic), ["first", "while it is paused"]);
    assert_eq!(kafka().read_lines(&job.topic).len(), 5_000, "no line was read twice");
    assert_eq!(job.check_output(), 0, "no line was written twice");
}

/// A name as it stands in a path.
fn path_of(name: &str) -> String {
    name.replace('é', "%C3%A9")
}

/// The configuration of every connector.
fn configs(rest: &Rest) -> Value {
    let all = rest.get("/connectors?expand=info").expect(200);
    let all = all.as_object().unwrap();
    all.iter().map(|(name, parts)| (name.clone(), parts["info"]["config"].clone())).collect()
}
