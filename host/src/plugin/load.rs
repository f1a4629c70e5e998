//! One version of a plugin: a component that was hashed, compiled, looked at and asked what it is.

use super::bindings::{Exports, ExportsError};
use super::call::{CallError, JSON_MAX};
use super::compile::{CompileError, WASM_MAX};
use super::digest::sha256;
use super::engine::Engine;
use super::imports::{Setup, TaskState};
use super::instance::instantiate;
use super::manifest::{Manifest, ManifestError, file_name_parts};
use super::version::Version;
use crate::config::{Described, Kind, Sandbox, Sandboxes};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::{Component, InstancePre};

/// The time a plugin has to say what it is.
const DESCRIBE: Duration = Duration::from_secs(5);

/// A plugin, ready to be instantiated.
pub(crate) struct Plugin {
    code: Code,
    sha256: Arc<str>,
    path: PathBuf,
    manifest: Manifest,
}

/// A component that fits the contract, compiled and linked.
pub(crate) struct Code {
    pub(crate) name: Arc<str>,
    pub(crate) engine: Engine,
    pub(crate) pre: InstancePre<TaskState>,
    pub(crate) exports: Exports,
}

/// A file that was read and may be a plugin.
pub(crate) struct Candidate {
    path: PathBuf,
    bytes: Vec<u8>,
    sha256: String,
}

