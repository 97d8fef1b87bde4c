//! How earned money moves: where more comes from, and where less is taken from (DESIGN §4.1).

use super::claim::FundSums;
use super::draft::Draft;
use super::order::{Claim, Order, Source};
use crate::id::{FundId, OrderId, PartyId, ProgrammeId};
use crate::ledger::{Account, ClaimIndex};
use crate::money::Fen;
use crate::programme::Programme;
use crate::refusal::{Code, Refusal};
use crate::time::{NamedPeriod, Timestamp};

/// One claim's movements within one act.
pub(super) struct Mover<'a> {
    pub(super) order: OrderId,
    pub(super) index: ClaimIndex,
    pub(super) programme: &'a ProgrammeId,
    pub(super) payee: PartyId,
    /// Where money comes from that is newly earned.
    pub(super) source: Source,
    /// Where money goes that is no longer earned.
    pub(super) back: Back,
    /// The period that newly earned money belongs to.
    pub(super) period: NamedPeriod,
    /// The period of a corrected receipt: less is taken from there first.
    pub(super) corrected: Option<NamedPeriod>,
}

/// Where money goes back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Back {
    /// The order's hold.
    Hold,
    /// The voucher, for an order that has ended.
    Voucher(crate::id::VoucherId),
    /// The funds.
    Fund,
}

impl Back {
    /// Where a claim's money goes back to at a moment.
    pub(super) fn of(draft: &Draft<'_>, order: &Order, claim: &Claim, at: Timestamp) -> Self {
        match claim.source {
            Source::Settlement => Self::Fund,
            Source::Voucher(_) | Source::Order if !order.closed => Self::Hold,
            Source::Voucher(id) if draft.money.voucher(id).is_ok_and(|v| !v.is_dead_at(at)) => {
                Self::Voucher(id)
            }
            Source::Voucher(_) | Source::Order => Self::Fund,
        }
    }

    pub(super) fn account(self, order: OrderId, index: ClaimIndex, fund: &FundId) -> Account {
        match self {
            Self::Hold => Account::Hold(order, index, fund.clone()),
            Self::Voucher(id) => Account::Voucher(id, fund.clone()),
            Self::Fund => Account::Fund(fund.clone()),
        }
    }
}

/// The period that money belongs to which evidence of the moment `of` earns: the local one of a receipt's end − 1 s,
/// unless that one is closed for the party, then the one of the entry.
pub(super) fn earned_period(
    draft: &Draft<'_>,
    programme: &Programme,
    payee: PartyId,
    at: Timestamp,
    receipt_end: Option<Timestamp>,
) -> NamedPeriod {
    let own = receipt_end.map(|end| period_of(programme, end.after(-1)));
    own.filter(|period| !draft.money.is_closed(payee, *period))
        .unwrap_or_else(|| period_of(programme, at))
}

/// The settlement period that a moment lies in.
pub(super) fn period_of(programme: &Programme, at: Timestamp) -> NamedPeriod {
    let day = at.local_day(programme.header.utc_offset);
    NamedPeriod::containing(day, programme.instrument.settle_period)
}

/// How one fund's part of a claim moved.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moved {
    /// Given back by an order that has ended.
    pub(super) released: Fen,
    /// More (or less) recalled and owed.
    pub(super) recalled: Fen,
    /// What left the fund for a claim that commits at settlement; negative: what came back to the fund.
    pub(super) drawn: Fen,
}

impl<'a> Mover<'a> {
    /// The movements of one claim for no receipt in particular.
    pub(super) fn of(
        draft: &Draft<'a>,
        at: Timestamp,
        (id, order): (OrderId, &'a Order),
        index: ClaimIndex,
    ) -> Result<Self, Refusal> {
        let claim = order.claim(index)?;
        let money = draft.money;
        let programme = money.programme_version(&claim.programme, claim.version)?;
        Ok(Self {
            order: id,
            index,
            programme: &claim.programme,
            payee: claim.payee,
            source: claim.source,
            back: Back::of(draft, order, claim, at),
            period: period_of(programme, at),
            corrected: None,
        })
    }

    /// What of the payee's money from a fund is neither paid nor frozen.
    pub(super) fn free(&self, draft: &Draft<'_>, fund: &FundId) -> Result<Fen, Refusal> {
        let accounts = self.earned_or_payable(draft, fund);
        let mut balances = accounts.iter().map(|account| draft.balance(account));
        Ok(balances.try_fold(Fen::ZERO, Fen::plus)?)
    }

    /// Freezes: earned, the newest first, then payable → disputed.
    pub(super) fn freeze(
        &self,
        draft: &mut Draft<'_>,
        fund: &FundId,
        fen: Fen,
    ) -> Result<(), Refusal> {
        let to = self.disputed(fund);
        let mut left = fen;
        for from in self.earned_or_payable(draft, fund) {
            let part = left.min(draft.balance(&from));
            draft.transfer(&from, &to, part)?;
            left = left.minus(part)?;
        }
        Ok(())
    }

    /// Gives back what was frozen: disputed → earned, in the period of the decision.
    pub(super) fn thaw(
        &self,
        draft: &mut Draft<'_>,
        fund: &FundId,
        fen: Fen,
    ) -> Result<(), Refusal> {
        draft.transfer(&self.disputed(fund), &self.earned(fund), fen)
    }

    /// The account of what is frozen of a fund.
    pub(super) fn disputed(&self, fund: &FundId) -> Account {
        Account::Disputed(self.order, self.index, fund.clone())
    }
}

impl Mover<'_> {
    /// Moves the difference of one fund.
    pub(super) fn by(
        &self,
        draft: &mut Draft<'_>,
        sums: &FundSums,
        delta: Fen,
    ) -> Result<Moved, Refusal> {
        let settles = self.source == Source::Settlement;
        if delta.is_negative() {
            let (back, recalled) = self.less(draft, &sums.fund, delta.negated())?;
            let ended = self.back != Back::Hold && !settles;
            let released = if ended { back } else { Fen::ZERO };
            let to_fund = self.back == Back::Fund;
            let drawn = if to_fund { back.negated() } else { Fen::ZERO };
            return Ok(Moved {
                released,
                recalled,
                drawn,
            });
        }
        let again = self.more(draft, sums, delta)?;
        let drawn = if settles {
            delta.minus(again)?
        } else {
            Fen::ZERO
        };
        Ok(Moved {
            released: Fen::ZERO,
            recalled: again.negated(),
            drawn,
        })
    }

