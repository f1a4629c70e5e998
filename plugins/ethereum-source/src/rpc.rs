//! JSON-RPC over HTTP, by several nodes of one chain.
//!
//! A [`Query`] is a list of calls that one node answers, in batches; nothing of it is taken when a part fails. A node
//! that fails, is busy or lags rests for a time that doubles, and the next one is asked; when all rest, the source
//! waits. Every node tells its chain before it is believed.
//!
//! Bounds: one answer at a time, of `response.max.bytes` at most; `requests.per.second` counts calls, not batches.

use std::ops::Range;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use transom_sdk::http::{Pending, Request, Response, Url};
use transom_sdk::{Error, Kind, Pace, log, wait};

/// How long a node may have the source wait.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// How nodes are asked. Not `Debug`: some of it is secret.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) urls: Vec<Url>,
    pub(crate) headers: Vec<(String, String)>,
    /// Calls a request.
    pub(crate) batch: usize,
    /// Calls a second; 0: as many as there are.
    pub(crate) rate: f64,
    pub(crate) timeout: Duration,
    pub(crate) limit: usize,
    pub(crate) backoff: Duration,
    pub(crate) backoff_max: Duration,
    /// The chain that it must be.
    pub(crate) chain: Option<u64>,
}

/// One of the nodes.
struct Node {
    url: Url,
    /// When it may be asked again.
    rests_until: Instant,
    failures: u32,
    /// Whether it is of the right chain.
    known: bool,
}

/// The nodes, of which one is asked.
pub(crate) struct Rpc {
    access: Access,
    nodes: Vec<Node>,
    current: usize,
    pace: Pace,
    /// The chain, once a node has told it.
    pub(crate) chain: Option<u64>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The node wants to be asked for less at once.
    TooMuch(String),
    /// The node wants to be asked later; what it has answered so far holds.
    Busy(Error),
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Rpc {
    pub(crate) fn new(access: Access) -> Self {
        let now = Instant::now();
        let node = |url: &Url| Node { url: url.clone(), rests_until: now, failures: 0, known: false };
        let nodes = access.urls.iter().map(node).collect();
        let (pace, chain) = (Pace::new(access.rate), access.chain);
        Self { access, nodes, current: 0, pace, chain }
    }

    /// Its address without what may be secret in it.
    pub(crate) fn name(&self) -> String {
        self.nodes[self.current].url.origin()
    }

    /// Which node is asked.
    pub(crate) fn current(&self) -> usize {
        self.current
    }

    /// The node has answered well.
    pub(crate) fn answered(&mut self) {
        self.nodes[self.current].failures = 0;
    }

    /// The node rests, for so long or by the backoff, and another one is asked if there is one. Returns how long
    /// until some node may be asked.
    pub(crate) fn next(&mut self, after: Option<Duration>) -> Duration {
        let Access { backoff, backoff_max, .. } = self.access;
        let node = &mut self.nodes[self.current];
        let doubled = backoff.saturating_mul(1 << node.failures.min(20)).min(backoff_max);
        node.failures = node.failures.saturating_add(1);
        let now = Instant::now();
        // Also of one that wants to be asked at once: it said so before.
        node.rests_until = now + after.map_or(doubled, |after| after.max(backoff)).min(LONGEST_WAIT);
        // The first one that may be asked is the one that is liked best.
        let best = |(_, node): &(usize, &Node)| node.rests_until.max(now);
        let (index, node) = self.nodes.iter().enumerate().min_by_key(best).expect("there is a node");
        let until = node.rests_until.saturating_duration_since(now);
        self.current = index;
        until
    }

    /// What an answer's error means.
    fn judged(&self, error: Error) -> Failure {
        // A node that refuses is as good as none while there are others.
        if error.kind() == Kind::Fatal && self.nodes.len() > 1 {
            return Error::retriable(error.message()).into();
        }
        error.into()
    }

    fn start(&mut self, calls: &[Call], most: Duration) -> Result<Option<Sent>, Error> {
        let node = &self.nodes[self.current];
        let rest = node.rests_until.saturating_duration_since(Instant::now());
        if !rest.is_zero() {
            wait(rest.min(most));
            return Ok(None);
        }
        if self.pace.due(most) == 0 {
            return Ok(None);
        }
        let identify = [Call::new("eth_chainId", json!([]))];
        let calls = if node.known { calls } else { &identify };
        self.pace.took(calls.len() as u64);
        let body: Vec<_> = calls.iter().enumerate().map(|(id, call)| call.json(id)).collect();
        let mut request = Request::post(node.url.clone(), Vec::new())
            .timeout(self.access.timeout)
            .limit(self.access.limit)
            .called(format!("{} of {}", calls[0].method, node.url.origin()))
            .with_header("accept", "application/json")
            .with_header("user-agent", concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &self.access.headers {
            request = request.with_header(name, value);
        }
        let request = match &body[..] {
            // Not every server knows batches.
            [one] => request.with_json(one)?,
            all => request.with_json(all)?,
        };
        Ok(Some(Sent { pending: request.start()?, calls: calls.len(), identifies: !node.known }))
    }

    /// The node tells its chain.
    fn identified(&mut self, body: &str, at: Range<usize>) -> Result<(), Error> {
        let chain =
            number(&body[at]).map_err(|wrong| Error::retriable(format!("{}: {wrong}", self.name())))?;
        let expected = *self.chain.get_or_insert(chain);
        if chain != expected {
            return Err(Error::config(format!(
                "{} is a node of chain {chain}, not of {expected}: correct rpc.urls or chain.id",
                self.name()
            )));
        }
        self.nodes[self.current].known = true;
        Ok(())
    }
}

/// A call of a method.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: &'static str,
    params: Value,
}

impl Call {
    pub(crate) fn new(method: &'static str, params: Value) -> Self {
        Self { method, params }
    }

