//! The settings: as a user writes them, and as the source wants them.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use transom_sdk::http::Url;
use transom_sdk::{Error, Problems};

use crate::abi::Abi;
use crate::offset::{Hash, What, unhex};
use crate::rpc::{Access, Call};

/// The streams, and the key of each one's topic.
const STREAMS: [(&str, &str); 3] =
    [("blocks", "topic.blocks"), ("transactions", "topic.transactions"), ("logs", "topic.logs")];
/// What the connection or this plugin sets itself.
const OWN_HEADERS: [&str; 6] =
    ["connection", "content-length", "content-type", "host", "transfer-encoding", "upgrade"];

/// The keys. Not `Debug`: some are secret.
#[derive(Deserialize)]
pub(crate) struct Config {
    #[serde(rename = "rpc.urls")]
    urls: String,
    #[serde(rename = "rpc.headers")]
    headers: Option<String>,
    #[serde(rename = "chain.id")]
    chain: Option<u64>,
    streams: Vec<String>,
    #[serde(rename = "topic.blocks")]
    topic_blocks: Option<String>,
    #[serde(rename = "topic.transactions")]
    topic_transactions: Option<String>,
    #[serde(rename = "topic.logs")]
    topic_logs: Option<String>,
    #[serde(rename = "logs.address")]
    addresses: Vec<String>,
    #[serde(rename = "logs.topic0")]
    topic0: Vec<String>,
    #[serde(rename = "logs.topic1")]
    topic1: Vec<String>,
    #[serde(rename = "logs.topic2")]
    topic2: Vec<String>,
    #[serde(rename = "logs.topic3")]
    topic3: Vec<String>,
    #[serde(rename = "logs.abi")]
    abi: Option<String>,
    #[serde(rename = "logs.events")]
    events: Vec<String>,
    #[serde(rename = "start.block")]
    start: String,
    confirmations: u64,
    #[serde(rename = "reorg.depth.max")]
    depth: usize,
    #[serde(rename = "reorg.records")]
    reorg_records: String,
    #[serde(rename = "range.blocks")]
    range: u64,
    #[serde(rename = "poll.interval.ms")]
    interval: u64,
    #[serde(rename = "batch.size")]
    batch: usize,
    #[serde(rename = "requests.per.second")]
    rate: f64,
    #[serde(rename = "request.timeout.ms")]
    timeout: u64,
    #[serde(rename = "response.max.bytes")]
    limit: usize,
    #[serde(rename = "backoff.ms")]
    backoff: u64,
    #[serde(rename = "backoff.max.ms")]
    backoff_max: u64,
    #[serde(rename = "validate.connection")]
    pub(crate) validate_connection: bool,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    At(u64),
    /// Behind what there is.
    Latest,
}

/// What the source works by. Not `Debug`: some of it is secret.
pub(crate) struct Settings {
    pub(crate) access: Access,
    /// The topic of each stream that is wanted.
    pub(crate) blocks: Option<String>,
    pub(crate) transactions: Option<String>,
    pub(crate) logs: Option<String>,
    /// What `eth_getLogs` takes, without the blocks.
    query: Value,
    pub(crate) abi: Option<Abi>,
    pub(crate) start: Start,
    pub(crate) confirmations: u64,
    pub(crate) depth: usize,
    /// Whether what is taken back becomes a null.
    pub(crate) tombstones: bool,
    pub(crate) range: u64,
    pub(crate) interval: Duration,
    /// What is asked for, as a digest.
    pub(crate) filter: String,
}

impl Settings {
    /// Whether blocks or what is in them are records: then every one must be read.
    pub(crate) fn has_blocks(&self) -> bool {
        self.blocks.is_some() || self.transactions.is_some()
    }

    /// The topic of a record, also of a stream that is not wanted any more: what it gave may have to be taken back.
    pub(crate) fn topic(&self, what: What) -> &str {
        let topic = match what {
            What::Block => &self.blocks,
            What::Transaction(_) => &self.transactions,
            What::Log(_) => &self.logs,
        };
        topic.as_deref().unwrap_or_default()
    }

    /// The call for the logs of some blocks.
    pub(crate) fn get_logs(&self, blocks: Value) -> Call {
        let mut query = self.query.clone();
        if let (Value::Object(query), Value::Object(blocks)) = (&mut query, blocks) {
            query.extend(blocks);
        }
        Call::new("eth_getLogs", json!([query]))
    }
}

