//! The shapes of bodies, for `/openapi.json`.

use serde_json::{Value, json};

/// All of them, by name.
pub(super) fn schemas() -> Value {
    let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let list = |name: &str| json!({ "type": "array", "items": reference(name) });
    let text = || json!({ "type": "string" });
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    let number = || json!({ "type": "integer" });
    let nullable = || json!({ "type": "string", "nullable": true });
    let any = || json!({ "type": "object" });
    let states = ["UNASSIGNED", "RUNNING", "PAUSED", "FAILED", "STOPPED", "RESTARTING"];
    json!({
        "Object": any(),
        "Text": text(),
        "Texts": texts(),
        "Error": object(&[("error_code", number()), ("message", text())]),
        "Message": object(&[("message", text())]),
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

/// An object in which these members are always there.
fn object(members: &[(&str, Value)]) -> Value {
    let names: Vec<_> = members.iter().map(|(name, _)| *name).collect();
    let properties: Value =
        members.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "required": names, "properties": properties })
}
