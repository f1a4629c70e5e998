//! Nodes that are dead, far away, or short of time.

use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::Full;
use hyper::Response;
use transom_tests::https::Https;
use transom_tests::toxiproxy::Proxy;
use transom_tests::worker::rest::Rest;

use super::*;

#[test]
fn another_node_is_asked_when_one_is_dead() {
    let mut ways = Vec::new();
    let mut job = Job::by(Ethereum::anvil(), &[], |node| {
        ways.extend([Proxy::new(&node.address()), Proxy::new(&node.address())]);
        ways.iter().map(|way| format!("http://{}", way.address())).collect()
    });
    job.emit(3);
    ways[0].cut();
    job.worker.start();
    job.check();
    for round in 0..4 {
        ways[round % 2].heal();
        ways[(round + 1) % 2].cut();
        job.emit(3);
        assert_eq!(job.check().removed, 0);
    }
    job.worker.await_log(&["going on with"]);
    assert_eq!(job.check().added, 15, "no log came twice");
}

#[test]
fn a_bad_network_loses_no_log() {
    let mut proxy = None;
    let patience = [("request.timeout.ms", "1000")];
    let mut job = Job::by(Ethereum::anvil(), &patience, |node| {
        let way = proxy.insert(Proxy::new(&node.address()));
        vec![format!("http://{}", way.address())]
    });
    let proxy = proxy.expect("the way there");
    job.emit(10);
    job.worker.start();
    job.check();
    let faults: [fn(&Proxy); 5] =
        [|way| way.delay(50), |way| way.slow(100), Proxy::silence, Proxy::reset, Proxy::cut];
    let mut logs = 10;
    for (index, fault) in faults.iter().enumerate() {
        let failed = job.failed_polls();
        fault(&proxy);
        job.emit(50);
        logs += 50;
        if index >= 2 {
            until("a failed poll", || {
                if job.failed_polls() > failed { Ok(()) } else { Err(failed.to_string()) }
            });
            proxy.heal();
        }
        assert_eq!(job.check().added, logs, "no log came twice");
        proxy.heal();
    }
}

#[test]
fn a_server_that_is_busy_or_asked_for_too_much_is_asked_for_less() {
    let node = Ethereum::anvil();
    let (behind, asked) = (Rest::new(node.port()), AtomicUsize::new(0));
    let server = Https::start(&["h2"], move |request| {
        let busy = asked.fetch_add(1, Ordering::Relaxed) % 3;
        if request.headers().get("x-api-key").is_none_or(|key| key != "canary-1c9") {
            return Response::builder().status(401).body(Full::default()).unwrap();
        }
        if busy == 1 {
            return Response::builder().status(429).header("retry-after", "0").body(Full::default()).unwrap();
        }
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        let calls: Value = serde_json::from_str(&body).unwrap();
        let first = if calls.is_array() { calls[0].clone() } else { calls };
        let error = |code: i32, message: &str| {
            let error =
                json!({ "jsonrpc": "2.0", "id": null, "error": { "code": code, "message": message } });
            Response::new(Full::from(error.to_string()))
        };
        if busy == 2 {
            return error(-32005, "daily request count exceeded, request rate limited");
        }
        let block = |name: &str| {
            let number = first["params"][0][name].as_str().unwrap_or("0x0").to_owned();
            u64::from_str_radix(number.trim_start_matches("0x"), 16).unwrap()
        };
        if first["method"] == "eth_getLogs" && block("toBlock") - block("fromBlock") >= 10 {
            return error(-32602, "query exceeds max block range 10");
        }
        let answer = behind.send(&ureq::http::Method::POST, "/", Some(body));
        // The node may end before the last question does.
        let (status, answer) = answer.unwrap_or_else(|error| (502, error));
        Response::builder().status(status).body(Full::from(answer)).unwrap()
    });
    let limits = [
        ("rpc.headers", "x-api-key: canary-1c9"),
        ("backoff.ms", "1"),
        ("backoff.max.ms", "10"),
        ("requests.per.second", "300"),
    ];
    let mut job = Job::by(node, &limits, |_| vec![server.url()]);
    job.worker.set("sandbox.ethereum-source.tls.ca", &server.ca().display().to_string());
    for _ in 0..10 {
        job.emit(3);
        job.node.mine(14);
    }
    job.worker.start();
    assert_eq!(job.check().added, 30, "no log came twice");
    let log = job.worker.await_log(&["too much at once", "max block range 10"]);
    assert!(!log.contains("canary-1c9"));
}
