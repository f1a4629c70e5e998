//! Plugins are replaced while they run.

use std::fs;

use serde_json::Value;
use transom_tests::file_job::FileJob;
use transom_tests::guests::{FILE_SINK, FILE_SINK_V2, FILE_SOURCE, FILE_SOURCE_V2};
use transom_tests::kafka;

fn version(status: &Value) -> &str {
    status["tasks"][0]["version"].as_str().unwrap_or_default()
}

#[test]
fn both_plugins_are_replaced_and_no_line_is_lost_or_repeated() {
    let mut job = FileJob::new(kafka());
    job.append(1_000);
    job.worker.start();
    job.await_last_line();
    for round in 0..10 {
        let (source, sink) =
            if round % 2 == 0 { (&FILE_SOURCE_V2, &FILE_SINK_V2) } else { (&FILE_SOURCE, &FILE_SINK) };
        job.append(2_000);
        job.worker.install(source).install(sink);
        job.append(2_000);
        for (connector, guest) in [(&job.source, source), (&job.sink, sink)] {
            let status = job.worker.await_status(connector, |status| version(status) == guest.version);
            assert_eq!(status["tasks"][0]["last_swap"]["to"]["version"], guest.version);
        }
    }
    job.await_last_line();
    assert_eq!(job.check_output(), 0, "no line came twice");
    assert_eq!(fs::read(job.input()).unwrap(), fs::read(job.output()).unwrap());
    job.worker.await_log(&["plugin file-source replaced", "0.1.0", "0.2.0"]);
}

#[test]
fn a_file_that_is_half_written_is_not_taken() {
    let mut job = FileJob::new(kafka());
    job.append(100);
    job.worker.start();
    job.await_last_line();
    let whole = fs::read(FILE_SOURCE_V2.path).unwrap();
    let file = job.worker.plugin_folder().join("file-source.wasm");
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    // The worker says that it has seen it, and goes on with what it has.
    job.worker.await_log(&["file-source.wasm"]);
    job.append(100);
    job.await_last_line();
    let status = job.worker.await_running(&job.source, 1);
    assert_eq!(version(&status), "0.1.0");
    fs::write(&file, &whole).unwrap();
    job.worker.await_status(&job.source, |status| version(status) == "0.2.0");
    job.append(100);
    job.await_last_line();
    assert_eq!(job.check_output(), 0);
}

#[test]
fn a_deleted_file_leaves_running_tasks_alone() {
    let mut job = FileJob::new(kafka());
    job.append(100);
    job.worker.start();
    job.await_last_line();
    fs::remove_file(job.worker.plugin_folder().join("file-source.wasm")).unwrap();
    let plugins = || {
        let plugins = job.worker.rest().try_get("/connector-plugins")?;
        let there = plugins
            .as_array()
            .into_iter()
            .flatten()
            .any(|plugin| plugin["class"] == "org.apache.kafka.connect.file.FileStreamSourceConnector");
        if there { Err(format!("{plugins:#}")) } else { Ok(()) }
    };
    transom_tests::until("the plugin to vanish from the list", plugins);
    job.append(100);
    job.await_last_line();
    assert_eq!(job.check_output(), 0);
}
