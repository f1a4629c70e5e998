//! A figure, not a test: run by hand, with the release build, on a machine that does nothing else (see `speed.rs`).

use std::time::Instant;

use serde_json::value::RawValue;
use transom_tests::Record;
use transom_tests::process::Usage;

use super::*;

const BLOCKS: u64 = 1_000;
const LOGS: u64 = 200;
/// Blocks a query: with answers of some megabytes.
const RANGE: u64 = 50;

/// Asks as the plugin does, in this process, and writes the same records.
fn alone(job: &Job, topic: &str, last: u64) {
    let ask = |calls: &Value| {
        let (_, body) = job.node.rpc().send(&ureq::http::Method::POST, "/", Some(calls.to_string())).unwrap();
        body
    };
    let call = |id: u64, method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    let ranges = (0..=last).step_by(RANGE as usize);
    // As they come: one range is asked for while librdkafka sends the one before.
    let records = ranges.flat_map(|from| {
        let (first, end) = (format!("{from:#x}"), format!("{:#x}", last.min(from + RANGE - 1)));
        ask(&json!([
            call(0, "eth_getBlockByNumber", json!([first, false])),
            call(1, "eth_getBlockByNumber", json!([end, false])),
        ]));
        let filter = json!([{ "fromBlock": first, "toBlock": end, "address": job.contract }]);
        let body = ask(&call(0, "eth_getLogs", filter));
        let answer: BTreeMap<&str, &RawValue> = serde_json::from_str(&body).unwrap();
        let logs: Vec<&RawValue> = serde_json::from_str(answer["result"].get()).unwrap();
        let record = |log: &&RawValue| {
            let members: BTreeMap<&str, &RawValue> = serde_json::from_str(log.get()).unwrap();
            let text = |name: &str| members[name].get().trim_matches('"');
            let index = u64::from_str_radix(text("logIndex").trim_start_matches("0x"), 16).unwrap();
            Record::keyed(format!("{}-{index}", text("blockHash")), log.get())
        };
        logs.iter().map(record).collect::<Vec<_>>()
    });
    kafka().produce(topic, records);
}

#[test]
#[ignore = "a measurement"]
fn logs_a_second_beside_a_native_client() {
    let range = RANGE.to_string();
    let job = Job::new(Ethereum::anvil(), &[]);
    let contract = job.contract.clone();
    for _ in 0..BLOCKS {
        job.emit(LOGS);
    }
    job.node.mine(70);
    let last = job.node.head() - 64;
    let total = (BLOCKS * LOGS) as i64;
    let by_itself = unique("alone");
    kafka().create_topic(&by_itself, 1, &[]);
    let (before, begun) = (Usage::own().unwrap(), Instant::now());
    alone(&job, &by_itself, last);
    kafka().await_records(&by_itself, total);
    let (took, used) = (begun.elapsed(), Usage::own().unwrap().cpu_ms - before.cpu_ms);
    eprintln!("native client: {:.0} logs/s, {used} ms CPU", total as f64 / took.as_secs_f64());

    let topic = unique("speed");
    kafka().create_topic(&topic, 1, &[]);
    let url = job.node.url();
    // The plugin is compiled before the clock runs.
    let mut worker = Worker::new(kafka());
    worker.install(&ETHEREUM_SOURCE).set("sandbox.ethereum-source.net", &url).start();
    worker.await_plugins(1);
    let config = json!({
        "connector.class": "EthereumSource", "rpc.urls": url, "topic.logs": topic, "logs.address": contract,
        "start.block": "0", "range.blocks": range,
        "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
    });
    let before = worker.process().usage().unwrap();
    let begun = Instant::now();
    worker.rest().put("/connectors/speed/config", Some(&config)).expect(201);
    kafka().await_records(&topic, total);
    let (took, after) = (begun.elapsed(), worker.process().usage().unwrap());
    eprintln!(
        "ethereum-source: {:.0} logs/s, {} ms CPU, {} MiB resident",
        total as f64 / took.as_secs_f64(),
        after.cpu_ms - before.cpu_ms,
        after.memory >> 20
    );
}
