//! Whose what is: look-ups beside the money, so that a read of one's own does not go through everybody's.
//!
//! They are a function of vouchers, orders and balances, each kept at the one place where these grow or move, and made anew by
//! [`Money::check_invariants`]. Nothing is decided by them but where to look.

use super::{Inconsistency, Money};
use crate::id::{FundId, OrderId, PartyId, VoucherId};
use crate::ledger::Account;
use crate::money::{Fen, Overflow};
use crate::settlement::voucher::Voucher;
use std::collections::{BTreeMap, BTreeSet};

/// The look-ups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Owners {
    /// The vouchers of each holder, also ended ones.
    vouchers: BTreeMap<PartyId, BTreeSet<VoucherId>>,
    /// The orders that each party buys or sells, also closed ones.
    orders: BTreeMap<PartyId, BTreeSet<OrderId>>,
    /// The accounts of each party that are not empty.
    accounts: BTreeMap<PartyId, BTreeSet<Account>>,
    /// What stands in the accounts of each fund, by class.
    classes: BTreeMap<FundId, BTreeMap<&'static str, Fen>>,
}

impl Owners {
    pub(super) fn hold(&mut self, holder: PartyId, voucher: VoucherId) {
        self.vouchers.entry(holder).or_default().insert(voucher);
    }

    pub(super) fn trade(&mut self, sides: [PartyId; 2], order: OrderId) {
        for side in sides {
            self.orders.entry(side).or_default().insert(order);
        }
    }

    fn fill(&mut self, party: PartyId, account: &Account) {
        let accounts = self.accounts.entry(party).or_default();
        accounts.insert(account.clone());
    }

    fn empty(&mut self, party: PartyId, account: &Account) {
        if let Some(accounts) = self.accounts.get_mut(&party) {
            accounts.remove(account);
            if accounts.is_empty() {
                self.accounts.remove(&party);
            }
        }
    }

    fn classed(&mut self, account: &Account, by: Fen) -> Result<(), Overflow> {
        let (fund, class) = (account.fund(), account.class());
        if !self.classes.contains_key(fund) {
            self.classes.insert(fund.clone(), BTreeMap::new());
        }
        let Some(classes) = self.classes.get_mut(fund) else {
            return Ok(());
        };
        let sum = classes.entry(class).or_default();
        *sum = sum.plus(by)?;
        if sum.is_zero() {
            classes.remove(class);
        }
        if classes.is_empty() {
            self.classes.remove(fund);
        }
        Ok(())
    }
}

impl Money {
    /// The vouchers that a party holds, also ended ones.
    pub fn vouchers_of(&self, party: PartyId) -> impl Iterator<Item = (VoucherId, &Voucher)> {
        let held = self.owners.vouchers.get(&party).into_iter().flatten();
        held.filter_map(|id| Some((*id, self.vouchers.get(id)?)))
    }

    /// The orders that a party buys or sells, also closed ones.
    pub fn orders_of(&self, party: PartyId) -> impl Iterator<Item = OrderId> {
        let traded = self.owners.orders.get(&party).into_iter().flatten();
        traded.copied()
    }

    /// A party's accounts that are not empty, in order: those in its name, its vouchers', those of the orders that it buys, and
    /// what is frozen of what it was to be paid.
    pub fn accounts_of(&self, party: PartyId) -> impl Iterator<Item = (&Account, Fen)> {
        let owned = self.owners.accounts.get(&party).into_iter().flatten();
        owned.map(|account| (account, self.balance(account)))
    }

    /// Whose money stands in an account; nobody's while it is the public's.
    fn owner(&self, account: &Account) -> Option<PartyId> {
        match account {
            Account::Advance(party, _)
            | Account::Earned(_, party, ..)
            | Account::Owed(party, _)
            | Account::Paid(party, _)
            | Account::Payable(party, _)
            | Account::Transit(_, party, _) => Some(*party),
            Account::Voucher(voucher, _) => Some(self.vouchers.get(voucher)?.holder.party),
            Account::Hold(order, ..) => Some(self.orders.get(order)?.buyer.party),
            Account::Disputed(order, claim, _) => {
                Some(self.orders.get(order)?.claim(*claim).ok()?.payee)
            }
            Account::Fund(_) | Account::Treasury(..) => None,
        }
    }

    /// An account went from one balance to another.
    pub(super) fn moved(
        &mut self,
        account: &Account,
        (before, after): (Fen, Fen),
    ) -> Result<(), Overflow> {
        self.owners.classed(account, after.minus(before)?)?;
        if before.is_zero() == after.is_zero() {
            return Ok(());
        }
        match self.owner(account) {
            Some(party) if after.is_zero() => self.owners.empty(party, account),
            Some(party) => self.owners.fill(party, account),
            None => {}
        }
        Ok(())
    }

    /// What stands in the accounts of a fund, by class; the classes sum to zero.
    #[must_use]
    pub fn classes(&self, fund: &FundId) -> BTreeMap<&'static str, Fen> {
        self.owners.classes.get(fund).cloned().unwrap_or_default()
    }

    /// The look-ups that everything gives.
    pub(super) fn owners_anew(&self) -> Result<Owners, Overflow> {
        let mut anew = Owners::default();
        for (id, voucher) in &self.vouchers {
            anew.hold(voucher.holder.party, *id);
        }
        for (id, order) in &self.orders {
            anew.trade([order.buyer.party, order.seller], *id);
        }
        for (account, fen) in &self.balances {
            anew.classed(account, *fen)?;
            if let Some(party) = self.owner(account) {
                anew.fill(party, account);
            }
        }
        Ok(anew)
    }

    /// The look-ups are those that everything gives anew.
    pub(super) fn check_owners(&self) -> Result<(), Inconsistency> {
        if self.owners_anew()? != self.owners {
            let sentence = "the look-ups by party and fund are not those of what is there";
            return Err(Inconsistency::new("look-up", sentence));
        }
        Ok(())
    }
}
