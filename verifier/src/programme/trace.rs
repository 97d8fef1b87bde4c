//! One line a rule that ran: keys and numbers, no sentences; pages translate (DESIGN §4.6).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::settle::Plain;
use crate::money::Fen;

/// What a rule did, in the member order of the trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceLine {
    /// The rule: a step of the pipeline, or that and the id of the rule (`require.local`).
    pub rule: String,
    /// What it read, by name.
    #[serde(rename = "in")]
    pub input: BTreeMap<String, Plain>,
    /// What came out; absent where nothing did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub out: Option<Plain>,
    /// Which of the programme's legal documents it rests on.
    pub legal: u8,
    /// What became of it.
    pub status: TraceStatus,
}

/// What became of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceStatus {
    /// It holds, or it gave its amount.
    Passed,
    /// It says no.
    Failed,
    /// It needs what nobody has recorded: a case decides.
    Unknown,
}

impl TraceLine {
    /// A line of a rule that has read nothing yet and rests on the first document.
    #[must_use]
    pub fn new(rule: impl Into<String>, status: TraceStatus) -> Self {
        Self {
            rule: rule.into(),
            input: BTreeMap::new(),
            out: None,
            legal: 0,
            status,
        }
    }

    /// Adds what the rule read.
    #[must_use]
    pub fn read(mut self, name: &str, value: impl Into<Plain>) -> Self {
        self.input.insert(name.to_owned(), value.into());
        self
    }

    /// Sets what came out.
    #[must_use]
    pub fn gave(mut self, value: impl Into<Plain>) -> Self {
        self.out = Some(value.into());
        self
    }
}

impl From<bool> for Plain {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Plain {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<Fen> for Plain {
    fn from(value: Fen) -> Self {
        Self::Int(value.get())
    }
}

impl From<&str> for Plain {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Plain {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_members_of_the_trail_in_their_order() {
        let line = TraceLine::new("base", TraceStatus::Passed)
            .read("metered", 7_i64)
            .gave(7_i64);
        let text = r#"{"rule":"base","in":{"metered":7},"out":7,"legal":0,"status":"passed"}"#;
        assert_eq!(serde_json::to_string(&line).unwrap(), text);
        assert_eq!(serde_json::from_str::<TraceLine>(text).unwrap(), line);
    }
}
