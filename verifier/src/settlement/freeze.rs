//! Frozen money: earned by evidence that is in doubt, kept from every payout until a case decides (DESIGN §4.1, §5).
//!
//! How much of a claim is in doubt is what the one statement function gives with the evidence less what it gives without.
//! Restored money is earned again. Evidence that a case denies counts no longer for the claims that the case decides: their
//! order is stated anew without it, as if it were corrected to nothing, and less is taken from what is frozen first.

use super::claim::ClaimFound;
use super::draft::Draft;
use super::moving::Mover;
use super::order::{Order, Sums};
use super::statement::Statement;
use super::{Inconsistency, Money, Outcome};
use crate::id::{OrderId, VoucherId};
use crate::ledger::ClaimIndex;
use crate::money::{Fen, Overflow};
use crate::refusal::Refusal;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The most parts of claims, fund by fund, in one entry: an entry has a size; the next one takes the rest.
pub const PARTS_MAX: usize = 120;

/// What of an order's evidence is in doubt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Doubt {
    /// Receipts, by their place in the order of acceptance.
    pub lines: Vec<u32>,
    /// The acceptance (data).
    pub accepted: bool,
    /// The proof of use (data).
    pub proven: bool,
}

impl Doubt {
    /// Whether nothing is in doubt.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.lines.is_empty() && !self.accepted && !self.proven
    }

    /// Doubts what another doubts, too.
    pub fn join(&mut self, other: Self) {
        self.lines.extend(other.lines);
        self.lines.sort_unstable();
        self.lines.dedup();
        self.accepted |= other.accepted;
        self.proven |= other.proven;
    }
}

/// An order with what is in doubt of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubtful {
    /// The order.
    pub order: OrderId,
    /// Its evidence that is in doubt, for whatever reason.
    pub doubt: Doubt,
}

/// What was frozen of one claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenClaim {
    /// The order.
    pub order: OrderId,
    /// The claim.
    pub claim: ClaimIndex,
    /// Fund by fund, in the programme's order; empty: nothing is left to freeze.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fen: Vec<Fen>,
    /// In doubt as well, but paid or in transit: it is left, and recalled if the case denies it.
    #[serde(default, skip_serializing_if = "Fen::is_zero_ref")]
    pub paid: Fen,
}

/// What was frozen, in the order of orders and claims.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frozen {
    /// The claims that are in doubt.
    pub claims: Vec<FrozenClaim>,
    /// The last order that was looked at, where others are behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<OrderId>,
}

/// What is decided of one claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuledShare {
    /// The claim.
    pub claim: ClaimIndex,
    /// What was frozen for the matter that is decided, fund by fund.
    pub fen: Vec<Fen>,
    /// What stays frozen for other matters, fund by fund.
    pub others: Vec<Fen>,
}

/// A decision on frozen claims of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// The order.
    pub order: OrderId,
    /// The claims that are decided.
    pub claims: Vec<RuledShare>,
    /// The order's other claims that rest on doubtful evidence and wait: what they gain by this is frozen, too.
    pub waiting: Vec<ClaimIndex>,
    /// The evidence that counts no longer for these claims; nothing where they are restored.
    pub denied: Doubt,
}

/// One claim as decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuledClaim {
    /// The order.
    pub order: OrderId,
    /// The claim.
    pub claim: ClaimIndex,
    /// What is earned again, fund by fund in the programme's order; empty: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restored: Vec<Fen>,
}

/// An order stated anew without the evidence that was denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuledOrder {
    /// The order.
    pub order: OrderId,
    /// Its claims, in stacking order.
    pub claims: Vec<ClaimFound>,
}

