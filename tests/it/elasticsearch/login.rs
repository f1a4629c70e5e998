//! Who may write: a server before the real one that looks at the login.

use transom_tests::https::Https;
use transom_tests::search::opensearch;

use super::*;

/// Nothing in here may be seen by anybody.
const SECRET: &str = "canary-9c1e";
/// `me:canary-9c1e` in Base64.
const BASIC: &str = "bWU6Y2FuYXJ5LTljMWU=";
const API_KEY: &str = "Y2FuYXJ5OWMxZTprZXk=";
const CLASS: &str = "ElasticsearchSink";

type Login<'a> = &'a [(&'a str, &'a str)];

/// Hands on what comes with a right login, and answers 401 to everything else, as Elasticsearch does.
fn guarded(search: &'static Search) -> Https {
    let right = [format!("Basic {BASIC}"), format!("ApiKey {API_KEY}")];
    Https::start(&["h2", "http/1.1"], move |request| {
        let login = request.headers().get("authorization").map(|login| login.to_str().unwrap());
        if login.is_some_and(|login| right.iter().any(|right| right == login)) {
            let (status, body) = hand_on(search, request, request.body().to_vec());
            return answer(status, body);
        }
        // Servers repeat what they were told.
        let reason = format!("unable to authenticate with {login:?}");
        let error = json!({ "error": { "type": "security_exception", "reason": reason }, "status": 401 });
        answer(401, error.to_string())
    })
}

/// A job, not started yet, that has this login and logs all it can.
fn job(front: &Https, login: Login<'_>) -> Job {
    let mut job = Job::by(opensearch(), &front.url(), 1, login);
    job.worker
        .set("sandbox.elasticsearch-sink.tls.ca", &front.ca().display().to_string())
        .set("task.restart.max", "0")
        .verbose();
    job
}

fn basic(password: &str) -> [(&str, &str); 2] {
    [("connection.username", "me"), ("connection.password", password)]
}

/// What the worker says to this login: errors by their keys, and all of it as text.
fn validated(job: &Job, front: &Https, login: Login<'_>) -> (BTreeMap<String, String>, String) {
    let mut config = json!({
        "connector.class": CLASS, "name": "n", "topics": "t", "connection.url": front.url(),
        "validate.connection": "true",
    });
    for (key, value) in login {
        config[*key] = (*value).into();
    }
    let path = format!("/connector-plugins/{CLASS}/config/validate");
    let answer = job.worker.rest().put(&path, Some(&config)).expect(200);
    let mut errors = BTreeMap::new();
    for config in answer["configs"].as_array().unwrap() {
        for error in config["value"]["errors"].as_array().unwrap() {
            let key = config["value"]["name"].as_str().unwrap();
            errors.insert(key.to_owned(), error.as_str().unwrap().to_owned());
        }
    }
    (errors, answer.to_string())
}

#[test]
fn a_right_password_or_api_key_lets_records_in() {
    let front = guarded(opensearch());
    for login in [&basic(SECRET)[..], &[("connection.api.key", API_KEY)]] {
        let mut job = job(&front, login);
        job.add(500);
        job.worker.start();
        job.check();
        assert_eq!(validated(&job, &front, login).0, BTreeMap::new());
        let log = job.worker.log();
        assert!(log.contains("DEBUG"), "the log has all there is to say");
        for secret in [SECRET, BASIC, API_KEY] {
            assert!(!log.contains(secret), "the log tells {secret}");
        }
    }
}

#[test]
fn a_wrong_login_fails_the_task_and_names_the_key() {
    let front = guarded(opensearch());
    let wrong = format!("{SECRET}-wrong");
    let logins: [(Login<'_>, &str, &str); 3] = [
        (&basic(&wrong), "connection.password", "check connection.username and connection.password"),
        (
            &[("connection.api.key", "Y2FuYXJ5OWMxZTp3cm9uZw==")],
            "connection.api.key",
            "check connection.api.key",
        ),
        (
            &[],
            "connection.username",
            "set connection.username and connection.password, or connection.api.key",
        ),
    ];
    for (login, key, advice) in logins {
        let mut job = job(&front, login);
        job.add(10);
        job.worker.start();
        let trace = job.worker.await_failed(&job.connector);
        for part in ["_bulk: the server answered 401", advice] {
            assert!(trace.contains(part), "no {part} in {trace}");
        }
        let (errors, text) = validated(&job, &front, login);
        assert_eq!(errors.keys().collect::<Vec<_>>(), [key], "{errors:?}");
        assert!(
            errors[key].contains("the server answered 401") && errors[key].contains(advice),
            "{errors:?}"
        );
        assert_eq!(job.search.count(&job.index).ok(), None, "nothing was written");
        for (what, text) in [("the log", &job.worker.log()), ("the status", &trace), ("the check", &text)] {
            for secret in login.iter().map(|(_, value)| *value).filter(|value| value.len() > 2) {
                assert!(!text.contains(secret) || what == "the check", "{what} tells {secret}");
            }
        }
    }
}
