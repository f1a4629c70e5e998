//! The REST API over a socket, as Kafka Connect's users know it.

mod fuzz;
mod own;

use serde_json::{Value, json};
use transom_tests::guests::{FILE_SINK, FILE_SOURCE};
use transom_tests::worker::Worker;
use transom_tests::{kafka, unique};
use ureq::http::{HeaderMap, Request};

/// A worker with plugins, and any request to it.
struct Served {
    worker: Worker,
    agent: ureq::Agent,
}

struct Reply {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Reply {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Asserts that it is an error as all errors are, and returns its message.
    #[track_caller]
    fn error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/json");
        let body = self.json();
        assert_eq!(body["error_code"], status);
        assert_eq!(body.as_object().unwrap().len(), 2);
        body["message"].as_str().unwrap().to_owned()
    }
}

impl Served {
    fn start() -> Self {
        Self::with(&[])
    }

    fn with(settings: &[(&str, &str)]) -> Self {
        Self::started(Worker::new(kafka()), settings)
    }

    /// What is logged is chosen by this filter.
    fn logging(filter: &str) -> Self {
        let mut worker = Worker::new(kafka());
        worker.environment("TRANSOM_LOG", filter);
        Self::started(worker, &[])
    }

    fn started(mut worker: Worker, settings: &[(&str, &str)]) -> Self {
        for (key, value) in settings {
            worker.set(key, value);
        }
        let folder = worker.folder().to_owned();
        worker.install(&FILE_SOURCE).install(&FILE_SINK).grant("file-source", &folder, "").start();
        worker.await_plugins(2);
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        Self { worker, agent: config.into() }
    }

    fn send(&self, method: &str, path: &str, content_type: Option<&str>, body: &str) -> Reply {
        let uri = format!("{}{path}", self.worker.rest().url());
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let mut response = self.agent.run(request.body(body.to_owned()).unwrap()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        Reply { status: response.status().as_u16(), headers: response.headers().clone(), text }
    }

    fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None, "")
    }

    fn put(&self, path: &str, body: &Value) -> Reply {
        self.send("PUT", path, Some("application/json"), &body.to_string())
    }

    fn post(&self, path: &str, body: &str) -> Reply {
        self.send("POST", path, Some("application/json"), body)
    }

    /// A source of a file that is not there yet, which it waits for.
    fn config(&self) -> Value {
        let file = self.worker.folder().join("lines.txt").display().to_string();
        json!({ "connector.class": "FileStreamSource", "topic": unique("lines"), "file": file, "tasks.max": 1 })
    }

    #[track_caller]
    fn create(&self, name: &str) -> Reply {
        let body = json!({ "name": name, "config": self.config() });
        let reply = self.post("/connectors", &body.to_string());
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply
    }

    #[track_caller]
    fn await_state(&self, name: &str, state: &str) -> Value {
        self.worker.await_status(name, |status| status["connector"]["state"] == state)
    }
}

#[test]
fn a_connector_is_created_read_and_deleted() {
    let served = Served::start();
    let base = served.worker.rest().url().to_owned();
    let reply = served.create("lines");
    assert_eq!(reply.headers["location"], format!("{base}/connectors/lines"));
    assert_eq!(reply.json()["name"], "lines");
    assert_eq!(reply.json()["type"], "source");
    assert_eq!(reply.json()["config"]["name"], "lines");
    assert_eq!(reply.json()["config"]["tasks.max"], "1");

    served.worker.await_running("lines", 1);
    assert_eq!(served.get("/connectors").json(), json!(["lines"]));
    assert_eq!(served.get("/connectors/lines").json()["tasks"], json!([{ "connector": "lines", "task": 0 }]));
    let tasks = served.get("/connectors/lines/tasks").json();
    assert_eq!(tasks[0]["id"], json!({ "connector": "lines", "task": 0 }));
    assert_eq!(tasks[0]["config"]["topic"], served.get("/connectors/lines/config").json()["topic"]);

    let reply = served.send("DELETE", "/connectors/lines", None, "");
    assert_eq!((reply.status, reply.text.as_str()), (204, ""));
    let reply = served.send("DELETE", "/connectors/lines", None, "");
    assert_eq!(reply.error(404), "Connector lines not found");
    assert_eq!(served.get("/connectors/lines").error(404), "Connector lines not found");
}

