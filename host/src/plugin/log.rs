//! What a guest says: `host.log`, standard output and standard error, as lines of the worker's log.
//!
//! A line is cut at 8 KiB, stripped of nothing and quoted: quotes and control characters inside it are
//! escaped, so whatever a guest writes, it stays inside the quotes and can forge neither another line
//! nor another field. A token bucket bounds the lines a second; what does not fit is counted, and the
//! next line that fits says how many there were. Lines under `error` and on standard error are also
//! kept (the last 2 KiB of the call that is under way): a guest that panics says why just before it
//! traps, and that belongs into the error. What the instance was told in secret is hidden in all of it, before
//! anything is cut: a piece of a secret would not be found.

use super::meters::Meters;
use crate::config::Vault;
use crate::lock::unpoisoned;
use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Bytes of one line.
const LINE_BYTES: usize = 8 << 10;
/// Bytes of complaint that are kept for the error of a trap.
const COMPLAINT_BYTES: usize = 2 << 10;

/// The level of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    /// `level` of `host.log`; what is not known is the nearest that is.
    pub(crate) fn from_guest(level: u32) -> Self {
        match level {
            0 | 1 => Self::Error,
            2 => Self::Warn,
            3 => Self::Info,
            4 => Self::Debug,
            _ => Self::Trace,
        }
    }
}

/// Whose lines these are.
#[derive(Debug, Clone)]
pub(crate) struct Speaker {
    /// The plugin's name.
    pub(crate) plugin: Arc<str>,
    /// The connector's name; empty while a plugin is only being looked at.
    pub(crate) connector: Arc<str>,
    /// The task; `None`: the connector itself.
    pub(crate) task: Option<u32>,
}

/// The log of one instance.
#[derive(Debug)]
pub(crate) struct GuestLog {
    speaker: Speaker,
    meters: Arc<Meters>,
    vault: Vault,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bucket: Bucket,
    dropped: u64,
    complaint: String,
}

impl GuestLog {
    pub(crate) fn new(speaker: Speaker, rate: u32, meters: Arc<Meters>) -> Self {
        let bucket = Bucket::full(rate, Instant::now());
        let state = Mutex::new(State { bucket, dropped: 0, complaint: String::new() });
        Self { speaker, meters, vault: Vault::default(), state }
    }

    /// The same log, in which what comes out of this vault is hidden.
    pub(crate) fn hiding(self, vault: Vault) -> Self {
        Self { vault, ..self }
    }

    /// Whose lines these are.
    pub(crate) fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    /// A line of the guest.
    pub(crate) fn line(&self, level: Level, text: &str) {
        let text = &*self.clean(text);
        if level == Level::Error {
            self.complain(text);
        }
        let mut state = self.lock();
        if !state.bucket.take(Instant::now()) {
            state.dropped += 1;
            drop(state);
            self.meters.add_dropped_line();
            return;
        }
        let dropped = std::mem::take(&mut state.dropped);
        drop(state);
        if dropped > 0 {
            self.own(Level::Warn, &format!("{dropped} lines were more than log.rate allows"));
        }
        self.write(level, &format_args!("{text:?}"));
    }

    /// A line of ours about the guest; it is not counted and not quoted. What it quotes of the guest, a path maybe,
    /// stays in the line too.
    pub(crate) fn own(&self, level: Level, text: &str) {
        let text = one_line(self.vault.hide(text));
        self.write(level, &format_args!("{text}"));
    }

    /// What is shown of a line: no more than there is room for, and no secret.
    fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.vault.hide(cut(text, self.room())) {
            Cow::Borrowed(text) => Cow::Borrowed(cut(text, LINE_BYTES)),
            Cow::Owned(text) => Cow::Owned(cut(&text, LINE_BYTES).to_owned()),
        }
    }

    /// Bytes of a line that have to be kept to find every secret in the part that is shown.
    fn room(&self) -> usize {
        LINE_BYTES + self.vault.longest()
    }

    /// What the guest complained about since the last time.
    pub(crate) fn take_complaint(&self) -> String {
        std::mem::take(&mut self.lock().complaint)
    }

    fn complain(&self, text: &str) {
        let complaint = &mut self.lock().complaint;
        if !complaint.is_empty() {
            complaint.push('\n');
        }
        complaint.push_str(text);
        if complaint.len() > COMPLAINT_BYTES {
            let from = (complaint.len() - COMPLAINT_BYTES..complaint.len())
                .find(|&at| complaint.is_char_boundary(at))
                .unwrap_or(complaint.len());
            complaint.drain(..from);
        }
    }

    fn write(&self, level: Level, text: &std::fmt::Arguments<'_>) {
        let Speaker { plugin, connector, task } = &self.speaker;
        match level {
            Level::Error => {
                tracing::error!(target: "transom::guest", connector = ?connector, task, plugin = %plugin, "{text}")
            }
            Level::Warn => {
                tracing::warn!(target: "transom::guest", connector = ?connector, task, plugin = %plugin, "{text}")
            }
            Level::Info => {
                tracing::info!(target: "transom::guest", connector = ?connector, task, plugin = %plugin, "{text}")
            }
            Level::Debug => {
                tracing::debug!(target: "transom::guest", connector = ?connector, task, plugin = %plugin, "{text}")
            }
            Level::Trace => {
                tracing::trace!(target: "transom::guest", connector = ?connector, task, plugin = %plugin, "{text}")
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.state.lock())
    }
}

