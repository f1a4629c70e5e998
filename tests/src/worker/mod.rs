//! The `transom` binary under test: a folder with its configuration and plugins, and a process in it
//! that can be killed, ended in good order and started again.

pub mod metrics;
pub mod rest;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::{env, fs, thread};

use rustix::process::Signal;
use serde_json::Value;

use crate::guests::Guest;
use crate::java::properties;
use crate::process::{Folder, Process};
use crate::{Kafka, ports, wait};
use metrics::Metrics;
use rest::Rest;

/// A worker, standalone or of a cluster. Its process comes and goes; its folder, port and configuration stay.
#[derive(Debug)]
pub struct Worker {
    /// What the binary is told to be.
    mode: &'static str,
    process: Option<Process>,
    rest: Rest,
    settings: BTreeMap<String, String>,
    /// What it logs, if it is not what the test binary was told.
    environment: Vec<String>,
    connectors: BTreeMap<String, BTreeMap<String, String>>,
    folder: Folder,
}

impl Worker {
    /// A worker for this broker, not started yet.
    ///
    /// It reads and writes strings, looks for plugins in [`plugin_folder`](Self::plugin_folder) and
    /// keeps offsets in its folder.
    pub fn new(kafka: &Kafka) -> Self {
        Self::with_bootstrap(&kafka.bootstrap())
    }

    /// A worker of the cluster `group`, whose topics are those of [`JavaWorker::distributed`](crate::JavaWorker).
    pub fn distributed(kafka: &Kafka, group: &str) -> Self {
        let mut worker = Self::new(kafka);
        worker.mode = "distributed";
        worker.unset("offset.storage.file.filename");
        for (key, value) in cluster_settings(group) {
            worker.set(key, &value);
        }
        // A leader that is gone shall be missed soon.
        worker.set("session.timeout.ms", "3000").set("heartbeat.interval.ms", "500");
        worker
    }

    /// A worker for whatever is, or is not, at this address.
    ///
    /// # Panics
    /// When its folder cannot be made.
    pub fn with_bootstrap(bootstrap: &str) -> Self {
        let folder = Folder::new("worker");
        let port = ports::free();
        let plugins = folder.path().join("plugins");
        fs::create_dir(&plugins).expect("a folder for plugins");
        set_mode(&plugins, 0o755);
        let own = [
            ("bootstrap.servers", bootstrap.to_owned()),
            ("listeners", format!("http://127.0.0.1:{port}")),
            ("plugin.path", plugins.display().to_string()),
            ("offset.storage.file.filename", folder.path().join("offsets.json").display().to_string()),
            ("key.converter", "org.apache.kafka.connect.storage.StringConverter".to_owned()),
            ("value.converter", "org.apache.kafka.connect.storage.StringConverter".to_owned()),
        ];
        Self {
            mode: "standalone",
            process: None,
            rest: Rest::new(port),
            settings: own.map(|(key, value)| (key.to_owned(), value)).into(),
            environment: Vec::new(),
            connectors: BTreeMap::new(),
            folder,
        }
    }

    /// Adds or replaces a setting of the worker; takes effect at its next start.
    pub fn set(&mut self, key: &str, value: &str) -> &mut Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Lists a provider of files as `file`, which reads what lies below `folder`; beside it those of `others`.
    pub fn provide_files(&mut self, folder: &Path, others: &[&str]) -> &mut Self {
        let names: Vec<_> = ["file"].iter().chain(others).copied().collect();
        self.set("config.providers", &names.join(","))
            .set("config.providers.file.class", "org.apache.kafka.common.config.provider.FileConfigProvider")
            .set("config.providers.file.param.allowed.paths", &folder.display().to_string())
    }

    /// Removes a setting of the worker.
    pub fn unset(&mut self, key: &str) -> &mut Self {
        self.settings.remove(key);
        self
    }

    /// Logs all that there is to say, from its next start on.
    pub fn verbose(&mut self) -> &mut Self {
        self.environment("TRANSOM_LOG", "trace")
    }

    /// Grants a plugin a directory: `sandbox.<plugin>.fs`. `access` is empty or `:rw`.
    pub fn grant(&mut self, plugin: &str, directory: &Path, access: &str) -> &mut Self {
        self.set(&format!("sandbox.{plugin}.fs"), &format!("{}{access}", directory.display()))
    }

