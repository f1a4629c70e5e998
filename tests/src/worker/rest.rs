//! A worker's REST API, as its users see it.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Method;

/// The REST API of one worker.
#[derive(Debug, Clone)]
pub struct Rest {
    agent: Agent,
    base: String,
}

/// An answer, good or bad.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null where there is none, a string where it is no JSON.
    pub body: Value,
}

impl Answer {
    /// The body, which must have come with this status.
    ///
    /// # Panics
    /// When the status is another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "answered {}", self.body);
        self.body
    }
}

impl Rest {
    /// The API on this port of 127.0.0.1.
    pub fn new(port: u16) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(100)))
            .build();
        Self { agent: config.into(), base: format!("http://127.0.0.1:{port}") }
    }

    /// Where it is, for instance `http://127.0.0.1:8083`.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// GET.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.call(&Method::GET, path, None)
    }

    /// POST, with a JSON body if given.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn post(&self, path: &str, body: Option<&Value>) -> Answer {
        self.call(&Method::POST, path, body)
    }

    /// PUT, with a JSON body if given.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn put(&self, path: &str, body: Option<&Value>) -> Answer {
        self.call(&Method::PUT, path, body)
    }

    /// PATCH.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call(&Method::PATCH, path, Some(body))
    }

    /// DELETE.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.call(&Method::DELETE, path, None)
    }

    /// GET of a worker that may not be there yet, or not be well.
    ///
    /// # Errors
    /// What went wrong, or the answer if its status is not 200.
    pub fn try_get(&self, path: &str) -> Result<Value, String> {
        match self.try_call(&Method::GET, path, None)? {
            Answer { status: 200, body } => Ok(body),
            Answer { status, body } => Err(format!("{status} {body}")),
        }
    }

    /// GET of a text.
    ///
    /// # Errors
    /// What went wrong, or the answer if its status is not 200.
    pub fn try_get_text(&self, path: &str) -> Result<String, String> {
        match self.send(&Method::GET, path, None)? {
            (200, text) => Ok(text),
            (status, text) => Err(format!("{status} {text}")),
        }
    }

    /// Any request.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn try_call(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Answer, String> {
        let (status, text) = self.send(method, path, body.map(Value::to_string))?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Ok(Answer { status, body })
    }

    /// Any request with any body.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn send(&self, method: &Method, path: &str, body: Option<String>) -> Result<(u16, String), String> {
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        let answer = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json").body(body);
                self.agent.run(request.map_err(|e| e.to_string())?)
            }
            None => self.agent.run(request.body(()).map_err(|e| e.to_string())?),
        };
        let mut answer = answer.map_err(|e| e.to_string())?;
        let text = answer.body_mut().read_to_string().map_err(|e| e.to_string())?;
        Ok((answer.status().as_u16(), text))
    }

    #[track_caller]
    fn call(&self, method: &Method, path: &str, body: Option<&Value>) -> Answer {
        match self.try_call(method, path, body) {
            Ok(answer) => answer,
            Err(e) => panic!("{method} {path}: {e}"),
        }
    }
}
