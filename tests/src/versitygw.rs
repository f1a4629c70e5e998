//! A real server of S3: versitygw over a folder, in which tests look at what was written.
//!
//! It checks signatures and conditions as AWS does. It is started once per test binary; each test has a bucket of
//! its own, and may have a [`Gate`](crate::gate::Gate) in front of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::{fs, io};

use crate::process::{Folder, Process, installed};
use crate::{ports, unique, wait};

/// The user's name and secret.
pub const ACCESS: &str = "AKIDTEST";
/// Nobody may see it.
pub const SECRET: &str = "canary-s3-secret";

/// The server.
#[derive(Debug)]
pub struct Versitygw {
    port: u16,
    folder: Folder,
    _process: Process,
}

/// The server that the tests of a binary share.
pub fn versitygw() -> &'static Versitygw {
    static SHARED: LazyLock<Versitygw> = LazyLock::new(Versitygw::start);
    &SHARED
}

impl Versitygw {
    fn start() -> Self {
        let binary = installed("go-tool.sh", &["versitygw"]);
        let folder = Folder::new("versitygw");
        let (data, port) = (folder.path().join("data"), ports::free());
        fs::create_dir(&data).expect("a folder");
        let (address, place) = (format!("127.0.0.1:{port}"), data.display().to_string());
        let arguments =
            ["--access", ACCESS, "--secret", SECRET, "--port", &address, "--quiet", "posix", &place];
        let mut process = Process::start(&binary, arguments, &folder.path().join("log"));
        wait::until("versitygw to listen", || {
            assert!(process.exited().is_none(), "versitygw ended:\n{}", process.log_tail(20));
            std::net::TcpStream::connect(&address).map(drop).map_err(|e: io::Error| e.to_string())
        });
        Self { port, folder, _process: process }
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A new bucket. (A folder of the server's is one.)
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn bucket(&self) -> Bucket {
        let name = unique("bucket");
        let folder = self.folder.path().join("data").join(&name);
        fs::create_dir(&folder).expect("a new folder");
        Bucket { name, folder }
    }
}

/// A bucket, and what is in it.
#[derive(Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    folder: PathBuf,
}

impl Bucket {
    /// All objects whose keys begin so, by their keys.
    ///
    /// # Panics
    /// When they cannot be read.
    pub fn objects(&self, prefix: &str) -> BTreeMap<String, Vec<u8>> {
        let mut objects = BTreeMap::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let key = path.strip_prefix(&self.folder).expect("it lies within").display().to_string();
                if key.starts_with(prefix)
                    && let Ok(content) = fs::read(&path)
                {
                    objects.insert(key, content);
                }
            }
        }
        objects
    }

    /// How many objects are in a folder of it and in those below, without looking into them.
    pub fn count(&self, folder: &str) -> usize {
        let (mut count, mut folders) = (0, vec![self.folder.join(folder)]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    _ => count += 1,
                }
            }
        }
        count
    }

    /// Removes an object.
    ///
    /// # Panics
    /// When it is not there.
    pub fn remove(&self, key: &str) {
        fs::remove_file(self.folder.join(key)).expect("an object");
    }

    /// Uploads that were begun and not ended.
    pub fn uploads(&self) -> usize {
        // versitygw: `.sgwtmp/multipart/<digest of the key>/<upload>/`.
        let digests = fs::read_dir(self.folder.join(".sgwtmp/multipart"));
        let uploads = digests.into_iter().flatten().flatten().filter_map(|key| fs::read_dir(key.path()).ok());
        uploads.flatten().flatten().filter(|upload| upload.path().is_dir()).count()
    }
}
