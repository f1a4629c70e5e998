//! Ethereum nodes: anvil, a small one that does what it is told, and geth, the one that most of the world runs.
//!
//! A node is a chain of its own, so each test has its own. The contract that tests use was written by hand, so that
//! no compiler is needed: a call with a number makes as many events `Transfer`, of the kind that tokens have.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::process::{Folder, Process, installed};
use crate::worker::rest::Rest;
use crate::{ports, wait};

/// `Transfer(address,address,uint256)`: from the caller, to the number that is left, and that number.
pub const TRANSFER: &str = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
/// The ABI of the contract.
pub const ABI: &str = r#"[{"type":"event","name":"Transfer","inputs":[{"name":"from","type":"address","indexed":true},{"name":"to","type":"address","indexed":true},{"name":"value","type":"uint256"}]}]"#;

/// What a log costs, with some to spare.
const GAS: u64 = 2_500;

/// A node with a chain of its own.
#[derive(Debug)]
pub struct Ethereum {
    rpc: Rest,
    port: u16,
    account: String,
    calls: AtomicU64,
    process: Process,
    _folder: Folder,
}

impl Ethereum {
    /// A chain that grows by [`mine`](Self::mine).
    pub fn anvil() -> Self {
        let port = ports::free();
        let port_text = port.to_string();
        let args = [
            "--host",
            "127.0.0.1",
            "--port",
            &port_text,
            "--silent",
            "--no-mining",
            "--gas-limit",
            "60000000",
        ];
        Self::start(&installed("anvil.sh", &[]), &args, port, Folder::new("anvil"))
    }

    /// The real client, as a chain of one: it makes a block of every transaction.
    pub fn geth() -> Self {
        let (port, auth) = (ports::free(), ports::free().to_string());
        let (port_text, folder) = (port.to_string(), Folder::new("geth"));
        let data = folder.path().join("data").display().to_string();
        let args = [
            "--dev",
            "--datadir",
            &data,
            "--http",
            "--http.port",
            &port_text,
            "--http.api",
            "eth,debug,dev",
            "--ipcdisable",
            "--nodiscover",
            "--port",
            "0",
            "--authrpc.port",
            &auth,
        ];
        Self::start(&installed("go-tool.sh", &["geth"]), &args, port, folder)
    }

    fn start(program: &str, args: &[&str], port: u16, folder: Folder) -> Self {
        let mut process = Process::start(program, args, &folder.path().join("log"));
        let rpc = Rest::new(port);
        let asked = call("eth_accounts", &json!([]));
        let up = wait::try_until(wait::LIMIT, || {
            assert!(process.exited().is_none(), "the node ended: {}", process.log_tail(20));
            rpc.try_call(&ureq::http::Method::POST, "/", Some(&asked))
        });
        let accounts = up.unwrap_or_else(|last| panic!("the node does not answer: {last}")).expect(200);
        let account = accounts["result"][0].as_str().expect("an account").to_owned();
        Self { rpc, port, account, calls: AtomicU64::new(0), process, _folder: folder }
    }

    /// Where calls go.
    pub fn rpc(&self) -> &Rest {
        &self.rpc
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Calls a method.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn call(&self, method: &str, params: &Value) -> Value {
        let mut answer = self.rpc.post("/", Some(&call(method, params))).expect(200);
        assert!(answer["error"].is_null(), "{method} {params}: {answer}");
        answer["result"].take()
    }

    /// The number of the newest block.
    pub fn head(&self) -> u64 {
        let head = self.call("eth_blockNumber", &json!([]));
        u64::from_str_radix(head.as_str().unwrap_or_default().trim_start_matches("0x"), 16).expect("a number")
    }

    /// Makes so many blocks; what waits goes into the first one.
    pub fn mine(&self, blocks: u64) {
        self.call("anvil_mine", &json!([format!("{blocks:#x}")]));
    }

    /// Replaces the newest blocks by as many empty ones.
    pub fn reorganise(&self, depth: u64) {
        self.call("anvil_reorg", &json!([depth, []]));
    }

    /// Puts the contract on the chain, and returns its address. Call [`mine`](Self::mine) on anvil before it is used.
    ///
    /// # Panics
    /// When the node refuses.
    pub fn deploy(&self) -> String {
        let runtime = format!("5f355b801560395780 5f528033 7f{TRANSFER} 60205fa3 60019003 600256 5b00")
            .replace(' ', "");
        let data = format!("0x603b600a5f39603b5ff3{runtime}");
        let hash = self
            .call("eth_sendTransaction", &json!([{ "from": self.account, "data": data, "gas": "0x493e0" }]));
        if self.receipt(&hash).is_err() {
            // Anvil waits to be told, geth a moment.
            let _ = self.rpc.post("/", Some(&call("evm_mine", &json!([]))));
        }
        let receipt = wait::until("the contract", || self.receipt(&hash));
        receipt["contractAddress"].as_str().expect("an address").to_owned()
    }

    /// What became of a transaction.
    ///
    /// # Errors
    /// It is in no block yet.
    pub fn receipt(&self, hash: &Value) -> Result<Value, String> {
        let answer = self.rpc.post("/", Some(&call("eth_getTransactionReceipt", &json!([hash])))).expect(200);
        if answer["result"].is_null() { Err(answer.to_string()) } else { Ok(answer["result"].clone()) }
    }

    /// Sends a transaction that makes so many logs, and returns its hash.
    pub fn emit(&self, contract: &str, logs: u64) -> Value {
        // Two transactions must differ, also where a reorganisation has taken one back.
        let salt = self.calls.fetch_add(1, Ordering::Relaxed);
        let gas = format!("{:#x}", 100_000 + logs * GAS);
        let data = format!("0x{logs:064x}{salt:064x}");
        self.call(
            "eth_sendTransaction",
            &json!([{ "from": self.account, "to": contract, "data": data, "gas": gas }]),
        )
    }

    /// The logs of a contract in the chain as it is now.
    ///
    /// # Panics
    /// When the node has no list.
    pub fn logs(&self, contract: &str) -> Vec<Value> {
        // Block by block: an answer with all of them can be larger than what the tests' client takes.
        let of_block = |number: u64| {
            let number = format!("{number:#x}");
            self.call(
                "eth_getLogs",
                &json!([{ "fromBlock": number, "toBlock": number, "address": contract }]),
            )
        };
        let all = (0..=self.head()).flat_map(|number| match of_block(number) {
            Value::Array(logs) => logs,
            other => panic!("no list: {other}"),
        });
        all.collect()
    }
}

fn call(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}
