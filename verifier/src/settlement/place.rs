//! Placing and amending an order: each claim reserves money, or none where a programme commits at settlement.

use super::cap::{Holder, Years, funds};
use super::claim::{ClaimFound, ClaimSums};
use super::draft::Draft;
use super::order::{CLAIMS_MAX, Claim, Order, SEGMENTS_MAX, Segment, Source, Sums, Terms};
use super::statement::{Stated, Statement};
use super::{Inconsistency, Money, Outcome};
use crate::id::{OrderId, PartyId, ProgrammeId, VoucherId};
use crate::ledger::ClaimIndex;
use crate::money::Fen;
use crate::programme::schema::{CommitAt, Payee, Programme};
use crate::programme::subsidy::TierChoice;
use crate::refusal::{Code, Refusal};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a claim rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// A voucher.
    Voucher(VoucherId),
    /// A programme without voucher objects.
    Programme(ProgrammeId),
}

/// A claim to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceClaim {
    /// What it rests on.
    pub right: Right,
    /// The most to reserve; absent: what the terms give if used in full.
    pub hold: Option<Fen>,
    /// The tiers that apply, one choice a segment, or one for an order without segments.
    pub tiers: Vec<TierChoice>,
}

/// An order to place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its id, drawn by the caller.
    pub order: OrderId,
    /// The buyer, who holds the vouchers.
    pub buyer: Holder,
    /// The seller.
    pub seller: PartyId,
    /// What was agreed.
    pub terms: Terms,
    /// The claims, in any order.
    pub claims: Vec<PlaceClaim>,
}

/// One claim as placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimPlaced {
    /// Its number in stacking order.
    pub claim: u8,
    /// Its place in the command.
    pub asked: u8,
    /// What is reserved, fund by fund in the programme's order; empty: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Fen>,
}

/// An order as placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placed {
    /// The claims, in stacking order.
    pub claims: Vec<ClaimPlaced>,
}

/// What buyer and seller change together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amend {
    /// The order.
    pub order: OrderId,
    /// New segments, after the ones that are there.
    pub segments: Vec<Segment>,
    /// By claim in stacking order: the tiers of each new segment.
    pub tiers: Vec<Vec<TierChoice>>,
    /// The most to reserve on top, by claim.
    pub top_ups: Vec<(ClaimIndex, Fen)>,
}

impl Money {
    /// Places an order: claims in stacking order, each cut to its voucher or caps, each hold whole or not at all.
    /// # Errors
    /// `order.claims` `order.terms` `programme.missing` `programme.manual` `voucher.unknown` `voucher.state`
    /// `voucher.expired` `voucher.holder` `fund.exhausted` `amount.overflow`
    pub fn place(&self, at: Timestamp, ask: &Place) -> Result<Outcome<Placed>, Refusal> {
        let (order, asked) = self.new_order(at, ask)?;
        let quoted = self.quoted_holds(&order, ask, &asked)?;
        let mut draft = Draft::new(self);
        let mut claims = Vec::with_capacity(order.claims.len());
        for (index, asked) in (0_u8..).zip(asked) {
            let hold = ask
                .claims
                .get(usize::from(asked))
                .and_then(|claim| claim.hold);
            let quote = quoted.get(usize::from(index)).copied().unwrap_or_default();
            let most = hold.unwrap_or(quote);
            let held = self.reserve(&mut draft, at, (ask.order, &order), (index, most))?;
            claims.push(ClaimPlaced {
                claim: index,
                asked,
                held,
            });
        }
        draft.finish(Placed { claims })
    }

