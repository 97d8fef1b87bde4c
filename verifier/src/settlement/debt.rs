//! What parties owe: recalled from orders or clawed back; netted, paid back in cash, or written off (DESIGN §4.1).
//!
//! Debts of one party and fund stand in line, the oldest first, and sum to the owed account.

use super::apply::Standing;
use super::counter::CounterMoves;
use super::draft::Draft;
use super::moving::Back;
use super::order::Source;
use super::{Inconsistency, Money, Outcome};
use crate::id::{FundId, OrderId, PartyId, ProgrammeId};
use crate::ledger::{Account, ClaimIndex, Postings};
use crate::money::{Fen, Overflow};
use crate::programme::schema::{Known, RecoveredTo};
use crate::refusal::{Code, Refusal};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Why something is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DebtKind {
    /// It was paid, and a correction says that it is no longer earned: the order may earn it again.
    Recalled,
    /// It was taken back for good.
    Clawed,
}

/// One debt of a party to a fund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debt {
    /// Why.
    pub kind: DebtKind,
    /// The order.
    pub order: OrderId,
    /// The claim.
    pub claim: ClaimIndex,
    /// How much is still owed.
    pub fen: Fen,
}

/// Netting of one party and fund, as found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Netted {
    /// The party.
    pub party: PartyId,
    /// The fund.
    pub fund: FundId,
    /// What of the debts is settled.
    #[serde(default, skip_serializing_if = "Fen::is_zero_ref")]
    pub owed: Fen,
    /// What of the advance is earned now.
    #[serde(default, skip_serializing_if = "Fen::is_zero_ref")]
    pub advance: Fen,
}

/// Cash that came back, or a debt that is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repay {
    /// The debtor.
    pub party: PartyId,
    /// The fund.
    pub fund: FundId,
    /// How much.
    pub fen: Fen,
}

/// What is left of the debts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repaid {
    /// What the party still owes the fund.
    pub owed: Fen,
}

/// How a debt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settling {
    /// Against what is payable, or by money that the bank brought back: an order's own goes back to it.
    Returned,
    /// By cash, or not at all: the order has lost it.
    Lost,
}

impl Money {
    /// Receives cash: owed → fund or treasury, as the programme of each debt says.
    /// # Errors
    /// `fund.unknown` `recovery.exceeds` `programme.needs-procedure`
    pub fn recover(&self, ask: &Repay) -> Result<Outcome<Repaid>, Refusal> {
        self.check_repay(ask)?;
        let owed = Account::Owed(ask.party, ask.fund.clone());
        let mut draft = Draft::new(self);
        for debt in self.oldest(ask.party, &ask.fund, ask.fen)? {
            let to = match self.recovered_to(&debt)? {
                RecoveredTo::Fund => Account::Fund(ask.fund.clone()),
                RecoveredTo::Treasury => {
                    Account::Treasury(self.funder(&ask.fund)?.clone(), ask.fund.clone())
                }
            };
            draft.transfer(&owed, &to, debt.fen)?;
        }
        let left = draft.balance(&owed);
        draft.finish(Repaid { owed: left })
    }

