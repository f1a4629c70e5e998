//! `/connectors/{name}/offsets`: where a connector stands, and moving it.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::api::{Api, Doc};
use super::body::{Body, positions};
use super::error::{ApiError, carry_out};
use super::path::Name;
use crate::worker::Worker;
use crate::worker::offsets::Position;

pub(super) fn routes() -> Api {
    let path = "/connectors/{name}/offsets";
    Api::default()
        .get(path, list, Doc::new("Where a connector stands").answers(200, "Offsets"))
        .patch(path, alter, Doc::new("Moves a stopped connector").body("Offsets").answers(200, "Message"))
        .delete(path, reset, Doc::new("Has a stopped connector begin anew").answers(200, "Message"))
}

async fn list(State(worker): State<Worker>, Name(name): Name) -> Result<Json<Value>, ApiError> {
    let positions = carry_out(worker, |worker| async move { worker.offsets(&name).await }).await?;
    let position = |Position { partition, offset }| json!({ "partition": partition, "offset": offset });
    Ok(Json(json!({ "offsets": positions.into_iter().map(position).collect::<Value>() })))
}

async fn alter(
    State(worker): State<Worker>,
    Name(name): Name,
    Body(body): Body,
) -> Result<Json<Value>, ApiError> {
    let to = positions(&body)?;
    let message = carry_out(worker, |worker| async move { worker.alter_offsets(&name, to).await }).await?;
    Ok(Json(json!({ "message": message })))
}

async fn reset(State(worker): State<Worker>, Name(name): Name) -> Result<Json<Value>, ApiError> {
    let message = carry_out(worker, |worker| async move { worker.reset_offsets(&name).await }).await?;
    Ok(Json(json!({ "message": message })))
}
