//! What a worker says before it starts.

use transom_tests::{Worker, kafka};

#[test]
fn settings_of_clients_that_are_wrong_are_told_at_once_and_all_together() {
    let mut worker = Worker::new(kafka());
    worker
        .set("producer.acks", "2")
        .set("consumer.bogus", "1")
        .set("admin.ssl.key.password", "secret-of-mine");
    worker.set("security.protocol", "TELEPATHY");
    worker.launch();
    assert!(!worker.wait().success());
    let log = worker.log();
    for part in ["producer.acks", "consumer.bogus", "TELEPATHY"] {
        assert!(log.contains(part), "no word of {part}:\n{log}");
    }
    assert!(!log.contains("secret-of-mine"), "{log}");
    assert!(!worker.folder().join("offsets.json").exists(), "who is refused leaves nothing behind");
}
