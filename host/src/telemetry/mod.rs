//! The worker's log: one line an event on standard error, as text or as JSON.
//!
//! Standard output stays free for answers (`transom plugin check --json`). What is written is chosen
//! by a filter in `tracing`'s syntax (`info`, `warn,transom=debug`); this module does not read the
//! environment, its caller does.

mod loggers;

use std::io;

use thiserror::Error;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

pub use loggers::Loggers;
use loggers::Seen;
pub(crate) use loggers::{Level, Setting};

/// What is written when nothing else was asked for.
const DEFAULT_FILTER: &str = "info";

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Time, level, target, message and fields, for people.
    #[default]
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// What the log shall be like.
#[derive(Debug, Clone, Default)]
pub struct Telemetry {
    /// Which events are written; `None`: those of level `info` and above.
    pub filter: Option<String>,
    /// How they are written.
    pub format: Format,
    /// Whether text has colours.
    pub color: bool,
}

/// The filter is not one.
#[derive(Debug, Error)]
#[error("the log filter {filter:?} cannot be read (write it like `info` or `warn,transom=debug`): {reason}")]
pub struct FilterError {
    filter: String,
    /// The parser's words; its error would say them twice as a source.
    reason: String,
}

impl Telemetry {
    /// Writes the events of this process to standard error from now on. The first call counts. Answers with what
    /// changes the levels later.
    ///
    /// # Errors
    /// When the filter cannot be read.
    pub fn install(&self) -> Result<Loggers, FilterError> {
        let (subscriber, loggers) = self.subscriber(io::stderr)?;
        // Only a program that installed one before could make this fail, and then that one shall stay.
        let _ = tracing::subscriber::set_global_default(subscriber);
        Ok(loggers)
    }

    fn subscriber<W>(&self, writer: W) -> Result<(Box<dyn Subscriber + Send + Sync>, Loggers), FilterError>
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        let text = self.filter.as_deref().unwrap_or(DEFAULT_FILTER);
        let filter = EnvFilter::try_new(text)
            .map_err(|error| FilterError { filter: text.to_owned(), reason: error.to_string() })?;
        let loggers = Loggers::of(text);
        let seen = Seen(loggers.clone());
        let lines = tracing_subscriber::fmt().with_writer(writer).with_ansi(self.color);
        let subscriber: Box<dyn Subscriber + Send + Sync> = match self.format {
            Format::Text => {
                let lines = lines.with_env_filter(filter).with_filter_reloading();
                let handle = lines.reload_handle();
                // Fails when the subscriber is gone, and then nothing is logged anyway.
                loggers.install_with(move |filter| drop(handle.reload(filter)));
                Box::new(lines.finish().with(seen))
            }
            Format::Json => {
                let lines = lines.json().flatten_event(true).with_env_filter(filter).with_filter_reloading();
                let handle = lines.reload_handle();
                loggers.install_with(move |filter| drop(handle.reload(filter)));
                Box::new(lines.finish().with(seen))
            }
        };
        Ok((subscriber, loggers))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What is logged as `telemetry` says when a warning and a debug event occur.
    fn logged(telemetry: &Telemetry) -> String {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Lines(lines.clone());
        let (subscriber, _) = telemetry.subscriber(move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "transom::task", connector = "lines", task = 0, "behind");
            tracing::debug!(target: "transom::task", "detail");
        });
        String::from_utf8(lines.lock().unwrap().clone()).unwrap()
    }

    #[derive(Clone)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_text_line_has_level_target_message_and_fields() {
        let text = logged(&Telemetry::default());
        assert!(text.contains(" WARN transom::task: behind connector=\"lines\" task=0\n"), "{text}");
        assert!(!text.contains("detail"));
    }

    #[test]
    fn a_json_line_has_them_as_members() {
        let text = logged(&Telemetry { format: Format::Json, ..Telemetry::default() });
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["target"], "transom::task");
        assert_eq!(line["message"], "behind");
        assert_eq!(line["connector"], "lines");
        assert!(line["timestamp"].is_string());
    }

    #[test]
    fn a_filter_chooses_what_is_written() {
        let filter = Some("off,transom::task=debug".to_owned());
        let text = logged(&Telemetry { filter, ..Telemetry::default() });
        assert!(text.contains("behind") && text.contains("detail"), "{text}");
    }

    #[test]
    fn a_level_that_is_changed_holds_from_then_on() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Lines(lines.clone());
        let (subscriber, loggers) = Telemetry::default().subscriber(move || writer.clone()).unwrap();
        let event = || tracing::debug!(target: "transom::changed", "detail");
        tracing::subscriber::with_default(subscriber, || {
            event();
            assert_eq!(loggers.set("transom::changed", Level::Debug), ["transom::changed"]);
            event();
            loggers.set("root", Level::Off);
            event();
        });
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("detail").count(), 1, "{text}");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_an_error_that_shows_it() {
        let telemetry = Telemetry { filter: Some("transom=loud".to_owned()), ..Telemetry::default() };
        let error = telemetry.subscriber(io::sink).err().unwrap().to_string();
        assert!(error.starts_with("the log filter \"transom=loud\" cannot be read"), "{error}");
    }
}
