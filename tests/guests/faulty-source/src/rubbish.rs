//! Batches that are none, or break a rule.

use transom_batch::{Format, Run};

use crate::Task;
use crate::bindings::transom::connect::types::Error;
use crate::fault::error;

impl Task {
    /// A good batch of three records, spoilt, or one that is good but not allowed.
    pub(crate) fn rubbish(&mut self, what: &str, max_records: u32, max_bytes: u32) -> Result<Vec<u8>, Error> {
        if let Some(batch) = self.forbidden(what, max_records, max_bytes)? {
            return Ok(batch);
        }
        let mut batch = self.batch(3, true)?;
        let end = batch.len();
        match what {
            "garbage" => batch.iter_mut().for_each(|byte| *byte = 0xAB),
            "short" => batch.truncate(7),
            "truncated" => batch.truncate(end / 2),
            "wrong-magic" => batch[0] ^= 0xFF,
            "wrong-version" => batch[4] = 99,
            // The header's counts, the first column's place and its length: each as large as can be.
            "lying-records" => batch[8..12].fill(0xFF),
            "lying-columns" => batch[12..16].fill(0xFF),
            "lying-offset" => batch[20..24].fill(0xFF),
            "lying-length" => batch[24..28].fill(0xFF),
            "more-records" => batch[8] += 1,
            "patch" => self.patch(&mut batch)?,
            other => return Err(error(4, format!("fault={other} is not known for poll"))),
        }
        Ok(batch)
    }

    fn forbidden(&mut self, what: &str, max_records: u32, max_bytes: u32) -> Result<Option<Vec<u8>>, Error> {
        let refused = |e: transom_batch::WriteError| error(2, e.to_string());
        let topic = self.faults.text("topic").unwrap_or("faulty");
        let large = match what {
            "oversize" => vec![b'x'; max_bytes as usize * 4],
            "too-many-bytes" => vec![b'x'; 1 << 10],
            "bad-json" => b"{".to_vec(),
            _ => vec![b'x'],
        };
        let (topic, partition, records) = match what {
            // As many as it likes.
            "too-many-bytes" => (topic, None, max_records.min(max_bytes >> 8)),
            "bad-json" => (topic, None, 1),
            "oversize" => (topic, None, 1),
            "too-many-records" => (topic, None, max_records * 2 + 1),
            "bad-topic" => ("no/topic", None, 1),
            "empty-topic" => ("", None, 1),
            "other-topic" => ("not-mine", None, 1),
            "bad-partition" => (topic, Some(1_000_000), 1),
            "bad-mark" => (topic, None, 1),
            _ => return Ok(None),
        };
        let value_format = if what == "bad-json" { Format::Json } else { Format::String };
        let run = Run { topic, partition, value_format, ..Run::default() };
        self.writer.run(&run).map_err(refused)?;
        for _ in 0..records {
            self.writer.push(None, Some(&large), None).map_err(refused)?;
        }
        let mark = if what == "bad-mark" { "no json" } else { r#"{"next":1}"# };
        self.writer.mark(r#"{"task":"0"}"#, mark).map_err(refused)?;
        Ok(Some(self.writer.finish()))
    }

    fn patch(&self, batch: &mut [u8]) -> Result<(), Error> {
        let broken = || error(4, "fault.offset or fault.bytes does not fit");
        let at =
            self.faults.number("fault.offset").and_then(|at| usize::try_from(at).ok()).ok_or_else(broken)?;
        let hex = self.faults.text("fault.bytes").ok_or_else(broken)?;
        for (index, pair) in hex.as_bytes().chunks(2).enumerate() {
            let pair = std::str::from_utf8(pair).map_err(|_| broken())?;
            let byte = u8::from_str_radix(pair, 16).map_err(|_| broken())?;
            *batch.get_mut(at + index).ok_or_else(broken)? = byte;
        }
        Ok(())
    }
}
