//! Cron expressions: minute, hour, day of month, month, day of week.
//!
//! Source: `github.com/robfig/cron/v3` with its standard parser, which upstream uses.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Weekday};

use crate::controllers::model::Time;
use crate::go_duration;

/// Bits of allowed values.
type Bits = u64;

/// When something is to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    times: Times,
    zone: TimeZone,
}

/// A parsed expression, or an interval (`@every 90s`).
#[derive(Debug, Clone, PartialEq, Eq)]
enum Times {
    /// Fields.
    Fields {
        /// 0-59.
        minute: Bits,
        /// 0-23.
        hour: Bits,
        /// 1-31.
        day: Bits,
        /// 1-12.
        month: Bits,
        /// 0-6, Sunday is 0.
        weekday: Bits,
        /// Day of month and day of week are both restricted: either is enough.
        either_day: bool,
    },
    /// Every so many seconds.
    Every(i64),
}

/// Why an expression is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScheduleError(pub String);

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// Parses; the times are those of clocks in this zone.
    pub fn parse(text: &str, zone: TimeZone) -> Result<Self, ScheduleError> {
        let times = Times::parse(text)?;
        Ok(Self { times, zone })
    }

    /// The first time after `after`, at most five years later. A time of day that the clocks leave out when they are put
    /// forward does not come that day, and one that they show twice comes twice, as upstream's library has it.
    pub fn next(&self, after: Time) -> Option<Time> {
        let Times::Fields { minute, hour, .. } = &self.times else {
            let Times::Every(seconds) = self.times else {
                return None;
            };
            return Some(Time(after.0.saturating_add(seconds)));
        };
        let mut at = after.0.checked_add(60)?;
        at -= at.rem_euclid(60);
        let end = at + 5 * 366 * 86_400;
        while at < end {
            let local = self.local(at)?;
            if !self.times.has_day(local.date()) {
                at = self.midnight(local.date().next_day()?)?.max(at + 60);
            } else if !has(*hour, local.hour().into()) {
                at += 3600 - 60 * i64::from(local.minute()) - i64::from(local.second());
            } else if !has(*minute, local.minute().into()) {
                at += 60;
            } else {
                return Some(Time(at));
            }
        }
        None
    }

    /// What the clocks show.
    fn local(&self, at: i64) -> Option<PrimitiveDateTime> {
        let offset = self.zone.to_offset(Timestamp::from_second(at).ok()?);
        let shown = OffsetDateTime::from_unix_timestamp(at + i64::from(offset.seconds())).ok()?;
        Some(PrimitiveDateTime::new(shown.date(), shown.time()))
    }

    /// When a day begins: with what comes after midnight, if there is none.
    fn midnight(&self, date: Date) -> Option<i64> {
        let (year, month) = (i16::try_from(date.year()).ok()?, u8::from(date.month()));
        let date = jiff::civil::Date::new(year, i8::try_from(month).ok()?, i8::try_from(date.day()).ok()?);
        let midnight = date.ok()?.at(0, 0, 0, 0);
        Some(self.zone.to_timestamp(midnight).ok()?.as_second())
    }
}

impl Times {
    fn parse(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        let fields = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            _ => text,
        };
        if let Some(interval) = fields.strip_prefix("@every ") {
            let seconds = go_duration::seconds(interval).map_err(ScheduleError)?;
            // Upstream's library does so, too.
            return Ok(Self::Every(seconds.max(1)));
        }
        let parts: Vec<_> = fields.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts[..] else {
            let message = format!("expected exactly 5 fields, found {}: {parts:?}", parts.len());
            return Err(ScheduleError(message));
        };
        let open = |text: &str| text == "*" || text == "?";
        Ok(Self::Fields {
            minute: field(minute, 0, 59, &[])?,
            hour: field(hour, 0, 23, &[])?,
            day: field(day, 1, 31, &[])?,
            month: field(month, 1, 12, &MONTHS)?,
            weekday: field(weekday, 0, 6, &DAYS)?,
            either_day: !open(day) && !open(weekday),
        })
    }

    fn has_day(&self, date: Date) -> bool {
        let Self::Fields {
            day,
            month,
            weekday,
            either_day,
            ..
        } = self
        else {
            return false;
        };
        let number = match date.weekday() {
            Weekday::Sunday => 0,
            other => u32::from(other.number_from_monday()),
        };
        let by_day = has(*day, u32::from(date.day()));
        let by_weekday = has(*weekday, number);
        has(*month, month_number(date.month()))
            && if *either_day {
                by_day || by_weekday
            } else {
                by_day && by_weekday
            }
    }
}

fn month_number(month: Month) -> u32 {
    u32::from(u8::from(month))
}

fn has(bits: Bits, number: u32) -> bool {
    bits >> number & 1 == 1
}

fn field(text: &str, low: u32, high: u32, names: &[&str]) -> Result<Bits, ScheduleError> {
    let mut bits = 0;
    for part in text.split(',') {
        bits |= range(part, low, high, names)?;
    }
    Ok(bits)
}

fn range(text: &str, low: u32, high: u32, names: &[&str]) -> Result<Bits, ScheduleError> {
    let wrong = |why: &str| ScheduleError(format!("{why}: {text}"));
    let (span, step) = match text.split_once('/') {
        Some((span, step)) => (
            span,
            Some(step.parse::<u32>().map_err(|_| wrong("failed to parse int"))?),
        ),
        None => (text, None),
    };
    if step == Some(0) {
        return Err(wrong("step of range should be a positive number"));
    }
    let value = |text: &str| -> Result<u32, ScheduleError> {
        let lower = text.to_ascii_lowercase();
        if let Some(position) = names.iter().position(|name| *name == lower) {
            return Ok(position as u32 + low);
        }
        text.parse().map_err(|_| wrong("failed to parse int"))
    };
    let (from, to) = match span.split_once('-') {
        _ if span == "*" || span == "?" => (low, high),
        Some((from, to)) => (value(from)?, value(to)?),
        // A step without an end runs to the end: 5/15.
        None if step.is_some() => (value(span)?, high),
        None => (value(span)?, value(span)?),
    };
    if from < low || to > high || from > to {
        return Err(wrong(&format!("outside of {low}-{high} or reversed")));
    }
    Ok((from..=to)
        .step_by(step.unwrap_or(1) as usize)
        .fold(0, |bits, number| bits | 1 << number))
}
