//! The levels of the log, changed while the worker runs: Kafka Connect's loggers over `tracing`'s targets.
//!
//! A logger is a target (`transom::task`) and all below it; `root` is everything. Which there are is learnt as log4j
//! learns it: a logger exists from the first line that it could have written, or from when its level was set. A level
//! that is set holds for the loggers below it too, whatever they were set to before. Each change makes the filter
//! anew, and `tracing` then asks it once for every place that logs; a line costs no more than before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::Subscriber;
use tracing::subscriber::Interest;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::{EnvFilter, filter::Directive};

use crate::lock::unpoisoned;

/// The logger above all others.
pub(crate) const ROOT: &str = "root";

/// A level, in log4j's words: two more than there are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Off,
    Fatal,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
    All,
}

impl Level {
    const NAMES: [(Self, &'static str, &'static str); 8] = [
        (Self::Off, "OFF", "off"),
        (Self::Fatal, "FATAL", "error"),
        (Self::Error, "ERROR", "error"),
        (Self::Warn, "WARN", "warn"),
        (Self::Info, "INFO", "info"),
        (Self::Debug, "DEBUG", "debug"),
        (Self::Trace, "TRACE", "trace"),
        (Self::All, "ALL", "trace"),
    ];

    /// From its name, in whichever case.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known, _)| known.eq_ignore_ascii_case(name)).map(|(level, ..)| *level)
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(level, ..)| *level == self).map_or("", |(_, name, _)| name)
    }

    fn filter(self) -> &'static str {
        Self::NAMES.iter().find(|(level, ..)| *level == self).map_or("", |(_, _, filter)| filter)
    }
}

/// What a logger is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) level: Level,
    /// Milliseconds since 1970; `None`: it is as the worker was started.
    pub(crate) modified: Option<u64>,
}

/// All loggers of the process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Loggers(Arc<Inner>);

type Install = Box<dyn Fn(EnvFilter) + Send>;

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    /// Puts another filter in place; `None` where the log is not ours.
    install: Mutex<Option<Install>>,
}

#[derive(Debug, Default)]
struct State {
    /// Those that were set, and what they were set to.
    set: BTreeMap<String, Setting>,
    /// What the filter says besides levels of targets.
    rest: Vec<String>,
    /// Targets of places that log.
    seen: BTreeSet<&'static str>,
}

impl fmt::Debug for Loggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loggers").field(&*self.lock()).finish()
    }
}

impl Loggers {
    /// Those that a filter sets.
    pub(super) fn of(filter: &str) -> Self {
        let mut state = State::default();
        let setting = |level| Setting { level, modified: None };
        for part in filter.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                None if Level::parse(part).is_some() => {
                    let level = Level::parse(part).expect("as above");
                    let _ = state.set.insert(ROOT.to_owned(), setting(level));
                }
                Some((target, level)) if is_target(target) && Level::parse(level).is_some() => {
                    let _ =
                        state.set.insert(target.to_owned(), setting(Level::parse(level).expect("as above")));
                }
                None if is_target(part) => drop(state.set.insert(part.to_owned(), setting(Level::Trace))),
                _ => state.rest.push(part.to_owned()),
            }
        }
        // What `tracing` shows where nothing else is said.
        let _ = state.set.entry(ROOT.to_owned()).or_insert(setting(Level::Error));
        Self(Arc::new(Inner { state: Mutex::new(state), install: Mutex::default() }))
    }

    /// How changes take effect.
    pub(super) fn install_with(&self, install: impl Fn(EnvFilter) + Send + 'static) {
        *unpoisoned(self.0.install.lock()) = Some(Box::new(install));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.0.state.lock())
    }

    /// Every logger, with what holds for it.
    pub(crate) fn all(&self) -> BTreeMap<String, Setting> {
        let state = self.lock();
        state.names().map(|name| (name.to_owned(), state.effective(name))).collect()
    }

    /// What holds for a logger that exists.
    pub(crate) fn get(&self, logger: &str) -> Option<Setting> {
        let state = self.lock();
        state.names().any(|name| name == logger).then(|| state.effective(logger))
    }

    /// Sets a logger and all below it. Answers with those whose level it changed, sorted.
    pub(crate) fn set(&self, logger: &str, level: Level) -> Vec<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let setting = Setting { level, modified: Some(u64::try_from(now).unwrap_or(u64::MAX)) };
        let mut state = self.lock();
        let mut affected: BTreeSet<String> =
            state.names().filter(|name| is_below(name, logger)).map(str::to_owned).collect();
        let _ = affected.insert(logger.to_owned());
        let known: BTreeSet<String> = state.names().map(str::to_owned).collect();
        affected.retain(|name| !known.contains(name) || state.effective(name).level != level);
        for name in &affected {
            let _ = state.set.insert(name.clone(), setting);
        }
        let filter = state.filter();
        drop(state);
        if let Some(install) = &*unpoisoned(self.0.install.lock()) {
            // Makes every place that logs register anew, which takes the lock above.
            install(filter);
        }
        affected.into_iter().collect()
    }
}

