//! What Kafka Connect's REST API has not, or leaves to the operator.

use std::thread;

use serde_json::json;
use transom_tests::guests::FAULTY_SOURCE;
use transom_tests::worker::Worker;
use transom_tests::worker::rest::Rest;
use transom_tests::{kafka, ports};

use super::Served;

#[test]
fn the_api_describes_itself() {
    let served = Served::start();
    let description = served.get("/openapi.json").json();
    assert!(description["openapi"].as_str().unwrap().starts_with("3."));
    // Whatever is described is there: no path answers 404 or 405 to what it says it can be asked.
    for (path, methods) in description["paths"].as_object().unwrap() {
        let path = path.replace("{name}", "nobody").replace("{task}", "0");
        let allowed = served.send("OPTIONS", &path, None, "").headers["allow"].to_str().unwrap().to_owned();
        for method in methods.as_object().unwrap().keys() {
            assert!(allowed.contains(&method.to_ascii_uppercase()), "{path}: {allowed}");
        }
    }
}

#[test]
fn a_request_that_takes_too_long_is_answered_with_what_it_waits_for_and_goes_on() {
    let mut worker = Worker::new(kafka());
    worker.set("rest.request.timeout.ms", "1000").install(&FAULTY_SOURCE).start();
    worker.await_plugins(1);
    let config = |ms: &str| json!({ "connector.class": "faulty-source", "fault": "slow", "fault.at": "validate", "fault.ms": ms });
    let body = json!({ "name": "slow", "config": config("3000") });
    let answer = worker.rest().post("/connectors", Some(&body)).expect(500);
    let message = answer["message"].as_str().unwrap();
    let expected = "Request timed out. The worker is currently performing multi-property validation for the connector, \
                    which began at ";
    assert!(message.starts_with(expected), "{message}");
    worker.await_running("slow", 1);
}

#[test]
fn administrative_endpoints_may_have_listeners_of_their_own() {
    let port = ports::free();
    let served = Served::with(&[("admin.listeners", &format!("http://127.0.0.1:{port}"))]);
    assert_eq!(served.get("/admin/loggers").error(404), "HTTP 404 Not Found");
    let admin = Rest::new(port);
    assert!(admin.get("/admin/loggers").expect(200)["root"]["level"].is_string());
    admin.get("/connectors").expect(404);
    let nowhere = Served::with(&[("admin.listeners", "")]);
    nowhere.get("/admin/loggers").error(404);
    nowhere.get("/connectors").json();
}

#[test]
fn several_listeners_serve_the_same() {
    let ports = [ports::free(), ports::free()];
    let listeners = ports.map(|port| format!("http://127.0.0.1:{port}")).join(",");
    let mut worker = Worker::new(kafka());
    let own = worker.rest().url().to_owned();
    worker.set("listeners", &format!("{own},{listeners}")).start();
    for port in ports {
        assert_eq!(Rest::new(port).get("/connectors").expect(200), json!([]));
    }
}

#[test]
fn the_largest_body_is_the_operators_to_say() {
    let served = Served::with(&[("rest.request.max.bytes", "100")]);
    served.post("/connectors", &" ".repeat(101)).error(413);
    served.post("/connectors", &" ".repeat(100)).error(500);
}

#[test]
fn a_logger_that_is_set_logs_from_then_on() {
    let served = Served::start();
    let asked = |path: &str| served.worker.log().contains(&format!("path={path}"));
    served.get("/connectors?before");
    assert!(!asked("/connectors"), "what is requested is for those who debug");
    let changed = served.put("/admin/loggers/transom::rest", &json!({ "level": "debug" })).json();
    assert!(changed.as_array().unwrap().contains(&json!("transom::rest")), "{changed}");
    served.get("/health");
    served.worker.await_log(&["DEBUG", "path=/health", "status=200"]);
    let loggers = served.get("/admin/loggers").json();
    assert!(loggers["transom::rest"]["last_modified"].is_u64() && loggers["root"]["last_modified"].is_null());
    assert!(loggers.as_object().unwrap().keys().any(|name| name.starts_with("transom::worker")), "{loggers}");
}

#[test]
fn topics_are_told_and_forgotten_only_where_the_operator_lets_them() {
    let none = Served::with(&[("topic.tracking.enable", "false")]);
    assert_eq!(none.get("/connectors/x/topics").error(403), "Topic tracking is disabled.");
    let reset = none.send("PUT", "/connectors/x/topics/reset", None, "");
    assert_eq!(reset.error(403), "Topic tracking is disabled.");
    let kept = Served::with(&[("topic.tracking.allow.reset", "false")]);
    assert_eq!(kept.get("/connectors/x/topics").json(), json!({ "x": { "topics": [] } }));
    let reset = kept.send("PUT", "/connectors/x/topics/reset", None, "");
    assert_eq!(reset.error(403), "Topic tracking reset is disabled.");
}

#[test]
fn two_patches_at_once_are_both_there_afterwards() {
    let served = Served::start();
    served.create("lines");
    thread::scope(|scope| {
        for number in 0..8 {
            let served = &served;
            scope.spawn(move || {
                let body = json!({ format!("key.{number}"): "x" }).to_string();
                let reply = served.send("PATCH", "/connectors/lines/config", Some("application/json"), &body);
                assert_eq!(reply.status, 200, "{}", reply.text);
            });
        }
    });
    let config = served.get("/connectors/lines/config").json();
    assert!((0..8).all(|number| config[format!("key.{number}")] == "x"), "{config}");
}

#[test]
fn a_plugin_recommends_values_and_hides_keys_of_its_own_and_of_nobody_else() {
    let mut worker = Worker::new(kafka());
    worker.install(&FAULTY_SOURCE).start();
    worker.await_plugins(1);
    let config = json!({
        "name": "n", "connector.class": "faulty-source", "fault": "advise", "fault.at": "validate", "topic": "t",
    });
    let told =
        worker.rest().put("/connector-plugins/faulty-source/config/validate", Some(&config)).expect(200);
    assert_eq!(told["error_count"], 0, "{told}");
    let value = |name: &str| {
        let keys = told["configs"].as_array().unwrap();
        keys.iter().find(|key| key["value"]["name"] == name).map(|key| key["value"].clone())
    };
    let records = value("poll.records").unwrap();
    assert_eq!((&records["recommended_values"], &records["visible"]), (&json!(["1", "100"]), &json!(false)));
    let name = value("name").unwrap();
    assert_eq!((&name["recommended_values"], &name["visible"]), (&json!([]), &json!(true)));
    assert_eq!(value("nothing"), None);
    // Nobody was asked to run it.
    assert_eq!(worker.rest().get("/connectors").expect(200), json!([]));
}
