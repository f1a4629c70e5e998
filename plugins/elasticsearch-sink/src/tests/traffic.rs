use std::cell::Cell;

use transom_sdk::Kind;

use super::*;

fn numbered(from: usize, to: usize) -> Vec<TestRecord> {
    (from..to).map(|number| record(&format!("k{number}"), "{}")).collect()
}

fn error(kind: &str) -> Value {
    json!({ "type": kind, "reason": "why" })
}

#[test]
fn requests_have_the_size_that_is_set_and_several_are_under_way() {
    let (mut test, asked) = sink(&[("batch.size", "3"), ("max.in.flight.requests", "2")]);
    testing::http_silence();
    test.put(&numbered(0, 10)).unwrap();
    assert_eq!(test.sink().traffic.in_flight(), 2);
    assert_eq!(test.sink().traffic.waiting(), 10);
    let (mut test, asked) = (test, asked);
    assert_eq!(durable(&mut test), Some(0));
    assert!(asked.borrow().is_empty());
    let (mut test, asked) = sink(&[("batch.size", "3")]);
    test.put(&numbered(0, 10)).unwrap();
    await_durable(&mut test, 10);
    assert_eq!(asked.borrow().iter().map(|request| ids(request).len()).collect::<Vec<_>>(), [3, 3, 3, 1]);
    let (mut test, asked) = sink(&[("bulk.size.bytes", "100")]);
    test.put(&numbered(0, 4)).unwrap();
    await_durable(&mut test, 4);
    assert_eq!(asked.borrow().len(), 2);
}

#[test]
fn a_put_without_room_gives_the_batch_back() {
    let (mut test, asked) = sink(&[("max.buffered.records", "5")]);
    testing::http_silence();
    test.put(&numbered(0, 5)).unwrap();
    testing::set_should_stop(true);
    let error = test.put(&numbered(5, 6)).unwrap_err();
    assert_eq!(error.kind(), Kind::Retriable);
    assert_eq!((test.sink().traffic.waiting(), asked.borrow().len()), (5, 0));
    // A batch that is larger than all room is taken when there is nothing else.
    let (mut test, _) = sink(&[("max.buffered.records", "5")]);
    test.put(&numbered(0, 20)).unwrap();
    await_durable(&mut test, 20);
}

#[test]
fn bytes_bound_what_waits_too() {
    let (mut test, _) = sink(&[("max.buffered.bytes", "200")]);
    testing::http_silence();
    test.put(&numbered(0, 3)).unwrap();
    testing::set_should_stop(true);
    assert!(test.put(&numbered(3, 4)).is_err());
}

#[test]
fn a_server_that_wants_less_is_asked_later_and_then_all_again() {
    let busy = Rc::new(Cell::new(true));
    let gate = Rc::clone(&busy);
    let (mut test, asked) = served(&[("batch.size", "2")], move |request| {
        let busy = Response::new(429).with_header("retry-after", "3600");
        Ok(if gate.get() { busy } else { taken(request) })
    });
    test.put(&numbered(0, 6)).unwrap();
    test.put(&[]).unwrap();
    let before = asked.borrow().len();
    for _ in 0..5 {
        test.put(&[]).unwrap();
    }
    assert_eq!(asked.borrow().len(), before, "the server said when");
    assert_eq!(durable(&mut test), Some(0));

    let (mut test, asked) = served(&[("batch.size", "2")], {
        let busy = Rc::clone(&busy);
        move |request| Ok(if busy.get() { Response::new(503) } else { taken(request) })
    });
    test.put(&numbered(0, 6)).unwrap();
    until(&mut test, |_| asked.borrow().len() >= 8);
    assert_eq!(durable(&mut test), Some(0));
    busy.set(false);
    await_durable(&mut test, 6);
}

