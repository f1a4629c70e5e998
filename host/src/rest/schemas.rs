//! The shapes of bodies, for `/openapi.json`.

use serde_json::{Value, json};

/// All of them, by name.
pub(super) fn schemas() -> Value {
    let mut all = of_connectors();
    if let (Value::Object(all), Value::Object(others)) = (&mut all, of_the_rest()) {
        all.extend(others);
    }
    all
}

fn of_connectors() -> Value {
    let states = ["UNASSIGNED", "RUNNING", "PAUSED", "FAILED", "STOPPED", "RESTARTING"];
    json!({
        "Root": object(&[("version", text()), ("commit", text()), ("kafka_cluster_id", text()), ("transom", any())]),
        "Health": object(&[("status", text()), ("message", text())]),
        "Config": { "type": "object", "additionalProperties": text() },
        "ConfigPatch": { "type": "object", "additionalProperties": nullable() },
        "CreateConnector": {
            "type": "object",
            "required": ["name", "config"],
            "additionalProperties": false,
            "properties": {
                "name": text(),
                "config": reference("Config"),
                "initial_state": { "type": "string", "enum": ["RUNNING", "PAUSED", "STOPPED"] },
            },
        },
        "TaskId": object(&[("connector", text()), ("task", number())]),
        "ConnectorInfo": object(&[
            ("name", text()), ("config", reference("Config")), ("tasks", list("TaskId")), ("type", text()),
        ]),
        "Connectors": { "anyOf": [texts(), { "type": "object", "additionalProperties": any() }] },
        "State": { "type": "string", "enum": states },
        "ConnectorStatus": object(&[
            ("name", text()), ("connector", reference("InstanceStatus")), ("tasks", list("TaskStatus")), ("type", text()),
        ]),
        "InstanceStatus": object(&[("state", reference("State")), ("worker_id", text()), ("version", nullable())]),
        "TaskStatus": object(&[
            ("id", number()), ("state", reference("State")), ("worker_id", text()), ("version", nullable()),
        ]),
        "Task": object(&[("id", reference("TaskId")), ("config", reference("Config"))]),
        "Tasks": list("Task"),
        "Topics": { "type": "object", "additionalProperties": object(&[("topics", texts())]) },
        "Position": {
            "type": "object",
            "required": ["partition", "offset"],
            "additionalProperties": false,
            "properties": { "partition": any(), "offset": { "type": "object", "nullable": true } },
        },
        "Offsets": object(&[("offsets", list("Position"))]),
    })
}

fn of_the_rest() -> Value {
    json!({
        "Object": any(),
        "Text": text(),
        "Texts": texts(),
        "Error": object(&[("error_code", number()), ("message", text())]),
        "Message": object(&[("message", text())]),
        "Plugins": list("Plugin"),
        "Plugin": object(&[("class", text()), ("type", text()), ("version", text())]),
        "Definitions": { "type": "array", "items": any() },
        "Validation": object(&[
            ("name", text()), ("error_count", number()), ("groups", texts()), ("configs", json!({ "type": "array", "items": any() })),
        ]),
        "Logger": object(&[("level", text()), ("last_modified", json!({ "type": "integer", "nullable": true }))]),
        "Loggers": { "type": "object", "additionalProperties": reference("Logger") },
        "Level": object(&[("level", text())]),
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn list(name: &str) -> Value {
    json!({ "type": "array", "items": reference(name) })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn texts() -> Value {
    json!({ "type": "array", "items": text() })
}

fn nullable() -> Value {
    json!({ "type": "string", "nullable": true })
}

fn number() -> Value {
    json!({ "type": "integer" })
}

fn any() -> Value {
    json!({ "type": "object" })
}

/// An object in which these members are always there.
fn object(members: &[(&str, Value)]) -> Value {
    let names: Vec<_> = members.iter().map(|(name, _)| *name).collect();
    let properties: Value =
        members.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "required": names, "properties": properties })
}
