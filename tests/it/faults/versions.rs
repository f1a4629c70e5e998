//! Versions of a plugin that are no good: they are reported, and the old one goes on.

use std::fs;

use serde_json::Value;
use transom_tests::guests::{
    FAULTY_SOURCE, FAULTY_SOURCE_FAILS_TO_OPEN, FAULTY_SOURCE_HAS_ANOTHER_NAME,
    FAULTY_SOURCE_HAS_NO_MANIFEST, FAULTY_SOURCE_PANICS_IN_DESCRIBE, FAULTY_SOURCE_REFUSES_EVERY_CONFIG,
    FAULTY_SOURCE_SPINS_IN_DESCRIBE, FAULTY_SOURCE_V2,
};
use transom_tests::{Worker, kafka};

use super::{await_more, check_numbers, count, numbers, worker};

fn runs(version: &'static str) -> impl Fn(&Value) -> bool {
    move |status| status["tasks"][0]["state"] == "RUNNING" && status["tasks"][0]["version"] == version
}

/// A worker with one well-behaved source, and its name and topic.
fn counting() -> (Worker, String, String) {
    let mut worker = worker(kafka());
    let (name, topic) = count(&mut worker, &[]);
    worker.start();
    worker.await_status(&name, runs(FAULTY_SOURCE.version));
    await_more(kafka(), &topic);
    (worker, name, topic)
}

#[test]
fn a_version_that_cannot_be_used_is_reported_and_the_old_one_goes_on() {
    let (mut worker, name, topic) = counting();
    let bad = [
        (&FAULTY_SOURCE_PANICS_IN_DESCRIBE, "told to panic in describe"),
        (&FAULTY_SOURCE_SPINS_IN_DESCRIBE, "describe"),
        (&FAULTY_SOURCE_HAS_ANOTHER_NAME, "somebody-else"),
        (&FAULTY_SOURCE_HAS_NO_MANIFEST, "description"),
        (&FAULTY_SOURCE_REFUSES_EVERY_CONFIG, "told to refuse the configuration in validate"),
        (&FAULTY_SOURCE_FAILS_TO_OPEN, "told to fail in open"),
    ];
    for (guest, reason) in bad {
        worker.install(guest);
        worker.await_log(&[reason]);
        worker.await_status(&name, runs(FAULTY_SOURCE.version));
        await_more(kafka(), &topic);
    }
    worker.install(&FAULTY_SOURCE_V2);
    worker.await_status(&name, runs(FAULTY_SOURCE_V2.version));
    await_more(kafka(), &topic);
    assert!(worker.terminate().success());
    assert_eq!(check_numbers(&numbers(kafka(), &topic)), 0, "nothing was lost or came twice");
}

#[test]
fn files_that_are_no_plugins_are_reported_and_the_old_one_goes_on() {
    let (mut worker, name, topic) = counting();
    let file = worker.folder().join("file");
    let whole = fs::read(FAULTY_SOURCE_V2.path).unwrap();
    let mut torn = whole.clone();
    torn.truncate(whole.len() - 100);
    // A core module: the right magic, and the version of what is no component.
    let core = b"\0asm\x01\0\0\0".to_vec();
    for (content, what) in
        [(torn, "torn"), (core, "core"), (b"hello".to_vec(), "text"), (Vec::new(), "empty")]
    {
        fs::write(&file, content).unwrap();
        worker.install_as(&file, &format!("{what}.wasm"));
        worker.await_log(&["cannot use", &format!("{what}.wasm")]);
        worker.install_as(&file, "faulty-source.wasm");
        await_more(kafka(), &topic);
        worker.await_status(&name, runs(FAULTY_SOURCE.version));
    }
    assert!(worker.terminate().success());
    assert_eq!(check_numbers(&numbers(kafka(), &topic)), 0, "nothing was lost or came twice");
}

#[test]
fn a_file_whose_name_is_not_that_of_its_manifest_is_refused() {
    let mut worker = worker(kafka());
    worker.install_as(FAULTY_SOURCE.path, "another.wasm");
    worker.install_as(FAULTY_SOURCE.path, "faulty-source@9.9.9.wasm");
    worker.start();
    worker.await_log(&["cannot use", "another.wasm"]);
    worker.await_log(&["cannot use", "faulty-source@9.9.9.wasm"]);
}

#[test]
fn a_folder_that_others_may_write_ends_the_start() {
    use std::os::unix::fs::PermissionsExt as _;

    let mut worker = worker(kafka());
    fs::set_permissions(worker.plugin_folder(), fs::Permissions::from_mode(0o777)).unwrap();
    worker.launch();
    assert!(!worker.wait().success());
    assert!(worker.log().contains("plugin.path"), "{}", worker.log());
}
