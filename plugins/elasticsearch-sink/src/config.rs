//! The settings: as a user writes them, and as the sink wants them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use transom_sdk::http::{Request, Url};
use transom_sdk::{Problems, Value};

use crate::naming::{Naming, Pattern, lower};

/// The longest flush: a call of the worker may take 30 s unless the operator says otherwise.
const LONGEST_FLUSH: Duration = Duration::from_secs(20);
/// How long a check of the connection may take: somebody waits for it.
const CHECK: Duration = Duration::from_secs(10);
/// An answer has less than so many bytes for an action, and one that failed a reason.
const ANSWER: usize = 64 << 20;
/// The parts of an answer that are wanted: those that tell what became of each action.
const WANTED: &str = "filter_path=errors,items.*.status,items.*.error";

/// The keys. Not `Debug`: some are secret.
#[derive(Deserialize)]
pub(crate) struct Config {
    #[serde(rename = "connection.url")]
    urls: Vec<String>,
    #[serde(rename = "connection.username")]
    username: Option<String>,
    #[serde(rename = "connection.password")]
    password: Option<String>,
    #[serde(rename = "connection.api.key")]
    api_key: Option<String>,
    #[serde(rename = "connection.compression")]
    compression: bool,
    #[serde(rename = "connection.timeout.ms")]
    connection_timeout: u64,
    #[serde(rename = "read.timeout.ms")]
    read_timeout: u64,
    #[serde(rename = "validate.connection")]
    pub(crate) validate_connection: bool,
    #[serde(rename = "batch.size")]
    batch_size: usize,
    #[serde(rename = "bulk.size.bytes")]
    bulk_size: i64,
    #[serde(rename = "max.in.flight.requests")]
    in_flight: usize,
    #[serde(rename = "max.buffered.records")]
    buffered_records: usize,
    #[serde(rename = "max.buffered.bytes")]
    buffered_bytes: usize,
    #[serde(rename = "linger.ms")]
    linger: u64,
    #[serde(rename = "flush.timeout.ms")]
    flush_timeout: u64,
    #[serde(rename = "max.retries")]
    max_retries: u32,
    #[serde(rename = "retry.backoff.ms")]
    backoff: u64,
    #[serde(rename = "key.ignore")]
    key_ignore: bool,
    #[serde(rename = "topic.key.ignore")]
    topic_key_ignore: BTreeSet<String>,
    #[serde(rename = "write.method")]
    write_method: String,
    #[serde(rename = "behavior.on.null.values")]
    nulls: String,
    #[serde(rename = "behavior.on.malformed.documents")]
    malformed: String,
    #[serde(rename = "drop.invalid.message")]
    drop_invalid: bool,
    #[serde(rename = "external.version.header")]
    version_header: String,
    #[serde(rename = "compact.map.entries")]
    compact_maps: bool,
    index: Option<String>,
    #[serde(rename = "external.resource.usage")]
    usage: String,
    #[serde(rename = "topic.to.external.resource.mapping")]
    mapping: Vec<String>,
    #[serde(rename = "data.stream.type")]
    stream_type: String,
    #[serde(rename = "data.stream.dataset")]
    stream_dataset: String,
    #[serde(rename = "data.stream.namespace")]
    stream_namespace: String,
    #[serde(rename = "data.stream.timestamp.field")]
    stream_timestamps: Vec<String>,
    /// Whatever else there is, among it what Confluent's connector would act upon.
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// What a record without a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    Ignore,
    Delete,
    Fail,
}

/// What happens to records that the server refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    Ignore,
    Warn,
    Fail,
}

enum Login {
    None,
    Basic(String, String),
    ApiKey(String),
}

