mod hostile;
mod login;
mod pages;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::json;
use transom_sdk::testing::{self, Polled, SourceTest};
use transom_sdk::{ConfigMap, Format};

use super::*;

/// Nothing in here may be seen by anybody.
const CANARY: &str = "canary-7f3a";
const URL: &str = "https://api/items?type=a";

type Test = SourceTest<HttpSource>;
type Asked = Rc<RefCell<Vec<Request>>>;

fn config(more: &[(&str, &str)]) -> ConfigMap {
    let own = [("url", URL), ("topic", "items"), ("interval.ms", "1"), ("backoff.ms", "1")];
    own.iter().chain(more).copied().collect()
}

/// A source before this server.
fn source(more: &[(&str, &str)], server: impl FnMut(&Request) -> Response + 'static) -> (Test, Asked) {
    let mut test = Test::new(config(more));
    let asked = serve(server);
    test.reopen().unwrap();
    (test, asked)
}

/// What the server gets from now on.
fn serve(mut server: impl FnMut(&Request) -> Response + 'static) -> Asked {
    let asked = Asked::default();
    let seen = Rc::clone(&asked);
    testing::http(move |request| {
        seen.borrow_mut().push(request.clone());
        Ok(server(request))
    });
    asked
}

fn ok(body: &str) -> Response {
    Response::new(200).with_body(body)
}

fn parameter(request: &Request, name: &str) -> Option<String> {
    let (_, query) = request.url().path_and_query().split_once('?')?;
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next()
}

/// Polls until so many records came.
fn poll(test: &mut Test, records: usize) -> Polled {
    let mut all = Polled::default();
    while all.records.len() < records {
        let polled = test.poll().unwrap();
        let before = all.records.len();
        all.records.extend(polled.records);
        all.positions
            .extend(polled.positions.into_iter().map(|(after, position)| (before + after, position)));
    }
    all
}

/// Polls until the server was asked so often again, and nothing may come.
fn nothing(test: &mut Test, asked: &Asked, times: usize) {
    let before = asked.borrow().len();
    while asked.borrow().len() < before + times {
        assert_eq!(test.poll().unwrap().records, []);
    }
}

/// Polls until that fails.
fn failure(test: &mut Test) -> Error {
    loop {
        if let Err(error) = test.poll() {
            return error;
        }
    }
}

fn last(polled: &Polled) -> &serde_json::Value {
    &polled.positions.last().unwrap().1.offset
}