#[test]
fn a_server_that_took_nothing_is_asked_by_one_request_until_it_takes_one() {
    let (mut test, asked) =
        served(&[("batch.size", "1"), ("retry.backoff.ms", "60000")], |_| Ok(Response::new(503)));
    test.put(&numbered(0, 20)).unwrap();
    assert_eq!(asked.borrow().len(), 5, "those that were under way");
    let busy = Rc::new(Cell::new(true));
    let gate = Rc::clone(&busy);
    let (mut test, asked) = served(&[("batch.size", "1")], move |request| {
        Ok(if gate.get() { Response::new(503).with_header("retry-after", "0") } else { taken(request) })
    });
    test.put(&numbered(0, 20)).unwrap();
    for _ in 0..20 {
        let before = asked.borrow().len();
        test.put(&[]).unwrap();
        assert!(asked.borrow().len() <= before + 2, "one at a time; a put turns twice");
    }
    busy.set(false);
    await_durable(&mut test, 20);
}

#[test]
fn what_the_server_does_not_take_now_goes_again_alone() {
    let times = Rc::new(Cell::new(0));
    let seen = Rc::clone(&times);
    let (mut test, asked) = served(&[], move |request| {
        seen.set(seen.get() + 1);
        let busy = seen.get() < 3;
        Ok(judged(request, |id| {
            if busy && id == "k1" {
                (429, error("es_rejected_execution_exception"))
            } else {
                (201, Value::Null)
            }
        }))
    });
    test.put(&numbered(0, 3)).unwrap();
    test.put(&[]).unwrap();
    assert_eq!(durable(&mut test), Some(1), "what is behind a gap waits");
    await_durable(&mut test, 3);
    let all: Vec<_> = asked.borrow().iter().map(ids).collect();
    assert_eq!(all, [vec!["k0", "k1", "k2"], vec!["k1"], vec!["k1"]]);
}

#[test]
fn other_requests_go_on_beside_one_that_is_refused() {
    let (mut test, asked) = served(&[("batch.size", "1"), ("retry.backoff.ms", "60000")], |request| {
        Ok(judged(request, |id| if id == "k0" { (429, error("x")) } else { (201, Value::Null) }))
    });
    test.put(&numbered(0, 50)).unwrap();
    until(&mut test, |test| test.sink().traffic.waiting() == 1);
    assert_eq!((asked.borrow().len(), durable(&mut test)), (50, Some(0)));
}

#[test]
fn what_was_tried_too_often_fails_the_task() {
    for whole in [true, false] {
        let (mut test, asked) = served(&[("max.retries", "2")], move |request| {
            Ok(if whole { Response::new(503) } else { judged(request, |_| (503, error("x"))) })
        });
        let mut failed = test.put(&numbered(0, 1)).err();
        while failed.is_none() {
            failed = test.put(&[]).err();
        }
        let failed = failed.unwrap();
        assert_eq!((failed.kind(), asked.borrow().len()), (Kind::Fatal, 3));
        assert!(failed.message().contains("max.retries"), "{failed}");
    }
}

#[test]
fn what_no_attempt_mends_fails_the_task_at_once() {
    for status in [401, 403, 404] {
        let (mut test, _) = served(&[], move |_| Ok(Response::new(status)));
        let failed = test.put(&numbered(0, 1)).err().or_else(|| test.put(&[]).err()).unwrap();
        assert_eq!(failed.kind(), Kind::Fatal, "{failed}");
    }
    let (mut test, _) = served(&[], |_| Err(Error::config("the sandbox refused it")));
    let failed = test.put(&numbered(0, 1)).err().or_else(|| test.put(&[]).err()).unwrap();
    assert_eq!(failed.kind(), Kind::Config);
}