    /// Applies a placing.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_place(
        &mut self,
        at: Timestamp,
        ask: &Place,
        outcome: &Outcome<Placed>,
    ) -> Result<(), Inconsistency> {
        let (order, _) = self.new_order(at, ask)?;
        for claim in &order.claims {
            if let Source::Voucher(voucher) = claim.source
                && let Some(voucher) = self.vouchers.get_mut(&voucher)
            {
                voucher.used = true;
            }
        }
        if self.orders.insert(ask.order, order).is_some() {
            return Err(Inconsistency::new("state", "the order is there already"));
        }
        self.owners.trade([ask.buyer.party, ask.seller], ask.order);
        let order = self.order(ask.order)?;
        let found = outcome.found.claims.iter().map(|placed| {
            reserved(order, placed.claim, placed.held.clone()).map_err(Inconsistency::from)
        });
        let found: Vec<_> = found.collect::<Result<_, _>>()?;
        self.apply_claims(
            at,
            ask.order,
            &found,
            (&outcome.postings, &outcome.counters),
        )
    }

    /// Amends an order: new segments, more reserved, then the statement.
    /// # Errors
    /// `order.unknown` `order.closed` `order.terms` `order.claims` and those of [`Money::place`]
    pub fn amend(&self, at: Timestamp, ask: &Amend) -> Result<Outcome<Stated>, Refusal> {
        let order = self.order(ask.order)?;
        order.check_open(Code::OrderClosed)?;
        let mut amended = order.clone_without_receipts();
        extend(&mut amended, ask)?;
        let mut draft = Draft::new(self);
        let mut tops = Vec::with_capacity(ask.top_ups.len());
        for (claim, fen) in &ask.top_ups {
            let part = (*claim, *fen);
            let held = self.reserve(&mut draft, at, (ask.order, &amended), part)?;
            tops.push(reserved(&amended, *claim, held)?);
        }
        let mut statement = Statement::new(&mut draft, at, (ask.order, &amended), &amended.sums)?;
        statement.start_with(tops)?;
        let claims = statement.run()?;
        draft.finish(Stated { claims })
    }

    /// Applies an amendment.
    /// # Errors
    /// An [`Inconsistency`].
    pub fn apply_amend(
        &mut self,
        at: Timestamp,
        ask: &Amend,
        outcome: &Outcome<Stated>,
    ) -> Result<(), Inconsistency> {
        let order = self.orders.get_mut(&ask.order);
        let order = order.ok_or_else(|| Inconsistency::new("state", "no such order"))?;
        extend(order, ask)?;
        let moves = (&outcome.postings, &outcome.counters);
        self.apply_claims(at, ask.order, &outcome.found.claims, moves)
    }

    /// The order as it would start, and which claim of the ask each of its claims is.
    pub(super) fn new_order(
        &self,
        at: Timestamp,
        ask: &Place,
    ) -> Result<(Order, Vec<u8>), Refusal> {
        if ask.claims.is_empty() || ask.claims.len() > CLAIMS_MAX {
            let sentence = format!("an order has 1 to {CLAIMS_MAX} claims");
            return Err(Refusal::new(Code::OrderClaims, sentence));
        }
        check_segments(&ask.terms.segments)?;
        let mut claims = Vec::with_capacity(ask.claims.len());
        for (asked, claim) in (0_u8..).zip(&ask.claims) {
            let (claim, programme) = self.new_claim(at, ask, claim)?;
            let stack = programme.stack.order;
            claims.push((stack, programme.header.id.clone(), asked, claim));
        }
        claims.sort_by(|(a, b, c, _), (d, e, f, _)| (a, b, c).cmp(&(d, e, f)));
        let asked = claims.iter().map(|(_, _, asked, _)| *asked).collect();
        let order = Order {
            buyer: ask.buyer.clone(),
            seller: ask.seller,
            scheme: ask.terms.scheme,
            placed_at: at,
            closed: false,
            segments: ask.terms.segments.clone(),
            contract_days: ask.terms.contract_days,
            service_days: ask.terms.service_days,
            sums: Sums {
                uses: vec![Vec::new(); ask.terms.segments.len()],
                contract: ask.terms.contract.clone(),
                approved: ask.terms.approved.clone(),
                decided: vec![None; claims.len()],
                ..Sums::default()
            },
            receipts: Vec::new(),
            claims: claims.into_iter().map(|(_, _, _, claim)| claim).collect(),
        };
        let mut vouchers: Vec<_> = order.claims.iter().filter_map(Claim::voucher).collect();
        vouchers.sort_unstable();
        if vouchers.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(Refusal::new(
                Code::OrderClaims,
                "a voucher serves one claim of an order",
            ));
        }
        Ok((order, asked))
    }

    fn new_claim<'a>(
        &'a self,
        at: Timestamp,
        ask: &Place,
        claim: &PlaceClaim,
    ) -> Result<(Claim, &'a Programme), Refusal> {
        let (id, version, source, funds) = match &claim.right {
            Right::Voucher(id) => {
                let voucher = self.voucher(*id)?;
                let programme = self.programme_version(&voucher.programme, voucher.version)?;
                if voucher.used && !programme.instrument.divisible {
                    let sentence = "the voucher serves one order, and has served it";
                    return Err(Refusal::new(Code::VoucherState, sentence).with("voucher", id));
                }
                (
                    voucher.programme.clone(),
                    voucher.version,
                    Source::Voucher(*id),
                    voucher.funds.clone(),
                )
            }
            Right::Programme(id) => {
                let programme = self.programme(id)?;
                let source = match programme.instrument.commit_at {
                    CommitAt::Settlement => Source::Settlement,
                    CommitAt::Order => Source::Order,
                    CommitAt::Issue => {
                        let sentence = "this programme needs a voucher; apply for one";
                        return Err(Refusal::new(Code::OrderClaims, sentence).with("programme", id));
                    }
                };
                (
                    id.clone(),
                    self.latest(id),
                    source,
                    funds(programme, &ask.buyer, at)?,
                )
            }
        };
        let programme = self.programme_version(&id, version)?;
        let payee = match programme.instrument.payee {
            Payee::Seller => ask.seller,
            Payee::Buyer => ask.buyer.party,
            Payee::EitherOnce => {
                let sentence = "who of both is paid is not settled; this needs a procedure";
                return Err(Refusal::new(Code::ProgrammeNeedsProcedure, sentence));
            }
        };
        let claim = Claim {
            programme: id,
            version,
            source,
            payee,
            tiers: claim.tiers.clone(),
            first_benefit: None,
            sums: ClaimSums::new(funds),
        };
        Ok((claim, programme))
    }
}

