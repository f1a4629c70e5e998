use super::*;

/// What a Java worker 4.1.1 wrote, in this order, while connectors were created, paused, stopped and deleted.
const JAVA: &[(&str, Option<&str>)] = &[
    (
        "session-key",
        Some(
            r#"{"key":"JLrNcVfFN2X53AxbYumMuomXobFuOeItpz/14oYNUJI=","algorithm":"HmacSHA256","creation-timestamp":1795592372196}"#,
        ),
    ),
    (
        "connector-lines",
        Some(
            r#"{"properties":{"connector.class":"FileStreamSource","file":"/in/a.txt","topic":"t1","tasks.max":"1","name":"lines"}}"#,
        ),
    ),
    (
        "task-lines-0",
        Some(
            r#"{"properties":{"connector.class":"FileStreamSource","file":"/in/a.txt","task.class":"org.apache.kafka.connect.file.FileStreamSourceTask","tasks.max":"1","name":"lines","topic":"t1"}}"#,
        ),
    ),
    ("commit-lines", Some(r#"{"tasks":1}"#)),
    (
        "connector-out",
        Some(
            r#"{"properties":{"connector.class":"FileStreamSink","file":"/in/out.txt","topics":"t1","tasks.max":"2","name":"out"}}"#,
        ),
    ),
    ("task-out-0", Some(r#"{"properties":{"file":"/in/out.txt"}}"#)),
    ("task-out-1", Some(r#"{"properties":{"file":"/in/out.txt"}}"#)),
    ("commit-out", Some(r#"{"tasks":2}"#)),
    ("target-state-stopped-é-1", Some(r#"{"state":"PAUSED","state.v2":"STOPPED"}"#)),
    (
        "connector-stopped-é-1",
        Some(
            r#"{"properties":{"connector.class":"FileStreamSource","file":"/in/b.txt","name":"stopped-é-1"}}"#,
        ),
    ),
    ("target-state-lines", Some(r#"{"state":"PAUSED","state.v2":"PAUSED"}"#)),
    ("commit-out", Some(r#"{"tasks":0}"#)),
    ("target-state-out", Some(r#"{"state":"PAUSED","state.v2":"STOPPED"}"#)),
    ("logger-cluster-org.x", Some(r#"{"level":"DEBUG"}"#)),
    ("restart-connector-lines", Some(r#"{"include-tasks":true,"only-failed":false}"#)),
    (
        "connector-emoji",
        Some(
            r#"{"properties":{"connector.class":"FileStreamSource","file":"/in/\uD83D\uDE00é\"\\\u0001/.txt","topic":"t1","name":"emoji"}}"#,
        ),
    ),
    ("connector-bad", Some(r#"{"properties":{"name":"bad"}}"#)),
    ("target-state-bad", Some(r#"{"state":"STARTED"}"#)),
    ("connector-bad", None),
    ("target-state-bad", None),
];

fn read(records: &[(&str, Option<&str>)]) -> Configs {
    let mut configs = Configs::default();
    for (key, value) in records {
        configs.apply(key.as_bytes(), value.map(str::as_bytes)).unwrap();
    }
    configs
}

#[test]
fn what_java_wrote_is_read() {
    let configs = read(JAVA);
    assert_eq!(configs.names(), ["emoji", "lines", "out", "stopped-é-1"]);
    let lines = configs.get("lines").unwrap();
    assert_eq!((lines.target, lines.tasks.len()), (Target::Paused, 1));
    assert_eq!(lines.config["file"], "/in/a.txt");
    assert_eq!(lines.tasks[0]["task.class"], "org.apache.kafka.connect.file.FileStreamSourceTask");
    let out = configs.get("out").unwrap();
    assert_eq!((out.target, out.tasks.len()), (Target::Stopped, 0));
    assert_eq!(configs.get("stopped-é-1").unwrap().target, Target::Stopped);
    assert_eq!(configs.get("emoji").unwrap().target, Target::Running);
    assert_eq!(configs.get("emoji").unwrap().config["file"], "/in/😀é\"\\\u{1}/.txt");
    assert!(configs.get("bad").is_none() && !configs.targets.contains_key("bad"));
}

#[test]
fn what_is_written_is_java_s_and_is_read_again() {
    let text = |(key, value): &KeyValue| {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (text(key), value.as_deref().map(text))
    };
    let config = RawConfig::from([("name".to_owned(), "a-1".to_owned())]);
    assert_eq!(
        text(&connector("a-1", &config)),
        ("connector-a-1".into(), Some(r#"{"properties":{"name":"a-1"}}"#.into()))
    );
    for (target, value) in [
        (Target::Running, r#"{"state":"STARTED","state.v2":"STARTED"}"#),
        (Target::Paused, r#"{"state":"PAUSED","state.v2":"PAUSED"}"#),
        (Target::Stopped, r#"{"state":"PAUSED","state.v2":"STOPPED"}"#),
    ] {
        assert_eq!(text(&target_state("a-1", target)), ("target-state-a-1".into(), Some(value.into())));
    }
    let mut configs = Configs::default();
    let two = [config.clone(), RawConfig::new()];
    let all = [vec![connector("a-1", &config), target_state("a-1", Target::Paused)], tasks("a-1", &two)];
    for (key, value) in all.iter().flatten() {
        configs.apply(key, value.as_deref()).unwrap();
    }
    let stored = Stored { config, target: Target::Paused, tasks: two.to_vec() };
    assert_eq!(configs.get("a-1"), Some(stored));
    assert!(configs.has_tasks("a-1", &two) && !configs.has_tasks("a-1", &[]));
    for (key, value) in deletion("a-1") {
        configs.apply(&key, value.as_deref()).unwrap();
    }
    assert!(configs.names().is_empty());
}

#[test]
fn tasks_count_with_their_commit_and_never_without() {
    let properties = Some(r#"{"properties":{}}"#);
    let mut configs = read(&[("connector-a", properties), ("task-a-0", properties)]);
    assert_eq!(configs.get("a").unwrap().tasks.len(), 0);
    configs.apply(b"commit-a", Some(br#"{"tasks":1}"#)).unwrap();
    assert_eq!(configs.get("a").unwrap().tasks.len(), 1);
}

#[test]
fn a_commit_that_lacks_tasks_leaves_none() {
    let properties = Some(r#"{"properties":{}}"#);
    let mut configs = read(&[("connector-a", properties), ("task-a-1", properties)]);
    let error = configs.apply(b"commit-a", Some(br#"{"tasks":2}"#)).unwrap_err();
    assert!(error.contains("missing"), "{error}");
    assert!(configs.get("a").unwrap().tasks.is_empty());
}

#[test]
fn more_tasks_than_the_commit_says_are_what_compaction_left() {
    let properties = Some(r#"{"properties":{}}"#);
    let configs = read(&[
        ("connector-a", properties),
        ("task-a-1", properties),
        ("task-a-0", properties),
        ("commit-a", Some(r#"{"tasks":1}"#)),
    ]);
    assert_eq!(configs.get("a").unwrap().tasks.len(), 1);
}

#[test]
fn tasks_of_a_connector_that_is_gone_never_come_back() {
    let properties = Some(r#"{"properties":{}}"#);
    let mut configs = read(&[("task-a-0", properties)]);
    assert!(configs.apply(b"commit-a", Some(br#"{"tasks":1}"#)).is_err(), "no connector");
    configs.apply(b"connector-a", properties.map(str::as_bytes)).unwrap();
    assert!(configs.get("a").unwrap().tasks.is_empty());
}

#[test]
fn what_is_malformed_is_ignored_and_said() {
    let mut configs = read(&[("connector-a", Some(r#"{"properties":{"x":"1"}}"#))]);
    for (key, value) in [
        ("connector-a", "{"),
        ("connector-a", r#"{"properties":{"x":{}}}"#),
        ("connector-a", "{}"),
        ("target-state-a", r#"{"state":"LAZY"}"#),
        ("target-state-a", "[]"),
        ("commit-a", r#"{"tasks":-1}"#),
        ("task-a-0", "null"),
    ] {
        assert!(configs.apply(key.as_bytes(), Some(value.as_bytes())).is_err(), "{key} {value}");
    }
    assert!(configs.apply(b"\xff", None).is_err());
    // Nobody's concern.
    configs.apply(b"something-else", Some(b"{")).unwrap();
    configs.apply(b"task-a-x", Some(b"{}")).unwrap();
    assert_eq!(configs.get("a").unwrap().config["x"], "1");
    assert_eq!(configs.get("a").unwrap().target, Target::Running);
}