impl State {
    fn names(&self) -> impl Iterator<Item = &str> {
        let seen = self.seen.iter().copied().filter(|target| !self.set.contains_key(*target));
        self.set.keys().map(String::as_str).chain(seen)
    }

    fn effective(&self, logger: &str) -> Setting {
        let above = self.set.iter().filter(|(name, _)| is_below(logger, name));
        let nearest = above.max_by_key(|(name, _)| if *name == ROOT { 0 } else { name.len() });
        nearest.map_or(Setting { level: Level::Error, modified: None }, |(_, setting)| *setting)
    }

    fn filter(&self) -> EnvFilter {
        let levels = self.set.iter().filter_map(|(name, Setting { level, .. })| match name.as_str() {
            ROOT => Some(level.filter().to_owned()),
            // Others name no target there could be.
            name => is_target(name).then(|| format!("{name}={}", level.filter())),
        });
        let directives = levels.chain(self.rest.iter().cloned());
        directives
            .filter_map(|directive| directive.parse::<Directive>().ok())
            .fold(EnvFilter::default(), EnvFilter::add_directive)
    }
}

/// Whether `name` is `above` or below it.
fn is_below(name: &str, above: &str) -> bool {
    above == ROOT
        || name
            .strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::") || rest.starts_with('.'))
}

fn is_target(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte))
}

/// Learns which targets there are; filters nothing.
#[derive(Debug)]
pub(super) struct Seen(pub(super) Loggers);

impl<S: Subscriber> Layer<S> for Seen {
    fn register_callsite(&self, metadata: &'static tracing::Metadata<'static>) -> Interest {
        if metadata.is_event() {
            let _ = self.0.lock().seen.insert(metadata.target());
        }
        Interest::always()
    }

    fn enabled(&self, _: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(loggers: &Loggers, name: &str) -> Option<&'static str> {
        loggers.get(name).map(|setting| setting.level.name())
    }

    #[test]
    fn a_filter_is_read_as_loggers() {
        let loggers = Loggers::of("warn,transom::task=debug,transom,[span]=info");
        assert_eq!(level(&loggers, "root"), Some("WARN"));
        assert_eq!(level(&loggers, "transom::task"), Some("DEBUG"));
        assert_eq!(level(&loggers, "transom"), Some("TRACE"));
        assert_eq!(level(&loggers, "kafka"), None);
        assert_eq!(loggers.get("root").unwrap().modified, None);
        assert_eq!(loggers.lock().rest, ["[span]=info"]);
    }

    #[test]
    fn a_level_holds_for_what_is_below_and_only_changes_are_told() {
        let loggers = Loggers::of("info,transom::task::sink=debug,transom::tasks=error");
        assert_eq!(loggers.set("transom::task", Level::Warn), ["transom::task", "transom::task::sink"]);
        assert_eq!(level(&loggers, "transom::task::sink"), Some("WARN"));
        assert_eq!(level(&loggers, "transom::tasks"), Some("ERROR"), "another, though it begins alike");
        assert!(loggers.set("transom::task", Level::Warn).is_empty());
        assert_eq!(loggers.set("root", Level::Warn), ["root", "transom::tasks"]);
        assert!(loggers.get("root").unwrap().modified.is_some());
    }

    #[test]
    fn names_that_are_no_targets_are_kept_and_do_no_harm() {
        let loggers = Loggers::of("info");
        assert_eq!(loggers.set("a.b c,d=e[f", Level::Fatal), ["a.b c,d=e[f"]);
        assert_eq!(level(&loggers, "a.b c,d=e[f"), Some("FATAL"));
        assert_eq!(loggers.lock().filter().to_string(), "info");
    }

    #[test]
    fn levels_have_log4js_names() {
        assert_eq!(Level::parse("fatal").map(Level::name), Some("FATAL"));
        assert_eq!(Level::parse("LOUD"), None);
    }
}
