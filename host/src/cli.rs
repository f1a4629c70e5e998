//! The command line: what may be asked of the program, and the life of the process that answers.
//!
//! Everything that was found wrong comes back as an [`enum@Error`]; only `main` prints it and ends the
//! process. The one exception is the second signal, which ends it on the spot.

mod distributed;
mod plugin_test;
mod serving;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{Args, Parser, Subcommand};
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use self::serving::{bind, serve};
use crate::cluster::ClusterError;
use crate::config::{self, ConnectorFile, Mode, Problems, WorkerConfig};
use crate::demo;
use crate::plugin::{self, Engine, EngineSettings};
use crate::rest::BindError;
use crate::telemetry::{FilterError, Format, Loggers};
use crate::version;
use crate::worker::{Start, StartError, Worker, WorkerError};

const STANDALONE_EXAMPLE: &str = "\
Example:
  transom standalone worker.properties file-source.properties file-sink.json

worker.properties:
  bootstrap.servers=localhost:9092
  plugin.path=/opt/transom/plugins
  offset.storage.file.filename=/var/lib/transom/offsets
  key.converter=org.apache.kafka.connect.storage.StringConverter
  value.converter=org.apache.kafka.connect.storage.StringConverter

SIGTERM and SIGINT let every task finish what it began; a second signal ends the worker at once.";

/// The most bytes of compiled code that are kept, as for a worker that is not told otherwise.
const CACHE_MAX: u64 = 1 << 30;

/// A Kafka Connect worker whose connectors are WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "transom", version = version_line(), about, after_help = "\
Example:
  transom standalone worker.properties file-source.properties
  curl localhost:8083/connectors

What is logged is chosen by TRANSOM_LOG or RUST_LOG (`info`, `warn,transom=debug`).")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How log lines are written to standard error.
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "text")]
    pub log_format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a worker on its own, with connectors from files and from the REST API.
    #[command(after_help = STANDALONE_EXAMPLE, after_long_help = standalone_help())]
    Standalone(Standalone),
    /// Run a worker of a cluster, with its state in Kafka.
    #[command(after_help = distributed::EXAMPLE, after_long_help = distributed::help())]
    Distributed(distributed::Arguments),
    /// See a worker at work on an embedded broker: no Kafka and no Java needed.
    #[command(after_help = "\
