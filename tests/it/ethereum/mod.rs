//! ethereum-source against real nodes. What counts is what a consumer has in the end: the records of a topic, those
//! taken back left out, must be what the node says of its chain.

mod faults;
mod speed;
mod systems_geth;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use transom_tests::ethereum::{ABI, Ethereum, TRANSFER};
use transom_tests::guests::{ETHEREUM_SOURCE, ETHEREUM_SOURCE_V2};
use transom_tests::{Worker, kafka, unique, until};

/// A node with the contract, and a worker that reads its logs.
struct Job {
    node: Ethereum,
    contract: String,
    worker: Worker,
    topic: String,
    connector: String,
}

/// What a consumer makes of a topic.
#[derive(Default)]
struct Seen {
    /// What is there, by its key.
    records: BTreeMap<String, Value>,
    added: usize,
    removed: usize,
}

impl Job {
    fn new(node: Ethereum, more: &[(&str, &str)]) -> Self {
        Self::by(node, more, |node| vec![node.url()])
    }

    /// With the addresses by which the node is asked.
    fn by(node: Ethereum, more: &[(&str, &str)], addresses: impl FnOnce(&Ethereum) -> Vec<String>) -> Self {
        let contract = node.deploy();
        let (topic, connector) = (unique("logs"), unique("ethereum"));
        kafka().create_topic(&topic, 1, &[]);
        let urls = addresses(&node);
        let (urls, grants) = (urls.join(","), urls.join(","));
        let mut worker = Worker::new(kafka());
        let config = [
            ("connector.class", "EthereumSource"),
            ("rpc.urls", urls.as_str()),
            ("topic.logs", &topic),
            ("logs.address", &contract),
            ("start.block", "0"),
            ("poll.interval.ms", "20"),
            ("backoff.ms", "50"),
            ("backoff.max.ms", "200"),
            ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
            ("value.converter.schemas.enable", "false"),
        ];
        let config: Vec<_> = config.iter().chain(more).copied().collect();
        worker
            .install(&ETHEREUM_SOURCE)
            .set("sandbox.ethereum-source.net", &grants)
            .set("offset.flush.interval.ms", "200")
            .connector(&connector, &config);
        Self { node, contract, worker, topic, connector }
    }

    /// So many logs in a block of their own.
    fn emit(&self, logs: u64) {
        self.node.emit(&self.contract, logs);
        self.node.mine(1);
    }

    /// What the node says: by the keys that records have.
    fn expected(&self) -> BTreeMap<String, Value> {
        self.node.logs(&self.contract).into_iter().map(|log| (key(&log, "logIndex"), log)).collect()
    }

    /// Waits until the topic is what the node says.
    #[track_caller]
    fn check(&self) -> Seen {
        let expected = self.expected();
        until("what the node says", || {
            let seen = replay(&self.topic);
            if seen.records == expected {
                return Ok(seen);
            }
            let missing = expected.keys().filter(|key| !seen.records.contains_key(*key)).count();
            let extra = seen.records.keys().filter(|key| !expected.contains_key(*key)).count();
            Err(format!("{missing} of {} are missing, {extra} are too many", expected.len()))
        })
    }

    fn failed_polls(&self) -> u64 {
        let labels = [("connector", self.connector.as_str())];
        self.worker.metrics().sum("transom_task_retries_total", &labels).unwrap_or(0.0) as u64
    }

    #[track_caller]
    fn await_version(&self, version: &str) {
        self.worker.await_status(&self.connector, |status| status["tasks"][0]["version"] == version);
    }
}

fn key(record: &Value, index: &str) -> String {
    let text = record[index].as_str().unwrap();
    let index = u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap();
    format!("{}-{index}", record["blockHash"].as_str().unwrap())
}

/// Applies a topic's records in their order.
fn replay(topic: &str) -> Seen {
    let mut seen = Seen::default();
    for record in kafka().read_all(topic) {
        let value: Value = serde_json::from_str(record.text()).unwrap();
        if value["removed"] == json!(true) {
            seen.removed += 1;
            seen.records.remove(record.key_text());
        } else {
            seen.added += 1;
            seen.records.insert(record.key_text().to_owned(), value);
        }
    }
    seen
}

#[test]
fn a_contracts_logs_are_read_from_the_first_block_to_the_last_and_on() {
    let mut job = Job::new(Ethereum::anvil(), &[("range.blocks", "50"), ("validate.connection", "true")]);
    for logs in 1..20 {
        job.emit(logs);
        job.node.mine(9);
    }
    job.worker.start();
    let seen = job.check();
    assert_eq!((seen.added, seen.removed), (190, 0), "no log came twice");
    for logs in 1..5 {
        job.emit(logs);
        job.check();
    }
    assert_eq!(job.check().added, 200, "no log came twice");
}

