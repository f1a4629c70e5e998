//! What a faulty plugin does wrong, and when. It is written against the bare contract, without the
//! SDK, because the SDK does not let a plugin misbehave.
//!
//! | key | meaning |
//! |---|---|
//! | `fault` | what: see [`Faults::strike`]; others are for the caller, which knows the call |
//! | `fault.at` | in which call: `validate start task-configs watch stop alter-offsets open poll commit close assign revoke put pre-commit` |
//! | `fault.after` | only after this many calls of it went well, in this instance |
//! | `fault.after.records` | only after this many records went through this instance |
//! | `fault.times` | so often, in this instance; else for ever |
//! | `fault.while` | only while this file exists; its directory must be granted |
//! | `fault.file` | what `read`, `write`, `handles`, `lock` and `once` want |
//! | `fault.address`, `fault.text` | what the ways out of the sandbox want: see `reach` |
//! | `fault.generation` | only in this `transom.generation` |
//! | `fault.batch` | for `deaf` in `put`: only in puts of so many records at least |
//! | `fault.ms` | how long `slow` sleeps, and after what time `retriable-late` wants to be called again |
//! | `fault.offset`, `fault.bytes` | what `patch` does to a batch: bytes in hexadecimal, and where |
//! | `canary.*`, `fault.secrets` | what the faults that `tell` tell: these values, and the secrets with these names |
//! | `journal` | a file that gets a line for every call, after it went well |

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _};
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use std::{env, fs, mem, process, thread};

use serde_json::Value;

use crate::bindings::transom::connect::host;
use crate::bindings::transom::connect::types::Error;
use crate::reach;

/// Replaced in the built component: version, then `watches` if it does, then nothing or a call and its fault.
static MARKER: &str = "transom-variant:0.1.0 -                        ";

/// The settings of a connector or task.
pub(crate) type Config = BTreeMap<String, String>;

/// A call that goes wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    config: Config,
    what: String,
    at: String,
    /// It is the variant's: there whatever the configuration says.
    own: bool,
    calls: BTreeMap<String, u64>,
    struck: u64,
    pub(crate) records: u64,
    hoard: Vec<Vec<u8>>,
}

/// The version of this variant.
pub(crate) fn version() -> &'static str {
    variant().next().unwrap_or("0.0.0")
}

/// Whether the connector of this variant watches the outside system.
pub(crate) fn watches() -> bool {
    variant().any(|word| word == WATCHES)
}

const WATCHES: &str = "watches";

fn variant() -> std::str::SplitWhitespace<'static> {
    // Nothing may be concluded from the marker when this is compiled.
    black_box(MARKER).strip_prefix("transom-variant:").unwrap_or_default().split_whitespace()
}

/// An error of this code, see `wit/types.wit`.
pub(crate) fn error(code: u32, message: impl Into<String>) -> Error {
    Error { code, message: message.into(), retry_after_ms: 0, detail: String::new() }
}

/// A configuration as the worker sends it.
pub(crate) fn parse(config: &str) -> Result<Config, Error> {
    let value: Value = serde_json::from_str(config).map_err(|e| error(4, format!("no JSON: {e}")))?;
    let object = value.as_object().ok_or_else(|| error(4, "no JSON object"))?;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Ok(object.iter().map(|(key, value)| (key.clone(), text(value))).collect())
}

/// The manifest, or what this variant has instead.
pub(crate) fn manifest(kind: &str, config: Value) -> String {
    let mut faults = Faults::new(Config::new());
    let name = match faults.call("describe") {
        Ok(None) => format!("faulty-{kind}"),
        Ok(Some(what)) if what == "another-name" => "somebody-else".to_owned(),
        Ok(Some(what)) if what != "garbage" => {
            return odd_manifest(&what, kind, config);
        }
        _ => return "{\"name\": 7".to_owned(),
    };
    write_manifest(&name, kind, "Misbehaves as its configuration says.", config)
}

/// One that is wrong in a way that can be read.
fn odd_manifest(what: &str, kind: &str, mut config: Value) -> String {
    let name = format!("faulty-{kind}");
    match what {
        "another-kind" => write_manifest(&name, if kind == "source" { "sink" } else { "source" }, "", config),
        "wrong-default" => {
            let mut wrong = key("wrong", "INT", serde_json::json!("5"));
            wrong["validator"] = serde_json::json!({ "min": 10 });
            config.as_array_mut().expect("a list of keys").push(wrong);
            write_manifest(&name, kind, "", config)
        }
        _ => write_manifest(&name, kind, &format!("Random: {}", random()), config),
    }
}

