//! Configuration providers: values that stand in files or in the environment instead of a configuration.
//!
//! The worker lists them under Kafka Connect's names (`config.providers`, `config.providers.<name>.class`,
//! `config.providers.<name>.param.*`); `${name:path:key}` in a connector's value, in the worker's own or in a named
//! secret (`secret.<name>`) stands for what the provider has. What comes out is not looked at again for references.
//!
//! Whoever may write a connector may name any path and any key. So this is stricter than Kafka Connect: a provider
//! of files reads only below `allowed.paths`, which has to be there; one of variables only what
//! `allowlist.pattern` matches, likewise; and what cannot be resolved is an error, where Kafka Connect hands the
//! reference itself to the connector, as if it were the password.
//!
//! Everything is read anew each time, so that a new value needs no new configuration. A provider with a `param.ttl.ms`
//! (ours; Kafka Connect's own have none) is asked again that often while a connector runs that refers to it.

mod files;
mod reference;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path};
use std::time::Duration;

use regex::Regex;

use self::files::{Allowed, MAX};
use self::reference::{Piece, Reference, pieces};
use super::{Problem, Problems, Properties, RawConfig};

/// The worker's list of them.
pub(super) const LIST: &str = "config.providers";

/// The providers that the worker lists, by their names.
#[derive(Clone, Default)]
pub(super) struct Providers(BTreeMap<String, Listed>);

/// A provider, and how long what it says counts: `param.ttl.ms`.
#[derive(Clone)]
struct Listed {
    provider: Provider,
    ttl: Option<Duration>,
}

/// Their names alone: one has the environment.
impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[derive(Clone)]
enum Provider {
    /// The path is a file of properties.
    File(Allowed),
    /// The path is a folder, the key a file in it, the value all that the file has.
    Directory(Allowed),
    /// No path; the key is a variable. Those that may be read.
    Variables(BTreeMap<String, String>),
}

/// A value without references.
pub(super) struct Expanded {
    pub(super) text: String,
    /// What the references stood for.
    pub(super) secrets: Vec<String>,
}

/// The class that a provider names.
#[derive(Clone, Copy)]
enum Class {
    File,
    Directory,
    EnvVar,
}

impl Class {
    fn parse(text: &str) -> Option<Self> {
        let last = text.rsplit('.').next().unwrap_or(text);
        match last.strip_suffix("ConfigProvider").unwrap_or(last) {
            "File" => Some(Self::File),
            "Directory" => Some(Self::Directory),
            "EnvVar" => Some(Self::EnvVar),
            _ => None,
        }
    }

    /// The parameter that it has, and needs.
    fn parameter(self) -> &'static str {
        match self {
            Self::File | Self::Directory => "allowed.paths",
            Self::EnvVar => "allowlist.pattern",
        }
    }

    fn provider(self, value: &str, variables: &BTreeMap<String, String>) -> Result<Provider, String> {
        match self {
            Self::File => Allowed::parse(value).map(Provider::File),
            Self::Directory => Allowed::parse(value).map(Provider::Directory),
            Self::EnvVar => {
                let whole = Regex::new(&format!("^(?:{value})$")).map_err(|_| "is no pattern".to_owned())?;
                let may_be_read = variables.iter().filter(|(name, _)| whole.is_match(name));
                Ok(Provider::Variables(
                    may_be_read.map(|(name, value)| (name.clone(), value.clone())).collect(),
                ))
            }
        }
    }
}

impl Providers {
    /// Reads all `config.providers*` of a worker's configuration.
    pub(super) fn read(
        raw: &RawConfig,
        variables: &BTreeMap<String, String>,
        problems: &mut Problems,
    ) -> Self {
        let mut providers = Self::default();
        let mut settings = Settings { raw, variables, used: Vec::new() };
        let listed = raw.get(LIST).map(String::as_str).unwrap_or_default();
        let mut names: Vec<&str> = Vec::new();
        for name in listed.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
            if !plain || names.contains(&name) {
                let message =
                    format!("{name:?} is listed twice, or is no name of letters, digits, `_` and `-`");
                problems.push(Problem::new(LIST, listed, message));
                continue;
            }
            names.push(name);
            match settings.provider(name) {
                Ok(provider) => drop(providers.0.insert(name.to_owned(), provider)),
                Err(problem) => problems.push(problem),
            }
        }
        settings.check_rest(&names, problems);
        providers
    }

    /// Puts what they stand for in the place of all references.
    ///
    /// # Errors
    /// The first reference that cannot be resolved, and what would be right.
    pub(super) fn expand(&self, text: &str) -> Result<Expanded, String> {
        let mut expanded = Expanded { text: String::new(), secrets: Vec::new() };
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => expanded.text.push_str(text),
                Piece::Reference(reference) => {
                    let value = self.get(reference).map_err(|why| unresolved(reference, &why))?;
                    expanded.text.push_str(&value);
                    expanded.secrets.push(value);
                }
            }
            if expanded.text.len() > MAX {
                return Err(format!("with its references resolved it has more than {MAX} bytes"));
            }
        }
        Ok(expanded)
    }

    /// How long what the references in a text stand for counts: the shortest time of their providers.
    pub(super) fn ttl(&self, text: &str) -> Option<Duration> {
        let references = pieces(text).into_iter().filter_map(|piece| match piece {
            Piece::Reference(reference) => self.0.get(reference.provider)?.ttl,
            _ => None,
        });
        references.min()
    }

    fn get(&self, Reference { provider: name, path, key, .. }: Reference<'_>) -> Result<String, String> {
        let provider = self.0.get(name).ok_or_else(|| self.unknown(name))?;
        match &provider.provider {
            Provider::File(_) | Provider::Directory(_) if path.is_empty() => {
                Err(format!("{name} needs a path: write ${{{name}:/path:key}}"))
            }
            Provider::File(allowed) => property(&settle(allowed.read(Path::new(path)), name)?, path, key),
            Provider::Directory(allowed) => {
                let mut parts = Path::new(key).components();
                if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
                    return Err(format!("{key:?} is no name of a file in {path}"));
                }
                let file = Path::new(path).join(key);
                let bytes = settle(allowed.read(&file), name)?;
                String::from_utf8(bytes).map_err(|_| format!("{} is no text in UTF-8", file.display()))
            }
            Provider::Variables(_) if !path.is_empty() => {
                Err(format!("{name} takes no path: write ${{{name}:{key}}}"))
            }
            Provider::Variables(variables) => variables.get(key).cloned().ok_or_else(|| {
                format!(
                    "the worker has no variable {key}, or {LIST}.{name}.param.allowlist.pattern does not match it"
                )
            }),
        }
    }

    fn unknown(&self, name: &str) -> String {
        let known: Vec<_> = self.0.keys().map(String::as_str).collect();
        match known.is_empty() {
            true => format!("the worker lists no provider {name:?} in {LIST}, nor any other"),
            false => {
                format!("the worker lists no provider {name:?} in {LIST}; there are {}", known.join(", "))
            }
        }
    }
}

