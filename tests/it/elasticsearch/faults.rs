//! Kills, swaps, and a bad network.

use transom_tests::guests::ELASTICSEARCH_SINK_V2;
use transom_tests::search::opensearch;
use transom_tests::toxiproxy::Proxy;

use super::*;

const KILLS: usize = 20;

#[test]
fn a_killed_worker_loses_nothing_and_writes_nothing_twice() {
    // Small requests, so that the kills fall among them.
    let mut job = Job::new(opensearch(), &[("batch.size", "100")]);
    job.add(1);
    job.worker.start();
    job.check();
    job.worker.kill();
    for kill in 0..KILLS {
        let before = job.added;
        job.add(2_000);
        job.worker.launch();
        // Instants that differ from kill to kill, the same in every run, by how far the sink has got.
        let wanted = (before + 1 + (kill * 2_654_435_761) % 1_900) as i64;
        until("the sink to get so far", || {
            // Of the documents in turn, the one that the wanted record is about.
            let document = job.search.document(&job.index, &key(wanted as usize))?;
            if document.version >= wanted { Ok(()) } else { Err(document.version.to_string()) }
        });
        job.worker.kill();
    }
    job.add(2_000);
    job.worker.start();
    job.check();
}

#[test]
fn the_plugin_is_replaced_while_it_writes() {
    let mut job = Job::new(opensearch(), &[("batch.size", "200")]);
    job.add(1_000);
    job.worker.start();
    job.worker.await_running(&job.connector, 1);
    for round in 0..6 {
        let guest = if round % 2 == 0 { &ELASTICSEARCH_SINK_V2 } else { &ELASTICSEARCH_SINK };
        job.add(2_000);
        job.worker.install(guest);
        job.add(2_000);
        until("the other version", || {
            let running = job.version();
            if running == guest.version { Ok(()) } else { Err(running.to_string()) }
        });
    }
    job.check();
    // What a swap gives back is durable: nothing came again.
    assert_eq!(job.metric("version_conflicts"), 0.0);
}

#[test]
fn a_bad_network_loses_nothing() {
    let search = opensearch();
    let proxy = Proxy::new(&format!("127.0.0.1:{}", search.port()));
    let patience = [("read.timeout.ms", "1000"), ("connection.timeout.ms", "0"), ("batch.size", "300")];
    let mut job = Job::by(search, &format!("http://{}", proxy.address()), 1, &patience);
    job.add(1_000);
    job.worker.start();
    job.check();
    let lasting: [fn(&Proxy); 2] = [|way| way.delay(50), |way| way.slow(200)];
    for fault in lasting {
        fault(&proxy);
        job.add(2_000);
        job.check();
        proxy.heal();
    }
    let breaking: [fn(&Proxy); 3] = [Proxy::silence, Proxy::reset, Proxy::cut];
    for fault in breaking {
        let failed = job.metric("failed_requests");
        fault(&proxy);
        job.add(2_000);
        until("a failed request", || match job.metric("failed_requests") {
            now if now > failed => Ok(()),
            now => Err(now.to_string()),
        });
        proxy.heal();
        job.check();
    }
    job.worker.await_running(&job.connector, 1);
}

#[test]
fn a_server_that_does_not_answer_holds_up_neither_a_swap_nor_a_stop() {
    let search = opensearch();
    let proxy = Proxy::new(&format!("127.0.0.1:{}", search.port()));
    let more = [("flush.timeout.ms", "2000")];
    let mut job = Job::by(search, &format!("http://{}", proxy.address()), 1, &more);
    job.add(100);
    job.worker.start();
    job.check();
    proxy.silence();
    job.add(30_000);
    until("requests that wait", || {
        if job.metric("requests_in_flight") > 0.0 { Ok(()) } else { Err(String::new()) }
    });
    let begun = std::time::Instant::now();
    job.worker.install(&ELASTICSEARCH_SINK_V2);
    until("the other version", || {
        let running = job.version();
        if running == ELASTICSEARCH_SINK_V2.version { Ok(()) } else { Err(running.to_string()) }
    });
    assert!(job.worker.terminate().success());
    let took = begun.elapsed();
    // Neither a request's time-out, 31 s, nor a call's.
    assert!(took < std::time::Duration::from_secs(20), "{took:?}");
    proxy.heal();
    job.worker.start();
    job.check();
}
