//! The main job with a million lines, under the worst that is asked of it. Too long for every run:
//!
//! `cargo test -p transom-tests --test it million -- --ignored --nocapture --test-threads=1`

use std::thread;
use std::time::{Duration, Instant};

use transom_tests::file_job::FileJob;
use transom_tests::guests::{FILE_SINK, FILE_SINK_V2, FILE_SOURCE, FILE_SOURCE_V2};
use transom_tests::kafka;

const LINES: usize = 1_000_000;
/// More rounds than this and it does not get done.
const ROUNDS: usize = 120;

#[test]
#[ignore = "takes long"]
fn a_million_lines_arrive_byte_for_byte() {
    let mut job = FileJob::new(kafka());
    job.append(LINES);
    let begun = Instant::now();
    job.worker.start();
    job.await_last_line();
    eprintln!("{LINES} lines without a fault: {:?}", begun.elapsed());
    assert_eq!(job.check_output(), 0);
    assert!(std::fs::read(job.input()).unwrap() == std::fs::read(job.output()).unwrap());
}

#[test]
#[ignore = "takes long"]
fn a_million_lines_arrive_from_a_worker_that_is_killed_again_and_again() {
    // As often as asked, and five times as often.
    for every in [5, 1] {
        let mut job = FileJob::new(kafka());
        // So that there is something to be killed in: a tenth now, the rest while it goes on.
        job.append(LINES / 10);
        let begun = Instant::now();
        let (mut kills, mut written) = (0, LINES / 10);
        while job.arrived() < LINES && kills < ROUNDS {
            job.worker.launch();
            if written < LINES {
                written = job.append(LINES / 10);
            }
            thread::sleep(Duration::from_secs(every));
            job.worker.kill();
            kills += 1;
        }
        job.worker.start();
        job.await_last_line();
        let repeated = job.check_output();
        eprintln!(
            "{LINES} lines, SIGKILL every {every} s: done after {kills} kills and {:?}, {repeated} lines repeated",
            begun.elapsed()
        );
    }
}

#[test]
#[ignore = "takes long"]
fn a_million_lines_arrive_once_while_both_plugins_are_replaced_every_second() {
    let mut job = FileJob::new(kafka());
    job.worker.start();
    let begun = Instant::now();
    for round in 0..20 {
        job.append(LINES / 20);
        let (source, sink) =
            if round % 2 == 0 { (&FILE_SOURCE_V2, &FILE_SINK_V2) } else { (&FILE_SOURCE, &FILE_SINK) };
        job.worker.install(source).install(sink);
        thread::sleep(Duration::from_secs(1));
    }
    job.await_last_line();
    let swaps = job.worker.metrics().sum("transom_task_swaps_total", &[]).unwrap();
    eprintln!("{LINES} lines with {swaps} swaps: {:?}", begun.elapsed());
    assert_eq!(job.check_output(), 0, "no line came twice");
    assert!(swaps >= 20.0, "{swaps} swaps");
}