/// Without characters that end lines or move the cursor.
fn one_line(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.contains(char::is_control) {
        true => text.split_inclusive(char::is_control).map(escape_last).collect(),
        false => text,
    }
}

fn escape_last(text: &str) -> String {
    match text.char_indices().next_back().filter(|(_, c)| c.is_control()) {
        Some((at, c)) => format!("{}{}", &text[..at], c.escape_default()),
        None => text.to_owned(),
    }
}

/// The first `bytes` of `text`, at a character's border.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes.min(text.len()))]
}

/// `rate` tokens a second, at most `rate` at once.
#[derive(Debug)]
struct Bucket {
    rate: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn full(rate: u32, at: Instant) -> Self {
        let rate = f64::from(rate);
        Self { rate, tokens: rate, at }
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.rate);
        self.at = now;
        let one = self.tokens >= 1.0;
        if one {
            self.tokens -= 1.0;
        }
        one
    }
}

/// Standard output or error of a guest: what it writes becomes lines.
#[derive(Debug, Clone)]
pub(crate) struct Stdio {
    log: Arc<GuestLog>,
    error: bool,
    partial: Arc<Mutex<Vec<u8>>>,
}

impl Stdio {
    pub(crate) fn out(log: Arc<GuestLog>) -> Self {
        Self { log, error: false, partial: Arc::default() }
    }

    pub(crate) fn err(log: Arc<GuestLog>) -> Self {
        Self { log, error: true, partial: Arc::default() }
    }

    fn feed(&self, bytes: &[u8]) {
        let mut partial = unpoisoned(self.partial.lock());
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            let (text, ended) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            let room = self.log.room().saturating_sub(partial.len());
            partial.extend_from_slice(&text[..text.len().min(room)]);
            if ended {
                self.say(&partial);
                partial.clear();
            }
        }
    }

    fn say(&self, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        let line = String::from_utf8_lossy(line);
        // Rust's standard advice helps nobody who cannot set the guest's environment.
        if self.error && !line.starts_with("note: run with `RUST_BACKTRACE") {
            self.log.complain(&self.log.clean(&line));
        }
        self.log.line(if self.error { Level::Warn } else { Level::Info }, &line);
    }
}

impl IsTerminal for Stdio {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stdio {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Stdio {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.feed(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stdio {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Stdio {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.feed(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LINE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn log(rate: u32) -> (Arc<GuestLog>, Arc<Meters>) {
        let speaker = Speaker { plugin: "p".into(), connector: "c".into(), task: Some(0) };
        let meters = Arc::<Meters>::default();
        (Arc::new(GuestLog::new(speaker, rate, Arc::clone(&meters))), meters)
    }

    #[test]
    fn a_bucket_gives_its_rate_and_no_more() {
        let start = Instant::now();
        let mut bucket = Bucket::full(2, start);
        assert!(bucket.take(start) && bucket.take(start) && !bucket.take(start));
        assert!(bucket.take(start + Duration::from_millis(500)));
        assert!(!bucket.take(start + Duration::from_millis(600)));
        let later = start + Duration::from_secs(3600);
        assert!(bucket.take(later) && bucket.take(later) && !bucket.take(later));
    }

    #[test]
    fn lines_beyond_the_rate_are_counted() {
        let (log, meters) = log(0);
        log.line(Level::Info, "one");
        log.line(Level::Info, "two");
        assert_eq!(meters.lines_dropped(), 2);
    }

    #[test]
    fn the_last_words_are_kept_even_when_they_are_not_logged() {
        let (log, _) = log(0);
        log.line(Level::Info, "fine");
        log.line(Level::Error, "panicked");
        assert_eq!(log.take_complaint(), "panicked");
        assert_eq!(log.take_complaint(), "");
        log.line(Level::Error, &"ä".repeat(5_000));
        assert!(log.take_complaint().len() <= COMPLAINT_BYTES);
    }

    #[test]
    fn standard_error_is_cut_into_lines() {
        let (log, _) = log(100);
        let err = Stdio::err(Arc::clone(&log));
        err.feed(b"thread panicked\nat ");
        err.clone().feed(b"the disco\nrest");
        assert_eq!(log.take_complaint(), "thread panicked\nat the disco");
    }

    #[test]
    fn what_is_quoted_in_a_line_of_ours_cannot_end_it() {
        assert_eq!(one_line("refused /a\nERROR b\u{1b}[2Jä\r".into()), "refused /a\\nERROR b\\u{1b}[2Jä\\r");
        assert!(matches!(one_line("refused /ä".into()), Cow::Borrowed(_)));
    }

    #[test]
    fn a_line_without_end_takes_no_more_than_a_line() {
        let (log, _) = log(100);
        let out = Stdio::out(log);
        for _ in 0..100 {
            out.feed(&[b'x'; 1000]);
        }
        assert_eq!(out.partial.lock().unwrap().len(), LINE_BYTES);
    }
}
