//! The plugin's reader of what a sink is given: read, written again piece by piece with a writer
//! that is used for every batch, read again.
#![no_main]

use std::cell::RefCell;
use std::io::Write as _;

use libfuzzer_sys::fuzz_target;
use transom_batch::{Batch, Record, Writer};
use transom_fuzz::{LIMITS, assert_covered, assert_same, rewrite};

thread_local! {
    static WRITER: RefCell<(Writer, Vec<u8>)> = RefCell::default();
}

fn stream(writer: &mut Writer, record: &Record<'_>) {
    writer.run(record.run).expect("there is room");
    let mut unfinished = writer.key_value();
    unfinished.value().write_all(b"never was").expect("there is room");
    drop(unfinished);
    let mut copy = writer.key_value();
    if let Some(key) = record.key {
        copy.key().write_all(key).expect("there is room");
    }
    if let Some(value) = record.value {
        let (head, tail) = value.split_at(value.len() / 2);
        copy.value().write_all(head).expect("there is room");
        copy.value().write_all(tail).expect("there is room");
    }
    match record.offset {
        Some(offset) => copy.finish_at(offset, record.timestamp),
        None => copy.finish(record.timestamp),
    }
    .expect("there is room");
    for (name, value) in record.headers() {
        writer.header(name, value).expect("there is room");
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(batch) = Batch::parse(bytes, &LIMITS) else { return };
    assert_covered(&batch);
    WRITER.with_borrow_mut(|(writer, out)| {
        rewrite(&batch, writer, stream);
        let most = writer.bytes();
        writer.finish_into(out);
        assert!(writer.is_empty() && out.len() <= most);
        assert_same(&batch, &Batch::parse(out, &LIMITS).expect("the writer writes batches"));
        let mut fresh = Writer::new();
        rewrite(&batch, &mut fresh, |writer, record| writer.push_record(record).expect("there is room"));
        assert!(fresh.finish() == *out, "a used writer and a fresh one write the same");
    });
});