    /// Moves what is newly earned; returns what of it had been recalled and is earned again.
    fn more(&self, draft: &mut Draft<'_>, sums: &FundSums, fen: Fen) -> Result<Fen, Refusal> {
        let again = fen.min(sums.recalled);
        let owed = Account::Owed(self.payee, sums.fund.clone());
        let paid = Account::Paid(self.payee, sums.fund.clone());
        draft.transfer(&owed, &paid, again)?;
        let from = match self.source {
            Source::Settlement => Account::Fund(sums.fund.clone()),
            Source::Voucher(_) | Source::Order => {
                Account::Hold(self.order, self.index, sums.fund.clone())
            }
        };
        draft.transfer(&from, &self.earned(&sums.fund), fen.minus(again)?)?;
        Ok(again)
    }

    /// Moves back what is no longer earned; returns what went back and what is recalled: paid out, and owed now.
    fn less(&self, draft: &mut Draft<'_>, fund: &FundId, fen: Fen) -> Result<(Fen, Fen), Refusal> {
        let to = self.back.account(self.order, self.index, fund);
        let mut left = fen;
        for from in self.unpaid(draft, fund) {
            let part = left.min(draft.balance(&from));
            draft.transfer(&from, &to, part)?;
            left = left.minus(part)?;
        }
        let recalled = left;
        let owed = Account::Owed(self.payee, fund.clone());
        for from in self.paid(draft, fund) {
            let part = left.min(draft.balance(&from));
            draft.transfer(&from, &owed, part)?;
            left = left.minus(part)?;
        }
        if !left.is_zero() {
            let sentence = format!("{left} fen of what was granted are nowhere to be found");
            return Err(Refusal::new(Code::AmountOverflow, sentence).with("fund", fund));
        }
        Ok((fen.minus(recalled)?, recalled))
    }

    fn earned(&self, fund: &FundId) -> Account {
        Account::Earned(
            self.programme.clone(),
            self.payee,
            fund.clone(),
            self.period,
        )
    }

    /// Where money is taken from that no bank has been told of, in this order: frozen, earned (the corrected receipt's
    /// own period first, then the newest), payable.
    fn unpaid(&self, draft: &Draft<'_>, fund: &FundId) -> Vec<Account> {
        let mut accounts = vec![self.disputed(fund)];
        accounts.extend(self.earned_or_payable(draft, fund));
        accounts
    }

    /// The same without what is frozen.
    fn earned_or_payable(&self, draft: &Draft<'_>, fund: &FundId) -> Vec<Account> {
        let mut accounts = self.earned_newest_first(draft, fund);
        accounts.push(Account::Payable(self.payee, fund.clone()));
        accounts
    }

    /// The earned accounts of the payee, over all programmes: what one party was granted of one fund is one pool.
    fn earned_newest_first(&self, draft: &Draft<'_>, fund: &FundId) -> Vec<Account> {
        let mut pool: Vec<(NamedPeriod, ProgrammeId)> = Vec::new();
        for (of, period, programme) in draft.money.earned_of(self.payee) {
            if of == fund {
                pool.push((period, programme.clone()));
            }
        }
        for account in draft.moved() {
            if let Account::Earned(programme, party, of, period) = account
                && *party == self.payee
                && of == fund
            {
                pool.push((*period, programme.clone()));
            }
        }
        let rank = |(period, programme): &(NamedPeriod, ProgrammeId)| {
            let (first, after) = period.days();
            let other = programme != self.programme;
            let newest = std::cmp::Reverse((after, first));
            (
                Some(*period) != self.corrected,
                newest,
                other,
                programme.clone(),
            )
        };
        pool.sort_by_cached_key(rank);
        pool.dedup();
        let account =
            |(period, programme)| Account::Earned(programme, self.payee, fund.clone(), period);
        pool.into_iter().map(account).collect()
    }

    /// Where money is recalled from: paid, then what the bank has been told of, the oldest batch first.
    fn paid(&self, draft: &Draft<'_>, fund: &FundId) -> Vec<Account> {
        let mut accounts = vec![Account::Paid(self.payee, fund.clone())];
        let batches = draft
            .money
            .batches
            .iter()
            .filter(|(_, batch)| batch.is_instructed());
        accounts.extend(batches.map(|(id, _)| Account::Transit(*id, self.payee, fund.clone())));
        accounts
    }
}
