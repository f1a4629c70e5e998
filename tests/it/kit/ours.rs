//! Our own plugins pass, those for other systems before the real server.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use serde_json::json;
use transom_tests::ethereum::{ABI, Ethereum};
use transom_tests::guests::{
    BLACKHOLE_SINK, DATAGEN_SOURCE, ELASTICSEARCH_SINK, ETHEREUM_SOURCE, FILE_SOURCE, HTTP_SOURCE, S3_SINK,
};
use transom_tests::https::Https;
use transom_tests::search::opensearch;
use transom_tests::unique;
use transom_tests::versitygw::{ACCESS, SECRET, versitygw};
use transom_tests::worker::file_reference;

use super::*;

/// Checks that a plugin passes, with nothing skipped but this.
#[track_caller]
fn passes(guest: &Guest, config: Settings<'_>, grants: Settings<'_>, more: &[&str], skipped: &[&str]) {
    let verdicts = verdicts(&run(Path::new(guest.path), config, grants, &[&["--json"], more].concat()));
    assert_eq!(of(&verdicts, "failed"), BTreeSet::new(), "{verdicts:#?}");
    assert_eq!(of(&verdicts, "skipped"), skipped.iter().copied().collect(), "{verdicts:#?}");
}

#[test]
fn a_source_that_follows_files_passes() {
    let folder = Folder::new("kit");
    let file = folder.path().join("lines");
    let lines: String = (0..100).map(|line| format!("line {line}\n")).collect();
    fs::write(&file, lines).unwrap();
    let file = file.display().to_string();
    let config = [("file", file.as_str()), ("topic", "lines")];
    let grants = [("fs", folder.path().to_str().unwrap())];
    passes(&FILE_SOURCE, &config, &grants, &[], &["connector.watches", "source.retries"]);
}

#[test]
fn a_source_without_end_passes() {
    let skipped = ["connector.watches", "source.retries", "source.waits", "source.stops"];
    passes(&DATAGEN_SOURCE, &[("topic", "made"), ("partitions", "3")], &[], &[], &skipped);
    passes(&DATAGEN_SOURCE, &[("topic", "made"), ("total", "150")], &[], &[], &skipped[..2]);
}