#[test]
fn blocks_transactions_and_decoded_logs_have_topics_of_their_own() {
    let (blocks, transactions) = (unique("blocks"), unique("transactions"));
    let streams = [
        ("streams", "blocks,transactions,logs"),
        ("topic.blocks", blocks.as_str()),
        ("topic.transactions", &transactions),
        ("logs.abi", ABI),
        ("logs.events", "Transfer"),
    ];
    let mut job = Job::new(Ethereum::anvil(), &streams);
    for topic in [&blocks, &transactions] {
        kafka().create_topic(topic, 1, &[]);
    }
    // Some of them deep, and some not.
    for _ in 0..30 {
        job.node.emit(&job.contract, 2);
        job.emit(1);
        job.node.mine(2);
    }
    job.worker.start();
    let head = job.node.head();
    let seen = until("the last block", || {
        let seen = replay(&blocks);
        if seen.added as u64 > head { Ok(seen) } else { Err(format!("{} of {head}", seen.added)) }
    });
    let (sent, logs) = (replay(&transactions), replay(&job.topic));
    assert_eq!((sent.added, logs.added), (61, 90));
    for (hash, block) in &seen.records {
        let mut own = job.node.call("eth_getBlockByHash", &json!([hash, false]));
        own["removed"] = false.into();
        assert_eq!(*block, own);
    }
    for (key, transaction) in &sent.records {
        let mut own = job.node.call("eth_getTransactionByHash", &json!([transaction["hash"]]));
        own["removed"] = false.into();
        assert_eq!((transaction, key.as_str()), (&own, self::key(&own, "transactionIndex").as_str()));
    }
    let mut expected = job.expected();
    for log in expected.values_mut() {
        let number = u64::from_str_radix(log["data"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
        let from = log["topics"][1].as_str().unwrap().replace(&"0".repeat(24), "");
        log["event"] = json!({
            "name": "Transfer", "signature": "Transfer(address,address,uint256)",
            "args": { "from": from, "to": format!("0x{number:040x}"), "value": number.to_string() },
        });
        assert_eq!(log["topics"][0], format!("0x{TRANSFER}"));
    }
    assert_eq!(logs.records, expected);
}

#[test]
fn what_a_reorganisation_orphans_is_taken_back() {
    let mut job = Job::new(Ethereum::anvil(), &[]);
    for logs in 1..6 {
        job.emit(logs);
    }
    job.worker.start();
    job.check();
    // As high as before: only hashes tell.
    job.node.reorganise(2);
    let seen = job.check();
    assert_eq!((seen.added, seen.removed), (15, 9));
    // Back to an earlier time, and on in another way.
    let snapshot = job.node.call("evm_snapshot", &json!([]));
    for _ in 0..4 {
        job.emit(3);
    }
    job.check();
    assert_eq!(job.node.call("evm_revert", &json!([snapshot])), true);
    for _ in 0..5 {
        job.emit(2);
    }
    let seen = job.check();
    assert_eq!((seen.added, seen.removed), (15 + 12 + 10, 9 + 12));
}

#[test]
fn kills_and_reorganisations_leave_every_log_of_the_chain_once() {
    const KILLS: u64 = 20;
    let mut job = Job::new(Ethereum::anvil(), &[("reorg.depth.max", "16")]);
    for kill in 0..KILLS {
        let snapshot = (kill % 4 == 3).then(|| job.node.call("evm_snapshot", &json!([])));
        for _ in 0..3 {
            job.emit(40);
        }
        // Instants that differ from kill to kill, the same in every run, by how far the source has got.
        let before: i64 = kafka().end_offsets(&job.topic).iter().sum();
        job.worker.launch();
        kafka().await_records(&job.topic, before + 1 + (kill as i64 * 2_654_435_761) % 119);
        if kill % 2 == 0 {
            // Taken back while it runs, and killed while it takes back.
            job.node.reorganise(1 + kill % 5);
            job.emit(40);
            let before: i64 = kafka().end_offsets(&job.topic).iter().sum();
            kafka().await_records(&job.topic, before + 1);
        }
        job.worker.kill();
        match snapshot {
            Some(snapshot) => {
                job.node.call("evm_revert", &json!([snapshot]));
                job.node.mine(6);
            }
            None if kill % 3 == 0 => job.node.reorganise(1 + kill % 7),
            None => {}
        }
    }
    job.emit(5);
    job.worker.start();
    let seen = job.check();
    assert!(seen.removed > 0);
    let repeated = seen.added - seen.records.len();
    eprintln!(
        "{KILLS} kills: {} logs in the chain, {} taken back, {repeated} that came again or were orphaned",
        seen.records.len(),
        seen.removed
    );
}

#[test]
fn the_plugin_is_replaced_while_it_reads() {
    let mut job = Job::new(Ethereum::anvil(), &[("reorg.depth.max", "4")]);
    job.emit(100);
    job.worker.start();
    for round in 0..6 {
        let guest = if round % 2 == 0 { &ETHEREUM_SOURCE_V2 } else { &ETHEREUM_SOURCE };
        // More than a batch, so that it is replaced in the middle of a block.
        job.emit(5_000);
        job.worker.install(guest);
        job.emit(100);
        job.await_version(guest.version);
    }
    let seen = job.check();
    assert_eq!((seen.added, seen.removed), (100 + 6 * 5_100, 0), "no log came twice");
}

#[test]
fn a_hundred_thousand_logs_take_bounded_memory() {
    const MIB: u64 = 1 << 20;
    let mut job = Job::new(Ethereum::anvil(), &[]);
    job.emit(5_000);
    job.node.mine(70);
    job.worker.start();
    job.check();
    let before = job.worker.process().settled_memory();
    for _ in 0..10 {
        for _ in 0..9 {
            job.node.emit(&job.contract, 1_000);
        }
        job.emit(1_000);
    }
    job.node.mine(70);
    assert_eq!(job.check().added, 105_000, "no log came twice");
    let after = job.worker.process().settled_memory();
    eprintln!("{} MiB with 5,000 logs, {} MiB with 105,000", before / MIB, after / MIB);
    // Two answers of response.max.bytes, as text and while they are taken apart, and batches.
    assert!(after < before + 200 * MIB, "{} MiB, {} MiB before", after / MIB, before / MIB);
}

#[test]
fn a_reorganisation_that_is_deeper_than_is_kept_fails_the_task() {
    let mut job = Job::new(Ethereum::anvil(), &[("reorg.depth.max", "3")]);
    for _ in 0..10 {
        job.emit(1);
    }
    job.worker.start();
    job.check();
    job.node.reorganise(6);
    let trace = job.worker.await_failed(&job.connector);
    assert!(trace.contains("reorg.depth.max=3"), "{trace}");
}
