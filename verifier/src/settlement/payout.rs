//! Paying: instructed to the bank, executed, or returned by it (DESIGN §4.1).

use super::debt::{Netted, Settling};
use super::draft::Draft;
use super::{Inconsistency, Money, Outcome};
use crate::id::{BatchId, FundId, PartyId};
use crate::ledger::Account;
use crate::money::Fen;
use crate::refusal::{Code, Refusal};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A payment within a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// To whom.
    pub party: PartyId,
    /// From which fund.
    pub fund: FundId,
    /// How much.
    pub fen: Fen,
}

/// How far a batch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchState {
    /// The bank has been told.
    Instructed,
    /// The bank has paid.
    Executed,
    /// The bank has brought the money back.
    Returned,
}

/// A payout batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// How far it has come.
    pub state: BatchState,
    /// Its payments.
    pub payments: Vec<Payment>,
}

impl Batch {
    /// Whether the bank has been told and has not answered.
    #[must_use]
    pub fn is_instructed(&self) -> bool {
        self.state == BatchState::Instructed
    }
}

/// A batch to instruct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruct {
    /// Its id, drawn by the caller.
    pub batch: BatchId,
    /// Whom to pay, all that is payable.
    pub parties: Vec<PartyId>,
    /// From which fund; absent: from all.
    pub fund: Option<FundId>,
}

/// A batch as instructed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instructed {
    /// The payments.
    pub payments: Vec<Payment>,
    /// What was netted before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub netted: Vec<Netted>,
}

/// A batch as executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Executed {
    /// What arrived: less than instructed by what is owed since.
    pub amount: Fen,
}

/// A batch as returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Returned {
    /// What is payable again.
    pub amount: Fen,
    /// What had become owed meanwhile, payment by payment of the batch; empty: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<Payment>,
}

impl Money {
    /// Nets, then instructs all that is payable to the parties: payable → transit. Nothing is paid where something is
    /// owed.
    /// # Errors
    /// `payout.nothing` where neither netting nor paying moves anything, `payout.owed`
    pub fn instruct(&self, at: Timestamp, ask: &Instruct) -> Result<Outcome<Instructed>, Refusal> {
        let mut draft = Draft::new(self);
        let mut found = Instructed {
            payments: Vec::new(),
            netted: Vec::new(),
        };
        let mut parties = ask.parties.clone();
        parties.sort_unstable();
        parties.dedup();
        let funds = self
            .funds
            .keys()
            .filter(|fund| ask.fund.as_ref().is_none_or(|of| of == *fund));
        let funds: Vec<_> = funds.collect();
        for party in parties {
            for fund in &funds {
                found.netted.extend(self.net(&mut draft, at, party, fund)?);
                let fen = pay(&mut draft, ask.batch, party, fund)?;
                let fund = (*fund).clone();
                found
                    .payments
                    .extend((!fen.is_zero()).then_some(Payment { party, fund, fen }));
            }
        }
        if found.payments.is_empty() && found.netted.is_empty() {
            return Err(Refusal::new(
                Code::PayoutNothing,
                "nothing is payable to these parties",
            ));
        }
        draft.finish(found)
    }