#[test]
fn another_server_is_asked_when_one_fails() {
    let (mut test, asked) =
        served(&[("connection.url", "http://a:1,http://b:2")], |request| match request.url().authority() {
            "a:1" => Err(Error::retriable("the connection was refused")),
            _ => Ok(taken(request)),
        });
    test.put(&numbered(0, 1)).unwrap();
    await_durable(&mut test, 1);
    test.put(&numbered(1, 2)).unwrap();
    await_durable(&mut test, 2);
    let hosts: Vec<_> = asked.borrow().iter().map(|request| request.url().authority().to_owned()).collect();
    assert_eq!(hosts, ["a:1", "b:2", "b:2"]);
    // Also when an even number of requests have found it out.
    let more = [
        ("connection.url", "http://a:1,http://b:2"),
        ("batch.size", "1"),
        ("max.in.flight.requests", "2"),
        ("retry.backoff.ms", "30"),
    ];
    let (mut test, asked) = served(&more, |request| {
        Ok(if request.url().authority() == "a:1" { Response::new(503) } else { taken(request) })
    });
    test.put(&numbered(0, 4)).unwrap();
    await_durable(&mut test, 4);
    let hosts: Vec<_> = asked.borrow().iter().map(|request| request.url().authority().to_owned()).collect();
    assert_eq!(hosts, ["a:1", "a:1", "b:2", "b:2", "b:2", "b:2"]);
}

#[test]
fn a_request_that_is_refused_as_a_whole_is_divided() {
    for status in [400, 413] {
        let (mut test, _) = served(&[], move |request| {
            let poisoned = ids(request).contains(&"k5".to_owned());
            let body = json!({ "error": error("parse_exception") }).to_string();
            Ok(if poisoned { Response::new(status).with_body(body) } else { taken(request) })
        });
        let mut failed = test.put(&numbered(0, 9)).unwrap();
        until(&mut test, |test| {
            failed.extend(test.put(&[]).unwrap());
            durable(test) == Some(9)
        });
        let named: Vec<_> = failed.iter().map(|failed| (failed.offset, failed.message.as_str())).collect();
        assert_eq!(named, [(5, "parse_exception: why")]);
    }
}

#[test]
fn a_refused_document_is_named_by_a_later_put_and_holds_back_the_offset_until_then() {
    let refuse = |request: &Request| {
        Ok(judged(request, |id| {
            if id == "k1" { (400, error("mapper_parsing_exception")) } else { (201, Value::Null) }
        }))
    };
    let (mut test, _) = served(&[("batch.size", "100000")], refuse);
    assert_eq!(test.put(&numbered(0, 3)).unwrap(), []);
    assert_eq!(durable(&mut test), Some(1), "it is known, but not named");
    let failed = test.put(&[]).unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].offset, failed[0].message.as_str()), (1, "mapper_parsing_exception: why"));
    assert_eq!(durable(&mut test), Some(3));
    for behavior in ["ignore", "warn"] {
        let (mut test, _) = served(&[("behavior.on.malformed.documents", behavior)], refuse);
        assert_eq!(test.put(&numbered(0, 3)).unwrap(), []);
        assert_eq!(test.put(&[]).unwrap(), []);
        assert_eq!(durable(&mut test), Some(3));
        let warned = testing::logs()
            .iter()
            .any(|(level, text)| *level == log::Level::Warn && text.contains("Topic-0 at offset 1"));
        assert_eq!(warned, behavior == "warn");
        assert_eq!(testing::metrics()["refused_records"], 1.0);
    }
}

#[test]
fn a_put_that_fails_names_nobody_and_the_next_one_does() {
    let (mut test, _) = served(&[("max.buffered.records", "2"), ("batch.size", "1")], |request| {
        Ok(judged(request, |id| if id == "k0" { (400, error("x")) } else { (429, error("y")) }))
    });
    test.put(&numbered(0, 2)).unwrap();
    testing::set_should_stop(true);
    assert!(test.put(&numbered(2, 4)).is_err());
    testing::set_should_stop(false);
    assert_eq!(test.put(&[]).unwrap().len(), 1);
}

