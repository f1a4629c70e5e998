//! Several versions of a plugin side by side, and new code that goes back to what ran before.

use std::fs;

use serde_json::{Value, json};
use transom_tests::guests::{
    FAULTY_SOURCE, FAULTY_SOURCE_PANICS_IN_POLL, FAULTY_SOURCE_REFUSES_OFFSETS, FAULTY_SOURCE_V2, Guest,
};
use transom_tests::{Worker, kafka};

use super::{await_more, check_numbers, count, numbers, worker};

const CLASS: &str = "org.example.FaultySource";

fn install(worker: &Worker, guest: &Guest) {
    worker.install_as(guest.path, &format!("faulty-source@{}.wasm", guest.version));
}

/// A worker with version 0.1.0, under a name that says so.
fn first_version() -> Worker {
    let worker = worker(kafka());
    fs::remove_file(worker.plugin_folder().join("faulty-source.wasm")).unwrap();
    install(&worker, &FAULTY_SOURCE);
    worker
}

/// Starts a worker with a source that counts by version 0.1.0: its name and topic besides.
fn counting(mut worker: Worker, more: &[(&str, &str)]) -> (Worker, String, String) {
    let (name, topic) = count(&mut worker, more);
    worker.start();
    worker.await_status(&name, runs("0.1.0"));
    await_more(kafka(), &topic);
    (worker, name, topic)
}

/// The same, pinned, with version 0.2.0 beside it.
fn pinned() -> (Worker, String, String) {
    let worker = first_version();
    install(&worker, &FAULTY_SOURCE_V2);
    counting(worker, &[("connector.plugin.version", "0.1.0")])
}

fn runs(version: &'static str) -> impl Fn(&Value) -> bool {
    move |status| {
        let is = |part: &Value| part["state"] == "RUNNING" && part["version"] == version;
        is(&status["connector"]) && is(&status["tasks"][0])
    }
}

/// Whether the last swap is one that was taken back.
fn went_back(status: &Value) -> bool {
    status["tasks"][0]["last_swap"]["rolled_back"] == true
}

/// The connector's configuration with another pin.
fn pinned_to(worker: &Worker, name: &str, version: &str) -> Value {
    let mut config = json!(worker.connector_config(name));
    config["connector.plugin.version"] = version.into();
    config["name"] = name.into();
    config
}

#[test]
fn each_connector_runs_the_newest_version_that_its_pin_allows() {
    let mut worker = first_version();
    let (pinned, pinned_topic) = count(&mut worker, &[("connector.plugin.version", "0.1.0")]);
    let (below, _) = count(&mut worker, &[("connector.plugin.version", "[0.1,0.2)")]);
    let (above, _) = count(&mut worker, &[("connector.plugin.version", "[0.1,)")]);
    let (newest, newest_topic) = count(&mut worker, &[]);
    worker.start();
    for name in [&pinned, &below, &above, &newest] {
        worker.await_status(name, runs("0.1.0"));
    }
    install(&worker, &FAULTY_SOURCE_V2);
    for name in [&above, &newest] {
        worker.await_status(name, runs("0.2.0"));
    }
    for topic in [&pinned_topic, &newest_topic] {
        await_more(kafka(), topic);
    }
    for name in [&pinned, &below] {
        let status = worker.await_status(name, runs("0.1.0"));
        assert_eq!(status["tasks"][0].get("last_swap"), None, "{name} stayed");
    }
    let plugins = worker.rest().get("/connector-plugins").expect(200);
    let all = plugins.as_array().unwrap().iter().filter(|plugin| plugin["class"] == CLASS);
    let mut versions: Vec<_> = all.map(|plugin| plugin["version"].as_str().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, ["0.1.0", "0.2.0"]);
    assert!(worker.terminate().success());
    for topic in [&pinned_topic, &newest_topic] {
        assert_eq!(check_numbers(&numbers(kafka(), topic)), 0, "nothing was lost or came twice");
    }
}

#[test]
fn a_pin_is_changed_and_a_wrong_one_is_refused() {
    let (worker, name, _) = pinned();
    let path = format!("/connectors/{name}/config");
    let wrong = pinned_to(&worker, &name, "[3,4)");
    let told = "not found that matches the version range [3,4), available versions: [0.1.0, 0.2.0]";
    let refused = worker.rest().put(&path, Some(&wrong)).expect(400);
    assert!(refused["message"].as_str().unwrap().contains(told), "{refused:#}");
    let validated =
        worker.rest().put("/connector-plugins/faulty-source/config/validate", Some(&wrong)).expect(200);
    let pin = validated["configs"].as_array().unwrap().iter();
    let pin = pin.map(|key| &key["value"]).find(|value| value["name"] == "connector.plugin.version").unwrap();
    assert!(pin["errors"][0].as_str().unwrap().contains(told), "{pin:#}");
    worker.await_status(&name, runs("0.1.0"));
    let other = pinned_to(&worker, &name, "0.2.0");
    let _ = worker.rest().put(&path, Some(&other)).expect(200);
    worker.await_status(&name, runs("0.2.0"));
    for (version, status) in [("0.1.0", 200), ("[0.1,9)", 200), ("9", 400)] {
        let _ =
            worker.rest().get(&format!("/connector-plugins/{CLASS}/config?version={version}")).expect(status);
    }
}

