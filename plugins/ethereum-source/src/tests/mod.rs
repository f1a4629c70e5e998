//! The source before a chain that the test makes, and changes.

mod nodes;
mod settings;

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value, json};
use transom_sdk::http::{Request, Response};
use transom_sdk::testing::{self, Polled, SourceTest, TestRecord};
use transom_sdk::{ConfigMap, Kind};

use super::*;

type Test = SourceTest<EthereumSource>;

/// Nothing in here may be seen by anybody.
const CANARY: &str = "canary-7f3a";

/// A chain: of each block its fork, which makes its hash, and how many logs it has.
#[derive(Default)]
struct Chain {
    blocks: Vec<(u32, u32)>,
    /// Calls so far, by method.
    asked: Vec<String>,
    /// The logs that are told are of this fork instead.
    wrong_logs: Option<u32>,
    /// What the chain becomes when it was looked at, and before it is read.
    later: Option<Vec<(u32, u32)>>,
}

impl Chain {
    /// So many blocks with so many logs each.
    fn add(&mut self, fork: u32, blocks: usize, logs: u32) {
        self.blocks.extend(vec![(fork, logs); blocks]);
    }

    fn hash(&self, number: usize) -> String {
        hash(self.blocks[number].0, number)
    }

    fn block(&self, number: usize) -> Value {
        if number >= self.blocks.len() {
            return Value::Null;
        }
        let parent = number.checked_sub(1).map_or(hash(0, 0), |parent| self.hash(parent));
        json!({
            "number": format!("{number:#x}"), "hash": self.hash(number), "parentHash": parent,
            "timestamp": format!("{:#x}", 1000 + number), "transactions": [],
        })
    }

    fn logs(&self, number: usize) -> Vec<Value> {
        let (fork, logs) = self.blocks[number];
        let fork = self.wrong_logs.unwrap_or(fork);
        let log = |index| {
            json!({
                "blockHash": hash(fork, number), "blockNumber": format!("{number:#x}"), "removed": false,
                "logIndex": format!("{index:#x}"), "topics": [], "data": "0x",
            })
        };
        (0..logs).map(log).collect()
    }

    fn answer(&mut self, call: &Value) -> Value {
        let method = call["method"].as_str().unwrap();
        self.asked.push(method.to_owned());
        let number = |value: &Value| {
            usize::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
        };
        let query = &call["params"][0];
        let result = match method {
            "eth_chainId" => json!("0x7"),
            "eth_blockNumber" => json!(format!("{:#x}", self.blocks.len() - 1)),
            "eth_getBlockByNumber" => self.block(number(query)),
            "eth_getLogs" if query["blockHash"].is_string() => {
                let at =
                    (0..self.blocks.len()).find(|number| query["blockHash"] == self.hash(*number).as_str());
                match at {
                    Some(number) => self.logs(number).into(),
                    None => {
                        return json!({ "id": call["id"], "error": { "code": -32000, "message": "unknown block" } });
                    }
                }
            }
            "eth_getLogs" => {
                let (from, to) = (number(&query["fromBlock"]), number(&query["toBlock"]));
                (from..=to).flat_map(|number| self.logs(number)).collect()
            }
            other => panic!("{other}"),
        };
        json!({ "jsonrpc": "2.0", "id": call["id"], "result": result })
    }
}

fn hash(fork: u32, number: usize) -> String {
    format!("0x{fork:032x}{number:032x}")
}

fn config(more: &[(&str, &str)]) -> ConfigMap {
    let own = [
        ("rpc.urls", "https://node/canary-7f3a"),
        ("topic.logs", "logs"),
        ("start.block", "0"),
        ("poll.interval.ms", "1"),
        ("backoff.ms", "1"),
        ("backoff.max.ms", "1"),
        ("reorg.depth.max", "8"),
    ];
    own.iter().chain(more).copied().collect()
}

/// A source before this chain.
fn source(chain: &Rc<RefCell<Chain>>, more: &[(&str, &str)]) -> Test {
    let mut test = Test::new(config(more));
    serve(chain);
    test.reopen().unwrap();
    test
}

fn serve(chain: &Rc<RefCell<Chain>>) {
    let chain = Rc::clone(chain);
    testing::http(move |request| Ok(answer(&chain, request)));
}

