//! Time as UTC seconds, local calendars by a fixed offset, named periods and clock hours (DESIGN §2.5, §4.6).
//!
//! Civil dates use the proleptic Gregorian calendar; nothing here knows a clock or a time-zone database.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Seconds of a day.
pub const DAY_SECONDS: i64 = 86_400;
/// Seconds of an hour.
pub const HOUR_SECONDS: i64 = 3_600;
/// 9999-12-31T23:59:59Z, the last moment that RFC 3339 can write.
const LAST: i64 = 253_402_300_799;

/// A text that is not of the one accepted form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATime;

impl fmt::Display for NotATime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected YYYY-MM-DDTHH:MM:SSZ, a local day YYYY-MM-DD or a named period")
    }
}

impl std::error::Error for NotATime {}

/// A moment in whole UTC seconds since 1970, 0 ..= the end of the year 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z, before anything was written.
    pub const EPOCH: Self = Self(0);

    /// Takes UNIX seconds.
    /// # Errors
    /// [`NotATime`] before 1970 or after 9999.
    pub const fn new(unix: i64) -> Result<Self, NotATime> {
        if unix < 0 || unix > LAST {
            Err(NotATime)
        } else {
            Ok(Self(unix))
        }
    }

    /// UNIX seconds.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// Reads `YYYY-MM-DDTHH:MM:SSZ` and no other spelling (a subset of RFC 3339).
    /// # Errors
    /// [`NotATime`].
    pub fn parse(text: &str) -> Result<Self, NotATime> {
        let body = text.strip_suffix('Z').ok_or(NotATime)?;
        let (day, clock) = body.split_once('T').ok_or(NotATime)?;
        Self::new(LocalDay::parse(day)?.0 * DAY_SECONDS + seconds_of_day(clock)?)
    }

    /// The moment `seconds` later (earlier if negative), kept inside the range of the type.
    #[must_use]
    pub const fn after(self, seconds: i64) -> Self {
        let unix = self.0.saturating_add(seconds);
        if unix < 0 {
            Self(0)
        } else if unix > LAST {
            Self(LAST)
        } else {
            Self(unix)
        }
    }

    /// The local calendar day at `offset`.
    #[must_use]
    pub const fn local_day(self, offset: UtcOffset) -> LocalDay {
        LocalDay((self.0 + offset.seconds()).div_euclid(DAY_SECONDS))
    }

    /// The UTC clock hour that contains this moment.
    #[must_use]
    pub const fn hour(self) -> ClockHour {
        ClockHour(self.0 / HOUR_SECONDS)
    }
}

impl Timestamp {
    fn push_to(self, text: &mut String) {
        let (day, second) = (
            self.0.div_euclid(DAY_SECONDS),
            self.0.rem_euclid(DAY_SECONDS),
        );
        LocalDay(day).push_to(text);
        text.push('T');
        push_digits(text, second / HOUR_SECONDS, 2);
        text.push(':');
        push_digits(text, second / 60 % 60, 2);
        text.push(':');
        push_digits(text, second % 60, 2);
        text.push('Z');
    }
}

/// A fixed offset from UTC in minutes, ±14 h. China has 480 throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct UtcOffset(i16);

impl UtcOffset {
    /// +08:00.
    pub const CHINA: Self = Self(480);

    /// Takes minutes east of UTC.
    /// # Errors
    /// [`NotATime`] beyond ±14 h.
    pub const fn new(minutes: i16) -> Result<Self, NotATime> {
        if minutes < -840 || minutes > 840 {
            Err(NotATime)
        } else {
            Ok(Self(minutes))
        }
    }

    /// Minutes east of UTC.
    #[must_use]
    pub const fn minutes(self) -> i16 {
        self.0
    }

    const fn seconds(self) -> i64 {
        self.0 as i64 * 60
    }
}

