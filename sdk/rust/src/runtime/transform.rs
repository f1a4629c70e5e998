//! A transformation.

use transom_batch::{Mark, Writer};

use crate::batch::Batch;
use crate::{ConfigMap, Error, Output, TaskContext, Transform};

/// A transformation: the author's value and the batch it writes.
#[derive(Debug)]
pub(crate) struct TransformTask<T> {
    transform: T,
    writer: Writer,
}

impl<T: Transform> TransformTask<T> {
    pub(crate) fn open(config: &str) -> Result<Self, Error> {
        let map = ConfigMap::from_json(config)?;
        let config = T::manifest().parse(&map)?;
        let transform = T::open(config, &TaskContext::new(map))?;
        Ok(Self { transform, writer: Writer::new() })
    }

    pub(crate) fn apply(&mut self, batch: &[u8]) -> Result<Vec<u8>, Error> {
        if !self.writer.is_empty() {
            self.writer = Writer::new();
        }
        let batch = Batch::parse(batch)?;
        let mut marks = batch.raw().marks().peekable();
        for (index, record) in batch.records().enumerate() {
            while let Some(mark) = marks.next_if(|mark| mark.after as usize <= index) {
                self.mark(&batch, mark)?;
            }
            self.transform.apply(&record, &mut Output { writer: &mut self.writer })?;
        }
        for mark in marks {
            self.mark(&batch, mark)?;
        }
        Ok(self.writer.finish())
    }

    fn mark(&mut self, batch: &Batch<'_>, mark: Mark<'_>) -> Result<(), Error> {
        let partition = batch.raw().source_partition(mark.partition);
        let marked = self.writer.mark(partition, mark.offset);
        marked.map_err(|error| Error::fatal(format!("cannot add to the batch: {error}")))
    }

    pub(crate) fn close(mut self) {
        self.transform.close();
    }
}
