//! The pieces together, through the test drivers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::testing::{self, SinkTest, SourceTest, TestRecord, TransformTest};
use crate::*;

#[derive(Debug, Deserialize)]
struct Config {
    topic: String,
    fault: Option<String>,
}

fn manifest() -> Manifest {
    Manifest::new("x.Y")
        .config(ConfigKey::string("topic").default("t"))
        .config(ConfigKey::string("fault").optional())
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct At {
    next: u64,
}

/// One record a poll, and two source partitions that move together.
#[derive(Debug)]
struct Steps {
    config: Config,
    at: At,
    committed: Vec<(At, At)>,
}

impl Source for Steps {
    type Config = Config;

    fn manifest() -> Manifest {
        manifest()
    }

    fn validate(config: &Config, problems: &mut Problems) {
        if config.topic == "bad" {
            problems.invalid("topic", "bad", "Not this one");
        }
    }

    fn advise(config: &Config, advice: &mut Advice) {
        if config.topic == "some" {
            advice.recommend("topic", ["a", "b"]);
            advice.show("fault", false);
        }
    }

    fn open(config: Config, context: &SourceContext) -> Result<Self, Error> {
        assert_eq!((context.connector(), context.task(), context.tasks()), ("test", 0, 1));
        let mut offsets = context.offsets(&[json!({ "next": 1 }), json!({ "next": 2 })])?;
        assert_eq!(offsets.len(), 2);
        let at = offsets.remove(0).unwrap_or_default();
        Ok(Self { config, at, committed: Vec::new() })
    }

    fn poll(&mut self, records: &mut Records) -> Result<(), Error> {
        if self.config.fault.as_deref() != Some("no topic") {
            records.topic(&self.config.topic);
        }
        records.string("a");
        records.key_string("k").timestamp(5).json(&self.at)?.header("h", "v").header_null("n");
        records.partition(Some(3)).key_json(&[1, 2])?.bytes(b"\xff");
        records.partition(None).key_bytes(b"b").null();
        self.at.next += 1;
        match self.config.fault.as_deref() {
            Some("retriable") => return Err(Error::retriable("later").retry_after(Duration::from_secs(1))),
            Some("position") => return records.position(&1, &2),
            _ => {}
        }
        records.position(&json!({ "next": 1 }), &self.at)?;
        records.position(&json!({ "next": 2 }), &self.at)
    }

    fn commit(&mut self, positions: &[Position]) -> Result<(), Error> {
        self.committed = positions.iter().map(Position::read).collect::<Result<_, _>>()?;
        Ok(())
    }
}

fn faulty(fault: &str) -> SourceTest<Steps> {
    SourceTest::open([("fault", fault)]).unwrap()
}

#[test]
fn records_come_out_as_they_were_built() {
    let mut test = faulty("");
    let polled = test.poll().unwrap();
    let record = |key: Option<&[u8]>, value: Option<&[u8]>| (key.map(Vec::from), value.map(Vec::from));
    let found: Vec<_> = polled.records.iter().map(|r| (r.key.clone(), r.value.clone())).collect();
    let expected = [
        record(None, Some(b"a")),
        record(Some(b"k"), Some(br#"{"next":0}"#)),
        record(Some(b"[1,2]"), Some(b"\xff")),
        record(Some(b"b"), None),
    ];
    assert_eq!(found, expected);
    let [a, k, list, b] = &polled.records[..] else { panic!("{polled:?}") };
    assert_eq!(
        (a.value_format, k.key_format, k.value_format),
        (Format::String, Format::String, Format::Json)
    );
    assert_eq!((list.key_format, list.value_format, list.partition), (Format::Json, Format::Bytes, Some(3)));
    assert_eq!((k.timestamp, list.timestamp, b.partition), (Some(5), None, None));
    assert_eq!(k.headers, [("h".into(), Some(b"v".to_vec())), ("n".into(), None)]);
    assert_eq!(polled.positions.iter().map(|(after, _)| *after).collect::<Vec<_>>(), [4, 4]);
}

#[test]
fn what_is_committed_is_told_and_what_was_stored_is_found() {
    let mut test = faulty("");
    test.poll().unwrap();
    test.poll().unwrap();
    test.commit().unwrap();
    assert_eq!(test.source().committed, [(At { next: 1 }, At { next: 2 }), (At { next: 2 }, At { next: 2 })]);
    test.poll().unwrap();
    test.reopen().unwrap();
    assert_eq!(test.source().at, At { next: 2 });
}

#[test]
fn a_failed_poll_leaves_nothing_behind() {
    let mut test = faulty("retriable");
    assert_eq!(test.poll().unwrap_err().kind(), Kind::Retriable);
    test.source().config.fault = None;
    assert_eq!(test.poll().unwrap().records.len(), 4);
}

#[test]
fn a_record_without_a_topic_and_a_position_that_is_no_object_are_refused() {
    let error = faulty("no topic").poll().unwrap_err();
    assert_eq!(error.message(), "a record needs a topic: call `Records::topic` first");
    let error = faulty("position").poll().unwrap_err();
    assert_eq!(error.message(), "a source partition must be a JSON object (a struct or a map), not 1");
}

#[test]
fn validation_tells_what_the_definition_and_the_plugin_find() {
    let validate = |topic: &str| SourceTest::<Steps>::new([("topic", topic)]).validate();
    assert_eq!(validate("good"), "");
    let expected = r#"{"errors":{"topic":["Invalid value bad for configuration topic: Not this one"]}}"#;
    assert_eq!(validate("bad"), expected);
    let advice = r#"{"errors":{},"recommended_values":{"topic":["a","b"]},"visible":{"fault":false}}"#;
    assert_eq!(validate("some"), advice);
}

/// Fails records whose value is `bad`, and asks for things.
#[derive(Debug)]
struct Asks(SinkContext);

impl Sink for Asks {
    type Config = Config;

    fn manifest() -> Manifest {
        manifest()
    }

    fn open(_: Config, context: &SinkContext) -> Result<Self, Error> {
        assert_eq!(context.generation(), 1);
        Ok(Self(context.clone()))
    }

    fn assign(&mut self, partitions: &[Assigned]) -> Result<(), Error> {
        let offsets: Vec<_> = partitions
            .iter()
            .map(|p| KafkaOffset { topic: p.topic.clone(), partition: p.partition, offset: 7 })
            .collect();
        self.0.seek(&offsets)
    }

    fn revoke(&mut self, partitions: &[TopicPartition], lost: bool) -> Result<(), Error> {
        log::warn!("{} partitions go, lost: {lost}", partitions.len());
        Ok(())
    }

    fn put(&mut self, batch: &Batch<'_>, failures: &mut Failures) -> Result<(), Error> {
        for record in batch.records() {
            match record.value_str()? {
                Some("bad") => failures.record(&record, "it is bad"),
                Some("late") => failures.at(record.topic(), record.partition(), 0, "found out late"),
                Some("ask") => {
                    let partition = TopicPartition { topic: "t".into(), partition: 1 };
                    self.0.pause(std::slice::from_ref(&partition));
                    self.0.resume(&[]);
                    self.0.request_commit();
                    self.0.timeout(Duration::from_secs(2));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[test]
fn a_sink_names_what_failed_now_or_earlier() {
    let mut test = SinkTest::<Asks>::open(ConfigMap::new()).unwrap();
    let records = ["good", "bad", "late"].map(|value| TestRecord::string("t", 2, value));
    let failed = test.put(&records).unwrap();
    let found: Vec<_> = failed.iter().map(|f| (f.partition, f.offset, f.message.as_str())).collect();
    assert_eq!(found, [(2, 1, "it is bad"), (2, 0, "found out late")]);
    assert_eq!(test.put(&records[..1]).unwrap(), []);
    let error = test.put(&[TestRecord::new("t", 2, Format::String, Some(b"\xff"))]).unwrap_err();
    assert_eq!(error.kind(), Kind::BadRecord);
    assert!(error.message().starts_with("t-2 at offset 4 has a bad value: "), "{error}");
}

#[test]
fn what_a_sink_asks_of_the_worker_arrives() {
    let mut test = SinkTest::<Asks>::open(ConfigMap::new()).unwrap();
    test.put(&[TestRecord::string("t", 1, "ask")]).unwrap();
    assert_eq!(testing::seeks(), [KafkaOffset { topic: "t".into(), partition: 1, offset: 7 }]);
    assert_eq!(testing::paused().len(), 1);
    assert_eq!((testing::commit_requests(), testing::requested_timeout()), (1, Some(Duration::from_secs(2))));
    test.revoke("t", 1, true).unwrap();
    assert_eq!(testing::logs(), [(log::Level::Warn, "1 partitions go, lost: true".into())]);
    assert_eq!(test.task_configs(3).unwrap().len(), 3);
}

/// A sink whose connector has a task more at every plan, and wants one as long as it is not stopped.
#[derive(Debug)]
struct Grows;

impl Sink for Grows {
    type Config = Config;

    fn manifest() -> Manifest {
        manifest().watch()
    }

    fn open(_: Config, _: &SinkContext) -> Result<Self, Error> {
        Ok(Self)
    }

    fn put(&mut self, _: &Batch<'_>, _: &mut Failures) -> Result<(), Error> {
        Ok(())
    }

    fn connector(_: Config, map: ConfigMap) -> Result<Box<dyn Connector>, Error> {
        Ok(Box::new(Growing { config: map, plans: 0 }))
    }
}

struct Growing {
    config: ConfigMap,
    plans: usize,
}

impl Connector for Growing {
    fn task_configs(&mut self, max_tasks: u32) -> Result<Vec<ConfigMap>, Error> {
        self.plans += 1;
        Ok(vec![self.config.clone(); self.plans.min(max_tasks as usize)])
    }

    fn watch(&mut self, max_wait: Duration) -> Result<bool, Error> {
        wait(max_wait);
        Ok(!should_stop())
    }

    fn stop(&mut self) {
        log::info!("stopped after {} plans", self.plans);
    }
}

#[test]
fn a_connector_that_watches_is_kept_from_plan_to_plan() {
    let test = SinkTest::<Grows>::new(ConfigMap::new());
    assert_eq!(SinkTest::<Grows>::manifest()["watch"], true);
    let mut connector = test.connector().unwrap();
    assert_eq!(connector.task_configs(2).unwrap().len(), 1);
    assert!(connector.watch(Duration::ZERO).unwrap());
    assert_eq!(connector.task_configs(2).unwrap().len(), 2);
    testing::set_should_stop(true);
    assert!(!connector.watch(Duration::from_secs(3600)).unwrap());
    connector.stop();
    assert_eq!(testing::logs(), [(log::Level::Info, "stopped after 2 plans".into())]);
}

/// Drops `drop`, doubles `double`, passes the rest.
#[derive(Debug)]
struct Sieve;

impl Transform for Sieve {
    type Config = Config;

    fn manifest() -> Manifest {
        manifest()
    }

    fn open(_: Config, _: &TaskContext) -> Result<Self, Error> {
        tracing::info!(answer = 42, "opened");
        Ok(Self)
    }

    fn apply(&mut self, record: &Record<'_>, output: &mut Output<'_>) -> Result<(), Error> {
        match record.value_str()? {
            Some("drop") => Ok(()),
            Some("double") => {
                output.keep(record)?;
                output.with_value(record, None)
            }
            _ => output.keep(record),
        }
    }
}

#[test]
fn a_transformation_keeps_positions_between_the_records_they_stood_between() {
    let mut test = TransformTest::<Sieve>::open(ConfigMap::new()).unwrap();
    let records =
        ["drop", "a", "double", "drop"].map(|value| TestRecord::string("t", 0, value).with_key("k"));
    let (out, marks) = test.apply(&records).unwrap();
    let values: Vec<_> = out.iter().map(|r| (r.value.as_deref().unwrap_or(b"null"), r.offset)).collect();
    assert_eq!(values, [(&b"a"[..], Some(1)), (b"double", Some(2)), (b"null", Some(2))]);
    assert_eq!(marks, [0, 1, 3, 3]);
}

#[test]
fn tracing_events_reach_the_log() {
    TransformTest::<Sieve>::open(ConfigMap::new()).unwrap().close();
    assert_eq!(testing::logs(), [(log::Level::Info, "opened answer=42".into())]);
}

#[test]
fn secrets_gauges_and_requests_go_to_the_host() {
    let _test = SinkTest::<Asks>::new(ConfigMap::new());
    assert_eq!(secret("token").unwrap_err().kind(), Kind::Config);
    testing::set_secret("token", "canary");
    assert_eq!(secret("token").unwrap(), "canary");
    metric("size", 2.5);
    assert_eq!(testing::metrics()["size"], 2.5);
    request_reconfiguration();
    assert_eq!(testing::reconfigurations(), 1);
}

#[test]
fn a_wait_ends_when_the_worker_wants_the_call_back() {
    let _test = SinkTest::<Asks>::new(ConfigMap::new());
    testing::set_should_stop(true);
    wait(Duration::from_secs(3600));
    assert_eq!(Pace::new(0.001).due(Duration::from_secs(3600)), 0);
}

#[test]
fn the_smallest_source_of_the_readme_has_at_most_30_lines() {
    let readme = include_str!("../README.md");
    let code = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(code.lines().count() <= 30);
}
