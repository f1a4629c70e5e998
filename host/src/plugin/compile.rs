//! Components become machine code in a child process of the worker.
//!
//! Compiling takes memory and time that the component's author decides. So it is done by
//! `<worker> __compile <in.wasm> <out>`, a process that first binds itself: address space, processor
//! time, priority, and death with its parent. The worker waits for it with a limit of its own, one at a
//! time. A component that needs more fails to load; nothing else happens.

use super::engine::wasm_engine;
use crate::lock::unpoisoned;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// The largest component that is looked at.
pub(crate) const WASM_MAX: usize = 64 << 20;
/// Address space of the child.
const MEMORY: u64 = 4 << 30;
/// Processor time of the child, and the time the worker waits for it.
const TIME: Duration = Duration::from_secs(120);
/// What is read of the child's complaints.
const STDERR_MAX: u64 = 16 << 10;

/// Runs the compiling child.
#[derive(Debug)]
pub(crate) struct Compiler {
    program: PathBuf,
    wall: Duration,
    one_at_a_time: Mutex<()>,
}

/// Why a component could not be compiled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    /// The child could not be run.
    #[error("cannot run the compiler {}", program.display())]
    Run {
        /// The worker's own program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no valid component.
    #[error("it is not a valid component: {reason}")]
    Invalid {
        /// In the compiler's words.
        reason: String,
    },
    /// It needs more than it gets.
    #[error("compiling it takes more than {} s or {} MiB", TIME.as_secs(), MEMORY >> 20)]
    Limits,
    /// Anything else.
    #[error("the compiler ended with {status}: {stderr}")]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// What it wrote.
        stderr: String,
    },
}

impl Compiler {
    /// A compiler that runs `program`, which is the worker.
    pub(crate) fn new(program: PathBuf) -> Self {
        Self { program, wall: TIME, one_at_a_time: Mutex::new(()) }
    }

    #[cfg(test)]
    fn with_wall_clock_limit(mut self, wall: Duration) -> Self {
        self.wall = wall;
        self
    }

    /// Compiles `wasm` into a new file `out`, which is synced when this returns.
    ///
    /// # Errors
    /// When the component is not valid, is too much, or the child fails otherwise.
    pub(crate) fn compile(&self, wasm: &[u8], out: &Path) -> Result<(), CompileError> {
        let _one = unpoisoned(self.one_at_a_time.lock());
        // By standard input, not by path: what is compiled is what was hashed.
        let mut child = Command::new(&self.program)
            .arg("__compile")
            .arg("/dev/stdin")
            .arg(out)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| CompileError::Run { program: self.program.clone(), source })?;
        let (status, stderr) = thread::scope(|scope| {
            let stdin = child.stdin.take();
            // A child that ends early breaks the pipe; its status says why.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(wasm)));
            let stderr = child.stderr.take();
            let stderr = scope.spawn(move || read_some(stderr));
            let status = wait(&mut child, self.wall);
            (status, stderr.join().unwrap_or_default())
        });
        match status.map_err(|source| CompileError::Run { program: self.program.clone(), source })? {
            None => Err(CompileError::Limits),
            Some(status) => judge(status, stderr),
        }
    }
}

fn read_some(from: Option<impl Read>) -> String {
    let mut text = Vec::new();
    if let Some(mut from) = from {
        let _ = from.by_ref().take(STDERR_MAX).read_to_end(&mut text);
        // Whatever follows is thrown away, so that the child does not wait for a reader.
        let _ = io::copy(&mut from, &mut io::sink());
    }
    String::from_utf8_lossy(&text).trim().to_owned()
}

/// Waits for the child; `None`: it took too long and was killed.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn judge(status: ExitStatus, stderr: String) -> Result<(), CompileError> {
    let out_of_memory = status.signal() == Some(libc::SIGABRT) && stderr.contains("memory allocation");
    match status.code() {
        Some(0) => Ok(()),
        Some(code) if code == i32::from(INVALID) => Err(CompileError::Invalid { reason: stderr }),
        _ if out_of_memory || matches!(status.signal(), Some(libc::SIGXCPU | libc::SIGKILL)) => {
            Err(CompileError::Limits)
        }
        _ => Err(CompileError::Failed { status, stderr }),
    }
}

/// The child's exit code for a component that is not valid.
const INVALID: u8 = 3;

