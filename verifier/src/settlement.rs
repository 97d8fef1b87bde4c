//! Every fen: the pure machine that moves money between funds, vouchers, orders and parties (DESIGN §4.1, §4.2, §4.4).
//!
//! [`Money`] is the part of the book that this machine keeps. Every act is a pair: a function on `&self` that decides
//! and returns an [`Outcome`] (postings, counters, what was found) or a [`Refusal`], and one on `&mut self` that applies
//! `(at, ask, outcome)` *without deciding again* and checks the invariants of what it touched. `apply_x` after `x`, or
//! years later from the same entry, leaves an equal `Money`. Found types are serde structs in the member order of the
//! trail; asks are plain structs that the caller fills from the command (`holder`, `tiers`, `city` come from facts, so an
//! entry must keep them beside the found).
//!
//! | entry | decide | apply | found |
//! | --- | --- | --- | --- |
//! | `fund.opened` | – | `open_fund(fund, funder)` | – |
//! | `fund.appropriated` `fund.lapsed` | `appropriate(&FundMove)` `lapse(&FundMove)` | `apply_fund_move(&Outcome)` | [`fund::FundMoved`] |
//! | `programme.enacted` `.amended` | – | `enact(Programme)` | – |
//! | `voucher.issued` | `issue(at, &Issue)` | `apply_issue(at, &Issue, &Outcome)` | [`voucher::Issued`] |
//! | `voucher.expired` `.revoked` | `end_voucher(at, &EndVoucher)` | `apply_end_voucher(..)` | [`voucher::Ended`] |
//! | a quote | `quote(at, &Place)` | – | [`quote::Quoted`] |
//! | `order.placed` | `place(at, &Place)` | `apply_place(..)` | [`place::Placed`] |
//! | `order.amended` | `amend(at, &Amend)` | `apply_amend(..)` | [`statement::Stated`] |
//! | `receipt.accepted` | `receipt(at, &Use)` | `apply_receipt(..)` | [`statement::Stated`] |
//! | a correction | `correct(at, &Correction)` | `apply_correct(..)` | [`statement::Stated`] |
//! | `evidence.recorded` `acceptance.*` | `evidence(at, &Evidence)` | `apply_evidence(..)` | [`statement::Stated`] |
//! | a statement anew | `restate(at, order)` | `apply_restate(..)` | [`statement::Stated`] |
//! | `order.closed` `.cancelled` `.expired` | `close(at, order)` | `apply_close(..)` | [`close::Closed`] |
//! | `statement.closed` | `close_period(at, &ClosePeriod)` | `apply_close_period(..)` | [`period::PeriodClosed`] |
//! | `payout.instructed` | `instruct(at, &Instruct)` | `apply_instruct(..)` | [`payout::Instructed`] |
//! | `payout.executed` `.returned` | `execute(batch)` `give_back(at, batch)` | `apply_execute` `apply_give_back` | [`payout::Executed`] [`payout::Returned`] |
//! | `clawback.made` | `claw_back(at, &ClawBack)` | `apply_claw_back(..)` | [`clawback::ClawedBack`] |
//! | `recovery.received` `writeoff.made` | `recover(&Repay)` `write_off(&Repay)` | `apply_recover` `apply_write_off` | [`debt::Repaid`] |
//! | `key.revoked` as compromised | `freeze(at, &[Doubtful])` | `apply_freeze(..)` | [`freeze::Frozen`] |
//! | what a case decides of it | `rule(at, &[Ruling])` | `apply_rule(..)` | [`freeze::Ruled`] |
//! | an award | `award(at, &Award)` | `apply_award(..)` | [`award::Awarded`] |
//!
//! Counters of a receipt that are not money (site hours, runs) are merged into [`Outcome::counters`] by the caller
//! before the entry is written: `apply_*` adds whatever the entry's counters say.

mod apply;
pub mod award;
pub mod cap;
pub mod claim;
pub mod clawback;
pub mod close;
pub mod counter;
pub mod debt;
mod draft;
pub mod draw;
pub mod evidence;
pub mod freeze;
pub mod fund;
pub mod invariant;
#[cfg(test)]
mod laws;
mod moving;
pub mod order;
mod owners;
pub mod payout;
pub mod period;
pub mod place;
pub mod quote;
mod reserve;
#[cfg(test)]
mod scenarios;
mod settle;
pub mod statement;
#[cfg(test)]
mod stories;
mod value;
pub mod voucher;

