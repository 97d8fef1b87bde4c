//! The states of a Slurm job (sacct(1), JOB STATE CODES; facts/metering.md §1.4).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// States in which a job has ended, by Slurm's own words (sacct(1), JOB STATE CODES).
const ENDED: [&str; 11] = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REQUEUED",
    "REVOKED",
    "TIMEOUT",
];
/// States in which it has not.
const OPEN: [&str; 13] = [
    "PENDING",
    "RUNNING",
    "SUSPENDED",
    "RESIZING",
    "COMPLETING",
    "CONFIGURING",
    "REQUEUE_HOLD",
    "REQUEUE_FED",
    "SIGNALING",
    "SPECIAL_EXIT",
    "STAGE_OUT",
    "STOPPED",
    "RESV_DEL_HOLD",
];
/// The state of a job, one word, as its receipts name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct State(&'static str);

impl State {
    /// Reads the first word of a state. A word that was cut ends in `+` and is good while only one state begins so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let word = text.split_whitespace().next()?.to_ascii_uppercase();
        let mut all = ENDED.iter().chain(&OPEN);
        match word.strip_suffix('+') {
            None => all.find(|known| **known == word).map(|known| Self(known)),
            Some(cut) => {
                let mut fitting = all.filter(|known| known.starts_with(cut));
                let first = fitting.next()?;
                if fitting.next().is_none() {
                    Some(Self(first))
                } else {
                    None
                }
            }
        }
    }

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether the job has ended.
    #[must_use]
    pub fn is_ended(self) -> bool {
        ENDED.contains(&self.0)
    }

    /// Whether an order pays for such a job unless its terms say otherwise (DESIGN §5: not these two).
    #[must_use]
    pub fn is_paid_by_default(self) -> bool {
        !matches!(self.0, "NODE_FAIL" | "BOOT_FAIL")
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a Slurm state"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Option<&'static str> {
        State::parse(text).map(State::as_str)
    }

    #[test]
    fn the_first_word_counts_in_any_case() {
        assert_eq!(word("CANCELLED by 1000"), Some("CANCELLED"));
        assert_eq!(word("node_fail"), Some("NODE_FAIL"));
        assert_eq!(word("WARPED"), None);
        assert_eq!(word("COMPLETE"), None);
        assert_eq!(word(""), None);
    }

    #[test]
    fn a_cut_word_is_read_while_it_is_unambiguous() {
        assert_eq!(word("CANCELLED+"), Some("CANCELLED"));
        assert_eq!(word("OUT_OF_ME+"), Some("OUT_OF_MEMORY"));
        assert_eq!(word("COMPLET+"), None);
        assert_eq!(word("REQUEUE+"), None);
        assert_eq!(word("+"), None);
    }

    #[test]
    fn every_state_fits_a_receipt() {
        for state in ENDED.iter().chain(&OPEN) {
            assert!(
                state.len() <= 24 && state.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
            );
            assert_eq!(
                State::parse(state).is_some_and(State::is_ended),
                ENDED.contains(state)
            );
        }
    }
}