/// The main function of the compiling child: `args` are what follows `__compile`.
pub(crate) fn compile_child_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let (Some(wasm), Some(out), None) = (args.next(), args.next(), args.next()) else {
        eprintln!("the worker itself runs this command: __compile <in.wasm> <out>");
        return ExitCode::from(2);
    };
    match compile_child(Path::new(&wasm), Path::new(&out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(ChildError::Invalid(error)) => {
            eprintln!("{error:#}");
            ExitCode::from(INVALID)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ChildError {
    #[error("{0:#}")]
    Invalid(wasmtime::Error),
    #[error("cannot bind the process: {0}")]
    Bind(rustix::io::Errno),
    #[error("{0}")]
    Io(#[from] io::Error),
}

fn compile_child(wasm: &Path, out: &Path) -> Result<(), ChildError> {
    bind_process().map_err(ChildError::Bind)?;
    let mut bytes = Vec::new();
    File::open(wasm)?.take(WASM_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > WASM_MAX {
        return Err(ChildError::Invalid(wasmtime::format_err!("it is larger than {} MiB", WASM_MAX >> 20)));
    }
    let engine = wasm_engine().map_err(ChildError::Invalid)?;
    let code = engine.precompile_component(&bytes).map_err(ChildError::Invalid)?;
    let mut file = File::create_new(out)?;
    file.write_all(&code)?;
    Ok(file.sync_all()?)
}

/// Gives up what the compiler does not need, before it looks at anything foreign.
fn bind_process() -> rustix::io::Result<()> {
    use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let limit = |n| Rlimit { current: Some(n), maximum: Some(n) };
    setrlimit(Resource::As, limit(MEMORY))?;
    setrlimit(Resource::Cpu, limit(TIME.as_secs()))?;
    setrlimit(Resource::Core, limit(0))?;
    nice(10)?;
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A program that behaves like the worker's `__compile`: this very test binary, told by its
    /// environment to run [`the_compiling_child`] only.
    pub(crate) fn compiler_program(dir: &Path) -> PathBuf {
        use std::os::unix::fs::OpenOptionsExt;
        let script = dir.join("compiler.sh");
        let this = std::env::current_exe().unwrap();
        let text = format!(
            "#!/bin/sh\nCOMPILE_IN=\"$2\" COMPILE_OUT=\"$3\" exec '{}' --exact \
             plugin::compile::tests::the_compiling_child --ignored --nocapture --test-threads=1\n",
            this.display()
        );
        let mut file = File::options().create_new(true).write(true).mode(0o700).open(&script).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        script
    }

    #[test]
    #[ignore = "only as the child of other tests"]
    fn the_compiling_child() {
        let args = ["COMPILE_IN", "COMPILE_OUT"].map(|name| std::env::var_os(name).unwrap());
        let ok = compile_child_main(args) == ExitCode::SUCCESS;
        std::process::exit(if ok { 0 } else { INVALID.into() });
    }

    #[test]
    fn a_component_is_compiled_by_a_child() {
        let dir = tempfile::tempdir().unwrap();
        let compiler = Compiler::new(compiler_program(dir.path()));
        let out = dir.path().join("out");
        compiler.compile(&wat::parse_str("(component)").unwrap(), &out).unwrap();
        let code = std::fs::read(&out).unwrap();
        assert_eq!(wasmtime::Engine::detect_precompiled(&code), Some(wasmtime::Precompiled::Component));
    }

    #[test]
    fn what_is_no_component_is_said_to_be_invalid() {
        let dir = tempfile::tempdir().unwrap();
        let compiler = Compiler::new(compiler_program(dir.path()));
        for bytes in [&b"rubbish"[..], &wat::parse_str("(component)").unwrap()[..6]] {
            let error = compiler.compile(bytes, &dir.path().join("out")).unwrap_err();
            assert!(matches!(error, CompileError::Invalid { .. }), "{error}");
        }
    }

    #[test]
    fn a_compiler_that_does_not_end_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("forever.sh");
        std::fs::write(&script, "#!/bin/sh\nexec sleep 1000\n").unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let compiler = Compiler::new(script).with_wall_clock_limit(Duration::from_millis(50));
        // More than a pipe holds: the writer must not keep the worker either.
        let error = compiler.compile(&vec![0; 1 << 20], &dir.path().join("out")).unwrap_err();
        assert!(matches!(error, CompileError::Limits), "{error}");
    }

    #[test]
    fn a_child_that_dies_of_its_limits_is_told_apart() {
        let status = |raw| ExitStatus::from_raw(raw);
        assert!(matches!(judge(status(libc::SIGXCPU), String::new()), Err(CompileError::Limits)));
        assert!(matches!(judge(status(libc::SIGSEGV), String::new()), Err(CompileError::Failed { .. })));
        let words = "memory allocation of 9 bytes failed".to_owned();
        assert!(matches!(judge(status(libc::SIGABRT), words), Err(CompileError::Limits)));
    }
}
