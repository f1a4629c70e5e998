//! Whether the file is a plugin, and says so in the same words every time.

use std::path::Path;
use std::sync::Arc;

use super::contract;
use super::report::{Check, Checked, Miss, Recorder, told};
use crate::config::{Sandbox, Sandboxes, validate};
use crate::plugin::{Engine, LoadError, Plugin};

/// What loading finds out, in its order.
const STEPS: [&Check; 5] =
    [&contract::LOADS, &contract::DESCRIBES, &contract::MANIFEST, &contract::KIND, &contract::FILE_NAME];

/// Loads the plugin as a worker would, and takes apart what that tells.
pub(super) async fn load(
    recorder: &mut Recorder<'_>,
    engine: &Engine,
    file: &Path,
    sandboxes: &Sandboxes,
) -> Option<Arc<Plugin>> {
    let loaded = Plugin::load(engine, file, sandboxes);
    let failed = loaded.as_ref().err().map(|error| (step(error), told(error)));
    for (index, check) in STEPS.into_iter().enumerate() {
        let checked = match &failed {
            Some((step, reason)) if *step == index => Err(Miss::Failed(reason.clone())),
            _ => Ok(loaded.as_ref().map_or_else(|_| "ok".to_owned(), |plugin| seen(index, plugin))),
        };
        recorder.check(check, async { checked }).await;
    }
    loaded.ok()
}

/// Which of the steps failed.
fn step(error: &LoadError) -> usize {
    match error {
        LoadError::Describe(_) => 1,
        LoadError::Manifest(_) => 2,
        LoadError::Kind { .. } => 3,
        LoadError::FileName { .. } => 4,
        _ => 0,
    }
}

fn seen(step: usize, plugin: &Plugin) -> String {
    let manifest = plugin.manifest();
    match step {
        0 => format!("sha256 {}", plugin.sha256()),
        1 => "in time".to_owned(),
        2 => format!("{} settings", manifest.config.len()),
        3 => format!("a {}", manifest.kind),
        _ => format!("{} {}", manifest.name, manifest.version),
    }
}

/// What can be told from the description alone.
pub(super) async fn look(recorder: &mut Recorder<'_>, plugin: &Plugin, sandbox: &Sandbox) {
    recorder.check(&contract::SAME, async { same(plugin, sandbox) }).await;
    recorder.check(&contract::DEFAULTS, async { defaults(plugin) }).await;
}

fn same(plugin: &Plugin, sandbox: &Sandbox) -> Checked {
    let again = plugin.describe(sandbox).map_err(|error| Miss::Failed(told(&error)))?;
    if again == *plugin.manifest() {
        return Ok("asked twice".to_owned());
    }
    let text = |manifest| serde_json::to_string(manifest).expect("a manifest is JSON");
    let (first, second) = (text(plugin.manifest()), text(&again));
    let differ = first.chars().zip(second.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8());
    let from = first.floor_char_boundary(differ.sum::<usize>().saturating_sub(20));
    let cut = |text: &str| text.get(from..).unwrap_or_default().chars().take(60).collect::<String>();
    Err(Miss::Failed(format!("first it says …{}…, then …{}…", cut(&first), cut(&second))))
}

fn defaults(plugin: &Plugin) -> Checked {
    let with_default: Vec<_> =
        plugin.manifest().config.iter().filter(|key| key.default_value.is_some()).cloned().collect();
    let reports = validate(&with_default, &[].into());
    let wrong: Vec<String> = reports
        .into_iter()
        .filter(|report| report.definition.is_some())
        .flat_map(|report| report.errors)
        .collect();
    match wrong.is_empty() {
        true => Ok(format!("{} of them", with_default.len())),
        false => Err(Miss::Failed(wrong.join("; "))),
    }
}
