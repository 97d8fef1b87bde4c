//! Vouchers: issued from the funds, split over them once, ended by expiry or revocation (DESIGN §4.1, §4.2).

use super::cap::{Holder, Slots, Years, funds, weights};
use super::draft::Draft;
use super::draw::Draws;
use super::order::Terms;
use super::reserve::exhausted;
use super::{Inconsistency, Money, Outcome};
use crate::id::{FundId, ProgrammeId, VoucherId};
use crate::ledger::{Account, split_by_weight};
use crate::money::{Fen, Overflow, Rounding};
use crate::programme::schema::{CommitAt, Programme, Validity};
use crate::programme::subsidy::TierChoice;
use crate::refusal::{Code, Refusal};
use crate::time::{DAY_SECONDS, Timestamp};
use serde::{Deserialize, Serialize};

/// A voucher's rights; its money stands in `voucher/{voucher}/{fund}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voucher {
    /// The programme.
    pub programme: ProgrammeId,
    /// The version that is pinned.
    pub version: usize,
    /// Who may spend it.
    pub holder: Holder,
    /// Its amount when issued.
    pub face: Fen,
    /// The funds, in the programme's order.
    pub funds: Vec<FundId>,
    /// The moment from which it is dead, whether or not an entry says so.
    pub expires_at: Option<Timestamp>,
    /// Whether it was expired or revoked by an entry.
    pub ended: bool,
    /// Whether an order has used it.
    pub used: bool,
    /// What left the funds for it.
    pub draws: Draws,
}

impl Voucher {
    /// Whether nothing can be spent from it or come back to it any more.
    #[must_use]
    pub fn is_dead_at(&self, at: Timestamp) -> bool {
        self.ended || self.expires_at.is_some_and(|end| at >= end)
    }
}

/// How a voucher's amount is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amount {
    /// The holder asks for this face.
    Chosen(Fen),
    /// A case decided it: soft and unknown limits do not hold it up.
    Decided(Fen),
    /// Rate × terms; one tier choice a segment, or one for all.
    Computed(Terms, Vec<TierChoice>),
}

/// A voucher to issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its id, drawn by the caller.
    pub voucher: VoucherId,
    /// The programme.
    pub programme: ProgrammeId,
    /// For whom.
    pub holder: Holder,
    /// How much.
    pub amount: Amount,
}

/// A voucher as issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issued {
    /// What was asked for, before caps and units.
    pub want: Fen,
    /// The amount of the voucher.
    pub face: Fen,
    /// The moment from which it is dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Why a voucher ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoucherEnd {
    /// Its time is over.
    Expired,
    /// An office took it back.
    Revoked,
}

/// A voucher to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndVoucher {
    /// The voucher.
    pub voucher: VoucherId,
    /// Why.
    pub cause: VoucherEnd,
}

/// What an ended voucher gave back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// What went back to the funds.
    pub released: Fen,
}

impl Money {
    /// Issues a voucher: amount, caps, unit, then the split over the funds, whole or not at all.
    /// # Errors
    /// `programme.missing` `programme.manual` `voucher.state` `voucher.nothing` `fund.exhausted` `amount.overflow`
    pub fn issue(&self, at: Timestamp, ask: &Issue) -> Result<Outcome<Issued>, Refusal> {
        let programme = self.programme(&ask.programme)?;
        if programme.instrument.commit_at != CommitAt::Issue {
            let sentence = "the programme takes money out of its funds later; place an order";
            return Err(Refusal::new(Code::VoucherState, sentence));
        }
        let (want, decided) = match &ask.amount {
            Amount::Chosen(fen) => (*fen, false),
            Amount::Decided(fen) => (*fen, true),
            Amount::Computed(terms, tiers) => (self.in_full(programme, terms, tiers)?, false),
        };
        let slots = Slots::issued(programme, &ask.holder, years(at, ask))?;
        let mut draft = Draft::new(self);
        let face = to_face(programme, slots.cut(&draft, want, decided)?)?;
        if face <= Fen::ZERO || face < programme.instrument.min_face {
            let sentence =
                format!("nothing is left of {want} fen under the caps and the least face");
            return Err(Refusal::new(Code::VoucherNothing, sentence)
                .with("want", want)
                .with("face", face));
        }
        let split = split_by_weight(face, &weights(programme)?)?;
        for (fund, part) in funds(programme, &ask.holder, at)?.into_iter().zip(split) {
            let to = Account::Voucher(ask.voucher, fund.clone());
            draft
                .transfer(&Account::Fund(fund), &to, part)
                .map_err(|refusal| exhausted(programme, refusal))?;
        }
        for key in slots.keys() {
            draft.count(&key, face.get());
        }
        draft.finish(Issued {
            want,
            face,
            expires_at: expires_at(programme, at)?,
        })
    }

