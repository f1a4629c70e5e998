//! Which folder a record belongs into.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;
use transom_sdk::{Error, Problems, Record};

use crate::config::short;
use crate::time_path::{Pattern, Zone};

/// The rule.
#[derive(Debug)]
pub(crate) enum Partitioner {
    /// By Kafka's partition.
    Default,
    /// By fields of the value.
    Field { fields: Vec<String>, delim: String },
    /// By a time.
    Time(TimeBased),
}

#[derive(Debug)]
pub(crate) struct TimeBased {
    extractor: Extractor,
    duration: i64,
    pattern: Pattern,
    zone: Zone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Extractor {
    Wallclock,
    Record,
    Field(String),
}

/// Where the last record of a Kafka partition belonged: the next one mostly belongs there too.
#[derive(Debug, Default)]
pub(crate) struct Spot {
    pub(crate) folder: String,
    /// The time that the folder was made for, in units within which it is the same.
    unit: Option<i64>,
}

/// The keys of time-based partitioners.
#[derive(Debug, Deserialize)]
pub(crate) struct TimeKeys {
    #[serde(rename = "partition.duration.ms")]
    duration: i64,
    #[serde(rename = "path.format")]
    path: String,
    locale: String,
    timezone: String,
    #[serde(rename = "timestamp.extractor")]
    extractor: String,
    #[serde(rename = "timestamp.field")]
    field: String,
}

impl TimeKeys {
    pub(crate) fn zone(&self, problems: &mut Problems) -> Option<Zone> {
        let zone = Zone::named(&self.timezone);
        if zone.is_none() {
            problems.invalid("timezone", &self.timezone, "no time zone is called so; Europe/Berlin is one");
        }
        zone
    }

    pub(crate) fn partitioner(
        &self,
        class: &str,
        delim: &str,
        zone: Option<&Zone>,
        problems: &mut Problems,
    ) -> Partitioner {
        let daily = format!("'year'=YYYY{delim}'month'=MM{delim}'day'=dd");
        let (duration, path) = match class {
            "HourlyPartitioner" => (3_600_000, format!("{daily}{delim}'hour'=HH")),
            "DailyPartitioner" => (86_400_000, daily),
            _ => (self.duration, self.path.clone()),
        };
        if duration < 1 {
            problems.invalid("partition.duration.ms", duration, "TimeBasedPartitioner needs at least 1");
        }
        if path.is_empty() {
            problems.add(
                "path.format",
                "Missing configuration \"path.format\", which TimeBasedPartitioner needs",
            );
        }
        if !self.locale.to_ascii_lowercase().starts_with("en") {
            problems.invalid("locale", &self.locale, "names are English here, set en-US");
        }
        let pattern = Pattern::parse(&path).unwrap_or_else(|wrong| {
            problems.invalid("path.format", &path, wrong);
            Pattern::parse("").expect("nothing is wrong with it")
        });
        let extractor = match short(&self.extractor).trim_end_matches("TimestampExtractor") {
            "Wallclock" => Extractor::Wallclock,
            "Record" => Extractor::Record,
            "RecordField" => Extractor::Field(self.field.clone()),
            _ => {
                let known = "it is one of Wallclock, Record, RecordField";
                problems.invalid("timestamp.extractor", &self.extractor, known);
                Extractor::Wallclock
            }
        };
        let zone = zone.cloned().unwrap_or_else(Zone::utc);
        Partitioner::Time(TimeBased { extractor, duration: duration.max(1), pattern, zone })
    }
}

impl Partitioner {
    /// Whether folders are those of the clock, and so not those that a second reading gives.
    pub(crate) fn follows_the_clock(&self) -> bool {
        matches!(self, Self::Time(TimeBased { extractor: Extractor::Wallclock, .. }))
    }

    /// Finds the folder of a record, and says the time that it goes by. `spot` is that of the record before, of the
    /// same Kafka partition.
    ///
    /// # Errors
    /// A bad record: it does not have what decides.
    pub(crate) fn place(&self, record: &Record<'_>, now: i64, spot: &mut Spot) -> Result<Option<i64>, Error> {
        let Spot { folder, unit } = spot;
        match self {
            Self::Default => {
                if folder.is_empty() {
                    let _ = write!(folder, "partition={}", record.partition());
                }
                Ok(None)
            }
            Self::Field { fields, delim } => {
                let value: Value = record.value_json()?;
                folder.clear();
                for name in fields {
                    let text = match field(&value, name) {
                        Some(Value::String(text)) => text.clone(),
                        Some(number @ (Value::Number(_) | Value::Bool(_))) => number.to_string(),
                        _ => {
                            let why = "which is no text, number or boolean";
                            return Err(
                                record.bad(format!("cannot be partitioned by its field {name}, {why}"))
                            );
                        }
                    };
                    let between = if folder.is_empty() { "" } else { delim };
                    let _ = write!(folder, "{between}{name}={text}");
                }
                Ok(None)
            }
            Self::Time(by) => {
                let at = by.time(record, now)?;
                if *unit != Some(by.unit(at)) {
                    *folder = by.pattern.format(&by.zone, by.zone.round(at, by.duration));
                    *unit = Some(by.unit(at));
                }
                Ok(Some(at))
            }
        }
    }
}

impl TimeBased {
    /// Times of one unit are rounded to the same: no zone changes its distance within a second.
    fn unit(&self, at: i64) -> i64 {
        if self.duration % 1000 == 0 { at.div_euclid(1000) } else { at }
    }

    fn time(&self, record: &Record<'_>, now: i64) -> Result<i64, Error> {
        match &self.extractor {
            Extractor::Wallclock => Ok(now),
            Extractor::Record => record.timestamp().ok_or_else(|| record.bad("has no timestamp")),
            Extractor::Field(name) => {
                let value: Value = record.value_json()?;
                let time = match field(&value, name) {
                    Some(Value::Number(number)) => number.as_i64(),
                    Some(Value::String(text)) => {
                        let zoned = || text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond());
                        text.parse().ok().or_else(zoned)
                    }
                    _ => None,
                };
                time.ok_or_else(|| {
                    let forms = "neither milliseconds nor a time as 2024-02-29T12:00:00Z";
                    record.bad(format!("has no time in its field {name}: it is {forms}"))
                })
            }
        }
    }
}

/// A field, by its name or by dots through nested ones.
fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    value.get(name).or_else(|| name.split('.').try_fold(value, |value, name| value.get(name)))
}
