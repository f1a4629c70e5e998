//! What happens to one connector does not touch another: with 200 of them running, one is made, changed in every way
//! there is, given another version of its plugin and deleted, and every task of the others is still the one that was
//! started first, and delivers.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use transom_tests::guests::{DATAGEN_SOURCE, FILE_SOURCE, FILE_SOURCE_V2};
use transom_tests::{Worker, kafka, unique, until};

const NEIGHBOURS: usize = 200;

/// A figure of each neighbour.
fn figures(worker: &Worker, figure: &str) -> BTreeMap<String, f64> {
    let (metrics, name) = (worker.metrics(), format!("transom_task_{figure}_total"));
    let samples = metrics.find(&name, &[]).map(|sample| (sample.labels["connector"].clone(), sample.value));
    samples.filter(|(connector, _)| connector.starts_with("neighbour-")).collect()
}

/// Waits until every one of them has delivered something that it has not now.
#[track_caller]
fn await_more(worker: &Worker) {
    let before = figures(worker, "records_out");
    until("every neighbour to deliver", || {
        let now = figures(worker, "records_out");
        let moved = |name: &&String| now[*name] > before.get(*name).copied().unwrap_or(0.0);
        match now.keys().filter(moved).count() {
            NEIGHBOURS => Ok(()),
            count => Err(format!("{count} of {}", now.len())),
        }
    });
}

/// How often a task of each was started, by the log; and that nothing else befell one.
fn starts(worker: &Worker) -> BTreeMap<String, usize> {
    let mut starts = BTreeMap::new();
    let log = worker.log();
    for line in log.lines().filter(|line| line.contains("neighbour-")) {
        let name = line.split(['=', ' ', '"', ':']).find(|word| word.starts_with("neighbour-")).unwrap();
        if line.contains("task runs plugin") {
            *starts.entry(name.to_owned()).or_default() += 1;
        } else {
            assert!(line.contains("connector created"), "{line}");
        }
    }
    starts
}

fn create(worker: &Worker, name: &str, config: &Value) {
    worker.rest().post("/connectors", Some(&json!({ "name": name, "config": config }))).expect(201);
}

/// All that can be asked of one connector.
fn change_in_every_way(worker: &mut Worker, name: &str, config: &Value) {
    let path = format!("/connectors/{name}");
    let put = |worker: &Worker, what: &str, body: Option<&Value>, status: u16| {
        worker.rest().put(&format!("{path}/{what}"), body).expect(status);
    };
    create(worker, name, config);
    worker.await_running(name, 1);
    let mut other = config.clone();
    other["tasks.max"] = "2".into();
    put(worker, "config", Some(&other), 200);
    worker.await_running(name, 1);
    worker.rest().patch(&format!("{path}/config"), &json!({ "topic.creation.enable": "x" })).expect(200);
    worker.install(&FILE_SOURCE_V2);
    worker.await_status(name, |status| status["tasks"][0]["version"] == FILE_SOURCE_V2.version);
    put(worker, "pause", None, 202);
    worker.await_status(name, |status| status["tasks"][0]["state"] == "PAUSED");
    put(worker, "resume", None, 202);
    worker.await_running(name, 1);
    worker.rest().post(&format!("{path}/restart?includeTasks=true"), None).expect(202);
    worker.rest().post(&format!("{path}/tasks/0/restart"), None).expect(204);
    put(worker, "topics/reset", None, 202);
    put(worker, "stop", None, 204);
    worker.await_status(name, |status| status["tasks"] == json!([]));
    worker.rest().delete(&format!("{path}/offsets")).expect(200);
    worker.rest().delete(&path).expect(204);
    worker.install(&FILE_SOURCE);
}

fn nobody_else_is_touched(mut worker: Worker) {
    let (name, topic) = (unique("changed"), unique("neighbours"));
    kafka().create_topic(&topic, 1, &[]);
    let folder = worker.folder().join("data");
    let file = folder.join("in.txt");
    fs::create_dir(&folder).unwrap();
    fs::write(&file, "a line\n").unwrap();
    worker.install(&DATAGEN_SOURCE).install(&FILE_SOURCE).grant("file-source", &folder, "").start();
    worker.await_plugins(2);
    let steady = json!({ "connector.class": "DatagenSource", "topic": topic, "rate": "10" });
    for number in 0..NEIGHBOURS {
        create(&worker, &format!("neighbour-{number}"), &steady);
    }
    await_more(&worker);
    let config = json!({ "connector.class": "FileStreamSource", "file": file, "topic": topic });
    change_in_every_way(&mut worker, &name, &config);
    await_more(&worker);
    let starts = starts(&worker);
    assert_eq!(starts.len(), NEIGHBOURS);
    assert!(starts.values().all(|count| *count == 1), "{starts:?}");
    for figure in ["failures", "restarts", "swaps", "swap_failures", "commit_failures"] {
        let figures = figures(&worker, figure);
        assert!(
            figures.len() == NEIGHBOURS && figures.values().all(|count| *count == 0.0),
            "{figure}: {figures:?}"
        );
    }
}

#[test]
fn two_hundred_running_connectors_are_not_touched_by_what_happens_to_another() {
    nobody_else_is_touched(Worker::new(kafka()));
}

#[test]
fn nor_are_those_of_a_cluster() {
    nobody_else_is_touched(Worker::distributed(kafka(), &unique("neighbours")));
}
