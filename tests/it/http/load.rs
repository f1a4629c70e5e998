//! Memory does not depend on how much there is to read, or how it is divided.

use transom_tests::until;

use super::cursors::CURSORS;
use super::{Reader, shelf};

const MIB: f64 = 1048576.0;
const ITEMS: usize = 100_000;

/// Reads all, and returns the most memory seen: of the plugin's instance, and of the worker beyond what it had
/// when it began, both in MiB.
#[track_caller]
fn read(size: usize) -> (f64, f64) {
    let mut reader = Reader::new(shelf(&["http/1.1"], ITEMS, size), &CURSORS);
    reader.worker.start();
    let labels = [("connector", reader.connector.clone())];
    let labels = labels.each_ref().map(|(key, value)| (*key, value.as_str()));
    let resident = |reader: &mut Reader| reader.worker.process().usage().unwrap().memory as f64 / MIB;
    let first = resident(&mut reader);
    let (mut plugin, mut worker) = (0.0_f64, 0.0_f64);
    until("all items to be read", || {
        let metrics = reader.worker.metrics();
        let sum = |name| metrics.sum(name, &labels).unwrap_or(0.0);
        let read = sum("transom_task_records_out_total");
        plugin = plugin.max(sum("transom_task_guest_memory_bytes") / MIB);
        worker = worker.max(resident(&mut reader));
        if read >= ITEMS as f64 { Ok(()) } else { Err(format!("{read} records")) }
    });
    assert_eq!(reader.check(ITEMS), 0, "no item came twice");
    let grown = worker - first;
    eprintln!(
        "{size} items a page: plugin {plugin:.1} MiB, worker {worker:.1} MiB, of which {grown:.1} MiB came"
    );
    (plugin, grown)
}

#[test]
fn a_hundred_thousand_items_take_no_more_memory_than_a_page() {
    // Two thousand requests of one instance: what one of them leaves behind would be seen, too.
    for (size, page) in [(50, 0.01), (10_000, 1.0)] {
        let (plugin, worker) = read(size);
        // The answer, the pieces that it is made of, and a batch of as much as the worker likes (1 MiB), each at
        // most twice as large as what is in it, as a growing buffer is; and the code's own data.
        let bound = 2.0 * (2.0 * page + 1.0) + 2.0;
        assert!(plugin <= bound, "{plugin:.1} MiB in the plugin, more than {bound:.1}");
        // What is on its way to Kafka, which librdkafka holds until it is acknowledged, and the plugin's code.
        assert!(worker <= 64.0, "{worker:.1} MiB more in the worker");
    }
}
