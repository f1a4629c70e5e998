//! What connectors and tasks are doing, told to the cluster, and heard from it.
//!
//! While a worker leads it compares, several times a second, what runs with what the status topic says, and writes the
//! difference: that mends whatever an earlier leader left behind, too. A worker that runs nothing shows what it reads.
//! Looking costs a twentieth of the time at most, however many connectors there are.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::kept::Clustered;
use super::{Worker, WorkerError};
use crate::cluster::configs::KeyValue;
use crate::cluster::statuses::{self, Status, Told};
use crate::config::Kind;
use crate::connector::status::{CodeVersion, ConnectorStatus, Elsewhere, State, TaskStatus};
use crate::lock::unpoisoned;

/// How often it is looked.
const OFTEN: Duration = Duration::from_millis(250);
/// Of so many parts of the time looking takes one.
const SHARE: u32 = 20;
/// How long the last word may take.
const LAST: Duration = Duration::from_secs(2);

impl Worker {
    /// Tells the cluster, for ever.
    pub(super) async fn tell_statuses(&self, clustered: &Clustered) {
        loop {
            let begun = Instant::now();
            let news = self.news(clustered, None);
            let looked = begun.elapsed();
            if !news.is_empty()
                && let Err(error) = clustered.cluster.tell(news).await
            {
                debug!("statuses are not written: {error}");
            }
            sleep(OFTEN.max(looked * SHARE)).await;
        }
    }

    /// Tells that nothing runs here any more.
    pub(super) async fn tell_the_end(&self, clustered: &Clustered) {
        let news = self.news(clustered, Some(State::Unassigned));
        // Without it others see what was told last.
        let _ = timeout(LAST, clustered.cluster.tell(news)).await;
    }

    /// What the topic does not say yet; `ended`: the state of all that could move.
    fn news(&self, clustered: &Clustered, ended: Option<State>) -> Vec<KeyValue> {
        let running: Vec<_> =
            self.lock().iter().map(|(name, entry)| (name.clone(), entry.connector.shown.clone())).collect();
        let broken = unpoisoned(clustered.broken.lock()).clone();
        let nothing = Told::default();
        let mut news = Vec::new();
        let statuses = clustered.cluster.statuses();
        for (name, shown) in &running {
            let mut status = shown.status();
            if let Some(ended) = ended {
                status.state = ended;
                status.tasks.iter_mut().for_each(|task| task.state = ended);
            }
            let told = statuses.get(name).unwrap_or(&nothing);
            self.compare(&status, told, &mut news);
            if ended.is_none() {
                self.news_of_topics(name, shown, told, &mut news);
            }
        }
        for (name, problem) in broken.iter().filter(|_| ended.is_none()) {
            let status = self.broken_status(name, problem);
            self.compare(&status, statuses.get(name).unwrap_or(&nothing), &mut news);
        }
        let configs = clustered.cluster.configs();
        for name in statuses.names().iter().filter(|name| !configs.contains(name)) {
            news.extend(statuses.deletion(name));
        }
        news
    }

    fn compare(&self, status: &ConnectorStatus, told: &Told, news: &mut Vec<KeyValue>) {
        let now = |state, trace: &Option<String>, code: &Option<CodeVersion>| Status {
            state,
            trace: trace.clone(),
            worker: self.advertised().to_owned(),
            version: code.as_ref().map(|code| code.version.clone()),
        };
        let name = &status.name;
        let connector = now(status.state, &status.trace, &status.code);
        if told.connector.as_ref() != Some(&connector) {
            news.push(statuses::connector(name, Some(&connector)));
        }
        let tasks: BTreeMap<u32, Status> =
            status.tasks.iter().map(|task| (task.id, now(task.state, &task.trace, &task.code))).collect();
        let changed = tasks.iter().filter(|(number, task)| told.tasks.get(number) != Some(task));
        news.extend(changed.map(|(number, task)| statuses::task(name, *number, Some(task))));
        let gone = told.tasks.keys().filter(|number| !tasks.contains_key(number));
        news.extend(gone.map(|number| statuses::task(name, *number, None)));
    }

    /// The status of a connector that does not run here.
    pub(super) fn told_status(&self, name: &str) -> Result<ConnectorStatus, WorkerError> {
        let unknown = || WorkerError::NotFound(format!("No status found for connector {name}"));
        let clustered = self.inner.kept.clustered().ok_or_else(unknown)?;
        if let Some(problem) = unpoisoned(clustered.broken.lock()).get(name) {
            return Ok(self.broken_status(name, problem));
        }
        let kind = self.kept_info(name).ok().and_then(|info| info.kind);
        let status = clustered.told(name, |told| status_of(name, kind, told));
        status.flatten().ok_or_else(unknown)
    }

    fn broken_status(&self, name: &str, problem: &str) -> ConnectorStatus {
        ConnectorStatus {
            name: name.to_owned(),
            state: State::Failed,
            trace: Some(problem.to_owned()),
            kind: None,
            code: None,
            plugin_problem: None,
            waiting_for: Some("its plugin, or another configuration".to_owned()),
            tasks: Vec::new(),
            elsewhere: None,
        }
    }
}

/// What another worker told of a connector; `None`: of its tasks at most.
fn status_of(name: &str, kind: Option<Kind>, told: &Told) -> Option<ConnectorStatus> {
    let connector = told.connector.as_ref()?;
    let task = |(number, task): (&u32, &Status)| TaskStatus {
        id: *number,
        state: task.state,
        trace: task.trace.clone(),
        waiting_for: None,
        code: None,
        last_swap: None,
        restarts: 0,
        elsewhere: Some(elsewhere(task)),
    };
    Some(ConnectorStatus {
        name: name.to_owned(),
        state: connector.state,
        trace: connector.trace.clone(),
        kind,
        code: None,
        plugin_problem: None,
        waiting_for: None,
        tasks: told.tasks.iter().map(task).collect(),
        elsewhere: Some(elsewhere(connector)),
    })
}

fn elsewhere(status: &Status) -> Elsewhere {
    Elsewhere { worker: status.worker.clone(), version: status.version.clone() }
}
