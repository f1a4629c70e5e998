//! Secrets: they reach the plugin, and nothing else.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use transom_tests::guests::{FAULTY_SINK, FAULTY_SOURCE};
use transom_tests::worker::file_reference;
use transom_tests::{Worker, kafka, unique, until};

/// Each is handed in another way.
const FILE: &str = "canary_from_file_4f1c";
const DIR: &str = "canary_from_dir_a8e2";
const ENV: &str = "canary_from_env_09bd";
const LITERAL: &str = "canary_named_literally_1c2d";
const STORED: &str = "canary_named_and_stored_55e7";
const PASSWORD: &str = "canary_password_77b0";
const CLIENT: &str = "canary_of_the_client_e01a";
/// What the plugin is told: all but the last.
const TOLD: usize = 6;

/// A worker with both faulty plugins and all that secrets come from.
struct Job {
    worker: Worker,
    properties: PathBuf,
    folder: PathBuf,
}

impl Job {
    fn new() -> Self {
        let mut worker = Worker::new(kafka());
        let folder = worker.folder().join("secrets");
        fs::create_dir(&folder).unwrap();
        let properties = folder.join("app.properties");
        fs::write(&properties, format!("token={FILE}\nstored={STORED}\nclient={CLIENT}\n")).unwrap();
        fs::write(folder.join("token"), format!("{DIR}\n")).unwrap();
        let provider = "org.apache.kafka.common.config.provider";
        let allowed = folder.display().to_string();
        worker
            .install(&FAULTY_SOURCE)
            .install(&FAULTY_SINK)
            .environment("TRANSOM_TEST_CANARY", ENV)
            .environment("TRANSOM_LOG", "transom=trace,transom::rest::server=info,warn")
            .set("task.restart.max", "0")
            .provide_files(&folder, &["dir", "env"])
            .set("config.providers.dir.class", &format!("{provider}.DirectoryConfigProvider"))
            .set("config.providers.dir.param.allowed.paths", &allowed)
            .set("config.providers.env.class", &format!("{provider}.EnvVarConfigProvider"))
            .set("config.providers.env.param.allowlist.pattern", "TRANSOM_TEST_.*")
            .set("secret.app-literal", LITERAL)
            .set("secret.app-stored", &file_reference(&properties, "stored"))
            .set("sandbox.default.secrets", "app-*");
        Self { worker, properties, folder }
    }

    /// Settings that hand every canary to the plugin.
    fn canaries(&self) -> Vec<(&'static str, String)> {
        vec![
            ("canary.file", file_reference(&self.properties, "token")),
            ("canary.dir", format!("Bearer ${{dir:{}:token}}", self.folder.display())),
            ("canary.env", "${env:TRANSOM_TEST_CANARY}".to_owned()),
            ("canary.password", PASSWORD.to_owned()),
            ("fault.secrets", "app-literal,app-stored".to_owned()),
        ]
    }

    /// Adds a connector whose plugin tells all of them.
    fn add(&mut self, class: &str, what: &str, at: &str, more: &[(&str, &str)]) -> String {
        let name = unique(&format!("{what}-at-{at}"));
        let canaries = self.canaries();
        let canaries = canaries.iter().map(|(key, value)| (*key, value.as_str()));
        let config = [("connector.class", class), ("fault", what), ("fault.at", at)];
        let config: Vec<_> = config.into_iter().chain(canaries).chain(more.iter().copied()).collect();
        self.worker.connector(&name, &config);
        name
    }

    /// Waits until a connector, or its task, has failed, and returns the trace.
    #[track_caller]
    fn await_failed(&self, name: &str) -> String {
        let parts = |status: &Value| [status["connector"].clone(), status["tasks"][0].clone()];
        let failed = |part: &Value| part["state"] == "FAILED";
        let status = self.worker.await_status(name, |status| parts(status).iter().any(failed));
        let part = parts(&status).into_iter().find(failed).unwrap();
        part["trace"].as_str().unwrap().to_owned()
    }

    /// All that the worker says, by where it says it.
    fn outputs(&self, connectors: &[String]) -> Vec<(String, String)> {
        let mut paths: Vec<String> =
            ["/", "/health", "/connectors?expand=info&expand=status", "/connector-plugins", "/metrics"]
                .map(str::to_owned)
                .into();
        paths
            .extend(["faulty-source", "faulty-sink"].map(|name| format!("/connector-plugins/{name}/config")));
        for name in connectors {
            paths.extend(
                ["", "/config", "/status", "/tasks", "/tasks/0/status"]
                    .map(|part| format!("/connectors/{name}{part}")),
            );
        }
        let get = |path: String| {
            let (_, text) = self.worker.rest().send(&ureq::http::Method::GET, &path, None).unwrap();
            (path, text)
        };
        paths.into_iter().map(get).chain(self.files()).collect()
    }

    /// What it leaves behind.
    fn files(&self) -> [(String, String); 2] {
        let offsets = fs::read_to_string(self.worker.folder().join("offsets.json"));
        [("the log".to_owned(), self.worker.log()), ("the offsets".to_owned(), offsets.unwrap())]
    }
}

