//! Processes that end with the test binary, however that ends.
//!
//! A test binary can be killed, so neither `Drop` nor a hook at exit is enough. Each process is
//! started through a shell that leaves a watcher beside it and becomes the program: the watcher reads
//! a pipe whose other end only the test binary holds. When the binary is gone the pipe ends, and the
//! watcher kills the program. Folders are watched in the same way.
//!
//! The watcher must not kill a stranger: it does so only while the program is still its parent, for
//! only then does the process id still mean what it meant at the start.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::{env, fs, io};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// The arguments are the program's command line.
const WATCHED: &str = r#"
exec 3<&0 </dev/null
watch() {
  while read -r _ <&3; do :; done
  read -r _ _ _ parent _ </proc/self/stat
  [ "$parent" != "$1" ] || kill -KILL "$1"
}
watch $$ &
exec "$@" 3<&-
"#;

/// Removes more than once, because whoever writes there is being killed at the same time.
const REMOVE_AT_END: &str = r#"
while read -r _; do :; done
for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" 2>/dev/null; sleep 0.1; done
"#;

/// A shell that does `script`, in a process group of its own: an interrupt typed at the terminal ends
/// the test binary, not those who clean up behind it.
fn shell(script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "watch"]).stdin(Stdio::piped()).process_group(0);
    shell
}

/// What a script of `tests/scripts` prints: where it is that the script installs when it is missing.
///
/// # Panics
/// When the script fails, with what it says.
pub fn installed(script: &str, args: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(script);
    let output = Command::new("sh").arg(path).args(args).stdin(Stdio::null()).output().expect("sh runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{script} {args:?} failed ('tests/scripts/setup.sh test' installs what it needs): {errors}"
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A program under watch. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with its output appended to the file `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start<A: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = A>,
        log: &Path,
    ) -> Self {
        let output = File::options().create(true).append(true).open(log);
        let output = output.unwrap_or_else(|e| panic!("cannot open {}: {e}", log.display()));
        let child = shell(WATCHED)
            .arg(program.as_ref())
            .args(args)
            .stdout(output.try_clone().expect("a second handle on the log"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {}: {e}", program.as_ref().display()));
        Self { child, log: log.to_owned() }
    }

    /// The process id of the program.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines of what it has printed.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let skip = log.lines().count().saturating_sub(lines);
        log.lines().skip(skip).collect::<Vec<_>>().join("\n")
    }

    /// Sends a signal. A program that has ended is left alone.
    pub fn signal(&mut self, signal: Signal) {
        if self.exited().is_none() {
            let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
            // It may end at this very moment, but it is ours and not waited for yet.
            let _ = kill_process(id, signal);
        }
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Kills it with SIGKILL and waits.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end within the limit of [`wait::until`].
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let id = self.id();
        let ended = wait::try_until(wait::LIMIT, || self.exited().ok_or_else(String::new));
        ended.unwrap_or_else(|_| panic!("process {id} does not end:\n{}", self.log_tail(60)))
    }

    /// The most resident memory in bytes that was seen until it stopped growing.
    ///
    /// # Panics
    /// When the process is gone, or grows for as long as the limit of [`wait::until`].
    #[track_caller]
    pub fn settled_memory(&self) -> u64 {
        const STILL: u64 = 1 << 20;
        const LOOKS: u32 = 100;
        let (mut most, mut same) = (0, 0);
        wait::until("memory to stop growing", || {
            let now = self.usage().expect("the process is there").memory;
            same = if now > most + STILL { 0 } else { same + 1 };
            most = most.max(if same == 0 { now } else { most });
            if same >= LOOKS { Ok(most.max(now)) } else { Err(format!("{now} bytes")) }
        })
    }

    /// Its resident memory in bytes, and the CPU time it has used.
    ///
    /// # Errors
    /// When it is gone.
    pub fn usage(&self) -> io::Result<Usage> {
        Usage::of(self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a process uses.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Resident memory in bytes.
    pub memory: u64,
    /// CPU time, user and system, in milliseconds (in steps of 10).
    pub cpu_ms: u64,
}

impl Usage {
    /// This process's.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub fn own() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    fn of(id: u32) -> io::Result<Self> {
        let broken = || io::Error::other("unknown form of a file in /proc");
        let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
        // The name, in parentheses, may hold anything; fields 14 and 15 are the times in ticks of 10 ms.
        let fields: Vec<&str> = stat.rsplit_once(')').ok_or_else(broken)?.1.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|f| f.parse::<u64>().ok()).ok_or_else(broken);
        let memory = fs::read_to_string(format!("/proc/{id}/statm"))?;
        let pages =
            memory.split_whitespace().nth(1).and_then(|f| f.parse::<u64>().ok()).ok_or_else(broken)?;
        Ok(Self { memory: pages * 4096, cpu_ms: (ticks(11)? + ticks(12)?) * 10 })
    }
}

/// A folder that goes away with this value, or with the test binary.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    watcher: Option<Child>,
}

impl Folder {
    /// A new folder for `what`, readable for all and writable for its owner only.
    ///
    /// # Panics
    /// When there can be none.
    pub fn new(what: &str) -> Self {
        let made = tempfile::Builder::new()
            .prefix(&format!("transom-{what}-"))
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir();
        let path = made.unwrap_or_else(|e| panic!("no temporary folder for {what}: {e}")).keep();
        let keep = env::var_os("TRANSOM_TEST_KEEP").is_some_and(|value| !value.is_empty());
        let watcher = (!keep).then(|| {
            let mut watcher = shell(REMOVE_AT_END);
            watcher.arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
            watcher.spawn().expect("a shell to watch a folder")
        });
        Self { path, watcher }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(watcher) = &mut self.watcher {
            let _ = fs::remove_dir_all(&self.path);
            let _ = watcher.kill();
            let _ = watcher.wait();
        } else {
            eprintln!("kept: {}", self.path.display());
        }
    }
}
