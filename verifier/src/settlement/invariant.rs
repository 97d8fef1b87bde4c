//! The invariants of DESIGN §4.4, recomputed from everything: for tests, and for an auditor at the end of a trail.

use super::{Inconsistency, Money};
use crate::id::{FundId, PartyId};
use crate::ledger::Account;
use crate::money::Fen;
use std::collections::BTreeMap;

impl Money {
    /// Checks every invariant over all accounts, claims and counters.
    /// # Errors
    /// The first [`Inconsistency`].
    pub fn check_invariants(&self) -> Result<(), Inconsistency> {
        self.check_funds()?;
        for (id, order) in &self.orders {
            for (index, _) in (0_u8..).zip(&order.claims) {
                self.check_hold(*id, index)?;
            }
        }
        self.check_standing()?;
        self.check_debts()?;
        self.check_caps()?;
        self.check_owners()
    }

    /// (1): per fund all accounts sum to zero, and all but the treasury's are ≥ 0.
    fn check_funds(&self) -> Result<(), Inconsistency> {
        let mut sums: BTreeMap<&FundId, i128> = BTreeMap::new();
        for (account, fen) in &self.balances {
            *sums.entry(account.fund()).or_default() += fen.wide();
            if fen.is_negative() && !account.may_be_negative() {
                return Err(Inconsistency::new("(1)", format!("{account} holds {fen}")));
            }
        }
        match sums.iter().find(|(_, sum)| **sum != 0) {
            Some((fund, sum)) => Err(Inconsistency::new(
                "(1)",
                format!("fund {fund} sums to {sum}, not to zero"),
            )),
            None => Ok(()),
        }
    }

    /// (3): earned + payable + transit + paid + disputed = Σ granted + awards + written off, and granted is Σ of the
    /// claims.
    fn check_standing(&self) -> Result<(), Inconsistency> {
        let mut sums: BTreeMap<(PartyId, FundId), Fen> = BTreeMap::new();
        for (account, fen) in &self.balances {
            let party = match account {
                Account::Earned(_, party, _, _)
                | Account::Payable(party, _)
                | Account::Transit(_, party, _)
                | Account::Paid(party, _) => *party,
                Account::Disputed(order, claim, _) => self.order(*order)?.claim(*claim)?.payee,
                Account::Advance(..)
                | Account::Fund(_)
                | Account::Hold(..)
                | Account::Owed(..)
                | Account::Treasury(..)
                | Account::Voucher(..) => continue,
            };
            let sum = sums.entry((party, account.fund().clone())).or_default();
            *sum = sum.plus(*fen)?;
        }
        sums.retain(|_, fen| !fen.is_zero());
        if sums != self.standing {
            return Err(Inconsistency::new(
                "(3)",
                "what parties stand at is not what they were granted",
            ));
        }
        Ok(())
    }

    /// The debts of each party and fund sum to its owed account, and the recalled ones to what claims remember.
    fn check_debts(&self) -> Result<(), Inconsistency> {
        let mut owed: BTreeMap<(PartyId, FundId), Fen> = BTreeMap::new();
        for (account, fen) in &self.balances {
            if let Account::Owed(party, fund) = account {
                owed.insert((*party, fund.clone()), *fen);
            }
        }
        let mut sums = BTreeMap::new();
        for (key, debts) in &self.debts {
            let sum = debts
                .iter()
                .try_fold(Fen::ZERO, |sum, debt| sum.plus(debt.fen))?;
            sums.insert(key.clone(), sum);
        }
        if owed != sums {
            return Err(Inconsistency::new(
                "(3)",
                "the debts do not sum to what is owed",
            ));
        }
        Ok(())
    }

    /// (5): each cap counter is what left the funds less what was released to them, over all vouchers and claims.
    fn check_caps(&self) -> Result<(), Inconsistency> {
        let mut sums: BTreeMap<&super::counter::CounterKey, i64> = BTreeMap::new();
        let vouchers = self
            .vouchers
            .values()
            .flat_map(|voucher| voucher.draws.iter());
        let claims = self.orders.values().flat_map(|order| &order.claims);
        let claims = claims.flat_map(|claim| claim.sums.draws.iter());
        for (key, fen) in vouchers.chain(claims) {
            let sum = sums.entry(key).or_default();
            *sum = sum.saturating_add(fen.get());
        }
        for (key, value) in self.counters.iter() {
            let cap = key.as_str().starts_with("cap/") && !key.as_str().ends_with("/redeemed");
            if cap && sums.get(key).copied().unwrap_or(0) != value {
                let sentence = format!("counter {key} shows {value}, {:?} left", sums.get(key));
                return Err(Inconsistency::new("(5)", sentence));
            }
        }
        Ok(())
    }
}