#[test]
fn sinks_pass() {
    let folder = Folder::new("kit");
    let file = folder.path().join("lines").display().to_string();
    let rw = format!("{}:rw", folder.path().display());
    passes(&BLACKHOLE_SINK, &[("topics", "read")], &[], &[], &["connector.watches"]);
    passes(&FILE_SINK, &[("topics", "read"), ("file", &file)], &[("fs", &rw)], &[], &["connector.watches"]);
    let lines = fs::read_to_string(&file).unwrap();
    assert!(lines.contains(r#""text":"record 0""#), "what was put is there: {lines}");
}

#[test]
fn a_source_that_asks_a_server_passes() {
    let api = Https::start(&["h2", "http/1.1"], page);
    let folder = Folder::new("kit");
    let settings = folder.path().join("connector.properties");
    fs::write(&settings, "name=items\nconnector.class=HttpSource\ninterval.ms=50\nitems.path=/items\n")
        .unwrap();
    let worker = folder.path().join("worker.properties");
    let sandbox = "sandbox.http-source";
    let grants = format!("{sandbox}.net={}\n{sandbox}.tls.ca={}\n", api.url(), api.ca().display());
    fs::write(&worker, format!("key.converter=unread\n{grants}")).unwrap();
    let url = format!("{}/items", api.url());
    let config = [
        ("url", url.as_str()),
        ("topic", "items"),
        ("validate.connection", "true"),
        ("pagination", "cursor"),
        ("cursor.path", "/next"),
        ("cursor.param", "after"),
    ];
    let (settings, worker) = (settings.display().to_string(), worker.display().to_string());
    let files = ["--config", &settings, "--worker", &worker];
    passes(&HTTP_SOURCE, &config, &[], &files, &["connector.watches", "source.retries"]);
}

/// 100 items in ten pages.
fn page(request: &Request<Bytes>) -> Response<Full<Bytes>> {
    let query = request.uri().query().unwrap_or_default();
    let from: usize = query.strip_prefix("after=").map_or(0, |after| after.parse().unwrap());
    let items: Vec<_> = (from..(from + 10).min(100)).map(|id| json!({ "id": id })).collect();
    let next = if from + 10 < 100 { json!(from + 10) } else { json!(null) };
    Response::new(Full::from(json!({ "items": items, "next": next }).to_string()))
}

/// A worker's settings that hand out a secret of a file.
fn with_secret(folder: &Folder, secret: &str) -> String {
    let secrets = folder.path().join("secrets.properties");
    fs::write(&secrets, format!("secret={secret}\n")).unwrap();
    let worker = folder.path().join("worker.properties");
    let provider = "config.providers.file";
    let settings = format!(
        "config.providers=file\n{provider}.class=FileConfigProvider\n{provider}.param.allowed.paths={}\n",
        folder.path().display()
    );
    fs::write(&worker, settings).unwrap();
    worker.display().to_string()
}

#[test]
fn a_sink_of_objects_passes_with_its_secret_from_a_file() {
    let (folder, bucket, url) = (Folder::new("kit"), versitygw().bucket(), versitygw().url());
    let worker = with_secret(&folder, SECRET);
    let secret = file_reference(&folder.path().join("secrets.properties"), "secret");
    let config = [
        ("topics", "read"),
        ("s3.bucket.name", bucket.name.as_str()),
        ("s3.region", "us-east-1"),
        ("store.url", url.as_str()),
        ("aws.access.key.id", ACCESS),
        ("aws.secret.access.key", secret.as_str()),
        ("format.class", "io.confluent.connect.s3.format.json.JsonFormat"),
        ("flush.size", "10"),
        ("validate.connection", "true"),
    ];
    passes(&S3_SINK, &config, &[("net", &url)], &["--worker", &worker], &["connector.watches"]);
    let objects = bucket.objects("topics/read/");
    assert!(!objects.is_empty(), "what was put is there");
    let first = String::from_utf8(objects.into_values().next().unwrap()).unwrap();
    assert_eq!(first.lines().count(), 10, "{first}");
}

#[test]
fn a_sink_of_documents_passes() {
    let (url, topic) = (opensearch().url(), unique("kit"));
    let config = [
        ("topics", topic.as_str()),
        ("connection.url", url.as_str()),
        ("key.ignore", "true"),
        ("behavior.on.null.values", "ignore"),
        ("validate.connection", "true"),
    ];
    passes(&ELASTICSEARCH_SINK, &config, &[("net", &url)], &[], &["connector.watches"]);
    assert!(!opensearch().documents(&topic).is_empty(), "what was put is there");
}

#[test]
fn a_source_of_a_chain_passes() {
    let node = Ethereum::anvil();
    let contract = node.deploy();
    for _ in 0..10 {
        node.emit(&contract, 10);
        node.mine(1);
    }
    assert_eq!(node.logs(&contract).len(), 100);
    let url = node.url();
    let config = [
        ("rpc.urls", url.as_str()),
        ("topic.logs", "logs"),
        ("logs.address", contract.as_str()),
        ("logs.abi", ABI),
        ("start.block", "0"),
        ("poll.interval.ms", "20"),
        ("validate.connection", "true"),
    ];
    passes(&ETHEREUM_SOURCE, &config, &[("net", &url)], &[], &["connector.watches", "source.retries"]);
}

#[test]
fn a_secret_that_is_not_there_is_told_and_none_is_printed() {
    let folder = Folder::new("kit");
    let worker = with_secret(&folder, "kit-canary");
    let place = folder.path().display();
    let (good, bad) = (
        format!("${{file:{place}/secrets.properties:secret}}"),
        format!("${{file:{place}/secrets.properties:other}}"),
    );
    let output = run(Path::new(FILE_SINK.path), &[("file", &bad)], &[], &["--worker", &worker]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("file") && text.contains("secrets.properties:other"), "{text}");
    // The plugin names the folder that it is not granted, which is the secret here.
    let output =
        run(Path::new(FILE_SINK.path), &[("file", &format!("/{good}/f"))], &[], &["--worker", &worker]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("[hidden]") && !text.contains("kit-canary"), "{text}");
}
