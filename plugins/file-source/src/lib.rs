//! Reads a text file, a record a line, and follows it: see `README.md`.

mod follow;
mod lines;

use std::borrow::Cow;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use transom_sdk::{
    ConfigKey, Error, Manifest, OffsetChange, Problems, Records, Source, SourceContext, log, should_stop,
};

use follow::{Follower, News};

/// How long nothing is looked for while nothing comes.
const STEP: Duration = Duration::from_millis(100);

#[derive(Debug, Deserialize)]
struct Config {
    file: Option<String>,
    topic: String,
    #[serde(rename = "batch.size")]
    batch_size: usize,
    #[serde(rename = "line.max.bytes")]
    line_max_bytes: usize,
}

/// The source partition, as Kafka Connect's FileStreamSource writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Partition {
    filename: String,
}

/// The source offset, likewise: bytes up to the end of a line.
#[derive(Debug, Serialize, Deserialize)]
struct Offset {
    position: u64,
}

/// A task: there is only one.
#[derive(Debug)]
struct FileSource {
    partition: Partition,
    topic: String,
    batch_size: usize,
    line_max_bytes: usize,
    follower: Follower,
    /// Whether the file was found to be another one and the position does not tell yet.
    moved: bool,
    /// Whether invalid UTF-8 was logged.
    warned: bool,
}

impl Source for FileSource {
    type Config = Config;

    fn manifest() -> Manifest {
        Manifest::new("org.apache.kafka.connect.file.FileStreamSourceConnector")
            .alias("FileStreamSourceConnector")
            .alias("FileStreamSource")
            .doc("Reads a text file, a record a line, and follows it as it grows.")
            .capability("fs")
            .config(ConfigKey::string("file").optional().doc("The file to read: its absolute path."))
            .config(ConfigKey::string("topic").non_empty().doc("The topic to write."))
            .config(ConfigKey::int("batch.size").default(2000).min(1).low().doc("Lines a batch at most."))
            .config(
                ConfigKey::int("line.max.bytes")
                    .default(1 << 20)
                    .min(1)
                    .low()
                    .doc("The longest line. The task fails at a longer one, and names its position."),
            )
    }

    fn validate(config: &Config, problems: &mut Problems) {
        if let Err(message) = file_of(config) {
            problems.add("file", message);
        }
    }

    /// In the words of Kafka Connect's FileStreamSource.
    fn alter_offsets(_: &Config, changes: &[OffsetChange]) -> Result<bool, Error> {
        for OffsetChange { partition, offset } in changes {
            // Whatever is there may be forgotten.
            let Some(offset) = offset else { continue };
            let position = &offset["position"];
            let problem = if position.is_null() {
                "Offset objects should either be null or contain the key 'position'"
            } else if !position.is_i64() && !position.is_u64() {
                "The value for the 'position' key in the offset is expected to be a Long value"
            } else if !position.is_u64() {
                "The value for the 'position' key in the offset should be a non-negative value"
            } else if partition.is_null() {
                "Partition objects cannot be null"
            } else if partition["filename"].is_null() {
                "Partition objects should contain the key 'filename'"
            } else {
                continue;
            };
            return Err(Error::config(problem));
        }
        Ok(true)
    }

    fn open(config: Config, context: &SourceContext) -> Result<Self, Error> {
        let partition = Partition { filename: file_of(&config).map_err(Error::config)?.into() };
        let position = context.offset::<Offset>(&partition)?.map_or(0, |offset| offset.position);
        log::debug!("{} is read from byte {position}", partition.filename);
        Ok(Self {
            follower: Follower::new(&partition.filename, position),
            partition,
            topic: config.topic,
            batch_size: config.batch_size,
            line_max_bytes: config.line_max_bytes,
            moved: false,
            warned: false,
        })
    }

    fn poll(&mut self, records: &mut Records) -> Result<(), Error> {
        let start = Instant::now();
        records.topic(&self.topic);
        loop {
            let whole = self.take_lines(records)?;
            let full = records.is_full() || records.len() >= self.batch_size;
            if full || !whole {
                break;
            }
            match self.follower.advance(self.line_max_bytes)? {
                News::Bytes => {}
                // What was read belongs to the old file; its position must not outlive it.
                News::Truncated => self.moved = true,
                News::Rotated { rest } => {
                    self.moved = true;
                    if !rest.is_empty() {
                        records.string(&String::from_utf8_lossy(&rest));
                    }
                }
                News::None => {
                    let left = records.max_wait().saturating_sub(start.elapsed());
                    if !records.is_empty() || self.moved || left.is_zero() || should_stop() {
                        break;
                    }
                    std::thread::sleep(left.min(STEP));
                }
            }
        }
        if !records.is_empty() || self.moved {
            records.position(&self.partition, &Offset { position: self.follower.position() })?;
            self.moved = false;
        }
        Ok(())
    }
}

impl FileSource {
    /// Adds the complete lines that were read, as many as the batch may take. False: the next one is
    /// too long, and there are others before it that should go first.
    fn take_lines(&mut self, records: &mut Records) -> Result<bool, Error> {
        let bytes = lines::complete(self.follower.unread());
        // One check for all lines: no line end can be inside a character.
        let text = std::str::from_utf8(bytes).ok();
        let mut taken = 0;
        let mut too_long = false;
        let mut bad = None;
        for line in lines::ranges(bytes) {
            if records.is_full() || records.len() >= self.batch_size {
                break;
            }
            if line.content.len() > self.line_max_bytes {
                too_long = true;
                break;
            }
            match text {
                Some(text) => drop(records.string(&text[line.content.clone()])),
                None => {
                    let content = &bytes[line.content.clone()];
                    let value = String::from_utf8_lossy(content);
                    if matches!(value, Cow::Owned(_)) {
                        bad.get_or_insert(taken as u64);
                    }
                    records.string(&value);
                }
            }
            taken = line.end;
        }
        if let Some(line) = bad {
            self.warn_of_bad_text(line);
        }
        self.follower.consume(taken);
        match too_long {
            true if records.is_empty() => Err(self.follower.too_long(self.line_max_bytes)),
            too_long => Ok(!too_long),
        }
    }

    fn warn_of_bad_text(&mut self, at: u64) {
        if !std::mem::replace(&mut self.warned, true) {
            log::warn!(
                "{} is not all UTF-8, first in the line at byte {}: the bytes that are not became U+FFFD",
                self.partition.filename,
                self.follower.position() + at
            );
        }
    }
}

/// The file, or why there is none.
fn file_of(config: &Config) -> Result<&str, String> {
    match config.file.as_deref() {
        Some(file) if file.starts_with('/') => Ok(file),
        None | Some("") => {
            Err("Missing configuration \"file\": the standard input cannot be read here, set \"file\" \
                                to the absolute path of a file"
                .into())
        }
        Some(file) => Err(format!(
            "Invalid value {file} for configuration file: A plugin has no working directory, give the absolute path"
        )),
    }
}

transom_sdk::source!(FileSource);

#[cfg(test)]
mod tests;