impl<'de> Deserialize<'de> for UtcOffset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(i16::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A calendar day without a zone, as days since 1970-01-01; a zone comes from the programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalDay(i64);

impl LocalDay {
    /// Takes a civil date.
    /// # Errors
    /// [`NotATime`] for a day that does not exist, before 1970 or after 9999.
    pub fn new(year: i64, month: i64, day: i64) -> Result<Self, NotATime> {
        let exists = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=month_length(year, month)).contains(&day);
        if exists {
            Ok(Self(days_from_civil(year, month, day)))
        } else {
            Err(NotATime)
        }
    }

    /// Reads `YYYY-MM-DD`.
    /// # Errors
    /// [`NotATime`].
    pub fn parse(text: &str) -> Result<Self, NotATime> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
            return Err(NotATime);
        }
        Self::new(
            digits(text, 0, 4)?,
            digits(text, 5, 7)?,
            digits(text, 8, 10)?,
        )
    }

    /// Year, month (1 ..= 12) and day (1 ..= 31).
    #[must_use]
    pub const fn civil(self) -> (i64, i64, i64) {
        civil_from_days(self.0)
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The day `days` later (earlier if negative).
    #[must_use]
    pub const fn plus_days(self, days: i64) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// The same day of the month `months` later, or the last one of a shorter month.
    #[must_use]
    pub fn plus_months(self, months: i64) -> Self {
        let (year, month, day) = self.civil();
        let index = (year * 12 + month - 1).saturating_add(months);
        let (year, month) = (index.div_euclid(12), index.rem_euclid(12) + 1);
        Self(days_from_civil(
            year,
            month,
            day.min(month_length(year, month)),
        ))
    }

    /// The moment at which this day begins at `offset`.
    #[must_use]
    pub const fn start(self, offset: UtcOffset) -> Timestamp {
        Timestamp(0).after(
            self.0
                .saturating_mul(DAY_SECONDS)
                .saturating_sub(offset.seconds()),
        )
    }
}

impl LocalDay {
    fn push_to(self, text: &mut String) {
        let (year, month, day) = self.civil();
        push_digits(text, year, 4);
        text.push('-');
        push_digits(text, month, 2);
        text.push('-');
        push_digits(text, day, 2);
    }
}

/// The length of settlement and counter periods (PROGRAMMES §1, `settle_period`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeriodLength {
    /// A local day.
    Day,
    /// A calendar month.
    Month,
    /// A calendar quarter.
    Quarter,
    /// A calendar year.
    Year,
}

/// A named local period: `2026-11-23`, `2026-11`, `2026-Q4` or `2026` (DESIGN §4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NamedPeriod {
    /// A year.
    Year(i64),
    /// A year and its quarter, 1 ..= 4.
    Quarter(i64, i64),
    /// A year and its month, 1 ..= 12.
    Month(i64, i64),
    /// A day.
    Day(LocalDay),
}

impl NamedPeriod {
    /// The period of `length` that contains `day`.
    #[must_use]
    pub const fn containing(day: LocalDay, length: PeriodLength) -> Self {
        let (year, month, _) = day.civil();
        match length {
            PeriodLength::Day => Self::Day(day),
            PeriodLength::Month => Self::Month(year, month),
            PeriodLength::Quarter => Self::Quarter(year, (month + 2) / 3),
            PeriodLength::Year => Self::Year(year),
        }
    }

    /// Reads one of the four forms.
    /// # Errors
    /// [`NotATime`].
    pub fn parse(text: &str) -> Result<Self, NotATime> {
        match (text.len(), text.as_bytes().get(5)) {
            (4, _) => in_years(digits(text, 0, 4)?).map(Self::Year),
            (7, Some(b'Q')) if text.as_bytes().get(4) == Some(&b'-') => {
                let (year, quarter) = (in_years(digits(text, 0, 4)?)?, digits(text, 6, 7)?);
                if (1..=4).contains(&quarter) {
                    Ok(Self::Quarter(year, quarter))
                } else {
                    Err(NotATime)
                }
            }
            (7, _) if text.as_bytes().get(4) == Some(&b'-') => {
                let (year, month) = (in_years(digits(text, 0, 4)?)?, digits(text, 5, 7)?);
                if (1..=12).contains(&month) {
                    Ok(Self::Month(year, month))
                } else {
                    Err(NotATime)
                }
            }
            (10, _) => LocalDay::parse(text).map(Self::Day),
            _ => Err(NotATime),
        }
    }