/// A decision as made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ruled {
    /// The claims that are decided.
    pub claims: Vec<RuledClaim>,
    /// Where they are denied: what their orders have earned without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stated: Vec<RuledOrder>,
    /// What claims that wait have gained by that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<FrozenClaim>,
    /// How many claims of the case wait for a decision yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over references"
)]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Money {
    /// Freezes what doubtful evidence has earned and nobody was paid: earned or payable → disputed. What is frozen of a claim
    /// already counts towards it.
    /// # Errors
    /// `order.unknown` `amount.overflow`
    pub fn freeze(&self, at: Timestamp, doubtful: &[Doubtful]) -> Result<Outcome<Frozen>, Refusal> {
        let mut draft = Draft::new(self);
        let mut found = Frozen::default();
        let (mut parts, mut last) = (0, None);
        for Doubtful { order, doubt } in doubtful {
            let own = self.parts_of(*order)?;
            if parts > 0 && parts + own > PARTS_MAX {
                found.next = last;
                break;
            }
            parts += own;
            last = Some(*order);
            let bears = self.order(*order)?.bears(doubt);
            for stated in self.without(at, *order, doubt)? {
                let frozen = freeze_claim(&mut draft, at, *order, &stated)?;
                let is_named = !frozen.is_nothing() || bears >> frozen.claim & 1 == 1;
                found.claims.extend(is_named.then_some(frozen));
            }
        }
        draft.finish(found)
    }

    /// Applies a freeze: nobody stands at another amount.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_freeze(&mut self, outcome: &Outcome<Frozen>) -> Result<(), Inconsistency> {
        self.post_standing(&outcome.postings, &outcome.counters, &[])
    }

    /// Decides on frozen claims, order by order as far as an entry goes.
    /// # Errors
    /// `order.unknown` `order.claims` `amount.overflow`
    pub fn rule(&self, at: Timestamp, rulings: &[Ruling]) -> Result<Outcome<Ruled>, Refusal> {
        let mut draft = Draft::new(self);
        let mut found = Ruled::default();
        let mut vouchers = BTreeSet::new();
        let mut parts = 0;
        for ruling in rulings {
            // A statement moves every claim of its order, and says much of each.
            let own = 3 * self.parts_of(ruling.order)?;
            // What comes back to one voucher lowers its counters one statement after the other: one an entry.
            let drawn = self.vouchers_of_order(ruling.order)?;
            let again = drawn.iter().any(|voucher| vouchers.contains(voucher));
            if parts > 0 && (parts + own > PARTS_MAX || again) {
                break;
            }
            parts += own;
            vouchers.extend(drawn);
            self.rule_order(&mut draft, at, ruling, &mut found)?;
        }
        draft.finish(found)
    }

    /// Applies a decision: what is denied counts no longer.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_rule(
        &mut self,
        at: Timestamp,
        rulings: &[Ruling],
        outcome: &Outcome<Ruled>,
    ) -> Result<(), Inconsistency> {
        let mut standing = Vec::new();
        for RuledOrder { order, claims } in &outcome.found.stated {
            let ruling = rulings.iter().find(|ruling| ruling.order == *order);
            let ruling =
                ruling.ok_or_else(|| Inconsistency::new("state", "nothing is denied there"))?;
            self.order_mut(*order)?
                .deny(&ruling.denied, claims_of(ruling))?;
            for found in claims {
                self.apply_claim(at, *order, found, &mut standing)?;
            }
        }
        self.post_standing(&outcome.postings, &outcome.counters, &standing)?;
        let stated = outcome.found.stated.iter();
        let mut touched = stated.flat_map(|RuledOrder { order, claims }| {
            claims.iter().map(|found| (*order, found.claim))
        });
        touched.try_for_each(|(order, claim)| self.check_hold(order, claim))
    }

    fn rule_order(
        &self,
        draft: &mut Draft<'_>,
        at: Timestamp,
        ruling: &Ruling,
        found: &mut Ruled,
    ) -> Result<(), Refusal> {
        let (id, order) = (ruling.order, self.order(ruling.order)?);
        if !ruling.denied.is_nothing() {
            let evidence = order.disbelieve(&ruling.denied, claims_of(ruling))?;
            let claims = Statement::new(draft, at, (id, order), &evidence)?.run()?;
            for gained in claims
                .iter()
                .filter(|of| ruling.waiting.contains(&of.claim))
            {
                let frozen = freeze_gain(draft, at, id, gained)?;
                found
                    .frozen
                    .extend((!frozen.is_nothing()).then_some(frozen));
            }
            found.stated.push(RuledOrder { order: id, claims });
        }
        for share in &ruling.claims {
            let mover = Mover::of(draft, at, (id, order), share.claim)?;
            let mut restored = Vec::new();
            let shares = share.fen.iter().zip(&share.others);
            for (sums, (fen, others)) in order.claim(share.claim)?.sums.funds.iter().zip(shares) {
                // Corrections since, and what is denied, were taken from here first.
                let frozen = draft.balance(&mover.disputed(&sums.fund)).minus(*others)?;
                let back = frozen.min(*fen).max(Fen::ZERO);
                mover.thaw(draft, &sums.fund, back)?;
                restored.push(back);
            }
            if restored.iter().all(|fen| fen.is_zero()) {
                restored.clear();
            }
            found.claims.push(RuledClaim {
                order: id,
                claim: share.claim,
                restored,
            });
        }
        Ok(())
    }

    /// What an order's claims would be stated at without doubtful evidence; nothing moves.
    fn without(
        &self,
        at: Timestamp,
        id: OrderId,
        doubt: &Doubt,
    ) -> Result<Vec<ClaimFound>, Refusal> {
        let order = self.order(id)?;
        let evidence = order.disbelieve(doubt, u8::MAX)?;
        let mut nothing = Draft::new(self);
        Statement::new(&mut nothing, at, (id, order), &evidence)?.run()
    }

    /// How many parts the claims of an order have, fund by fund.
    fn parts_of(&self, order: OrderId) -> Result<usize, Refusal> {
        let claims = self.order(order)?.claims.iter();
        Ok(claims.map(|claim| claim.sums.funds.len()).sum())
    }

    fn vouchers_of_order(&self, order: OrderId) -> Result<Vec<VoucherId>, Refusal> {
        let claims = self.order(order)?.claims.iter();
        Ok(claims.filter_map(super::order::Claim::voucher).collect())
    }

    /// Freezes an amount of a claim, as a dispute asks for: at most what is granted and unpaid, split by that.
    #[cfg(test)]
    pub(super) fn dispute(
        &self,
        at: Timestamp,
        (id, index): (OrderId, ClaimIndex),
        fen: Fen,
    ) -> Result<Outcome<Frozen>, Refusal> {
        let order = self.order(id)?;
        let mut draft = Draft::new(self);
        let mover = Mover::of(&draft, at, (id, order), index)?;
        let funds = &order.claim(index)?.sums.funds;
        let mut within = Vec::new();
        for sums in funds {
            let granted = sums
                .granted
                .minus(draft.balance(&mover.disputed(&sums.fund)))?;
            within.push(granted.max(Fen::ZERO).min(mover.free(&draft, &sums.fund)?));
        }
        let all = within.iter().copied().try_fold(Fen::ZERO, Fen::plus)?;
        let parts = crate::ledger::nested_split(fen.min(all), &within)?;
        for (sums, part) in funds.iter().zip(&parts) {
            mover.freeze(&mut draft, &sums.fund, *part)?;
        }
        let frozen = FrozenClaim {
            order: id,
            claim: index,
            fen: parts,
            paid: Fen::ZERO,
        };
        draft.finish(Frozen {
            claims: vec![frozen],
            next: None,
        })
    }
}

