use std::io::Read as _;

use super::*;

/// What is wrong, by key.
fn wrong(more: &[(&str, &str)]) -> Value {
    let answer = Test::new(config(more)).validate();
    let answer: Value = if answer.is_empty() { Value::Null } else { serde_json::from_str(&answer).unwrap() };
    assert!(!answer.to_string().contains(CANARY), "{answer}");
    answer["errors"].clone()
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let errors = wrong(&[
        ("connection.url", &format!("https://user:{CANARY}@host,ftp://{CANARY}")),
        ("connection.password", CANARY),
        ("write.method", "replace"),
        ("behavior.on.null.values", "delete"),
        ("behavior.on.malformed.documents", "shrug"),
        ("key.ignore", "true"),
        ("compact.map.entries", "false"),
        ("index", "a b"),
    ]);
    let expected = [
        ("connection.url", 2),
        ("connection.username", 1),
        ("write.method", 1),
        ("behavior.on.null.values", 1),
        ("behavior.on.malformed.documents", 1),
        ("compact.map.entries", 1),
        ("index", 1),
    ];
    for (key, messages) in expected {
        assert_eq!(errors[key].as_array().map(Vec::len), Some(messages), "{key}: {errors}");
    }
    assert_eq!(errors.as_object().unwrap().len(), expected.len(), "{errors}");
}

#[test]
fn what_cannot_be_had_together_is_refused() {
    let stream = [("data.stream.type", "logs"), ("data.stream.dataset", "d"), ("write.method", "upsert")];
    assert!(wrong(&stream)["write.method"].is_array());
    let both = [("data.stream.type", "logs"), ("data.stream.dataset", "d"), ("index", "i")];
    assert!(wrong(&both)["index"][0].as_str().unwrap().contains("Only one"));
    let login =
        [("connection.api.key", CANARY), ("connection.username", "u"), ("connection.password", CANARY)];
    assert!(wrong(&login)["connection.api.key"].is_array());
    assert!(wrong(&[("connection.api.key", "id:canary-7f3a")])["connection.api.key"].is_array());
    let listed = [
        ("external.resource.usage", "index"),
        ("topic.to.external.resource.mapping", "a:x,b,c:y z"),
        ("topics", "a,d"),
    ];
    assert_eq!(wrong(&listed)["topic.to.external.resource.mapping"].as_array().unwrap().len(), 3);
    assert!(wrong(&[("data.stream.type", "metrics")])["data.stream.dataset"].is_array());
    assert_eq!(wrong(&[]), Value::Null);
}

#[test]
fn a_checked_connection_is_tried() {
    let check = [("validate.connection", "true"), ("connection.url", "http://a:1,b:2/es/")];
    let mut test = Test::new(config(&check));
    let asked = Asked::default();
    let seen = Rc::clone(&asked);
    testing::http(move |request| {
        seen.borrow_mut().push(request.clone());
        Ok(Response::new(200).with_body(r#"{"version":{"number":"7"}}"#))
    });
    assert_eq!(test.validate(), "");
    let addresses: Vec<_> = asked.borrow().iter().map(|request| request.url().to_string()).collect();
    assert_eq!(addresses, ["http://a:1/", "http://b:2/es/"]);
    testing::http(|_| Ok(Response::new(401)));
    assert_eq!(test.validate().matches("connection was tried").count(), 2, "each of them");
    testing::http(|_| Ok(Response::new(200).with_body("{}")));
    assert!(test.validate().contains("neither Elasticsearch nor OpenSearch"));
    test = Test::new(config(&[]));
    testing::http(|_| panic!("nobody asked for it"));
    assert_eq!(test.validate(), "");
}

#[test]
fn requests_carry_the_login() {
    for (more, expected) in [
        (vec![("connection.username", "u"), ("connection.password", "p")], Some("Basic dTpw")),
        (vec![("connection.api.key", "aWQ6a2V5")], Some("ApiKey aWQ6a2V5")),
        (vec![], None),
    ] {
        let (mut test, asked) = sink(&more);
        test.put(&[record("k", "{}")]).unwrap();
        let request = &asked.borrow()[0];
        assert_eq!(request.headers().get("authorization"), expected);
        assert_eq!(request.headers().get("content-type"), Some("application/x-ndjson"));
        assert_eq!(request.url().without_query(), "http://a:9200/_bulk");
    }
}

#[test]
fn requests_are_compressed_where_that_is_wanted() {
    let (mut test, asked) = served(&[("connection.compression", "true")], |_| {
        Ok(Response::new(200).with_body(r#"{"errors":false,"items":[{}]}"#))
    });
    test.put(&[record("k", "{\"a\":1}")]).unwrap();
    let request = &asked.borrow()[0];
    assert_eq!(request.headers().get("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(request.body()).read_to_string(&mut text).unwrap();
    assert!(text.ends_with("{\"a\":1}\n"), "{text}");
    test.put(&[]).unwrap();
    assert_eq!(durable(&mut test), Some(1));
}

#[test]
fn keys_of_the_other_connector_that_do_nothing_are_told() {
    let _ = sink(&[
        ("flush.synchronously", "true"),
        ("elastic.https.ssl.truststore.location", "/x"),
        ("proxy.host", "h"),
    ]);
    let logs = testing::logs();
    let told = |key: &str| logs.iter().any(|(_, text)| text.starts_with(&format!("{key} has no effect")));
    assert!(
        told("flush.synchronously") && told("elastic.https.ssl.truststore.location") && told("proxy.host"),
        "{logs:?}"
    );
}