    fn json(&self, id: usize) -> Value {
        json!({ "jsonrpc": "2.0", "id": id, "method": self.method, "params": self.params })
    }
}

/// A request that is under way.
struct Sent {
    pending: Pending,
    calls: usize,
    identifies: bool,
}

/// Calls that are answered by one node.
pub(crate) struct Query {
    calls: Vec<Call>,
    sent: Option<Sent>,
    answers: Answers,
}

/// What a node answered, call by call.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) bodies: Vec<String>,
    /// Which body, and where in it.
    at: Vec<(usize, Range<usize>)>,
}

impl Answers {
    /// The JSON of an answer.
    pub(crate) fn text(&self, call: usize) -> &str {
        let (body, at) = &self.at[call];
        &self.bodies[*body][at.clone()]
    }

    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }

    /// Which body a text of it is in, and where.
    pub(crate) fn place(&self, call: usize, part: &str) -> (usize, Range<usize>) {
        let body = self.at[call].0;
        let start = part.as_ptr() as usize - self.bodies[body].as_ptr() as usize;
        (body, start..start + part.len())
    }
}

impl Query {
    pub(crate) fn new(calls: Vec<Call>) -> Self {
        Self { calls, sent: None, answers: Answers::default() }
    }

    /// Sends what is next, so that it is under way while something else is done. Why it could not be is told later.
    pub(crate) fn begin(&mut self, rpc: &mut Rpc) {
        if self.sent.is_none()
            && let Ok(sent) = rpc.start(&self.calls[..self.calls.len().min(rpc.access.batch)], Duration::ZERO)
        {
            self.sent = sent;
        }
    }

    /// Goes on, and waits so long at most. True: all is answered.
    pub(crate) fn advance(&mut self, rpc: &mut Rpc, most: Duration) -> Result<bool, Failure> {
        loop {
            if let Some(sent) = &mut self.sent {
                let answer = sent.pending.wait_for(most).map_err(|error| failed(rpc, error))?;
                let Some(response) = answer else { return Ok(false) };
                let (calls, identifies) = (sent.calls, sent.identifies);
                self.sent = None;
                let (body, at) = read(rpc, response, calls)?;
                rpc.answered();
                if identifies {
                    rpc.identified(&body, at.into_iter().next().unwrap_or_default())?;
                } else {
                    let index = self.answers.bodies.len();
                    self.answers.at.extend(at.into_iter().map(|range| (index, range)));
                    self.answers.bodies.push(body);
                }
            }
            let from = self.answers.len();
            let to = self.calls.len().min(from + rpc.access.batch);
            // A query of no calls asks for the chain only.
            if from == to && rpc.nodes[rpc.current].known {
                return Ok(true);
            }
            self.sent = rpc.start(&self.calls[from..to], most)?;
            if self.sent.is_none() {
                return Ok(false);
            }
        }
    }