use crate::id::{BatchId, FundId, FunderId, OrderId, PartyId, ProgrammeId, VoucherId};
use crate::ledger::{Account, Postings};
use crate::money::Fen;
use crate::packed::{NotPacked, Packed, Unpacker};
use crate::programme::Programme;
use crate::refusal::{Code, Refusal};
use crate::time::NamedPeriod;
use counter::{CounterMoves, Counters};
use debt::Debt;
use order::Order;
use owners::Owners;
use payout::Batch;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use voucher::Voucher;

/// Balances, counters, and what is known of vouchers, orders, batches and closed periods.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Money {
    balances: BTreeMap<Account, Fen>,
    counters: Counters,
    funds: BTreeMap<FundId, FunderId>,
    programmes: BTreeMap<ProgrammeId, Vec<Arc<Programme>>>,
    vouchers: BTreeMap<VoucherId, Voucher>,
    orders: BTreeMap<OrderId, Order>,
    batches: BTreeMap<BatchId, Batch>,
    /// Periods that were closed for a party.
    closed: BTreeSet<(PartyId, NamedPeriod)>,
    /// What each party owes a fund, oldest first; sums to the owed account.
    debts: BTreeMap<(PartyId, FundId), Vec<Debt>>,
    /// The earned accounts that are not empty, by party.
    earned: BTreeMap<PartyId, BTreeSet<(FundId, NamedPeriod, ProgrammeId)>>,
    /// Granted + awarded + written off: what earned, disputed, payable, transit and paid of a party and fund sum to.
    standing: BTreeMap<(PartyId, FundId), Fen>,
    owners: Owners,
}

impl Packed for Money {
    /// Without what comes from elsewhere: the programmes from the log, the look-ups from all the rest.
    fn put(&self, out: &mut Vec<u8>) {
        macro_rules! put {
            ($($field:ident),*) => {{
                let Self { programmes: _, owners: _, $($field),* } = self;
                $($field.put(out);)*
            }};
        }
        put!(
            balances, counters, funds, vouchers, orders, batches, closed, debts, earned, standing
        );
    }

    fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
        let mut money = Self {
            balances: Packed::take(from)?,
            counters: Packed::take(from)?,
            funds: Packed::take(from)?,
            vouchers: Packed::take(from)?,
            orders: Packed::take(from)?,
            batches: Packed::take(from)?,
            closed: Packed::take(from)?,
            debts: Packed::take(from)?,
            earned: Packed::take(from)?,
            standing: Packed::take(from)?,
            programmes: BTreeMap::new(),
            owners: Owners::default(),
        };
        money.owners = money.owners_anew().map_err(|_| NotPacked)?;
        Ok(money)
    }
}

/// What an act does: the zero-sum postings, the counters, and what was worked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<F> {
    /// How money moves.
    pub postings: Postings,
    /// How counters move; sorted, summed, no zero.
    pub counters: CounterMoves,
    /// What was worked out: all that applying needs besides the ask.
    pub found: F,
}

/// A trail or a row that contradicts the rules; the money is then of no further use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inconsistency {
    /// Which invariant is broken, as DESIGN §4.4 numbers them, or `state` for an act on what is not there.
    pub rule: &'static str,
    /// What contradicts what.
    pub sentence: String,
}

impl Inconsistency {
    pub(crate) fn new(rule: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            rule,
            sentence: sentence.into(),
        }
    }
}

impl fmt::Display for Inconsistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.sentence)
    }
}

impl std::error::Error for Inconsistency {}

impl From<crate::money::Overflow> for Inconsistency {
    fn from(overflow: crate::money::Overflow) -> Self {
        Self::new("amount", overflow.to_string())
    }
}

impl From<Refusal> for Inconsistency {
    fn from(refusal: Refusal) -> Self {
        Self::new("state", refusal.to_string())
    }
}

impl Money {
    /// No money at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The balance of an account; zero where nothing was ever posted.
    #[must_use]
    pub fn balance(&self, account: &Account) -> Fen {
        self.balances.get(account).copied().unwrap_or_default()
    }

    /// All accounts that are not empty, ascending.
    pub fn balances(&self) -> impl Iterator<Item = (&Account, Fen)> {
        self.balances.iter().map(|(account, fen)| (account, *fen))
    }