/// What the sink works by. Not `Debug`: some of it is secret.
pub(crate) struct Settings {
    /// Each with the addresses of `_bulk` and of itself.
    pub(crate) servers: Vec<(Url, Url)>,
    login: Login,
    gzip: bool,
    timeout: Duration,
    pub(crate) batch_records: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) in_flight: usize,
    pub(crate) buffered_records: usize,
    pub(crate) buffered_bytes: usize,
    pub(crate) linger: Duration,
    pub(crate) flush: Duration,
    pub(crate) max_retries: u32,
    pub(crate) backoff: Duration,
    key_ignore: bool,
    topic_key_ignore: BTreeSet<String>,
    pub(crate) upsert: bool,
    pub(crate) nulls: Nulls,
    pub(crate) malformed: Malformed,
    pub(crate) drop_invalid: bool,
    pub(crate) version_header: Option<String>,
    pub(crate) naming: Naming,
    pub(crate) data_stream: bool,
    pub(crate) timestamps: Vec<String>,
}

impl Config {
    /// # Errors
    /// All that is wrong.
    pub(crate) fn read(&self) -> Result<Settings, Problems> {
        let mut problems = Problems::new();
        let servers = self.servers(&mut problems);
        let login = self.login(&mut problems);
        let (naming, data_stream) = self.naming(&mut problems);
        let upsert =
            choice("write.method", &self.write_method, &[("insert", false), ("upsert", true)], &mut problems);
        let nulls = [("ignore", Nulls::Ignore), ("delete", Nulls::Delete), ("fail", Nulls::Fail)];
        let nulls = choice("behavior.on.null.values", &self.nulls, &nulls, &mut problems);
        let malformed = [("ignore", Malformed::Ignore), ("warn", Malformed::Warn), ("fail", Malformed::Fail)];
        let malformed = choice("behavior.on.malformed.documents", &self.malformed, &malformed, &mut problems);
        self.contradictions(data_stream, upsert, nulls, &mut problems);
        let settings = Settings {
            servers,
            login,
            gzip: self.compression,
            timeout: Duration::from_millis(self.connection_timeout + self.read_timeout),
            batch_records: self.batch_size,
            batch_bytes: usize::try_from(self.bulk_size).unwrap_or(self.buffered_bytes).max(1),
            in_flight: self.in_flight,
            buffered_records: self.buffered_records,
            buffered_bytes: self.buffered_bytes,
            linger: Duration::from_millis(self.linger),
            flush: Duration::from_millis(self.flush_timeout).min(LONGEST_FLUSH),
            max_retries: self.max_retries,
            backoff: Duration::from_millis(self.backoff),
            key_ignore: self.key_ignore,
            topic_key_ignore: self.topic_key_ignore.clone(),
            upsert,
            nulls,
            malformed,
            drop_invalid: self.drop_invalid,
            version_header: Some(self.version_header.clone()).filter(|name| !name.is_empty()),
            naming,
            data_stream,
            timestamps: self.stream_timestamps.clone(),
        };
        problems.or(settings)
    }

    /// Keys that Confluent's connector would act upon and this one does not, each with what is to be done instead.
    pub(crate) fn without_effect(&self) -> impl Iterator<Item = (&str, &str)> {
        self.others.keys().filter_map(|key| {
            let instead = match key.as_str() {
                "auto.create" | "auto.create.indices.at.start" => {
                    "the server makes indices (action.auto_create_index)"
                }
                "flush.synchronously" => "several requests are under way, and order is kept where it matters",
                "use.autogenerated.ids" => {
                    "ids follow from the record, so that one that comes again changes nothing"
                }
                "type.name" | "topic.index.map" | "topic.schema.ignore" | "max.connection.idle.time.ms" => {
                    "it is not needed"
                }
                key if key.starts_with("proxy.") => "the worker makes the connections",
                key if key.starts_with("kerberos.") => "set connection.username or connection.api.key",
                key if key.starts_with("elastic.") => {
                    "the worker speaks TLS: sandbox.elasticsearch-sink.tls.ca and its like"
                }
                _ => return None,
            };
            Some((key.as_str(), instead))
        })
    }

