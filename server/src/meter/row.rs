//! What one row of an export says, and why a row is refused (facts/metering.md §1.4).
//!
//! Both readers (`sacct`, `json`) fill the same [`Allocation`]; `run` judges it. A refusal concerns one row, never the
//! file, and has a line number, a stable code and a sentence for the person who runs the cluster.

use std::borrow::Cow;
use std::fmt;
use verifier::time::Timestamp;

/// A field of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<T> {
    /// The export has no such column.
    Absent,
    /// Slurm's `None`, `Unknown` or an empty field: not set.
    Unset,
    /// There is a text, and it is not of the kind that the column holds.
    Bad,
    /// A value.
    Is(T),
}

/// One allocation of an export: a job, array task or heterogeneous component; never a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation<'a> {
    /// The line of a text export, from 1, or the place in the `jobs` of a JSON one.
    pub line: u64,
    /// `JobID`: `123`, `123_7`, `123+1` or, for what is left of an array, `123_[8-9]`.
    pub job: Cow<'a, str>,
    /// `JobIDRaw`, if the export has it: the number that is unique at one time.
    pub raw: Option<Cow<'a, str>>,
    /// `SLUID`, if the export has it.
    pub sluid: Option<Cow<'a, str>>,
    /// The cluster.
    pub cluster: Option<Cow<'a, str>>,
    /// The account.
    pub account: Option<Cow<'a, str>>,
    /// The state with whatever follows it, `CANCELLED by 1000`.
    pub state: Cow<'a, str>,
    /// When it started.
    pub start: Field<Timestamp>,
    /// When it ended.
    pub end: Field<Timestamp>,
    /// Seconds it ran, without suspension.
    pub elapsed: Field<i64>,
    /// Seconds it was suspended.
    pub suspended: Field<i64>,
    /// `AllocTRES`; `None` where the export has no such column.
    pub tres: Option<Cow<'a, str>>,
}

/// What a reader found in one export.
#[derive(Debug, Default)]
pub struct Listing<'a> {
    /// The allocations, in order.
    pub allocations: Vec<Allocation<'a>>,
    /// Rows that could not even be taken apart.
    pub refused: Vec<RefusedRow>,
    /// Steps (`123.batch`, `123.0`), which repeat their job's GPUs and are passed over.
    pub steps: u64,
}

macro_rules! row_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a row cannot become a run. Stable: never renamed, never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum RowCode {
            $($(#[$doc])* $name,)*
        }

        impl RowCode {
            /// Every code, in the order of checks.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

row_codes! {
    /// The row is longer than a reader takes, or is not an object of a job.
    Malformed = "row.malformed",
    /// The row has more or fewer fields than the header.
    Fields = "row.fields",
    /// A column without which nothing can be metered is missing.
    Column = "row.column",
    /// The head of an array, or what is left of it: its tasks are rows of their own.
    ArrayRoot = "row.array-root",
    /// The cluster is not in `meter.toml`.
    Cluster = "row.cluster",
    /// A state that Slurm does not have.
    State = "row.state",
    /// The job was cancelled or is waiting; it held nothing.
    NeverStarted = "row.never-started",
    /// The job still runs: its figures grow with every call.
    Open = "row.open",
    /// A time that cannot be: unreadable, an end before its start, an end in the future.
    Time = "row.time",
    /// A duration that cannot be read, or is negative.
    Duration = "row.duration",
    /// `AllocTRES` contradicts itself.
    Tres = "row.tres",
    /// No row of this cluster names GPUs: its accounting does not see them.
    GpusInvisible = "row.gpus-invisible",
    /// A job without GPUs.
    NoGpus = "row.no-gpus",
    /// The account has no order in `meter.toml`.
    Account = "row.account",
    /// The GPU type has no model in `meter.toml`.
    GresType = "row.gres-type",
    /// The export does not say which run it is: `JobIDRaw` is missing.
    RunName = "row.run-name",
    /// Started and ended in the same second.
    NoUse = "row.no-use",
    /// Another row states other figures for the same run.
    Contradicts = "row.contradicts",
    /// Two runs of one job at one time: one export was truncated (`-T`) and the other was not.
    Truncated = "row.truncated",
    /// The run was already metered for another order.
    OtherOrder = "row.other-order",
    /// More runs at one moment than a receipt can name.
    Crowded = "row.crowded",
}

impl fmt::Display for RowCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A row that was not metered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    /// The line, as in [`Allocation::line`].
    pub line: u64,
    /// The job as its row names it; empty where that cannot be read.
    pub job: String,
    /// Why.
    pub code: RowCode,
    /// Why, with the figures, and what to do.
    pub sentence: String,
}

impl RefusedRow {
    /// Refuses an allocation.
    #[must_use]
    pub fn of(allocation: &Allocation<'_>, code: RowCode, sentence: impl Into<String>) -> Self {
        Self {
            line: allocation.line,
            job: allocation.job.to_string(),
            code,
            sentence: sentence.into(),
        }
    }
}

impl fmt::Display for RefusedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, job {}: {}: {}",
            self.line, self.job, self.code, self.sentence
        )
    }
}
