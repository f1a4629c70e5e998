//! SIGKILL at any instant loses nothing (invariant 6).

use std::thread;
use std::time::Duration;

use transom_tests::file_job::FileJob;
use transom_tests::{kafka, until};

/// How often the worker is killed.
const KILLS: usize = 30;
/// Lines appended between two kills.
const LINES: usize = 4_000;

/// Instants that differ from kill to kill, the same in every run: a multiplicative hash spreads them over the
/// first 600 ms of the worker's life, which hold its start, its first records and its saves.
fn instant(kill: usize) -> Duration {
    Duration::from_millis((kill as u64 * 2_654_435_761 % 600) + 1)
}

#[test]
fn a_killed_worker_loses_no_line() {
    let mut job = FileJob::new(kafka());
    for kill in 0..KILLS {
        job.append(LINES);
        job.worker.launch();
        // Not a synchronisation: the instant of the kill is the test's input, any will do.
        thread::sleep(instant(kill));
        job.worker.kill();
    }
    job.append(LINES);
    job.worker.start();
    job.await_last_line();
    let repeated = job.check_output();
    // What one kill repeats is bounded by what was in flight or delivered and not yet saved or committed.
    assert!(repeated <= KILLS * 2 * LINES, "{repeated} lines came more than once");
    eprintln!("{repeated} of {} lines came more than once after {KILLS} kills", (KILLS + 1) * LINES);
}

#[test]
fn it_goes_on_soon_after_a_kill() {
    let mut job = FileJob::new(kafka());
    job.append(1_000);
    job.worker.start();
    job.await_last_line();
    for _ in 0..5 {
        job.worker.kill();
        let lines = job.append(100);
        job.worker.start();
        // A dead member of the group takes 45 s to expire; one that comes back under its own name takes none.
        until(
            "the new lines",
            || {
                if job.arrived() >= lines { Ok(()) } else { Err(job.arrived().to_string()) }
            },
        );
        job.await_last_line();
    }
    job.check_output();
}
