//! Cases: matters that wait for people; here with a single stage (DESIGN §4.5).

use crate::book::command::CaseSubject;
use crate::id::{ActorId, PartyId};
use crate::time::Timestamp;

/// How far a case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It waits.
    Open,
    /// It was decided.
    Decided {
        /// Yes or no.
        approved: bool,
        /// By whose credential.
        by: ActorId,
        /// When.
        at: Timestamp,
    },
    /// Whoever opened it took it back.
    Withdrawn,
}

/// A case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Whose matter it is.
    pub party: PartyId,
    /// The credential that opened it.
    pub opened_by: ActorId,
    /// When.
    pub opened_at: Timestamp,
    /// What it is about.
    pub subject: CaseSubject,
    /// How far it is.
    pub progress: Progress,
}

packed!(Case {
    party,
    opened_by,
    opened_at,
    subject,
    progress
});
packed_enum!(Progress { 0 => Open, 1 => Decided { approved, by, at }, 2 => Withdrawn });
