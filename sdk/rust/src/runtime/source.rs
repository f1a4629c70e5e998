//! A source task.

use std::time::Duration;

use super::from_worker;
use crate::records::Limits;
use crate::{ConfigMap, Error, Records, Source, SourceContext};

/// A source task: the author's value and the batch it fills.
#[derive(Debug)]
pub(crate) struct SourceTask<S> {
    pub(crate) source: S,
    records: Records,
}

impl<S: Source> SourceTask<S> {
    pub(crate) fn open(config: &str) -> Result<Self, Error> {
        let map = ConfigMap::from_json(config)?;
        let config = S::manifest().parse(&map)?;
        let source = S::open(config, &SourceContext::new(map))?;
        Ok(Self { source, records: Records::new() })
    }

    pub(crate) fn poll(&mut self, records: u32, bytes: u32, wait_ms: u32) -> Result<Vec<u8>, Error> {
        let wait = Duration::from_millis(wait_ms.into());
        self.records.begin(Limits { records: records as usize, bytes: bytes as usize, wait });
        self.source.poll(&mut self.records)?;
        self.records.take()
    }

    pub(crate) fn commit(&mut self, offsets: &str) -> Result<(), Error> {
        self.source.commit(&from_worker::<Vec<_>>("offsets", offsets)?)
    }

    pub(crate) fn close(mut self) {
        self.source.close();
    }
}
