//! What the operator grants a plugin, and its limits: `sandbox.<plugin>.*` in the worker's configuration.
//!
//! Nothing that is not listed is granted. `sandbox.default.*` is for every plugin; each of a plugin's own
//! settings wins over the default's. A connector's configuration has no say: whoever may write that is not
//! the operator.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::nearest::nearest;
use super::net::{NetGrant, NetScheme};
use super::worker_keys::SANDBOX_KEYS;
use super::{Problem, Problems, RawConfig, glob};

/// The sandbox of one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sandbox {
    /// `fs`: the directories a guest sees, each under its own path.
    pub(crate) fs: Vec<Grant>,
    /// `net`: `scheme://host:port`, the host a name, a pattern or a CIDR; see [`NetGrant`].
    pub(crate) net: Vec<NetGrant>,
    /// `net.connections.max`: open at a time, of one task.
    pub(crate) net_connections: usize,
    /// `net.rate.max`: bytes a second, in and out together; `None`: no limit.
    pub(crate) net_rate: Option<u64>,
    /// `net.timeout.ms`: how long an answer may take to begin, and its next part to come.
    pub(crate) net_timeout: Duration,
    /// `net.response.max`: bytes of an answer's body.
    pub(crate) net_response_max: u64,
    /// `tls.ca`: files of certificates to trust besides those of the system.
    pub(crate) tls_ca: Vec<PathBuf>,
    /// `tls.certificate` and `tls.key`: as whom connections show themselves.
    pub(crate) tls_certificate: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    /// `secrets`: names and patterns of what the worker names as `secret.<name>`.
    pub(crate) secrets: Vec<String>,
    /// `env`: the environment the guest sees, already resolved.
    pub(crate) env: Vec<(String, String)>,
    /// `topics`: names and patterns of what a source may write; `None`: all.
    pub(crate) topics: Option<Vec<String>>,
    /// `memory.max`: bytes, summed over all memories of a task.
    pub(crate) memory_max: usize,
    /// `cpu.max`: thousandths of a core; `None`: no limit.
    pub(crate) cpu_max_permille: Option<u32>,
    /// `call.timeout.ms`: how long a call may take beyond the time it was asked to wait.
    pub(crate) call_timeout: Duration,
    /// `log.rate`: lines a second that a task may write; as many at once.
    pub(crate) log_rate: u32,
    /// `sha256`: the only content that may load under this plugin's name, in lower-case hex.
    pub(crate) sha256: Option<String>,
}

/// A directory that a guest may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    /// An absolute path; the guest sees the directory under the same one.
    pub(crate) dir: PathBuf,
    /// `:rw`: files may be written, created and deleted.
    pub(crate) write: bool,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            fs: Vec::new(),
            net: Vec::new(),
            net_connections: 64,
            net_rate: None,
            net_timeout: Duration::from_secs(60),
            net_response_max: 1 << 30,
            tls_ca: Vec::new(),
            tls_certificate: None,
            tls_key: None,
            secrets: Vec::new(),
            env: Vec::new(),
            topics: None,
            memory_max: 256 << 20,
            cpu_max_permille: None,
            call_timeout: Duration::from_secs(30),
            log_rate: 100,
            sha256: None,
        }
    }
}

impl Sandbox {
    /// For instances that may do nothing, such as the one that is asked what the plugin is.
    pub(crate) fn nothing(&self) -> Self {
        Self { fs: Vec::new(), net: Vec::new(), secrets: Vec::new(), env: Vec::new(), ..self.clone() }
    }

    /// Whether a task needs a thread of its own, because its guest may read or write files: these
    /// operations run on the thread that runs the guest.
    pub(crate) fn blocks(&self) -> bool {
        !self.fs.is_empty()
    }

    /// Whether any grant is of this kind.
    pub(crate) fn may_use(&self, scheme: NetScheme) -> bool {
        self.net.iter().any(|grant| grant.scheme() == scheme)
    }

    /// Whether the guest may ask for this secret.
    pub(crate) fn may_ask_for_secret(&self, name: &str) -> bool {
        self.secrets.iter().any(|pattern| glob::matches(pattern, name))
    }