fn write_manifest(name: &str, kind: &str, doc: &str, config: Value) -> String {
    let class = format!("org.example.Faulty{}", if kind == "source" { "Source" } else { "Sink" });
    serde_json::json!({
        "name": name, "version": version(), "kind": kind, "class": class, "aliases": [format!("faulty-{kind}")],
        "doc": doc, "batch_versions": [1], "capabilities": ["fs"],
        "watch": watches(), "config": config,
    })
    .to_string()
}

/// Another number in each instance.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A key of the manifest.
pub(crate) fn key(name: &str, kind: &str, default: Value) -> Value {
    serde_json::json!({
        "name": name, "type": kind, "required": false, "default_value": default, "importance": "LOW",
        "documentation": "See the plugin's source.", "group": "Fault", "order": 1, "width": "MEDIUM",
        "display_name": name, "dependents": [],
    })
}

impl Faults {
    pub(crate) fn new(config: Config) -> Self {
        let mut variant = variant().skip(1).filter(|word| *word != WATCHES);
        let (at, what, own) = match (variant.next(), variant.next()) {
            (Some(at), Some(what)) => (at.to_owned(), what.to_owned(), true),
            _ => {
                let of = |key: &str| config.get(key).cloned().unwrap_or_default();
                (of("fault.at"), of("fault"), false)
            }
        };
        Self { what, at, own, config, ..Self::default() }
    }