/// Fails if there is a canary in an output. What a user wrote into a configuration is shown with the configuration,
/// as in Kafka Connect: so is the one that is written out.
#[track_caller]
fn check(outputs: &[(String, String)]) {
    for (place, text) in outputs {
        let config = ["/config", "/tasks", "expand=info"].iter().any(|part| place.contains(part))
            || (place.starts_with("/connectors/") && place.matches('/').count() == 2);
        for canary in [FILE, DIR, ENV, LITERAL, STORED, PASSWORD, CLIENT] {
            if canary == PASSWORD && config && !place.ends_with("/status") {
                continue;
            }
            let line = text.lines().find(|line| line.contains(canary)).unwrap_or_default();
            assert!(!text.contains(canary), "{place} has {canary}: {line}");
        }
    }
}

/// How many secrets there were in a text.
fn hidden(text: &str) -> usize {
    text.matches("[hidden]").count()
}

/// Each call that a plugin can tell in, with what it tells by.
const SOURCES: &[(&str, &str)] = &[
    ("tell-error", "start"),
    ("tell-panic", "start"),
    ("tell-error", "task-configs"),
    ("tell-rubbish", "task-configs"),
    ("tell-error", "open"),
    ("tell-panic", "open"),
    ("tell-error", "poll"),
    ("tell-panic", "poll"),
    ("tell-error", "commit"),
];
const SINKS: &[(&str, &str)] = &[("tell-error", "put"), ("tell-panic", "put"), ("tell-outcome", "put")];

#[test]
fn no_secret_is_in_anything_that_the_worker_says() {
    let kafka = kafka();
    let mut job = Job::new();
    let topic = unique("told");
    kafka.create_topic(&topic, 1, &[]);
    kafka.produce_lines(&topic, ["one", "two"]);
    // The worker's own property: a password that its clients do not need here.
    let login = format!(
        "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" password=\"{}\";",
        file_reference(&job.properties, "client")
    );
    job.worker.set("sasl.mechanism", "PLAIN").set("sasl.jaas.config", &login);
    job.worker.set("sandbox.faulty-source.topics", &topic);
    let mut failing: Vec<String> =
        SOURCES.iter().map(|(what, at)| job.add("faulty-source", what, at, &[("topic", &topic)])).collect();
    failing.extend(SINKS.iter().map(|(what, at)| job.add("faulty-sink", what, at, &[("topics", &topic)])));
    let stray = file_reference(&job.properties, "token");
    let stray = job.add("faulty-source", "", "", &[("topic", &stray)]);
    let once = [("topic", topic.as_str()), ("fault.times", "1"), ("fault.after", "1")];
    let running = job.add("faulty-source", "tell", "poll", &once);
    let derived = job.add("faulty-source", "tell-derived", "task-configs", &[("topic", &topic)]);
    job.worker.start();

    for name in &failing {
        let trace = job.await_failed(name);
        assert!(hidden(&trace) >= 1, "{name}: {trace}");
        let all = name.starts_with("tell-error") || name.starts_with("tell-outcome");
        assert!(!all || hidden(&trace) >= TOLD, "{name} was not told everything: {trace}");
    }
    let not_granted = job.worker.await_failed(&stray);
    assert!(not_granted.contains("topic [hidden] is not granted"), "{not_granted}");
    for name in [&running, &derived] {
        job.worker.await_running(name, 1);
    }
    until("a line of the plugin that goes on", || {
        let log = job.worker.log();
        let of_it = |line: &&str| line.contains(&running) && line.contains("\"told");
        let most = log.lines().filter(of_it).map(hidden).max().unwrap_or_default();
        if most == TOLD { Ok(()) } else { Err(format!("{most} secrets in a line")) }
    });
    let tasks = job.worker.rest().get(&format!("/connectors/{derived}/tasks")).expect(200);
    let config = &tasks[0]["config"];
    assert_eq!(hidden(config["derived"].as_str().unwrap()), TOLD, "{config}");
    assert_eq!(config["canary.file"], file_reference(&job.properties, "token"), "as it was written");
    let all = [&failing[..], &[stray, running, derived]].concat();
    check(&job.outputs(&all));
    check(&validated(&job));
    assert!(job.worker.terminate().success());
    check(&job.files());
}

