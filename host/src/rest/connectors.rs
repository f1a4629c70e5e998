//! `/connectors`: what there is, what it does, and every change to it.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::api::{Api, Doc, boolean, parameter};
use super::body::{Body, ConfigBody, CreateRequest};
use super::error::{ApiError, carry_out};
use super::path::{Name, TaskOf, encoded};
use super::{offsets, status};
use crate::worker::Worker;
use crate::worker::api::{ConnectorInfo, RawConfig, Restart, Target, WorkerError};

type Answer<T> = Result<T, ApiError>;
/// The parameters of a query, in their order; a name may occur more than once.
type Parameters = Query<Vec<(String, String)>>;

pub(super) fn routes() -> Api {
    collection().merge(states()).merge(tasks_and_topics()).merge(offsets::routes())
}

fn collection() -> Api {
    let expand = json!({ "type": "array", "items": { "type": "string", "enum": ["info", "status"] } });
    let create_doc = Doc::new("Creates a connector").body("CreateConnector").answers(201, "ConnectorInfo");
    let put_doc = Doc::new("Replaces a connector's configuration, or creates it").body("Config");
    let patch_doc = Doc::new("Changes settings of a connector; null takes one away").body("ConfigPatch");
    Api::default()
        .get(
            "/connectors",
            list,
            Doc::new("All connectors").query("expand", expand).answers(200, "Connectors"),
        )
        .post("/connectors", create, create_doc)
        .get("/connectors/{name}", info, Doc::new("A connector").answers(200, "ConnectorInfo"))
        .delete("/connectors/{name}", delete, Doc::new("Deletes a connector").empty(204))
        .get("/connectors/{name}/config", config, Doc::new("Its configuration").answers(200, "Config"))
        .put(
            "/connectors/{name}/config",
            put_config,
            put_doc.answers(200, "ConnectorInfo").answers(201, "ConnectorInfo"),
        )
        .patch("/connectors/{name}/config", patch_config, patch_doc.answers(200, "ConnectorInfo"))
}

fn states() -> Api {
    let restart_doc = Doc::new("Starts a connector again")
        .query("includeTasks", boolean())
        .query("onlyFailed", boolean())
        .answers(202, "ConnectorStatus")
        .empty(204);
    Api::default()
        .get(
            "/connectors/{name}/status",
            connector_status,
            Doc::new("How it is").answers(200, "ConnectorStatus"),
        )
        .put("/connectors/{name}/pause", pause, Doc::new("Has it hold still").empty(202))
        .put("/connectors/{name}/resume", resume, Doc::new("Has it go on").empty(202))
        .put("/connectors/{name}/stop", stop, Doc::new("Takes its tasks away").empty(204))
        .post("/connectors/{name}/restart", restart, restart_doc)
}

fn tasks_and_topics() -> Api {
    let status_doc = Doc::new("How a task is").answers(200, "TaskStatus");
    Api::default()
        .get("/connectors/{name}/tasks", tasks, Doc::new("Its tasks").answers(200, "Tasks"))
        .get("/connectors/{name}/tasks/{task}/status", task_status, status_doc)
        .post(
            "/connectors/{name}/tasks/{task}/restart",
            restart_task,
            Doc::new("Starts a task again").empty(204),
        )
        .get("/connectors/{name}/topics", topics, Doc::new("The topics it has used").answers(200, "Topics"))
        .put("/connectors/{name}/topics/reset", reset_topics, Doc::new("Forgets those topics").empty(202))
}

/// The names; with any `expand` an object that holds what was asked of each.
async fn list(State(worker): State<Worker>, Query(parameters): Parameters) -> Json<Value> {
    let expand: Vec<_> =
        parameters.iter().filter(|(name, _)| name == "expand").map(|(_, what)| what.as_str()).collect();
    if expand.is_empty() {
        return Json(worker.names().into());
    }
    let mut all = Map::new();
    for name in worker.names() {
        // It may have been deleted since its name was listed.
        if let Ok(parts) = expanded(&worker, &name, &expand) {
            all.insert(name, parts.into());
        }
    }
    Json(all.into())
}

/// What `expand` asks of one connector. Unknown words ask for nothing.
fn expanded(worker: &Worker, name: &str, expand: &[&str]) -> Result<Map<String, Value>, WorkerError> {
    let mut parts = Map::new();
    for &what in expand {
        let part = match what {
            "info" => info_json(&worker.info(name)?),
            "status" => status::of_connector(&worker.status(name)?, worker.advertised()),
            _ => continue,
        };
        parts.insert(what.to_owned(), part);
    }
    Ok(parts)
}

async fn create(State(worker): State<Worker>, headers: HeaderMap, Body(body): Body) -> Answer<Response> {
    let request = CreateRequest::decode(&body)?;
    let config = request.config.of_connector()?;
    let location = location(&worker, &headers, &request.name);
    let (name, target) = (request.name, request.target);
    let info = carry_out(worker, |worker| async move { worker.create(name, config, target).await }).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(info_json(&info))).into_response())
}

