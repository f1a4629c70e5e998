//! What the path of a request names. Segments are decoded once, so a connector's name may hold any
//! character: `/connectors/a%2Fb%25/status` is the status of `a/b%`.

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::error::ApiError;

/// `/connectors/{name}…` or `/connector-plugins/{name}…`
pub(super) struct Name(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(rejection) => Err(ApiError::bad_request(rejection.body_text())),
        }
    }
}

/// `/connectors/{name}/tasks/{number}…`
pub(super) struct TaskOf {
    pub(super) connector: String,
    pub(super) task: i32,
}

impl<S: Send + Sync> FromRequestParts<S> for TaskOf {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path((connector, task)) = Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
        // What is no number names nothing that exists.
        let task = task.parse().map_err(|_| ApiError::plain(StatusCode::NOT_FOUND))?;
        Ok(Self { connector, task })
    }
}

/// `name` as one segment of a path: what is neither unreserved nor a delimiter that may
/// stand in one is percent-encoded.
pub(super) fn encoded(name: &str) -> String {
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_would_misread_is_encoded() {
        assert_eq!(encoded("plain-name_1.x~"), "plain-name_1.x~");
        assert_eq!(encoded("a/b%c d\\é?#"), "a%2Fb%25c%20d%5C%C3%A9%3F%23");
        assert_eq!(encoded("a+b:c;d,e'f(h)!$*&="), "a+b:c;d,e'f(h)!$*&=");
    }
}