Example:
  transom demo --plugins target/plugins")]
    Demo {
        /// The folder with file-source.wasm and the others that come with the worker.
        #[arg(long, value_name = "DIR")]
        plugins: PathBuf,
        /// End after the last line, with 0 only if every line arrived.
        #[arg(long)]
        once: bool,
    },
    /// Look at plugin files.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Compile one component in this process, for the worker that started it.
    #[command(name = "__compile", hide = true)]
    Compile {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

#[derive(Debug, Args)]
struct Standalone {
    /// The worker's settings, under Kafka Connect's names.
    #[arg(value_name = "WORKER.PROPERTIES")]
    worker: PathBuf,
    /// Connectors to run: properties, or JSON as `POST /connectors` takes it.
    #[arg(value_name = "CONNECTOR")]
    connectors: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// Load a plugin, ask it to describe itself, check its types, and print what it is.
    #[command(after_help = "\
Example:
  transom plugin check target/plugins/file-source.wasm")]
    Check {
        /// The component: `<name>.wasm` or `<name>@<version>.wasm`.
        #[arg(value_name = "FILE.wasm")]
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Drive a plugin through the contract, without Kafka, and tell what holds and what does not.
    ///
    /// A line for each check: `ok` with what was seen, `FAILED` with what is wrong and what the contract says, or
    /// `skipped` with why. The exit code is 0 if none failed. A sink gets records that are made up and writes them
    /// where its settings say; a source is read several times.
    #[command(after_help = plugin_test::EXAMPLE)]
    Test(plugin_test::Arguments),
}

/// Why the program ends without having done what it was asked.
#[derive(Debug, Error)]
pub enum Error {
    /// What the user wrote has to be changed: all of it, one problem a line.
    #[error("the configuration is wrong:\n{0}")]
    Configuration(Problems),
    /// A connector's file has to be changed.
    #[error("the connector of {} cannot be created:\n{reason}", file.display())]
    Connector {
        /// The file.
        file: PathBuf,
        /// What is wrong with it: all of it, one problem a line.
        reason: String,
    },
    /// The log filter in the environment has to be changed.
    #[error("TRANSOM_LOG or RUST_LOG is wrong")]
    Log(#[from] FilterError),
    /// A listener of the REST API could not be opened.
    #[error("the REST API cannot be served")]
    Listen(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The worker could not be started.
    #[error("the worker cannot start")]
    Start(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Plugins cannot be loaded at all.
    #[error("plugins cannot be loaded")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The file is no plugin that a worker would take.
    #[error("{} is not a usable plugin", file.display())]
    Plugin {
        /// The file that was checked.
        file: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The operating system refused something the program cannot do without.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl Error {
    /// 2 when what the user wrote has to change, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) | Self::Connector { .. } | Self::Log(_) => 2,
            _ => 1,
        }
    }
}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        Self::Configuration(problems)
    }
}

impl From<BindError> for Error {
    fn from(error: BindError) -> Self {
        Self::Listen(Box::new(error))
    }
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(problems) | StartError::Cluster(ClusterError::Settings(problems)) => {
                Self::Configuration(problems)
            }
            StartError::Connector { path, source: WorkerError::InvalidConfig(problems) } => {
                Self::Connector { file: path, reason: problems.to_string() }
            }
            StartError::Connector { path, source: WorkerError::BadRequest(reason) } => {
                Self::Connector { file: path, reason }
            }
            error => Self::Start(Box::new(error)),
        }
    }
}

/// Does what was asked and returns when it is done.
///
/// # Errors
/// When it could not be done.
pub fn run(cli: Cli, loggers: Loggers) -> Result<ExitCode, Error> {
    match cli.command {
        Command::Standalone(standalone) => runtime()?.block_on(run_standalone(standalone, loggers))?,
        Command::Distributed(arguments) => runtime()?.block_on(distributed::run(arguments, loggers))?,
        Command::Demo { plugins, once } => {
            let options = demo::Options { plugins, once, program: program()? };
            runtime()?.block_on(demo::run(options)).map_err(|error| Error::Start(Box::new(error)))?;
        }
        Command::Plugin(PluginCommand::Check { file, json }) => check_plugin(&file, json)?,
        Command::Plugin(PluginCommand::Test(arguments)) => return plugin_test::run(arguments),
        Command::Compile { arguments } => return Ok(plugin::compile_child_main(arguments)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells on standard output what the plugin is.
fn check_plugin(file: &Path, json: bool) -> Result<(), Error> {
    let report = plugin::check(&engine()?, file)
        .map_err(|error| Error::Plugin { file: file.to_owned(), source: Box::new(error) })?;
    print(if json { report.to_json() } else { report.to_string() }.trim_end())
}

fn print(text: &str) -> Result<(), Error> {
    let written = writeln!(io::stdout(), "{text}");
    written.map_err(|source| Error::System { what: "write to standard output", source })
}

fn engine() -> Result<Engine, Error> {
    let settings = EngineSettings { cache: cache_folder(), cache_max: CACHE_MAX, compiler: program()? };
    Engine::new(settings).map_err(|error| Error::Engine(Box::new(error)))
}

/// Where compiled code is kept: where a worker of this user keeps it too, unless told otherwise.
fn cache_folder() -> PathBuf {
    let of = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = of("XDG_CACHE_HOME").or_else(|| of("HOME").map(|home| home.join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("transom/compiled")
}

/// This program: it compiles plugins in a process of its own.
fn program() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(|source| Error::System { what: "find this program's file", source })
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    let system = |source| Error::System { what: "start the runtime", source };
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(system)
}

/// Everything that can be found wrong is found before the first connector starts: first the files,
/// then the listeners (a second worker with the same files fails there).
async fn run_standalone(arguments: Standalone, loggers: Loggers) -> Result<(), Error> {
    let (mut config, connectors) = read_files(&arguments)?;
    let mut stop = on_signal()?;
    let server = bind(&mut config).await?;
    let worker = Worker::start(Start { config, program: program()?, loggers })?;
    let created = serve(server, &worker, async {
        tokio::select! {
            created = async {
                worker.create_from_files(connectors).await?;
                std::future::pending().await
            } => created,
            // The sender lives until the process ends.
            _ = &mut stop => Ok(()),
        }
    });
    created.await.map_err(|error: StartError| error.into())
}

fn read_files(arguments: &Standalone) -> Result<(WorkerConfig, Vec<ConnectorFile>), Error> {
    let mut problems = Problems::default();
    let mut keep = |found: Problems| problems.0.extend(found.0);
    let worker = config::load_worker(Mode::Standalone, &arguments.worker).map_err(&mut keep).ok();
    let connectors: Vec<_> = arguments
        .connectors
        .iter()
        .filter_map(|file| config::load_connector(file).map_err(&mut keep).ok())
        .collect();
    match worker {
        Some(worker) if problems.0.is_empty() => Ok((worker, connectors)),
        _ => Err(problems.into()),
    }
}

/// The first SIGTERM or SIGINT arrives at the receiver. The second ends the process with the exit
/// code that a shell shows for it; nothing that was acknowledged depends on what is then left undone.
fn on_signal() -> Result<oneshot::Receiver<()>, Error> {
    let mut signals =
        Signals::listen().map_err(|source| Error::System { what: "listen to signals", source })?;
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        let (name, _) = signals.next().await;
        tracing::info!(signal = name, "stopping; a second signal ends the worker at once");
        // Nobody listens any more when the worker could not be started.
        let _ = tell.send(());
        let (name, exit_code) = signals.next().await;
        tracing::warn!(signal = name, "ending at once");
        std::process::exit(exit_code);
    });
    Ok(told)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The next one's name and the exit code that goes with it.
    async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            _ = self.interrupt.recv() => ("SIGINT", 128 + libc::SIGINT),
            _ = self.terminate.recv() => ("SIGTERM", 128 + libc::SIGTERM),
        }
    }
}

fn standalone_help() -> String {
    format!("{STANDALONE_EXAMPLE}\n\nSettings in WORKER.PROPERTIES:\n\n{}", config::help(Mode::Standalone))
}

/// `0.1.0 (commit 0123abc)`
fn version_line() -> &'static str {
    static LINE: LazyLock<String> = LazyLock::new(|| match version::COMMIT {
        "unknown" => version::VERSION.to_owned(),
        commit => format!("{} (commit {commit})", version::VERSION),
    });
    &LINE
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn verify_cli() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_visible_command_shows_an_example() {
        fn check(command: &clap::Command) {
            for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
                check(sub);
            }
            if !command.has_subcommands() {
                let help = command.clone().render_help().to_string();
                assert!(help.contains("Example:\n  transom "), "{help}");
            }
        }
        check(&Cli::command());
    }

    #[test]
    fn a_wrong_configuration_ends_with_2_and_shows_every_problem() {
        let problem = |key: &str| config::Problem::without_value(key, "missing");
        let error = Error::from(Problems(vec![problem("bootstrap.servers"), problem("plugin.path")]));
        assert_eq!(error.exit_code(), 2);
        assert_eq!(
            error.to_string(),
            "the configuration is wrong:\nbootstrap.servers: missing\nplugin.path: missing"
        );
    }
}