    /// Applies an instruction.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_instruct(
        &mut self,
        ask: &Instruct,
        outcome: &Outcome<Instructed>,
    ) -> Result<(), Inconsistency> {
        let payments = outcome.found.payments.clone();
        let batch = Batch {
            state: BatchState::Instructed,
            payments,
        };
        if self.batches.insert(ask.batch, batch).is_some() {
            return Err(Inconsistency::new("state", "the batch is there already"));
        }
        self.post_netted(
            &outcome.found.netted,
            (&outcome.postings, &outcome.counters),
        )?;
        // (4): what is paid now is not owed back.
        for payment in &outcome.found.payments {
            let owed = Account::Owed(payment.party, payment.fund.clone());
            if !self.balance(&owed).is_zero() {
                return Err(Inconsistency::new(
                    "(4)",
                    format!("a payout while {owed} is not zero"),
                ));
            }
        }
        Ok(())
    }

    /// The bank has paid: transit → paid.
    /// # Errors
    /// `batch.unknown` `batch.state`
    pub fn execute(&self, id: BatchId) -> Result<Outcome<Executed>, Refusal> {
        let batch = self.batch(id)?;
        if batch.state != BatchState::Instructed {
            return Err(batch_state("only an instructed batch can be executed", id));
        }
        let mut draft = Draft::new(self);
        let mut amount = Fen::ZERO;
        for payment in &batch.payments {
            let transit = Account::Transit(id, payment.party, payment.fund.clone());
            let fen = draft.balance(&transit);
            draft.transfer(
                &transit,
                &Account::Paid(payment.party, payment.fund.clone()),
                fen,
            )?;
            amount = amount.plus(fen)?;
        }
        draft.finish(Executed { amount })
    }

    /// Applies an execution.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_execute(
        &mut self,
        id: BatchId,
        outcome: &Outcome<Executed>,
    ) -> Result<(), Inconsistency> {
        self.batch_mut(id)?.state = BatchState::Executed;
        self.post_standing(&outcome.postings, &outcome.counters, &[])
    }

    /// The bank has brought a batch back: what had become owed meanwhile goes to its order or fund, the rest is payable
    /// again.
    /// # Errors
    /// `batch.unknown` `batch.state`
    pub fn give_back(&self, at: Timestamp, id: BatchId) -> Result<Outcome<Returned>, Refusal> {
        let batch = self.batch(id)?;
        if batch.state == BatchState::Returned {
            return Err(batch_state("the batch has been returned already", id));
        }
        let mut draft = Draft::new(self);
        let mut found = Returned {
            amount: Fen::ZERO,
            owed: Vec::new(),
        };
        for payment in &batch.payments {
            let (party, fund) = (payment.party, &payment.fund);
            let owes = draft.balance(&Account::Owed(party, fund.clone()));
            let (from, owed) = match batch.state {
                BatchState::Instructed => {
                    let transit = Account::Transit(id, party, fund.clone());
                    let gone = payment.fen.minus(draft.balance(&transit))?;
                    (transit, gone)
                }
                BatchState::Executed | BatchState::Returned => {
                    (Account::Paid(party, fund.clone()), payment.fen.min(owes))
                }
            };
            let payable = payment.fen.minus(owed)?;
            if owed > owes || payable > draft.balance(&from) {
                let sentence =
                    "part of this batch has been recovered otherwise; correct that first";
                return Err(batch_state(sentence, id));
            }
            draft.transfer(&from, &Account::Payable(party, fund.clone()), payable)?;
            self.debts_returned(&mut draft, at, (party, fund), owed)?;
            found.amount = found.amount.plus(payable)?;
            if !owed.is_zero() {
                found.owed.push(Payment {
                    party,
                    fund: fund.clone(),
                    fen: owed,
                });
            }
        }
        draft.finish(found)
    }

    /// Applies a return.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_give_back(
        &mut self,
        id: BatchId,
        outcome: &Outcome<Returned>,
    ) -> Result<(), Inconsistency> {
        self.batch_mut(id)?.state = BatchState::Returned;
        let owed = outcome.found.owed.iter();
        let owed = owed.map(|payment| ((payment.party, payment.fund.clone()), payment.fen));
        let owed: Vec<_> = owed.collect();
        self.post_settled(
            (&owed, Settling::Returned),
            (&outcome.postings, &outcome.counters),
            &[],
        )
    }

    fn batch_mut(&mut self, id: BatchId) -> Result<&mut Batch, Inconsistency> {
        self.batches
            .get_mut(&id)
            .ok_or_else(|| Inconsistency::new("state", "no such batch"))
    }
}

/// Instructs all that is payable to a party from a fund: nothing where it still owes the fund.
fn pay(
    draft: &mut Draft<'_>,
    batch: BatchId,
    party: PartyId,
    fund: &FundId,
) -> Result<Fen, Refusal> {
    let payable = Account::Payable(party, fund.clone());
    let fen = draft.balance(&payable);
    let owed = draft.balance(&Account::Owed(party, fund.clone()));
    if !fen.is_zero() && !owed.is_zero() {
        let sentence = format!("the party owes the fund {owed} fen");
        return Err(Refusal::new(Code::PayoutOwed, sentence).with("owed", owed));
    }
    draft.transfer(&payable, &Account::Transit(batch, party, fund.clone()), fen)?;
    Ok(fen)
}

fn batch_state(sentence: &str, id: BatchId) -> Refusal {
    Refusal::new(Code::BatchState, sentence).with("batch", id)
}

packed! {
    Payment { party, fund, fen }
    Batch { state, payments }
}
packed_enum!(BatchState { 0 => Instructed, 1 => Executed, 2 => Returned });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Salt;

    #[test]
    fn nothing_is_paid_where_the_party_owes_the_fund() {
        let salt = Salt::new([1; 16]);
        let (batch, party) = (BatchId::draw(&salt, 0, 0), PartyId::draw(&salt, 0, 0));
        let fund = FundId::parse("city").unwrap();
        let mut money = Money::new();
        let fen = Fen::new(5).unwrap();
        money
            .balances
            .insert(Account::Payable(party, fund.clone()), fen);
        let paid = pay(&mut Draft::new(&money), batch, party, &fund);
        assert_eq!(paid, Ok(fen));
        money
            .balances
            .insert(Account::Owed(party, fund.clone()), fen);
        let refused = pay(&mut Draft::new(&money), batch, party, &fund);
        assert_eq!(refused.unwrap_err().code, Code::PayoutOwed);
    }
}