impl Claim {
    /// The voucher that pays, if one does.
    #[must_use]
    pub const fn voucher(&self) -> Option<VoucherId> {
        match self.source {
            Source::Voucher(id) => Some(id),
            Source::Order | Source::Settlement => None,
        }
    }
}

impl Order {
    /// The moments that name a counter's year for an act at this order.
    pub(super) fn years(&self, at: Timestamp) -> Years {
        Years {
            act: at,
            order: Some(self.placed_at),
            service_end: self.service_days.map(|days| days.to),
            contract: self.contract_days.map(|days| days.from),
        }
    }

    pub(super) fn clone_without_receipts(&self) -> Self {
        Self {
            buyer: self.buyer.clone(),
            seller: self.seller,
            scheme: self.scheme,
            placed_at: self.placed_at,
            closed: self.closed,
            segments: self.segments.clone(),
            contract_days: self.contract_days,
            service_days: self.service_days,
            sums: self.sums.clone(),
            receipts: Vec::new(),
            claims: self.claims.clone(),
        }
    }
}

/// A claim's found that says only what was reserved.
fn reserved(order: &Order, claim: ClaimIndex, held: Vec<Fen>) -> Result<ClaimFound, Refusal> {
    let drawn = match order.claim(claim)?.source {
        // A voucher's money left the funds when it was issued.
        Source::Voucher(_) | Source::Settlement => Fen::ZERO,
        Source::Order => held.iter().copied().try_fold(Fen::ZERO, Fen::plus)?,
    };
    Ok(ClaimFound {
        claim,
        held,
        drawn,
        ..ClaimFound::default()
    })
}

fn extend(order: &mut Order, ask: &Amend) -> Result<(), Refusal> {
    let none_before = order.segments.is_empty();
    order.segments.extend_from_slice(&ask.segments);
    check_segments(&order.segments)?;
    order.sums.uses.resize(order.segments.len(), Vec::new());
    for (index, claim) in order.claims.iter_mut().enumerate() {
        let tiers = ask.tiers.get(index).map_or(&[][..], Vec::as_slice);
        if tiers.len() != ask.segments.len() {
            let sentence = "each new segment needs a choice of tiers for each claim";
            return Err(Refusal::new(Code::OrderTerms, sentence));
        }
        if none_before && !tiers.is_empty() {
            // The one choice for an order without segments gives way to a choice a segment.
            claim.tiers.clear();
        }
        claim.tiers.extend_from_slice(tiers);
    }
    Ok(())
}

fn check_segments(segments: &[Segment]) -> Result<(), Refusal> {
    let good = |s: &Segment| {
        s.per >= 1 && !s.price.is_negative() && s.limit.is_none_or(|limit| limit >= 0)
    };
    if segments.len() > SEGMENTS_MAX || !segments.iter().all(good) {
        let sentence = format!(
            "an order has at most {SEGMENTS_MAX} segments, each with a price ≥ 0 for at least one unit"
        );
        return Err(Refusal::new(Code::OrderTerms, sentence));
    }
    Ok(())
}