    /// Sets a variable of the process's environment.
    pub fn environment(&mut self, name: &str, value: &str) -> &mut Self {
        self.environment.push(format!("{name}={value}"));
        self
    }

    /// Adds or replaces a connector that the worker is started with.
    pub fn connector(&mut self, name: &str, config: &[(&str, &str)]) -> &mut Self {
        let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.connectors.insert(name.to_owned(), config);
        self
    }

    /// What a connector was configured with.
    ///
    /// # Panics
    /// When there is none of this name.
    pub fn connector_config(&self, name: &str) -> BTreeMap<String, String> {
        self.connectors[name].clone()
    }

    /// Puts a plugin into the plugin folder, as `<name>.wasm`, in place of one that is there.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn install(&mut self, guest: &Guest) -> &mut Self {
        self.install_as(guest.path, &format!("{}.wasm", guest.name));
        self
    }

    /// Puts any file into the plugin folder under this name, all of it at once.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn install_as(&self, file: impl AsRef<Path>, name: &str) {
        let part = self.plugin_folder().join(format!(".{name}.part"));
        fs::copy(file.as_ref(), &part).unwrap_or_else(|e| panic!("{}: {e}", file.as_ref().display()));
        set_mode(&part, 0o644);
        fs::rename(part, self.plugin_folder().join(name)).expect("a plugin can be renamed");
    }

    /// The watched folder.
    pub fn plugin_folder(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    /// The worker's folder. Tests may put files of their own there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the process and waits until it answers.
    ///
    /// # Panics
    /// When it ends instead.
    #[track_caller]
    pub fn start(&mut self) -> &mut Self {
        self.launch();
        let (rest, process) = (&self.rest, self.process.as_mut().expect("just started"));
        let up = wait::try_until(wait::LIMIT, || {
            if process.exited().is_some() { Ok(false) } else { rest.try_get("/").map(|_| true) }
        });
        match up {
            Ok(true) => self,
            Ok(false) => panic!("the worker ended at its start"),
            Err(last) => panic!("the worker does not answer: {last}"),
        }
    }

    /// Starts the process and waits for nothing.
    ///
    /// # Panics
    /// When it runs already, or cannot be started.
    pub fn launch(&mut self) {
        assert!(self.process.is_none(), "the worker runs");
        let command = [binary().display().to_string(), self.mode.to_owned()];
        let arguments = self.environment.iter().cloned().chain(command).chain(self.write_files());
        self.process = Some(Process::start("env", arguments, &self.log_file()));
    }

    /// Writes its configuration: the worker's file, then one for each connector.
    ///
    /// # Panics
    /// When one cannot be written.
    pub fn write_files(&self) -> Vec<String> {
        let write = |name: &str, settings: &BTreeMap<String, String>| {
            let file = self.folder.path().join(format!("{}.properties", name.replace('/', "_")));
            fs::write(&file, text(settings)).expect("a file of properties");
            file.display().to_string()
        };
        let mut files = vec![write("worker", &self.settings)];
        if self.mode == "distributed" {
            return files;
        }
        for (name, config) in &self.connectors {
            let mut config = config.clone();
            config.insert("name".to_owned(), name.clone());
            files.push(write(name, &config));
        }
        files
    }

    /// Its process.
    ///
    /// # Panics
    /// When it does not run.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the worker runs")
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        self.process().kill();
        self.process = None;
    }

    /// Ends it with SIGTERM and returns how it ended.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.process().signal(Signal::TERM);
        self.wait()
    }

    /// Waits for an end that comes by itself.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let status = self.process().wait();
        self.process = None;
        status
    }

    /// Its REST API.
    pub fn rest(&self) -> &Rest {
        &self.rest
    }

    /// Polls `/connectors/<connector>/status` until `wanted` and returns it then.
    ///
    /// # Panics
    /// When it never is, with the state seen last.
    #[track_caller]
    pub fn await_status(&self, connector: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait::until(&format!("a status of {connector}"), || {
            let status = self.rest.try_get(&format!("/connectors/{connector}/status"))?;
            if wanted(&status) { Ok(status) } else { Err(format!("{status:#}")) }
        })
    }

    /// Waits until a connector and this number of its tasks are RUNNING.
    ///
    /// # Panics
    /// As [`await_status`](Self::await_status).
    #[track_caller]
    pub fn await_running(&self, connector: &str, tasks: usize) -> Value {
        self.await_status(connector, |status| {
            let running = |part: &Value| part["state"] == "RUNNING";
            running(&status["connector"])
                && status["tasks"].as_array().is_some_and(|all| all.len() == tasks && all.iter().all(running))
        })
    }

    /// Waits until the first task of a connector is FAILED, and returns its trace.
    ///
    /// # Panics
    /// As [`await_status`](Self::await_status).
    #[track_caller]
    pub fn await_failed(&self, connector: &str) -> String {
        let status = self.await_status(connector, |status| status["tasks"][0]["state"] == "FAILED");
        status["tasks"][0]["trace"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until this number of plugins can be used: it answers before it has compiled them.
    ///
    /// # Panics
    /// When they never are, with the list seen last.
    #[track_caller]
    pub fn await_plugins(&self, count: usize) {
        wait::until("the plugins to be there", || {
            let plugins = self.rest.try_get("/connector-plugins")?;
            if plugins.as_array().map(Vec::len) == Some(count) { Ok(()) } else { Err(plugins.to_string()) }
        });
    }

    /// What it says at `/metrics`.
    ///
    /// # Panics
    /// When it does not answer, or not in the Prometheus format.
    #[track_caller]
    pub fn metrics(&self) -> Metrics {
        let text = self.rest.try_get_text("/metrics").unwrap_or_else(|e| panic!("/metrics: {e}"));
        Metrics::parse(&text).unwrap_or_else(|line| panic!("/metrics has a line in no known form: {line}"))
    }

    /// All that its processes have logged.
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// Waits until the log has a line with all of these.
    ///
    /// # Panics
    /// When it never does.
    #[track_caller]
    pub fn await_log(&self, parts: &[&str]) -> String {
        wait::until(&format!("a line of the log with {parts:?}"), || {
            let log = self.log();
            let found = log.lines().find(|line| parts.iter().all(|part| line.contains(part)));
            found.map(str::to_owned).ok_or_else(|| log.lines().last().unwrap_or_default().to_owned())
        })
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.log();
            let skip = log.lines().count().saturating_sub(120);
            eprintln!("--- the end of the worker's log ---");
            log.lines().skip(skip).for_each(|line| eprintln!("{line}"));
            eprintln!("---");
        }
    }
}