#[test]
fn a_pinned_version_whose_file_is_gone_runs_on_and_a_restart_says_what_there_is() {
    let (worker, name, topic) = pinned();
    fs::remove_file(worker.plugin_folder().join("faulty-source@0.1.0.wasm")).unwrap();
    worker.await_log(&["the plugin's file is gone"]);
    await_more(kafka(), &topic);
    worker.await_status(&name, runs("0.1.0"));
    let _ = worker.rest().put(&format!("/connectors/{name}/stop"), None).expect(204);
    worker.await_status(&name, |status| status["connector"]["state"] == "STOPPED");
    let _ = worker.rest().put(&format!("/connectors/{name}/resume"), None).expect(202);
    let status = worker.await_status(&name, |status| status["connector"]["state"] == "FAILED");
    let trace = status["connector"]["trace"].as_str().unwrap();
    assert!(trace.contains("connector.plugin.version=[0.1.0,0.1.0]"), "{trace}");
    assert!(trace.contains("its versions there: 0.2.0"), "{trace}");
    // The file is all that it was missing.
    install(&worker, &FAULTY_SOURCE);
    worker.await_status(&name, runs("0.1.0"));
    await_more(kafka(), &topic);
}

#[test]
fn other_offsets_are_asked_of_the_version_that_is_pinned() {
    let (worker, name, topic) = pinned();
    install(&worker, &FAULTY_SOURCE_REFUSES_OFFSETS);
    worker.await_log(&["loaded a plugin", FAULTY_SOURCE_REFUSES_OFFSETS.version]);
    let _ = worker.rest().put(&format!("/connectors/{name}/stop"), None).expect(204);
    worker.await_status(&name, |status| status["connector"]["state"] == "STOPPED");
    let _ = worker.rest().delete(&format!("/connectors/{name}/offsets")).expect(200);
    let _ = worker.rest().put(&format!("/connectors/{name}/resume"), None).expect(202);
    worker.await_status(&name, runs("0.1.0"));
    await_more(kafka(), &topic);
}

#[test]
fn code_that_fails_on_probation_goes_back_and_is_not_taken_again() {
    let (mut worker, name, topic) = counting(first_version(), &[]);
    install(&worker, &FAULTY_SOURCE_PANICS_IN_POLL);
    let status = worker.await_status(&name, |status| went_back(status) && runs("0.1.0")(status));
    let swap = &status["tasks"][0]["last_swap"];
    assert_eq!((&swap["from"]["version"], &swap["to"]["version"]), (&"0.1.0".into(), &"0.15.0".into()));
    assert!(swap["error"].as_str().unwrap().contains("told to panic in poll"), "{swap:#}");
    let told = |status: &Value| {
        let problem = status["connector"]["plugin_problem"].as_str().unwrap_or_default();
        problem.contains("0.15.0") && problem.contains("was rolled back")
    };
    worker.await_status(&name, told);
    let rollbacks = worker.metrics().sum("transom_task_rollbacks_total", &[("connector", &name)]);
    assert_eq!(rollbacks, Some(1.0));
    await_more(kafka(), &topic);
    // A better one is taken at once.
    fs::remove_file(worker.plugin_folder().join("faulty-source@0.15.0.wasm")).unwrap();
    install(&worker, &FAULTY_SOURCE_V2);
    worker.await_status(&name, runs("0.2.0"));
    await_more(kafka(), &topic);
    assert!(worker.terminate().success());
    assert_eq!(check_numbers(&numbers(kafka(), &topic)), 0, "nothing was lost or came twice");
}

#[test]
fn code_that_cannot_go_back_fails_and_says_so() {
    // The third instance is the one that shall run again.
    let third = [("fault", "fatal"), ("fault.at", "open"), ("fault.generation", "3")];
    let (worker, name, _) = counting(first_version(), &third);
    install(&worker, &FAULTY_SOURCE_PANICS_IN_POLL);
    let trace = worker.await_failed(&name);
    for part in
        ["version 0.15.0 failed on probation and was rolled back to version 0.1.0", "cannot go on", "open"]
    {
        assert!(trace.contains(part), "{part}: {trace}");
    }
}

#[test]
fn code_that_has_proved_itself_is_not_taken_back() {
    let mut worker = first_version();
    worker.set("plugin.probation.ms", "0");
    let (worker, name, _) = counting(worker, &[]);
    install(&worker, &FAULTY_SOURCE_PANICS_IN_POLL);
    let trace = worker.await_failed(&name);
    assert!(trace.contains("told to panic in poll"), "{trace}");
    worker.await_status(&name, |status| status["tasks"][0]["version"] == "0.15.0");
}