/// Whether there is any reference in a value.
pub(super) fn refers(text: &str) -> bool {
    // Most have no brace at all.
    text.contains("${") && pieces(text).iter().any(|piece| matches!(piece, Piece::Reference(_)))
}

fn unresolved(reference: Reference<'_>, why: &str) -> String {
    format!("{} cannot be resolved: {why}", reference.written)
}

/// Names the setting that would allow more.
fn settle(read: Result<Vec<u8>, String>, name: &str) -> Result<Vec<u8>, String> {
    read.map_err(|why| why.replace("allowed.paths", &format!("{LIST}.{name}.param.allowed.paths")))
}

fn property(bytes: &[u8], path: &str, key: &str) -> Result<String, String> {
    // Without the keys, which in a malformed file may be anything.
    let properties = Properties::parse(bytes).map_err(|problems| {
        let messages: Vec<_> = problems.0.into_iter().map(|problem| problem.message).collect();
        format!("{path} is no file of properties: {}", messages.join("; "))
    })?;
    let found = properties.entries.into_iter().find(|(name, ..)| name == key);
    found.map(|(_, value, _)| value).ok_or_else(|| format!("{path} has no key {key}"))
}

/// The worker's settings while providers are read from them.
struct Settings<'a> {
    raw: &'a RawConfig,
    variables: &'a BTreeMap<String, String>,
    /// The keys that said something.
    used: Vec<String>,
}

impl Settings<'_> {
    fn provider(&mut self, name: &str) -> Result<Listed, Problem> {
        let key = format!("{LIST}.{name}.class");
        self.used.push(key.clone());
        let known = "FileConfigProvider, DirectoryConfigProvider or EnvVarConfigProvider of \
                     org.apache.kafka.common.config.provider";
        let Some(text) = self.raw.get(&key) else {
            return Err(Problem::without_value(key, format!("must be set, to {known}")));
        };
        let class = Class::parse(text.trim())
            .ok_or_else(|| Problem::new(&key, text, format!("must be {known}; others are not there")))?;
        let key = format!("{LIST}.{name}.param.{}", class.parameter());
        self.used.push(key.clone());
        let Some(value) = self.raw.get(&key) else {
            let message = match class {
                Class::EnvVar => "must be set, to a pattern of the variables that may be read",
                _ => "must be set, to the files and folders that may be read",
            };
            return Err(Problem::without_value(key, message));
        };
        let provider =
            class.provider(value.trim(), self.variables).map_err(|why| Problem::new(key, value, why))?;
        Ok(Listed { provider, ttl: self.ttl(name)? })
    }

    /// `param.ttl.ms`: none is for ever.
    fn ttl(&mut self, name: &str) -> Result<Option<Duration>, Problem> {
        let key = format!("{LIST}.{name}.param.ttl.ms");
        self.used.push(key.clone());
        let Some(text) = self.raw.get(&key) else { return Ok(None) };
        match text.trim().parse() {
            Ok(millis) if millis >= 1_000 => Ok(Some(Duration::from_millis(millis))),
            _ => Err(Problem::new(key, text, "must be a number of milliseconds, 1000 at least")),
        }
    }

    /// Finds settings that say nothing.
    fn check_rest(&self, names: &[&str], problems: &mut Problems) {
        for key in self.raw.keys() {
            let Some(rest) = key.strip_prefix(LIST).and_then(|rest| rest.strip_prefix('.')) else { continue };
            let name = rest.split('.').next().unwrap_or(rest);
            if !names.contains(&name) {
                problems.push(Problem::without_value(key, format!("{LIST} does not list {name:?}")));
            } else if !self.used.contains(key) && !problems.0.iter().any(|problem| problem.key == *key) {
                let known: Vec<_> =
                    self.used.iter().filter(|used| used.starts_with(&format!("{LIST}.{name}."))).collect();
                let known: Vec<_> = known.into_iter().map(String::as_str).collect();
                let message = format!("unknown setting; this provider has {}", known.join(" and "));
                problems.push(Problem::without_value(key, message));
            }
        }
    }
}

#[cfg(test)]
mod tests;
