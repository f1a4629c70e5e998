//! The main job end to end: a file's lines through Kafka into a file, whatever happens on the way.

use std::fs;

use transom_tests::file_job::FileJob;
use transom_tests::{Kafka, kafka, until};

#[test]
fn every_line_of_a_file_arrives_in_order_and_once() {
    let mut job = FileJob::new(kafka());
    job.append(20_000);
    job.worker.start();
    job.await_last_line();
    assert_eq!(fs::read(job.input()).unwrap(), fs::read(job.output()).unwrap(), "byte for byte");
}

#[test]
fn a_file_that_grows_is_followed() {
    let mut job = FileJob::new(kafka());
    job.append(10);
    job.worker.start();
    job.await_last_line();
    for _ in 0..5 {
        job.append(100);
        job.await_last_line();
    }
    assert_eq!(job.check_output(), 0);
}

#[test]
fn a_worker_that_ends_in_good_order_repeats_nothing() {
    let mut job = FileJob::new(kafka());
    for _ in 0..3 {
        job.append(5_000);
        job.worker.start();
        until("some lines to arrive", || if job.arrived() > 0 { Ok(()) } else { Err("none".into()) });
        assert!(job.worker.terminate().success(), "SIGTERM ends it with 0");
    }
    job.worker.start();
    job.await_last_line();
    assert_eq!(job.check_output(), 0);
}

#[test]
fn a_broker_that_is_restarted_costs_nothing() {
    let kafka = Kafka::start_private();
    let mut job = FileJob::new(&kafka);
    job.append(20_000);
    job.worker.start();
    until("some lines to arrive", || if job.arrived() > 0 { Ok(()) } else { Err("none".into()) });
    kafka.kill_broker(1);
    job.append(20_000);
    kafka.restart_broker(1);
    job.append(1_000);
    job.await_last_line();
    job.check_output();
}
