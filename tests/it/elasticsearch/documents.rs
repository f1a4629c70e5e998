//! Documents, and what the server says about them.

use transom_tests::search::opensearch;
use ureq::http::Method;

use super::*;

const MIB: u64 = 1 << 20;
const RECORDS: usize = 100_000;
/// What a worker has without any record, and what the sink and the consumer may hold by their bounds, is well below.
const MEMORY: u64 = 400 * MIB;

#[test]
fn records_that_come_again_change_nothing() {
    scenes::a_topic_is_written_and_written_again(opensearch());
}

#[test]
fn tombstones_delete_documents() {
    scenes::tombstones_delete(opensearch());
}

#[test]
fn upserts_keep_the_order_of_each_document() {
    scenes::fields_are_put_into_documents(opensearch());
}

#[test]
fn a_mapping_error_fails_the_task_and_names_the_record() {
    scenes::a_mapping_error_names_the_record(opensearch());
}

#[test]
fn a_mapping_error_goes_to_the_dead_letters() {
    scenes::a_mapping_error_goes_to_the_dead_letters(opensearch());
}

#[test]
fn a_mapping_error_can_be_left_out() {
    scenes::a_mapping_error_is_left_out(opensearch());
}

#[test]
fn a_server_that_takes_nothing_for_now_holds_up_the_partition() {
    scenes::an_index_that_is_closed_for_now_holds_up_the_partition(opensearch());
}

#[test]
fn a_hundred_thousand_records_are_written_with_bounded_memory() {
    let search = opensearch();
    let more = [("tasks.max", "2"), ("key.ignore", "true"), ("connection.compression", "true")];
    let mut job = Job::by(search, &search.url(), 3, &more);
    search.create(&job.index, &json!({ "settings": { "number_of_replicas": 0, "refresh_interval": "-1" } }));
    job.add(RECORDS);
    job.worker.start();
    let ends = kafka().end_offsets(&job.topic);
    let mut most = 0;
    until("all to be committed", || {
        most = most.max(job.worker.process().usage().map_err(|error| error.to_string())?.memory);
        let committed = kafka().committed(&format!("connect-{}", job.connector), &job.topic);
        let all = committed.iter().zip(&ends).all(|(committed, end)| *committed == Some(*end));
        if all { Ok(()) } else { Err(format!("{committed:?} of {ends:?}")) }
    });
    let documents = search.documents(&job.index);
    assert_eq!(documents.len(), RECORDS);
    let mut numbers: Vec<_> =
        documents.values().map(|document| document.source["n"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.iter().enumerate().all(|(expected, number)| *number == expected as u64));
    for (id, document) in &documents {
        assert!(id.ends_with(&format!("+{}", document.version)), "{id} has the version {}", document.version);
    }
    eprintln!("{RECORDS} records with {} MiB at most", most / MIB);
    assert!(most < MEMORY, "{} MiB", most / MIB);
}

#[test]
fn a_data_stream_takes_every_record_once() {
    let search = opensearch();
    let dataset = unique("web").replace('-', "");
    let stream = format!("logs-{dataset}-prod");
    let template =
        json!({ "index_patterns": [format!("logs-{dataset}-*")], "data_stream": {}, "priority": 500 });
    search.call(&Method::PUT, &format!("/_index_template/{dataset}"), Some(&template)).expect(200);
    let more = [
        ("data.stream.type", "logs"),
        ("data.stream.dataset", dataset.as_str()),
        ("data.stream.namespace", "prod"),
    ];
    let mut job = Job::new(search, &more);
    job.add(3_000);
    job.worker.start();
    job.await_committed(&job.connector);
    let before = search.documents(&stream);
    assert_eq!(before.len(), 3_000);
    assert!(
        before.values().all(|document| document.source["@timestamp"].is_number() && document.version == 1)
    );
    let again = job.connect(&search.url(), &more);
    assert!(job.worker.terminate().success());
    job.worker.start();
    job.await_committed(&again);
    assert_same(&search.documents(&stream), &before);
}

#[test]
fn records_go_to_the_index_of_their_topic_and_day() {
    let search = opensearch();
    let prefix = unique("days");
    let pattern = format!("{prefix}-${{topic}}-{{yyyy.MM}}");
    let mut job = Job::new(search, &[("index", &pattern)]);
    let at = |key: &str, timestamp| Record { timestamp: Some(timestamp), ..Record::keyed(key, "{}") };
    kafka().produce(
        &job.topic,
        [at("a", 1_700_000_000_000), at("b", 1_702_000_000_000), at("c", 1_700_000_000_001)],
    );
    job.worker.start();
    job.await_committed(&job.connector);
    assert_eq!(search.documents(&format!("{prefix}-{}-2023.11", job.index)).len(), 2);
    assert_eq!(search.documents(&format!("{prefix}-{}-2023.12", job.index)).len(), 1);
}

#[test]
fn a_configuration_is_tried_where_that_is_wanted() {
    let search = opensearch();
    let mut job = Job::new(search, &[]);
    job.worker.set("sandbox.elasticsearch-sink.net", &format!("{},http://127.0.0.1:1", search.url())).start();
    job.worker.await_running(&job.connector, 1);
    let class = "io.confluent.connect.elasticsearch.ElasticsearchSinkConnector";
    let validate = |url: &str, user: Option<&str>| {
        let mut config = json!({
            "connector.class": class, "name": "n", "topics": "t", "connection.url": url, "validate.connection": "true",
        });
        if let Some(user) = user {
            config["connection.username"] = user.into();
        }
        let path = format!("/connector-plugins/{class}/config/validate");
        let answer = job.worker.rest().put(&path, Some(&config)).expect(200);
        let with_errors = answer["configs"].as_array().unwrap().iter().filter_map(|config| {
            let errors = config["value"]["errors"].as_array()?;
            (!errors.is_empty())
                .then(|| (config["value"]["name"].as_str().unwrap().to_owned(), errors.clone()))
        });
        with_errors.collect::<BTreeMap<_, _>>()
    };
    assert_eq!(validate(&search.url(), None), BTreeMap::new());
    let errors = validate("http://127.0.0.1:1", None);
    assert!(errors["connection.url"][0].as_str().unwrap().contains("nobody listens there"), "{errors:?}");
    let errors = validate("http://127.0.0.2:1", None);
    assert!(errors["connection.url"][0].as_str().unwrap().contains("the sandbox refused it"), "{errors:?}");
    let errors = validate("ftp://a", Some("u"));
    assert_eq!(errors.keys().collect::<Vec<_>>(), ["connection.password", "connection.url"], "all at once");
}
