mod documents;
mod settings;
mod traffic;

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value, json};
use transom_sdk::http::{Request, Response};
use transom_sdk::testing::{self, SinkTest, TestRecord};
use transom_sdk::{ConfigMap, Error, Format};

use super::*;

/// Nothing in here may be seen by anybody.
const CANARY: &str = "canary-7f3a";

type Test = SinkTest<ElasticsearchSink>;
type Asked = Rc<RefCell<Vec<Request>>>;

fn config(more: &[(&str, &str)]) -> ConfigMap {
    let own = [
        ("connection.url", "http://a:9200"),
        ("linger.ms", "0"),
        ("retry.backoff.ms", "1"),
        ("connection.timeout.ms", "0"),
    ];
    own.iter().chain(more).copied().collect()
}

/// A sink before a server that takes everything.
fn sink(more: &[(&str, &str)]) -> (Test, Asked) {
    served(more, |request| Ok(taken(request)))
}

/// A sink before this server.
fn served(
    more: &[(&str, &str)],
    mut server: impl FnMut(&Request) -> Result<Response, Error> + 'static,
) -> (Test, Asked) {
    let test = Test::open(config(more)).unwrap();
    let asked = Asked::default();
    let seen = Rc::clone(&asked);
    testing::http(move |request| {
        seen.borrow_mut().push(request.clone());
        server(request)
    });
    (test, asked)
}

fn lines(request: &Request) -> Vec<String> {
    std::str::from_utf8(request.body()).unwrap().lines().map(str::to_owned).collect()
}

/// The actions of a request: name and id.
fn actions(request: &Request) -> Vec<(String, String)> {
    let parsed = lines(request).into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let action = |line: Value| {
        let (action, of) = line.as_object()?.iter().next()?;
        Some((action.clone(), of["_id"].as_str()?.to_owned()))
    };
    parsed.filter_map(action).collect()
}

fn ids(request: &Request) -> Vec<String> {
    actions(request).into_iter().map(|(_, id)| id).collect()
}

fn taken(request: &Request) -> Response {
    judged(request, |_| (201, Value::Null))
}

/// An answer with a status and perhaps an error for each id.
fn judged(request: &Request, mut verdict: impl FnMut(&str) -> (u16, Value)) -> Response {
    let mut errors = false;
    let item = |(action, id): (String, String)| {
        let (status, error) = verdict(&id);
        errors |= !error.is_null();
        let outcome = if error.is_null() {
            json!({ "status": status })
        } else {
            json!({ "status": status, "error": error })
        };
        json!({ action: outcome })
    };
    let items: Vec<Value> = actions(request).into_iter().map(item).collect();
    Response::new(200).with_body(json!({ "errors": errors, "items": items }).to_string())
}

fn record(key: &str, value: &str) -> TestRecord {
    TestRecord::string("Topic", 0, value).with_key(key)
}

fn tombstone(key: &str) -> TestRecord {
    TestRecord::new("Topic", 0, Format::Bytes, None).with_key(key)
}

/// Puts nothing until the sink says so.
#[track_caller]
fn until(test: &mut Test, mut done: impl FnMut(&mut Test) -> bool) {
    for _ in 0..500 {
        if done(test) {
            return;
        }
        testing::set_should_stop(false);
        test.put(&[]).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("it never is");
}

/// What would be committed of the first partition.
fn durable(test: &mut Test) -> Option<i64> {
    test.pre_commit(Reason::Interval).unwrap().first().map(|offset| offset.offset)
}

#[track_caller]
fn await_durable(test: &mut Test, offset: i64) {
    until(test, |test| durable(test) == Some(offset));
}

/// A record, changed.
fn with(mut record: TestRecord, change: impl FnOnce(&mut TestRecord)) -> TestRecord {
    change(&mut record);
    record
}
