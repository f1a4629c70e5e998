//! What the fuzz targets share: limits, and the comparison of two batches.

use transom_batch::{Batch, Limits, Record, Run, Writer};

/// So many records that the walk over the emptiest of batches takes no more than a moment.
pub const LIMITS: Limits = Limits { bytes: 1 << 20, records: 1 << 12 };

/// Writes records and marks of a batch in their order; `push` writes a record.
pub fn rewrite(batch: &Batch<'_>, writer: &mut Writer, mut push: impl FnMut(&mut Writer, &Record<'_>)) {
    let mut marks = batch.marks().peekable();
    let mut mark_up_to = |writer: &mut Writer, after: u32| {
        while let Some(mark) = marks.next_if(|mark| mark.after <= after) {
            writer.mark(batch.source_partition(mark.partition), mark.offset).expect("there is room");
        }
    };
    for record in batch.records() {
        mark_up_to(writer, record.index);
        push(writer, &record);
    }
    mark_up_to(writer, batch.len() as u32);
}

/// Both batches must say the same of every record and mark.
pub fn assert_same(a: &Batch<'_>, b: &Batch<'_>) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.records().zip(b.records()) {
        let shared = |run: &Run<'_>| format!("{:?}", Run { base_offset: None, ..*run });
        assert_eq!(shared(a.run), shared(b.run));
        assert_eq!((a.index, a.key, a.value), (b.index, b.key, b.value));
        assert_eq!((a.timestamp, a.offset), (b.timestamp, b.offset));
        assert!(a.headers().eq(b.headers()));
        assert_eq!(a.headers().len(), a.headers().count());
    }
    let mark = |batch: &Batch<'_>, mark: transom_batch::Mark<'_>| {
        (mark.after, batch.source_partition(mark.partition).to_owned(), mark.offset.to_owned())
    };
    assert!(a.marks().map(|m| mark(a, m)).eq(b.marks().map(|m| mark(b, m))));
}

/// What the reader promises of runs and dictionaries.
pub fn assert_covered(batch: &Batch<'_>) {
    let mut next = 0;
    for (run, records) in batch.runs() {
        assert!(records.start == next && records.end > next);
        assert!(batch.topics().any(|topic| topic == run.topic));
        next = records.end;
    }
    assert_eq!(next as usize, batch.len());
    assert_eq!(batch.records().count(), batch.len());
    let mut after = 0;
    for mark in batch.marks() {
        assert!(mark.after >= after && mark.after as usize <= batch.len());
        assert!(batch.source_partitions().nth(mark.partition as usize).is_some());
        after = mark.after;
    }
}
