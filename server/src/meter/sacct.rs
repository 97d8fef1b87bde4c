//! Pipe-separated `sacct` exports, `--parsable2` or `--parsable` (facts/metering.md §1.1, §1.2).
//!
//! Nothing in them is quoted: a `|` in a job name splits the row, so a surplus is joined to `JobName` where that is the
//! last column, and refused elsewhere. Times carry no zone: a caller without a declared one cannot call [`read`].

use std::borrow::Cow;
use verifier::time::{Timestamp, UtcOffset};

use super::row::{Allocation, Field, Listing, RefusedRow, RowCode};

/// The longest row that is read. `AllocTRES`, `NodeList` and names are far below it.
pub const ROW_BYTES_MAX: usize = 65_536;

/// What an export does not say about itself.
#[derive(Debug, Clone)]
pub struct Declared {
    /// The zone of the process that ran `sacct`.
    pub zone: UtcOffset,
    /// The cluster of rows without a `Cluster` column.
    pub cluster: Option<String>,
    /// The account of rows without an `Account` column.
    pub account: Option<String>,
}

/// Reads an export; its first line names the columns, in any order.
#[must_use]
pub fn read<'a>(text: &'a str, declared: &'a Declared) -> Listing<'a> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut listing = Listing::default();
    let header = Header::read(text.lines().next().unwrap_or_default());
    for (line, row) in (1_u64..).zip(text.lines()) {
        if row.trim().is_empty() || (line == 1 && header.names_jobs()) {
            continue;
        }
        match header.allocation(line, row, declared) {
            Ok(Some(allocation)) => listing.allocations.push(allocation),
            Ok(None) => listing.steps += 1,
            Err(refused) => listing.refused.push(refused),
        }
    }
    listing
}

/// The columns' names and places.
struct Header<'a> {
    names: Vec<&'a str>,
    /// `--parsable` ends every row, the header too, with one more `|`.
    ends_with_bar: bool,
}

impl<'a> Header<'a> {
    fn read(line: &'a str) -> Self {
        let ends_with_bar = line.ends_with('|');
        let line = line.strip_suffix('|').unwrap_or(line);
        Self {
            names: line.split('|').map(str::trim).collect(),
            ends_with_bar,
        }
    }

    /// Whether it is a header at all: an export with `--noheader` begins with a row.
    fn names_jobs(&self) -> bool {
        self.names
            .iter()
            .any(|name| name.eq_ignore_ascii_case("JobID"))
    }

    /// Takes a row apart; `None` is a step.
    fn allocation<'r>(
        &self,
        line: u64,
        row: &'r str,
        declared: &'r Declared,
    ) -> Result<Option<Allocation<'r>>, RefusedRow> {
        let refuse = |code, sentence| RefusedRow {
            line,
            job: String::new(),
            code,
            sentence,
        };
        if row.len() > ROW_BYTES_MAX {
            let sentence = format!("{} bytes exceed the {ROW_BYTES_MAX} of a row", row.len());
            return Err(refuse(RowCode::Malformed, sentence));
        }
        if !self.names_jobs() {
            let sentence = "the first line names no column JobID; export with a header".to_owned();
            return Err(refuse(RowCode::Column, sentence));
        }
        let fields = self
            .fields(row)
            .map_err(|sentence| refuse(RowCode::Fields, sentence))?;
        let row = Row {
            names: &self.names,
            fields,
        };
        let job = row.get("JobID").unwrap_or_default();
        if job.contains('.') {
            return Ok(None);
        }
        Ok(Some(row.allocation(line, job, declared)))
    }

    fn fields<'r>(&self, row: &'r str) -> Result<Vec<&'r str>, String> {
        let row = if self.ends_with_bar {
            row.strip_suffix('|').unwrap_or(row)
        } else {
            row
        };
        let columns = self.names.len();
        let name_is_last = self
            .names
            .last()
            .is_some_and(|n| n.eq_ignore_ascii_case("JobName"));
        // `splitn` leaves every further bar inside the last field.
        let fields: Vec<&str> = if name_is_last {
            row.splitn(columns, '|').collect()
        } else {
            row.split('|').collect()
        };
        if fields.len() == columns {
            Ok(fields)
        } else {
            Err(format!(
                "{} fields under {columns} columns; a name may hold a bar, so export JobName as the last column",
                fields.len()
            ))
        }
    }
}

