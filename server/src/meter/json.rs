//! `sacct --json`, Slurm 23.11 and newer (facts/metering.md §1.5).
//!
//! The form changes with every release: a number is a number or `{"set","infinite","number"}`, a state a word or a list.
//! What we do not use is passed over. Times are UNIX seconds, so no zone has to be declared.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;
use verifier::time::Timestamp;

use super::row::{Allocation, Field, Listing, RefusedRow, RowCode};

/// A file that is not `sacct --json` output at all.
#[derive(Debug)]
pub struct NotSacctJson(serde_json::Error);

impl fmt::Display for NotSacctJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not the output of sacct --json: {}", self.0)
    }
}

impl std::error::Error for NotSacctJson {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Reads an export. A job that cannot be read is refused alone.
/// # Errors
/// [`NotSacctJson`] where there is no list of jobs.
pub fn read(text: &str) -> Result<Listing<'_>, NotSacctJson> {
    let dump: Dump<'_> = serde_json::from_str(text).map_err(NotSacctJson)?;
    let mut listing = Listing::default();
    for (line, raw) in (1_u64..).zip(dump.jobs) {
        match serde_json::from_str::<Job<'_>>(raw.get()) {
            Ok(job) => {
                listing.steps += u64::try_from(job.steps.len()).unwrap_or(u64::MAX);
                listing.allocations.push(job.allocation(line));
            }
            Err(error) => listing.refused.push(RefusedRow {
                line,
                job: String::new(),
                code: RowCode::Malformed,
                sentence: format!("not a job as Slurm 23.11 and newer write it: {error}"),
            }),
        }
    }
    Ok(listing)
}

#[derive(Deserialize)]
struct Dump<'a> {
    #[serde(borrow)]
    jobs: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Job<'a> {
    job_id: u64,
    #[serde(borrow, default)]
    cluster: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    account: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    sluid: Option<Cow<'a, str>>,
    #[serde(default)]
    array: Option<Array>,
    time: Time,
    state: JobState,
    tres: Tres,
    #[serde(borrow, default)]
    steps: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Array {
    #[serde(default)]
    job_id: u64,
    #[serde(default)]
    task_id: Option<Number>,
    /// What is left of an array, `8-9`.
    #[serde(default)]
    task: Option<String>,
}

#[derive(Deserialize)]
struct Time {
    start: Number,
    end: Number,
    elapsed: Number,
    #[serde(default)]
    suspended: Option<Number>,
}

#[derive(Deserialize)]
struct JobState {
    current: Words,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Tres {
    #[serde(default)]
    allocated: Vec<TresItem>,
}

#[derive(Deserialize)]
struct TresItem {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    count: i64,
}

/// A number as Slurm's JSON writes it, which depends on the release and on the field.
#[derive(Deserialize, Clone, Copy)]
#[serde(untagged)]
enum Number {
    Plain(i64),
    Marked {
        set: bool,
        #[serde(default)]
        infinite: bool,
        #[serde(default)]
        number: i64,
    },
}

impl Number {
    fn get(self) -> Option<i64> {
        match self {
            Self::Plain(number) => Some(number),
            Self::Marked {
                set: true,
                infinite: false,
                number,
            } => Some(number),
            Self::Marked { .. } => None,
        }
    }

    fn moment(self) -> Field<Timestamp> {
        match self.get() {
            // Zero stands for "not started" and "not ended".
            None | Some(0) => Field::Unset,
            Some(unix) => Timestamp::new(unix).map_or(Field::Bad, Field::Is),
        }
    }
}

impl<'a> Job<'a> {
    fn allocation(self, line: u64) -> Allocation<'a> {
        let job = match &self.array {
            Some(Array {
                job_id: root @ 1..,
                task_id,
                task,
            }) => match (task_id.and_then(Number::get), task.as_deref()) {
                (Some(task), _) => format!("{root}_{task}"),
                (None, Some("") | None) => root.to_string(),
                (None, Some(rest)) => format!("{root}_[{rest}]"),
            },
            Some(_) | None => self.job_id.to_string(),
        };
        let filled = |text: Option<Cow<'a, str>>| text.filter(|text| !text.is_empty());
        Allocation {
            line,
            job: Cow::Owned(job),
            raw: Some(Cow::Owned(self.job_id.to_string())),
            sluid: filled(self.sluid),
            cluster: filled(self.cluster),
            account: filled(self.account),
            state: Cow::Owned(match self.state.current {
                Words::One(word) => word,
                Words::Many(words) => words.into_iter().next().unwrap_or_default(),
            }),
            start: self.time.start.moment(),
            end: self.time.end.moment(),
            elapsed: self.time.elapsed.get().map_or(Field::Unset, Field::Is),
            suspended: match self.time.suspended {
                None => Field::Absent,
                Some(number) => number.get().map_or(Field::Unset, Field::Is),
            },
            tres: Some(Cow::Owned(tres_text(&self.tres.allocated))),
        }
    }
}

/// Writes the list as `AllocTRES` has it, so that one rule reads both. A negative count means "not set".
fn tres_text(items: &[TresItem]) -> String {
    let set = items.iter().filter(|item| item.count >= 0);
    let texts: Vec<String> = set
        .map(|item| match item.name.as_deref() {
            None | Some("") => format!("{}={}", item.kind, item.count),
            Some(name) => format!("{}/{name}={}", item.kind, item.count),
        })
        .collect();
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DUMP: &str = include_str!("../../../fixtures/usage/west2-2026-10.json");

    #[test]
    fn numbers_are_read_in_both_spellings() {
        let both = [
            ("7", Some(7)),
            (r#"{"set":true,"infinite":false,"number":7}"#, Some(7)),
            (r#"{"set":false,"infinite":false,"number":7}"#, None),
            (r#"{"set":true,"infinite":true,"number":7}"#, None),
        ];
        for (text, expected) in both {
            assert_eq!(
                serde_json::from_str::<Number>(text).unwrap().get(),
                expected
            );
        }
    }

    #[test]
    fn a_list_of_tres_is_written_as_sacct_prints_it() {
        let listing = read(DUMP).unwrap();
        let tres = listing.allocations[0].tres.as_deref().unwrap();
        assert_eq!(
            tres,
            "cpu=96,mem=786432,node=1,billing=96,gres/gpu=8,gres/gpu:mxc500=8"
        );
    }

    #[test]
    fn a_damaged_job_is_refused_alone_and_a_damaged_file_whole() {
        let listing = read(DUMP).unwrap();
        assert_eq!(listing.allocations.len() + 1, 11);
        assert_eq!(listing.refused[0].code, RowCode::Malformed);
        assert!(read(&DUMP[..DUMP.len() / 2]).is_err());
        assert!(read("{}").is_err());
    }

    proptest! {
        #[test]
        fn no_change_of_a_byte_makes_it_panic(place in 0..DUMP.len(), byte in 0_u8..128) {
            let mut bytes = DUMP.as_bytes().to_vec();
            bytes[place] = byte;
            if let Ok(text) = String::from_utf8(bytes) {
                let _ = read(&text);
            }
        }
    }
}
