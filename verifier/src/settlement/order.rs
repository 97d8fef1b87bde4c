//! What this machine keeps of an order: its terms, the sums of its evidence, its claims (DESIGN §4.4).
//!
//! An order may have 10⁵ receipts: their units are kept as running sums by segment, each receipt as one short line so
//! that it can be corrected.

use super::cap::Holder;
use super::claim::ClaimSums;
use crate::id::{PartyId, ProgrammeId, VoucherId};
use crate::money::{Fen, Overflow};
use crate::programme::schema::{Programme, Scheme};
use crate::programme::subsidy::{Lines, Span, TierChoice};
use crate::refusal::{Code, Refusal};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The most claims of an order: a claim is one digit in an account's name.
pub const CLAIMS_MAX: usize = 8;
/// The most segments of an order: each receipt costs a step a segment.
pub const SEGMENTS_MAX: usize = 200;

/// A stretch of an order at one price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// The price of `per` units.
    pub price: Fen,
    /// Units that the price is for, ≥ 1: 3600 where units are GPU-seconds and the price is an hour's.
    pub per: i64,
    /// The most units that are subsidised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}

impl Segment {
    /// The charge of units: ⌊units × price ÷ per⌋, once over all use of the segment.
    /// # Errors
    /// [`Overflow`].
    pub fn charge(&self, units: i64) -> Result<Fen, Overflow> {
        if units < 0 || self.per < 1 {
            return Err(Overflow);
        }
        let units = self.limit.map_or(units, |limit| units.min(limit));
        Fen::from_wide(i128::from(units) * self.price.wide() / i128::from(self.per))
    }
}

/// What buyer and seller agreed on, as far as money depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What the order is for.
    pub scheme: Scheme,
    /// Its segments; empty for an order that only invoices and payments speak of.
    pub segments: Vec<Segment>,
    /// The contract's amount by line; an amount without lines is GPU rent.
    pub contract: Option<Lines>,
    /// The amount that a case approved.
    pub approved: Option<Lines>,
    /// The contract's days.
    pub contract_days: Option<Span>,
    /// The days of service.
    pub service_days: Option<Span>,
}

/// Where a claim's money comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A voucher: the money left the funds when it was issued.
    Voucher(VoucherId),
    /// The funds, when the order is placed.
    Order,
    /// The funds, when evidence earns it: nothing is held.
    Settlement,
}

/// One benefit line of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The programme.
    pub programme: ProgrammeId,
    /// The version that is pinned.
    pub version: usize,
    /// Where the money comes from.
    pub source: Source,
    /// Who is paid.
    pub payee: PartyId,
    /// The tiers that apply, by segment; one for the order where it has none.
    pub tiers: Vec<TierChoice>,
    /// The end of the first receipt that counted.
    pub first_benefit: Option<Timestamp>,
    /// What has been held, granted, released, taken.
    pub sums: ClaimSums,
}

/// Units of one segment by the claims that they count for (a bit a claim).
pub type SegmentUse = Vec<(u8, i64)>;

/// The sums of an order's accepted evidence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sums {
    /// Units by segment.
    pub uses: Vec<SegmentUse>,
    /// The contract's amount.
    pub contract: Option<Lines>,
    /// The amount that a case approved.
    pub approved: Option<Lines>,
    /// All that was invoiced.
    pub invoiced: Lines,
    /// All that was paid.
    pub paid: Lines,
    /// Whether the buyer has accepted (data).
    pub accepted: bool,
    /// Whether use is proven (data).
    pub use_proven: bool,
    /// The claims for which a case does not believe the acceptance, a bit a claim.
    pub not_accepted_for: u8,
    /// The claims for which a case does not believe the proof of use, a bit a claim.
    pub not_proven_for: u8,
    /// What a case decided, by claim.
    pub decided: Vec<Option<Fen>>,
}

impl Sums {
    /// Adds units (or takes them away) of a segment.
    /// # Errors
    /// [`Overflow`] for a segment that is not there or a sum below zero.
    pub fn use_units(&mut self, segment: u16, counts: u8, units: i64) -> Result<(), Overflow> {
        let uses = self.uses.get_mut(usize::from(segment)).ok_or(Overflow)?;
        match uses.iter_mut().find(|(mask, _)| *mask == counts) {
            Some((_, sum)) => *sum = sum.checked_add(units).filter(|s| *s >= 0).ok_or(Overflow)?,
            None if units < 0 => return Err(Overflow),
            None => uses.push((counts, units)),
        }
        Ok(())
    }