/// What the workers of a cluster agree on.
pub(crate) fn cluster_settings(group: &str) -> Vec<(&'static str, String)> {
    let one = || "1".to_owned();
    vec![
        ("group.id", group.to_owned()),
        ("config.storage.topic", format!("{group}-config")),
        ("config.storage.replication.factor", one()),
        ("offset.storage.topic", format!("{group}-offset")),
        ("offset.storage.replication.factor", one()),
        ("offset.storage.partitions", "5".to_owned()),
        ("status.storage.topic", format!("{group}-status")),
        ("status.storage.replication.factor", one()),
        ("status.storage.partitions", "2".to_owned()),
    ]
}

/// What stands in a configuration for a key of a file of properties, read by the provider of
/// [`Worker::provide_files`].
pub fn file_reference(properties: &Path, key: &str) -> String {
    format!("${{file:{}:{key}}}", properties.display())
}

/// The worker's binary: `TRANSOM_BIN`, or `transom` beside the folder of the test binary.
///
/// # Panics
/// When it is not there.
pub fn binary() -> PathBuf {
    let built = || {
        let test = env::current_exe().ok()?;
        Some(test.parent()?.parent()?.join("transom"))
    };
    let path =
        env::var_os("TRANSOM_BIN").map(PathBuf::from).or_else(built).expect("the test binary has a path");
    assert!(
        path.is_file(),
        "{} is missing: 'cargo build -p transom' makes it ('make test' does)",
        path.display()
    );
    path
}

fn text(settings: &BTreeMap<String, String>) -> String {
    properties(&settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>())
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}