    /// The length of this period.
    #[must_use]
    pub const fn length(self) -> PeriodLength {
        match self {
            Self::Year(_) => PeriodLength::Year,
            Self::Quarter(..) => PeriodLength::Quarter,
            Self::Month(..) => PeriodLength::Month,
            Self::Day(_) => PeriodLength::Day,
        }
    }

    /// The first day, and the first day after it.
    #[must_use]
    pub fn days(self) -> (LocalDay, LocalDay) {
        let (first, months) = match self {
            Self::Year(year) => (LocalDay(days_from_civil(year, 1, 1)), 12),
            Self::Quarter(year, quarter) => {
                (LocalDay(days_from_civil(year, quarter * 3 - 2, 1)), 3)
            }
            Self::Month(year, month) => (LocalDay(days_from_civil(year, month, 1)), 1),
            Self::Day(day) => return (day, day.plus_days(1)),
        };
        (first, first.plus_months(months))
    }

    /// The moment at which the period is over at `offset`.
    #[must_use]
    pub fn end(self, offset: UtcOffset) -> Timestamp {
        self.days().1.start(offset)
    }
}

impl NamedPeriod {
    /// Adds the text to a text.
    pub(crate) fn push_to(self, text: &mut String) {
        match self {
            Self::Year(year) => push_digits(text, year, 4),
            Self::Quarter(year, quarter) => {
                push_digits(text, year, 4);
                text.push_str("-Q");
                push_digits(text, quarter, 1);
            }
            Self::Month(year, month) => {
                push_digits(text, year, 4);
                text.push('-');
                push_digits(text, month, 2);
            }
            Self::Day(day) => day.push_to(text),
        }
    }
}

/// A UTC clock hour, `2026-11-23T08Z`: the grain of a site's capacity (DESIGN §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClockHour(i64);

impl ClockHour {
    /// The moment at which the hour begins.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 * HOUR_SECONDS)
    }

    /// The following hour.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Reads `YYYY-MM-DDTHHZ`.
    /// # Errors
    /// [`NotATime`].
    pub fn parse(text: &str) -> Result<Self, NotATime> {
        let (day, hour) = text
            .strip_suffix('Z')
            .and_then(|t| t.split_once('T'))
            .ok_or(NotATime)?;
        let hour_of_day = digits(hour, 0, 2)?;
        if hour.len() != 2 || hour_of_day > 23 {
            return Err(NotATime);
        }
        Ok(Self(LocalDay::parse(day)?.0 * 24 + hour_of_day))
    }
}

impl ClockHour {
    /// Adds the text to a text.
    pub(crate) fn push_to(self, text: &mut String) {
        LocalDay(self.0.div_euclid(24)).push_to(text);
        text.push('T');
        push_digits(text, self.0.rem_euclid(24), 2);
        text.push('Z');
    }
}

/// Adds a number with zeros before it, as `{number:0width}` does.
fn push_digits(text: &mut String, number: i64, width: u32) {
    if !(0..10_i64.pow(width)).contains(&number) {
        let width = usize::try_from(width).unwrap_or_default();
        text.push_str(&format!("{number:0width$}"));
        return;
    }
    for place in (0..width).rev() {
        let digit = u8::try_from(number / 10_i64.pow(place) % 10).unwrap_or(0);
        text.push(char::from(b'0' + digit));
    }
}

/// Room for the longest of these texts.
const TEXT_BYTES: usize = 20;

macro_rules! as_json_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut text = String::with_capacity(TEXT_BYTES);
                self.push_to(&mut text);
                serializer.serialize_str(&text)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = String::with_capacity(TEXT_BYTES);
                self.push_to(&mut text);
                f.write_str(&text)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::json::text_by(deserializer, Self::parse)
            }
        }
    )*};
}
as_json_text!(Timestamp, LocalDay, NamedPeriod, ClockHour);
packed_newtype!(Timestamp, UtcOffset, LocalDay, ClockHour);
packed_enum!(NamedPeriod { 0 => Year(y), 1 => Quarter(y, q), 2 => Month(y, m), 3 => Day(day) });

