//! Makes records, as many and as fast as it is told: see `README.md`.

mod config;
mod record;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use transom_sdk::{
    ConfigMap, Connector, Copies, Error, Manifest, Pace, Records, Source, SourceContext, wait,
};

use config::Config;
use record::Maker;

#[derive(Serialize)]
struct Partition {
    partition: u64,
}

#[derive(Default, Serialize, Deserialize)]
struct Position {
    next: u64,
}

struct Datagen {
    /// The unfinished source partitions of this task; each poll is the first one's turn.
    turns: VecDeque<(Partition, Position)>,
    pace: Pace,
    config: Config,
    maker: Maker,
}

impl Source for Datagen {
    type Config = Config;

    fn manifest() -> Manifest {
        config::manifest()
    }

    fn connector(config: Config, map: ConfigMap) -> Result<Box<dyn Connector>, Error> {
        Ok(Box::new(Copies::up_to(config.partitions as u32, map)))
    }

    fn open(config: Config, context: &SourceContext) -> Result<Self, Error> {
        let own = (u64::from(context.task())..config.partitions).step_by(context.tasks() as usize);
        let partitions: Vec<_> = own.map(|partition| Partition { partition }).collect();
        let positions: Vec<Option<Position>> = context.offsets(&partitions)?;
        let pace = Pace::new(config.rate as f64 * partitions.len() as f64 / config.partitions as f64);
        let turns = partitions.into_iter().zip(positions.into_iter().map(Option::unwrap_or_default));
        let turns = turns.filter(|(of, at)| at.next < config.end(of.partition)).collect();
        Ok(Self { turns, pace, maker: Maker::new(&config), config })
    }

    fn poll(&mut self, records: &mut Records) -> Result<(), Error> {
        let Some((of, mut at)) = self.turns.pop_front() else {
            wait(records.max_wait());
            return Ok(());
        };
        let end = self.config.end(of.partition);
        let last = at.next.saturating_add(self.pace.due(records.max_wait())).min(end);
        while at.next < last && !records.is_full() {
            self.maker.add(of.partition, at.next, records);
            at.next += 1;
        }
        self.pace.took(records.len() as u64);
        records.position(&of, &at)?;
        if at.next < end {
            self.turns.push_back((of, at));
        }
        Ok(())
    }
}

transom_sdk::source!(Datagen);

#[cfg(test)]
mod tests;
