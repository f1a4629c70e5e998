//! The worker's reader of what a source returns: read, written again record by record, read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use transom_batch::{Batch, Writer};
use transom_fuzz::{LIMITS, assert_covered, assert_same, rewrite};

fuzz_target!(|bytes: &[u8]| {
    let Ok(batch) = Batch::parse(bytes, &LIMITS) else { return };
    assert_covered(&batch);
    let mut writer = Writer::new();
    let copy = |writer: &mut Writer, record: &transom_batch::Record<'_>| {
        writer.push_record(record).expect("there is room");
    };
    rewrite(&batch, &mut writer, copy);
    let most = writer.bytes();
    let once = writer.finish();
    assert!(once.len() <= most);
    let again = Batch::parse(&once, &LIMITS).expect("the writer writes batches");
    assert_same(&batch, &again);
    rewrite(&again, &mut writer, copy);
    assert!(writer.finish() == once, "written twice, it is the same bytes");
});
