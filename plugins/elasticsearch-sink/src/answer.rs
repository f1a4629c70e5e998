//! What the server says about each action of a request.
//!
//! Whether something is to be tried again, is the record's own fault, or is nobody's who reads records, the status
//! tells, with few exceptions that are named here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use transom_sdk::Error;

/// So much of a server's reason is told: it may quote the document.
const LONGEST_REASON: usize = 1_000;

/// What became of one action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    /// A newer version stands, or this one came before: nothing is left to do.
    Conflict,
    /// Not now.
    Again(String),
    /// The record cannot be written, now or ever.
    Refused(String),
}

#[derive(Deserialize)]
struct Head {
    errors: bool,
    items: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct Whole {
    items: Vec<BTreeMap<String, Outcome>>,
}

#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    status: u16,
    error: Option<Value>,
}

/// The verdicts, one for each of so many actions; none: all are done.
///
/// # Errors
/// It is no such answer (to be tried again), or what is wrong is nothing about records.
pub(crate) fn read(body: &[u8], actions: usize) -> Result<Option<Vec<Verdict>>, Error> {
    let strange = |what: String| Error::retriable(format!("the answer of _bulk is none: {what}"));
    let head: Head = serde_json::from_slice(body).map_err(|error| strange(error.to_string()))?;
    if head.items.len() != actions {
        return Err(strange(format!("{} items for {actions} actions", head.items.len())));
    }
    if !head.errors {
        return Ok(None);
    }
    let whole: Whole = serde_json::from_slice(body).map_err(|error| strange(error.to_string()))?;
    let verdict = |item: BTreeMap<String, Outcome>| match item.into_iter().next() {
        Some((action, outcome)) => outcome.verdict(&action),
        None => Err(strange("an item is empty".into())),
    };
    whole.items.into_iter().map(verdict).collect::<Result<_, _>>().map(Some)
}

impl Outcome {
    fn verdict(self, action: &str) -> Result<Verdict, Error> {
        // Deleting what is not there has the status 404, and is no error.
        let Some(error) = self.error else { return Ok(Verdict::Done) };
        let kind = error["type"].as_str().unwrap_or_default();
        let reason = explain(&error);
        Ok(match self.status {
            409 if action == "update" => Verdict::Again(reason),
            409 => Verdict::Conflict,
            408 | 429 | 500.. => Verdict::Again(reason),
            // Read-only for now, as when a disk is full.
            403 if kind == "cluster_block_exception" => Verdict::Again(reason),
            // No room for the shards of a new index.
            400 if kind == "validation_exception" => Verdict::Again(reason),
            401 | 403 => return Err(Error::fatal(format!("the server forbids the writing: {reason}"))),
            404 => {
                return Err(Error::fatal(format!(
                    "the server has no such index, and makes none by itself: {reason}"
                )));
            }
            _ => Verdict::Refused(reason),
        })
    }
}

/// An error, and what caused it.
pub(crate) fn explain(error: &Value) -> String {
    let mut text = match error["type"].as_str() {
        Some(kind) => format!("{kind}: {}", error["reason"].as_str().unwrap_or_default()),
        None => error.as_str().map_or_else(|| error.to_string(), str::to_owned),
    };
    if let Some(cause) = error["caused_by"]["reason"].as_str() {
        text.push_str(&format!(" ({cause})"));
    }
    if let Some((end, _)) = text.char_indices().nth(LONGEST_REASON) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use transom_sdk::{Kind, json};

    use super::*;

    fn one(action: &str, status: u16, kind: &str) -> Result<Verdict, Error> {
        let error = json!({ "type": kind, "reason": "why", "caused_by": { "reason": "because" } });
        let body = json!({ "errors": true, "items": [{ action: { "status": status, "error": error } }] });
        Ok(read(body.to_string().as_bytes(), 1)?.unwrap().remove(0))
    }

    #[test]
    fn a_status_tells_whose_fault_it_is() {
        let reason = |kind: &str| format!("{kind}: why (because)");
        assert_eq!(
            one("index", 400, "mapper_parsing_exception"),
            Ok(Verdict::Refused(reason("mapper_parsing_exception")))
        );
        assert_eq!(one("index", 429, "x"), Ok(Verdict::Again(reason("x"))));
        assert_eq!(one("index", 503, "x"), Ok(Verdict::Again(reason("x"))));
        assert_eq!(
            one("index", 403, "cluster_block_exception"),
            Ok(Verdict::Again(reason("cluster_block_exception")))
        );
        assert_eq!(one("index", 409, "x"), Ok(Verdict::Conflict));
        assert_eq!(one("create", 409, "x"), Ok(Verdict::Conflict));
        assert_eq!(one("update", 409, "x"), Ok(Verdict::Again(reason("x"))));
        assert_eq!(one("index", 403, "security_exception").unwrap_err().kind(), Kind::Fatal);
        assert_eq!(one("index", 404, "index_not_found_exception").unwrap_err().kind(), Kind::Fatal);
    }

    #[test]
    fn what_is_no_error_is_done() {
        let deleted =
            br#"{"errors":true,"items":[{"delete":{"status":404}},{"index":{"status":409,"error":{}}}]}"#;
        assert_eq!(read(deleted, 2), Ok(Some(vec![Verdict::Done, Verdict::Conflict])));
        assert_eq!(read(br#"{"took":1,"errors":false,"items":[{},{}]}"#, 2), Ok(None));
    }

    #[test]
    fn an_answer_that_is_none_is_asked_for_again() {
        for body in ["<html>", "{}", r#"{"errors":false,"items":[{}]}"#, r#"{"errors":true,"items":[{},{}]}"#]
        {
            assert_eq!(read(body.as_bytes(), 2).unwrap_err().kind(), Kind::Retriable, "{body}");
        }
    }

    #[test]
    fn a_long_reason_is_cut() {
        let text = explain(&json!({ "type": "t", "reason": "ä".repeat(5_000) }));
        assert_eq!(text.chars().count(), LONGEST_REASON + 1);
    }
}