/// One row under its header.
struct Row<'h, 'r> {
    names: &'h [&'h str],
    fields: Vec<&'r str>,
}

impl<'r> Row<'_, 'r> {
    fn get(&self, name: &str) -> Option<&'r str> {
        let place = self
            .names
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name))?;
        self.fields.get(place).map(|field| field.trim())
    }

    fn text(&self, name: &str) -> Option<Cow<'r, str>> {
        self.get(name)
            .filter(|field| !field.is_empty())
            .map(Cow::Borrowed)
    }

    fn allocation(&self, line: u64, job: &'r str, declared: &'r Declared) -> Allocation<'r> {
        let or = |fallback: &'r Option<String>| fallback.as_deref().map(Cow::Borrowed);
        let elapsed = match self.get("ElapsedRaw") {
            Some(raw) => field(Some(raw), whole_seconds),
            None => field(self.get("Elapsed"), duration),
        };
        Allocation {
            line,
            job: Cow::Borrowed(job),
            raw: self.text("JobIDRaw"),
            sluid: self.text("SLUID"),
            cluster: self.text("Cluster").or_else(|| or(&declared.cluster)),
            account: self.text("Account").or_else(|| or(&declared.account)),
            state: Cow::Borrowed(self.get("State").unwrap_or_default()),
            start: field(self.get("Start"), |text| moment(text, declared.zone)),
            end: field(self.get("End"), |text| moment(text, declared.zone)),
            elapsed,
            suspended: field(self.get("Suspended"), duration),
            tres: self.get("AllocTRES").map(Cow::Borrowed),
        }
    }
}

fn field<T>(text: Option<&str>, read: impl FnOnce(&str) -> Option<T>) -> Field<T> {
    match text {
        None => Field::Absent,
        Some("" | "None" | "Unknown") => Field::Unset,
        Some(text) => read(text).map_or(Field::Bad, Field::Is),
    }
}

/// Reads `YYYY-MM-DDTHH:MM:SS` at `zone`. Another `SLURM_TIME_FORMAT` is not guessed at.
fn moment(text: &str, zone: UtcOffset) -> Option<Timestamp> {
    // Read as if it were UTC, then moved; a moment that leaves the type's range is refused rather than clamped.
    let local = Timestamp::parse(&format!("{text}Z")).ok()?;
    Timestamp::new(local.unix() - i64::from(zone.minutes()) * 60).ok()
}

