//! What instances of the plugin under test are made of, and how their calls are made.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::report::Miss;
use crate::config::{RawConfig, Sandbox, Vault};
use crate::offsets::{answer, canonical};
use crate::plugin::{BoxFuture, CallError, OffsetLookup, Plugin, Setup, instance_config};

/// How long something may take to come that has to.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How much later than it was asked to a call may come back: the machine may be busy, and so the other side.
pub(super) const LATE: Duration = Duration::from_secs(2);
/// How long a call is left waiting before it is asked for.
const UNDISTURBED: Duration = Duration::from_millis(50);
/// Where a retriable error names no time.
const RETRY_WAIT: Duration = Duration::from_millis(100);
/// The connector's name, unless its settings have one.
const NAME: &str = "plugin-test";

/// The plugin, what it is configured with and what it is granted.
pub(super) struct Rig {
    pub(super) plugin: Arc<Plugin>,
    pub(super) sandbox: Arc<Sandbox>,
    vault: Vault,
    /// The connector's settings.
    pub(super) raw: RawConfig,
    /// How many records a check works with.
    pub(super) records: usize,
    /// The first task's, once it is known.
    pub(super) task: Map<String, Value>,
}

/// Where source partitions stand: by their canonical form the partition and its offset, as they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Positions(BTreeMap<String, (String, Arc<str>)>);

impl Rig {
    pub(super) fn new(
        plugin: Arc<Plugin>,
        (sandbox, vault): (Sandbox, Vault),
        mut raw: RawConfig,
        records: usize,
    ) -> Self {
        let class = &plugin.manifest().class;
        let _ = raw.entry("name".to_owned()).or_insert_with(|| NAME.to_owned());
        let _ = raw.entry("connector.class".to_owned()).or_insert_with(|| class.clone());
        Self { plugin, sandbox: Arc::new(sandbox), vault, raw, records, task: Map::new() }
    }

    fn name(&self) -> &str {
        self.raw.get("name").map_or(NAME, String::as_str)
    }

    /// For an instance of the connector.
    pub(super) fn of_connector(&self) -> Setup {
        Setup {
            connector: self.name().into(),
            sandbox: Arc::clone(&self.sandbox),
            offsets: Some(Arc::new(Positions::default())),
            vault: self.vault.clone(),
            ..Setup::throw_away(&self.sandbox)
        }
    }

    /// For an instance of the task.
    pub(super) fn of_task(&self, sandbox: &Arc<Sandbox>, positions: Option<&Positions>) -> Setup {
        let offsets = positions.map(|positions| Arc::new(positions.clone()) as Arc<dyn OffsetLookup>);
        Setup { task: Some(0), sandbox: Arc::clone(sandbox), offsets, ..self.of_connector() }
    }

    /// The configuration of an instance of the task.
    pub(super) fn config(&self, generation: u64) -> String {
        instance_config(&self.task, self.name(), 0, generation)
    }

    /// The same grants with other limits.
    pub(super) fn limited(&self, memory_max: usize, call_timeout: Duration) -> Arc<Sandbox> {
        Arc::new(Sandbox { memory_max, call_timeout, ..(*self.sandbox).clone() })
    }
}

/// A configuration as a plugin gets it.
pub(super) fn json(config: &RawConfig) -> String {
    serde_json::to_string(config).expect("a map of strings is JSON")
}

impl Positions {
    /// A partition moves. Both are JSON objects.
    pub(super) fn set(&mut self, partition: &str, offset: &str) {
        let key = canonical("a source partition", partition).unwrap_or_else(|_| partition.to_owned());
        let _ = self.0.insert(key, (partition.to_owned(), offset.into()));
    }

    /// The argument of the guest's `commit`.
    pub(super) fn json(&self) -> String {
        let entry = |(partition, offset): &(String, Arc<str>)| {
            format!(r#"{{"partition":{partition},"offset":{offset}}}"#)
        };
        format!("[{}]", self.0.values().map(entry).collect::<Vec<_>>().join(","))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl OffsetLookup for Positions {
    fn offsets<'a>(&'a self, partitions: &'a str) -> BoxFuture<'a, Result<String, String>> {
        let get = |partition: &str| {
            let key = canonical("a source partition", partition)?;
            Ok(self.0.get(&key).map(|(_, offset)| Arc::clone(offset)))
        };
        Box::pin(std::future::ready(answer(partitions, get)))
    }
}

/// Calls again, as long as the guest says that it is worth it and there is patience.
pub(super) async fn patiently<T>(
    mut call: impl AsyncFnMut() -> Result<T, CallError>,
) -> Result<T, CallError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match call().await {
            Err(error) if error.retriable().is_some() && Instant::now() < until => {
                rest(&error, until).await;
            }
            result => return result,
        }
    }
}

/// Waits as long as a retriable error says, but not beyond `until`.
pub(super) async fn rest(error: &CallError, until: Instant) {
    let wait = error.retriable().flatten().unwrap_or(RETRY_WAIT);
    tokio::time::sleep(wait.min(until.saturating_duration_since(Instant::now()))).await;
}

/// What became of a call that was asked for while it was under way.
pub(super) enum Recalled<T> {
    /// It was back before.
    Early(T),
    /// It was back so long after.
    After(Duration),
}

/// Makes a call, sets `should-stop` when it is under way, and expects it back soon.
pub(super) async fn recalled<T>(
    name: &str,
    should_stop: &AtomicBool,
    call: impl Future<Output = Result<T, CallError>>,
) -> Result<Recalled<T>, Miss> {
    let mut call = pin!(call);
    tokio::select! {
        biased;
        result = &mut call => return Ok(Recalled::Early(result?)),
        () = tokio::time::sleep(UNDISTURBED) => {}
    }
    should_stop.store(true, Ordering::Relaxed);
    let asked = Instant::now();
    let back = tokio::time::timeout(LATE, call).await;
    should_stop.store(false, Ordering::Relaxed);
    match back {
        Ok(Err(error)) if error.retriable().is_none() => Err(error.into()),
        Ok(_) => Ok(Recalled::After(asked.elapsed())),
        Err(_) => Err(Miss::Failed(format!(
            "{name} was not back {} ms after `should-stop` said so",
            LATE.as_millis()
        ))),
    }
}
