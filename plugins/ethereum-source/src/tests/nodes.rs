//! Nodes that lag, lie, fail, or are of another chain.

use super::*;

#[test]
fn a_node_that_lags_is_not_believed() {
    let chain = chain(10, 1);
    let mut test = source(&chain, &[]);
    settle(&mut test);
    let all = chain.borrow().blocks.clone();
    chain.borrow_mut().blocks.truncate(6);
    assert_eq!(settle(&mut test), []);
    // Nor one that is on another way and not as far.
    chain.borrow_mut().add(2, 3, 1);
    assert_eq!(settle(&mut test), []);
    chain.borrow_mut().blocks = all;
    chain.borrow_mut().add(1, 1, 1);
    assert_eq!(told(&settle(&mut test)), ["+1/10-0"]);
}

#[test]
fn logs_of_another_block_are_asked_for_again() {
    let chain = chain(2, 1);
    let mut test = source(&chain, &[]);
    chain.borrow_mut().wrong_logs = Some(9);
    let error = failure(&mut test);
    assert_eq!(error.kind(), Kind::Retriable);
    assert!(error.message().contains("another block of this number"), "{error}");
    chain.borrow_mut().wrong_logs = None;
    assert_eq!(told(&settle(&mut test)), ["+1/0-0", "+1/1-0"]);
}

#[test]
fn nodes_without_batches_are_asked_one_call_at_a_time() {
    let chain = chain(30, 1);
    let mut test = Test::new(config(&[("batch.size", "1")]));
    let served = Rc::clone(&chain);
    testing::http(move |request| {
        assert_eq!(request.body()[0], b'{');
        Ok(answer(&served, request))
    });
    test.reopen().unwrap();
    let mut records = settle(&mut test);
    records.extend(settle(&mut test));
    assert_eq!(records.len(), 30);
}

#[test]
fn the_next_node_is_asked_when_one_fails() {
    let chain = chain(3, 1);
    let mut test = Test::new(config(&[("rpc.urls", "https://a/canary-7f3a, https://b/,https://c/")]));
    let served = Rc::clone(&chain);
    testing::http(move |request| match request.url().authority() {
        "a" => Err(Error::retriable("no connection in time")),
        "b" => Ok(Response::new(401)),
        _ => Ok(answer(&served, request)),
    });
    test.reopen().unwrap();
    let mut records = Vec::new();
    while records.len() < 3 {
        // All of them may rest at once.
        if let Ok(polled) = test.poll() {
            records.extend(polled.records);
            test.commit().unwrap();
        }
    }
    let logs = testing::logs();
    assert!(
        logs.iter().any(|(_, line)| line.contains("https://a:443") && line.contains("going on with")),
        "{logs:?}"
    );
    assert!(!format!("{logs:?}").contains(CANARY));
}

#[test]
fn a_node_of_another_chain_is_refused() {
    let chain = chain(3, 1);
    let mut test = source(&chain, &[("chain.id", "1")]);
    let error = failure(&mut test);
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.message().contains("https://node:443 is a node of chain 7, not of 1"), "{error}");
}

#[test]
fn errors_say_what_they_mean_and_keep_the_address_to_themselves() {
    let cases = [
        (Response::new(503), Kind::Retriable, "503"),
        (Response::new(403), Kind::Fatal, "403"),
        (Response::new(200).with_body("<html>"), Kind::Retriable, "none of JSON-RPC"),
        (Response::new(200).with_body("[]"), Kind::Retriable, "lacks some"),
        (
            Response::new(400).with_body(r#"{"error":{"code":-32601,"message":"no such method"}}"#),
            Kind::Fatal,
            "error -32601: no such method",
        ),
        (
            Response::new(200).with_body(r#"{"id":null,"error":{"code":-32005,"message":"slow down"}}"#),
            Kind::Retriable,
            "slow down",
        ),
    ];
    for (response, kind, expected) in cases {
        let mut test = Test::new(config(&[]));
        testing::http(move |_| Ok(response.clone()));
        test.reopen().unwrap();
        let error = test.poll().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(expected), "{error}");
        assert!(error.message().contains("https://node:443") && !error.message().contains(CANARY), "{error}");
    }
}

#[test]
fn a_node_says_when_it_wants_to_be_asked_again() {
    let mut test = Test::new(config(&[]));
    testing::http(|_| Ok(Response::new(429).with_header("retry-after", "7")));
    test.reopen().unwrap();
    let after = test.poll().unwrap_err().after().unwrap();
    assert!(after > Duration::from_secs(6) && after <= Duration::from_secs(7), "{after:?}");
}

#[test]
fn limits_that_nodes_name_in_their_own_ways_halve_the_range() {
    for (code, message) in [
        (-32005, "limit exceeded"),
        (-32005, "query returned more than 10000 results"),
        (-32602, "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range"),
        (-32614, "eth_getLogs is limited to a 10,000 range"),
        (-32000, "query timeout exceeded"),
    ] {
        let chain = chain(300, 1);
        let mut test = Test::new(config(&[]));
        testing::http(move |request| {
            let body: Value = serde_json::from_slice(request.body()).unwrap();
            let number = |name: &str| {
                let text = body["params"][0][name].as_str().unwrap_or("0x0");
                u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
            };
            if number("toBlock") - number("fromBlock") >= 100 {
                let error = json!({ "id": 0, "error": { "code": code, "message": message } });
                return Ok(Response::new(200).with_body(error.to_string()));
            }
            Ok(answer(&chain, request))
        });
        test.reopen().unwrap();
        assert_eq!(settle(&mut test).len(), 300, "{message}");
    }
}

#[test]
fn an_answer_that_is_too_long_halves_the_range() {
    let chain = chain(200, 10);
    let mut test = source(&chain, &[("response.max.bytes", "60000")]);
    let records = settle(&mut test);
    assert_eq!(records.len(), 2000);
    let halved = |(_, line): &(_, String)| line.contains("too much at once");
    assert!(testing::logs().iter().any(halved));
}
