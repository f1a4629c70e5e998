//! The network is bad.

use transom_tests::toxiproxy::Proxy;

use super::*;

#[test]
fn a_bad_network_loses_nothing_and_repeats_nothing() {
    let proxy = Proxy::new(&versitygw().address());
    let url = format!("http://{}", proxy.address());
    let mut job = Job::new(kafka(), &url, &[("request.timeout.ms", "700"), ("flush.size", "100")]);
    job.worker.start();
    type Fault = fn(&Proxy);
    let faults: [(&str, Fault); 5] = [
        ("latency", |proxy| proxy.delay(50)),
        ("slow", |proxy| proxy.slow(40)),
        ("cut", Proxy::cut),
        ("reset", Proxy::reset),
        ("half-open", Proxy::silence),
    ];
    for (what, fault) in faults {
        job.produce(200);
        job.check(job.produced);
        fault(&proxy);
        job.produce(300);
        if matches!(what, "latency" | "slow") {
            job.check(job.produced);
        } else {
            until("a retry", || {
                let retries = job.worker.metrics().sum("transom_task_retries_total", &[]).unwrap_or(0.0);
                if retries > 0.0 { Ok(()) } else { Err(format!("{what}: none")) }
            });
        }
        proxy.heal();
        job.check(job.produced);
    }
    job.worker.await_running(&job.connector, 1);
}