fn answer(chain: &Rc<RefCell<Chain>>, request: &Request) -> Response {
    let body: Value = serde_json::from_slice(request.body()).unwrap();
    let mut chain = chain.borrow_mut();
    if !body.to_string().contains("eth_blockNumber")
        && let Some(blocks) = chain.later.take()
    {
        chain.blocks = blocks;
    }
    let answer = match body {
        // In another order than asked, as servers may.
        Value::Array(calls) => calls.iter().rev().map(|call| chain.answer(call)).collect(),
        call => chain.answer(&call),
    };
    Response::new(200).with_body(answer.to_string())
}

fn chain(blocks: usize, logs: u32) -> Rc<RefCell<Chain>> {
    let mut chain = Chain::default();
    chain.add(1, blocks, logs);
    Rc::new(RefCell::new(chain))
}

/// Polls so often that whatever there is has come, committing all of it.
fn settle(test: &mut Test) -> Vec<TestRecord> {
    let mut records = Vec::new();
    for _ in 0..60 {
        records.extend(test.poll().unwrap().records);
        test.commit().unwrap();
        std::thread::sleep(Duration::from_micros(200));
    }
    records
}

/// Polls until something comes.
fn poll(test: &mut Test) -> Polled {
    let polled = (0..10_000).map(|_| test.poll().unwrap());
    polled.into_iter().find(|polled| *polled != Polled::default()).expect("something comes")
}

/// Polls until that fails.
fn failure(test: &mut Test) -> Error {
    let failed = (0..10_000).find_map(|_| {
        let failed = test.poll().err();
        test.commit().unwrap();
        failed
    });
    failed.expect("a poll fails")
}

/// `+<fork>/<block>-<log>` or `-…`, for every record.
fn told(records: &[TestRecord]) -> Vec<String> {
    let one = |record: &TestRecord| {
        let (hash, index) = record.key_str().split_once('-').unwrap();
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let removed = record.value.is_none() || record.value_json::<Value>()["removed"] == true;
        let sign = if removed { '-' } else { '+' };
        format!("{sign}{}/{}-{index}", number(&hash[2..34]), number(&hash[34..]))
    };
    records.iter().map(one).collect()
}

#[test]
fn nothing_is_written_before_it_is_announced() {
    let chain = chain(2, 1);
    let mut test = source(&chain, &[]);
    let announced = poll(&mut test);
    assert_eq!(announced.records, []);
    let offset = &announced.positions[0].1.offset;
    assert_eq!((offset["next"].as_u64(), offset["announced"].as_array().unwrap().len()), (Some(0), 2));
    for _ in 0..10 {
        assert_eq!(test.poll().unwrap(), Polled::default(), "it is not durable yet");
    }
    test.commit().unwrap();
    let polled = poll(&mut test);
    assert_eq!(told(&polled.records), ["+1/0-0", "+1/1-0"]);
    let record = &polled.records[0];
    assert_eq!((record.topic.as_str(), record.timestamp), ("logs", Some(1_000_000)));
    assert_eq!(polled.positions[0].1.partition, json!({ "chainId": 7 }));
    assert_eq!(polled.positions[0].1.offset["next"], 2);
}

#[test]
fn what_a_killed_worker_may_have_written_of_blocks_that_are_gone_is_taken_back() {
    let chain = chain(3, 2);
    let mut test = source(&chain, &[]);
    settle(&mut test);
    chain.borrow_mut().add(1, 2, 1);
    let announced = poll(&mut test);
    assert_eq!(announced.records, []);
    test.commit().unwrap();
    assert_eq!(told(&poll(&mut test).records), ["+1/3-0", "+1/4-0"]);
    // Nothing of that was committed; and the chain is another one when the worker is back.
    test.kill();
    chain.borrow_mut().blocks.truncate(2);
    chain.borrow_mut().add(2, 3, 1);
    test.reopen().unwrap();
    let expected = ["-1/4-0", "-1/3-0", "-1/2-1", "-1/2-0", "+2/2-0", "+2/3-0", "+2/4-0"];
    assert_eq!(told(&settle(&mut test)), expected);
}