/// Freezes one claim's part: what it is granted more with the doubtful evidence than without, as far as it is unpaid.
fn freeze_claim(
    draft: &mut Draft<'_>,
    at: Timestamp,
    id: OrderId,
    without: &ClaimFound,
) -> Result<FrozenClaim, Refusal> {
    let money = draft.money;
    let order = money.order(id)?;
    let mover = Mover::of(draft, at, (id, order), without.claim)?;
    let mut frozen = FrozenClaim {
        order: id,
        claim: without.claim,
        fen: Vec::new(),
        paid: Fen::ZERO,
    };
    for (sums, delta) in order
        .claim(without.claim)?
        .sums
        .funds
        .iter()
        .zip(&without.granted)
    {
        let already = draft.balance(&mover.disputed(&sums.fund));
        let wanted = delta.negated().minus(already)?.max(Fen::ZERO);
        let part = wanted.min(mover.free(draft, &sums.fund)?);
        mover.freeze(draft, &sums.fund, part)?;
        frozen.fen.push(part);
        frozen.paid = frozen.paid.plus(wanted.minus(part)?)?;
    }
    Ok(frozen.tidy())
}

/// Freezes what a claim that waits has gained by a decision on another claim of its order.
fn freeze_gain(
    draft: &mut Draft<'_>,
    at: Timestamp,
    id: OrderId,
    gained: &ClaimFound,
) -> Result<FrozenClaim, Refusal> {
    let order = draft.money.order(id)?;
    let mover = Mover::of(draft, at, (id, order), gained.claim)?;
    let mut frozen = FrozenClaim {
        order: id,
        claim: gained.claim,
        fen: Vec::new(),
        paid: Fen::ZERO,
    };
    let funds = &order.claim(gained.claim)?.sums.funds;
    for (sums, delta) in funds.iter().zip(&gained.granted) {
        let part = (*delta).max(Fen::ZERO).min(mover.free(draft, &sums.fund)?);
        mover.freeze(draft, &sums.fund, part)?;
        frozen.fen.push(part);
    }
    Ok(frozen.tidy())
}

