//! elasticsearch-sink against a real OpenSearch.

use serde_json::json;
use transom_tests::guests::ELASTICSEARCH_SINK;
use transom_tests::search::opensearch;
use transom_tests::{Record, Worker, kafka, unique};

#[test]
fn a_record_becomes_a_document() {
    let (kafka, search) = (kafka(), opensearch());
    let (topic, connector) = (unique("Docs"), unique("es"));
    kafka.create_topic(&topic, 1, &[]);
    let mut worker = Worker::new(kafka);
    worker.install(&ELASTICSEARCH_SINK).set("sandbox.elasticsearch-sink.net", &search.url()).connector(
        &connector,
        &[
            ("connector.class", "ElasticsearchSink"),
            ("topics", &topic),
            ("connection.url", &search.url()),
            ("consumer.override.auto.offset.reset", "earliest"),
        ],
    );
    worker.start();
    kafka.produce(&topic, [Record::keyed("a", r#"{"n":1}"#), Record::keyed("b", r#"{"n":2}"#)]);
    let index = topic.to_lowercase();
    search.await_count(&index, 2);
    let documents = search.documents(&index);
    assert_eq!(documents["b"].source, json!({ "n": 2 }));
    assert_eq!(documents["b"].version, 1);
}