    /// Applies an issue.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_issue(
        &mut self,
        at: Timestamp,
        ask: &Issue,
        outcome: &Outcome<Issued>,
    ) -> Result<(), Inconsistency> {
        let programme = self.programme(&ask.programme)?;
        let mut draws = Draws::default();
        let slots = Slots::issued(programme, &ask.holder, years(at, ask))?;
        draws.raise(&slots.keys(), outcome.found.face)?;
        let voucher = Voucher {
            programme: ask.programme.clone(),
            version: self.latest(&ask.programme),
            holder: ask.holder.clone(),
            face: outcome.found.face,
            funds: funds(programme, &ask.holder, at)?,
            expires_at: outcome.found.expires_at,
            ended: false,
            used: false,
            draws,
        };
        if self.vouchers.insert(ask.voucher, voucher).is_some() {
            return Err(Inconsistency::new("state", "the voucher is there already"));
        }
        self.owners.hold(ask.holder.party, ask.voucher);
        self.post_standing(&outcome.postings, &outcome.counters, &[])
    }

    /// Ends a voucher: what no order holds goes back to the funds.
    /// # Errors
    /// `voucher.unknown` `voucher.state`
    pub fn end_voucher(&self, at: Timestamp, ask: &EndVoucher) -> Result<Outcome<Ended>, Refusal> {
        let voucher = self.voucher(ask.voucher)?;
        let early = ask.cause == VoucherEnd::Expired && !voucher.is_dead_at(at);
        if voucher.ended || early {
            let sentence = if early {
                "the voucher lives on"
            } else {
                "the voucher has ended"
            };
            return Err(Refusal::new(Code::VoucherState, sentence).with("voucher", ask.voucher));
        }
        let mut draft = Draft::new(self);
        let mut released = Fen::ZERO;
        for fund in &voucher.funds {
            let from = Account::Voucher(ask.voucher, fund.clone());
            let fen = draft.balance(&from);
            draft.transfer(&from, &Account::Fund(fund.clone()), fen)?;
            released = released.plus(fen)?;
        }
        for (key, by) in voucher.draws.clone().lower(released)? {
            draft.count(&key, by);
        }
        draft.finish(Ended { released })
    }

    /// Applies the end of a voucher.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_end_voucher(
        &mut self,
        ask: &EndVoucher,
        outcome: &Outcome<Ended>,
    ) -> Result<(), Inconsistency> {
        let voucher = self.vouchers.get_mut(&ask.voucher);
        let voucher = voucher.ok_or_else(|| Inconsistency::new("state", "no such voucher"))?;
        voucher.ended = true;
        voucher.draws.lower(outcome.found.released)?;
        self.post_standing(&outcome.postings, &outcome.counters, &[])
    }

    pub(super) fn latest(&self, programme: &ProgrammeId) -> usize {
        self.programmes
            .get(programme)
            .map_or(0, |versions| versions.len().saturating_sub(1))
    }
}

/// A voucher's year is that of its issue, whichever act the cap names; service and contract come from its terms.
fn years(at: Timestamp, ask: &Issue) -> Years {
    let mut years = Years::of_act(at);
    if let Amount::Computed(terms, _) = &ask.amount {
        years.service_end = terms.service_days.map(|days| days.to);
        years.contract = terms.contract_days.map(|days| days.from);
    }
    years
}

/// The amount as a face of the programme: a denomination, or rounded down to the unit of the split.
fn to_face(programme: &Programme, amount: Fen) -> Result<Fen, Overflow> {
    use crate::programme::schema::RoundAfter;
    let allowed = &programme.instrument.denominations;
    if !allowed.is_empty() {
        let fitting = allowed.iter().filter(|face| **face <= amount);
        return Ok(fitting.max().copied().unwrap_or_default());
    }
    let rule = programme
        .rounding
        .iter()
        .find(|round| round.after == RoundAfter::Split);
    // Never above what the caps left: a unit always cuts.
    rule.map_or(Ok(amount), |rule| {
        Rounding::Floor.to_unit(amount, rule.unit)
    })
}

fn expires_at(programme: &Programme, at: Timestamp) -> Result<Option<Timestamp>, Overflow> {
    let day = at.local_day(programme.header.utc_offset);
    let last = match programme.instrument.valid {
        None => return Ok(None),
        Some(Validity::Months(months)) => day.plus_months(months),
        Some(Validity::Days(days)) => day.plus_days(days),
    };
    // The same time of the day as the issue.
    let days = last.number().checked_sub(day.number()).ok_or(Overflow)?;
    Ok(Some(at.after(days.saturating_mul(DAY_SECONDS))))
}

packed!(Voucher {
    programme,
    version,
    holder,
    face,
    funds,
    expires_at,
    ended,
    used,
    draws
});
