use super::engine;
use crate::config::{Grant, Sandbox};
use crate::plugin::Meters;
use crate::plugin::imports::TaskState;
use crate::plugin::tests::setup;
use std::path::Path;
use std::sync::Arc;
use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor as _, OpenFlags, PathFlags,
};

struct Task {
    state: TaskState,
    meters: Arc<Meters>,
    dirs: Vec<(Resource<Descriptor>, String)>,
}

impl Task {
    fn new(grants: &[(&Path, bool)]) -> Self {
        let fs = grants.iter().map(|(dir, write)| Grant { dir: dir.to_path_buf(), write: *write }).collect();
        let setup = setup(Sandbox { fs, ..Sandbox::default() });
        let meters = Arc::clone(&setup.meters);
        let mut state = TaskState::new(&engine(), "p", setup).unwrap();
        let dirs = state.files().get_directories().unwrap();
        Self { state, meters, dirs }
    }

    /// Opens as a C library would: below the longest directory that the path starts with.
    fn open(&mut self, path: &Path, write: bool) -> Result<Resource<Descriptor>, ErrorCode> {
        let path = path.to_str().unwrap();
        let (fd, dir) = self
            .dirs
            .iter()
            .filter(|(_, dir)| path.starts_with(dir))
            .max_by_key(|(_, dir)| dir.len())
            .unwrap();
        let below = path[dir.len()..].trim_start_matches('/').to_owned();
        let (open, flags) = match write {
            true => (OpenFlags::CREATE, DescriptorFlags::WRITE),
            false => (OpenFlags::empty(), DescriptorFlags::READ),
        };
        let fd = Resource::new_borrow(fd.rep());
        let result = ready(self.state.files().open_at(fd, PathFlags::SYMLINK_FOLLOW, below, open, flags));
        result.map_err(|error| error.downcast().unwrap())
    }
}

/// The result of a file operation, which must be there at once: nothing goes to another thread.
fn ready<T>(future: impl Future<Output = FsResult<T>>) -> FsResult<T> {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(result) => result,
        std::task::Poll::Pending => panic!("a file operation left its thread"),
    }
}

#[test]
fn without_a_grant_every_path_is_refused_and_counted() {
    let mut task = Task::new(&[]);
    assert_eq!(task.dirs.iter().map(|(_, dir)| dir.as_str()).collect::<Vec<_>>(), ["/"]);
    assert_eq!(task.open(Path::new("/etc/passwd"), false).unwrap_err(), ErrorCode::NotPermitted);
    assert_eq!(task.open(Path::new("/tmp/x"), true).unwrap_err(), ErrorCode::NotPermitted);
    assert_eq!(task.meters.refusals(), 2);
}

#[test]
fn a_grant_opens_its_directory_and_nothing_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let (granted, beside) = (dir.path().join("in"), dir.path().join("beside"));
    std::fs::create_dir(&granted).unwrap();
    std::fs::create_dir(&beside).unwrap();
    std::fs::write(granted.join("f"), "x").unwrap();
    std::fs::write(beside.join("f"), "x").unwrap();
    std::os::unix::fs::symlink(beside.join("f"), granted.join("link")).unwrap();
    let mut task = Task::new(&[(&granted, false)]);
    task.open(&granted.join("f"), false).unwrap();
    assert_eq!(task.open(&granted.join("missing"), false).unwrap_err(), ErrorCode::NoEntry);
    assert_eq!(task.meters.refusals(), 0);
    for path in [beside.join("f"), granted.join("../beside/f"), granted.join("link")] {
        assert_eq!(task.open(&path, false).unwrap_err(), ErrorCode::NotPermitted, "{path:?}");
    }
    assert_eq!(task.meters.refusals(), 3);
}

#[test]
fn what_is_granted_for_reading_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut task = Task::new(&[(dir.path(), false)]);
    assert_eq!(task.open(&dir.path().join("new"), true).unwrap_err(), ErrorCode::NotPermitted);
    assert_eq!(task.meters.refusals(), 1);
    let mut task = Task::new(&[(dir.path(), true)]);
    let fd = task.open(&dir.path().join("new"), true).unwrap();
    let again = || Resource::new_borrow(fd.rep());
    assert_eq!(ready(task.state.files().write(again(), b"abc".to_vec(), 0)).unwrap(), 3);
    ready(task.state.files().sync(again())).unwrap();
    ready(task.state.files().sync_data(again())).unwrap();
    assert_eq!(std::fs::read(dir.path().join("new")).unwrap(), b"abc");
}

#[test]
fn a_pipe_in_a_granted_directory_is_refused_and_nobody_waits_for_its_other_end() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("pipe", dir.path().join("link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let grant = dir.path().to_owned();
    let (done, tried) = std::sync::mpsc::channel();
    // On a thread of its own: where the open is not refused, it never returns.
    let _ = std::thread::spawn(move || {
        let mut task = Task::new(&[(&grant, true)]);
        for (name, write) in [("pipe", false), ("pipe", true), ("link", false), ("socket", false)] {
            let refused = task.open(&grant.join(name), write).unwrap_err();
            done.send((name, refused, task.meters.refusals())).unwrap();
        }
    });
    for (count, name) in (1..).zip(["pipe", "pipe", "link", "socket"]) {
        let answer = tried.recv_timeout(std::time::Duration::from_secs(60)).expect("an answer to the open");
        assert_eq!(answer, (name, ErrorCode::Unsupported, count));
    }
}
