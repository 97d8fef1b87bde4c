//! Clawback: a share of what was paid for a claim is taken back for good (DESIGN §4.4).

use super::claim::ClaimFound;
use super::draft::Draft;
use super::statement::Statement;
use super::{Inconsistency, Money, Outcome};
use crate::id::OrderId;
use crate::ledger::{Account, ClaimIndex, nested_split};
use crate::money::{BasisPoints, Fen};
use crate::programme::subsidy;
use crate::refusal::{Code, Refusal};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What to take back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClawBack {
    /// The order.
    pub order: OrderId,
    /// The claim.
    pub claim: ClaimIndex,
    /// The share of what is granted and paid.
    pub share: BasisPoints,
}

/// What was taken back, and the statement after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClawedBack {
    /// The amount.
    pub amount: Fen,
    /// The claims; the clawed one names the amount fund by fund.
    pub claims: Vec<ClaimFound>,
}

impl Money {
    /// Takes back a share of min(granted, paid), split by those balances: paid → owed; then states the order anew.
    /// # Errors
    /// `order.unknown` `order.claims` `clawback.nothing` `amount.overflow`
    pub fn claw_back(&self, at: Timestamp, ask: &ClawBack) -> Result<Outcome<ClawedBack>, Refusal> {
        let order = self.order(ask.order)?;
        let claim = order.claim(ask.claim)?;
        let paid = |fund: &crate::id::FundId| Account::Paid(claim.payee, fund.clone());
        let funds = &claim.sums.funds;
        let mut within = Vec::with_capacity(funds.len());
        for sums in funds {
            // What is frozen was not paid: a case decides on it.
            let frozen = Account::Disputed(ask.order, ask.claim, sums.fund.clone());
            let kept = sums.granted.minus(self.balance(&frozen))?.max(Fen::ZERO);
            within.push(kept.min(self.balance(&paid(&sums.fund))));
        }
        let all = within.iter().copied().try_fold(Fen::ZERO, Fen::plus)?;
        let amount = subsidy::share(all, ask.share)?;
        if amount.is_zero() {
            let sentence =
                format!("{all} fen of this claim are paid; there is nothing to take back");
            return Err(Refusal::new(Code::ClawbackNothing, sentence).with("paid", all));
        }
        let clawed = nested_split(amount, &within)?;
        let mut draft = Draft::new(self);
        for (sums, part) in funds.iter().zip(&clawed) {
            let owed = Account::Owed(claim.payee, sums.fund.clone());
            draft.transfer(&paid(&sums.fund), &owed, *part)?;
        }
        let first = ClaimFound {
            claim: ask.claim,
            clawed,
            ..ClaimFound::default()
        };
        let mut statement = Statement::new(&mut draft, at, (ask.order, order), &order.sums)?;
        statement.start_with(vec![first])?;
        let claims = statement.run()?;
        draft.finish(ClawedBack { amount, claims })
    }

    /// Applies a clawback.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_claw_back(
        &mut self,
        at: Timestamp,
        ask: &ClawBack,
        outcome: &Outcome<ClawedBack>,
    ) -> Result<(), Inconsistency> {
        let moves = (&outcome.postings, &outcome.counters);
        self.apply_claims(at, ask.order, &outcome.found.claims, moves)
    }
}
