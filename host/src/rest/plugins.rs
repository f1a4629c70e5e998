//! `/connector-plugins`: which plugins there are, what they can be told, and whether a configuration
//! would do.

use axum::Json;
use axum::extract::{Query, State};
use serde_json::{Value, json};

use super::api::{Api, Doc, boolean, parameter, text_parameter};
use super::body::{Body, ConfigBody};
use super::error::{ApiError, carry_out};
use super::path::Name;
use super::status;
use crate::config::KeyReport;
use crate::config::Kind;
use crate::worker::Worker;
use crate::worker::api::PluginInfo;

pub(super) fn routes() -> Api {
    let list_doc =
        Doc::new("The plugins there are").query("connectorsOnly", boolean()).answers(200, "Plugins");
    let validate_doc = Doc::new("Whether a configuration would do").body("Config").answers(200, "Validation");
    let config_doc =
        Doc::new("What a plugin can be told").query("version", text_parameter()).answers(200, "Definitions");
    Api::default()
        .get("/connector-plugins", list, list_doc)
        .get("/connector-plugins/{name}/config", config, config_doc)
        .put("/connector-plugins/{name}/config/validate", validate, validate_doc)
}

/// Sinks, sources, and with `connectorsOnly=false` the others too.
async fn list(State(worker): State<Worker>, Query(parameters): Query<Vec<(String, String)>>) -> Json<Value> {
    let connectors_only =
        parameter(&parameters, "connectorsOnly").is_none_or(|value| value.eq_ignore_ascii_case("true"));
    let mut plugins = worker.plugins();
    plugins.retain(|plugin| !connectors_only || plugin.kind != Kind::Transform);
    plugins.sort_by_key(|plugin| match plugin.kind {
        Kind::Sink => 0,
        Kind::Source => 1,
        Kind::Transform => 2,
    });
    Json(plugins.iter().map(plugin_json).collect())
}

/// Of the newest version, or of the newest that `version` allows.
async fn config(
    State(worker): State<Worker>,
    Name(class): Name,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!(worker.plugin_config(&class, parameter(&parameters, "version"))?)))
}

/// Errors of the configuration are the answer here, not an error of the request.
async fn validate(
    State(worker): State<Worker>,
    Name(class): Name,
    Body(body): Body,
) -> Result<Json<Value>, ApiError> {
    let body = ConfigBody::decode(&body)?;
    if let Some(included) = body.values.get("connector.class")
        && !short(included).ends_with(short(&class))
    {
        return Err(ApiError::bad_request(format!(
            "Included connector type {included} does not match request type {class}"
        )));
    }
    let report = carry_out(worker, |worker| async move { worker.validate(body.draft()).await }).await?;
    let errors: usize = report.configs.iter().map(|key| key.errors.len()).sum();
    Ok(Json(json!({
        "name": report.name,
        "error_count": errors,
        "groups": report.groups,
        "configs": report.configs.iter().map(key_report_json).collect::<Value>(),
    })))
}

/// `FileStreamSourceConnector` and `FileStreamSource` mean the same.
fn short(class: &str) -> &str {
    class.strip_suffix("Connector").unwrap_or(class)
}

fn plugin_json(plugin: &PluginInfo) -> Value {
    json!({
        "class": plugin.class,
        "type": status::plugin_type(plugin.kind),
        "version": plugin.version,
        "plugin": status::of_code(&plugin.name, &plugin.version, &plugin.sha256),
    })
}

fn key_report_json(report: &KeyReport) -> Value {
    json!({
        "definition": report.definition,
        "value": {
            "name": report.name,
            "value": report.value,
            "recommended_values": report.recommended_values,
            "errors": report.errors,
            "visible": report.visible,
        },
    })
}
