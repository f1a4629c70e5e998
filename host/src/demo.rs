//! `transom demo`: the whole of it in one process and within seconds, on an embedded broker.
//!
//! A file source reads lines that are being written, a topic carries them, a file sink writes them down. While
//! they flow the source's plugin is replaced by another build of itself, and a third connector asks for more
//! memory than it is granted, fails, and disturbs nobody. Every line is counted at the end of its way.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::config::{self, Mode, Problems, RawConfig, Target, WorkerConfig};
use crate::kafka::KafkaError;
use crate::kafka::embedded::Embedded;
use crate::rest::{BindError, Server};
use crate::task::status::State;
use crate::telemetry::Loggers;
use crate::worker::{Start, StartError, Worker, WorkerError};

/// Lines a second: the embedded broker keeps little, and drops what is old.
const RATE: u32 = 2_000;
/// Lines that are written before the demo is over.
const LINES: u32 = 20_000;
/// When the source's plugin is replaced, in lines.
const SWAP_AT: u32 = 6_000;
/// When the connector that fails is created.
const FAIL_AT: u32 = 12_000;
/// How long the last line may take.
const PATIENCE: Duration = Duration::from_secs(60);

const SOURCE: &str = "lines-in";
const SINK: &str = "lines-out";
const GREEDY: &str = "greedy";
const TOPIC: &str = "lines";

