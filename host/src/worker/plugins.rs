//! Which plugins there are, and what they can be told.

use super::api::PluginInfo;
use super::{Worker, WorkerError};
use crate::config::{ConfigKey, wanted_of};
use crate::plugin::Plugin;

impl Worker {
    /// Every version of every plugin.
    pub(crate) fn plugins(&self) -> Vec<PluginInfo> {
        let list = self.inner.services.registry.list();
        list.iter().map(|plugin| plugin_info(plugin)).collect()
    }

    /// The definition of a plugin's own settings, then those of the worker.
    ///
    /// # Errors
    /// There is no such plugin, or none that the range `version` allows.
    pub(crate) fn plugin_config(
        &self,
        class: &str,
        version: Option<&str>,
    ) -> Result<Vec<ConfigKey>, WorkerError> {
        let registry = &self.inner.services.registry;
        let unknown = || WorkerError::NotFound(format!("Unknown plugin {class}."));
        let newest = registry.find(class).ok_or_else(unknown)?;
        let versions = registry.versions(class);
        let wanted = version.map(|version| wanted_of(class, version, &versions)).transpose();
        let wanted = wanted.map_err(WorkerError::BadRequest)?.flatten();
        let plugin = registry.pick(class, wanted.as_ref()).unwrap_or(newest);
        let own = plugin.manifest().config.clone();
        let common = crate::config::common_definitions(plugin.kind());
        let mut missing: Vec<_> =
            common.into_iter().filter(|key| own.iter().all(|other| other.name != key.name)).collect();
        for key in missing.iter_mut().filter(|key| key.name == "connector.plugin.version") {
            key.default_value = versions.last().cloned();
        }
        Ok(own.into_iter().chain(missing).collect())
    }
}

fn plugin_info(plugin: &Plugin) -> PluginInfo {
    PluginInfo {
        class: plugin.manifest().class.clone(),
        kind: plugin.kind(),
        version: plugin.version().to_string(),
        name: plugin.name().to_owned(),
        sha256: plugin.sha256().to_owned(),
    }
}
