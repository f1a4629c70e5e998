//! The requests, each a method.

use std::fmt::Write as _;

use transom_sdk::Error;
use transom_sdk::http::{Method, Response};

use super::{Ask, Bucket, errors};

/// How a write ended that must not replace anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Conditional {
    /// It is there now, under this tag.
    Written(String),
    /// Something else is there.
    Refused,
    /// The upload is not known any more: it was completed or aborted.
    Gone,
}

/// What is known of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) bytes: u64,
}

/// A part that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) tag: String,
}

impl Bucket {
    /// Whether the bucket is there and may be asked.
    pub(crate) fn head_bucket(&self) -> Result<(), Error> {
        let ask = Ask { method: Method::Head, key: None, query: &[], headers: Vec::new(), body: &[] };
        self.success(self.send(&ask)?).map(drop)
    }

    /// What is known of an object; none: it is not there.
    pub(crate) fn head(&self, key: &str) -> Result<Option<Head>, Error> {
        let response = self.send(&of(Method::Head, key, &[], &[]))?;
        if response.status == 404 {
            return Ok(None);
        }
        let response = self.success(response)?;
        let bytes = response.headers.get("content-length").and_then(|text| text.parse().ok());
        bytes.map(|bytes| Some(Head { bytes })).ok_or_else(|| {
            Error::fatal(format!("HEAD of {key}: the answer does not say how long the object is"))
        })
    }

    /// The content and the tag of a small object; none: it is not there.
    pub(crate) fn get(&self, key: &str) -> Result<Option<(Vec<u8>, String)>, Error> {
        let response = self.send(&of(Method::Get, key, &[], &[]))?;
        if response.status == 404 && errors::code(&response) != "NoSuchBucket" {
            return Ok(None);
        }
        let response = self.success(response)?;
        let tag = tag(&response)?;
        Ok(Some((response.body, tag)))
    }

    /// Writes an object whole: where none is, or (`expected`) in place of the one with this tag.
    pub(crate) fn put(
        &self,
        key: &str,
        kind: &str,
        body: &[u8],
        expected: Option<&str>,
    ) -> Result<Conditional, Error> {
        let mut ask = of(Method::Put, key, &[], body);
        ask.headers = self.headers_of_object(kind);
        ask.headers.push(match expected {
            None => ("if-none-match".into(), "*".into()),
            Some(tag) => ("if-match".into(), tag.into()),
        });
        let response = self.send(&ask)?;
        // With if-match, an object that has vanished is a 404.
        if response.status == 412 || (response.status == 404 && errors::code(&response) == "NoSuchKey") {
            return Ok(Conditional::Refused);
        }
        Ok(Conditional::Written(tag(&self.success(response)?)?))
    }

    pub(crate) fn delete(&self, key: &str) -> Result<(), Error> {
        let response = self.send(&of(Method::Delete, key, &[], &[]))?;
        if response.status == 404 { Ok(()) } else { self.success(response).map(drop) }
    }

    /// Begins an upload in parts: its id.
    pub(crate) fn create_upload(&self, key: &str, kind: &str) -> Result<String, Error> {
        let mut ask = of(Method::Post, key, &[("uploads", "")], &[]);
        ask.headers = self.headers_of_object(kind);
        let response = self.success(self.send(&ask)?)?;
        let body = String::from_utf8_lossy(&response.body);
        let id = errors::element(&body, "UploadId").map(unescape);
        id.ok_or_else(|| Error::retriable(format!("POST of {key}: the answer has no UploadId")))
    }

    /// Uploads a part. None: the upload is not known any more.
    pub(crate) fn put_part(
        &self,
        key: &str,
        upload: &str,
        number: usize,
        body: &[u8],
    ) -> Result<Option<Part>, Error> {
        let number = number.to_string();
        let query = [("partNumber", number.as_str()), ("uploadId", upload)];
        let response = self.send(&of(Method::Put, key, &query, body))?;
        if response.status == 404 && errors::code(&response) == "NoSuchUpload" {
            return Ok(None);
        }
        Ok(Some(Part { tag: tag(&self.success(response)?)? }))
    }

    /// Makes an object of the parts, where none is.
    pub(crate) fn complete_upload(
        &self,
        key: &str,
        upload: &str,
        parts: &[Part],
    ) -> Result<Conditional, Error> {
        let mut body = "<CompleteMultipartUpload>".to_owned();
        for (index, part) in parts.iter().enumerate() {
            let tag = part.tag.replace('"', "&quot;");
            let number = index + 1;
            let _ = write!(body, "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>");
        }
        body.push_str("</CompleteMultipartUpload>");
        let query = [("uploadId", upload)];
        let mut ask = of(Method::Post, key, &query, body.as_bytes());
        ask.headers.push(("content-type".into(), "application/xml".into()));
        ask.headers.push(("if-none-match".into(), "*".into()));
        let response = self.send(&ask)?;
        match (response.status, errors::code(&response).as_str()) {
            (412, _) => Ok(Conditional::Refused),
            // The second: S3 wants the upload to be begun anew.
            (404, "NoSuchUpload") | (409, "ConditionalRequestConflict") => Ok(Conditional::Gone),
            // S3 may find out what is wrong after it has said 200.
            (200, "") => Ok(Conditional::Written(String::new())),
            (200, code) => Err(Error::retriable(format!("POST of {key}: S3 could not complete it ({code})"))
                .retry_after(self.backoff)),
            _ => Err(self.error(&response)),
        }
    }

    pub(crate) fn abort_upload(&self, key: &str, upload: &str) -> Result<(), Error> {
        let response = self.send(&of(Method::Delete, key, &[("uploadId", upload)], &[]))?;
        if response.status == 404 { Ok(()) } else { self.success(response).map(drop) }
    }

    /// The uploads that were begun under a prefix and not ended: key and id; a thousand at most.
    pub(crate) fn uploads(&self, prefix: &str) -> Result<Vec<(String, String)>, Error> {
        let query = [("prefix", prefix), ("uploads", "")];
        let ask = Ask { method: Method::Get, key: None, query: &query, headers: Vec::new(), body: &[] };
        let response = self.success(self.send(&ask)?)?;
        let body = String::from_utf8_lossy(&response.body);
        let of = |text: &str, name| errors::element(text, name).map(unescape);
        let found = body.split("<Upload>").skip(1);
        Ok(found.filter_map(|upload| Some((of(upload, "Key")?, of(upload, "UploadId")?))).collect())
    }

    fn headers_of_object(&self, kind: &str) -> Vec<(String, String)> {
        let mut headers = self.object_headers.clone();
        headers.push(("content-type".into(), kind.into()));
        headers
    }

    fn success(&self, response: Response) -> Result<Response, Error> {
        if (200..300).contains(&response.status) { Ok(response) } else { Err(self.error(&response)) }
    }
}

fn of<'r>(method: Method, key: &'r str, query: &'r [(&'r str, &'r str)], body: &'r [u8]) -> Ask<'r> {
    Ask { method, key: Some(key), query, headers: Vec::new(), body }
}

fn tag(response: &Response) -> Result<String, Error> {
    let tag = response.headers.get("etag").map(str::to_owned);
    tag.ok_or_else(|| Error::retriable(format!("the answer has no ETag: {response:?}")))
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&amp;", "&")
}
