//! Reading the files that users name, and what surrounds the worker: the only place that does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::secrets::Secrets;
use super::worker::{Mode, Surroundings, WorkerConfig};
use super::{Problem, Problems, Properties, RawConfig, Sandboxes, Target, Vault};

/// A connector from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectorFile {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) config: RawConfig,
    /// What the connector shall be doing at first.
    pub(crate) target: Target,
}

/// Reads a worker's configuration.
///
/// # Errors
/// The file cannot be read, or everything that is wrong with it.
pub(crate) fn load_worker(mode: Mode, path: &Path) -> Result<WorkerConfig, Problems> {
    let config = check_worker(mode, &Properties::parse(&read(path)?)?.into_map())?;
    for note in &config.notes {
        tracing::info!("{}: {note}", path.display());
    }
    Ok(config)
}

/// Reads a file in PEM that the operator named.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read_pem(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
}

/// Checks a worker's configuration, wherever it comes from.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn check_worker(mode: Mode, raw: &RawConfig) -> Result<WorkerConfig, Problems> {
    let surroundings = Surroundings {
        variables: variables(),
        hostname: hostname(),
        directory: env::current_dir().map_err(|error| unreadable(Path::new("."), &error))?,
    };
    WorkerConfig::parse(mode, raw, &surroundings)
}

/// What a plugin is tested alone with.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) sandboxes: Sandboxes,
    /// The connector's settings, with their references resolved.
    pub(crate) settings: RawConfig,
    /// What the worker knows in secret.
    pub(crate) vault: Vault,
}

/// Reads what a plugin that is tested alone may do and what it is configured with: of a worker's configuration the
/// `sandbox.*` and all about secrets, and beside it grants such as `fs=/dir:rw`, which win. One that is given several
/// times is a list.
///
/// # Errors
/// The file cannot be read, or everything that is wrong with what is granted, or with references.
pub(crate) fn load_bench(
    worker: Option<&Path>,
    plugin: &str,
    grants: &[String],
    settings: &RawConfig,
) -> Result<Bench, Problems> {
    let raw = match worker {
        Some(path) => Properties::parse(&read(path)?)?.into_map(),
        None => RawConfig::new(),
    };
    let mut problems = Problems::default();
    let variables = variables();
    let vault = Vault::new(Secrets::read(&raw, &variables, &mut problems));
    let mut written: RawConfig = raw.into_iter().filter(|(key, _)| key.starts_with("sandbox.")).collect();
    let mut given = RawConfig::new();
    for grant in grants {
        let Some((what, value)) = grant.split_once('=') else {
            problems.push(Problem::without_value(grant, "a grant is written as fs=/dir:rw"));
            continue;
        };
        let list = given.entry(format!("sandbox.{plugin}.{}", what.trim())).or_default();
        list.push_str(if list.is_empty() { "" } else { "," });
        list.push_str(value);
    }
    written.append(&mut given);
    let expansion = vault.expand(&written);
    let mut wrong = Problems::default();
    let sandboxes = Sandboxes::read(&expansion.config, &variables, &mut wrong);
    problems.0.extend(expansion.settle(&written, wrong, &vault).0);
    let settings = vault.resolve(settings).unwrap_or_else(|found| {
        problems.0.extend(found.0);
        RawConfig::new()
    });
    problems.or(Bench { sandboxes, settings, vault })
}

/// Reads settings from where the command line has them: `key=value`, or the name of a file as
/// [`load_connector`] takes it, though it may name no connector. What comes later wins.
///
/// # Errors
/// Everything that is wrong with them.
pub(crate) fn load_settings(given: &[String]) -> Result<RawConfig, Problems> {
    let mut problems = Problems::default();
    let mut config = RawConfig::new();
    for text in given {
        let settings = match text.split_once('=') {
            Some((key, value)) => Ok(RawConfig::from([(key.trim().to_owned(), value.to_owned())])),
            None => read_settings(Path::new(text)).map(|(name, mut settings, _)| {
                settings.extend(name.map(|name| ("name".to_owned(), name)));
                settings
            }),
        };
        match settings {
            Ok(mut settings) => config.append(&mut settings),
            Err(found) => problems.0.extend(found.0),
        }
    }
    problems.or(config)
}

/// Reads a connector's configuration: a `.properties` file, or JSON, either `{"name", "config",
/// "initial_state"}` as the REST API takes it or the settings alone.
///
/// # Errors
/// The file cannot be read or is no such file.
pub(crate) fn load_connector(path: &Path) -> Result<ConnectorFile, Problems> {
    let (name, config, target) = read_settings(path)?;
    match name.or_else(|| config.get("name").cloned()).map(|name| name.trim().to_owned()) {
        Some(name) if !name.is_empty() => Ok(ConnectorFile { path: path.to_owned(), name, config, target }),
        _ => Err(one(Problem::without_value("name", format!("{} names no connector", path.display())))),
    }
}

/// A connector's name, where it stands beside its settings, these, and what it shall be doing.
fn read_settings(path: &Path) -> Result<(Option<String>, RawConfig, Target), Problems> {
    let bytes = read(path)?;
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        from_json(path, &bytes)
    } else {
        Ok((None, Properties::parse(&bytes)?.into_map(), Target::Running))
    }
}

