//! The connector: whether a configuration is right, and how the work is shared out.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::contract;
use super::report::{Checked, Miss, Recorder};
use super::rig::{LATE, Recalled, Rig, json, recalled};
use crate::config::{ConfigKey, RawConfig, Type, validate};
use crate::plugin::{CallError, ConnectorInstance, Validated};

/// So many tasks are asked for.
const MAX_TASKS: [u32; 2] = [1, 4];
/// Text that hardly any setting means.
const GARBAGE: &str = "\u{7f}\u{1} no such: thing, 🚪 {\"\\";
/// How long `watch` is asked to wait, first to its end and then to be asked for.
const WATCH: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(20)];
/// Files that are looked at for side effects, at most.
const FILES: usize = 10_000;

type TaskConfig = Map<String, Value>;

/// Makes the checks of the connector, and finds out with which configuration a task runs.
pub(super) async fn check(recorder: &mut Recorder<'_>, rig: &mut Rig) {
    recorder.check(&contract::ACCEPTS, accepts(rig)).await;
    recorder.check(&contract::PURE, pure(rig)).await;
    recorder.check(&contract::ANSWERS, answers(rig)).await;
    recorder.check(&contract::STARTS, starts(rig)).await;
    let mut first = None;
    recorder.check(&contract::TASKS, tasks(rig, &mut first)).await;
    recorder.check(&contract::STABLE, stable(rig, &first)).await;
    recorder.check(&contract::WATCHES, watches(rig)).await;
    rig.task = first.unwrap_or_default();
}

/// What is wrong with a configuration: by the definition, or else by the plugin, as the worker asks.
async fn problems(rig: &Rig, raw: &RawConfig) -> Result<Vec<String>, Miss> {
    let defined = validate(&rig.plugin.manifest().config, raw);
    let wrong: Vec<String> = defined.into_iter().flat_map(|report| report.errors).collect();
    if !wrong.is_empty() {
        return Ok(wrong);
    }
    let mut instance = ConnectorInstance::new(&rig.plugin, rig.of_connector()).await?;
    let answer = instance.validate(&json(raw)).await?;
    let validated = Validated::parse(&answer).map_err(|error| {
        Miss::Failed(format!("validate answered {answer:?}, which is not the form of its answers: {error}"))
    })?;
    Ok(validated.errors.into_iter().map(|(key, message)| format!("{key}: {message}")).collect())
}

async fn accepts(rig: &Rig) -> Checked {
    let wrong = problems(rig, &rig.raw).await?;
    match wrong.is_empty() {
        true => Ok("the given configuration is right".to_owned()),
        false => Err(Miss::Failed(format!(
            "the given configuration is refused, by --config it can be made right: {}",
            wrong.join("; ")
        ))),
    }
}

async fn pure(rig: &Rig) -> Checked {
    let granted: Vec<&Path> =
        rig.sandbox.fs.iter().filter(|grant| grant.write).map(|grant| grant.dir.as_path()).collect();
    let before = files(&granted);
    let first = problems(rig, &rig.raw).await?;
    let second = problems(rig, &rig.raw).await?;
    if first != second {
        return Err(Miss::Failed(format!("first it finds {first:?} wrong, then {second:?}")));
    }
    let after = files(&granted);
    let changed = after.iter().find(|(path, state)| before.get(*path) != Some(state));
    let gone = before.keys().find(|path| !after.contains_key(*path));
    match changed.map(|(path, _)| path).or(gone) {
        Some(path) => Err(Miss::Failed(format!("{} was changed by it", path.display()))),
        None => Ok(format!("the same answer twice, and {} files untouched", after.len())),
    }
}

/// The files in some folders, each with what changes when it is written.
fn files(folders: &[&Path]) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| (*folder).to_owned()).collect();
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if found.len() >= FILES {
                return found;
            }
            if metadata.is_dir() {
                open.push(entry.path());
            }
            let _ = found.insert(entry.path(), (metadata.size(), metadata.mtime(), metadata.mtime_nsec()));
        }
    }
    found
}