#[test]
fn any_name_of_a_connector_simply_works() {
    let served = Served::start();
    let base = served.worker.rest().url().to_owned();
    for name in ["a/b", "100%", "%2F", "back\\slash", "{b}", "ö ü", "q?x=1#y", "tasks", "a+b", "'\"'"] {
        let location = served.create(name).headers["location"].to_str().unwrap().to_owned();
        let path = location.strip_prefix(&base).unwrap();
        assert_eq!(served.get(path).json()["name"], name, "{path}");
        assert_eq!(served.get(&format!("{path}/status")).json()["name"], name);
        assert_eq!(served.send("DELETE", path, None, "").status, 204);
    }
    served.get("/connectors/%FF/status").error(400);
}

#[test]
fn a_connector_that_exists_is_not_created_again() {
    let served = Served::start();
    served.create("lines");
    let again =
        served.post("/connectors", &json!({ "name": "lines", "config": served.config() }).to_string());
    assert_eq!(again.error(409), "Connector lines already exists");
}

#[test]
fn an_initial_state_is_kept() {
    let served = Served::start();
    for (word, tasks) in [("STOPPED", 0), ("paused", 0), ("Running", 1)] {
        let body = json!({ "name": word, "config": served.config(), "initial_state": word });
        assert_eq!(served.post("/connectors", &body.to_string()).status, 201);
        served.await_state(word, &word.to_ascii_uppercase());
        served.worker.await_status(word, |status| status["tasks"].as_array().unwrap().len() == tasks);
    }
}

#[test]
fn putting_a_config_creates_or_replaces() {
    let served = Served::start();
    let reply = served.put("/connectors/lines/config", &served.config());
    assert_eq!(reply.status, 201, "{}", reply.text);
    let base = served.worker.rest().url();
    assert_eq!(reply.headers["location"], format!("{base}/connectors/lines"));
    let mut config = served.config();
    config["topic"] = unique("others").into();
    let reply = served.put("/connectors/lines/config", &config);
    assert_eq!((reply.status, reply.headers.get("location")), (200, None));
    assert_eq!(reply.json()["config"]["topic"], config["topic"]);
    config["name"] = "another".into();
    let message = served.put("/connectors/lines/config", &config).error(400);
    let expected = "Connector name configuration (another) doesn't match connector name in the URL (lines)";
    assert_eq!(message, expected);
}

#[test]
fn an_invalid_config_is_a_bad_request_that_lists_its_errors() {
    let served = Served::start();
    let body =
        json!({ "name": "lines", "config": { "connector.class": "FileStreamSource", "tasks.max": "many" } });
    let message = served.post("/connectors", &body.to_string()).error(400);
    assert!(
        message.starts_with("Connector configuration is invalid and contains the following "),
        "{message}"
    );
    assert!(message.contains("tasks.max: Not a number of type INT"), "{message}");
    assert!(message.ends_with("`/connector-plugins/{connectorType}/config/validate`"), "{message}");
    let body = json!({ "name": "lines", "config": { "connector.class": "Nothing" } });
    let message = served.post("/connectors", &body.to_string()).error(400);
    assert!(message.starts_with("Failed to find any class that implements Connector"), "{message}");
    assert_eq!(served.get("/connectors").json(), json!([]));
}