#[test]
fn what_was_announced_and_is_still_there_is_written_from_where_it_stopped() {
    let chain = chain(1, 5);
    let mut test = source(&chain, &[]);
    test.limit(2, 1 << 20, Duration::ZERO);
    poll(&mut test);
    test.commit().unwrap();
    assert_eq!(told(&poll(&mut test).records), ["+1/0-0", "+1/0-1"]);
    test.commit().unwrap();
    test.reopen().unwrap();
    assert_eq!(told(&settle(&mut test)), ["+1/0-2", "+1/0-3", "+1/0-4"]);
}

#[test]
fn what_is_begun_to_be_taken_back_is_taken_back_even_if_the_chain_comes_back() {
    let chain = chain(4, 1);
    let mut test = source(&chain, &[]);
    settle(&mut test);
    let old = std::mem::replace(&mut chain.borrow_mut().blocks[3], (2, 1));
    let begun = poll(&mut test);
    assert_eq!(
        (begun.records.len(), begun.positions[0].1.offset["removing"].as_array().unwrap().len()),
        (0, 1)
    );
    for _ in 0..10 {
        assert_eq!(test.poll().unwrap(), Polled::default(), "it is not durable yet");
    }
    test.commit().unwrap();
    assert_eq!(told(&poll(&mut test).records), ["-1/3-0"]);
    test.kill();
    chain.borrow_mut().blocks[3] = old;
    test.reopen().unwrap();
    assert_eq!(told(&settle(&mut test)), ["-1/3-0", "+1/3-0"]);
}

#[test]
fn a_reorganisation_between_a_look_and_the_reading_is_noticed() {
    let chain = chain(3, 1);
    let mut test = source(&chain, &[]);
    settle(&mut test);
    chain.borrow_mut().add(1, 2, 1);
    chain.borrow_mut().later = Some(vec![(1, 1), (1, 1), (2, 1), (2, 1), (2, 1)]);
    assert_eq!(told(&settle(&mut test)), ["-1/2-0", "+2/2-0", "+2/3-0", "+2/4-0"]);
}

#[test]
fn positions_move_while_nothing_matches() {
    let chain = chain(500, 0);
    let mut test = source(&chain, &[("range.blocks", "100")]);
    let mut last = 0;
    while last < 500 {
        let polled = poll(&mut test);
        assert_eq!(polled.records, []);
        let next = polled.positions[0].1.offset["next"].as_u64().unwrap();
        assert!(next > last && next <= last + 100, "{next} after {last}");
        last = next;
        test.commit().unwrap();
    }
}

#[test]
fn old_blocks_are_read_in_ranges_and_the_last_ones_one_by_one() {
    let chain = chain(1000, 1);
    let mut test = source(&chain, &[("range.blocks", "500")]);
    let records = settle(&mut test);
    assert_eq!(records.len(), 1000);
    let chain = chain.borrow();
    let asked = |method: &str| chain.asked.iter().filter(|asked| *asked == method).count();
    assert_eq!(asked("eth_getLogs"), 2 + 8);
    assert_eq!(asked("eth_chainId"), 1);
}

#[test]
fn a_reorganisation_that_is_too_deep_names_the_key_to_raise() {
    let chain = chain(20, 1);
    let mut test = source(&chain, &[]);
    settle(&mut test);
    chain.borrow_mut().blocks.truncate(5);
    chain.borrow_mut().add(2, 15, 1);
    let error = failure(&mut test);
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.message().contains("reorg.depth.max=8") && error.message().contains("12 to 19"), "{error}");
}

#[test]
fn what_is_taken_back_can_be_a_null() {
    let chain = chain(3, 1);
    let mut test = source(&chain, &[("reorg.records", "tombstone")]);
    settle(&mut test);
    chain.borrow_mut().blocks[2] = (2, 0);
    let records = settle(&mut test);
    assert_eq!((told(&records), &records[0].value), (vec!["-1/2-0".to_owned()], &None));
}

#[test]
fn latest_is_behind_what_there_is_and_confirmations_hold_back() {
    let chain = chain(10, 1);
    let mut test = source(&chain, &[("start.block", "latest"), ("confirmations", "2")]);
    assert_eq!(settle(&mut test), []);
    chain.borrow_mut().add(1, 1, 1);
    assert_eq!(told(&settle(&mut test)), ["+1/8-0"]);
    test.reopen().unwrap();
    assert_eq!(settle(&mut test), []);
    chain.borrow_mut().add(1, 2, 1);
    assert_eq!(told(&settle(&mut test)), ["+1/9-0", "+1/10-0"]);
}
