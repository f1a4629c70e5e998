//! The worker is killed at every request, and its plugin replaced.

use transom_tests::gate::{Gate, Hold};
use transom_tests::guests::{S3_SINK, S3_SINK_V2};

use super::*;

#[test]
fn every_step_of_an_upload_can_be_killed() {
    let gate = Gate::start(&versitygw().address());
    // 12 MiB a group in parts of 5 MiB: note, uploads, create, three parts, complete.
    let more = [("s3.part.size", "5242880"), ("flush.size", "120")];
    let mut job = Job::new(kafka(), &gate.url(), &more);
    job.size = 100_000;
    let mut killed = Vec::new();
    for hold in [Hold::Before, Hold::After] {
        for number in 0..7 {
            // A worker that comes new asks for its note and for uploads that are left; then come the five of an object.
            gate.hold(if number < 2 { number } else { number - 2 }, hold);
            job.produce(120);
            if number < 2 {
                job.worker.launch();
            }
            gate.await_held();
            job.worker.kill();
            killed.push((hold, gate.requests().pop().unwrap_or_default()));
            gate.open();
            if number > 0 {
                job.worker.start();
                job.check(job.produced);
            }
        }
        assert!(job.worker.terminate().success());
    }
    let all: Vec<_> = killed.iter().map(|(_, line)| line.as_str()).collect();
    for part in ["uploads=", "partNumber=1", "partNumber=3", "POST", "?uploadId="] {
        assert!(all.iter().any(|line| line.contains(part)), "{part}: {all:#?}");
    }
    // A stop does not wait for the answer that names an upload; who opens the partition next forgets it.
    job.produce(120);
    job.worker.start();
    job.check(job.produced);
    until("no upload to be left", || match job.bucket.uploads() {
        0 => Ok(()),
        left => Err(left.to_string()),
    });
}

#[test]
fn a_worker_that_is_killed_twenty_times_writes_each_record_once() {
    const KILLS: usize = 20;
    let gate = Gate::start(&versitygw().address());
    let mut job = Job::new(kafka(), &gate.url(), &[("flush.size", "300")]);
    for kill in 0..KILLS {
        job.produce(1_500);
        let number = (kill * 7) % 11;
        gate.hold(number % 6, if kill % 2 == 0 { Hold::Before } else { Hold::After });
        job.worker.launch();
        gate.await_held();
        job.worker.kill();
        gate.open();
    }
    job.worker.start();
    let objects = job.check(job.produced);
    assert_eq!(objects.len(), job.produced / 300);
}

#[test]
fn cuts_by_the_clock_are_exactly_once_too() {
    let gate = Gate::start(&versitygw().address());
    let more = [
        ("flush.size", "1000000"),
        ("rotate.schedule.interval.ms", "100"),
        ("partitioner.class", "TimeBasedPartitioner"),
        ("path.format", "'second'=ss"),
        ("partition.duration.ms", "1000"),
        ("timezone", "Europe/Berlin"),
    ];
    let mut job = Job::new(kafka(), &gate.url(), &more);
    for kill in 0..8 {
        job.produce(1_000);
        gate.hold(2 + kill / 2 % 2, if kill % 2 == 0 { Hold::Before } else { Hold::After });
        job.worker.launch();
        gate.await_held();
        job.worker.kill();
        gate.open();
    }
    // Also what comes last is closed, although nothing comes behind it.
    job.worker.start();
    job.check(job.produced);
}

#[test]
fn the_plugin_is_replaced_while_it_writes() {
    let mut job = Job::new(kafka(), &versitygw().url(), &[]);
    job.produce(1_000);
    job.worker.start();
    for round in 0..6 {
        let guest = if round % 2 == 0 { &S3_SINK_V2 } else { &S3_SINK };
        job.produce(1_500);
        job.worker.install(guest);
        job.produce(1_500);
        let version = guest.version;
        job.worker.await_status(&job.connector, |status| status["tasks"][0]["version"] == version);
    }
    let objects = job.check(job.produced);
    assert_eq!(objects.len(), job.produced / 500, "every object is whole");
}
