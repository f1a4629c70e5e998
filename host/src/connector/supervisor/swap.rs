//! Other code for a connector that runs: a new version of its plugin.
//!
//! The new version has to accept the configuration and, where it watches the outside system, to start the connector
//! and plan; else the connector stays with the old one and says so. Then the tasks move, one after the other, each
//! by the one path, and with the same rule for themselves.
//!
//! New code is on probation first (`plugin.probation.ms`): a task whose instance of it fails goes back to the code
//! before it, and then the whole connector does.

use std::sync::Arc;

use tracing::{info, warn};

use super::Supervisor;
use crate::connector::lifecycle::Target;
use crate::connector::observer::Word;
use crate::connector::plan::{self, TaskConfig};
use crate::connector::status::SwapReport;
use crate::plugin::Plugin;
use crate::task::context::code_version;

impl Supervisor {
    /// The newest code that the configuration allows.
    pub(super) fn pick(&self) -> Option<Arc<Plugin>> {
        self.services.registry.pick(&self.config.class, self.config.version.as_ref())
    }

    pub(super) fn no_plugin(&self) -> String {
        let class = &self.config.class;
        let versions = self.services.registry.versions(class);
        match &self.config.version {
            Some(range) if !versions.is_empty() => format!(
                "no plugin for connector.class={class} with connector.plugin.version={range} in plugin.path; its \
                 versions there: {}",
                versions.join(", ")
            ),
            _ => format!("no plugin for connector.class={class} in plugin.path"),
        }
    }

    /// Moves the tasks to the newest code that there is for them, one after the other.
    pub(super) async fn swap(&mut self) {
        let Some(plugin) = self.pick() else { return };
        let Some(old) = self.plugin.clone() else {
            // It may be what the connector was missing.
            return if self.target == Target::Running {
                self.reach().await
            };
        };
        if old.sha256() == plugin.sha256() || self.put_aside.as_deref() == Some(plugin.sha256()) {
            return;
        }
        let Some(valid) = self.answer(plan::validate(&self.services, &self.config, &plugin)).await else {
            return;
        };
        if let Err(problems) = valid {
            return self.refuse(&plugin, &format!("refuses the connector's configuration: {problems}"));
        }
        let Ok(configs) = self.swap_observer(&plugin).await else { return };
        info!(
            connector = self.config.name,
            "replacing plugin {}: version {} ({}) by version {} ({})",
            plugin.name(),
            old.version(),
            old.sha256(),
            plugin.version(),
            plugin.sha256()
        );
        (self.plugin, self.before, self.put_aside) = (Some(plugin.clone()), Some(old.clone()), None);
        self.shown.set_code(plugin.kind(), code_version(&plugin));
        match configs {
            Some(configs) => self.apply(configs).await,
            // What the old one's instance said last, a failure maybe, shall not be the last word.
            None if self.target == Target::Running && old.manifest().watch => self.replan().await,
            None => {}
        }
        if !self.is_active() {
            // A connector that failed to plan gets another chance with other code.
            return self.reach().await;
        }
        self.swapping = self.tasks.numbers().collect();
        self.swap_one();
    }

    /// Moves the connector's own instance to new code, if it has one and that wants one. Some: what the new one
    /// plans. An error: it could not start, and the old code goes on.
    async fn swap_observer(&mut self, plugin: &Arc<Plugin>) -> Result<Option<Vec<TaskConfig>>, ()> {
        self.unobserve(self.services.config.shutdown_timeout).await;
        if self.target != Target::Running || !plugin.manifest().watch {
            return Ok(None);
        }
        match self.first_word(plugin).await {
            None => Err(()),
            Some(Word::Planned(configs)) => Ok(Some(configs)),
            Some(Word::Failed { trace, .. }) => {
                self.unobserve(self.services.config.shutdown_timeout).await;
                self.refuse(plugin, &format!("failed to start the connector: {trace}"));
                if self.watches() {
                    self.observe().await;
                }
                Err(())
            }
        }
    }

    /// Returns to the code before this one, which a task could not go on with: one connector runs one version. It
    /// is not taken again before another file comes, or the connector is started anew.
    pub(super) async fn go_back(&mut self, report: &SwapReport) {
        let (Some(old), Some(new)) = (self.before.take(), self.plugin.clone()) else { return };
        self.swapping.clear();
        self.put_aside = Some(new.sha256().to_owned());
        self.plugin = Some(old.clone());
        self.shown.set_code(old.kind(), code_version(&old));
        let why = report.error.as_deref().unwrap_or_default();
        self.refuse(&new, &format!("was rolled back: {why}"));
        self.tasks.each(|task| task.order(|order| order.plugin = old.clone()));
        if new.manifest().watch || old.manifest().watch {
            self.unobserve(self.services.config.shutdown_timeout).await;
            if self.target == Target::Running && self.watches() {
                self.observe().await;
            }
        }
    }

    /// Reports new code that is not taken.
    fn refuse(&self, plugin: &Plugin, why: &str) {
        let old = self.plugin.as_ref().map_or_else(String::new, |old| old.version().to_string());
        let problem =
            format!("version {} ({}) {why}; version {old} goes on", plugin.version(), plugin.sha256());
        warn!(connector = self.config.name, "plugin {}: {problem}", plugin.name());
        self.shown.set_plugin_problem(problem);
    }

    pub(super) fn swap_next(&mut self) {
        let _ = self.swapping.pop_front();
        self.swap_one();
    }

    pub(super) fn swap_one(&mut self) {
        if let (Some(task), Some(plugin)) = (self.swapping.front(), &self.plugin) {
            self.tasks.with(*task, |task| task.order(|order| order.plugin = plugin.clone()));
        }
    }
}