    pub(crate) fn answers(self) -> Answers {
        self.answers
    }
}

/// An answer that is longer than it may be is of too many calls, or of a call for too much.
fn failed(rpc: &Rpc, error: Error) -> Failure {
    if error.kind() == Kind::Fatal && error.message().contains("longer than") {
        return Failure::TooMuch(error.message().to_owned());
    }
    rpc.judged(error)
}

/// An error of JSON-RPC.
#[derive(Deserialize)]
struct Wrong {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(default)]
    id: Option<usize>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Wrong>,
}

/// The results in an answer, in the order of the calls.
fn read(rpc: &Rpc, response: Response, calls: usize) -> Result<(String, Vec<Range<usize>>), Failure> {
    let trouble = |what: String| Failure::Error(Error::retriable(format!("{}: {what}", rpc.name())));
    if !(200..300).contains(&response.status) {
        let said: Option<Reply<'_>> = serde_json::from_slice(&response.body).ok();
        let wrong = said.and_then(|reply| reply.error).filter(|_| response.status != 429);
        return Err(match (wrong, response.status) {
            (Some(wrong), _) => rpc_error(rpc, &wrong),
            (None, 429) => Failure::Busy(response.error()),
            (None, 413) => Failure::TooMuch(response.error().message().to_owned()),
            _ => rpc.judged(response.error()),
        });
    }
    let body = String::from_utf8(response.body).map_err(|_| trouble("the answer is no UTF-8".into()))?;
    let replies = if body.trim_start().starts_with('[') {
        serde_json::from_str::<Vec<Reply<'_>>>(&body)
    } else {
        // One answer, or one error for the whole batch.
        serde_json::from_str(&body).map(|reply| vec![reply])
    };
    let replies = replies
        .map_err(|wrong| trouble(format!("the answer is none of JSON-RPC, or not all of it: {wrong}")))?;
    let mut results = vec![None; calls];
    for reply in &replies {
        if let Some(wrong) = &reply.error {
            return Err(rpc_error(rpc, wrong));
        }
        let text = reply.result.map_or("", RawValue::get);
        let start = if text.is_empty() { 0 } else { text.as_ptr() as usize - body.as_ptr() as usize };
        if let Some(result) = results.get_mut(reply.id.unwrap_or_default()) {
            *result = Some(start..start + text.len());
        }
    }
    let all: Option<Vec<_>> = results.into_iter().collect();
    let all = all.ok_or_else(|| trouble("the answer lacks some of what was asked".into()))?;
    Ok((body, all))
}

/// What nodes say that want to be asked less often. There is no common code for it.
const BUSY: [&str; 7] = [
    "rate limit",
    "too many requests",
    "per second",
    "request count",
    "request limit",
    "capacity",
    "throughput",
];
/// What they say to a query that is for too much.
const TOO_MUCH: [&str; 8] =
    ["range", "more than", "too large", "too big", "too many", "size exceeded", "timed out", "timeout"];

fn rpc_error(rpc: &Rpc, wrong: &Wrong) -> Failure {
    let message = wrong.message.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    let told = format!("{}: error {}: {}", rpc.name(), wrong.code, wrong.message);
    match wrong.code {
        _ if says(&BUSY) => Failure::Busy(Error::retriable(told)),
        _ if says(&TOO_MUCH) => Failure::TooMuch(told),
        429 => Failure::Busy(Error::retriable(told)),
        // "Limit exceeded", of either kind: less of the one helps against the other too, and ends at one block.
        -32005 => Failure::TooMuch(told),
        // No such method, or no such parameters: it will not learn them.
        -32601 | -32602 => rpc.judged(Error::fatal(told)),
        _ => Error::retriable(told).into(),
    }
}

/// A quantity: `"0x1f"`.
pub(crate) fn number(json: &str) -> Result<u64, String> {
    let digits = json.trim().trim_matches('"').strip_prefix("0x");
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| format!("{json} is no quantity, as \"0x1f\" is one"))
}

/// Says that a node is left, if there is another one.
pub(crate) fn told(rpc: &Rpc, why: &str) {
    if rpc.nodes.len() > 1 {
        log::warn!("{why}; going on with {}", rpc.name());
    }
}