#[test]
fn bodies_that_cannot_be_read_are_answered_as_kafka_connect_does() {
    let served = Served::start();
    assert!(served.post("/connectors", "{\"name\": ").error(500).contains("EOF while parsing"));
    assert!(served.post("/connectors", "").error(500).contains("The request has no body"));
    assert!(served.post("/connectors", "[]").error(500).contains("Cannot deserialize value"));
    assert!(served.post("/connectors", r#"{"x": 1}"#).error(500).contains("Unrecognized field \"x\""));
    served.post("/connectors", &" ".repeat((4 << 20) + 1)).error(413);
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let reply = served.send("POST", "/connectors", content_type, "{}");
        assert_eq!(reply.error(415), "HTTP 415 Unsupported Media Type");
    }
}

#[test]
fn what_does_not_exist_is_not_found_in_json() {
    let served = Served::start();
    served.create("lines");
    served.worker.await_running("lines", 1);
    for path in ["/nothing", "/connectors/lines/nothing", "/connectors/lines/tasks-config"] {
        assert_eq!(served.get(path).error(404), "HTTP 404 Not Found", "{path}");
    }
    served.get("/connectors//status").error(400);
    assert_eq!(served.get("/connectors/x/status").error(404), "No status found for connector x");
    assert_eq!(served.get("/connectors/x/tasks/0/status").error(404), "No status found for task x-0");
    assert_eq!(served.get("/connectors/lines/tasks/7/status").error(404), "No status found for task lines-7");
    assert_eq!(served.get("/connectors/lines/tasks/first/status").error(404), "HTTP 404 Not Found");
}

#[test]
fn other_methods_are_told_which_ones_there_are() {
    let served = Served::start();
    let reply = served.send("DELETE", "/connectors/lines/config", None, "");
    assert_eq!(reply.error(405), "HTTP 405 Method Not Allowed");
    let allowed = reply.headers["allow"].to_str().unwrap().to_owned();
    assert!(["GET", "HEAD", "PUT", "PATCH"].iter().all(|method| allowed.contains(method)), "{allowed}");
    let reply = served.send("OPTIONS", "/connectors", None, "");
    assert_eq!((reply.status, reply.headers["allow"].to_str().unwrap()), (200, "HEAD,GET,POST,OPTIONS"));
    assert_eq!(served.send("HEAD", "/connectors", None, "").status, 200);
}

#[test]
fn a_list_is_expanded_by_what_is_asked() {
    let served = Served::start();
    served.create("lines");
    served.worker.await_running("lines", 1);
    let both = served.get("/connectors?expand=info&expand=status").json();
    assert_eq!(both["lines"]["info"]["name"], "lines");
    assert_eq!(both["lines"]["status"]["connector"]["state"], "RUNNING");
    let status = served.get("/connectors/?expand=status").json();
    assert_eq!(status["lines"].as_object().unwrap().len(), 1);
    assert_eq!(served.get("/connectors?expand=nonsense").json(), json!({ "lines": {} }));
}

#[test]
fn a_status_names_the_worker_and_the_code() {
    let served = Served::start();
    served.create("lines");
    let status = served.worker.await_running("lines", 1);
    let address = served.worker.rest().url().strip_prefix("http://").unwrap().to_owned();
    assert_eq!(status["connector"]["worker_id"], address);
    assert_eq!(status["connector"]["version"], FILE_SOURCE.version);
    assert_eq!(status["tasks"][0]["plugin"]["name"], "file-source");
    assert_eq!(status["tasks"][0]["plugin"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(status["type"], "source");
    let task = served.get("/connectors/lines/tasks/0/status/").json();
    assert_eq!(task, status["tasks"][0]);
}

#[test]
fn pause_resume_and_stop_change_the_state_and_may_be_repeated() {
    let served = Served::start();
    served.create("lines");
    let steps = [
        ("pause", 202, "PAUSED"),
        ("pause", 202, "PAUSED"),
        ("resume", 202, "RUNNING"),
        ("stop", 204, "STOPPED"),
        ("stop", 204, "STOPPED"),
        ("pause", 202, "PAUSED"),
        ("resume", 202, "RUNNING"),
    ];
    for (verb, status, state) in steps {
        let reply = served.send("PUT", &format!("/connectors/lines/{verb}"), None, "");
        assert_eq!((reply.status, reply.text.as_str()), (status, ""), "{verb}");
        served.await_state("lines", state);
        let reply = served.send("PUT", &format!("/connectors/nobody/{verb}"), None, "");
        assert_eq!(reply.error(404), "Unknown connector nobody");
    }
}

#[test]
fn a_restart_answers_a_plan_only_if_it_was_asked_for_more_than_the_connector() {
    let served = Served::start();
    served.create("lines");
    served.worker.await_running("lines", 1);
    for query in ["", "?includeTasks=false", "?onlyFailed=yes&includeTasks=1"] {
        let reply = served.post(&format!("/connectors/lines/restart{query}"), "");
        assert_eq!((reply.status, reply.text.as_str()), (204, ""), "{query}");
    }
    served.worker.await_running("lines", 1);
    for query in ["?includeTasks=true", "?onlyFailed=TRUE", "?includeTasks=true&onlyFailed=true"] {
        let reply = served.post(&format!("/connectors/lines/restart{query}"), "");
        assert_eq!((reply.status, reply.json()["name"].as_str()), (202, Some("lines")), "{query}");
    }
    served.worker.await_running("lines", 1);
    assert_eq!(served.post("/connectors/x/restart", "").error(404), "Unknown connector: x");
    assert_eq!(served.post("/connectors/lines/tasks/0/restart", "").status, 204);
    assert_eq!(served.post("/connectors/lines/tasks/9/restart", "").error(404), "Unknown task: lines-9");
    assert_eq!(served.post("/connectors/x/tasks/0/restart", "").error(404), "Unknown connector: x");
}

#[test]
fn plugins_tell_what_they_are_and_what_they_can_be_told() {
    let served = Served::start();
    let plugins = served.get("/connector-plugins").json();
    let types: Vec<_> = plugins.as_array().unwrap().iter().map(|plugin| plugin["type"].clone()).collect();
    assert_eq!(types, ["sink", "source"]);
    assert_eq!(plugins[1]["class"], "org.apache.kafka.connect.file.FileStreamSourceConnector");
    assert_eq!(plugins[1]["plugin"]["name"], "file-source");
    let keys = served.get("/connector-plugins/FileStreamSource/config").json();
    let members: Vec<_> = keys[0].as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        "default_value dependents display_name documentation group importance name order required type width";
    let mut sorted = members.clone();
    sorted.sort_unstable();
    assert_eq!(sorted.join(" "), expected);
    let keys = keys.as_array().unwrap();
    assert!(
        keys.iter().any(|key| key["name"] == "file") && keys.iter().any(|key| key["name"] == "tasks.max")
    );
    for class in ["Nothing", "org.example.Nothing"] {
        let message = served.get(&format!("/connector-plugins/{class}/config")).error(404);
        assert_eq!(message, format!("Unknown plugin {class}."));
    }
}

#[test]
fn a_validation_answers_with_the_errors_of_each_key() {
    let served = Served::start();
    let path = "/connector-plugins/FileStreamSource/config/validate";
    let config = json!({ "connector.class": "FileStreamSource", "name": "n", "tasks.max": "x", "odd": null });
    let reply = served.put(path, &config);
    assert_eq!(reply.status, 200, "{}", reply.text);
    let report = reply.json();
    let configs = report["configs"].as_array().unwrap();
    let of = |name: &str| configs.iter().find(|config| config["value"]["name"] == name).unwrap();
    let not_a_number = "Invalid value x for configuration tasks.max: Not a number of type INT";
    assert!(
        of("tasks.max")["value"]["errors"].as_array().unwrap().contains(&not_a_number.into()),
        "{report:#}"
    );
    let no_null = "Null value can not be supplied as the configuration value.";
    assert_eq!(of("odd")["value"]["errors"], json!([no_null]));
    assert_eq!(of("odd")["definition"], Value::Null);
    let errors: usize = configs.iter().map(|key| key["value"]["errors"].as_array().unwrap().len()).sum();
    assert_eq!(report["error_count"], errors);

    let message = served.put(path, &json!({ "connector.class": "FileStreamSink" })).error(400);
    assert_eq!(
        message,
        "Included connector type FileStreamSink does not match request type FileStreamSource"
    );
}

#[test]
fn root_health_and_metrics_answer() {
    let served = Served::start();
    let root = served.get("/").json();
    assert_eq!(root["version"], "4.1.1", "clients look at it to know what they may ask");
    assert!(root["transom"]["version"].is_string() && root["commit"].is_string());
    assert!(root["kafka_cluster_id"].is_string());
    assert_eq!(served.get("/health").json()["status"], "healthy");
    let reply = served.get("/metrics");
    assert!(reply.headers["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    drop(served.worker.metrics());
}