impl Config {
    /// What the source works by.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn read(&self) -> Result<Settings, Problems> {
        let mut problems = Problems::new();
        let access = self.access(&mut problems);
        let [blocks, transactions, logs] = self.topics(&mut problems);
        let abi = self.abi.as_deref().map(Abi::parse).transpose().unwrap_or_else(|wrong| {
            problems.add("logs.abi", format!("The ABI of configuration logs.abi is wrong: {wrong}"));
            None
        });
        let query = self.query(abi.as_ref(), &mut problems);
        let start = match self.start.as_str() {
            "latest" => Start::Latest,
            "earliest" => Start::At(0),
            text => Start::At(text.parse().unwrap_or_else(|_| {
                problems.invalid(
                    "start.block",
                    text,
                    "it is neither a block's number nor latest or earliest",
                );
                0
            })),
        };
        let filter =
            digest(&json!([blocks.is_some(), transactions.is_some(), logs.is_some(), query]).to_string());
        problems.or(Settings {
            access,
            blocks,
            transactions,
            logs,
            query,
            abi,
            start,
            confirmations: self.confirmations,
            depth: self.depth,
            tombstones: self.reorg_records == "tombstone",
            range: self.range,
            interval: Duration::from_millis(self.interval),
            filter,
        })
    }

    fn access(&self, problems: &mut Problems) -> Access {
        let mut urls = Vec::new();
        for text in self.urls.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            // Not repeated where it is wrong: providers put keys into addresses.
            match Url::parse(text) {
                Ok(url) => urls.push(url),
                Err(wrong) => problems.invalid("rpc.urls", "[hidden]", wrong),
            }
        }
        if urls.is_empty() && problems.is_empty() {
            problems.invalid("rpc.urls", "[hidden]", "there is no address in it");
        }
        Access {
            urls,
            headers: self.headers(problems),
            batch: self.batch,
            rate: self.rate,
            timeout: Duration::from_millis(self.timeout),
            limit: self.limit,
            backoff: Duration::from_millis(self.backoff),
            backoff_max: Duration::from_millis(self.backoff_max),
            chain: self.chain,
        }
    }

    fn headers(&self, problems: &mut Problems) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        let all = self.headers.as_deref().unwrap_or_default().split('|').map(str::trim);
        for text in all.filter(|text| !text.is_empty()) {
            let named = text.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
            let token = |name: &str| {
                !name.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            };
            match named {
                Some((name, _)) if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) => {
                    problems.invalid("rpc.headers", "[hidden]", format!("{name} is set by the plugin"));
                }
                Some((name, value))
                    if token(name) && value.bytes().all(|byte| byte >= b' ' && byte != 127) =>
                {
                    headers.push((name.to_owned(), value.to_owned()));
                }
                _ => problems.invalid(
                    "rpc.headers",
                    "[hidden]",
                    "a header is written name:value, and | is between two",
                ),
            }
        }
        headers
    }

    fn topics(&self, problems: &mut Problems) -> [Option<String>; 3] {
        for stream in &self.streams {
            if !STREAMS.iter().any(|(name, _)| name == stream) {
                problems.invalid("streams", stream, "a stream is one of blocks, transactions, logs");
            }
        }
        if self.streams.is_empty() {
            problems.invalid("streams", "", "there is no stream in it");
        }
        let topics = [&self.topic_blocks, &self.topic_transactions, &self.topic_logs];
        let mut wanted = STREAMS.iter().zip(topics).map(|((stream, key), topic)| {
            if !self.streams.iter().any(|name| name == stream) {
                return None;
            }
            let topic = topic.clone().filter(|topic| !topic.is_empty());
            if topic.is_none() {
                problems
                    .add(*key, format!("Missing configuration \"{key}\", which the stream {stream} needs"));
            }
            topic
        });
        std::array::from_fn(|_| wanted.next().flatten())
    }

    fn query(&self, abi: Option<&Abi>, problems: &mut Problems) -> Value {
        let mut addresses = Vec::new();
        for text in self.addresses.iter().filter(|text| !text.is_empty()) {
            match unhex(text) {
                Some(bytes) if bytes.len() == 20 && text.starts_with("0x") => {
                    addresses.push(text.to_ascii_lowercase());
                }
                _ => problems.invalid("logs.address", text, "an address is 0x and 40 hexadecimal digits"),
            }
        }
        let given = [&self.topic0, &self.topic1, &self.topic2, &self.topic3];
        let mut topics: Vec<Vec<String>> = Vec::new();
        for (key, values) in ["logs.topic0", "logs.topic1", "logs.topic2", "logs.topic3"].iter().zip(given) {
            let mut alternatives = Vec::new();
            for text in values.iter().filter(|text| !text.is_empty()) {
                match text.parse::<Hash>() {
                    Ok(topic) if text.starts_with("0x") => alternatives.push(format!("0x{topic}")),
                    _ => problems.invalid(key, text, "a topic is 0x and 64 hexadecimal digits"),
                }
            }
            topics.push(alternatives);
        }
        for name in self.events.iter().filter(|name| !name.is_empty()) {
            let named = abi.iter().flat_map(|abi| &abi.0).filter(|event| event.name == *name);
            let before = topics[0].len();
            topics[0].extend(named.map(|event| format!("0x{}", Hash::from(event.topic))));
            if topics[0].len() == before {
                problems.invalid("logs.events", name, "logs.abi has no event of this name");
            }
        }
        let last = topics.iter().rposition(|alternatives| !alternatives.is_empty());
        topics.truncate(last.map_or(0, |last| last + 1));
        let mut query = json!({});
        if !addresses.is_empty() {
            query["address"] = json!(addresses);
        }
        if !topics.is_empty() {
            let topics = topics.iter().map(|any| if any.is_empty() { Value::Null } else { json!(any) });
            query["topics"] = topics.collect();
        }
        query
    }
}

/// FNV-1a of 64 bits: nobody gains by making two filters alike.
fn digest(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// How long a check of the connection may take: somebody waits for it.
const CHECK: Duration = Duration::from_secs(10);

/// Asks every node for its chain, as the source would.
pub(crate) fn check(settings: &Settings, problems: &mut Problems) {
    let mut access = settings.access.clone();
    access.timeout = access.timeout.min(CHECK);
    for url in &settings.access.urls {
        access.urls = vec![url.clone()];
        let mut rpc = crate::rpc::Rpc::new(access.clone());
        let mut query = crate::rpc::Query::new(Vec::new());
        let asked = match query.advance(&mut rpc, access.timeout) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::retriable("no answer in time")),
            Err(crate::rpc::Failure::Busy(error) | crate::rpc::Failure::Error(error)) => Err(error),
            Err(crate::rpc::Failure::TooMuch(what)) => Err(Error::retriable(what)),
        };
        // All must be of one chain.
        access.chain = access.chain.or(rpc.chain);
        if let Err(error) = asked {
            problems.invalid("rpc.urls", url.origin(), format!("the connection was tried: {error}"));
        }
    }
}
