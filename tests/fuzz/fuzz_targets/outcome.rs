//! The worker's reader of what a sink says about failed records.
#![no_main]

use libfuzzer_sys::fuzz_target;
use transom_batch::{Outcome, OutcomeWriter};
use transom_fuzz::LIMITS;

fuzz_target!(|bytes: &[u8]| {
    let Ok(outcome) = Outcome::parse(bytes, &LIMITS) else { return };
    let mut writer = OutcomeWriter::new();
    for failure in outcome.failures() {
        assert!(failure.partition >= 0 && failure.offset >= 0);
        writer.fail(failure).expect("there is room");
    }
    assert_eq!(writer.len(), outcome.len());
    let once = writer.finish();
    assert_eq!(once.is_empty(), outcome.is_empty());
    let again = Outcome::parse(&once, &LIMITS).expect("the writer writes batches");
    assert!(again.failures().eq(outcome.failures()));
});
