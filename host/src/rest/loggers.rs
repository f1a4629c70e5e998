//! `/admin/loggers`: what is logged, looked at and changed.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::api::{Api, Doc, parameter};
use super::body::{Body, level};
use super::error::ApiError;
use super::path::Name;
use crate::telemetry::Setting;
use crate::worker::Worker;

pub(super) fn routes() -> Api {
    let scope = json!({ "type": "string", "enum": ["worker", "cluster"] });
    let set =
        Doc::new("Sets a logger and all below it; answers with those that it changed").query("scope", scope);
    Api::default()
        .get("/admin/loggers", list, Doc::new("All loggers").answers(200, "Loggers"))
        .get("/admin/loggers/{name}", get, Doc::new("One logger").answers(200, "Logger"))
        .put("/admin/loggers/{name}", put, set.body("Level").answers(200, "Texts").empty(204))
}

async fn list(State(worker): State<Worker>) -> Json<Value> {
    let loggers = worker.loggers();
    let all: Map<_, _> = loggers.into_iter().map(|(name, setting)| (name, setting_json(setting))).collect();
    Json(all.into())
}

async fn get(State(worker): State<Worker>, Name(name): Name) -> Result<Json<Value>, ApiError> {
    Ok(Json(setting_json(worker.logger(&name)?)))
}

/// With the scope of the cluster the answer tells nothing: in a cluster, nobody could tell of the others.
async fn put(
    State(worker): State<Worker>,
    Name(name): Name,
    Query(parameters): Query<Vec<(String, String)>>,
    Body(body): Body,
) -> Result<Response, ApiError> {
    let level = level(&body)?
        .ok_or_else(|| ApiError::bad_request("Desired 'level' parameter was not specified in request."))?;
    if level.is_empty() {
        return Err(ApiError::unreadable("Illegal null or empty Level name."));
    }
    let changed = worker.set_logger(&name, &level)?;
    Ok(match parameter(&parameters, "scope") {
        Some(scope) if scope.eq_ignore_ascii_case("cluster") => StatusCode::NO_CONTENT.into_response(),
        _ => Json(changed).into_response(),
    })
}

fn setting_json(setting: Setting) -> Value {
    json!({ "level": setting.level.name(), "last_modified": setting.modified })
}
