//! The money of the exchange: balances and counters (DESIGN §4.1, §4.2).

pub mod counter;

use std::collections::BTreeMap;

use crate::ledger::{Account, Postings};
use crate::money::Fen;
use counter::CounterKey;

/// All balances and counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Money {
    balances: BTreeMap<Account, Fen>,
    counters: BTreeMap<CounterKey, i64>,
}

impl Money {
    /// What stands in an account.
    #[must_use]
    pub fn balance(&self, account: &Account) -> Fen {
        self.balances.get(account).copied().unwrap_or(Fen::ZERO)
    }

    /// Every account that is not empty.
    pub fn balances(&self) -> impl Iterator<Item = (&Account, Fen)> {
        self.balances.iter().map(|(account, fen)| (account, *fen))
    }

    /// Moves what an entry says.
    /// # Errors
    /// A sentence: a balance or counter would be below zero.
    pub fn post(
        &mut self,
        postings: &Postings,
        counters: &[(CounterKey, i64)],
    ) -> Result<(), String> {
        for (account, fen) in postings.legs() {
            let after = self
                .balance(account)
                .plus(*fen)
                .map_err(|fault| fault.to_string())?;
            if after.is_negative() && !account.may_be_negative() {
                return Err(format!("{account} would be {after}"));
            }
            if after.is_zero() {
                self.balances.remove(account);
            } else {
                self.balances.insert(account.clone(), after);
            }
        }
        for (key, by) in counters {
            let after = self
                .counters
                .get(key)
                .copied()
                .unwrap_or(0)
                .saturating_add(*by);
            if after < 0 {
                return Err(format!("a counter would be {after}"));
            }
            self.counters.insert(key.clone(), after);
        }
        Ok(())
    }
}
