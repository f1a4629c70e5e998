//! A sink task.

use super::from_worker;
use crate::batch::{Batch, Failures};
use crate::{ConfigMap, Error, KafkaOffset, Sink, SinkContext};

/// A sink task: the author's value and the failures it names.
#[derive(Debug)]
pub(crate) struct SinkTask<S> {
    pub(crate) sink: S,
    failures: Failures,
}

impl<S: Sink> SinkTask<S> {
    pub(crate) fn open(config: &str) -> Result<Self, Error> {
        let map = ConfigMap::from_json(config)?;
        let config = S::manifest().parse(&map)?;
        let sink = S::open(config, &SinkContext::new(map))?;
        Ok(Self { sink, failures: Failures::new() })
    }

    pub(crate) fn assign(&mut self, partitions: &str) -> Result<(), Error> {
        self.sink.assign(&from_worker::<Vec<_>>("partitions", partitions)?)
    }

    pub(crate) fn revoke(&mut self, partitions: &str, lost: bool) -> Result<(), Error> {
        self.sink.revoke(&from_worker::<Vec<_>>("partitions", partitions)?, lost)
    }

    pub(crate) fn put(&mut self, batch: &[u8]) -> Result<Vec<u8>, Error> {
        let put = self.sink.put(&Batch::parse(batch)?, &mut self.failures);
        // A failed put names no records: the worker puts all of it again, or starts anew.
        let outcome = self.failures.take();
        put.and(outcome)
    }

    pub(crate) fn pre_commit(&mut self, offsets: &str, reason: u32) -> Result<String, Error> {
        let offsets: Vec<KafkaOffset> = from_worker("offsets", offsets)?;
        let durable = self.sink.pre_commit(offsets, reason.into())?;
        Ok(serde_json::to_string(&durable)?)
    }

    pub(crate) fn close(mut self) {
        self.sink.close();
    }
}