fn whole_seconds(text: &str) -> Option<i64> {
    let is_number = text.bytes().all(|b| b.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// Reads `[D-][HH:]MM:SS[.mmm]`, in whole seconds rounded down. `INVALID`, `UNLIMITED` and the like are none.
fn duration(text: &str) -> Option<i64> {
    let (text, fraction) = text.split_once('.').unwrap_or((text, "0"));
    whole_seconds(fraction)?;
    let (days, clock) = text.split_once('-').unwrap_or(("0", text));
    let parts: Vec<i64> = clock.split(':').map(two_digits).collect::<Option<_>>()?;
    let seconds = match *parts.as_slice() {
        [minute, second] if minute < 60 && second < 60 => minute * 60 + second,
        [hour, minute, second] if hour < 24 && minute < 60 && second < 60 => {
            hour * 3_600 + minute * 60 + second
        }
        _ => return None,
    };
    whole_seconds(days)?
        .checked_mul(86_400)?
        .checked_add(seconds)
}

fn two_digits(text: &str) -> Option<i64> {
    if text.len() == 2 {
        whole_seconds(text)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic_and_every_row_is_accounted_for(
            head in "(JobID|State|Start|End|Elapsed|JobName|AllocTRES|\\|){0,9}",
            rows in proptest::collection::vec("[ -~é|]{0,40}", 0..9),
        ) {
            let declared = utc();
            let text = format!("{head}\n{}", rows.join("\n"));
            let listing = read(&text, &declared);
            let steps = usize::try_from(listing.steps).unwrap();
            let full = rows.iter().filter(|row| !row.trim().is_empty()).count();
            let seen = listing.allocations.len() + listing.refused.len() + steps;
            // A first line that is no header is a row, and refused.
            prop_assert!(seen == full || seen == full + 1);
        }

        #[test]
        fn a_duration_is_read_back_as_it_was_written(seconds in 0_i64..40_000_000) {
            let (days, rest) = (seconds / 86_400, seconds % 86_400);
            let clock = format!("{:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60);
            let text = if days > 0 { format!("{days}-{clock}") } else { clock };
            prop_assert_eq!(duration(&text), Some(seconds));
        }

        #[test]
        fn any_duration_is_read_without_a_panic(text in "[0-9:.-]{0,20}") {
            prop_assert!(duration(&text).is_none_or(|seconds| seconds >= 0));
        }
    }

    fn utc() -> Declared {
        Declared {
            zone: UtcOffset::new(0).unwrap(),
            cluster: None,
            account: None,
        }
    }

    #[test]
    fn durations_are_read_as_slurm_writes_them() {
        for (text, seconds) in [
            ("00:00:00", Some(0)),
            ("12:00:18", Some(43_218)),
            ("1-00:00:01", Some(86_401)),
            ("10:05", Some(605)),
            ("00:01:02.999", Some(62)),
            ("INVALID", None),
            ("UNLIMITED", None),
            ("Partition_limit", None),
            ("1:2:3", None),
            ("24:00:00", None),
            ("00:60:00", None),
            ("-00:01:00", None),
            ("", None),
            ("9223372036854775807-00:00:00", None),
        ] {
            assert_eq!(duration(text), seconds, "{text}");
        }
    }

    #[test]
    fn a_time_means_the_declared_zone() {
        let china = moment("2026-10-01T00:00:00", UtcOffset::CHINA).unwrap();
        assert_eq!(china.to_string(), "2026-09-30T16:00:00Z");
        assert_eq!(moment("1970-01-01T00:00:00", UtcOffset::CHINA), None);
        assert_eq!(moment("2026-10-01 00:00:00", UtcOffset::CHINA), None);
    }

    #[test]
    fn a_bar_in_the_last_column_belongs_to_the_job_name() {
        let declared = utc();
        let text = "JobID|State|JobName\n7|COMPLETED|a|b|c\n";
        let listing = read(text, &declared);
        assert_eq!(listing.refused, []);
        assert_eq!(listing.allocations[0].state, "COMPLETED");
    }

    #[test]
    fn a_bar_elsewhere_is_refused_with_the_remedy() {
        let declared = utc();
        let listing = read(
            "JobID|JobName|State\n7|a|b|COMPLETED\n8|a|COMPLETED\n",
            &declared,
        );
        assert_eq!(listing.refused[0].code, RowCode::Fields);
        assert_eq!(listing.refused[0].line, 2);
        assert_eq!(listing.allocations.len(), 1);
    }

    #[test]
    fn a_final_bar_is_not_a_column() {
        let declared = utc();
        let listing = read(
            "JobID|State|JobName|\n7|COMPLETED|a|b|\n8.0|COMPLETED|x|\n",
            &declared,
        );
        assert_eq!((listing.allocations.len(), listing.steps), (1, 1));
        assert_eq!(listing.refused, []);
    }

    #[test]
    fn an_export_without_a_header_refuses_every_row() {
        let declared = utc();
        let listing = read("7|COMPLETED\n8|COMPLETED\n", &declared);
        assert_eq!(listing.refused.len(), 2);
        assert_eq!(listing.refused[0].code, RowCode::Column);
    }
}
