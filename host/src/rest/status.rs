//! Statuses as JSON: Kafka Connect's members, and ours where they say something.
//!
//! Ours are `plugin` (which component file runs), `plugin_problem` (why a newer one could not be taken),
//! `waiting_for` (what a task that does not move, or a stopped connector, waits for), `last_swap` (the last
//! replacement) and `restarts`. Kafka Connect's `version` is there even when it is null.

use serde_json::{Map, Value, json};

use crate::config::Kind;
use crate::connector::status::{CodeVersion, ConnectorStatus, Elsewhere, SwapReport, TaskStatus};

/// A connector and its tasks. `worker_id` is the worker they run on.
pub(super) fn of_connector(status: &ConnectorStatus, worker_id: &str) -> Value {
    let mut connector = Map::new();
    connector.insert("state".into(), status.state.as_str().into());
    put_worker(&mut connector, (status.code.as_ref(), status.elsewhere.as_ref()), worker_id);
    put(&mut connector, "trace", status.trace.as_deref());
    put(&mut connector, "plugin_problem", status.plugin_problem.as_deref());
    put(&mut connector, "waiting_for", status.waiting_for.as_deref());
    let tasks: Vec<_> = status.tasks.iter().map(|task| of_task(task, worker_id)).collect();
    json!({ "name": status.name, "connector": connector, "tasks": tasks, "type": connector_type(status.kind) })
}

/// One task.
pub(super) fn of_task(status: &TaskStatus, worker_id: &str) -> Value {
    let mut task = Map::new();
    task.insert("id".into(), status.id.into());
    task.insert("state".into(), status.state.as_str().into());
    put_worker(&mut task, (status.code.as_ref(), status.elsewhere.as_ref()), worker_id);
    put(&mut task, "trace", status.trace.as_deref());
    put(&mut task, "waiting_for", status.waiting_for.as_deref());
    put(&mut task, "restarts", (status.restarts > 0).then_some(status.restarts));
    put(&mut task, "last_swap", status.last_swap.as_ref().map(of_swap));
    task.into()
}

/// What Kafka Connect calls the type of a connector.
pub(super) fn connector_type(kind: Option<Kind>) -> &'static str {
    kind.map_or("unknown", plugin_type)
}

/// What Kafka Connect calls the type of a plugin.
pub(super) fn plugin_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Source => "source",
        Kind::Sink => "sink",
        Kind::Transform => "transformation",
    }
}

/// Which component file.
pub(super) fn of_code(name: &str, version: &str, sha256: &str) -> Value {
    json!({ "name": name, "version": version, "sha256": sha256 })
}

fn of_swap(swap: &SwapReport) -> Value {
    let code = |code: &CodeVersion| of_code(&code.plugin, &code.version, &code.sha256);
    let mut report = Map::new();
    report.insert("from".into(), code(&swap.from));
    report.insert("to".into(), code(&swap.to));
    put(&mut report, "error", swap.error.as_deref());
    put(&mut report, "rolled_back", swap.rolled_back.then_some(true));
    report.insert("pause_ms".into(), swap.pause_ms.into());
    report.into()
}

/// The worker it runs on, which is this one unless it was told by another, and what code it runs there.
fn put_worker(
    members: &mut Map<String, Value>,
    (code, elsewhere): (Option<&CodeVersion>, Option<&Elsewhere>),
    worker_id: &str,
) {
    let worker = elsewhere.map_or(worker_id, |elsewhere| &elsewhere.worker);
    members.insert("worker_id".into(), worker.into());
    put_code(members, code);
    if let Some(elsewhere) = elsewhere {
        members.insert("version".into(), elsewhere.version.as_deref().into());
    }
}

fn put_code(members: &mut Map<String, Value>, code: Option<&CodeVersion>) {
    members.insert("version".into(), code.map(|code| code.version.as_str()).into());
    put(members, "plugin", code.map(|code| of_code(&code.plugin, &code.version, &code.sha256)));
}

fn put(members: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        members.insert(name.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::status::State;

    fn code(version: &str) -> CodeVersion {
        CodeVersion {
            plugin: "file-source".into(),
            version: version.into(),
            sha256: format!("sha of {version}"),
        }
    }

    fn running_task() -> TaskStatus {
        TaskStatus {
            id: 0,
            state: State::Running,
            trace: None,
            waiting_for: None,
            code: Some(code("1.0.0")),
            last_swap: None,
            restarts: 0,
            elsewhere: None,
        }
    }

    #[test]
    fn a_healthy_connector_shows_no_more_than_it_has_to_say() {
        let status = ConnectorStatus {
            name: "lines".into(),
            state: State::Running,
            trace: None,
            kind: Some(Kind::Source),
            code: Some(code("1.0.0")),
            plugin_problem: None,
            waiting_for: None,
            tasks: vec![running_task()],
            elsewhere: None,
        };
        let plugin = json!({ "name": "file-source", "version": "1.0.0", "sha256": "sha of 1.0.0" });
        let expected = json!({
            "name": "lines",
            "connector": { "state": "RUNNING", "worker_id": "w:8083", "version": "1.0.0", "plugin": plugin },
            "tasks": [
                { "id": 0, "state": "RUNNING", "worker_id": "w:8083", "version": "1.0.0", "plugin": plugin }
            ],
            "type": "source",
        });
        assert_eq!(of_connector(&status, "w:8083").to_string(), expected.to_string());
    }

    #[test]
    fn a_task_in_trouble_says_all_of_it() {
        let swap = SwapReport {
            from: code("1.0.0"),
            to: code("1.1.0"),
            error: Some("open: no such file".into()),
            rolled_back: true,
            pause_ms: 12.5,
        };
        let task = TaskStatus {
            state: State::Failed,
            trace: Some("wasm trap: unreachable".into()),
            waiting_for: Some("the old member of the group to expire".into()),
            last_swap: Some(swap),
            restarts: 3,
            ..running_task()
        };
        let shown = of_task(&task, "w:8083");
        assert_eq!(shown["trace"], "wasm trap: unreachable");
        assert_eq!(shown["waiting_for"], "the old member of the group to expire");
        assert_eq!(shown["restarts"], 3);
        assert_eq!(shown["last_swap"]["from"]["version"], "1.0.0");
        assert_eq!(shown["last_swap"]["to"]["sha256"], "sha of 1.1.0");
        assert_eq!(shown["last_swap"]["error"], "open: no such file");
        assert_eq!(shown["last_swap"]["rolled_back"], true);
        assert_eq!(shown["last_swap"]["pause_ms"], 12.5);
    }

    #[test]
    fn a_connector_whose_plugin_is_missing_has_type_unknown_and_version_null() {
        let status = ConnectorStatus {
            name: "lines".into(),
            state: State::Failed,
            trace: Some("Failed to find any class".into()),
            kind: None,
            code: None,
            plugin_problem: Some("lines.wasm: it is still being written".into()),
            waiting_for: Some("former members of group g to expire".into()),
            tasks: Vec::new(),
            elsewhere: None,
        };
        let shown = of_connector(&status, "w:8083");
        assert_eq!(shown["type"], "unknown");
        assert_eq!(shown["connector"]["version"], Value::Null);
        assert_eq!(shown["connector"].get("plugin"), None);
        assert_eq!(shown["connector"]["plugin_problem"], "lines.wasm: it is still being written");
        assert_eq!(shown["connector"]["waiting_for"], "former members of group g to expire");
    }
}