impl FrozenClaim {
    /// Leaves out a list of nothing but zeros.
    fn tidy(mut self) -> Self {
        if self.fen.iter().all(|fen| fen.is_zero()) {
            self.fen.clear();
        }
        self
    }

    const fn is_nothing(&self) -> bool {
        self.fen.is_empty() && self.paid.is_zero()
    }
}

impl Order {
    /// The sums of the evidence without what is in doubt, for some claims (a bit a claim).
    fn disbelieve(&self, doubt: &Doubt, claims: u8) -> Result<Sums, Overflow> {
        let mut sums = self.sums.clone();
        for line in &doubt.lines {
            let receipt = self.receipts.get(place(*line)).ok_or(Overflow)?;
            let (from, to) = (receipt.believed(), receipt.believed() & !claims);
            if from != to {
                let taken = receipt.units.checked_neg().ok_or(Overflow)?;
                sums.use_units(receipt.segment, from, taken)?;
                sums.use_units(receipt.segment, to, receipt.units)?;
            }
        }
        if doubt.accepted {
            sums.not_accepted_for |= claims;
        }
        if doubt.proven {
            sums.not_proven_for |= claims;
        }
        Ok(sums)
    }

    /// The claims that doubtful evidence counts for, a bit a claim.
    fn bears(&self, doubt: &Doubt) -> u8 {
        if doubt.accepted || doubt.proven {
            return u8::MAX;
        }
        let receipts = doubt.lines.iter();
        let receipts = receipts.filter_map(|line| self.receipts.get(place(*line)));
        receipts.fold(0, |set, receipt| set | receipt.believed())
    }

    /// Counts evidence no longer for some claims (a bit a claim).
    fn deny(&mut self, doubt: &Doubt, claims: u8) -> Result<(), Overflow> {
        self.sums = self.disbelieve(doubt, claims)?;
        for line in &doubt.lines {
            if let Some(receipt) = self.receipts.get_mut(place(*line)) {
                receipt.denied |= claims;
            }
        }
        Ok(())
    }

    /// Whether a case believes no acceptance for any claim of the order: it may be accepted anew.
    #[must_use]
    pub fn is_unaccepted(&self) -> bool {
        self.all_in(self.sums.not_accepted_for)
    }

    /// Whether a case believes no proof of use for any claim of the order: it may be proven anew.
    #[must_use]
    pub fn is_unproven(&self) -> bool {
        self.all_in(self.sums.not_proven_for)
    }

    fn all_in(&self, set: u8) -> bool {
        (0_u8..)
            .zip(&self.claims)
            .all(|(index, _)| set >> index & 1 == 1)
    }
}

fn claims_of(ruling: &Ruling) -> u8 {
    // An order has at most eight claims.
    let bit = |share: &RuledShare| 1_u8.checked_shl(u32::from(share.claim)).unwrap_or(0);
    ruling.claims.iter().map(bit).fold(0, |set, bit| set | bit)
}

fn place(line: u32) -> usize {
    usize::try_from(line).unwrap_or(usize::MAX)
}