    fn servers(&self, problems: &mut Problems) -> Vec<(Url, Url)> {
        let mut servers = Vec::new();
        for text in &self.urls {
            let text = text.trim_end_matches('/');
            let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
            let parsed = Url::parse(&format!("{text}/_bulk?{WANTED}"))
                .and_then(|bulk| Ok((bulk, Url::parse(&format!("{text}/"))?)));
            match parsed {
                Ok(server) => servers.push(server),
                // Not repeated: a password may be in it.
                Err(wrong) => problems.invalid("connection.url", "[hidden]", wrong),
            }
        }
        if self.urls.is_empty() {
            problems.add(
                "connection.url",
                "Missing configuration \"connection.url\": name a server, as https://host:9200",
            );
        }
        servers
    }

    fn login(&self, problems: &mut Problems) -> Login {
        let part = |part: &Option<String>| part.clone().filter(|text| !text.is_empty());
        match (part(&self.username), part(&self.password), part(&self.api_key)) {
            (None, None, None) => Login::None,
            (Some(user), Some(password), None) => Login::Basic(user, password),
            (None, None, Some(key)) if key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') => {
                Login::ApiKey(key)
            }
            (None, None, Some(_)) => {
                problems.invalid(
                    "connection.api.key",
                    "[hidden]",
                    "it is not encoded: take what Elasticsearch calls `encoded`, or id:key in Base64",
                );
                Login::None
            }
            (_, _, Some(_)) => {
                problems.add("connection.api.key", "There can be one login: set either connection.api.key or connection.username and connection.password");
                Login::None
            }
            (None, Some(_), None) => {
                problems.add(
                    "connection.username",
                    "Missing configuration \"connection.username\", which connection.password needs",
                );
                Login::None
            }
            (Some(_), None, None) => {
                problems.add(
                    "connection.password",
                    "Missing configuration \"connection.password\", which connection.username needs",
                );
                Login::None
            }
        }
    }

    /// Where documents go, and whether that is a data stream.
    fn naming(&self, problems: &mut Problems) -> (Naming, bool) {
        let stream = choice(
            "data.stream.type",
            &self.stream_type,
            &[("none", false), ("logs", true), ("metrics", true)],
            problems,
        );
        let usages = [
            ("disabled", None),
            ("index", Some(false)),
            ("alias_index", Some(false)),
            ("datastream", Some(true)),
            ("alias_datastream", Some(true)),
        ];
        let listed = choice("external.resource.usage", &self.usage, &usages, problems);
        let ways = [
            ("index", self.index.is_some()),
            ("external.resource.usage", listed.is_some()),
            ("data.stream.type", stream),
        ];
        let set: Vec<_> = ways.iter().filter(|(_, set)| *set).map(|(key, _)| *key).collect();
        if set.len() > 1 {
            problems.add(set[0], format!("Only one of them can say where documents go: {}", set.join(", ")));
        }
        let (key, pattern) = match (&self.index, listed, stream) {
            (_, Some(streams), _) => return (self.listed(problems), streams),
            (_, _, true) => ("data.stream.namespace", self.stream(problems)),
            (Some(index), _, _) => ("index", index.clone()),
            (None, _, _) => ("index", "${topic}".to_owned()),
        };
        let pattern = Pattern::parse(&pattern).map_err(|wrong| problems.invalid(key, &pattern, wrong));
        (pattern.map_or_else(|()| Naming::Listed(BTreeMap::new()), Naming::Pattern), stream)
    }

    fn stream(&self, problems: &mut Problems) -> String {
        let dataset = &self.stream_dataset;
        if dataset.is_empty() {
            problems.add(
                "data.stream.dataset",
                format!(
                    "Missing configuration \"data.stream.dataset\", which data.stream.type={} needs",
                    self.stream_type
                ),
            );
        } else if dataset.contains('-') {
            problems.invalid(
                "data.stream.dataset",
                dataset,
                "it must have no hyphen, which parts the name of a data stream",
            );
        } else if let Err(wrong) = lower(dataset) {
            problems.invalid("data.stream.dataset", dataset, wrong);
            return "none".into();
        }
        format!("{}-{dataset}-{}", self.stream_type, self.stream_namespace)
    }

    fn listed(&self, problems: &mut Problems) -> Naming {
        let key = "topic.to.external.resource.mapping";
        let mut list = BTreeMap::new();
        for entry in &self.mapping {
            let wrong = match entry.split_once(':') {
                Some((topic, name)) if !topic.is_empty() && !name.is_empty() => match lower(name) {
                    Err(wrong) => wrong,
                    Ok(_) => {
                        list.insert(topic.trim().to_owned(), name.trim().to_owned());
                        continue;
                    }
                },
                _ => "write topic:name".into(),
            };
            problems.invalid(key, entry, wrong);
        }
        if self.mapping.is_empty() {
            problems.add(
                key,
                format!(
                    "Missing configuration \"{key}\", which external.resource.usage={} needs",
                    self.usage
                ),
            );
        }
        let topics = self.others.get("topics").and_then(Value::as_str).unwrap_or_default();
        for topic in
            topics.split(',').map(str::trim).filter(|topic| !topic.is_empty() && !list.contains_key(*topic))
        {
            problems.invalid(
                key,
                self.mapping.join(","),
                format!("it does not say where the topic {topic} goes"),
            );
        }
        Naming::Listed(list)
    }

    /// What cannot be had together.
    fn contradictions(&self, stream: bool, upsert: bool, nulls: Nulls, problems: &mut Problems) {
        if stream && upsert {
            problems.invalid(
                "write.method",
                &self.write_method,
                "a data stream only takes new documents, set insert",
            );
        }
        if stream && nulls == Nulls::Delete {
            problems.invalid(
                "behavior.on.null.values",
                &self.nulls,
                "nothing can be deleted from a data stream by key, set ignore or fail",
            );
        }
        if nulls == Nulls::Delete && self.key_ignore && !stream {
            problems.invalid(
                "behavior.on.null.values",
                &self.nulls,
                "with key.ignore=true no record names a document to delete, set ignore or fail",
            );
        }
        if upsert && !self.version_header.is_empty() {
            problems.invalid(
                "external.version.header",
                &self.version_header,
                "with write.method=upsert documents have no external versions",
            );
        }
        if !self.compact_maps {
            problems.invalid("compact.map.entries", "false", "maps are always written as objects, set true");
        }
    }
}

