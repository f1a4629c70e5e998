//! What the bucket knows of a cut that the clock made.
//!
//! A cut that follows from the records needs no note: a second reading makes it again. One by the clock, or because
//! memory is full, is written down in the bucket before the first of its objects is completed: from which offset to
//! which, and in which folder where that is the clock's too. One small object a partition of Kafka, replaced by each
//! such cut, and only by whoever has read its predecessor (`if-match`), so that of two instances one learns of the
//! other. An instance that begins at the start of the note makes the same cut again, and so the same objects; one
//! that begins before it may go on from there, because nothing is cut before all that was cut earlier is complete.
//!
//! A topic that was deleted and made anew has such offsets too, and other records. So the note has the timestamp of
//! its first record, and whoever follows it looks whether that record is there; if not, the note is worth nothing.

use serde::{Deserialize, Serialize};
use transom_sdk::{Error, log};

use crate::s3::{Bucket, Conditional};

/// A cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// The offset of its first record.
    pub(crate) start: i64,
    /// The offset behind its last.
    pub(crate) end: i64,
    /// The timestamp of its first record.
    pub(crate) timestamp: Option<i64>,
    /// The folder, where it followed the clock.
    pub(crate) folder: Option<String>,
}

/// Where the notes of a partition are, and what is known of them.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    key: String,
    tag: Option<String>,
}

impl Notes {
    pub(crate) fn of(folder: &str, connector: &str, topic: &str, partition: i32) -> Self {
        Self { key: format!("{folder}/{connector}/{topic}+{partition}.json"), tag: None }
    }

    pub(crate) fn read(&mut self, bucket: &Bucket) -> Result<Option<Note>, Error> {
        let Some((content, tag)) = bucket.get(&self.key)? else {
            self.tag = None;
            return Ok(None);
        };
        self.tag = Some(tag);
        let note = serde_json::from_slice(&content);
        Ok(note.map_err(|error| log::warn!("{} is no note and is not followed: {error}", self.key)).ok())
    }

    /// False: somebody else has written one since this one was read.
    pub(crate) fn write(&mut self, bucket: &Bucket, note: &Note) -> Result<bool, Error> {
        let content = serde_json::to_vec(note)?;
        match bucket.put(&self.key, "application/json", &content, self.tag.as_deref())? {
            Conditional::Written(tag) => self.tag = Some(tag),
            // An answer that was lost looks the same, so what is there decides.
            Conditional::Refused | Conditional::Gone => return Ok(self.read(bucket)?.as_ref() == Some(note)),
        }
        Ok(true)
    }

    pub(crate) fn forget(&self, bucket: &Bucket) -> Result<(), Error> {
        bucket.delete(&self.key)
    }
}
