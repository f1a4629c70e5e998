//! What the operator grants a plugin, and its limits: `sandbox.<plugin>.*` in the worker's configuration.
//!
//! Nothing that is not listed is granted. `sandbox.default.*` is for every plugin; each of a plugin's own
//! settings wins over the default's. A connector's configuration has no say: whoever may write that is not
//! the operator.
//!
//! `secrets` and `cpu.max` are read and kept; what enforces them is not there yet, and secrets are refused whatever
//! they say.

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
    /// `secrets`: names and patterns.
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

/// What is said about one plugin, or about all: only what is said.
#[derive(Debug, Clone, Default)]
struct Settings {
    fs: Option<Vec<Grant>>,
    net: Option<Vec<NetGrant>>,
    net_connections: Option<usize>,
    net_rate: Option<u64>,
    net_timeout: Option<Duration>,
    net_response_max: Option<u64>,
    tls_ca: Option<Vec<PathBuf>>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    secrets: Option<Vec<String>>,
    env: Option<Vec<(String, String)>>,
    topics: Option<Vec<String>>,
    memory_max: Option<usize>,
    cpu_max_permille: Option<u32>,
    call_timeout: Option<Duration>,
    log_rate: Option<u32>,
    sha256: Option<String>,
}

/// All that is said, by plugin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sandboxes(BTreeMap<String, Settings>);

/// The plugin's name that stands for all.
const DEFAULT: &str = "default";

impl Sandboxes {
    /// Reads all `sandbox.*` of a worker's configuration.
    pub(super) fn read(
        raw: &RawConfig,
        variables: &BTreeMap<String, String>,
        problems: &mut Problems,
    ) -> Self {
        let mut all = Self::default();
        for (key, value) in raw {
            let Some(rest) = key.strip_prefix("sandbox.") else { continue };
            let Some((plugin, what)) = split(rest) else {
                problems.push(Problem::new(key, value, unknown(rest)));
                continue;
            };
            let settings = all.0.entry(plugin.to_owned()).or_default();
            let mut set = || {
                if plugin == DEFAULT && what == "sha256" {
                    return Err("name the plugin: one content cannot be that of all".to_owned());
                }
                settings.set(what, value, variables)
            };
            if let Err(message) = set() {
                problems.push(Problem::new(key, value, message));
            }
        }
        all
    }

