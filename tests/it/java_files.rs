//! What was set up for a Java worker runs here: its files, its offsets, its groups.

use std::fs;

use transom_tests::file_job::FileJob;
use transom_tests::{JavaWorker, kafka};

#[test]
fn a_java_workers_files_offsets_and_groups_are_taken_over() {
    let mut job = FileJob::new(kafka());
    let offsets = job.worker.folder().join("connect.offsets");
    job.worker.set("offset.storage.file.filename", &offsets.display().to_string());
    // A key that only Java's worker knows what to do with.
    job.worker.set("plugin.discovery", "hybrid_warn");
    job.append(1_000);
    let java = JavaWorker::in_place_of(&job.worker);
    job.await_last_line();
    java.terminate();
    assert_eq!(fs::read(&offsets).unwrap()[..2], [0xAC, 0xED], "a serialised Java object");

    job.append(1_000);
    job.worker.start();
    job.await_last_line();
    job.append(1_000);
    job.await_last_line();
    assert!(job.worker.terminate().success());
    assert_eq!(job.check_output(), 0, "no line came twice");
    assert_eq!(kafka().read_lines(&job.topic).len(), 3_000);
    assert!(fs::read_to_string(&offsets).unwrap().contains("position"), "ours, for the eyes of people");

    job.append(10);
    job.worker.start();
    job.await_last_line();
    assert_eq!(job.check_output(), 0);
}
