//! A bucket in memory, which can fail at any request: before it is done, or after.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use transom_sdk::Error;
use transom_sdk::http::{Method, Request, Response};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Before,
    After,
    SlowDown,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) objects: BTreeMap<String, Vec<u8>>,
    pub(super) uploads: BTreeMap<String, (String, BTreeMap<usize, Vec<u8>>)>,
    pub(super) requests: Vec<String>,
    /// The request, from 0, that fails.
    pub(super) fault: Option<(usize, Fault)>,
    begun: usize,
}

pub(super) type Shared = Rc<RefCell<Store>>;

/// What the plugin's requests get from now on.
pub(super) fn serve(store: &Shared) {
    let store = Rc::clone(store);
    transom_sdk::testing::http(move |request| store.borrow_mut().answer(request));
}

impl Store {
    fn answer(&mut self, request: &Request) -> Result<Response, Error> {
        let fault = self.fault.filter(|(number, _)| *number == self.requests.len()).map(|(_, fault)| fault);
        self.requests.push(format!("{} {}", request.method().as_str(), request.url().path_and_query()));
        match fault {
            Some(Fault::Before) => Err(Error::retriable("cut off")),
            Some(Fault::SlowDown) => Ok(Response::new(503).with_body("<Error><Code>SlowDown</Code></Error>")),
            Some(Fault::After) => {
                self.done(request);
                Err(Error::retriable("cut off"))
            }
            None => Ok(self.done(request)),
        }
    }

    fn done(&mut self, request: &Request) -> Response {
        let (path, query) =
            request.url().path_and_query().split_once('?').unwrap_or((request.url().path_and_query(), ""));
        let key = unescape(path.strip_prefix("/b").unwrap_or(path).trim_start_matches('/'));
        let query: BTreeMap<_, _> =
            query.split('&').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k, unescape(v))).collect();
        let body = request.body().to_vec();
        match (request.method(), query.get("uploadId"), query.contains_key("uploads")) {
            (Method::Get, _, true) => {
                let prefix = query.get("prefix").cloned().unwrap_or_default();
                let all = self.uploads.iter().filter(|(_, (key, _))| key.starts_with(&prefix));
                let all = all.map(|(id, (key, _))| {
                    format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>")
                });
                Response::new(200).with_body(all.collect::<String>())
            }
            (Method::Post, _, true) => {
                self.begun += 1;
                let id = format!("u{}", self.begun);
                self.uploads.insert(id.clone(), (key, BTreeMap::new()));
                Response::new(200).with_body(format!("<UploadId>{id}</UploadId>"))
            }
            (Method::Put, Some(id), _) => {
                let Some((_, parts)) = self.uploads.get_mut(id) else { return failed(404, "NoSuchUpload") };
                parts.insert(query["partNumber"].parse().unwrap(), body);
                Response::new(200).with_header("etag", "\"part\"")
            }
            (Method::Post, Some(id), _) => {
                let Some((key, parts)) = self.uploads.get(id).cloned() else {
                    return failed(404, "NoSuchUpload");
                };
                if self.objects.contains_key(&key) {
                    return failed(412, "PreconditionFailed");
                }
                self.uploads.remove(id);
                self.objects.insert(key, parts.into_values().flatten().collect());
                Response::new(200)
            }
            (Method::Delete, Some(id), _) => {
                self.uploads.remove(id);
                Response::new(204)
            }
            _ => self.object(request, key),
        }
    }

    fn object(&mut self, request: &Request, key: String) -> Response {
        let header = |name| request.headers().get(name);
        let body = request.body().to_vec();
        match request.method() {
            Method::Put => {
                let there = self.objects.get(&key).map(|content| tag(content));
                if (header("if-none-match").is_some() && there.is_some())
                    || header("if-match").is_some_and(|tag| there.as_deref() != Some(tag))
                {
                    return failed(412, "PreconditionFailed");
                }
                let answer = Response::new(200).with_header("etag", &tag(&body));
                self.objects.insert(key, body);
                answer
            }
            Method::Delete => {
                self.objects.remove(&key);
                Response::new(204)
            }
            _ if key.is_empty() => Response::new(200),
            method => match self.objects.get(&key) {
                None => failed(404, "NoSuchKey"),
                Some(content) => {
                    let answer = Response::new(200).with_header("etag", &tag(content));
                    let answer = answer.with_header("content-length", &content.len().to_string());
                    if method == Method::Head { answer } else { answer.with_body(content.clone()) }
                }
            },
        }
    }
}

fn failed(status: u16, code: &str) -> Response {
    Response::new(status).with_body(format!("<Error><Code>{code}</Code></Error>"))
}

fn tag(content: &[u8]) -> String {
    format!(
        "\"{}\"",
        content.iter().fold(7u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
    )
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}