    /// All counters.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Finds the version in force of a programme.
    /// # Errors
    /// `programme.missing`
    pub fn programme(&self, id: &ProgrammeId) -> Result<&Arc<Programme>, Refusal> {
        let versions = self.programmes.get(id).and_then(|versions| versions.last());
        versions.ok_or_else(|| {
            Refusal::new(Code::ProgrammeMissing, "no such programme is enacted")
                .with("programme", id)
        })
    }

    /// Puts a programme in force; earlier vouchers and orders keep the version that they were made under.
    pub fn enact(&mut self, programme: impl Into<Arc<Programme>>) {
        let programme = programme.into();
        let versions = self
            .programmes
            .entry(programme.header.id.clone())
            .or_default();
        versions.push(programme);
    }

    /// All vouchers.
    pub fn vouchers(&self) -> impl Iterator<Item = (VoucherId, &Voucher)> {
        self.vouchers.iter().map(|(id, voucher)| (*id, voucher))
    }

    /// Finds a voucher.
    /// # Errors
    /// `voucher.unknown`
    pub fn voucher(&self, id: VoucherId) -> Result<&Voucher, Refusal> {
        self.vouchers.get(&id).ok_or_else(|| {
            Refusal::new(Code::VoucherUnknown, "no such voucher").with("voucher", id)
        })
    }

    /// Finds an order's money.
    /// # Errors
    /// `order.unknown`
    pub fn order(&self, id: OrderId) -> Result<&Order, Refusal> {
        self.orders
            .get(&id)
            .ok_or_else(|| Refusal::new(Code::OrderUnknown, "no such order").with("order", id))
    }

    /// Finds a payout batch.
    /// # Errors
    /// `batch.unknown`
    pub fn batch(&self, id: BatchId) -> Result<&Batch, Refusal> {
        self.batches.get(&id).ok_or_else(|| {
            Refusal::new(Code::BatchUnknown, "no such payout batch").with("batch", id)
        })
    }

    /// Whether a period was closed for a party: what is earned later belongs to a later period.
    #[must_use]
    pub fn is_closed(&self, party: PartyId, period: NamedPeriod) -> bool {
        self.closed.contains(&(party, period))
    }

    /// Supposes that a period is closed for a party, or no longer: for an audit that may not see the statement.
    pub(crate) fn suppose_closed(&mut self, party: PartyId, period: NamedPeriod, closed: bool) {
        if closed {
            self.closed.insert((party, period));
        } else {
            self.closed.remove(&(party, period));
        }
    }

    /// Adds an entry's postings and counters, for entries whose other state is not this machine's.
    /// # Errors
    /// An [`Inconsistency`] where a balance or counter would fall below zero.
    pub fn post(
        &mut self,
        postings: &Postings,
        counters: &CounterMoves,
    ) -> Result<(), Inconsistency> {
        for (account, fen) in postings.legs() {
            self.add(account, *fen)?;
        }
        for (key, by) in counters {
            if !self.counters.add(key, *by) {
                let sentence = format!("counter {key} would leave its range by {by}");
                return Err(Inconsistency::new("(5)", sentence));
            }
        }
        Ok(())
    }

    fn add(&mut self, account: &Account, fen: Fen) -> Result<(), Inconsistency> {
        let before = self.balance(account);
        let balance = before.plus(fen)?;
        if balance.is_negative() && !account.may_be_negative() {
            let sentence = format!("{account} would fall to {balance}");
            return Err(Inconsistency::new("(1)", sentence));
        }
        self.moved(account, (before, balance))?;
        if let Account::Earned(programme, party, fund, period) = account {
            let key = (fund.clone(), *period, programme.clone());
            let earned = self.earned.entry(*party).or_default();
            if balance.is_zero() {
                earned.remove(&key);
            } else {
                earned.insert(key);
            }
            if earned.is_empty() {
                self.earned.remove(party);
            }
        }
        if balance.is_zero() {
            self.balances.remove(account);
        } else if let Some(slot) = self.balances.get_mut(account) {
            *slot = balance;
        } else {
            self.balances.insert(account.clone(), balance);
        }
        Ok(())
    }

    fn programme_version(
        &self,
        id: &ProgrammeId,
        version: usize,
    ) -> Result<&Arc<Programme>, Refusal> {
        let versions = self
            .programmes
            .get(id)
            .and_then(|versions| versions.get(version));
        versions.ok_or_else(|| {
            Refusal::new(Code::ProgrammeMissing, "no such version of the programme")
                .with("programme", id)
                .with("version", version)
        })
    }
}