/// Why a file is no plugin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// It cannot be read.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// It changed while it was read.
    #[error("it is still being written")]
    Unstable,
    /// It is too large.
    #[error("it is larger than {} MiB", WASM_MAX >> 20)]
    TooLarge,
    /// Somebody else may change it, and would hold its grants.
    #[error(
        "it is writable for group or others (mode {mode:04o}); whoever may write it holds its grants: chmod go-w"
    )]
    Writable {
        /// Its permissions.
        mode: u32,
    },
    /// It is no component, but something that looks like one.
    #[error("it is {what}, not a WebAssembly component")]
    NotComponent {
        /// What it is.
        what: &'static str,
    },
    /// Its name says another plugin or version than its manifest.
    #[error(
        "its name says {file}, its description {name} {version}; the file must be {name}.wasm or {name}@{version}.wasm"
    )]
    FileName {
        /// Name and version as the file has it.
        file: String,
        /// The manifest's.
        name: String,
        /// The manifest's.
        version: Version,
    },
    /// It is not the content that the operator pinned.
    #[error("its sha256 is {actual}; `sandbox.{name}.sha256` allows {pinned} only")]
    Pinned {
        /// The plugin.
        name: String,
        /// What the file has.
        actual: String,
        /// What it must have.
        pinned: String,
    },
    /// It could not be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Its code could not be kept or loaded again.
    #[error("its compiled code cannot be kept")]
    Cache(#[source] io::Error),
    /// It wants what no worker offers, or offers it in another shape.
    #[error("it imports what this worker does not offer: {0:#}")]
    Imports(wasmtime::Error),
    /// It does not offer what a plugin does.
    #[error(transparent)]
    Exports(#[from] ExportsError),
    /// It would not say what it is.
    #[error("it did not say what it is")]
    Describe(#[source] CallError),
    /// What it says is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It says that it is something else than it exports.
    #[error("it says that it is a {said} and exports a {is}")]
    Kind {
        /// The manifest's.
        said: Kind,
        /// By its exports.
        is: Kind,
    },
}

impl Candidate {
    /// Reads a file, whole and unchanged.
    ///
    /// # Errors
    /// When it cannot be, is too large, or others may write it.
    pub(crate) fn read(path: &Path) -> Result<Self, LoadError> {
        let mut file = File::open(path).map_err(LoadError::Read)?;
        let before = file.metadata().map_err(LoadError::Read)?;
        if before.mode() & 0o022 != 0 {
            return Err(LoadError::Writable { mode: before.mode() & 0o7777 });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or(WASM_MAX).min(WASM_MAX));
        file.by_ref().take(WASM_MAX as u64 + 1).read_to_end(&mut bytes).map_err(LoadError::Read)?;
        if bytes.len() > WASM_MAX {
            return Err(LoadError::TooLarge);
        }
        let after = file.metadata().map_err(LoadError::Read)?;
        if after.modified().ok() != before.modified().ok() || after.len() != bytes.len() as u64 {
            return Err(LoadError::Unstable);
        }
        let sha256 = sha256(&bytes);
        Ok(Self { path: path.to_owned(), bytes, sha256 })
    }

    /// Whether its compiled code is in the cache, so that loading it takes no time.
    pub(crate) fn is_cached(&self, engine: &Engine) -> bool {
        engine.cache().has(&self.sha256)
    }

    /// Makes a plugin of it: compiled code (from the cache or anew), exports, description. Blocks; takes
    /// as long as the compiler when the code is not in the cache.
    ///
    /// # Errors
    /// When it is not a plugin, or not the one that its name or the operator says.
    pub(crate) fn load(self, engine: &Engine, sandboxes: &Sandboxes) -> Result<Arc<Plugin>, LoadError> {
        let (name, version) =
            file_name_parts(&self.path).ok_or(LoadError::NotComponent { what: "not named <plugin>.wasm" })?;
        let sandbox = sandboxes.of(name);
        if let Some(pinned) =
            sandbox.sha256.as_deref().filter(|pinned| !pinned.eq_ignore_ascii_case(&self.sha256))
        {
            let (name, pinned) = (name.to_owned(), pinned.to_owned());
            return Err(LoadError::Pinned { name, actual: self.sha256, pinned });
        }
        let component = component(engine, &self.bytes, &self.sha256)?;
        let pre = engine.linker().instantiate_pre(&component).map_err(LoadError::Imports)?;
        let exports = Exports::of(&pre)?;
        let code = Code { name: name.into(), engine: engine.clone(), pre, exports };
        let manifest = Manifest::parse(&code.describe(&sandbox)?)?;
        if manifest.kind != code.exports.kind() {
            return Err(LoadError::Kind { said: manifest.kind, is: code.exports.kind() });
        }
        let same_version =
            version.is_none_or(|version| Version::parse(version).as_ref() == Some(&manifest.version));
        if manifest.name != name || !same_version {
            let file = version.map_or(name.to_owned(), |version| format!("{name} {version}"));
            return Err(LoadError::FileName { file, name: manifest.name, version: manifest.version });
        }
        Ok(Arc::new(Plugin { code, sha256: self.sha256.into(), path: self.path, manifest }))
    }
}

impl Code {
    /// Asks a throw-away instance, which is granted nothing, what the plugin is.
    fn describe(&self, sandbox: &Sandbox) -> Result<String, LoadError> {
        let limit = sandbox.call_timeout.min(DESCRIBE);
        let sandbox = Sandbox { call_timeout: limit, ..sandbox.nothing() };
        let ask = async {
            let (mut core, instance) = instantiate(self, Setup::throw_away(&sandbox)).await?;
            let guest = self.exports.plugin.load(&mut core.store, &instance);
            let guest = guest.map_err(|error| core.trap("describe", &error))?;
            let mut call = core.begin("describe", Duration::ZERO, JSON_MAX)?;
            let outcome = call.run(guest.call_describe(&mut core.store)).await;
            core.end(&call, outcome)
        };
        // On a thread of its own, because the caller's may be one of a runtime's.
        let answer = std::thread::scope(|scope| {
            let ask = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
                runtime.map_err(LoadError::Read)?.block_on(ask).map_err(LoadError::Describe)
            };
            scope.spawn(ask).join()
        });
        answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Plugin {
    /// Reads a file and makes a plugin of it; see [`Candidate::load`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn load(engine: &Engine, path: &Path, sandboxes: &Sandboxes) -> Result<Arc<Self>, LoadError> {
        Candidate::read(path)?.load(engine, sandboxes)
    }

    /// Asks a new throw-away instance what the plugin is.
    ///
    /// # Errors
    /// It does not say, or what it says is wrong.
    pub(crate) fn describe(&self, sandbox: &Sandbox) -> Result<Manifest, LoadError> {
        Ok(Manifest::parse(&self.code.describe(sandbox)?)?)
    }

    /// What it has to do with the configuration of a connector; `versions` are those that there are, the newest last.
    pub(crate) fn described<'a>(&'a self, versions: &'a [String]) -> Described<'a> {
        Described {
            class: &self.manifest.class,
            kind: self.manifest.kind,
            versions,
            settings: &self.manifest.config,
        }
    }

    /// The plugin's name.
    pub(crate) fn name(&self) -> &str {
        &self.code.name
    }

    pub(crate) fn name_arc(&self) -> Arc<str> {
        Arc::clone(&self.code.name)
    }

    /// Its version.
    pub(crate) fn version(&self) -> &Version {
        &self.manifest.version
    }

    /// The content hash of its file, in hex.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What it is.
    pub(crate) fn kind(&self) -> Kind {
        self.manifest.kind
    }

    /// What it says about itself.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The file it came from; it may be another one by now, or gone.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn code(&self) -> &Code {
        &self.code
    }
}

impl std::fmt::Display for Plugin {
    /// For people: name, version and the beginning of the hash.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} (sha256 {})", self.code.name, self.manifest.version, &self.sha256[..12])
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plugin({self}, {})", self.path.display())
    }
}

/// The compiled component, from the cache or from the compiler.
fn component(engine: &Engine, bytes: &[u8], sha256: &str) -> Result<Component, LoadError> {
    // Compiled code from a user would be run as it is: it never gets further than this line.
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(LoadError::NotComponent { what: "machine code" });
    }
    if bytes.starts_with(b"\0asm\x01\0\0\0") {
        return Err(LoadError::NotComponent { what: "a core module" });
    }
    let cache = engine.cache();
    if let Some(component) = cache.get(engine.wasm(), sha256) {
        return Ok(component);
    }
    let temporary = cache.temporary();
    let compiled = engine.compiler().compile(bytes, &temporary).map_err(LoadError::Compile);
    let kept = compiled.and_then(|()| cache.put(sha256, &temporary).map_err(LoadError::Cache));
    if kept.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    kept?;
    let missing = || LoadError::Cache(io::Error::other("it is gone again"));
    cache.get(engine.wasm(), sha256).ok_or_else(missing)
}