    /// The settings as they came.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.config.get(key).map(String::as_str)
    }

    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.text(key).and_then(|text| text.parse().ok())
    }

    /// Has to be the first thing in every call. `Some` is a fault that only the caller can commit.
    pub(crate) fn call(&mut self, at: &str) -> Result<Option<String>, Error> {
        let calls = self.calls.entry(at.to_owned()).or_default();
        *calls += 1;
        let calls = *calls;
        let due = self.own
            || calls > self.number("fault.after").unwrap_or(0)
                && self.records >= self.number("fault.after.records").unwrap_or(0)
                && self.struck < self.number("fault.times").unwrap_or(u64::MAX)
                && self
                    .text("fault.generation")
                    .is_none_or(|one| self.text("transom.generation") == Some(one))
                && self.text("fault.while").is_none_or(|file| Path::new(file).exists());
        if at != self.at || self.what.is_empty() || !due {
            return Ok(None);
        }
        self.struck += 1;
        let what = self.what.clone();
        if self.strike(&what, at)? { Ok(None) } else { Ok(Some(what)) }
    }

    /// Notes in the journal that a call went well.
    pub(crate) fn journal(&self, line: &str) {
        if let Some(file) = self.text("journal") {
            let generation = self.text("transom.generation").unwrap_or("-");
            let task = self.text("transom.task").unwrap_or("-");
            let line = format!("{task} {generation} {} {line}\n", version());
            let written = OpenOptions::new().append(true).create(true).open(file);
            written
                .and_then(|mut file| file.write_all(line.as_bytes()))
                .expect("a journal that may be written");
        }
    }

    /// False: this is none of the faults that are the same in every call.
    fn strike(&mut self, what: &str, at: &str) -> Result<bool, Error> {
        match what {
            "panic" => panic!("told to panic in {at}"),
            "trap" => trap(),
            "exit" => process::exit(3),
            "spin" => loop {
                black_box(());
            },
            "sleep" => loop {
                thread::sleep(Duration::from_secs(3600));
            },
            "slow" => thread::sleep(Duration::from_millis(self.number("fault.ms").unwrap_or(1000))),
            "grow" => loop {
                self.hoard.push(vec![1; 1 << 20]);
            },
            "hungry" => hungry(),
            "lock" => self.lock()?,
            // A megabyte a call, as a leak would.
            "leak" => self.hoard.push(vec![1; 1 << 20]),
            "recurse" => drop(black_box(recurse(0))),
            "log-flood" => (0..100_000).for_each(|n| host::log(3, &format!("flood {n}"))),
            "log-long" => host::log(3, &"long ".repeat(1 << 18)),
            "print-flood" => (0..100_000).for_each(|n| eprintln!("flood {n}")),
            "metric-flood" => (0..100_000).for_each(|n| host::metric(&format!("flood_{n}"), f64::from(n))),
            "handles" => self.open_for_ever()?,
            "read" | "write" | "environment" | "secret" => self.reach_out(what)?,
            "tell" => drop(self.tell()?),
            "tell-panic" => panic!("told {}", self.tell()?),
            "tell-error" => {
                let told = self.tell()?;
                return Err(Error { detail: format!("{told:?}"), ..error(2, format!("told {told}")) });
            }
            "retriable-late" => {
                let wait = self.number("fault.ms").unwrap_or(1000);
                let retry_after_ms = u32::try_from(wait).unwrap_or(u32::MAX);
                return Err(Error { retry_after_ms, ..error(1, format!("told to be retriable in {at}")) });
            }
            "retriable" => return Err(error(1, format!("told to be retriable in {at}"))),
            "fatal" => return Err(error(2, format!("told to fail in {at}"))),
            "bad-record" => return Err(error(3, format!("told to refuse a record in {at}"))),
            "config" => return Err(error(4, format!("told to refuse the configuration in {at}"))),
            "unknown-code" => return Err(error(4711, format!("told to fail in an unknown way in {at}"))),
            "long-error" => return Err(error(2, "long ".repeat(1 << 20))),
            _ => {
                let of = |key: &str| self.text(key).unwrap_or_default();
                let went = reach::out(what, of("fault.address"), of("fault.text"));
                return went.map_err(|e| error(4, format!("{what}: {e}")));
            }
        }
        Ok(true)
    }

    /// All that it was told in secret.
    pub(crate) fn canaries(&self) -> Result<Vec<String>, Error> {
        let given = self.config.iter().filter(|(key, _)| key.starts_with("canary."));
        let names = self.text("fault.secrets").unwrap_or_default().split(',').filter(|name| !name.is_empty());
        let asked = names.map(|name| host::secret(name).map_err(|e| error(2, format!("secret: {e}"))));
        given.map(|(_, value)| Ok(value.clone())).chain(asked).collect()
    }

    /// Says it in every way that there is, and returns it.
    fn tell(&self) -> Result<String, Error> {
        let canaries = self.canaries()?;
        let all = canaries.join(" ");
        for canary in &canaries {
            host::metric(&format!("told_{canary}"), 1.0);
            writeln!(std::io::stdout(), "told {canary}").expect("somebody listens");
            eprintln!("told {canary}");
        }
        for level in 1..=5 {
            host::log(level, &format!("told {all}"));
        }
        host::log(3, &format!("told {canaries:?}"));
        // What is refused is named in the log.
        drop(fs::read(format!("/{all}")));
        Ok(all)
    }

    /// Holds a file while it works, and does not look who left it there.
    fn lock(&self) -> Result<(), Error> {
        let file = self.text("fault.file").unwrap_or_default();
        File::create_new(file).map_err(|e| error(2, format!("locked: {e}")))?;
        thread::sleep(Duration::from_millis(10));
        fs::remove_file(file).map_err(|e| error(2, format!("unlocking: {e}")))
    }

    fn open_for_ever(&self) -> Result<(), Error> {
        let file = self.text("fault.file").unwrap_or_default();
        loop {
            mem::forget(File::open(file).map_err(|e| error(2, format!("no more handles: {e}")))?);
        }
    }

    /// Tries what needs a grant. It ends well where there is one; else the error says what came back.
    fn reach_out(&self, what: &str) -> Result<(), Error> {
        let file = self.text("fault.file").unwrap_or_default();
        let result = match what {
            "read" => fs::read(file).map(drop).map_err(|e| e.to_string()),
            "write" => fs::write(file, "written").map_err(|e| e.to_string()),
            "secret" => host::secret("any").map(drop),
            _ if env::vars().count() + env::args().count() == 0 => Ok(()),
            _ => Err(format!("{:?} {:?}", env::vars().collect::<Vec<_>>(), env::args().collect::<Vec<_>>())),
        };
        result.map_err(|e| error(2, format!("{what}: {e}")))
    }
}

/// Cannot live without a large buffer, and does not give up.
fn hungry() {
    let mut buffer: Vec<u8> = Vec::new();
    while black_box(&mut buffer).try_reserve_exact(32 << 20).is_err() {}
}

#[cfg(target_arch = "wasm32")]
fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
fn trap() -> ! {
    process::abort()
}

#[allow(unconditional_recursion, reason = "it shall exhaust the stack")]
fn recurse(depth: u64) -> [u64; 64] {
    let mut frame = [depth; 64];
    frame[1] = recurse(black_box(depth + 1))[0];
    black_box(frame)
}
