//! Why nothing was decided, or why nothing more will be.

use std::fmt;
use verifier::book::Inconsistency;
use verifier::refusal::Refusal;
use verifier::time::Timestamp;

use super::batch::Answer;
use crate::cause::faults_from;
use crate::clock::ClockFault;
use crate::faults::Crash;
use crate::store::StoreFault;

/// We broke: the callers are told to come back, the log is told all.
#[derive(Debug)]
pub enum Fault {
    /// The database.
    Store(StoreFault),
    /// This machine's clock or generator.
    Clock(ClockFault),
    /// This machine's clock and the database's are too far apart to decide anything by time.
    Skew {
        /// The time here.
        here: Timestamp,
        /// The time there.
        database: Timestamp,
    },
    /// The newest entry lies in the future: a clock is, or was, wrong.
    Future {
        /// The newest entry's time.
        head: Timestamp,
        /// The time now.
        now: Timestamp,
    },
    /// An entry of the log contradicts the rules.
    Inconsistent(Inconsistency),
    /// An entry of the log is not in the one spelling.
    Spelling(u64, Refusal),
    /// The log, its head and the book in memory contradict each other.
    Log(String),
    /// The store belongs to another origin.
    Origin {
        /// The store's, if it has one.
        found: Option<String>,
        /// The settings'.
        asked: String,
    },
    /// Entry 0 was refused.
    Unopened(Refusal),
    /// The book is not in memory; the next step loads it.
    Unloaded,
    /// The process is dead, in a test.
    Crash(Crash),
}

impl Fault {
    /// Whether going on could make it worse: the server stops writing at once and a person looks.
    #[must_use]
    pub const fn stops_writing(&self) -> bool {
        match self {
            Self::Inconsistent(_) | Self::Spelling(..) | Self::Log(_) | Self::Origin { .. } => true,
            Self::Store(fault) => matches!(fault, StoreFault::Inconsistent(_)),
            Self::Clock(_) | Self::Skew { .. } | Self::Future { .. } => false,
            Self::Unopened(_) | Self::Unloaded | Self::Crash(_) => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(_) => f.write_str("the database failed"),
            Self::Clock(fault) => fault.fmt(f),
            Self::Skew { here, database } => write!(
                f,
                "this machine's clock says {here}, the database's {database}; set the clocks right"
            ),
            Self::Future { head, now } => write!(
                f,
                "the newest entry was written at {head}, and now it is {now}; set the clocks right or wait"
            ),
            Self::Inconsistent(fault) => write!(f, "the log contradicts the rules: {fault}"),
            Self::Spelling(seq, refusal) => write!(f, "entry {seq} of the log: {refusal}"),
            Self::Log(what) => write!(f, "the log contradicts itself: {what}"),
            Self::Origin { found, asked } => write!(
                f,
                "the store belongs to {}, the setting says {asked}; one store is one log for ever",
                found.as_deref().unwrap_or("nobody yet")
            ),
            Self::Unopened(refusal) => write!(f, "entry 0 was refused: {refusal}"),
            Self::Unloaded => f.write_str("the book is being loaded"),
            Self::Crash(crash) => crash.fmt(f),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(fault) => Some(fault),
            Self::Inconsistent(fault) => Some(fault),
            Self::Spelling(_, refusal) | Self::Unopened(refusal) => Some(refusal),
            Self::Clock(_) | Self::Skew { .. } | Self::Future { .. } | Self::Log(_) => None,
            Self::Origin { .. } | Self::Unloaded | Self::Crash(_) => None,
        }
    }
}

faults_from! { StoreFault => Store, ClockFault => Clock, Crash => Crash }

/// Why a batch ended without a commit.
pub(super) enum Stop {
    /// Nothing is known to be durable.
    Fault(Fault),
    /// Nothing was to be written: every request is refused, or known already.
    Unchanged(Vec<Answer>),
    /// This request's decision could not be applied; the others are decided anew without it.
    Poison {
        /// Which request of the batch.
        index: usize,
        /// What went wrong.
        why: String,
    },
}

impl<F: Into<Fault>> From<F> for Stop {
    fn from(fault: F) -> Self {
        Self::Fault(fault.into())
    }
}
