//! Tasks that outlive their worker: what is kept of them, and how another worker goes on with them.
//!
//! What is kept is what Kafka Connect keeps: the configuration that the plugin planned for each task, and the class of
//! the task, which Java's worker cannot do without. It never holds what a reference stood for.

use crate::config::{ConnectorConfig, RawConfig};
use crate::connector::lifecycle::Target;
use crate::connector::plan::TaskConfig;
use crate::connector::supervisor::Supervisor;
use crate::task::context::code_version;

/// The key under which Kafka Connect has the class of a task.
const CLASS: &str = "task.class";

/// What is kept of tasks: `None` where nobody keeps it.
pub(super) fn as_kept(config: &ConnectorConfig, tasks: &[TaskConfig]) -> Vec<RawConfig> {
    let hidden = |(key, value): (&String, &String)| {
        let written = config.raw.get(key) == Some(value);
        let value = if written { value.clone() } else { config.vault.hide(value).into_owned() };
        (config.vault.hide(key).into_owned(), value)
    };
    tasks.iter().map(|task| task.iter().map(hidden).collect()).collect()
}

/// Java's name of a connector's tasks, by the habit of its authors.
fn class_of(connector: &str) -> String {
    format!("{}Task", connector.strip_suffix("Connector").unwrap_or(connector))
}

impl Supervisor {
    /// Keeps what was planned. False: it could not, and nothing must run.
    pub(super) async fn keep(&mut self, mut tasks: Vec<RawConfig>) -> bool {
        let Some(plans) = self.services.plans.clone() else { return true };
        let class = self.plugin.as_ref().map(|plugin| class_of(&plugin.manifest().class)).unwrap_or_default();
        for task in &mut tasks {
            let _ = task.entry(CLASS.to_owned()).or_insert_with(|| class.clone());
        }
        match self.answer(plans.keep(&self.config.name, tasks)).await {
            Some(Ok(())) => true,
            Some(Err(why)) => {
                self.fail(format!("the configurations of the tasks cannot be kept: {why}"));
                false
            }
            None => false,
        }
    }

    /// Takes over the tasks of a connector that another worker left paused: they are there, and hold still.
    pub(super) async fn adopt(&mut self, former: Vec<TaskConfig>) {
        if self.target != Target::Paused || former.is_empty() {
            return;
        }
        let Some(plugin) = self.pick() else { return };
        if plugin.manifest().watch {
            // Its own instance plans when it goes on.
            return;
        }
        self.shown.set_code(plugin.kind(), code_version(&plugin));
        self.plugin = Some(plugin);
        let without_class = |mut task: TaskConfig| {
            let _ = task.remove(CLASS);
            task
        };
        self.adopted = true;
        let _ = self.begin((0..).zip(former.into_iter().map(without_class)).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_of_a_task_follows_that_of_its_connector() {
        let java = "org.apache.kafka.connect.file.FileStreamSourceConnector";
        assert_eq!(class_of(java), "org.apache.kafka.connect.file.FileStreamSourceTask");
        assert_eq!(class_of("Datagen"), "DatagenTask");
    }
}