fn in_years(year: i64) -> Result<i64, NotATime> {
    if (1970..=9999).contains(&year) {
        Ok(year)
    } else {
        Err(NotATime)
    }
}

fn digits(text: &str, from: usize, to: usize) -> Result<i64, NotATime> {
    let part = text.as_bytes().get(from..to).ok_or(NotATime)?;
    part.iter().try_fold(0_i64, |n, b| {
        if b.is_ascii_digit() {
            Ok(n * 10 + i64::from(b - b'0'))
        } else {
            Err(NotATime)
        }
    })
}

fn seconds_of_day(clock: &str) -> Result<i64, NotATime> {
    let bytes = clock.as_bytes();
    if bytes.len() != 8 || bytes.get(2) != Some(&b':') || bytes.get(5) != Some(&b':') {
        return Err(NotATime);
    }
    let (hour, minute, second) = (
        digits(clock, 0, 2)?,
        digits(clock, 3, 5)?,
        digits(clock, 6, 8)?,
    );
    // A leap second has no second of its own in UNIX time: refused.
    if hour > 23 || minute > 59 || second > 59 {
        return Err(NotATime);
    }
    Ok(hour * HOUR_SECONDS + minute * 60 + second)
}

const fn month_length(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Howard Hinnant's `days_from_civil`: years begin in March, so that the leap day comes last.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Howard Hinnant's `civil_from_days`.
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted - era * 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (
        year_of_era + era * 400 + (if month <= 2 { 1 } else { 0 }),
        month,
        day,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_has_one_spelling() {
        let text = "2026-11-23T08:00:00Z";
        assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        for bad in [
            "2026-11-23T08:00:00",
            "2026-11-23 08:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T08:00:60Z",
            "2026-11-23T08:00:00.0Z",
            "+026-11-23T08:00:00Z",
            "2026-11-23T08:00:00z",
            "1969-12-31T23:59:59Z",
            "",
        ] {
            assert_eq!(Timestamp::parse(bad), Err(NotATime), "{bad}");
        }
    }

    #[test]
    fn the_local_year_begins_eight_hours_before_utc() {
        let at = Timestamp::parse("2025-12-31T16:30:00Z").unwrap();
        let day = at.local_day(UtcOffset::CHINA);
        assert_eq!(day.to_string(), "2026-01-01");
        assert_eq!(
            NamedPeriod::containing(day, PeriodLength::Year).to_string(),
            "2026"
        );
        assert_eq!(
            NamedPeriod::Year(2025).end(UtcOffset::CHINA).to_string(),
            "2025-12-31T16:00:00Z"
        );
    }

    #[test]
    fn periods_are_read_and_written_alike() {
        for text in ["2026", "2026-Q4", "2026-11", "2026-11-23"] {
            assert_eq!(NamedPeriod::parse(text).unwrap().to_string(), text);
        }
        for bad in [
            "2026-Q5",
            "2026-13",
            "2026-1",
            "26",
            "2026-11-31",
            "2026Q41",
            "2026_11",
        ] {
            assert_eq!(NamedPeriod::parse(bad), Err(NotATime), "{bad}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_survives_the_calendar() {
        for number in 0..150_000 {
            let (year, month, day) = LocalDay(number).civil();
            assert_eq!(LocalDay::new(year, month, day), Ok(LocalDay(number)));
        }
    }

    #[test]
    fn calendar_months_end_on_the_last_day_of_a_shorter_month() {
        let day = LocalDay::parse("2024-01-31").unwrap();
        assert_eq!(day.plus_months(1).to_string(), "2024-02-29");
        assert_eq!(day.plus_months(13).to_string(), "2025-02-28");
    }

    #[test]
    fn a_clock_hour_names_its_start() {
        let hour = Timestamp::parse("2026-11-23T08:59:59Z").unwrap().hour();
        assert_eq!(hour.to_string(), "2026-11-23T08Z");
        assert_eq!(ClockHour::parse("2026-11-23T08Z"), Ok(hour));
    }
}
