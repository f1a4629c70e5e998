//! Requests that nobody thought of: schemathesis makes them from `/openapi.json`, right ones and wrong ones.

use std::fs;
use std::process::Command;

use serde_json::json;
use transom_tests::process::installed;

use super::Served;

/// Requests of all runs together, at least.
const REQUESTS: usize = 5_000;

/// Runs schemathesis, with so many examples of each operation.
fn fuzz(served: &Served, python: &str, examples: &str, more: &[&str]) {
    let checks = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/schemathesis_checks.py");
    let output = Command::new(python)
        .args(["-m", "schemathesis.cli", "run", &format!("{}/openapi.json", served.worker.rest().url())])
        .args(["--phases", "fuzzing", "-n", examples, "--no-shrink", "--continue-on-failure"])
        .args(["-c", "no_5xx_but_javas,content_type_conformance,response_schema_conformance"])
        .args(["--suppress-health-check", "all", "--no-color"])
        .args(more)
        .env("SCHEMATHESIS_HOOKS", checks)
        .current_dir(served.worker.folder())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "takes minutes"]
fn systems_schemathesis() {
    let python = format!("{}/python3", installed("python-tool.sh", &["schemathesis"]));
    let mut served = Served::logging("error,transom::rest=debug");
    fuzz(&served, &python, "180", &[]);
    // And once more about a connector that is there, so that answers are more than that there is none.
    let body = json!({ "name": "lines", "config": served.config(), "initial_state": "STOPPED" });
    assert_eq!(served.post("/connectors", &body.to_string()).status, 201);
    fs::write(served.worker.folder().join("schemathesis.toml"), "[parameters]\n\"path.name\" = \"lines\"\n")
        .unwrap();
    fuzz(&served, &python, "180", &["--exclude-method", "DELETE"]);
    assert_eq!(served.get("/connectors/lines").status, 200);
    assert!(served.worker.process().exited().is_none());
    let log = served.worker.log();
    let requests = log.lines().filter(|line| line.contains(" status=")).count();
    println!("{requests} requests");
    assert!(requests >= REQUESTS, "{requests} requests");
    assert!(!log.contains("panicked"), "a request panicked");
}
