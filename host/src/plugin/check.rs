//! What `transom plugin check FILE.wasm` prints: the plugin as the worker would load it.

use super::engine::Engine;
use super::load::{LoadError, Plugin};
use super::manifest::Manifest;
use crate::config::Sandboxes;
use serde::Serialize;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A plugin that would load, as the operator sees it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// The file.
    pub(crate) file: String,
    /// Its content hash, to pin it with.
    pub(crate) sha256: String,
    /// What the plugin says about itself.
    #[serde(flatten)]
    pub(crate) manifest: Manifest,
    /// Whether it answers for a connector (sources and sinks do).
    pub(crate) connector: bool,
}

/// Loads a plugin as the worker would, and tells what it is.
///
/// # Errors
/// When the worker would not take it.
pub(crate) fn check(engine: &Engine, path: &Path) -> Result<Report, LoadError> {
    let plugin: Arc<Plugin> = Plugin::load(engine, path, &Sandboxes::default())?;
    Ok(Report {
        file: path.display().to_string(),
        sha256: plugin.sha256().to_owned(),
        manifest: plugin.manifest().clone(),
        connector: plugin.code().exports.connector.is_some(),
    })
}

impl Report {
    /// The report for programs.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self)
            .unwrap_or_else(|error| format!("{{\"error\": {:?}}}", error.to_string()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Manifest { name, version, kind, class, aliases, doc, capabilities, config, .. } = &self.manifest;
        writeln!(f, "{name} {version}, a {kind}")?;
        if !doc.is_empty() {
            writeln!(f, "  {doc}")?;
        }
        writeln!(f, "  sha256   {}", self.sha256)?;
        writeln!(f, "  class    {class}")?;
        if !aliases.is_empty() {
            writeln!(f, "  aliases  {}", aliases.join(", "))?;
        }
        if !capabilities.is_empty() {
            let keys: Vec<_> = capabilities.iter().map(|what| format!("sandbox.{name}.{what}")).collect();
            writeln!(f, "  wants    {}", keys.join(", "))?;
        }
        writeln!(f, "  settings{}", if config.is_empty() { " none" } else { "" })?;
        for key in config {
            let kind = format!("{:?}", key.kind).to_lowercase();
            let must = match (&key.default_value, key.required) {
                (Some(value), _) => format!("default {value:?}"),
                (None, true) => "required".to_owned(),
                (None, false) => "optional".to_owned(),
            };
            writeln!(f, "    {} ({kind}, {must})  {}", key.name, key.documentation)?;
        }
        Ok(())
    }
}
