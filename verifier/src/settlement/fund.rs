//! Appropriations: money comes from a treasury, and what is free goes back (DESIGN §4.1).

use super::counter::CounterMoves;
use super::draft::Draft;
use super::{Inconsistency, Money, Outcome};
use crate::id::{FundId, FunderId};
use crate::ledger::Account;
use crate::money::Fen;
use crate::refusal::{Code, Refusal};
use serde::{Deserialize, Serialize};

/// Money to put into a fund, or to take out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundMove {
    /// The fund.
    pub fund: FundId,
    /// How much, > 0.
    pub fen: Fen,
}

/// What is free in the fund afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FundMoved {
    /// The balance of `fund/{fund}`.
    pub free: Fen,
}

impl Money {
    /// Notes a fund and who fills it.
    pub fn open_fund(&mut self, fund: FundId, funder: FunderId) {
        self.funds.insert(fund, funder);
    }

    /// Puts money into a fund: treasury → fund.
    /// # Errors
    /// `fund.unknown` `amount.overflow`
    pub fn appropriate(&self, ask: &FundMove) -> Result<Outcome<FundMoved>, Refusal> {
        let (treasury, fund) = self.accounts(&ask.fund)?;
        let mut draft = Draft::new(self);
        draft.transfer(&treasury, &fund, positive(ask.fen)?)?;
        let free = draft.balance(&fund);
        draft.finish(FundMoved { free })
    }

    /// Takes what is free out of a fund: fund → treasury.
    /// # Errors
    /// `fund.unknown` `fund.exhausted`
    pub fn lapse(&self, ask: &FundMove) -> Result<Outcome<FundMoved>, Refusal> {
        let (treasury, fund) = self.accounts(&ask.fund)?;
        let mut draft = Draft::new(self);
        draft.transfer(&fund, &treasury, positive(ask.fen)?)?;
        let free = draft.balance(&fund);
        draft.finish(FundMoved { free })
    }

    /// Applies an appropriation or a lapse.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_fund_move(&mut self, outcome: &Outcome<FundMoved>) -> Result<(), Inconsistency> {
        self.post_standing(&outcome.postings, &outcome.counters, &[])
    }

    fn accounts(&self, fund: &FundId) -> Result<(Account, Account), Refusal> {
        let funder = self.funder(fund)?;
        Ok((
            Account::Treasury(funder.clone(), fund.clone()),
            Account::Fund(fund.clone()),
        ))
    }

    pub(super) fn funder(&self, fund: &FundId) -> Result<&FunderId, Refusal> {
        self.funds.get(fund).ok_or_else(|| {
            Refusal::new(Code::FundUnknown, "no such fund; its funder opens it first")
                .with("fund", fund)
        })
    }
}

/// Refuses an amount that moves nothing.
pub(super) fn positive(fen: Fen) -> Result<Fen, Refusal> {
    if fen > Fen::ZERO {
        return Ok(fen);
    }
    let sentence = format!("{fen} fen move nothing; give an amount above zero");
    Err(Refusal::new(Code::RequestMalformed, sentence).with("fen", fen))
}

/// Adds a draft's counter moves to a list, summed and sorted.
pub fn merge_counters(to: &mut CounterMoves, more: CounterMoves) {
    for (key, by) in more {
        match to.binary_search_by(|(have, _)| have.cmp(&key)) {
            Ok(index) => {
                if let Some((_, sum)) = to.get_mut(index) {
                    *sum = sum.saturating_add(by);
                }
            }
            Err(index) => to.insert(index, (key, by)),
        }
    }
    to.retain(|(_, by)| *by != 0);
}
