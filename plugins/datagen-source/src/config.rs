//! The settings.

use serde::Deserialize;
use transom_sdk::{ConfigKey, Manifest};

#[derive(Deserialize)]
pub(crate) struct Config {
    pub(crate) topic: String,
    pub(crate) rate: u64,
    pub(crate) total: u64,
    #[serde(rename = "record.size")]
    pub(crate) record_size: usize,
    pub(crate) keys: u64,
    pub(crate) partitions: u64,
    pub(crate) seed: u64,
}

impl Config {
    /// How many records a source partition has: its share of the total.
    pub(crate) fn end(&self, partition: u64) -> u64 {
        match self.total {
            0 => u64::MAX,
            total => (total + self.partitions - 1 - partition) / self.partitions,
        }
    }
}

pub(crate) fn manifest() -> Manifest {
    let amount = |name, default: u64| ConfigKey::long(name).default(default).min(0).max(1u64 << 53).medium();
    Manifest::new("transom.DatagenSource")
        .alias("DatagenSource")
        .doc("Makes records, as many and as fast as it is told.")
        .config(ConfigKey::string("topic").non_empty().doc("The topic to write."))
        .config(amount("rate", 0).doc("Records a second, over all tasks; 0: as fast as possible."))
        .config(amount("total", 0).doc("Records in all; 0: without end."))
        .config(
            amount("record.size", 100).max(1 << 20).doc("Bytes of a value, unless its numbers need more."),
        )
        .config(amount("keys", 0).doc("Different keys of a source partition; 0: no keys."))
        .config(amount("partitions", 1).min(1).max(10_000).doc("Source partitions: the tasks share them."))
        .config(amount("seed", 0).doc("Another seed, another filler."))
}
