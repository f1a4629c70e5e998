//! Driving a transformation.

use transom_batch::{Batch, Limits, MAX_BYTES, Writer};

use super::{TestRecord, double};
use crate::runtime::TransformTask;
use crate::{ConfigMap, Error, Transform};

/// A transformation in a test.
#[derive(Debug)]
pub struct TransformTest<T>(TransformTask<T>);

impl<T: Transform> TransformTest<T> {
    /// A transformation that is open.
    ///
    /// # Errors
    /// What `open` said.
    pub fn open(config: impl Into<ConfigMap>) -> Result<Self, Error> {
        double::reset();
        TransformTask::open(&config.into().to_json()).map(Self)
    }

    /// Transforms records. Each gets a position behind it, as a source's would have; the answer tells
    /// for each how many records lie before it.
    ///
    /// # Errors
    /// What `apply` said.
    pub fn apply(&mut self, records: &[TestRecord]) -> Result<(Vec<TestRecord>, Vec<usize>), Error> {
        let mut writer = Writer::new();
        for (index, record) in records.iter().enumerate() {
            let offset = record.offset.unwrap_or(index as i64);
            record.write(offset, &mut writer).expect("a test's batch is small");
            writer.mark("{}", &format!("{{\"n\":{index}}}")).expect("a test's batch is small");
        }
        let batch = self.0.apply(&writer.finish())?;
        let limits = Limits { bytes: MAX_BYTES, records: u32::MAX };
        let batch = Batch::parse(&batch, &limits).expect("the SDK writes what it reads");
        let records = batch.records().map(|record| TestRecord::read(&record)).collect();
        Ok((records, batch.marks().map(|mark| mark.after as usize).collect()))
    }

    /// What the plugin says about itself, as the worker gets it.
    pub fn manifest() -> serde_json::Value {
        T::manifest().to_json("test", "0.0.0", "transform")
    }

    /// The task ends in good order.
    pub fn close(self) {
        self.0.close();
    }
}
