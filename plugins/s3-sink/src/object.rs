//! An object that grows, and how it gets into the bucket.
//!
//! What is encoded waits until it is a part's worth; the first part begins an upload, and an object that never has
//! as much is written by one request. Memory is a part, what the format holds back, and a copy of the part while it
//! is sent. Nothing is visible before the last request, which is conditional: it writes where nothing is. Every step
//! leaves its state so that it can be done again, after an error as after an answer that was lost.

use transom_sdk::{Error, Record, log};

use crate::compress::Compressor;
use crate::config::Settings;
use crate::formats::Encoder;
use crate::s3::{Bucket, Conditional, Part};

/// Encoded bytes that are compressed at once.
const PIECE: usize = 64 << 10;
/// The least that S3 takes for a part that is not the last.
pub(crate) const LEAST_PART: usize = 5 << 20;

#[derive(Debug)]
pub(crate) struct Object {
    key: String,
    kind: &'static str,
    encoder: Option<Encoder>,
    compressor: Option<Compressor>,
    /// Encoded, not yet compressed.
    raw: Vec<u8>,
    /// Ready to be sent.
    ready: Vec<u8>,
    upload: Option<Upload>,
    /// Bytes of the parts.
    sent: u64,
}

#[derive(Debug)]
struct Upload {
    id: String,
    parts: Vec<Part>,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Done,
    /// What was sent is lost: the records have to be read again.
    Lost,
}

impl Object {
    pub(crate) fn new(key: String, settings: &Settings, schema: Option<&str>) -> Result<Self, Error> {
        Ok(Self {
            key,
            kind: settings.format.content_type(),
            encoder: Some(settings.format.begin(schema, settings.part_size)?),
            compressor: Some(settings.compression.begin()),
            raw: Vec::new(),
            ready: Vec::new(),
            upload: None,
            sent: 0,
        })
    }

    /// Takes a record, or nothing of it.
    pub(crate) fn append(&mut self, record: &Record<'_>) -> Result<(), Error> {
        let (Some(encoder), Some(compressor)) = (&mut self.encoder, &mut self.compressor) else {
            return Err(Error::fatal(format!("{} is closed", self.key)));
        };
        let out = if compressor.is_none() { &mut self.ready } else { &mut self.raw };
        let before = out.len();
        encoder.append(record, out).inspect_err(|_| out.truncate(before))?;
        if self.raw.len() < PIECE { Ok(()) } else { compressor.write(&mut self.raw, &mut self.ready) }
    }

    /// Bytes in memory.
    pub(crate) fn held(&self) -> usize {
        let encoder = self.encoder.as_ref().map_or(0, Encoder::waiting);
        self.ready.len() + self.raw.len() + encoder + self.compressor.as_ref().map_or(0, Compressor::waiting)
    }

    /// Bytes that can be sent.
    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Sends whole parts as long as there are any.
    pub(crate) fn send(&mut self, bucket: &Bucket, part: usize) -> Result<Step, Error> {
        while self.ready.len() >= part {
            if self.send_part(bucket, part)? == Step::Lost {
                return Ok(Step::Lost);
            }
        }
        Ok(Step::Done)
    }

    fn send_part(&mut self, bucket: &Bucket, part: usize) -> Result<Step, Error> {
        if self.upload.is_none() {
            let id = bucket.create_upload(&self.key, self.kind)?;
            self.upload = Some(Upload { id, parts: Vec::new() });
        }
        let Some(upload) = &mut self.upload else { return Ok(Step::Lost) };
        let (body, number) = (self.ready.get(..part).unwrap_or(&self.ready), upload.parts.len() + 1);
        let Some(sent) = bucket.put_part(&self.key, &upload.id, number, body)? else { return Ok(Step::Lost) };
        self.sent += body.len() as u64;
        upload.parts.push(sent);
        let length = body.len();
        self.ready.drain(..length);
        Ok(Step::Done)
    }

    /// Ends it: when this is done, it is durable.
    pub(crate) fn close(&mut self, bucket: &Bucket, part: usize) -> Result<Step, Error> {
        if let Some(encoder) = self.encoder.take() {
            encoder.finish(&mut self.raw)?;
        }
        if let Some(mut compressor) = self.compressor.take() {
            compressor.write(&mut self.raw, &mut self.ready)?;
            compressor.finish(&mut self.ready)?;
        }
        let written = if self.upload.is_none() && self.ready.len() < part {
            bucket.put(&self.key, self.kind, &self.ready, None)?
        } else {
            if self.send(bucket, part)? == Step::Lost {
                return self.compare(bucket, false);
            }
            if !self.ready.is_empty() && self.send_part(bucket, part)? == Step::Lost {
                return self.compare(bucket, false);
            }
            let Some(upload) = &self.upload else { return Ok(Step::Lost) };
            bucket.complete_upload(&self.key, &upload.id, &upload.parts)?
        };
        match written {
            Conditional::Written(_) => Ok(Step::Done),
            Conditional::Refused => self.compare(bucket, true),
            Conditional::Gone => self.compare(bucket, false),
        }
    }

    /// What is there under this key: this very object, which was written by a request whose answer was lost or by an
    /// instance that was killed; or another one.
    fn compare(&mut self, bucket: &Bucket, refused: bool) -> Result<Step, Error> {
        let own = self.sent + self.ready.len() as u64;
        match bucket.head(&self.key)? {
            // Objects of one first offset are beginnings of one another, so equally long ones are equal.
            Some(there) if there.bytes == own => {
                log::debug!("{} is there already", self.key);
                self.abort(bucket);
                Ok(Step::Done)
            }
            Some(there) if refused => Err(Error::fatal(format!(
                "the object {} is there already, with {} bytes where this one has {own}: it was written with other \
                 settings, or by somebody else; remove it, or set topics.dir to another folder",
                self.key, there.bytes
            ))),
            _ => Ok(Step::Lost),
        }
    }

    /// Forgets what was uploaded. A failure leaves it to whoever opens the partition next.
    pub(crate) fn abort(&mut self, bucket: &Bucket) {
        if let Some(upload) = self.upload.take()
            && let Err(error) = bucket.abort_upload(&self.key, &upload.id)
        {
            log::debug!("an upload is left: {error}");
        }
    }
}