/// Why the demo could not be shown.
#[derive(Debug, Error)]
pub(crate) enum DemoError {
    #[error("the embedded broker does not start")]
    Broker(#[from] KafkaError),
    #[error("the demo's own configuration is wrong:\n{0}")]
    Config(Problems),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("could not create connector {name}")]
    Connector { name: &'static str, source: WorkerError },
    #[error("could not {what} {}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("of {LINES} lines {arrived} arrived within {} s", PATIENCE.as_secs())]
    Late { arrived: usize },
    #[error("line {line} of the output is not line {line} of the input")]
    Wrong { line: usize },
    #[error("the plugin was not replaced")]
    NotReplaced,
}

/// What `transom demo` was asked.
#[derive(Debug)]
pub(crate) struct Options {
    /// The folder with the plugins' files.
    pub(crate) plugins: PathBuf,
    /// End after the last line instead of staying.
    pub(crate) once: bool,
    /// This program.
    pub(crate) program: PathBuf,
}

/// The demo's own folder; removed at the end.
struct Stage {
    folder: PathBuf,
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What cannot be removed is in the system's folder for temporary files, and goes with it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Stage {
    fn new(plugins: &Path) -> Result<Self, DemoError> {
        let folder = std::env::temp_dir().join(format!("transom-demo-{}", std::process::id()));
        let stage = Self { folder };
        for folder in [stage.folder.clone(), stage.data(), stage.plugins()] {
            let made = fs::DirBuilder::new().mode(0o755).create(&folder);
            made.map_err(|source| DemoError::File { what: "make", path: folder, source })?;
        }
        for name in ["file-source", "file-sink", "datagen-source", "blackhole-sink"] {
            let file = plugins.join(format!("{name}.wasm"));
            let bytes =
                fs::read(&file).map_err(|source| DemoError::File { what: "read", path: file, source })?;
            stage.install(name, &bytes)?;
        }
        Ok(stage)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn plugins(&self) -> PathBuf {
        self.folder.join("plugins")
    }

    fn input(&self) -> PathBuf {
        self.data().join("in.txt")
    }

    fn output(&self) -> PathBuf {
        self.data().join("out.txt")
    }

    /// Puts a plugin's file into place, all of it at once.
    fn install(&self, name: &str, bytes: &[u8]) -> Result<(), DemoError> {
        let (part, file) =
            (self.plugins().join(format!(".{name}")), self.plugins().join(format!("{name}.wasm")));
        let write = || {
            fs::write(&part, bytes)?;
            fs::set_permissions(&part, fs::Permissions::from_mode(0o644))?;
            fs::rename(&part, &file)
        };
        write().map_err(|source| DemoError::File { what: "write", path: file.clone(), source })
    }

    /// The same code as another file: a custom section more, as another build would differ.
    fn rebuild(&self, name: &str) -> Result<(), DemoError> {
        let file = self.plugins().join(format!("{name}.wasm"));
        let mut bytes =
            fs::read(&file).map_err(|source| DemoError::File { what: "read", path: file, source })?;
        let note = b"another build";
        bytes.extend_from_slice(&[0, note.len() as u8 + 5, 4]);
        bytes.extend_from_slice(b"demo");
        bytes.extend_from_slice(note);
        self.install(name, &bytes)
    }

    fn config(&self, bootstrap: &str) -> Result<WorkerConfig, DemoError> {
        let data = self.data().display().to_string();
        let settings = [
            ("bootstrap.servers", bootstrap.to_owned()),
            ("listeners", "http://127.0.0.1:8083".to_owned()),
            ("plugin.path", self.plugins().display().to_string()),
            ("offset.storage.file.filename", self.folder.join("offsets.json").display().to_string()),
            ("offset.flush.interval.ms", "500".to_owned()),
            ("key.converter", "org.apache.kafka.connect.storage.StringConverter".to_owned()),
            ("value.converter", "org.apache.kafka.connect.storage.StringConverter".to_owned()),
            ("sandbox.file-source.fs", data.clone()),
            ("sandbox.file-sink.fs", format!("{data}:rw")),
            ("sandbox.datagen-source.memory.max", (2 << 20).to_string()),
            ("task.restart.max", "0".to_owned()),
        ];
        let raw = settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        config::check_worker(Mode::Standalone, &raw).map_err(DemoError::Config)
    }

    fn arrived(&self) -> usize {
        fs::read(self.output()).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count()
    }
}

/// Shows the demo.
///
/// # Errors
/// It could not be set up, or not every line arrived.
pub(crate) async fn run(options: Options) -> Result<(), DemoError> {
    let broker = Embedded::start()?;
    broker.create_topic(TOPIC, 1)?;
    let stage = Stage::new(&options.plugins)?;
    let mut config = stage.config(&broker.bootstrap_servers())?;
    let server = match Server::bind(&config.rest).await {
        Ok(server) => server,
        // Somebody has the port: any other will do.
        Err(_) => {
            config.rest.listeners = vec![("127.0.0.1".to_owned(), 0)];
            Server::bind(&config.rest).await?
        }
    };
    let address = server.addresses().first().map(ToString::to_string).unwrap_or_default();
    config.advertised.clone_from(&address);
    say(&format!("Transom demo. An embedded broker at {}, no Java.", broker.bootstrap_servers()));
    say(&format!("REST API   http://{address}/connectors"));
    say(&format!("Plugins    {} (copy a .wasm file there and it is taken)", stage.plugins().display()));
    say(&format!("Lines      {} → topic {TOPIC} → {}", stage.input().display(), stage.output().display()));
    let worker = Worker::start(Start { config, program: options.program, loggers: Loggers::default() })?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(worker.clone(), async {
        let _: Result<(), _> = stopped.await;
    }));
    let shown = show(&worker, &stage).await;
    if shown.is_ok() && !options.once {
        say(&format!("\nThe worker stays up. Try: curl http://{address}/connectors/{SOURCE}/status"));
        say("Ctrl-C ends it.");
        // An error: no signals can be had here, and staying would be for ever.
        let _ = tokio::signal::ctrl_c().await;
    }
    worker.shutdown().await;
    let _ = stop.send(());
    let _ = serving.await;
    shown
}

async fn show(worker: &Worker, stage: &Stage) -> Result<(), DemoError> {
    worker.plugins_settled().await;
    let file = stage.input();
    let mut input = File::create(&file).map_err(|source| DemoError::File {
        what: "create",
        path: file.clone(),
        source,
    })?;
    let paths = [stage.input().display().to_string(), stage.output().display().to_string()];
    create(worker, SOURCE, &[("connector.class", "FileStreamSource"), ("file", &paths[0]), ("topic", TOPIC)])
        .await?;
    create(worker, SINK, &[("connector.class", "FileStreamSink"), ("file", &paths[1]), ("topics", TOPIC)])
        .await?;
    let begun = Instant::now();
    let step = RATE / 10;
    for written in (step..=LINES).step_by(step as usize) {
        let lines: String = (written - step..written).map(|line| format!("line {line}\n")).collect();
        let write = input.write_all(lines.as_bytes());
        write.map_err(|source| DemoError::File { what: "write", path: file.clone(), source })?;
        if written == SWAP_AT {
            say("\n>>> Replacing file-source.wasm by another build while it runs");
            stage.rebuild("file-source")?;
        }
        if written == FAIL_AT {
            say(
                "\n>>> A plugin that asks for more memory than its grant (sandbox.datagen-source.memory.max=2097152)",
            );
            let greedy =
                [("connector.class", "DatagenSource"), ("topic", "greedy"), ("record.size", "1000000")];
            create(worker, GREEDY, &greedy).await?;
        }
        if written % RATE == 0 {
            tell(worker, stage, written, begun.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    finish(worker, stage, begun).await
}

/// Waits for the last line, and compares.
async fn finish(worker: &Worker, stage: &Stage, begun: Instant) -> Result<(), DemoError> {
    let until = Instant::now() + PATIENCE;
    while stage.arrived() < LINES as usize {
        if Instant::now() > until {
            return Err(DemoError::Late { arrived: stage.arrived() });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tell(worker, stage, LINES, begun.elapsed());
    let read = |path: PathBuf| {
        fs::read_to_string(&path).map_err(|source| DemoError::File { what: "read", path, source })
    };
    let (input, output) = (read(stage.input())?, read(stage.output())?);
    if let Some(line) = input.lines().zip(output.lines()).position(|(a, b)| a != b) {
        return Err(DemoError::Wrong { line });
    }
    if output.len() != input.len() {
        return Err(DemoError::Wrong { line: LINES as usize });
    }
    let swap = worker.status(SOURCE).ok().and_then(|status| status.tasks.into_iter().next()?.last_swap);
    let swap = swap.filter(|swap| swap.error.is_none()).ok_or(DemoError::NotReplaced)?;
    say(&format!(
        "\nAll {LINES} lines arrived, in order and once each. The source's plugin was replaced while they flowed: its \
         task stood still for {:.0} ms.",
        swap.pause_ms
    ));
    Ok(())
}

/// A line on where things are.
fn tell(worker: &Worker, stage: &Stage, written: u32, elapsed: Duration) {
    let state = |name| match worker.status(name) {
        Err(_) => String::new(),
        Ok(status) => {
            let task = status.tasks.into_iter().next();
            let trace = task.as_ref().and_then(|task| task.trace.clone()).or(status.trace);
            let shown = task.map_or(status.state, |task| task.state);
            let why = trace.map(|trace| {
                // The cause says it; what follows is the guest's backtrace.
                let cause = trace.lines().find_map(|line| line.strip_prefix("Caused by: "));
                format!(" ({})", cause.or_else(|| trace.lines().next()).unwrap_or_default())
            });
            format!(
                "  {name} {}{}",
                shown.as_str(),
                why.filter(|_| shown == State::Failed).unwrap_or_default()
            )
        }
    };
    say(&format!(
        "{:>5.1} s  lines written {written:>6}, arrived {:>6}{}{}{}",
        elapsed.as_secs_f64(),
        stage.arrived(),
        state(SOURCE),
        state(SINK),
        state(GREEDY)
    ));
}

async fn create(worker: &Worker, name: &'static str, config: &[(&str, &str)]) -> Result<(), DemoError> {
    let config: RawConfig =
        config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let created = worker.create(name.to_owned(), config, Target::Running).await;
    created.map(|_| ()).map_err(|source| DemoError::Connector { name, source })
}

/// To the person who watches.
fn say(text: &str) {
    // Nobody reads any more: nothing is lost with it.
    let _ = writeln!(io::stdout(), "{text}");
}
