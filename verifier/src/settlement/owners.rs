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

/// The accounts of an order in one class, empty or not, in order.
fn reserved(
    id: OrderId,
    order: &Order,
    account: fn(OrderId, u8, FundId) -> Account,
) -> impl Iterator<Item = Account> {
    let claims = (0_u8..).zip(&order.claims);
    claims.flat_map(move |(claim, of)| {
        let funds = of.sums.funds.iter().map(|sums| &sums.fund);
        sorted(funds, |fund| account(id, claim, fund))
    })
}

/// The accounts of a few funds, in order.
fn sorted<'a>(
    funds: impl Iterator<Item = &'a FundId>,
    account: impl Fn(FundId) -> Account,
) -> Vec<Account> {
    let mut accounts: Vec<Account> = funds.map(|fund| account(fund.clone())).collect();
    accounts.sort_unstable();
    accounts
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

    /// Those, and what stands in its vouchers and is reserved for the orders that it buys; none is empty. In the order of
    /// accounts, one by one: a page of them costs a page.
    pub fn balances_of(&self, party: PartyId) -> impl Iterator<Item = (Account, Fen)> {
        let named = move |classes: &'static [&'static str]| {
            let named = self.accounts_of(party);
            let of_class = named.filter(|(account, _)| classes.contains(&account.class()));
            of_class.map(|(account, _)| account.clone())
        };
        let of_orders = move |account: fn(OrderId, u8, FundId) -> Account| {
            let traded = self.orders_of(party);
            let orders = traded.filter_map(|id| Some((id, self.orders.get(&id)?)));
            let bought = orders.filter(move |(_, order)| order.buyer.party == party);
            bought.flat_map(move |(id, order)| reserved(id, order, account))
        };
        let vouchers = self.vouchers_of(party);
        let of_vouchers = vouchers.flat_map(|(id, voucher)| {
            sorted(voucher.funds.iter(), |fund| Account::Voucher(id, fund))
        });
        let accounts = named(&["advance"])
            .chain(of_orders(Account::Disputed))
            .chain(named(&["earned"]))
            .chain(of_orders(Account::Hold))
            .chain(named(&["owed", "paid", "payable", "transit"]))
            .chain(of_vouchers);
        let balances = accounts.map(|account| (self.balance(&account), account));
        let there = balances.filter(|(fen, _)| !fen.is_zero());
        there.map(|(fen, account)| (account, fen))
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
