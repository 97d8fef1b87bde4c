//! Awards to the supply side: a case gives money without an order (DESIGN §4.1).

use super::draft::Draft;
use super::{Inconsistency, Money, Outcome};
use crate::id::{FundId, PartyId, ProgrammeId};
use crate::ledger::Account;
use crate::money::Fen;
use crate::refusal::Refusal;
use crate::time::{NamedPeriod, Timestamp};
use serde::{Deserialize, Serialize};

/// What a case gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Award {
    /// The programme.
    pub programme: ProgrammeId,
    /// To whom.
    pub party: PartyId,
    /// From which fund.
    pub fund: FundId,
    /// How much.
    pub fen: Fen,
    /// The period that it belongs to; absent: the one of the entry.
    pub period: Option<NamedPeriod>,
}

/// An award as made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Awarded {
    /// The period that it belongs to.
    pub period: NamedPeriod,
}

impl Money {
    /// Awards: fund → earned.
    /// # Errors
    /// `programme.missing` `fund.unknown` `fund.exhausted`
    pub fn award(&self, at: Timestamp, ask: &Award) -> Result<Outcome<Awarded>, Refusal> {
        let programme = self.programme(&ask.programme)?;
        self.funder(&ask.fund)?;
        let own = super::moving::period_of(programme, at);
        let period = ask
            .period
            .filter(|period| !self.is_closed(ask.party, *period))
            .unwrap_or(own);
        let mut draft = Draft::new(self);
        let earned = Account::Earned(ask.programme.clone(), ask.party, ask.fund.clone(), period);
        let fen = super::fund::positive(ask.fen)?;
        draft.transfer(&Account::Fund(ask.fund.clone()), &earned, fen)?;
        draft.finish(Awarded { period })
    }

    /// Applies an award.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_award(
        &mut self,
        ask: &Award,
        outcome: &Outcome<Awarded>,
    ) -> Result<(), Inconsistency> {
        let standing = [((ask.party, ask.fund.clone()), ask.fen)];
        self.post_standing(&outcome.postings, &outcome.counters, &standing)
    }
}
