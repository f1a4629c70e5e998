//! Writes a text file, a line a record: see `README.md`.

mod appender;

use serde::Deserialize;
use transom_sdk::{
    Batch, ConfigKey, ConfigMap, Connector, Copies, Error, Failures, KafkaOffset, Manifest, OffsetChange,
    Problems, Reason, Sink, SinkContext,
};

use appender::Appender;

#[derive(Debug, Deserialize)]
struct Config {
    file: Option<String>,
}

/// A task: there is only one.
#[derive(Debug)]
struct FileSink {
    appender: Appender,
    /// The lines of a put.
    lines: Vec<u8>,
}

impl Sink for FileSink {
    type Config = Config;

    fn manifest() -> Manifest {
        Manifest::new("org.apache.kafka.connect.file.FileStreamSinkConnector")
            .alias("FileStreamSinkConnector")
            .alias("FileStreamSink")
            .doc("Appends the values of records to a text file, a line each.")
            .capability("fs")
            .config(ConfigKey::string("file").optional().doc("The file to write: its absolute path."))
    }

    fn validate(config: &Config, problems: &mut Problems) {
        if let Err(message) = file_of(config) {
            problems.add("file", message);
        }
    }

    /// One file, one writer: a second one could not tell its own torn line from the other's.
    fn connector(_: Config, map: ConfigMap) -> Result<Box<dyn Connector>, Error> {
        Ok(Box::new(Copies::one(map)))
    }

    /// The file tells of no offsets: there is nothing to change in it.
    fn alter_offsets(_: &Config, _: &[OffsetChange]) -> Result<bool, Error> {
        Ok(true)
    }

    fn open(config: Config, _: &SinkContext) -> Result<Self, Error> {
        let path = file_of(&config).map_err(Error::config)?;
        Ok(Self { appender: Appender::open(path)?, lines: Vec::new() })
    }

    fn put(&mut self, batch: &Batch<'_>, _: &mut Failures) -> Result<(), Error> {
        self.lines.clear();
        for record in batch.records() {
            self.lines.extend_from_slice(record.value().unwrap_or(b"null"));
            self.lines.push(b'\n');
        }
        self.appender.append(&self.lines)
    }

    fn pre_commit(&mut self, offsets: Vec<KafkaOffset>, _: Reason) -> Result<Vec<KafkaOffset>, Error> {
        self.appender.sync()?;
        Ok(offsets)
    }
}

/// The file, or why there is none.
fn file_of(config: &Config) -> Result<&str, String> {
    match config.file.as_deref() {
        Some(file) if file.starts_with('/') => Ok(file),
        None | Some("") => {
            Err("Missing configuration \"file\": the standard output cannot be written here, set \"file\" \
                                to the absolute path of a file"
                .into())
        }
        Some(file) => Err(format!(
            "Invalid value {file} for configuration file: A plugin has no working directory, give the absolute path"
        )),
    }
}

transom_sdk::sink!(FileSink);

#[cfg(test)]
mod tests;