    /// The default with the plugin's own settings over it.
    pub(crate) fn of(&self, plugin: &str) -> Sandbox {
        let mut sandbox = Sandbox::default();
        for settings in [self.0.get(DEFAULT), self.0.get(plugin)].into_iter().flatten() {
            settings.clone().apply(&mut sandbox);
        }
        sandbox
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
    pub(crate) fn same(sandbox: Sandbox) -> Self {
        let settings = Settings {
            fs: Some(sandbox.fs),
            net: Some(sandbox.net),
            net_connections: Some(sandbox.net_connections),
            net_rate: sandbox.net_rate,
            net_timeout: Some(sandbox.net_timeout),
            net_response_max: Some(sandbox.net_response_max),
            tls_ca: Some(sandbox.tls_ca),
            tls_certificate: sandbox.tls_certificate,
            tls_key: sandbox.tls_key,
            secrets: Some(sandbox.secrets),
            env: Some(sandbox.env),
            topics: sandbox.topics,
            memory_max: Some(sandbox.memory_max),
            cpu_max_permille: sandbox.cpu_max_permille,
            call_timeout: Some(sandbox.call_timeout),
            log_rate: Some(sandbox.log_rate),
            sha256: sandbox.sha256,
        };
        Self(BTreeMap::from([(DEFAULT.to_owned(), settings)]))
    }
}

/// Plugin and setting. The setting is looked for at the end: a plugin's name may have dots.
fn split(key: &str) -> Option<(&str, &str)> {
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

impl Settings {
    fn set(&mut self, what: &str, value: &str, variables: &BTreeMap<String, String>) -> Result<(), String> {
        let value = value.trim();
        match what {
            "fs" => self.fs = Some(grants(value)?),
            "net" => {
                self.net =
                    Some(list(value).iter().map(|text| NetGrant::parse(text)).collect::<Result<_, _>>()?);
            }
            "net.connections.max" => self.net_connections = Some(number(value, 1, 10_000)?),
            "net.rate.max" => self.net_rate = Some(number(value, 1024, u64::MAX)?),
            "net.timeout.ms" => {
                self.net_timeout = Some(Duration::from_millis(number(value, 1, u32::MAX.into())?));
            }
            "net.response.max" => self.net_response_max = Some(number(value, 1, u64::MAX)?),
            "tls.ca" => self.tls_ca = Some(files(value)?),
            "tls.certificate" => self.tls_certificate = Some(file(value)?),
            "tls.key" => self.tls_key = Some(file(value)?),
            "secrets" => self.secrets = Some(list(value)),
            "env" => self.env = Some(environment(value, variables)),
            "topics" => self.topics = Some(list(value)),
            "memory.max" => self.memory_max = Some(number(value, 1 << 16, usize::MAX)?),
            "cpu.max" => self.cpu_max_permille = Some(share(value)?),
            "call.timeout.ms" => {
                self.call_timeout = Some(Duration::from_millis(number(value, 1, u32::MAX.into())?));
            }
            "log.rate" => self.log_rate = Some(number(value, 0, u32::MAX)?),
            _ => self.sha256 = Some(sha256(value)?),
        }
        Ok(())
    }

    fn apply(self, sandbox: &mut Sandbox) {
        fn over<T>(target: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *target = value;
            }
        }
        over(&mut sandbox.fs, self.fs);
        over(&mut sandbox.net, self.net);
        over(&mut sandbox.net_connections, self.net_connections);
        over(&mut sandbox.net_rate, self.net_rate.map(Some));
        over(&mut sandbox.net_timeout, self.net_timeout);
        over(&mut sandbox.net_response_max, self.net_response_max);
        over(&mut sandbox.tls_ca, self.tls_ca);
        over(&mut sandbox.tls_certificate, self.tls_certificate.map(Some));
        over(&mut sandbox.tls_key, self.tls_key.map(Some));
        over(&mut sandbox.secrets, self.secrets);
        over(&mut sandbox.env, self.env);
        over(&mut sandbox.topics, self.topics.map(Some));
        over(&mut sandbox.memory_max, self.memory_max);
        over(&mut sandbox.cpu_max_permille, self.cpu_max_permille.map(Some));
        over(&mut sandbox.call_timeout, self.call_timeout);
        over(&mut sandbox.log_rate, self.log_rate);
        over(&mut sandbox.sha256, self.sha256.map(Some));
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
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Sandboxes, Problems) {
        let raw = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let variables = [("AWS_KEY", "k"), ("AWS_REGION", "r"), ("HOME", "/root")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut problems = Problems::default();
        (Sandboxes::read(&raw, &variables, &mut problems), problems)
    }

    fn sandbox(pairs: &[(&str, &str)]) -> Sandbox {
        let (all, problems) = read(pairs);
        assert_eq!(problems.to_string(), "");
        all.of("p")
    }

    #[track_caller]
    fn refused(key: &str, value: &str, message: &str) {
        let (_, problems) = read(&[(key, value)]);
        assert_eq!(problems.0.len(), 1, "{problems}");
        assert!(problems.0[0].message.contains(message), "{problems}");
    }

    #[test]
    fn nothing_is_granted_that_is_not_listed() {
        let sandbox = sandbox(&[("sandbox.other.fs", "/data:rw")]);
        assert_eq!(sandbox, Sandbox::default());
        assert!(
            sandbox.fs.is_empty() && sandbox.env.is_empty() && sandbox.net.is_empty() && !sandbox.blocks()
        );
    }

    #[test]
    fn directories_are_read_only_unless_told_otherwise() {
        let sandbox = sandbox(&[("sandbox.p.fs", " /data/in/ , /data/out:rw")]);
        let grant = |dir: &str, write| Grant { dir: dir.into(), write };
        assert_eq!(sandbox.fs, [grant("/data/in", false), grant("/data/out", true)]);
        assert!(sandbox.blocks());
    }

    #[test]
    fn the_plugins_own_setting_wins_over_the_default() {
        let sandbox = sandbox(&[
            ("sandbox.default.fs", "/a"),
            ("sandbox.default.memory.max", "1000000"),
            ("sandbox.default.log.rate", "7"),
            ("sandbox.p.memory.max", "2000000"),
            ("sandbox.p.fs", ""),
        ]);
        assert_eq!((sandbox.memory_max, sandbox.log_rate, sandbox.fs.len()), (2_000_000, 7, 0));
    }

    #[test]
    fn a_plugins_name_may_have_dots() {
        let (all, problems) = read(&[("sandbox.my.own.call.timeout.ms", "5")]);
        assert_eq!(problems.0.len(), 0);
        assert_eq!(all.of("my.own").call_timeout, Duration::from_millis(5));
    }

    #[test]
    fn environment_is_granted_by_name_or_pattern() {
        assert_eq!(sandbox(&[("sandbox.p.env", "AWS_*")]).env.len(), 2);
        assert_eq!(sandbox(&[("sandbox.p.env", "HOME,NOT_THERE")]).env, [("HOME".into(), "/root".into())]);
    }

    #[test]
    fn topics_are_open_until_they_are_listed() {
        assert!(sandbox(&[]).may_write_topic("any"));
        let listed = sandbox(&[("sandbox.p.topics", "a,logs-*")]);
        assert!(
            listed.may_write_topic("a") && listed.may_write_topic("logs-1") && !listed.may_write_topic("b")
        );
        assert!(!sandbox(&[("sandbox.p.topics", "")]).may_write_topic("a"));
    }

    #[test]
    fn what_is_wrong_says_what_would_be_right() {
        refused("sandbox.p.fs", "data", "absolute path");
        refused("sandbox.p.fs", "/data/../etc", "absolute path");
        refused("sandbox.p.fs", "/data,/data:rw", "listed twice");
        refused("sandbox.p.memory.max", "1GB", "whole number");
        refused("sandbox.p.call.timeout.ms", "0", "from 1");
        refused("sandbox.p.cpu.max", "half", "share of a core");
        refused("sandbox.p.sha256", "abc", "64 hexadecimal digits");
        refused("sandbox.default.sha256", &"0".repeat(64), "name the plugin");
        refused("sandbox.p.memory.maxx", "1", "did you mean sandbox.<plugin>.memory.max");
        refused("sandbox.fs", "/data", "did you mean sandbox.<plugin>.fs?");
        refused("sandbox.p.everything", "/data", "followed by one of");
    }

    #[test]
    fn a_throw_away_instance_keeps_the_limits_and_loses_the_grants() {
        let sandbox = sandbox(&[("sandbox.p.fs", "/data:rw"), ("sandbox.p.memory.max", "70000")]);
        assert_eq!(sandbox.nothing(), Sandbox { memory_max: 70_000, ..Sandbox::default() });
    }

    #[test]
    fn the_key_of_a_grant_can_be_pasted_into_the_configuration() {
        assert_eq!(fs_key("file-sink", Path::new("/data/out"), true), "sandbox.file-sink.fs=/data/out:rw");
    }
}