#[test]
fn an_older_version_is_done() {
    let (mut test, _) =
        served(&[], |request| Ok(judged(request, |_| (409, error("version_conflict_engine_exception")))));
    test.put(&numbered(0, 3)).unwrap();
    await_durable(&mut test, 3);
    test.put(&[]).unwrap();
    assert_eq!(testing::metrics()["version_conflicts"], 3.0);
}

/// Requests that share a document, the first of which is refused for now.
#[track_caller]
fn in_order(more: &[(&str, &str)], second: TestRecord) {
    let first = Rc::new(Cell::new(true));
    let refuse = Rc::clone(&first);
    let more = [more, &[("batch.size", "1"), ("retry.backoff.ms", "20")]].concat();
    let (mut test, asked) = served(&more, move |request| {
        let busy = ids(request) == ["k"] && refuse.replace(false);
        Ok(judged(request, |_| if busy { (429, error("x")) } else { (201, Value::Null) }))
    });
    test.put(&[record("k", "{\"a\":1}"), second, record("other", "{}")]).unwrap();
    await_durable(&mut test, 3);
    let sent: Vec<_> = asked.borrow().iter().flat_map(actions).collect();
    let of_k: Vec<_> = sent.iter().filter(|(_, id)| id == "k").map(|(action, _)| action.as_str()).collect();
    let last = if more.contains(&("write.method", "upsert")) { "update" } else { "delete" };
    assert_eq!(of_k, [of_k[0], of_k[0], last], "the second waits until the first is written");
    assert_eq!(of_k.len(), 3);
}

#[test]
fn a_delete_waits_for_earlier_writes_of_its_document() {
    in_order(&[("behavior.on.null.values", "delete")], tombstone("k"));
}

#[test]
fn updates_of_a_document_wait_for_each_other() {
    in_order(&[("write.method", "upsert")], record("k", "{\"a\":2}"));
}

#[test]
fn what_is_left_of_a_partition_that_goes_is_not_sent() {
    let busy = Rc::new(Cell::new(true));
    let gate = Rc::clone(&busy);
    let (mut test, asked) = served(&[("flush.timeout.ms", "5")], move |request| {
        Ok(if gate.get() { Response::new(503) } else { taken(request) })
    });
    let other = with(record("other", "{}"), |record| record.partition = Some(1));
    test.put(&[record("k", "{}"), other]).unwrap();
    test.revoke("Topic", 0, true).unwrap();
    busy.set(false);
    until(&mut test, |test| test.sink().traffic.waiting() == 0);
    assert_eq!(asked.borrow().last().map(ids), Some(vec!["other".to_owned()]));
    let left = test.pre_commit(Reason::Interval).unwrap();
    assert_eq!(left.iter().map(|offset| (offset.partition, offset.offset)).collect::<Vec<_>>(), [(1, 1)]);
}

#[test]
fn a_stop_sends_what_there_is_and_waits_for_it_a_bounded_time() {
    let (mut test, asked) = sink(&[("linger.ms", "60000")]);
    test.put(&numbered(0, 3)).unwrap();
    assert!(asked.borrow().is_empty());
    assert_eq!(durable(&mut test), Some(0), "an interval forces nothing");
    assert_eq!(test.pre_commit(Reason::Swap).unwrap()[0].offset, 3);
    testing::http_silence();
    let (mut test, _) = sink(&[("flush.timeout.ms", "20")]);
    testing::http_silence();
    test.put(&numbered(0, 3)).unwrap();
    let begun = Instant::now();
    assert_eq!(test.pre_commit(Reason::Stop).unwrap()[0].offset, 0);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // Not at all for a server that takes nothing until later than that.
    let (mut test, asked) = served(&[], |_| Ok(Response::new(503).with_header("retry-after", "3600")));
    test.put(&numbered(0, 3)).unwrap();
    test.put(&[]).unwrap();
    assert_eq!(asked.borrow().len(), 1);
    let begun = Instant::now();
    assert_eq!(test.pre_commit(Reason::Stop).unwrap()[0].offset, 0);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