/// One of some words, in any letter case.
fn choice<T: Copy>(key: &str, value: &str, choices: &[(&str, T)], problems: &mut Problems) -> T {
    let found = choices.iter().find(|(word, _)| value.eq_ignore_ascii_case(word));
    let (_, chosen) = found.unwrap_or_else(|| {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        problems.invalid(key, value, format!("it must be one of {}", words.join(", ")));
        &choices[0]
    });
    *chosen
}

impl Settings {
    pub(crate) fn key_ignored(&self, topic: &str) -> bool {
        self.key_ignore || self.topic_key_ignore.contains(topic)
    }

    /// The request that writes.
    pub(crate) fn bulk_request(&self, server: usize, body: &[u8]) -> Request {
        let request = self.sign(Request::post(self.servers[server].0.clone(), Vec::new()));
        let request =
            request.with_header("content-type", "application/x-ndjson").timeout(self.timeout).limit(ANSWER);
        if self.gzip {
            request.with_header("content-encoding", "gzip").with_body(gzip(body))
        } else {
            request.with_body(body)
        }
    }

    /// The request that asks a server who it is.
    pub(crate) fn root_request(&self, server: usize) -> Request {
        self.sign(Request::get(self.servers[server].1.clone()))
            .timeout(self.timeout.min(CHECK))
            .limit(1 << 20)
    }

    fn sign(&self, request: Request) -> Request {
        match &self.login {
            Login::None => request,
            Login::Basic(user, password) => request.with_basic_auth(user, password),
            Login::ApiKey(key) => request.with_header("authorization", &format!("ApiKey {key}")),
        }
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.expect("a vector takes all")
}