async fn answers(rig: &Rig) -> Checked {
    let named = |key: &&String| ["name", "connector.class"].contains(&key.as_str());
    let empty: RawConfig = rig
        .raw
        .iter()
        .filter(|(key, _)| named(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let mut refused = usize::from(!problems(rig, &empty).await.map_err(about("nothing"))?.is_empty());
    let mut asked = 1;
    for key in &rig.plugin.manifest().config {
        for value in garbage(key) {
            let mut raw = rig.raw.clone();
            let _ = raw.insert(key.name.clone(), (*value).to_owned());
            let wrong = problems(rig, &raw).await.map_err(about(&format!("{}={value:?}", key.name)))?;
            refused += usize::from(!wrong.is_empty());
            asked += 1;
        }
    }
    Ok(format!("{asked} odd configurations, of which {refused} were refused"))
}

fn about(what: &str) -> impl FnOnce(Miss) -> Miss + use<'_> {
    move |miss| match miss {
        Miss::Failed(reason) | Miss::Late(reason) => Miss::Failed(format!("asked about {what}: {reason}")),
        skipped @ Miss::Skipped(_) => skipped,
    }
}

/// Values that hardly any setting of this type means; those that the type itself forbids never reach a plugin.
fn garbage(key: &ConfigKey) -> &'static [&'static str] {
    match key.kind {
        Type::Boolean => &["true", "false", GARBAGE],
        Type::Short => &["-32768", "0", "32767", GARBAGE],
        Type::Int => &["-2147483648", "0", "2147483647", GARBAGE],
        Type::Long => &["-9223372036854775808", "0", "9223372036854775807", GARBAGE],
        Type::Double => &["NaN", "-1e308", GARBAGE],
        Type::List => &["", ",,,", GARBAGE],
        Type::String | Type::Class | Type::Password => &["", GARBAGE],
    }
}

async fn started(rig: &Rig) -> Result<ConnectorInstance, CallError> {
    let mut instance = ConnectorInstance::new(&rig.plugin, rig.of_connector()).await?;
    instance.start(&json(&rig.raw)).await?;
    Ok(instance)
}

async fn starts(rig: &Rig) -> Checked {
    started(rig).await?.stop().await?;
    Ok("and stops".to_owned())
}

/// What a new instance plans for so many tasks at most.
async fn planned(rig: &Rig, max_tasks: u32) -> Result<Vec<TaskConfig>, Miss> {
    let mut instance = started(rig).await?;
    let configs = instance.task_configs(max_tasks).await?;
    let _ = instance.stop().await;
    if configs.len() > max_tasks as usize {
        return Err(Miss::Failed(format!("{} tasks, where at most {max_tasks} are allowed", configs.len())));
    }
    let read = |text: String| {
        let config: BTreeMap<String, String> = serde_json::from_str(&text).map_err(|error| {
            Miss::Failed(format!("task-configs answered {text:?}, which is no object of strings: {error}"))
        })?;
        Ok(config.into_iter().map(|(key, value)| (key, Value::String(value))).collect())
    };
    configs.into_iter().map(read).collect()
}

async fn tasks(rig: &Rig, first: &mut Option<TaskConfig>) -> Checked {
    let mut seen = Vec::new();
    for max_tasks in MAX_TASKS {
        let mut configs = planned(rig, max_tasks).await?;
        seen.push(format!("{} of {max_tasks}", configs.len()));
        if first.is_none() && !configs.is_empty() {
            *first = Some(configs.swap_remove(0));
        }
    }
    match first {
        Some(_) => Ok(seen.join(", ")),
        None => Err(Miss::Failed("it plans no task, so that nothing of its tasks can be tested".to_owned())),
    }
}

async fn stable(rig: &Rig, first: &Option<TaskConfig>) -> Checked {
    let again = planned(rig, MAX_TASKS[0]).await?.into_iter().next();
    if again != *first {
        return Err(Miss::Failed("planned twice, the same task has another configuration".to_owned()));
    }
    Ok("planned twice".to_owned())
}

async fn watches(rig: &Rig) -> Checked {
    if !rig.plugin.manifest().watch {
        return Err(Miss::Skipped("its manifest says that it does not watch".to_owned()));
    }
    let setup = rig.of_connector();
    let should_stop = Arc::clone(&setup.should_stop);
    let mut instance = ConnectorInstance::new(&rig.plugin, setup).await?;
    instance.start(&json(&rig.raw)).await?;
    let _ = instance.task_configs(MAX_TASKS[0]).await?;
    let begun = Instant::now();
    let _ = instance.watch(WATCH[0]).await?;
    if begun.elapsed() > WATCH[0] + LATE {
        return Err(Miss::Failed(format!(
            "asked to wait {} ms at most, it waited {} ms",
            WATCH[0].as_millis(),
            begun.elapsed().as_millis()
        )));
    }
    let note = match recalled("watch", &should_stop, instance.watch(WATCH[1])).await? {
        Recalled::Early(_) => "it does not wait".to_owned(),
        Recalled::After(time) => format!("back {} ms after it was asked for", time.as_millis()),
    };
    instance.stop().await?;
    Ok(note)
}
