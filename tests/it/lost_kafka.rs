//! A worker of a cluster without Kafka: it waits for it at its start, and later gives up the lead that it cannot prove.

use transom_tests::file_job::FileJob;
use transom_tests::{Kafka, unique, until};

#[test]
fn a_worker_waits_for_kafka_and_stops_its_tasks_when_it_cannot_prove_its_lead() {
    let kafka = Kafka::start_private();
    let group = unique("lost");
    let mut job = FileJob::distributed(&kafka, &group);
    kafka.kill_broker(1);
    job.append(1_000);
    job.worker.launch();
    job.worker.await_log(&["waiting for Kafka"]);
    kafka.restart_broker(1);
    until("the worker to answer", || job.worker.rest().try_get("/").map(drop));
    job.create_at(job.worker.rest(), &[]);
    job.await_last_line();
    job.worker.await_running(&job.sink, 1);

    kafka.pause_broker(1);
    job.worker.await_log(&["this worker leads no more", "it cannot prove that it is a member"]);
    until("its tasks to stop", || match job.worker.metrics().sum("transom_task_running", &[]) {
        None => Ok(()),
        Some(tasks) => Err(format!("{tasks} tasks")),
    });
    // What it read before it still knows.
    let names = job.worker.rest().get("/connectors").expect(200);
    assert_eq!(names.as_array().map(Vec::len), Some(2));

    kafka.resume_broker(1);
    job.append(1_000);
    job.worker.await_running(&job.sink, 1);
    job.await_last_line();
    job.check_output();
}
