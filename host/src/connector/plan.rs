//! Asking a plugin what only it knows: whether a configuration is right, and how the work is shared out.
//!
//! Both happen on an instance that is thrown away, under the limits of every guest, on the guests' runtime.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::{io, thread};

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::Services;
use crate::config::{ConnectorConfig, Problem, Problems, Sandbox};
use crate::plugin::{ConnectorInstance, Plugin, Setup};
use crate::task::failure::Failure;

/// The configurations of a connector's tasks.
pub(super) type TaskConfigs = Vec<BTreeMap<String, String>>;

/// Asks the plugin for the configurations of its tasks.
pub(super) async fn task_configs(
    services: &Arc<Services>,
    config: &ConnectorConfig,
    plugin: &Arc<Plugin>,
) -> Result<TaskConfigs, Failure> {
    let json = json(&config.raw);
    let max = config.tasks_max;
    let setup = setup(services, &config.name, plugin);
    let sandbox = setup.sandbox.clone();
    let plugin = plugin.clone();
    on_guests(services, &sandbox, async move {
        let mut instance = ConnectorInstance::new(&plugin, setup).await.map_err(Failure::Call)?;
        instance.start(&json).await.map_err(Failure::Call)?;
        let configs = instance.task_configs(max).await.map_err(Failure::Call)?;
        // The instance goes; an error on its way out changes nothing that was planned.
        let _ = instance.stop().await;
        configs.into_iter().map(|text| parse(&text)).collect()
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
        Ok(answer) if answer.is_empty() => return Ok(()),
        Ok(answer) => answer,
        Err(failure) => return Err(Problems(vec![Problem::new("connector.class", class, failure.trace())])),
    };
    let mut problems = Problems::default();
    match serde_json::from_str::<Answer>(&answer) {
        Ok(answer) => {
            for (key, messages) in answer.errors {
                for message in messages {
                    let secret = asked_for_secret(plugin, &key);
                    let value = config.raw.get(&key).filter(|_| !secret).cloned();
                    problems.push(Problem { key: key.clone(), value, message });
                }
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

/// What `connector.validate` answers.
#[derive(serde::Deserialize)]
struct Answer {
    #[serde(default)]
    errors: BTreeMap<String, Vec<String>>,
}

fn setup(services: &Services, connector: &str, plugin: &Plugin) -> Setup {
    Setup {
        connector: connector.into(),
        offsets: Some(Arc::new(services.offsets.reader(connector))),
        sandbox: Arc::new(services.config.sandboxes.of(plugin.name())),
        ..Setup::throw_away(&Sandbox::default())
    }
}

/// Runs guest code where it belongs; what may read files, on a thread of its own.
async fn on_guests<T: Send + 'static>(
    services: &Services,
    sandbox: &Sandbox,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    if !sandbox.blocks() {
        return match services.guests.spawn(work).await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
    }
    let (done, result) = oneshot::channel();
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Failure::Thread { source })?;
    let started = thread::Builder::new().name("connector".to_owned()).spawn(move || {
        // Who does not wait any more was dropped, and needs no answer.
        let _ = done.send(runtime.block_on(work));
    });
    let _ = started.map_err(|source| Failure::Thread { source })?;
    let gone = |_| Failure::Thread { source: io::Error::other("it panicked; see the log") };
    result.await.map_err(gone)?
}

fn json(config: &BTreeMap<String, String>) -> String {
    serde_json::to_string(config).expect("a map of strings is JSON")
}

fn parse(text: &str) -> Result<BTreeMap<String, String>, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::Answer {
        call: "task-configs",
        problem: format!("something else than a JSON object of strings ({error})"),
        text: text.to_owned(),
    })
}