/// As the body of a request that creates a connector.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    name: String,
    config: Map<String, Value>,
    initial_state: Option<String>,
}

fn from_json(path: &Path, bytes: &[u8]) -> Result<(Option<String>, RawConfig, Target), Problems> {
    let malformed =
        |error: serde_json::Error| one(Problem::without_value(path.display().to_string(), error.to_string()));
    let object: Map<String, Value> = serde_json::from_slice(bytes).map_err(malformed)?;
    if !object.get("config").is_some_and(Value::is_object) {
        return Ok((None, settings(object)?, Target::Running));
    }
    let request: Request = serde_json::from_value(Value::Object(object)).map_err(malformed)?;
    let word = request.initial_state.unwrap_or_else(|| "RUNNING".to_owned());
    let Some(target) = Target::parse(&word) else {
        let shown = word.to_ascii_uppercase();
        return Err(one(Problem::new("initial_state", shown, "must be RUNNING, PAUSED or STOPPED")));
    };
    Ok((Some(request.name), settings(request.config)?, target))
}

/// Numbers and truth values count as the text that they are written as.
fn settings(object: Map<String, Value>) -> Result<RawConfig, Problems> {
    let mut problems = Problems::default();
    let mut config = RawConfig::new();
    for (key, value) in object {
        let text = match value {
            Value::String(text) => text,
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null => {
                let message = "Null value can not be supplied as the configuration value.";
                problems.push(Problem::without_value(key, message));
                continue;
            }
            Value::Array(_) | Value::Object(_) => {
                problems.push(Problem::new(key, value.to_string(), "must be a text"));
                continue;
            }
        };
        let _ = config.insert(key, text);
    }
    problems.or(config)
}

fn read(path: &Path) -> Result<Vec<u8>, Problems> {
    fs::read(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problems {
    one(Problem::without_value(path.display().to_string(), format!("cannot be read: {error}")))
}

fn one(problem: Problem) -> Problems {
    Problems(vec![problem])
}

/// The environment. Variables whose name or value is no text are of no use to anybody here.
fn variables() -> BTreeMap<String, String> {
    env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The machine's name, as others may know it.
fn hostname() -> String {
    let name =
        fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| fs::read_to_string("/etc/hostname"));
    let name = name.ok().or_else(|| env::var("HOSTNAME").ok()).unwrap_or_default();
    if name.trim().is_empty() { "localhost".to_owned() } else { name.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, content: &str) -> Result<ConnectorFile, Problems> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        load_connector(&path)
    }

    fn config(pairs: &[(&str, &str)]) -> RawConfig {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_connector_comes_from_properties() {
        let file = load("c.properties", "name=c\nconnector.class=File\n").unwrap();
        assert_eq!((file.name.as_str(), file.target), ("c", Target::Running));
        assert_eq!(file.config, config(&[("name", "c"), ("connector.class", "File")]));
    }

    #[test]
    fn a_connector_comes_from_json_as_the_rest_api_takes_it() {
        let text = r#"{"name": "c", "config": {"tasks.max": 2, "x": true}, "initial_state": "paused"}"#;
        let file = load("c.json", text).unwrap();
        assert_eq!((file.name.as_str(), file.target), ("c", Target::Paused));
        assert_eq!(file.config, config(&[("tasks.max", "2"), ("x", "true")]));
    }

    #[test]
    fn a_connector_comes_from_flat_json() {
        let file = load("c.json", r#"{"name": "c", "config": "x"}"#).unwrap();
        assert_eq!(file.config, config(&[("name", "c"), ("config", "x")]));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told() {
        for (name, content, expected) in [
            ("c.properties", "a=b", "names no connector"),
            ("c.json", "{", "c.json: EOF"),
            ("c.json", r#"{"name": "c", "config": {}, "state": "x"}"#, "unknown field `state`"),
            (
                "c.json",
                r#"{"name": "c", "config": {}, "initial_state": "x"}"#,
                "must be RUNNING, PAUSED or STOPPED",
            ),
            (
                "c.json",
                r#"{"name": "c", "a": null}"#,
                "Null value can not be supplied as the configuration value.",
            ),
            ("c.json", r#"{"name": "c", "a": []}"#, "must be a text"),
        ] {
            let problems = load(name, content).unwrap_err();
            assert!(problems.to_string().contains(expected), "{problems}");
        }
        let missing = load_connector(Path::new("/not/there.json")).unwrap_err();
        assert!(missing.to_string().starts_with("/not/there.json: cannot be read"), "{missing}");
    }

    #[test]
    fn a_worker_comes_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.properties");
        fs::write(&path, "key.converter=String\nvalue.converter=String\noffset.storage.file.filename=/o\n")
            .unwrap();
        let worker = load_worker(Mode::Standalone, &path).unwrap();
        assert_eq!(worker.offsets_file, Path::new("/o"));
        assert!(worker.advertised.ends_with(":8083") && !worker.advertised.starts_with(':'));
    }
}
