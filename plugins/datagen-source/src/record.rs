//! The records.
//!
//! A value is `<source partition> <number> <lanes> <filler>`. A record is a function of the settings,
//! its source partition and its number in it, so a new start goes on with exactly the records that an
//! uninterrupted run would have made. Every `lanes`th number has the same key, so that whoever reads a
//! key can tell that nothing is missing; without keys there is one lane, and it goes to the Kafka
//! partition of the source partition's number.

use std::fmt::Write as _;

use transom_sdk::Records;

use crate::config::Config;

/// The filler of a record begins at one of so many places.
const PHASES: u64 = 64;

pub(crate) struct Maker {
    topic: String,
    size: usize,
    keys: u64,
    filler: String,
    key: String,
    value: String,
}

impl Maker {
    pub(crate) fn new(config: &Config) -> Self {
        let mut state = config.seed;
        let letters = (0..config.record_size as u64 + PHASES).map(|_| {
            // The constants of Knuth's MMIX.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + ((state >> 33) % 26) as u8)
        });
        let filler = letters.collect();
        let (topic, size, keys) = (config.topic.clone(), config.record_size, config.keys);
        Self { topic, size, keys, filler, key: String::new(), value: String::new() }
    }

    pub(crate) fn add(&mut self, partition: u64, number: u64, records: &mut Records) {
        let Self { topic, size, keys, filler, key, value } = self;
        records.topic(topic);
        value.clear();
        let _ = write!(value, "{partition} {number} {} ", (*keys).max(1));
        let from = (number % PHASES) as usize;
        value.push_str(&filler[from..from + size.saturating_sub(value.len())]);
        if *keys == 0 {
            records.partition(Some(partition as i32)).string(value);
        } else {
            key.clear();
            let _ = write!(key, "{partition}-{}", number % *keys);
            records.key_string(key).string(value);
        }
    }
}
