//! Times as paths: the patterns of Joda-Time that `path.format` is written in, as far as paths need them.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const DAY: i64 = 86_400_000;

/// A time zone.
#[derive(Debug, Clone)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    pub(crate) fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// By its name, as `Europe/Berlin`, or its distance, as `+02:00`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let fixed = || {
            let (sign, rest) =
                name.strip_prefix('+').map(|rest| (1, rest)).or(Some((-1, name.strip_prefix('-')?)))?;
            let (hours, minutes) = rest.split_once(':')?;
            let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
            Some(TimeZone::fixed(jiff::tz::Offset::from_seconds(sign * seconds).ok()?))
        };
        fixed().or_else(|| TimeZone::get(name).ok()).map(Self)
    }

    /// The time there; the ends of what can be said where a number is no time.
    fn at(&self, milliseconds: i64) -> ZonedDateTime {
        let bound = if milliseconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_millisecond(milliseconds).unwrap_or(bound).to_zoned_datetime(self.0.clone())
    }

    fn offset(&self, milliseconds: i64) -> i64 {
        i64::from(self.at(milliseconds).offset().seconds()) * 1000
    }

    /// The time rounded down to a multiple of `duration` of the local time.
    pub(crate) fn round(&self, milliseconds: i64, duration: i64) -> i64 {
        let local = milliseconds.saturating_add(self.offset(milliseconds));
        let rounded = local - local.rem_euclid(duration);
        // The distance may have been another one then.
        let guess = rounded - self.offset(milliseconds);
        rounded - self.offset(guess)
    }

    /// The first time after `now` that is a multiple of `interval` since the local midnight.
    pub(crate) fn next(&self, now: i64, interval: i64) -> i64 {
        let midnight = self.round(now, DAY);
        midnight + ((now - midnight) / interval + 1) * interval
    }
}

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(char, usize),
}

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Piece>);

impl Pattern {
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(letter) = rest.next() {
            let mut count = 1;
            match letter {
                '\'' => {
                    let mut quoted = String::new();
                    loop {
                        match rest.next() {
                            None => return Err("a quote has no end".into()),
                            Some('\'') if rest.peek() == Some(&'\'') => {
                                rest.next();
                                quoted.push('\'');
                            }
                            Some('\'') => break,
                            Some(letter) => quoted.push(letter),
                        }
                    }
                    // Two quotes are one.
                    pieces.push(Piece::Text(if quoted.is_empty() { "'".into() } else { quoted }));
                }
                'A'..='Z' | 'a'..='z' => {
                    while rest.next_if_eq(&letter).is_some() {
                        count += 1;
                    }
                    if !"yYxwMdDHkhKmsSaEeZz".contains(letter) {
                        return Err(format!(
                            "{letter} is no letter of a pattern; text stands in single quotes"
                        ));
                    }
                    pieces.push(Piece::Field(letter, count));
                }
                other => pieces.push(Piece::Text(other.into())),
            }
        }
        Ok(Self(pieces))
    }

    /// A time in this form.
    pub(crate) fn format(&self, zone: &Zone, milliseconds: i64) -> String {
        let at = zone.at(milliseconds);
        let mut path = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => path.push_str(text),
                Piece::Field(letter, count) => field(&at, *letter, *count, &mut path),
            }
        }
        path
    }
}

fn field(at: &ZonedDateTime, letter: char, count: usize, path: &mut String) {
    let name = |names: &[&'static str], index: usize| {
        let name = names.get(index).copied().unwrap_or_default();
        if count > 3 { name } else { name.get(..3).unwrap_or(name) }
    };
    let week = at.date().iso_week_date();
    let (hour, weekday) = (i64::from(at.hour()), at.weekday().to_monday_zero_offset());
    let number = match letter {
        'y' | 'Y' if count == 2 => i64::from(at.year()).rem_euclid(100),
        'y' | 'Y' => i64::from(at.year()),
        'x' if count == 2 => i64::from(week.year()).rem_euclid(100),
        'x' => i64::from(week.year()),
        'w' => i64::from(week.week()),
        'M' if count > 2 => return path.push_str(name(&MONTHS, usize::from(at.month().unsigned_abs()) - 1)),
        'M' => i64::from(at.month()),
        'd' => i64::from(at.day()),
        'D' => i64::from(at.day_of_year()),
        'E' => return path.push_str(name(&DAYS, usize::from(weekday.unsigned_abs()))),
        'e' => i64::from(weekday) + 1,
        'H' => hour,
        'k' => (hour + 23) % 24 + 1,
        'h' => (hour + 11) % 12 + 1,
        'K' => hour % 12,
        'm' => i64::from(at.minute()),
        's' => i64::from(at.second()),
        'a' => return path.push_str(if hour < 12 { "AM" } else { "PM" }),
        'S' => {
            let all = format!("{:09}", at.subsec_nanosecond());
            return path.push_str(all.get(..count).unwrap_or(&all));
        }
        _ => {
            let seconds = at.offset().seconds();
            let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
            let colon = if count == 2 { ":" } else { "" };
            let _ = write!(path, "{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60);
            return;
        }
    };
    let _ = write!(path, "{number:0count$}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-02-29 23:05:06.789 UTC.
    const LEAP: i64 = 1_709_247_906_789;

    fn path(pattern: &str, zone: &str) -> String {
        Pattern::parse(pattern).unwrap().format(&Zone::named(zone).unwrap(), LEAP)
    }

    #[test]
    fn a_pattern_is_that_of_joda() {
        assert_eq!(
            path("'year'=YYYY/'month'=MM/'day'=dd/'hour'=HH", "UTC"),
            "year=2024/month=02/day=29/hour=23"
        );
        assert_eq!(path("yyyy-MM-dd hh:mm:ss.SSS a", "Europe/Berlin"), "2024-03-01 12:05:06.789 AM");
        assert_eq!(path("yy D EEE EEEE MMM MMMM x-'W'ww", "UTC"), "24 60 Thu Thursday Feb February 2024-W09");
        assert_eq!(path("''H 'o''clock' Z ZZ", "-03:30"), "'19 o'clock -0330 -03:30");
        assert!(Pattern::parse("'open").is_err() && Pattern::parse("YYYY/topic").is_err());
        assert!(Zone::named("Mars/Olympus").is_none());
    }

    #[test]
    fn times_are_rounded_where_they_are_read() {
        let kolkata = Zone::named("Asia/Kolkata").unwrap();
        // 2024-03-01 04:35 there: the day begins at 18:30 UTC.
        assert_eq!(kolkata.round(LEAP, DAY), LEAP - LEAP.rem_euclid(DAY) + 66_600_000);
        assert_eq!(Zone::utc().round(-1, 1000), -1000);
        // The day on which the clock goes forward in Berlin begins an hour nearer than its noon looks.
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let noon = 1_711_879_200_000;
        assert_eq!(berlin.round(noon, DAY), noon - 11 * 3_600_000);
    }

    #[test]
    fn a_schedule_begins_at_midnight() {
        let zone = Zone::utc();
        let midnight = LEAP - LEAP.rem_euclid(DAY);
        assert_eq!(zone.next(midnight, 3_600_000), midnight + 3_600_000);
        assert_eq!(zone.next(midnight + 10, 7_000_000), midnight + 7_000_000);
    }
}
