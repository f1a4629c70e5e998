//! Java programs: Kafka's tools, and Kafka Connect itself.

use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{fs, thread};

use rustix::process::Signal;

use crate::process::{Folder, Process, installed};
use crate::worker::cluster_settings;
use crate::worker::rest::Rest;
use crate::{Kafka, Worker, ports, wait};

/// The command line after `java`: options, class path and main class.
pub fn arguments(class: &str, options: &[&str]) -> Vec<String> {
    let mut arguments: Vec<String> = options.iter().map(ToString::to_string).collect();
    arguments.extend(["-cp".to_owned(), format!("{}/*", jars()), class.to_owned()]);
    arguments
}

/// The folder with the jars, filled on the first use.
fn jars() -> &'static str {
    static JARS: OnceLock<String> = OnceLock::new();
    JARS.get_or_init(|| installed("kafka-jars.sh", &[]))
}

/// Runs one of Kafka's command line tools to its end, with `input`, and returns what it printed.
///
/// # Panics
/// When it fails.
pub fn tool(class: &str, args: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("java")
        .args(arguments(class, &["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("java runs");
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            use std::io::Write as _;
            // A tool that ends early shows in its exit status.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().expect("java can be waited for")
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{class} {args:?} failed: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Sends text records with Java's producer, which places keys as Java clients do. Neither may contain
/// a tab or a line's end.
///
/// # Panics
/// When it fails.
pub fn produce<'a>(kafka: &Kafka, topic: &str, records: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let lines: String = records.into_iter().map(|(key, value)| format!("{key}\t{value}\n")).collect();
    let bootstrap = kafka.bootstrap();
    let args = ["--bootstrap-server", &bootstrap, "--topic", topic, "--property", "parse.key=true"];
    tool("org.apache.kafka.tools.ConsoleProducer", &args, lines.as_bytes());
}

/// Options of a Java that shall take little.
const SMALL: &[&str] = &["-Xmx512m", "-XX:+UseSerialGC"];

/// Kafka Connect's own worker, the reference for every question of behaviour.
#[derive(Debug)]
pub struct JavaWorker {
    process: Process,
    rest: Rest,
    _folder: Folder,
}

impl JavaWorker {
    /// A standalone worker with these settings beside the needed ones, and these connectors.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn standalone(kafka: &Kafka, settings: &[(&str, &str)], connectors: &[&[(&str, &str)]]) -> Self {
        let folder = Folder::new("java-connect");
        let offsets = folder.path().join("offsets").display().to_string();
        let own = [("offset.storage.file.filename", offsets.as_str())];
        let files = connectors.iter().enumerate().map(|(number, connector)| {
            let file = folder.path().join(format!("connector-{number}.properties"));
            fs::write(&file, properties(connector)).expect("a connector's file");
            file.display().to_string()
        });
        let mut files: Vec<String> = files.collect();
        let (rest, file) = Self::configure(kafka, &folder, &[&own, settings].concat());
        files.insert(0, file);
        Self::launch(SMALL, "ConnectStandalone", folder, rest, files)
    }

    /// A standalone worker with the very files of one of ours, which does not run.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn in_place_of(worker: &Worker) -> Self {
        let files = worker.write_files();
        Self::launch(SMALL, "ConnectStandalone", Folder::new("java-connect"), worker.rest().clone(), files)
    }

    /// Ends it in good order.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn terminate(mut self) {
        self.process.signal(Signal::TERM);
        let _ = self.process.wait();
    }

    /// A distributed worker of the cluster `group`.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn distributed(kafka: &Kafka, group: &str, settings: &[(&str, &str)]) -> Self {
        Self::distributed_with(SMALL, kafka, group, settings)
    }

    /// The same in a Java with these options: to be measured beside, it must not be held short.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn distributed_with(options: &[&str], kafka: &Kafka, group: &str, settings: &[(&str, &str)]) -> Self {
        let own = cluster_settings(group);
        let own: Vec<_> = own.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let settings = [own.as_slice(), settings].concat();
        let folder = Folder::new("java-connect");
        let (rest, file) = Self::configure(kafka, &folder, &settings);
        Self::launch(options, "ConnectDistributed", folder, rest, vec![file])
    }

    /// Its REST API.
    pub fn rest(&self) -> &Rest {
        &self.rest
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Writes the worker's file; its API, and where the file is.
    fn configure(kafka: &Kafka, folder: &Folder, settings: &[(&str, &str)]) -> (Rest, String) {
        let port = ports::free();
        let (bootstrap, listener) = (kafka.bootstrap(), format!("http://127.0.0.1:{port}"));
        let own = [
            ("bootstrap.servers", bootstrap.as_str()),
            ("listeners", &listener),
            ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
            ("value.converter", "org.apache.kafka.connect.storage.StringConverter"),
            ("plugin.discovery", "hybrid_warn"),
        ];
        let file = folder.path().join("worker.properties");
        fs::write(&file, properties(&[&own, settings].concat())).expect("the worker's file");
        (Rest::new(port), file.display().to_string())
    }

    fn launch(options: &[&str], class: &str, folder: Folder, rest: Rest, files: Vec<String>) -> Self {
        let class = format!("org.apache.kafka.connect.cli.{class}");
        let arguments = arguments(&class, options);
        let arguments = arguments.into_iter().chain(files);
        let mut process = Process::start("java", arguments, &folder.path().join("log"));
        wait::until("Kafka Connect to answer", || {
            assert!(process.exited().is_none(), "Kafka Connect ended:\n{}", process.log_tail(40));
            rest.try_get("/connectors").map(|_| ())
        });
        Self { process, rest, _folder: folder }
    }
}

/// The text of a properties file. A later setting wins over an earlier one of the same name.
pub(crate) fn properties(settings: &[(&str, &str)]) -> String {
    let escape = |text: &str| text.replace('\\', "\\\\").replace('\n', "\\n");
    let line = |(key, value): &(&str, &str)| format!("{key}={}\n", escape(value));
    let given_again = |index: usize| settings[index + 1..].iter().any(|(key, _)| *key == settings[index].0);
    settings
        .iter()
        .enumerate()
        .filter(|(index, _)| !given_again(*index))
        .map(|(_, pair)| line(pair))
        .collect()
}
