//! Whose what is: look-ups beside the money, so that a read of one's own does not go through everybody's.
//!
//! They are a function of vouchers, orders and balances, each kept at the one place where these grow or move, and made anew by
//! [`Money::check_invariants`]. Nothing is decided by them but where to look.

use super::{Inconsistency, Money};
use crate::id::{FundId, OrderId, PartyId, VoucherId};
use crate::ledger::Account;
use crate::money::{Fen, Overflow};
use crate::settlement::order::Order;
use crate::settlement::voucher::Voucher;
use std::collections::{BTreeMap, BTreeSet};

/// The look-ups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Owners {
    /// The vouchers of each holder, also ended ones.
    vouchers: BTreeMap<PartyId, BTreeSet<VoucherId>>,
    /// The orders that each party buys or sells, also closed ones.
    orders: BTreeMap<PartyId, BTreeSet<OrderId>>,
    /// The accounts in each party's name that are not empty.
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

    /// An account went from one balance to another.
    pub(super) fn moved(
        &mut self,
        account: &Account,
        (before, after): (Fen, Fen),
    ) -> Result<(), Overflow> {
        self.classed(account, after.minus(before)?)?;
        if before.is_zero() == after.is_zero() {
            return Ok(());
        }
        let Some(party) = account.party() else {
            return Ok(());
        };
        let accounts = self.accounts.entry(party).or_default();
        if after.is_zero() {
            accounts.remove(account);
        } else {
            accounts.insert(account.clone());
        }
        if accounts.is_empty() {
            self.accounts.remove(&party);
        }
        Ok(())
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

/// The accounts of an order, empty or not.
fn reserved(id: OrderId, order: &Order) -> impl Iterator<Item = Account> {
    let claims = (0_u8..).zip(&order.claims);
    let funds = claims.flat_map(|(claim, of)| of.sums.funds.iter().map(move |sums| (claim, sums)));
    funds.flat_map(move |(claim, sums)| {
        let fund = || sums.fund.clone();
        [
            Account::Hold(id, claim, fund()),
            Account::Disputed(id, claim, fund()),
        ]
    })
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

    /// The accounts in a party's own name that are not empty: what is coming to it, what it was paid, what it owes.
    pub fn accounts_of(&self, party: PartyId) -> impl Iterator<Item = (&Account, Fen)> {
        let named = self.owners.accounts.get(&party).into_iter().flatten();
        named.map(|account| (account, self.balance(account)))
    }

    /// Those, and what stands in its vouchers and is reserved for the orders that it buys; none is empty.
    #[must_use]
    pub fn balances_of(&self, party: PartyId) -> BTreeMap<Account, Fen> {
        let named = self.accounts_of(party).map(|(account, _)| account.clone());
        let vouchers = self.vouchers_of(party).flat_map(|(id, voucher)| {
            let funds = voucher.funds.iter();
            funds.map(move |fund| Account::Voucher(id, fund.clone()))
        });
        let bought = self.orders_of(party).filter_map(|id| {
            let order = self.orders.get(&id)?;
            (order.buyer.party == party).then_some((id, order))
        });
        let reserved = bought.flat_map(|(id, order)| reserved(id, order));
        let accounts = named.chain(vouchers).chain(reserved);
        let balances = accounts.map(|account| (self.balance(&account), account));
        balances
            .filter(|(fen, _)| !fen.is_zero())
            .map(|(fen, account)| (account, fen))
            .collect()
    }

    /// What stands in the accounts of a fund, by class; the classes sum to zero.
    #[must_use]
    pub fn classes(&self, fund: &FundId) -> BTreeMap<&'static str, Fen> {
        self.owners.classes.get(fund).cloned().unwrap_or_default()
    }

    /// The look-ups are those that everything gives anew.
    pub(super) fn check_owners(&self) -> Result<(), Inconsistency> {
        let mut anew = Owners::default();
        for (id, voucher) in &self.vouchers {
            anew.hold(voucher.holder.party, *id);
        }
        for (id, order) in &self.orders {
            anew.trade([order.buyer.party, order.seller], *id);
        }
        for (account, fen) in &self.balances {
            anew.moved(account, (Fen::ZERO, *fen))?;
        }
        if anew != self.owners {
            let sentence = "the look-ups by party and fund are not those of what is there";
            return Err(Inconsistency::new("look-up", sentence));
        }
        Ok(())
    }
}
