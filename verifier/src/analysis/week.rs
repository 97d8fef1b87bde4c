//! Weeks as ISO 8601 counts them: Monday first, and the week belongs to the year that has its Thursday.

use serde::{Serialize, Serializer};
use std::fmt;

use crate::time::LocalDay;

/// The day number of 1970-01-01 was a Thursday: three days after a Monday.
const EPOCH_WEEKDAY: i64 = 3;

/// A week, `2026-W48`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IsoWeek {
    year: i64,
    week: i64,
}

impl IsoWeek {
    /// The week that a local day lies in.
    #[must_use]
    pub fn of(day: LocalDay) -> Self {
        let weekday = (day.number() + EPOCH_WEEKDAY).rem_euclid(7);
        let (year, _, _) = day.plus_days(EPOCH_WEEKDAY - weekday).civil();
        let thursday = day.number() + EPOCH_WEEKDAY - weekday;
        let first = LocalDay::new(year, 1, 1).map_or(thursday, LocalDay::number);
        Self {
            year,
            week: (thursday - first) / 7 + 1,
        }
    }
}

impl fmt::Display for IsoWeek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-W{:02}", self.year, self.week)
    }
}

impl Serialize for IsoWeek {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_belongs_to_the_year_of_its_thursday() {
        // The examples of ISO 8601 and its usual edge cases.
        for (day, week) in [
            ("2005-01-01", "2004-W53"),
            ("2005-01-03", "2005-W01"),
            ("2007-12-30", "2007-W52"),
            ("2007-12-31", "2008-W01"),
            ("2010-01-03", "2009-W53"),
            ("2026-01-01", "2026-W01"),
            ("2026-11-23", "2026-W48"),
            ("2026-11-29", "2026-W48"),
            ("2027-01-01", "2026-W53"),
        ] {
            let day = LocalDay::parse(day).unwrap();
            assert_eq!(IsoWeek::of(day).to_string(), week, "{day}");
        }
    }
}
