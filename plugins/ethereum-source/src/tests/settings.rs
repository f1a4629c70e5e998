//! Settings, and offsets that somebody sets.

use super::*;

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let wrong = [
        ("rpc.urls", "https://good/x,ftp://canary-7f3a"),
        ("rpc.headers", "host: x|canary-7f3a|ok: 1"),
        ("streams", "blocks,stones"),
        ("logs.address", "0x12"),
        ("logs.topic0", "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef,7"),
        ("logs.abi", "[]"),
        ("logs.events", "Transfer"),
        ("start.block", "soon"),
    ];
    let found: Value = serde_json::from_str(&Test::new(config(&wrong)).validate()).unwrap();
    let errors = found["errors"].as_object().unwrap();
    for (key, part) in [
        ("rpc.urls", "scheme must be https or http"),
        ("rpc.headers", "host is set by the plugin"),
        ("streams", "stones"),
        ("topic.blocks", "which the stream blocks needs"),
        ("logs.address", "0x12"),
        ("logs.topic0", "64 hexadecimal digits"),
        ("logs.abi", "it has no event"),
        ("logs.events", "no event of this name"),
        ("start.block", "soon"),
    ] {
        assert!(errors[key].to_string().contains(part), "{key}: {}", errors[key]);
    }
    assert_eq!(errors.len(), 9, "{errors:?}");
    assert!(!found.to_string().contains(CANARY));
    assert_eq!(Test::new(config(&[])).validate(), "");
}

#[test]
fn every_node_is_tried_where_that_is_asked() {
    let tried = |urls: &str, chain_id: &'static str| {
        let test = Test::new(config(&[("rpc.urls", urls), ("validate.connection", "true")]));
        testing::http(move |request| match request.url().authority() {
            "dead" => Err(Error::retriable("nobody listens there")),
            "other" => Ok(Response::new(200).with_body(r#"{"id":0,"result":"0x8"}"#)),
            _ => Ok(Response::new(200).with_body(format!(r#"{{"id":0,"result":"{chain_id}"}}"#))),
        });
        test.validate()
    };
    assert_eq!(tried("https://a,https://b", "0x7"), "");
    let found = tried("https://a/canary-7f3a,https://dead/canary-7f3a,https://other", "0x7");
    assert!(found.contains("https://dead:443") && found.contains("nobody listens"), "{found}");
    assert!(found.contains("https://other:443 is a node of chain 8, not of 7"), "{found}");
    assert!(!found.contains(CANARY), "{found}");
}

#[test]
fn a_filter_is_sent_as_nodes_want_it() {
    let topic = hash(3, 4);
    let address = format!("0x{}", "Ab".repeat(20));
    let filter = [("logs.address", address.as_str()), ("logs.topic1", &topic)];
    let config = config(&filter);
    let mut test = Test::new(config);
    let seen = Rc::new(RefCell::new(Value::Null));
    let (kept, chain) = (Rc::clone(&seen), chain(1, 0));
    testing::http(move |request| {
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        if body["method"] == "eth_getLogs" {
            *kept.borrow_mut() = body["params"][0].clone();
        }
        Ok(answer(&chain, request))
    });
    test.reopen().unwrap();
    settle(&mut test);
    let expected = json!({
        "address": [address.to_lowercase()], "topics": [null, [topic]], "blockHash": hash(1, 0),
    });
    assert_eq!(*seen.borrow(), expected);
}

#[test]
fn offsets_are_checked_before_they_are_set() {
    let test = Test::new(config(&[]));
    let change =
        |partition: Value, offset: Option<Value>| test.alter_offsets(&[OffsetChange { partition, offset }]);
    assert!(change(json!({ "chainId": 1 }), Some(json!({ "next": 17 }))).unwrap());
    assert!(change(json!({ "chainId": 1 }), None).unwrap());
    assert!(change(json!({ "chain": 1 }), None).is_err());
    for wrong in [
        json!({}),
        json!({ "next": "17" }),
        json!({ "next": 1, "block": 1 }),
        json!({ "next": 1, "window": ["x"] }),
    ] {
        assert!(change(json!({ "chainId": 1 }), Some(wrong)).is_err());
    }
}

#[test]
fn an_offset_that_was_set_is_where_it_goes_on() {
    let chain = chain(4, 1);
    let mut test = Test::new(config(&[]));
    test.store(json!({ "chainId": 7 }), json!({ "next": 2 }));
    serve(&chain);
    test.reopen().unwrap();
    assert_eq!(told(&settle(&mut test)), ["+1/2-0", "+1/3-0"]);
}

#[test]
fn another_filter_takes_back_what_was_announced_by_the_old_one() {
    let chain = chain(1, 2);
    let mut test = source(&chain, &[]);
    poll(&mut test);
    test.commit().unwrap();
    let stored = json!({
        "next": 0, "announced": [format!("{} l0-1", &hash(1, 0)[2..])], "sent": 1, "filter": "another",
    });
    test.store(json!({ "chainId": 7 }), stored);
    test.reopen().unwrap();
    assert_eq!(told(&settle(&mut test)), ["-1/0-1", "-1/0-0", "+1/0-0", "+1/0-1"]);
}