    /// Whether a source may write to this topic.
    pub(crate) fn may_write_topic(&self, topic: &str) -> bool {
        self.topics.as_ref().is_none_or(|topics| topics.iter().any(|pattern| glob::matches(pattern, topic)))
    }
}

/// The key that grants a directory, with its value: what a refusal tells the operator.
pub(crate) fn fs_key(plugin: &str, dir: &Path, write: bool) -> String {
    let rw = if write { ":rw" } else { "" };
    format!("sandbox.{plugin}.fs={}{rw}", dir.display())
}

/// All that is said, by plugin; looked at when it was read, so that it can be said again for each plugin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sandboxes {
    /// What is not said at all.
    base: Sandbox,
    /// By plugin: settings and their values.
    said: BTreeMap<String, Vec<(&'static str, String)>>,
    /// The worker's environment, of which plugins are granted parts.
    variables: BTreeMap<String, String>,
}

/// The plugin's name that stands for all.
const DEFAULT: &str = "default";

impl Sandboxes {
    /// Reads all `sandbox.*` of a worker's configuration.
    pub(super) fn read(
        raw: &RawConfig,
        variables: &BTreeMap<String, String>,
        problems: &mut Problems,
    ) -> Self {
        let mut all = Self { variables: variables.clone(), ..Self::default() };
        for (key, value) in raw {
            let Some(rest) = key.strip_prefix("sandbox.") else { continue };
            match all.say(rest, value) {
                Ok(()) => {}
                Err(message) => problems.push(Problem::new(key, value, message)),
            }
        }
        all
    }

    fn say(&mut self, key: &str, value: &str) -> Result<(), String> {
        let (plugin, what) = split(key).ok_or_else(|| unknown(key))?;
        if plugin == DEFAULT && what == "sha256" {
            return Err("name the plugin: one content cannot be that of all".to_owned());
        }
        Sandbox::default().set(what, value, &self.variables)?;
        self.said.entry(plugin.to_owned()).or_default().push((what, value.to_owned()));
        Ok(())
    }

    /// The default with the plugin's own settings over it.
    pub(crate) fn of(&self, plugin: &str) -> Sandbox {
        let mut sandbox = self.base.clone();
        for (what, value) in [DEFAULT, plugin].iter().filter_map(|name| self.said.get(*name)).flatten() {
            sandbox.set(what, value, &self.variables).expect("looked at when it was read");
        }
        sandbox
    }

    /// `default`, and every plugin that is named.
    pub(crate) fn plugins(&self) -> impl Iterator<Item = &str> {
        let named = self.said.keys().map(String::as_str).filter(|name| *name != DEFAULT);
        std::iter::once(DEFAULT).chain(named)
    }
}

#[cfg(test)]
impl Sandboxes {
    /// As the settings say, which have to be right.
    pub(crate) fn of_raw(raw: &RawConfig) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let all = Self::read(raw, &BTreeMap::new(), &mut problems);
        problems.or(all)
    }

    /// The same for every plugin.
    pub(crate) fn same(base: Sandbox) -> Self {
        Self { base, ..Self::default() }
    }
}

/// Plugin and setting. The setting is looked for at the end: a plugin's name may have dots.
fn split(key: &str) -> Option<(&str, &'static str)> {
    SANDBOX_KEYS.iter().find_map(|(what, ..)| {
        let plugin = key.strip_suffix(what)?.strip_suffix('.')?;
        (!plugin.is_empty()).then_some((plugin, *what))
    })
}

fn unknown(key: &str) -> String {
    let what = key.split_once('.').map_or(key, |(_, what)| what);
    match nearest(what, SANDBOX_KEYS.iter().map(|(what, ..)| *what)) {
        Some(known) => format!("unknown setting; did you mean sandbox.<plugin>.{known}?"),
        None => {
            let known: Vec<_> = SANDBOX_KEYS.iter().map(|(what, ..)| *what).collect();
            format!("unknown setting; sandbox.<plugin>. is followed by one of {}", known.join(", "))
        }
    }
}

