//! What an act would do, on top of the money as it is: later steps of one act see the earlier ones.

use super::counter::CounterKey;
use super::{Money, Outcome};
use crate::ledger::{Account, Postings};
use crate::money::Fen;
use crate::refusal::{Code, Refusal};
use std::collections::BTreeMap;

/// Movements that are decided but not applied.
pub(super) struct Draft<'a> {
    /// The money before the act.
    pub(super) money: &'a Money,
    moves: BTreeMap<Account, Fen>,
    counts: BTreeMap<CounterKey, i64>,
}

impl<'a> Draft<'a> {
    pub(super) const fn new(money: &'a Money) -> Self {
        Self {
            money,
            moves: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }

    /// The balance after what is decided so far.
    pub(super) fn balance(&self, account: &Account) -> Fen {
        let moved = self.moves.get(account).copied().unwrap_or_default();
        // Both are in range and so is the sum: `transfer` has checked it.
        self.money.balance(account).plus(moved).unwrap_or_default()
    }

    /// The counter after what is decided so far.
    pub(super) fn counter(&self, key: &CounterKey) -> i64 {
        let moved = self.counts.get(key).copied().unwrap_or_default();
        self.money.counters.get(key).saturating_add(moved)
    }

    /// The accounts that money was moved into or out of so far.
    pub(super) fn moved(&self) -> impl Iterator<Item = &Account> {
        self.moves.keys()
    }

    /// Moves money of one fund.
    /// # Errors
    /// `fund.exhausted` where the source holds less, `amount.overflow`.
    pub(super) fn transfer(
        &mut self,
        from: &Account,
        to: &Account,
        fen: Fen,
    ) -> Result<(), Refusal> {
        if fen.is_zero() {
            return Ok(());
        }
        if fen.is_negative() || from.fund() != to.fund() {
            let sentence = format!("{fen} fen cannot move from {from} to {to}");
            return Err(Refusal::new(Code::AmountOverflow, sentence));
        }
        let left = self.balance(from).minus(fen)?;
        if left.is_negative() && !from.may_be_negative() {
            let sentence = format!("{from} holds {}, {fen} fen are needed", self.balance(from));
            return Err(Refusal::new(Code::FundExhausted, sentence)
                .with("account", from)
                .with("fen", fen));
        }
        self.balance(to).plus(fen)?;
        self.add(from, fen.negated())?;
        self.add(to, fen)
    }

    fn add(&mut self, account: &Account, fen: Fen) -> Result<(), Refusal> {
        match self.moves.get_mut(account) {
            Some(moved) => *moved = moved.plus(fen)?,
            None => {
                self.moves.insert(account.clone(), fen);
            }
        }
        Ok(())
    }

    /// Raises or lowers a counter.
    pub(super) fn count(&mut self, key: &CounterKey, by: i64) {
        let moved = self.counts.entry(key.clone()).or_default();
        *moved = moved.saturating_add(by);
    }

    /// Ends the act.
    /// # Errors
    /// `amount.overflow`
    pub(super) fn finish<F>(self, found: F) -> Result<Outcome<F>, Refusal> {
        let postings = Postings::sum(self.moves)
            .map_err(|fault| Refusal::new(Code::AmountOverflow, fault.to_string()))?;
        let counters = self.counts.into_iter().filter(|(_, by)| *by != 0).collect();
        Ok(Outcome {
            postings,
            counters,
            found,
        })
    }
}