async fn info(State(worker): State<Worker>, Name(name): Name) -> Answer<Json<Value>> {
    Ok(Json(info_json(&worker.info(&name)?)))
}

async fn config(State(worker): State<Worker>, Name(name): Name) -> Answer<Json<RawConfig>> {
    Ok(Json(worker.info(&name)?.config))
}

async fn put_config(
    State(worker): State<Worker>,
    Name(name): Name,
    headers: HeaderMap,
    Body(body): Body,
) -> Answer<Response> {
    let config = ConfigBody::decode(&body)?.of_connector()?;
    let location = location(&worker, &headers, &name);
    let (created, info) =
        carry_out(worker, |worker| async move { worker.put_config(name, config).await }).await?;
    let body = Json(info_json(&info));
    Ok(if created {
        (StatusCode::CREATED, [(header::LOCATION, location)], body).into_response()
    } else {
        body.into_response()
    })
}

async fn patch_config(
    State(worker): State<Worker>,
    Name(name): Name,
    Body(body): Body,
) -> Answer<Json<Value>> {
    let patch = ConfigBody::decode(&body)?.of_patch();
    let info = carry_out(worker, |worker| async move { worker.patch_config(&name, patch).await }).await?;
    Ok(Json(info_json(&info)))
}

async fn topics(State(worker): State<Worker>, Name(name): Name) -> Answer<Json<Value>> {
    let topics = worker.topics(&name)?;
    Ok(Json(json!({ name: { "topics": topics } })))
}

async fn reset_topics(State(worker): State<Worker>, Name(name): Name) -> Answer<StatusCode> {
    carry_out(worker, |worker| async move { worker.reset_topics(&name).await }).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn delete(State(worker): State<Worker>, Name(name): Name) -> Answer<StatusCode> {
    carry_out(worker, |worker| async move { worker.delete(&name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn connector_status(State(worker): State<Worker>, Name(name): Name) -> Answer<Json<Value>> {
    Ok(Json(status::of_connector(&worker.status(&name)?, worker.advertised())))
}

async fn pause(State(worker): State<Worker>, Name(name): Name) -> Answer<StatusCode> {
    carry_out(worker, |worker| async move { worker.set_target(&name, Target::Paused).await }).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn resume(State(worker): State<Worker>, Name(name): Name) -> Answer<StatusCode> {
    carry_out(worker, |worker| async move { worker.set_target(&name, Target::Running).await }).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn stop(State(worker): State<Worker>, Name(name): Name) -> Answer<StatusCode> {
    carry_out(worker, |worker| async move { worker.set_target(&name, Target::Stopped).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Without parameters the connector alone, which answers nothing (204); else what was planned (202).
async fn restart(
    State(worker): State<Worker>,
    Name(name): Name,
    Query(parameters): Parameters,
) -> Answer<Response> {
    let what = Restart {
        include_tasks: flag(&parameters, "includeTasks"),
        only_failed: flag(&parameters, "onlyFailed"),
    };
    let advertised = worker.advertised().to_owned();
    let planned = carry_out(worker, |worker| async move { worker.restart(&name, what).await }).await?;
    Ok(if what == Restart::default() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        (StatusCode::ACCEPTED, Json(status::of_connector(&planned, &advertised))).into_response()
    })
}

async fn tasks(State(worker): State<Worker>, Name(name): Name) -> Answer<Json<Value>> {
    let configs = worker.task_configs(&name)?;
    let tasks = configs
        .iter()
        .enumerate()
        .map(|(task, config)| json!({ "id": { "connector": name, "task": task }, "config": config }));
    Ok(Json(tasks.collect()))
}

async fn task_status(State(worker): State<Worker>, of: TaskOf) -> Answer<Json<Value>> {
    let none = || ApiError::not_found(format!("No status found for task {}-{}", of.connector, of.task));
    let connector = worker.status(&of.connector).map_err(|_| none())?;
    let task = connector.tasks.iter().find(|task| i32::try_from(task.id) == Ok(of.task)).ok_or_else(none)?;
    Ok(Json(status::of_task(task, worker.advertised())))
}

async fn restart_task(State(worker): State<Worker>, of: TaskOf) -> Answer<StatusCode> {
    carry_out(worker, |worker| async move { worker.restart_task(&of.connector, of.task).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn info_json(info: &ConnectorInfo) -> Value {
    let tasks: Vec<_> =
        info.tasks.iter().map(|task| json!({ "connector": info.name, "task": task })).collect();
    json!({
        "name": info.name,
        "config": info.config,
        "tasks": tasks,
        "type": status::connector_type(info.kind),
    })
}

/// Anything but `true` is false, as in Java.
fn flag(parameters: &[(String, String)], name: &str) -> bool {
    parameter(parameters, name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Where a connector is found, under the address that the client used.
fn location(worker: &Worker, headers: &HeaderMap, name: &str) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    format!("http://{}/connectors/{}", host.unwrap_or(worker.advertised()), encoded(name))
}