    /// Applies a recovery.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_recover(
        &mut self,
        ask: &Repay,
        outcome: &Outcome<Repaid>,
    ) -> Result<(), Inconsistency> {
        let settled = [((ask.party, ask.fund.clone()), ask.fen)];
        let moves = (&outcome.postings, &outcome.counters);
        self.post_settled((&settled, Settling::Lost), moves, &[])
    }

    /// Gives up a debt: owed → paid.
    /// # Errors
    /// `fund.unknown` `recovery.exceeds`
    pub fn write_off(&self, ask: &Repay) -> Result<Outcome<Repaid>, Refusal> {
        self.check_repay(ask)?;
        let owed = Account::Owed(ask.party, ask.fund.clone());
        let mut draft = Draft::new(self);
        draft.transfer(&owed, &Account::Paid(ask.party, ask.fund.clone()), ask.fen)?;
        let left = draft.balance(&owed);
        draft.finish(Repaid { owed: left })
    }

    /// Applies a write-off.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_write_off(
        &mut self,
        ask: &Repay,
        outcome: &Outcome<Repaid>,
    ) -> Result<(), Inconsistency> {
        let settled = [((ask.party, ask.fund.clone()), ask.fen)];
        let moves = (&outcome.postings, &outcome.counters);
        self.post_settled((&settled, Settling::Lost), moves, &settled)
    }

    fn check_repay(&self, ask: &Repay) -> Result<(), Refusal> {
        super::fund::positive(ask.fen)?;
        self.funder(&ask.fund)?;
        let owed = self.balance(&Account::Owed(ask.party, ask.fund.clone()));
        if ask.fen > owed {
            let sentence = format!("{} fen are more than the {owed} that are owed", ask.fen);
            return Err(Refusal::new(Code::RecoveryExceeds, sentence).with("owed", owed));
        }
        Ok(())
    }

    fn recovered_to(&self, debt: &Debt) -> Result<RecoveredTo, Refusal> {
        let claim = self.order(debt.order)?.claim(debt.claim)?;
        let programme = self.programme_version(&claim.programme, claim.version)?;
        match programme
            .clawback
            .as_ref()
            .map(|clawback| clawback.recovered_to)
        {
            None => Ok(RecoveredTo::Fund),
            Some(Known::Known(to)) => Ok(to),
            Some(Known::Unknown) => {
                let sentence = "the programme does not say where recovered money goes";
                Err(Refusal::new(Code::ProgrammeNeedsProcedure, sentence)
                    .with("path", "clawback.recovered_to"))
            }
        }
    }

    /// The oldest debts of a party to a fund, cut to an amount.
    fn oldest(&self, party: PartyId, fund: &FundId, fen: Fen) -> Result<Vec<Debt>, Overflow> {
        let mut left = fen;
        let mut oldest = Vec::new();
        // Few parties owe anything, and those that do owe for one or two orders.
        let debts = self.debts.get(&(party, fund.clone()));
        for debt in debts.into_iter().flatten() {
            let part = left.min(debt.fen);
            if !part.is_zero() {
                oldest.push(Debt {
                    fen: part,
                    ..debt.clone()
                });
                left = left.minus(part)?;
            }
        }
        if left.is_zero() {
            Ok(oldest)
        } else {
            Err(Overflow)
        }
    }

    /// Nets what is payable to a party against what it owes the same fund, then against its advance.
    pub(super) fn net(
        &self,
        draft: &mut Draft<'_>,
        at: Timestamp,
        party: PartyId,
        fund: &FundId,
    ) -> Result<Option<Netted>, Refusal> {
        let payable = Account::Payable(party, fund.clone());
        let owed = Account::Owed(party, fund.clone());
        let paid = Account::Paid(party, fund.clone());
        let settled = draft.balance(&payable).min(draft.balance(&owed));
        for debt in self.oldest(party, fund, settled)? {
            let to = self.debt_goes_to(draft, at, &debt, fund)?;
            draft.transfer(&payable, &to, debt.fen)?;
            draft.transfer(&owed, &paid, debt.fen)?;
        }
        let advance = Account::Advance(party, fund.clone());
        let earned = draft.balance(&payable).min(draft.balance(&advance));
        draft.transfer(&payable, &Account::Fund(fund.clone()), earned)?;
        draft.transfer(&advance, &paid, earned)?;
        let nothing = settled.is_zero() && earned.is_zero();
        let fund = fund.clone();
        Ok((!nothing).then_some(Netted {
            party,
            fund,
            owed: settled,
            advance: earned,
        }))
    }

    /// Where the money of a debt belongs that is settled by money: back to its order, or to the fund.
    pub(super) fn debt_goes_to(
        &self,
        draft: &Draft<'_>,
        at: Timestamp,
        debt: &Debt,
        fund: &FundId,
    ) -> Result<Account, Refusal> {
        if debt.kind == DebtKind::Clawed {
            return Ok(Account::Fund(fund.clone()));
        }
        let order = self.order(debt.order)?;
        let claim = order.claim(debt.claim)?;
        let back = Back::of(draft, order, claim, at);
        Ok(back.account(debt.order, debt.claim, fund))
    }

    /// Money of a debt that the bank brought back: owed → hold, voucher or fund.
    pub(super) fn debts_returned(
        &self,
        draft: &mut Draft<'_>,
        at: Timestamp,
        (party, fund): (PartyId, &FundId),
        fen: Fen,
    ) -> Result<(), Refusal> {
        let owed = Account::Owed(party, fund.clone());
        for debt in self.oldest(party, fund, fen)? {
            let to = self.debt_goes_to(draft, at, &debt, fund)?;
            draft.transfer(&owed, &to, debt.fen)?;
        }
        Ok(())
    }

    /// Posts an entry that settled debts of parties, the oldest first, and checks the holds that it touched.
    pub(super) fn post_settled(
        &mut self,
        (settled, how): (&[Standing], Settling),
        (postings, counters): (&Postings, &CounterMoves),
        standing: &[Standing],
    ) -> Result<(), Inconsistency> {
        let mut touched = Vec::new();
        for ((party, fund), fen) in settled {
            for debt in self.oldest(*party, fund, *fen)? {
                self.forget_debt((*party, fund), &debt)?;
                self.settle_claim(fund, &debt, how)?;
                touched.push((debt.order, debt.claim));
            }
        }
        self.post_standing(postings, counters, standing)?;
        touched
            .iter()
            .try_for_each(|(order, claim)| self.check_hold(*order, *claim))
    }

    /// Takes a debt off what its claim remembers as recalled.
    fn settle_claim(
        &mut self,
        fund: &FundId,
        debt: &Debt,
        how: Settling,
    ) -> Result<(), Inconsistency> {
        if debt.kind == DebtKind::Clawed {
            return Ok(());
        }
        let order = self.order_mut(debt.order)?;
        let ended = order.closed;
        let claim = order.claims.get_mut(usize::from(debt.claim));
        let claim = claim.ok_or_else(|| Inconsistency::new("state", "no such claim"))?;
        let holds = claim.source != Source::Settlement;
        let sums = claim.sums.funds.iter_mut().find(|sums| sums.fund == *fund);
        let sums = sums.ok_or_else(|| Inconsistency::new("state", "no such fund"))?;
        sums.recalled = sums.recalled.minus(debt.fen)?;
        match how {
            // Back in the hold; of an order that has ended, on to the voucher or fund.
            Settling::Returned if ended && holds => {
                sums.released = sums.released.plus(debt.fen)?;
            }
            Settling::Returned => {}
            Settling::Lost => sums.gone = sums.gone.plus(debt.fen)?,
        }
        Ok(())
    }

    /// Notes a debt; one claim's debts of a kind to one fund are one.
    pub(super) fn note_debt(
        &mut self,
        (party, fund): (PartyId, &FundId),
        debt: Debt,
    ) -> Result<(), Overflow> {
        if debt.fen.is_zero() {
            return Ok(());
        }
        let debts = self.debts.entry((party, fund.clone())).or_default();
        match debts.iter_mut().find(|have| have.is_like(&debt)) {
            Some(have) => have.fen = have.fen.plus(debt.fen)?,
            None => debts.push(debt),
        }
        Ok(())
    }

    /// Takes an amount off one claim's debt.
    pub(super) fn forget_debt(
        &mut self,
        (party, fund): (PartyId, &FundId),
        debt: &Debt,
    ) -> Result<(), Inconsistency> {
        let key = (party, fund.clone());
        let nothing = || Inconsistency::new("state", "a debt is settled that nobody owes");
        let debts = self.debts.get_mut(&key).ok_or_else(nothing)?;
        let have = debts
            .iter_mut()
            .find(|have| have.is_like(debt))
            .ok_or_else(nothing)?;
        have.fen = have.fen.minus(debt.fen)?;
        if have.fen.is_negative() {
            return Err(nothing());
        }
        debts.retain(|debt| !debt.fen.is_zero());
        if debts.is_empty() {
            self.debts.remove(&key);
        }
        Ok(())
    }
}

impl Debt {
    fn is_like(&self, other: &Self) -> bool {
        self.kind == other.kind && self.order == other.order && self.claim == other.claim
    }

    /// The programme that a debt came from.
    #[must_use]
    pub fn programme<'a>(&self, money: &'a Money) -> Option<&'a ProgrammeId> {
        let order = money.orders.get(&self.order)?;
        order
            .claims
            .get(usize::from(self.claim))
            .map(|claim| &claim.programme)
    }
}

packed!(Debt {
    kind,
    order,
    claim,
    fen
});
packed_enum!(DebtKind { 0 => Recalled, 1 => Clawed });
