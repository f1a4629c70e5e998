//! Compiled code on disk, and the only place where code is loaded that Wasmtime does not check.
//!
//! Wasmtime maps an artifact and runs it; it looks at the header only. So an artifact must be what our
//! own compiler wrote, whole and unchanged:
//! - The folder belongs to the worker and nobody else may enter it (0700, checked at start).
//! - A name is the content hash of the component and the hash of engine version and settings: another
//!   component or another Wasmtime has another name.
//! - An artifact appears under its name by rename, after fsync; it is never written again, because it
//!   may be mapped. Eviction unlinks, which leaves the mapping alone.
//! - The artifact's own sha256 stands in a file next to it and is compared before every load: a torn or
//!   damaged artifact is compiled again, never executed. That costs one pass over the file: 0.7 ms per
//!   MB was measured with the processor's SHA instructions, and some 3 ms are to be expected without.
#![allow(unsafe_code, reason = "loading compiled code is what this file is for; see `Cache::get`")]

use super::digest::{sha256_file, short_hash};
use std::fs::{self, DirBuilder, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use wasmtime::component::Component;

/// How the names of unfinished files begin.
const TEMPORARY: &str = ".new-";
/// The age at which an unfinished file is nobody's any more: no compiler runs that long.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The folder of compiled code.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
    max: u64,
    compatibility: String,
}

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    /// It cannot be made, read or written.
    #[error("cannot use {} for compiled code", dir.display())]
    Unusable {
        /// The folder.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others could put code into it.
    #[error("{} holds compiled code and must belong to the worker's user with mode 0700 (it has mode {mode:04o})", dir.display())]
    NotPrivate {
        /// The folder.
        dir: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

impl Cache {
    /// Makes the folder if it is missing, and checks that it is private.
    ///
    /// # Errors
    /// When it cannot be made or others may enter it.
    pub(crate) fn open(dir: PathBuf, max: u64, engine: &wasmtime::Engine) -> Result<Self, CacheError> {
        let compatibility = short_hash(&engine.precompile_compatibility_hash());
        let unusable = |source| CacheError::Unusable { dir: dir.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(unusable)?;
        let meta = fs::metadata(&dir).map_err(unusable)?;
        if meta.mode() & 0o077 != 0 || meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(CacheError::NotPrivate { dir, mode: meta.mode() & 0o7777 });
        }
        Ok(Self { dir, max, compatibility })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The error for a folder that fails in use.
    pub(crate) fn unusable(&self, source: io::Error) -> CacheError {
        CacheError::Unusable { dir: self.dir.clone(), source }
    }

    /// Whether there is compiled code for this content hash; not whether it is whole.
    pub(crate) fn has(&self, sha256: &str) -> bool {
        self.artifact(sha256).exists()
    }

    /// The component with this content hash, if its compiled code is here and whole.
    pub(crate) fn get(&self, engine: &wasmtime::Engine, sha256: &str) -> Option<Component> {
        let path = self.artifact(sha256);
        let expected = fs::read_to_string(seal(&path)).ok()?;
        if sha256_file(&path).ok()? != expected.trim() {
            tracing::warn!(artifact = %path.display(), "compiled code is damaged and will be made again");
            return None;
        }
        // SAFETY: the bytes are those our compiling child wrote: their hash was taken when it had ended
        // and is the same now; the folder is ours alone; and files in it are never changed, only
        // unlinked, so the mapping stays what it is.
        let loaded = unsafe { Component::deserialize_file(engine, &path) };
        match loaded {
            Ok(component) => {
                // Eviction goes by this time; failing to set it only makes the guess worse.
                let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
                Some(component)
            }
            Err(error) => {
                tracing::warn!(artifact = %path.display(), %error, "compiled code does not load and will be made again");
                None
            }
        }
    }

    /// A path in the folder that nobody uses, for the compiler to write to.
    pub(crate) fn temporary(&self) -> PathBuf {
        // Not by process id: in a container that is the same after every crash.
        self.dir.join(format!("{TEMPORARY}{:016x}", RandomState::new().hash_one(std::process::id())))
    }

    /// Takes what the compiler wrote (and synced) at `temporary` as the code of this component.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) fn put(&self, sha256: &str, temporary: &Path) -> io::Result<()> {
        let path = self.artifact(sha256);
        let new_seal = self.temporary();
        let mut file = File::create_new(&new_seal)?;
        file.write_all(sha256_file(temporary)?.as_bytes())?;
        file.sync_all()?;
        // The seal first: an artifact without its seal is never loaded, nor one with an older seal.
        fs::rename(&new_seal, seal(&path))?;
        fs::rename(temporary, &path)?;
        File::open(&self.dir)?.sync_all()?;
        self.evict(&path);
        Ok(())
    }

    /// Unlinks what was not used for longest until the rest fits; `keep` stays. Left-overs of killed
    /// workers go too.
    fn evict(&self, keep: &Path) {
        let mut files = self.files("");
        let abandoned = |used: &SystemTime| used.elapsed().is_ok_and(|age| age > ABANDONED);
        for (path, ..) in self.files(TEMPORARY).iter().filter(|(.., used)| abandoned(used)) {
            let _ = fs::remove_file(path);
        }
        files.retain(|(path, ..)| path.extension().is_some_and(|extension| extension == "cwasm"));
        files.sort_by_key(|(_, _, used)| *used);
        let mut sum: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (path, size, _) in files {
            if sum <= self.max {
                break;
            }
            if path != keep && fs::remove_file(&path).is_ok() {
                let _ = fs::remove_file(seal(&path));
                sum -= size;
            }
        }
    }

    /// Path, size and time of the files whose names begin so.
    fn files(&self, begin: &str) -> Vec<(PathBuf, u64, SystemTime)> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let named =
            |entry: &fs::DirEntry| entry.file_name().to_str().is_some_and(|name| name.starts_with(begin));
        let file = |entry: fs::DirEntry| {
            let meta = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((entry.path(), meta.len(), meta.modified().ok()?))
        };
        entries.flatten().filter(named).filter_map(file).collect()
    }

    fn artifact(&self, sha256: &str) -> PathBuf {
        self.dir.join(format!("{sha256}-{}.cwasm", self.compatibility))
    }
}

/// The file that holds the hash of the artifact.
fn seal(artifact: &Path) -> PathBuf {
    artifact.with_extension("sha256")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn engine() -> wasmtime::Engine {
        super::super::engine::wasm_engine().unwrap()
    }

    fn compiled(engine: &wasmtime::Engine) -> Vec<u8> {
        engine.precompile_component(&wat::parse_str("(component)").unwrap()).unwrap()
    }

    #[test]
    fn what_was_put_can_be_got() {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine();
        let cache = Cache::open(dir.path().join("cache"), 1 << 20, &engine).unwrap();
        assert!(cache.get(&engine, "abc").is_none());
        let temporary = cache.temporary();
        fs::write(&temporary, compiled(&engine)).unwrap();
        cache.put("abc", &temporary).unwrap();
        assert!(cache.get(&engine, "abc").is_some());
        assert_eq!(fs::read_dir(cache.dir()).unwrap().count(), 2);
    }

    #[test]
    fn a_damaged_artifact_is_not_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine();
        let cache = Cache::open(dir.path().join("cache"), 1 << 20, &engine).unwrap();
        let temporary = cache.temporary();
        fs::write(&temporary, compiled(&engine)).unwrap();
        cache.put("abc", &temporary).unwrap();
        let path = cache.artifact("abc");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(cache.get(&engine, "abc").is_none());
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(cache.get(&engine, "abc").is_none());
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let error = Cache::open(dir.path().to_owned(), 0, &engine()).unwrap_err();
        assert!(error.to_string().contains("0750"), "{error}");
    }

    #[test]
    fn the_folder_stays_within_its_size_and_keeps_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine();
        let bytes = compiled(&engine);
        let cache = Cache::open(dir.path().join("cache"), bytes.len() as u64, &engine).unwrap();
        for name in ["one", "two", "three"] {
            let temporary = cache.temporary();
            fs::write(&temporary, &bytes).unwrap();
            cache.put(name, &temporary).unwrap();
        }
        assert!(cache.get(&engine, "one").is_none() && cache.get(&engine, "three").is_some());
        assert_eq!(fs::read_dir(cache.dir()).unwrap().count(), 2);
    }
}
