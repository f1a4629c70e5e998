//! What a configuration refers to changes where it stands: a connector follows it, if its provider says how long a
//! value counts.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;

use transom_tests::guests::FILE_SOURCE;
use transom_tests::worker::file_reference;
use transom_tests::{Worker, kafka, unique};

struct Job {
    worker: Worker,
    folder: PathBuf,
}

impl Job {
    fn new() -> Self {
        let mut worker = Worker::new(kafka());
        let folder = worker.folder().join("data");
        fs::create_dir(&folder).unwrap();
        worker
            .install(&FILE_SOURCE)
            .grant("file-source", &folder, "")
            .provide_files(&folder, &[])
            .set("config.providers.file.param.ttl.ms", "1000");
        Self { worker, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes `<name>.properties` say which file to read.
    fn point(&self, name: &str, file: &str) {
        let part = self.path("part");
        fs::write(&part, format!("where={}\n", self.path(file).display())).unwrap();
        fs::rename(part, self.path(&format!("{name}.properties"))).unwrap();
    }

    fn append(&self, file: &str, line: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(file)).unwrap();
        writeln!(file, "{line}").unwrap();
    }

    /// Reads the file that `<properties>.properties` names into a topic of its own: connector and topic.
    fn read(&mut self, properties: &str, more: &[(&str, &str)]) -> (String, String) {
        let (name, topic) = (unique("reads"), unique("read"));
        kafka().create_topic(&topic, 1, &[]);
        let file = file_reference(&self.path(&format!("{properties}.properties")), "where");
        let mut config = vec![("connector.class", "FileStreamSource"), ("topic", &topic), ("file", &file)];
        config.extend_from_slice(more);
        self.worker.connector(&name, &config);
        (name, topic)
    }
}

const NEWS: &str = "what the configuration refers to has changed";

#[test]
fn a_connector_is_started_anew_when_what_it_refers_to_has_changed() {
    let mut job = Job::new();
    job.append("a", "a1");
    job.append("b", "b1");
    job.point("moved", "a");
    job.point("still", "a");
    let (follows, followed) = job.read("moved", &[]);
    let (_, stayed) = job.read("moved", &[("config.action.reload", "none")]);
    let (untouched, steady) = job.read("still", &[("config.action.reload", "restart")]);
    job.worker.start();
    for topic in [&followed, &stayed, &steady] {
        kafka().await_records(topic, 1);
    }
    job.point("moved", "b");
    kafka().await_records(&followed, 2);
    job.worker.await_log(&[NEWS, &follows]);
    job.append("a", "a2");
    for topic in [&stayed, &steady] {
        kafka().await_records(topic, 2);
        assert_eq!(kafka().read_lines(topic), ["a1", "a2"]);
    }
    // Two looks at least have found what was there before.
    job.point("moved", "a");
    kafka().await_records(&followed, 3);
    assert_eq!(kafka().read_lines(&followed), ["a1", "b1", "a2"]);
    let log = job.worker.log();
    let about = |name: &str| log.lines().filter(|line| line.contains(NEWS) && line.contains(name)).count();
    assert_eq!((about(&follows), about(&untouched)), (2, 0));
}

#[test]
fn what_cannot_be_read_again_leaves_the_connector_as_it_is() {
    let mut job = Job::new();
    job.append("a", "a1");
    job.point("gone", "a");
    let (name, topic) = job.read("gone", &[]);
    job.worker.start();
    kafka().await_records(&topic, 1);
    fs::remove_file(job.path("gone.properties")).unwrap();
    job.worker.await_log(&["cannot be read again", "gone.properties"]);
    job.append("a", "a2");
    kafka().await_records(&topic, 2);
    job.worker.await_running(&name, 1);
    job.append("b", "b1");
    job.point("gone", "b");
    kafka().await_records(&topic, 3);
    assert_eq!(kafka().read_lines(&topic), ["a1", "a2", "b1"]);
}
