//! What S3's answers mean for the sink.
//!
//! A body of XML says more than the status. Of it only what is known is repeated: whoever answers in place of S3
//! may put anything into it.

use std::time::Duration;

use transom_sdk::http::Response;
use transom_sdk::{Error, Kind};

/// Codes whose cause another attempt may not meet.
const PASSING: [&str; 7] = [
    "SlowDown",
    "InternalError",
    "ServiceUnavailable",
    "RequestTimeout",
    "OperationAborted",
    "ConditionalRequestConflict",
    "RequestTimeTooSkewed",
];

/// Codes that name who has to do what.
const HINTS: [(&str, &str); 8] = [
    ("NoSuchBucket", "set s3.bucket.name to a bucket that exists"),
    ("InvalidAccessKeyId", "aws.access.key.id is not known there"),
    ("XAdminUserNotFound", "aws.access.key.id is not known there"),
    ("SignatureDoesNotMatch", "aws.secret.access.key is not that of aws.access.key.id"),
    ("AccessDenied", "the credentials do not allow it"),
    ("ExpiredToken", "aws.session.token has expired"),
    ("InvalidToken", "aws.session.token is not valid"),
    ("AuthorizationHeaderMalformed", "s3.region is probably not that of the bucket"),
];

/// The error that an answer is.
pub(crate) fn error_of(response: &Response, backoff: Duration) -> Error {
    let code = code(response);
    let error = response.error();
    let text = match HINTS.iter().find(|(known, _)| *known == code) {
        Some((_, hint)) => format!("{} ({code}: {hint})", error.message()),
        None if PASSING.contains(&&*code) => format!("{} ({code})", error.message()),
        None => error.message().to_owned(),
    };
    if error.kind() == Kind::Retriable || PASSING.contains(&&*code) {
        return Error::retriable(text).retry_after(error.after().unwrap_or(backoff));
    }
    Error::fatal(text)
}

/// S3's own word for what is wrong; empty without one.
pub(crate) fn code(response: &Response) -> String {
    let body = String::from_utf8_lossy(&response.body);
    let code = element(&body, "Code").unwrap_or_default();
    if code.bytes().all(|byte| byte.is_ascii_alphanumeric()) { code.to_owned() } else { String::new() }
}

/// The text of the first element of a name. S3's answers have neither attributes nor comments where this looks.
pub(crate) fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, code: &str) -> Error {
        let body = format!("<Error><Code>{code}</Code><Message>canary</Message></Error>");
        error_of(&Response::new(status).with_body(body), Duration::from_millis(7))
    }

    #[test]
    fn what_passes_is_tried_again() {
        for (status, code) in [(503, "SlowDown"), (500, "InternalError"), (409, "OperationAborted")] {
            let error = error(status, code);
            assert_eq!((error.kind(), error.after()), (Kind::Retriable, Some(Duration::from_millis(7))));
            assert!(error.message().contains(code), "{error}");
        }
    }

    #[test]
    fn what_needs_somebody_names_the_setting_and_nothing_that_was_sent() {
        let error = error(403, "SignatureDoesNotMatch");
        assert_eq!(error.kind(), Kind::Fatal);
        assert!(error.message().contains("aws.secret.access.key") && !error.message().contains("canary"));
        assert_eq!(code(&Response::new(400).with_body("<Code>a b&</Code>")), "");
    }
}
