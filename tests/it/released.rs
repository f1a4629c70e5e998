//! Plugins as they were built for a released contract: every later worker runs them. They are never built again.

use std::fs;
use std::io::copy;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use transom_tests::file_job::FileJob;
use transom_tests::guests::{FILE_SINK, FILE_SOURCE};
use transom_tests::worker::binary;
use transom_tests::{Worker, kafka};

/// The folders of `tests/released`, which only ever grow in number.
fn releases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("released");
    let releases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let releases: Vec<_> = releases.into_iter().filter(|path| path.is_dir()).collect();
    assert!(releases.iter().any(|path| path.ends_with("1.0.0")), "{releases:?}");
    releases
}

#[test]
fn released_plugins_move_every_line_and_make_way_for_those_of_today() {
    for release in releases() {
        let mut job = FileJob::new(kafka());
        for name in ["file-source.wasm", "file-sink.wasm"] {
            job.worker.install_as(release.join(name), name);
        }
        job.append(2_000);
        job.worker.start();
        job.await_last_line();
        job.worker.install(&FILE_SOURCE).install(&FILE_SINK);
        job.append(2_000);
        job.await_last_line();
        assert_eq!(job.check_output(), 0, "{release:?}: no line came twice");
    }
}

#[test]
fn released_plugins_pass_the_acceptance_kit() {
    for release in releases() {
        for (file, config) in
            [("faulty-source.wasm", &["topic=kit", "records=150"][..]), ("faulty-sink.wasm", &["hold=false"])]
        {
            let mut command = Command::new(binary());
            command.args(["plugin", "test"]).arg(release.join(file));
            for setting in config {
                command.args(["--config", setting]);
            }
            let output = command.output().unwrap();
            assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stdout));
        }
    }
}

#[test]
fn released_plugins_reach_the_network() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut back = stream.try_clone().unwrap();
            drop(thread::spawn(move || copy(&mut &stream, &mut back)));
        }
    }));
    for release in releases() {
        let mut worker = Worker::new(kafka());
        worker.install_as(release.join("faulty-source.wasm"), "faulty-source.wasm");
        let config = [
            ("connector.class", "org.example.FaultySource"),
            ("topic", "nothing"),
            ("records", "0"),
            ("fault", "echo"),
            ("fault.at", "open"),
            ("fault.address", &address),
        ];
        worker.set("sandbox.faulty-source.net", &format!("tcp://{address}"));
        worker.connector("echo", &config).start();
        worker.await_running("echo", 1);
    }
}
