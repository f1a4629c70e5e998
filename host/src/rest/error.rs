//! What a request is answered when it cannot be carried out: `{"error_code", "message"}`, always.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::forward::NotLeading;
use crate::worker::api::WorkerError;

/// How long a request may take. Kafka Connect has the same constant.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);

/// An error as the client sees it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
    /// Another worker may carry it out.
    not_leading: bool,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), not_leading: false }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// A body that is no JSON, or not the JSON that was expected: 500, as Kafka Connect has it.
    pub(super) fn unreadable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// An error that says no more than its status: Kafka Connect's words for it.
    pub(super) fn plain(status: StatusCode) -> Self {
        Self::new(status, format!("HTTP {status}"))
    }
}

impl From<WorkerError> for ApiError {
    fn from(error: WorkerError) -> Self {
        let status = match &error {
            WorkerError::NotFound(_) => StatusCode::NOT_FOUND,
            WorkerError::Conflict(_) | WorkerError::NotLeading => StatusCode::CONFLICT,
            WorkerError::BadRequest(_) | WorkerError::InvalidConfig(_) => StatusCode::BAD_REQUEST,
            WorkerError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let not_leading = matches!(error, WorkerError::NotLeading);
        Self { not_leading, ..Self::new(status, error.to_string()) }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({ "error_code": self.status.as_u16(), "message": self.message });
        let mut response = (self.status, Json(body)).into_response();
        if self.not_leading {
            let _ = response.extensions_mut().insert(NotLeading);
        }
        response
    }
}

/// Has `work` done and waits for its answer.
///
/// The work is a task of its own: when the client hangs up or the time is over it goes on, as in
/// Kafka Connect, instead of being dropped half-way. A client that got no answer has to look.
pub(super) async fn carry_out<T, F>(work: F) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, WorkerError>> + Send + 'static,
    T: Send + 'static,
{
    carry_out_within(REQUEST_TIMEOUT, work).await
}

async fn carry_out_within<T, F>(limit: Duration, work: F) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, WorkerError>> + Send + 'static,
    T: Send + 'static,
{
    match tokio::time::timeout(limit, tokio::spawn(work)).await {
        Ok(Ok(answer)) => answer.map_err(ApiError::from),
        Ok(Err(panic)) => {
            tracing::error!(%panic, "a request panicked");
            Err(ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Internal error; the worker's log says more",
            ))
        }
        Err(_) => Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "Request timed out")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Problem, Problems};

    #[test]
    fn each_error_of_the_worker_has_its_status() {
        let statuses = [
            (WorkerError::NotFound("x".into()), 404),
            (WorkerError::Conflict("x".into()), 409),
            (WorkerError::BadRequest("x".into()), 400),
            (WorkerError::InvalidConfig(Problems(vec![Problem::without_value("file", "missing")])), 400),
        ];
        for (error, status) in statuses {
            assert_eq!(ApiError::from(error).status.as_u16(), status);
        }
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error_of_the_worker() {
        let answer = carry_out::<(), _>(async { panic!("on purpose") }).await;
        assert_eq!(answer.unwrap_err().status, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[tokio::test]
    async fn work_that_takes_too_long_is_answered_and_goes_on() {
        let (proceed, wait) = tokio::sync::oneshot::channel::<()>();
        let (done, ended) = tokio::sync::oneshot::channel::<()>();
        let answer = carry_out_within(Duration::ZERO, async move {
            wait.await.unwrap();
            done.send(()).unwrap();
            Ok(())
        });
        assert_eq!(answer.await.unwrap_err().message, "Request timed out");
        proceed.send(()).unwrap();
        ended.await.unwrap();
    }
}