    /// The units of each segment that count for every claim of a set.
    /// # Errors
    /// [`Overflow`].
    pub fn units(&self, set: u8) -> Result<Vec<i64>, Overflow> {
        let of = |uses: &SegmentUse| {
            let counted = uses.iter().filter(|(mask, _)| mask & set == set);
            counted
                .map(|(_, units)| *units)
                .try_fold(0_i64, i64::checked_add)
                .ok_or(Overflow)
        };
        self.uses.iter().map(of).collect()
    }
}

/// One receipt, short: enough to correct it, or to believe it no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Its segment.
    pub segment: u16,
    /// The claims that it counts for, a bit a claim.
    pub counts: u8,
    /// Of these, the claims for which a case does not believe it.
    pub denied: u8,
    /// Its units, as last corrected.
    pub units: i64,
    /// The end of its span.
    pub end: Timestamp,
}

impl Receipt {
    /// The claims that its units count for as it stands.
    #[must_use]
    pub const fn believed(&self) -> u8 {
        self.counts & !self.denied
    }
}

/// An order, as far as money depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The buyer, who holds the vouchers.
    pub buyer: Holder,
    /// The seller.
    pub seller: PartyId,
    /// What the order is for.
    pub scheme: Scheme,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// Whether it has ended: what comes back goes to the vouchers or funds.
    pub closed: bool,
    /// Its segments; amendments add to them.
    pub segments: Vec<Segment>,
    /// The contract's days.
    pub contract_days: Option<Span>,
    /// The days of service.
    pub service_days: Option<Span>,
    /// The sums of the evidence.
    pub sums: Sums,
    /// The receipts, in the order of their acceptance.
    pub receipts: Vec<Receipt>,
    /// The claims, in stacking order.
    pub claims: Vec<Claim>,
}

impl Order {
    /// The claims that use up to `end` counts for, a bit a claim: the service window and the longest benefit.
    pub(super) fn counts(&self, end: Timestamp, programmes: &[&Programme]) -> u8 {
        let mut counts = 0_u8;
        for (index, (claim, programme)) in self.claims.iter().zip(programmes).enumerate() {
            if counts_for(programme, claim.first_benefit, end) {
                counts |= 1 << index;
            }
        }
        counts
    }

    /// Finds a claim.
    /// # Errors
    /// `order.claims`
    pub fn claim(&self, index: u8) -> Result<&Claim, Refusal> {
        self.claims.get(usize::from(index)).ok_or_else(|| {
            let sentence = format!("the order has {} claims", self.claims.len());
            Refusal::new(Code::OrderClaims, sentence).with("claim", index)
        })
    }

    /// Refuses to go on with an order that has ended.
    /// # Errors
    /// The given code.
    pub(super) fn check_open(&self, code: Code) -> Result<(), Refusal> {
        if self.closed {
            return Err(Refusal::new(
                code,
                "the order has ended; a clawback case is the way",
            ));
        }
        Ok(())
    }
}

fn counts_for(programme: &Programme, first: Option<Timestamp>, end: Timestamp) -> bool {
    use crate::programme::schema::DayCount;
    let offset = programme.header.utc_offset;
    // Use that ends at midnight belongs to the day before.
    let day = end.after(-1).local_day(offset);
    if let Some(service) = programme.window.service {
        // How the last printed day counts is the word of the proration rule.
        let whole = programme.base.period_proration.map(|p| p.days) == Some(DayCount::Inclusive);
        let early = service.from.is_some_and(|from| day < from);
        let late = service
            .to
            .is_some_and(|to| if whole { day > to } else { day >= to });
        if early || late {
            return false;
        }
    }
    let (Some(first), Some(days)) = (first, programme.window.benefit_max_days) else {
        return true;
    };
    day.number() - first.after(-1).local_day(offset).number() < days
}

packed! {
    Segment { price, per, limit }
    Claim { programme, version, source, payee, tiers, first_benefit, sums }
    Sums {
        uses, contract, approved, invoiced, paid, accepted, use_proven, not_accepted_for, not_proven_for, decided,
    }
    Receipt { segment, counts, denied, units, end }
    Order {
        buyer, seller, scheme, placed_at, closed, segments, contract_days, service_days, sums, receipts, claims,
    }
}
packed_enum!(Source { 0 => Voucher(voucher), 1 => Order, 2 => Settlement });