impl Sandbox {
    /// Takes one setting over.
    fn set(&mut self, what: &str, value: &str, variables: &BTreeMap<String, String>) -> Result<(), String> {
        let value = value.trim();
        match what {
            "fs" => self.fs = grants(value)?,
            "net" => {
                self.net = list(value).iter().map(|text| NetGrant::parse(text)).collect::<Result<_, _>>()?
            }
            "net.connections.max" => self.net_connections = number(value, 1, 10_000)?,
            "net.rate.max" => self.net_rate = Some(number(value, 1024, u64::MAX)?),
            "net.timeout.ms" => self.net_timeout = milliseconds(value)?,
            "net.response.max" => self.net_response_max = number(value, 1, u64::MAX)?,
            "tls.ca" => self.tls_ca = files(value)?,
            "tls.certificate" => self.tls_certificate = Some(file(value)?),
            "tls.key" => self.tls_key = Some(file(value)?),
            "secrets" => self.secrets = list(value),
            "env" => self.env = environment(value, variables),
            "topics" => self.topics = Some(list(value)),
            "memory.max" => self.memory_max = number(value, 1 << 16, usize::MAX)?,
            "cpu.max" => self.cpu_max_permille = Some(share(value)?),
            "call.timeout.ms" => self.call_timeout = milliseconds(value)?,
            "log.rate" => self.log_rate = number(value, 0, u32::MAX)?,
            _ => self.sha256 = Some(sha256(value)?),
        }
        Ok(())
    }
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn grants(value: &str) -> Result<Vec<Grant>, String> {
    let mut grants: Vec<Grant> = Vec::new();
    for item in list(value) {
        let (dir, write) = match item.strip_suffix(":rw") {
            Some(dir) => (dir, true),
            None => (item.as_str(), false),
        };
        let dir = Path::new(dir);
        if !dir.is_absolute() || dir.components().any(|part| part == Component::ParentDir) {
            return Err(format!(
                "{item} is no absolute path without `..`; write /dir, or /dir:rw to grant writing"
            ));
        }
        // Without a slash at the end and without `.`.
        let dir: PathBuf = dir.components().collect();
        if grants.iter().any(|grant| grant.dir == dir) {
            return Err(format!("{} is listed twice", dir.display()));
        }
        grants.push(Grant { dir, write });
    }
    Ok(grants)
}

fn file(value: &str) -> Result<PathBuf, String> {
    match Path::new(value).is_absolute() {
        true => Ok(value.into()),
        false => Err(format!("{value} is no absolute path of a file in PEM")),
    }
}

fn files(value: &str) -> Result<Vec<PathBuf>, String> {
    list(value).iter().map(|value| file(value)).collect()
}

fn environment(value: &str, variables: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let granted = list(value);
    let may_see = |name: &String| granted.iter().any(|pattern| glob::matches(pattern, name));
    variables
        .iter()
        .filter(|(name, _)| may_see(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn number<T: std::str::FromStr + PartialOrd + std::fmt::Display>(
    value: &str,
    min: T,
    max: T,
) -> Result<T, String> {
    let range = format!("must be a whole number from {min} to {max}");
    value.parse().ok().filter(|number| *number >= min && *number <= max).ok_or(range)
}

fn milliseconds(value: &str) -> Result<Duration, String> {
    number(value, 1, u32::MAX.into()).map(Duration::from_millis)
}

fn share(value: &str) -> Result<u32, String> {
    let share: Option<f64> = value.parse().ok();
    let share = share.filter(|share| *share >= 0.001 && *share <= 1000.0);
    // In range, so nothing is cut off.
    share
        .map(|share| (share * 1000.0).round() as u32)
        .ok_or_else(|| "must be a share of a core, as 0.5".to_owned())
}

fn sha256(value: &str) -> Result<String, String> {
    let hex = value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| value.to_ascii_lowercase()).ok_or_else(|| "must be 64 hexadecimal digits".to_owned())
}

#[cfg(test)]
#[path = "sandbox_tests.rs"]
mod tests;
