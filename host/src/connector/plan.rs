//! Asking a plugin what only it knows: whether a configuration is right, and how the work is shared out.
//!
//! Both happen on an instance that is thrown away, under the limits of every guest, on the guests' runtime. Only
//! a connector that watches the outside system plans on the instance that it keeps ([`super::observer`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::Services;
use crate::config::{ConnectorConfig, Problem, Problems, Sandbox};
use crate::plugin::{ConnectorInstance, Plugin, Setup, validation_errors};
use crate::task::failure::Failure;
use crate::task::spawn::{Place, Running};

/// The configuration of a task, as the plugin returned it.
pub(super) type TaskConfig = BTreeMap<String, String>;

/// What it takes to ask a plugin for the configurations of its tasks.
pub(super) struct Planning {
    plugin: Arc<Plugin>,
    pub(super) setup: Setup,
    config: String,
    tasks_max: u32,
}

impl Planning {
    pub(super) fn new(services: &Services, config: &ConnectorConfig, plugin: &Arc<Plugin>) -> Self {
        Self {
            plugin: plugin.clone(),
            setup: setup(services, &config.name, plugin),
            config: json(&config.raw),
            tasks_max: config.tasks_max,
        }
    }

    /// A new instance, started.
    pub(super) async fn start(&self) -> Result<ConnectorInstance, Failure> {
        let instance = ConnectorInstance::new(&self.plugin, self.setup.clone()).await;
        let mut instance = instance.map_err(Failure::Call)?;
        instance.start(&self.config).await.map_err(Failure::Call)?;
        Ok(instance)
    }

    /// What it plans.
    pub(super) async fn ask(&self, instance: &mut ConnectorInstance) -> Result<Vec<TaskConfig>, Failure> {
        let configs = instance.task_configs(self.tasks_max).await.map_err(Failure::Call)?;
        if configs.len() > self.tasks_max as usize {
            let connector = self.setup.connector.to_string();
            return Err(Failure::TooManyTasks { connector, tasks: configs.len(), max: self.tasks_max });
        }
        configs.into_iter().map(|text| parse(&text)).collect()
    }
}

/// Asks the plugin for the configurations of its tasks, on an instance that is thrown away.
pub(super) async fn task_configs(
    services: &Arc<Services>,
    config: &ConnectorConfig,
    plugin: &Arc<Plugin>,
) -> Result<Vec<TaskConfig>, Failure> {
    let planning = Planning::new(services, config, plugin);
    let sandbox = planning.setup.sandbox.clone();
    on_guests(services, &sandbox, async move {
        let mut instance = planning.start().await?;
        let configs = planning.ask(&mut instance).await?;
        // The instance goes; an error on its way out changes nothing that was planned.
        let _ = instance.stop().await;
        Ok(configs)
    })
    .await
}

/// Asks the plugin whether a configuration is right.
///
/// # Errors
/// All that it finds wrong, or that it could not say.
pub(crate) async fn validate(
    services: &Arc<Services>,
    config: &ConnectorConfig,
    plugin: &Arc<Plugin>,
) -> Result<(), Problems> {
    let json = json(&config.raw);
    let setup = setup(services, &config.name, plugin);
    let sandbox = setup.sandbox.clone();
    let asked = plugin.clone();
    let answer = on_guests(services, &sandbox, async move {
        let mut instance = ConnectorInstance::new(&asked, setup).await.map_err(Failure::Call)?;
        instance.validate(&json).await.map_err(Failure::Call)
    })
    .await;
    let class = config.raw.get("connector.class").cloned().unwrap_or_default();
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => return Err(Problems(vec![Problem::new("connector.class", class, failure.trace())])),
    };
    let mut problems = Problems::default();
    match validation_errors(&answer) {
        Ok(errors) => {
            for (key, message) in errors {
                let secret = asked_for_secret(plugin, &key);
                let value = config.raw.get(&key).filter(|_| !secret).cloned();
                problems.push(Problem { key, value, message });
            }
        }
        Err(error) => problems.push(Problem::new(
            "connector.class",
            class,
            format!("the plugin's `validate` returned something else than its interface says: {error}"),
        )),
    }
    problems.or(())
}

/// Whether the value of a key must not be shown.
fn asked_for_secret(plugin: &Plugin, key: &str) -> bool {
    plugin.manifest().config.iter().any(|known| known.name == key && known.is_secret())
}

fn setup(services: &Services, connector: &str, plugin: &Plugin) -> Setup {
    Setup {
        connector: connector.into(),
        offsets: Some(Arc::new(services.offsets.reader(connector))),
        sandbox: Arc::new(services.config.sandboxes.of(plugin.name())),
        ..Setup::throw_away(&Sandbox::default())
    }
}

/// Runs guest code where it belongs; drops it when nobody waits for it any more.
async fn on_guests<T: Send + 'static>(
    services: &Services,
    sandbox: &Sandbox,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let (done, result) = oneshot::channel();
    let work = async move {
        let _ = done.send(work.await);
    };
    let running = Running::start(&services.guests, Place::of(sandbox), "connector", work);
    let _running = running.map_err(|source| Failure::Thread { source })?;
    result.await.map_err(|_| Failure::Panicked)?
}

fn json(config: &BTreeMap<String, String>) -> String {
    serde_json::to_string(config).expect("a map of strings is JSON")
}

fn parse(text: &str) -> Result<TaskConfig, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::Answer {
        call: "task-configs",
        problem: format!("something else than a JSON object of strings ({error})"),
        text: text.to_owned(),
    })
}
