//! Whether a configuration is right: asked by whoever validates one, and before any is used.
//!
//! Both go the same way and find the same, everything at once: first what the definitions and the worker say, then
//! what Kafka's clients take, then what only the plugin knows. The plugin is asked on an instance that is thrown
//! away, under the limits of every guest, and only when nothing is wrong with its own settings: so it may rely on
//! them. No task starts, and nothing is changed.

use std::sync::Arc;

use super::api::{RawConfig, WorkerError};
use super::{Worker, stage};
use crate::config::{ConnectorConfig, Draft, Kind, Problem, Problems, ValidationReport, VersionRange};
use crate::connector::advice;
use crate::plugin::{self, Plugin};

impl Worker {
    /// Checks a configuration without using it.
    ///
    /// # Errors
    /// It names no plugin that there is.
    pub(crate) async fn validate(&self, draft: Draft) -> Result<ValidationReport, WorkerError> {
        Ok(self.examine(draft).await?.1)
    }

    /// The plugin that a connector's configuration names.
    fn plugin_of(&self, raw: &RawConfig) -> Result<Arc<Plugin>, WorkerError> {
        let Some(class) = raw.get("connector.class") else {
            // Without the values, among which there may be passwords.
            let keys: Vec<_> = raw.keys().map(String::as_str).collect();
            let message = format!("Connector config {{{}}} contains no connector type", keys.join(", "));
            return Err(WorkerError::BadRequest(message));
        };
        let plugin = self.plugin(class, VersionRange::of(raw).as_ref())?;
        if plugin.kind() == Kind::Transform {
            return Err(WorkerError::BadRequest(format!("{class} is a transformation, not a connector")));
        }
        Ok(plugin)
    }

    /// A configuration that is right as far as the worker, the definition and the plugin can tell.
    pub(super) async fn checked(
        &self,
        name: &str,
        mut raw: RawConfig,
    ) -> Result<ConnectorConfig, WorkerError> {
        let given = raw.entry("name".to_owned()).or_insert_with(|| name.to_owned());
        if given != name {
            return Err(WorkerError::BadRequest(format!(
                "Connector name configuration ({given}) doesn't match connector name in the URL ({name})"
            )));
        }
        let (config, report) = self.examine(Draft { values: raw, nulls: Vec::new() }).await?;
        report.problems(&config.raw).or(config).map_err(WorkerError::InvalidConfig)
    }

    /// The report, and the configuration, which is one to go by if nothing is wrong.
    async fn examine(&self, draft: Draft) -> Result<(ConnectorConfig, ValidationReport), WorkerError> {
        let plugin = self.plugin_of(&draft.values)?;
        let services = &self.inner.services;
        let (with, asked) = (services.clone(), plugin.clone());
        // A null is not for plugins, who know of texts alone.
        let complete = plugin.manifest().config.iter().all(|key| !draft.nulls.contains(&key.name));
        let resolving = stage::enter("resolving transformed configuration properties for the connector");
        let examined = plugin::off_thread(move || {
            let versions = with.registry.versions(&asked.manifest().class);
            let (config, mut report) =
                ConnectorConfig::examine(draft, &asked.described(&versions), &with.config);
            let clients = with.check_clients(&config, asked.kind());
            if let Err(problems) = clients.and_then(|()| with.check_group(&config, asked.kind())) {
                report.add(problems);
            }
            (config, report)
        });
        let (config, mut report) = examined.await.ok_or_else(too_slow)?;
        drop(resolving);
        let own = &plugin.manifest().config;
        if complete && report.accepts_key("connector.class") && report.accepts(own) {
            let _stage = stage::enter("performing multi-property validation for the connector");
            match advice(services, &config, &plugin).await {
                Ok((problems, advice)) => {
                    report.advise(&advice, own);
                    report.add(problems);
                }
                Err(problems) => report.add(problems),
            }
        }
        Ok((config, report))
    }
}

/// What a configuration refers to took too long to be read.
pub(super) fn too_slow() -> WorkerError {
    WorkerError::InvalidConfig(Problems(vec![Problem::without_value("config.providers", plugin::too_slow())]))
}
