//! What a request is answered when it cannot be carried out: `{"error_code", "message"}`, always.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::forward::NotLeading;
use crate::worker::Worker;
use crate::worker::api::WorkerError;
use crate::worker::stage::Stages;

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
            WorkerError::Forbidden(_) => StatusCode::FORBIDDEN,
            WorkerError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            WorkerError::NotFound(_) => StatusCode::NOT_FOUND,
            WorkerError::Conflict(_) | WorkerError::NotLeading => StatusCode::CONFLICT,
            WorkerError::BadRequest(_) | WorkerError::InvalidConfig(_) => StatusCode::BAD_REQUEST,
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

/// Has `work` done and waits for its answer, as long as a request may take.
///
/// The work is a task of its own: when the client hangs up or the time is over it goes on, as in
/// Kafka Connect, instead of being dropped half-way. A client that got no answer has to look.
pub(super) async fn carry_out<T, F>(worker: Worker, work: impl FnOnce(Worker) -> F) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, WorkerError>> + Send + 'static,
    T: Send + 'static,
{
    carry_out_within(worker.request_timeout(), work(worker)).await
}

async fn carry_out_within<T, F>(limit: Duration, work: F) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, WorkerError>> + Send + 'static,
    T: Send + 'static,
{
    let stages = Stages::default();
    let internal = |message: String| Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message));
    match tokio::time::timeout(limit, tokio::spawn(stages.scope(work))).await {
        Ok(Ok(answer)) => answer.map_err(ApiError::from),
        Ok(Err(panic)) => {
            tracing::error!(%panic, "a request panicked");
            internal("Internal error; the worker's log says more".to_owned())
        }
        Err(_) => internal(match stages.summary(instant) {
            Some(summary) => format!("Request timed out. {summary}"),
            None => "Request timed out".to_owned(),
        }),
    }
}

/// A time as Java writes one: `2026-01-31T23:59:59.123Z`.
fn instant(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Civil from days, by eras of 400 years that begin in March.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let day = day - (153 * from_march + 2) / 5 + 1;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
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
        let answer = carry_out_within::<(), _>(Duration::from_secs(9), async { panic!("on purpose") }).await;
        assert_eq!(answer.unwrap_err().status, StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[tokio::test]
    async fn who_waited_too_long_learns_what_for() {
        let answer = carry_out_within::<(), _>(Duration::from_millis(50), async {
            let _stage = crate::worker::stage::enter("stopping connector x");
            std::future::pending().await
        });
        let message = answer.await.unwrap_err().message;
        let expected = "Request timed out. The worker is currently stopping connector x, which began at 20";
        assert!(message.starts_with(expected) && message.ends_with('Z'), "{message}");
    }

    #[test]
    fn times_are_written_as_java_does() {
        let of = |millis| instant(UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!(of(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(of(951_782_400_001), "2000-02-29T00:00:00.001Z");
        assert_eq!(of(1_795_592_724_331), "2026-11-25T07:45:24.331Z");
        assert_eq!(of(1_798_761_599_999), "2026-12-31T23:59:59.999Z");
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
