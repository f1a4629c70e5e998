//! The client that most of the world runs; its build takes minutes.

use super::*;

#[test]
#[ignore = "slow system"]
fn geth_is_followed_through_reorganisations() {
    let mut job = Job::new(Ethereum::geth(), &[("logs.abi", ABI)]);
    let emit = |logs: u64| {
        let hash = job.node.emit(&job.contract, logs);
        until("its block", || job.node.receipt(&hash));
    };
    (0..10).for_each(&emit);
    job.worker.start();
    let check = |logs: usize| {
        until("what the node says", || {
            let seen = replay(&job.topic);
            let (keys, expected) = (seen.records.keys(), job.expected());
            if seen.records.len() == logs && keys.eq(expected.keys()) {
                return Ok(seen);
            }
            Err(format!("{} of {}", seen.records.len(), expected.len()))
        })
    };
    assert_eq!(check(45).removed, 0);
    // Back by three blocks, of 7, 8 and 9 logs, and on in another way.
    let head = job.node.head();
    job.node.call("debug_setHead", &json!([format!("{:#x}", head - 3)]));
    (0..5).for_each(|_| emit(2));
    assert_eq!(check(45 - 24 + 10).removed, 24);
}