/// What comes of a validation in which the plugin tells, and of requests that are refused for it.
fn validated(job: &Job) -> Vec<(String, String)> {
    let mut outputs = Vec::new();
    for what in ["tell-error", "tell-panic", "tell"] {
        let mut config =
            json!({"name": "v", "connector.class": "faulty-source", "fault": what, "fault.at": "validate"});
        for (key, value) in job.canaries() {
            config[key] = value.into();
        }
        config["tasks.max"] = "${env:TRANSOM_TEST_CANARY}".into();
        let report = validate(job, &config);
        let of = |name: &str| {
            let all = report["configs"].as_array().unwrap();
            all.iter().find(|key| key["value"]["name"] == name).unwrap()["value"].clone()
        };
        assert_eq!(of("canary.password")["value"], "[hidden]");
        assert_eq!(of("tasks.max")["value"], "${env:TRANSOM_TEST_CANARY}");
        assert!(of("tasks.max")["errors"].to_string().contains("[hidden]"), "{report}");
        outputs.push((format!("the validation of {what}"), report.to_string()));
        config["tasks.max"] = "1".into();
        let report = validate(job, &config);
        assert!(what == "tell" || hidden(&report.to_string()) > TOLD, "{report}");
        outputs.push((format!("the plugin's validation of {what}"), report.to_string()));
        if what != "tell" {
            let body = json!({"name": "v", "config": config});
            let refused = job.worker.rest().post("/connectors", Some(&body)).expect(400);
            outputs.push((format!("the refusal of {what}"), refused.to_string()));
        }
    }
    outputs
}

fn validate(job: &Job, config: &Value) -> Value {
    job.worker.rest().put("/connector-plugins/faulty-source/config/validate", Some(config)).expect(200)
}

#[test]
fn a_new_value_takes_effect_at_the_next_open() {
    let kafka = kafka();
    let mut job = Job::new();
    let topics = ["before", "after"].map(unique);
    for topic in &topics {
        kafka.create_topic(topic, 1, &[]);
    }
    let write =
        |job: &Job, topic: &str| fs::write(&job.properties, format!("stored=x\ntopic={topic}\n")).unwrap();
    write(&job, &topics[0]);
    let name = unique("rotated");
    let written = file_reference(&job.properties, "topic");
    job.worker.connector(&name, &[("connector.class", "faulty-source"), ("topic", &written)]).start();
    kafka.await_records(&topics[0], 1);
    write(&job, &topics[1]);
    let restart = |job: &Job| {
        let path = format!("/connectors/{name}/tasks/0/restart");
        assert_eq!(job.worker.rest().post(&path, None).status, 204);
    };
    restart(&job);
    kafka.await_records(&topics[1], 1);
    let config = job.worker.rest().get(&format!("/connectors/{name}/config")).expect(200);
    assert_eq!(config["topic"], written);

    fs::remove_file(&job.properties).unwrap();
    restart(&job);
    let trace = job.worker.await_failed(&name);
    assert!(trace.contains(&format!("topic: {written} cannot be resolved")), "{trace}");
    write(&job, &topics[1]);
    restart(&job);
    job.worker.await_running(&name, 1);
}

#[test]
fn what_cannot_be_resolved_is_refused_and_told_with_the_fix() {
    let mut job = Job::new();
    job.worker.start();
    let config = json!({
        "connector.class": "faulty-source", "topic": "${vault:a:b}", "records": "${env:HOME}",
        "canary.a": "${file:/etc/passwd:root}", "canary.b": "${file:/missing/x:y}",
    });
    let body = json!({"name": "refused", "config": config});
    let refused = job.worker.rest().post("/connectors", Some(&body)).expect(400)["message"].to_string();
    for part in [
        "contains the following 4 error(s)",
        "${vault:a:b} cannot be resolved: the worker lists no provider",
        "config.providers.env.param.allowlist.pattern does not match it",
        "${file:/etc/passwd:root} cannot be resolved: /etc/passwd is not in config.providers.file.param.allowed.paths",
        "/missing/x is not in config.providers.file.param.allowed.paths",
    ] {
        assert!(refused.contains(part), "no word of {part}: {refused}");
    }
}

#[test]
fn a_plugin_gets_the_secrets_that_it_is_granted_and_no_others() {
    let mut job = Job::new();
    job.worker.set("sandbox.faulty-source.secrets", "app-stored,app-x*").set("secret.other", "other");
    let add = |job: &mut Job, secret: &str| {
        let name = unique("asks");
        let config = [
            ("connector.class", "faulty-source"),
            ("topic", "never-written"),
            ("fault", "tell-error"),
            ("fault.at", "open"),
            ("fault.secrets", secret),
        ];
        job.worker.connector(&name, &config);
        name
    };
    let [granted, other, missing] = ["app-stored", "other", "app-x1"].map(|secret| add(&mut job, secret));
    job.worker.start();
    let trace = |name: &str| job.worker.await_failed(name);
    assert!(trace(&granted).contains("told [hidden]"));
    assert!(trace(&other).contains("`sandbox.faulty-source.secrets=other`"));
    assert!(trace(&missing).contains("no secret is named \"app-x1\""));
    job.worker.await_log(&["refused the secret", "sandbox.faulty-source.secrets=other"]);
}

#[test]
fn a_worker_does_not_start_with_providers_that_may_read_anything() {
    let mut job = Job::new();
    job.worker
        .unset("config.providers.file.param.allowed.paths")
        .unset("config.providers.env.param.allowlist.pattern");
    job.worker.launch();
    assert_eq!(job.worker.wait().code(), Some(2));
    let log = job.worker.log();
    for key in
        ["config.providers.file.param.allowed.paths: must be set", "env.param.allowlist.pattern: must be set"]
    {
        assert!(log.contains(key), "no word of {key}:\n{log}");
    }
}
