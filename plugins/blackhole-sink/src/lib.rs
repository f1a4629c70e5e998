//! Counts and checks records and keeps none: see `README.md`.

use std::collections::HashMap;

use serde::Deserialize;
use transom_sdk::{Batch, ConfigKey, Error, Failures, Manifest, Record, Sink, SinkContext, log, metric};

#[derive(Deserialize)]
struct Config {
    check: bool,
}

struct Blackhole {
    check: bool,
    records: u64,
    gaps: u64,
    repeats: u64,
    /// The next number of each lane: of each source partition, or of each key of it.
    next: HashMap<(u64, u64), u64>,
}

impl Sink for Blackhole {
    type Config = Config;

    fn manifest() -> Manifest {
        let check = "Whether to check that the numbers of datagen-source come without gap and in order.";
        Manifest::new("transom.BlackholeSink")
            .alias("BlackholeSink")
            .doc("Counts records and keeps none.")
            .config(ConfigKey::boolean("check").default(false).medium().doc(check))
    }

    fn open(config: Config, _: &SinkContext) -> Result<Self, Error> {
        Ok(Self { check: config.check, records: 0, gaps: 0, repeats: 0, next: HashMap::new() })
    }

    fn put(&mut self, batch: &Batch<'_>, _: &mut Failures) -> Result<(), Error> {
        self.records += batch.len() as u64;
        if self.check {
            batch.records().try_for_each(|record| self.check(&record))?;
        }
        let counts = [("records", self.records), ("gaps", self.gaps), ("repeats", self.repeats)];
        counts.iter().for_each(|(name, count)| metric(name, *count as f64));
        Ok(())
    }

    fn close(&mut self) {
        log::info!("{} records, {} gaps, {} repeats", self.records, self.gaps, self.repeats);
    }
}

impl Blackhole {
    /// A value begins with `<source partition> <number> <lanes> `; a lane has every `lanes`th number.
    fn check(&mut self, record: &Record<'_>) -> Result<(), Error> {
        let mut words = record.value_str()?.unwrap_or_default().split(' ').map(str::parse::<u64>);
        let mut word = || words.next().and_then(Result::ok);
        let (Some(partition), Some(number), Some(lanes @ 1..)) = (word(), word(), word()) else {
            return Err(record.bad("is no record of datagen-source"));
        };
        let next = self.next.entry((partition, number % lanes)).or_insert(number);
        if number > *next {
            log::warn!("source partition {partition}: {number} comes instead of {next}");
            self.gaps += 1;
        }
        self.repeats += u64::from(number < *next);
        *next = (number + lanes).max(*next);
        Ok(())
    }
}

transom_sdk::sink!(Blackhole);

#[cfg(test)]
mod tests;