#[test]
fn an_item_becomes_a_record_as_the_server_wrote_it() {
    let settings = [("items.path", "/data/list"), ("key.path", "/id")];
    let (mut test, asked) =
        source(&settings, |_| ok(r#"{"data":{"list":[{"id":"a","n":1.10},{"id":7},{"x":1},{"id":null}]}}"#));
    let polled = test.poll().unwrap();
    assert_eq!(polled.values(), [r#"{"id":"a","n":1.10}"#, r#"{"id":7}"#, r#"{"x":1}"#, r#"{"id":null}"#]);
    let keys: Vec<_> = polled.records.iter().map(|record| record.key.clone()).collect();
    assert_eq!(keys, [Some(b"a".to_vec()), Some(b"7".to_vec()), None, None]);
    let first = &polled.records[0];
    assert_eq!((first.topic.as_str(), first.value_format), ("items", Format::Json));
    assert_eq!(polled.positions[0].1.partition, json!({ "url": URL }));
    let request = &asked.borrow()[0];
    assert_eq!(request.url().to_string(), URL);
    assert_eq!(request.headers().get("accept"), Some("application/json"));
    assert!(request.headers().get("user-agent").unwrap().starts_with("http-source/"));
}

#[test]
fn what_is_unchanged_is_not_sent_again_and_what_is_added_is() {
    let body = Rc::new(RefCell::new("[1,2]".to_owned()));
    let served = Rc::clone(&body);
    let (mut test, asked) = source(&[], move |_| ok(&served.borrow()));
    assert_eq!(poll(&mut test, 2).values(), ["1", "2"]);
    nothing(&mut test, &asked, 3);
    "[1, 2, 3]".clone_into(&mut body.borrow_mut());
    assert_eq!(poll(&mut test, 1).values(), ["3"]);
    // Another list: all of it is new.
    "[3,2]".clone_into(&mut body.borrow_mut());
    assert_eq!(poll(&mut test, 2).values(), ["3", "2"]);
    "[9,2]".clone_into(&mut body.borrow_mut());
    assert_eq!(poll(&mut test, 2).values(), ["9", "2"]);
    nothing(&mut test, &asked, 3);
}

#[test]
fn an_answer_that_is_no_list_is_one_item() {
    let reading = Rc::new(Cell::new(20));
    let served = Rc::clone(&reading);
    let (mut test, asked) = source(&[], move |_| ok(&format!("{{\"temperature\":{}}}", served.get())));
    assert_eq!(poll(&mut test, 1).values(), [r#"{"temperature":20}"#]);
    nothing(&mut test, &asked, 2);
    reading.set(21);
    assert_eq!(poll(&mut test, 1).values(), [r#"{"temperature":21}"#]);
}

/// Items from a number on, three a page, in the ways of the APIs.
fn by_cursor(total: &Rc<Cell<usize>>) -> impl FnMut(&Request) -> Response + use<> {
    let total = Rc::clone(total);
    move |request| {
        let from: usize = parameter(request, "after").map_or(0, |text| text.parse().unwrap());
        let to = (from + 3).min(total.get());
        let items: Vec<_> = (from..to).collect();
        let next = if to < total.get() { json!(to.to_string()) } else { json!(null) };
        ok(&json!({ "items": items, "meta": { "next": next } }).to_string())
    }
}

const CURSOR: [(&str, &str); 4] = [
    ("pagination", "cursor"),
    ("cursor.path", "/meta/next"),
    ("cursor.param", "after"),
    ("items.path", "/items"),
];

const OAUTH2: [(&str, &str); 4] = [
    ("oauth2.token.url", "https://login/token"),
    ("oauth2.client.id", "me:&"),
    ("oauth2.client.secret", CANARY),
    ("oauth2.scope", "read all"),
];

#[test]
fn another_pagination_begins_anew() {
    let mut test = Test::new(config(&CURSOR));
    test.store(json!({ "url": URL }), json!({ "page": 7, "sent": 3 }));
    let total = Rc::new(Cell::new(1));
    serve(by_cursor(&total));
    test.reopen().unwrap();
    assert_eq!(poll(&mut test, 1).values(), ["0"]);
    assert!(testing::logs().iter().any(|(_, line)| line.contains("pagination")));
}

#[test]
fn the_server_says_when_to_come_again_or_the_wait_doubles() {
    let mut answers = vec![
        Response::new(500),
        ok("[1]"),
        Response::new(503).with_header("retry-after", "0"),
        Response::new(500),
        Response::new(429).with_header("Retry-After", "0"),
        Response::new(502),
        Response::new(502),
        Response::new(408),
    ];
    let (mut test, _) =
        source(&[("backoff.ms", "2"), ("backoff.max.ms", "20")], move |_| answers.pop().unwrap());
    let mut waits = Vec::new();
    while waits.len() < 6 {
        match test.poll() {
            Ok(polled) => assert_eq!(polled, Polled::default()),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Retriable);
                waits.push(error.after().unwrap().as_millis());
            }
        }
    }
    assert_eq!(waits, [2, 4, 8, 0, 20, 0]);
    assert_eq!(poll(&mut test, 1).values(), ["1"]);
    let error = failure(&mut test);
    assert_eq!(error.after(), Some(Duration::from_millis(2)), "a success ends the doubling");
}

#[test]
fn an_answer_that_is_not_whole_is_asked_for_again() {
    let mut answers = vec!["[1,2]", "<html>busy</html>", "[1,"];
    let (mut test, _) = source(&[], move |_| ok(answers.pop().unwrap()));
    for _ in 0..2 {
        let error = loop {
            match test.poll() {
                Ok(polled) => assert_eq!(polled, Polled::default()),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), Kind::Retriable);
        assert!(error.message().starts_with("the answer of https://api/items: it is no JSON"), "{error}");
    }
    assert_eq!(poll(&mut test, 2).values(), ["1", "2"]);
}

#[test]
fn an_answer_without_items_where_they_should_be_fails() {
    let (mut test, _) = source(&[("items.path", "/data")], |_| ok(r#"{"items":[]}"#));
    let error = test.poll().unwrap_err();
    assert_eq!(error.kind(), Kind::Fatal);
    assert!(error.message().contains("items.path=/data"), "{error}");
}

#[test]
fn an_empty_answer_has_no_items() {
    let (mut test, asked) = source(&[("items.path", "/data")], |_| Response::new(204));
    nothing(&mut test, &asked, 2);
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let wrong = [
        ("url", "api/items"),
        ("items.path", "data"),
        ("key.path", "id"),
        ("pagination", "cursor"),
        ("basic.user", "me"),
        ("headers.Content-Length", "7"),
        ("headers.authorization", "x"),
    ];
    let problems = Test::new(config(&wrong)).validate();
    for key in ["url", "items.path", "key.path", "cursor.path", "cursor.param", "basic.password"] {
        assert!(problems.contains(&format!("\"{key}\":")), "{key}: {problems}");
    }
    assert!(problems.contains("headers.Content-Length") && problems.contains("headers.authorization"));
    let problems = Test::new(config(&[("pagination", "page"), ("oauth2.scope", "s")])).validate();
    for key in ["page.size", "oauth2.token.url", "oauth2.client.id", "oauth2.client.secret"] {
        assert!(problems.contains(&format!("\"{key}\":")), "{key}: {problems}");
    }
    let both = Test::new(config(&[&OAUTH2[..], &[("basic.user", "me"), ("basic.password", "it")]].concat()));
    assert!(both.validate().contains("one login"));
    assert_eq!(Test::new(config(&CURSOR)).validate(), "");
    assert!(Test::open(config(&wrong)).is_err());
}

#[test]
fn a_connection_is_tried_where_that_is_wanted() {
    let validated = |more: &[(&str, &str)], server: fn(&Request) -> Response| {
        let test = Test::new(config(&[more, &[("validate.connection", "true")]].concat()));
        serve(server);
        test.validate()
    };
    assert_eq!(validated(&OAUTH2, |_| ok(r#"{"access_token":"t"}"#)), "");
    let refused = validated(&OAUTH2, |_| Response::new(400));
    assert!(refused.contains("\"oauth2.token.url\":") && refused.contains("no token"), "{refused}");
    let missing = validated(&[], |_| Response::new(404));
    assert!(missing.contains("\"url\":") && missing.contains("there is no such thing"), "{missing}");
    let elsewhere = validated(&[("items.path", "/x")], |_| ok("[]"));
    assert!(elsewhere.contains("items.path=/x"), "{elsewhere}");
}

#[test]
fn a_slow_server_is_waited_for_over_several_polls() {
    let mut test = Test::new(config(&[("request.timeout.ms", "50")]));
    testing::http_silence();
    test.reopen().unwrap();
    assert_eq!(test.poll().unwrap(), Polled::default());
    testing::set_should_stop(true);
    test.limit(1000, 1 << 20, Duration::from_secs(3600));
    assert_eq!(test.poll().unwrap(), Polled::default(), "a stop ends the wait");
    testing::set_should_stop(false);
    let error = test.poll().unwrap_err();
    assert!(error.kind() == Kind::Retriable && error.message().contains("within 50 ms"), "{error}");
}

#[test]
fn only_offsets_of_its_own_can_be_set() {
    let test = Test::new(config(&[]));
    let change = |partition, offset| OffsetChange { partition, offset };
    let good = change(json!({ "url": URL }), Some(json!({ "cursor": "c" })));
    assert!(test.alter_offsets(&[good, change(json!({ "url": URL }), None)]).unwrap());
    for offset in [json!({ "position": 1 }), json!({ "page": "x" }), json!({ "sent": -1 }), json!([])] {
        assert!(
            test.alter_offsets(&[change(json!({ "url": URL }), Some(offset.clone()))]).is_err(),
            "{offset}"
        );
    }
    assert!(test.alter_offsets(&[change(json!({}), None)]).is_err());
}
