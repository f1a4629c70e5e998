//! One of the two workers: does the steps of a script and keeps what was answered, normalised.
//!
//! What may differ between any two workers is taken out of the answers, and nothing else:
//!
//! * the tag becomes `@`, the folder `{dir}`, the address `{worker}`;
//! * `version`, `commit` and `trace` become `{version}`, `{commit}`, `{trace}`, the time of `last_modified` `{time}`;
//! * arrays of names and of offsets are sorted, and so are lists of methods: they have no order;
//! * of messages the first line counts; of what a JSON reader says, its first words, which say what kind of thing is
//!   wrong; of those that list all plugins, or all settings of a connector, what stands before;
//! * of an invalid configuration all lines count, sorted, without the key that Transom puts in front of a line;
//! * a body of an error that is no JSON, or none at all, becomes `no JSON`;
//! * of validations and definitions everything counts, key by key: see [`definitions`];
//! * members that only Transom has are left out: see [`OURS`].

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};
use transom_tests::wait::try_until;
use transom_tests::wire::{self, Answer, Request};

use super::definitions;
use super::script::{Step, What};

/// Members of answers that Kafka Connect has not and its clients skip.
const OURS: &[&str] = &["plugin", "plugin_problem", "waiting_for", "last_swap", "restarts", "transom"];

/// Headers that are compared.
const HEADERS: &[&str] = &[
    "content-type",
    "location",
    "allow",
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-credentials",
];

/// How long a step waits for a state.
const PATIENCE: Duration = Duration::from_secs(40);

/// An answer in the form in which two are compared: a text for each aspect.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) aspects: Vec<(String, String)>,
    /// As it came.
    pub(super) raw: String,
}

pub(super) struct Side {
    pub(super) port: u16,
    /// What `@` stands for.
    pub(super) tag: String,
    pub(super) folder: PathBuf,
    /// Those that it names as its own.
    pub(super) versions: &'static [&'static str],
}

impl Side {
    /// Does all steps; the answer to each that has one.
    pub(super) fn run(&self, steps: &[Step]) -> Vec<Option<Seen>> {
        steps.iter().map(|step| self.step(step)).collect()
    }

    fn step(&self, step: &Step) -> Option<Seen> {
        match &step.what {
            What::Lines { file, count } => {
                let lines: String = (0..*count).map(|line| format!("line {line}\n")).collect();
                fs::write(self.folder.join(file), lines).unwrap();
                None
            }
            What::Await { path, text, there } => self.wait(path, text, *there),
            What::Request { line, headers, body } => {
                let (method, target) = line.split_once(' ').unwrap_or((line, ""));
                let body = body.as_ref().map(|body| self.fill(body));
                Some(match self.answer(&self.request(method, target, headers, body)) {
                    Ok(answer) => self.seen(method, target, &answer),
                    Err(error) => nothing(&format!("no answer: {error}")),
                })
            }
        }
    }

    /// The answer, once there is one that lasts: Java has none while its workers agree who does what, and shows the
    /// states that a restart passes through.
    fn answer(&self, request: &Request) -> Result<Answer, String> {
        const NOT_YET: &[&str] =
            &["a rebalance is expected", "due to stale configuration", "(e.g. worker rebalance)"];
        let reads_status = request.method == "GET" && request.target.ends_with("/status");
        let passes =
            |body: &str| reads_status && (body.contains("RESTARTING") || body.contains("UNASSIGNED"));
        try_until(PATIENCE, || {
            let answer = wire::send(self.port, request).map_err(|error| error.to_string())?;
            let not_yet = answer.status >= 400 && NOT_YET.iter().any(|words| answer.body.contains(words));
            if not_yet || passes(&answer.body) { Err(answer.body) } else { Ok(answer) }
        })
    }

    fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: Option<String>,
    ) -> Request {
        let mut headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.clone(), self.fill(value))).collect();
        let given = |name: &str| headers.iter().any(|(there, _)| there.eq_ignore_ascii_case(name));
        let (typed, accepting) = (given("content-type"), given("accept"));
        if body.is_some() && !typed {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        if !accepting {
            headers.push(("Accept".to_owned(), "*/*".to_owned()));
        }
        headers.retain(|(_, value)| value != "-");
        Request {
            method: method.to_owned(),
            target: self.fill(target),
            headers,
            body: body.map(String::into_bytes),
        }
    }

    /// `None`, or a complaint in the place of an answer.
    fn wait(&self, path: &str, text: &str, there: bool) -> Option<Seen> {
        let request = self.request("GET", path, &[], None);
        let text = self.fill(text);
        let ended = try_until(PATIENCE, || {
            let answer = wire::send(self.port, &request).map_err(|error| error.to_string())?;
            let found = format!("{} {}", answer.status, answer.body);
            if found.contains(&text) == there { Ok(()) } else { Err(found) }
        });
        ended.err().map(|last| nothing(&format!("never, at last: {last}")))
    }

    fn fill(&self, text: &str) -> String {
        const SOURCE: &str =
            r#""connector.class":"FileStreamSource","tasks.max":"1","file":"{dir}/in.txt","topic":"@lines""#;
        const SINK: &str =
            r#""connector.class":"FileStreamSink","tasks.max":"1","file":"{dir}/out.txt","topics":"@lines""#;
        const GROUP: &str = r#""consumer.override.session.timeout.ms":"6000","consumer.override.heartbeat.interval.ms":"1000","consumer.override.auto.offset.reset":"earliest""#;
        text.replace("{source}", SOURCE)
            .replace("{sink}", SINK)
            .replace("{group}", GROUP)
            .replace("{dir}", &self.folder.display().to_string())
            .replace('@', &self.tag)
    }

    fn seen(&self, method: &str, target: &str, answer: &Answer) -> Seen {
        let mut aspects = vec![("status".to_owned(), answer.status.to_string())];
        for name in HEADERS {
            if let Some(value) = answer.headers.get(*name) {
                let methods = matches!(*name, "allow" | "access-control-allow-methods");
                let value = if methods { sorted(value) } else { self.blank(value) };
                aspects.push(((*name).to_owned(), value));
            }
        }
        let text = self.blank(&answer.body);
        let body = match serde_json::from_str::<Value>(&text) {
            Ok(body) => match definitions::aspects(&body, self.versions) {
                Some(said) => {
                    aspects.extend(said);
                    "as it is told of each key".to_owned()
                }
                None => members(body).to_string(),
            },
            // Jetty's own pages say their status and little else.
            Err(_) if answer.status >= 400 && method != "HEAD" => "no JSON".to_owned(),
            Err(_) if method == "OPTIONS" => sorted(&text),
            Err(_) if target.starts_with("/metrics") => "figures".to_owned(),
            Err(_) => text,
        };
        aspects.push(("body".to_owned(), body));
        let raw = format!("{} {:?} {}", answer.status, answer.headers, answer.body);
        Seen { aspects, raw }
    }

    fn blank(&self, text: &str) -> String {
        text.replace(&self.tag, "@")
            .replace(&self.folder.display().to_string(), "{dir}")
            .replace(&format!("127.0.0.1:{}", self.port), "{worker}")
    }
}

fn nothing(why: &str) -> Seen {
    Seen { aspects: vec![("status".to_owned(), why.to_owned())], raw: why.to_owned() }
}

fn sorted(list: &str) -> String {
    let mut words: Vec<_> = list.split(',').map(str::trim).collect();
    words.sort_unstable();
    words.join(",")
}

fn members(value: Value) -> Value {
    match value {
        Value::Array(mut items) => {
            items = items.into_iter().map(members).collect();
            if items.iter().all(|item| item.is_string() || item.get("partition").is_some()) {
                items.sort_by_key(Value::to_string);
            }
            items.into()
        }
        Value::Object(object) => {
            // In an order, so that two can be compared as texts.
            let mut object: Vec<_> =
                object.into_iter().filter(|(name, _)| !OURS.contains(&name.as_str())).collect();
            object.sort_by(|(a, _), (b, _)| a.cmp(b));
            object
                .into_iter()
                .map(|(name, value)| (name.clone(), member(&name, value)))
                .collect::<Map<_, _>>()
                .into()
        }
        other => other,
    }
}

fn member(name: &str, value: Value) -> Value {
    match (name, value) {
        ("version", Value::String(_)) => "{version}".into(),
        ("commit", Value::String(_)) => "{commit}".into(),
        ("trace", Value::String(_)) => "{trace}".into(),
        ("last_modified", Value::Number(_)) => "{time}".into(),
        ("message", Value::String(text)) => message(&text).into(),
        (_, value) => members(value),
    }
}

/// What a JSON reader says first of what it cannot use.
const KINDS: &[&str] = &[
    "Cannot deserialize value",
    "Cannot construct instance",
    "Cannot coerce empty String",
    "Input mismatch reading Enum",
];

/// And of what is no JSON at all.
const BROKEN: &[&str] = &[
    "Unexpected ",
    "Unrecognized token",
    "Unrecognized character",
    "Non-standard token",
    "Invalid numeric value",
];

fn message(text: &str) -> String {
    let mut lines: Vec<_> = text.lines().collect();
    if lines.len() > 2 && lines[0].starts_with("Connector configuration is invalid") {
        let last = lines.len() - 1;
        lines[1..last].iter_mut().for_each(|line| *line = without_key(line));
        lines[1..last].sort_unstable();
        return lines.join("\n");
    }
    let line = lines.first().copied().unwrap_or_default();
    if let Some(kind) = KINDS.iter().find(|kind| line.starts_with(**kind)) {
        return format!("{kind}…");
    }
    if BROKEN.iter().any(|kind| line.starts_with(kind)) {
        return "no JSON…".to_owned();
    }
    let cuts = [
        ("Unrecognized field ", " (class"),
        ("Unrecognized field ", ", not"),
        ("", "available connectors are: "),
    ];
    for (beginning, end) in cuts {
        if let Some(at) = line.find(end).filter(|_| line.starts_with(beginning)) {
            return format!("{}…", &line[..at]);
        }
    }
    match (line.find("Connector config {"), line.find("} contains no connector type")) {
        (Some(from), Some(to)) => format!("{}Connector config {{…{}", &line[..from], &line[to..]),
        _ => line.to_owned(),
    }
}

/// `key=value: what is wrong` or `key: what is wrong`; Kafka Connect has the last part alone.
fn without_key(line: &str) -> &str {
    match line.split_once(": ") {
        Some((key, rest)) if key.starts_with(|c: char| c.is_ascii_lowercase()) && !key.contains(' ') => rest,
        _ => line,
    }
}
