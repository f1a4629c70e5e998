//! Who asks: what the requests that really go out say of it.

use transom_tests::gate::{Gate, Hold};

use super::*;

const TOKEN: &str = "canary-session-token/with+signs==";

/// versitygw knows no temporary credentials, and says so: it has read the token.
#[test]
fn a_session_token_is_sent_and_signed_and_not_shown() {
    let gate = Gate::start(&versitygw().address());
    // Nothing is held; all is kept.
    gate.hold(usize::MAX, Hold::Before);
    let mut job = Job::new(kafka(), &gate.url(), &[("aws.session.token", TOKEN)]);
    job.produce(500);
    job.worker.set("task.restart.max", "0").start();
    let trace = job.worker.await_failed(&job.connector);
    assert!(trace.contains("aws.session.token is not valid"), "{trace}");
    assert!(!gate.heads().is_empty());
    for head in gate.heads() {
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        assert_eq!(header("x-amz-security-token").as_deref(), Some(TOKEN), "{head}");
        let authorization = header("authorization").unwrap_or_default();
        let signed = authorization.split("SignedHeaders=").nth(1).and_then(|rest| rest.split(',').next());
        let signed: Vec<_> = signed.unwrap_or_default().split(';').collect();
        for name in ["host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"] {
            assert!(signed.contains(&name), "{name}: {head}");
        }
    }
    assert!(!job.worker.log().contains(TOKEN) && !trace.contains(TOKEN));
}
