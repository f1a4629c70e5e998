//! Asking a plugin what only it knows: whether a configuration is right, and how the work is shared out.
//!
//! Both happen on an instance that is thrown away, under the limits of every guest, on the guests' runtime. Only
//! a connector that watches the outside system plans on the instance that it keeps ([`super::observer`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::Services;
use crate::config::{Advice, ConnectorConfig, Problem, Problems, RawConfig, Sandbox};
use crate::plugin::{self, CallError, ConnectorInstance, Plugin, Setup, Validated};
use crate::task::failure::Failure;
use crate::task::spawn::{Place, Running};

/// The configuration of a task, as the plugin returned it.
pub(super) type TaskConfig = BTreeMap<String, String>;

/// What it takes to ask a plugin for the configurations of its tasks.
pub(super) struct Planning {
    plugin: Arc<Plugin>,
    pub(super) setup: Setup,
    /// As the user wrote it.
    written: RawConfig,
    /// What the last instance was told.
    told: RawConfig,
    tasks_max: u32,
}

impl Planning {
    pub(super) fn new(services: &Services, config: &ConnectorConfig, plugin: &Arc<Plugin>) -> Self {
        Self {
            plugin: plugin.clone(),
            setup: setup(services, config, plugin),
            written: config.raw.clone(),
            told: RawConfig::new(),
            tasks_max: config.tasks_max,
        }
    }

    /// A new instance, started.
    pub(super) async fn start(&mut self) -> Result<ConnectorInstance, Failure> {
        let told = plugin::resolve(&self.setup.vault, &self.written).await.map_err(Failure::Secrets)?;
        let instance = ConnectorInstance::new(&self.plugin, self.setup.clone()).await;
        let mut instance = instance.map_err(Failure::Call)?;
        instance.start(&json(&told)).await.map_err(Failure::Call)?;
        self.told = told;
        Ok(instance)
    }

    /// What it plans.
    pub(super) async fn ask(&self, instance: &mut ConnectorInstance) -> Result<Vec<TaskConfig>, Failure> {
        let configs = instance.task_configs(self.tasks_max).await.map_err(Failure::Call)?;
        if configs.len() > self.tasks_max as usize {
            let connector = self.setup.connector.to_string();
            return Err(Failure::TooManyTasks { connector, tasks: configs.len(), max: self.tasks_max });
        }
        configs.into_iter().map(|text| Ok(self.as_written(parse(&text)?))).collect()
    }

    /// References in the place of what they stood for, as in Kafka Connect: so that it is not kept, not shown, and read
    /// anew when a task opens.
    fn as_written(&self, mut config: TaskConfig) -> TaskConfig {
        for (key, value) in &mut config {
            if let (Some(told), Some(written)) = (self.told.get(key), self.written.get(key))
                && value == told
            {
                value.clone_from(written);
            }
        }
        config
    }
}

/// Asks the plugin for the configurations of its tasks, on an instance that is thrown away.
pub(super) async fn task_configs(
    services: &Arc<Services>,
    config: &ConnectorConfig,
    plugin: &Arc<Plugin>,
) -> Result<Vec<TaskConfig>, Failure> {
    let mut planning = Planning::new(services, config, plugin);
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

/// Asks the plugin what only it knows of a configuration: what is wrong, and what it recommends.
///
/// # Errors
/// Why it could not say.
pub(crate) async fn advice(
    services: &Arc<Services>,
    config: &ConnectorConfig,
    plugin: &Arc<Plugin>,
) -> Result<(Problems, Advice), Problems> {
    let resolved = plugin::resolve(&config.vault, &config.raw).await?;
    let setup = setup(services, config, plugin);
    let sandbox = setup.sandbox.clone();
    let asked = plugin.clone();
    let answer = on_guests(services, &sandbox, async move {
        let mut instance = ConnectorInstance::new(&asked, setup).await.map_err(Failure::Call)?;
        instance.validate(&json(&resolved)).await.map_err(Failure::Call)
    })
    .await;
    let wrong = |message: String| {
        let class = config.raw.get("connector.class").cloned().unwrap_or_default();
        Problems(vec![Problem::new("connector.class", class, message)])
    };
    let answer = answer.map_err(|failure| wrong(failure.trace(&config.vault)))?;
    let validated = Validated::parse(&answer).map_err(|error| {
        let what = "the plugin's `validate` returned something else than its interface says";
        config.vault.hide_problems(wrong(format!("{what}: {error}")))
    })?;
    let mut problems = Problems::default();
    for (key, message) in validated.errors {
        let secret = asked_for_secret(plugin, &key);
        let value = config.raw.get(&key).filter(|_| !secret).cloned();
        problems.push(Problem { key, value, message });
    }
    let mut advice = validated.advice;
    for value in advice.recommended_values.values_mut().flatten() {
        *value = config.vault.hide(value).into_owned();
    }
    // The keys too are what the plugin says.
    Ok((config.vault.hide_problems(problems), advice))
}

/// Asks the plugin whether a configuration is right.
///
/// # Errors
/// All that it finds wrong, or that it could not say.
pub(super) async fn validate(
    services: &Arc<Services>,
    config: &ConnectorConfig,
    plugin: &Arc<Plugin>,
) -> Result<(), Problems> {
    advice(services, config, plugin).await?.0.or(())
}

/// Asks the plugin whether offsets may be changed to these, which changes them in the outside system where it can.
///
/// # Errors
/// It refuses, or could not say: why.
pub(crate) async fn alter_offsets(
    services: &Arc<Services>,
    config: &ConnectorConfig,
    plugin: &Arc<Plugin>,
    offsets: String,
) -> Result<bool, String> {
    let resolved =
        plugin::resolve(&config.vault, &config.raw).await.map_err(|problems| problems.to_string())?;
    let setup = setup(services, config, plugin);
    let (sandbox, asked) = (setup.sandbox.clone(), plugin.clone());
    let answer = on_guests(services, &sandbox, async move {
        let mut instance = ConnectorInstance::new(&asked, setup).await.map_err(Failure::Call)?;
        instance.alter_offsets(&json(&resolved), &offsets).await.map_err(Failure::Call)
    });
    answer.await.map_err(|failure| match failure {
        // Its own words are meant for whoever asked.
        Failure::Call(CallError::Guest { message, .. }) => config.vault.hide(&message).into_owned(),
        failure => failure.trace(&config.vault),
    })
}

/// Whether the value of a key must not be shown.
fn asked_for_secret(plugin: &Plugin, key: &str) -> bool {
    plugin.manifest().config.iter().any(|known| known.name == key && known.is_secret())
}

fn setup(services: &Services, config: &ConnectorConfig, plugin: &Plugin) -> Setup {
    Setup {
        connector: config.name.as_str().into(),
        offsets: Some(Arc::new(services.offsets.reader(&config.name))),
        vault: config.vault.clone(),
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
