//! Files below the paths that the operator allows, and no others.
//!
//! A path is looked at three times: as it is written (so that nobody learns by asking whether a file elsewhere is
//! there), as the system resolves it, and once more when it is open, so that a link that changes in between leads
//! nowhere else. What is read is a regular file and not larger than [`MAX`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

/// Bytes of a file, and of a value.
pub(super) const MAX: usize = 1 << 20;

/// `allowed.paths`: files, and folders with all that is in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allowed(Vec<PathBuf>);

impl Allowed {
    /// Reads a list with commas between.
    pub(super) fn parse(value: &str) -> Result<Self, String> {
        let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
        let paths: Vec<PathBuf> = items
            .map(|item| normal(Path::new(item)).ok_or_else(|| format!("{item} is no absolute path")))
            .collect::<Result<_, _>>()?;
        if paths.is_empty() {
            return Err("must name the files and folders that may be read, with commas between".to_owned());
        }
        Ok(Self(paths))
    }

    /// Reads a file, if it is allowed; else says why not.
    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let shown = path.display();
        let path = normal(path).ok_or_else(|| format!("{shown} is no absolute path"))?;
        let roots: Vec<PathBuf> = self.0.iter().filter_map(|root| fs::canonicalize(root).ok()).collect();
        if !is_below(&path, &self.0) && !is_below(&path, &roots) {
            return Err(format!("{shown} is not in allowed.paths"));
        }
        let unreadable = |error: io::Error| format!("{shown} cannot be read: {error}");
        let led_out = || format!("{shown} is a link that leads out of allowed.paths");
        let real = fs::canonicalize(&path).map_err(unreadable)?;
        if !is_below(&real, &roots) {
            return Err(led_out());
        }
        // Not blocking: a pipe would make whoever opens it wait for somebody who writes.
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&real).map_err(unreadable)?;
        if !is_below(&opened(&file).map_err(unreadable)?, &roots) {
            return Err(led_out());
        }
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err(format!("{shown} is no file"));
        }
        let mut bytes = Vec::new();
        let _ = file.take(MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() > MAX {
            return Err(format!("{shown} has more than {MAX} bytes"));
        }
        Ok(bytes)
    }
}

/// Where an open file is.
fn opened(file: &File) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn is_below(path: &Path, roots: &[PathBuf]) -> bool {
    roots.iter().any(|root| path.starts_with(root))
}

/// The path without `.` and `..`, by its letters alone; `None`: it is not absolute.
fn normal(path: &Path) -> Option<PathBuf> {
    if !path.is_absolute() {
        return None;
    }
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(normal.pop()),
            part => normal.push(part),
        }
    }
    Some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A folder with `in/file`, which is allowed, and `out/file`, which is not.
    fn folders() -> (tempfile::TempDir, Allowed) {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [("in", "inside"), ("out", "outside")] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("file"), content).unwrap();
        }
        let allowed = Allowed::parse(folder.path().join("in").to_str().unwrap()).unwrap();
        (folder, allowed)
    }

    #[test]
    fn what_is_below_an_allowed_path_is_read() {
        let (folder, allowed) = folders();
        let path = |text: &str| folder.path().join(text);
        assert_eq!(allowed.read(&path("in/file")).unwrap(), b"inside");
        assert_eq!(allowed.read(&path("in/./sub/../file")).unwrap(), b"inside");
        symlink("file", path("in/link")).unwrap();
        assert_eq!(allowed.read(&path("in/link")).unwrap(), b"inside", "as Kubernetes writes them");
        symlink(path("in"), path("way")).unwrap();
        let by_link = Allowed::parse(path("way").to_str().unwrap()).unwrap();
        assert_eq!(by_link.read(&path("way/file")).unwrap(), b"inside");
        let one = Allowed::parse(path("out/file").to_str().unwrap()).unwrap();
        assert_eq!(one.read(&path("out/file")).unwrap(), b"outside");
    }

    #[test]
    fn no_way_leads_out_of_the_allowed_paths() {
        let (folder, allowed) = folders();
        let path = |text: &str| folder.path().join(text);
        symlink(path("out/file"), path("in/absolute")).unwrap();
        symlink("../out/file", path("in/relative")).unwrap();
        symlink(path("out"), path("in/folder")).unwrap();
        fs::create_dir(path("in-other")).unwrap();
        fs::write(path("in-other/file"), "outside").unwrap();
        for (way, why) in [
            ("out/file", "not in allowed.paths"),
            ("in/../out/file", "not in allowed.paths"),
            ("in/../out/missing", "not in allowed.paths"),
            ("in-other/file", "not in allowed.paths"),
            ("in/absolute", "leads out"),
            ("in/relative", "leads out"),
            ("in/folder/file", "leads out"),
        ] {
            let refused = allowed.read(&path(way)).unwrap_err();
            assert!(refused.contains(why), "{way}: {refused}");
        }
        for way in ["file", "", "in/file"] {
            assert!(allowed.read(Path::new(way)).unwrap_err().contains("no absolute path"));
        }
    }

    #[test]
    fn only_files_of_some_size_are_read() {
        let (folder, allowed) = folders();
        let path = |text: &str| folder.path().join(text);
        assert!(allowed.read(&path("in")).unwrap_err().contains("no file"));
        assert!(allowed.read(&path("in/missing")).unwrap_err().contains("cannot be read"));
        fs::write(path("in/large"), vec![b'x'; MAX + 1]).unwrap();
        assert!(allowed.read(&path("in/large")).unwrap_err().contains("more than"));
        let pipe = std::ffi::CString::new(path("in/pipe").to_str().unwrap()).unwrap();
        let made = rustix::fs::mknodat(
            rustix::fs::CWD,
            pipe.as_c_str(),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        );
        made.unwrap();
        assert!(allowed.read(&path("in/pipe")).unwrap_err().contains("no file"));
    }

    #[test]
    fn allowed_paths_are_absolute() {
        for value in ["", " , ", "secrets", "/a,b"] {
            assert!(Allowed::parse(value).is_err(), "{value}");
        }
        assert_eq!(Allowed::parse("/a/../b, /c/").unwrap(), Allowed(vec!["/b".into(), "/c".into()]));
    }
}
