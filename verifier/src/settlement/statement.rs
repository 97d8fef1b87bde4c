//! The one statement function: what an order's evidence has earned so far, per claim, and what moves for it
//! (DESIGN §4.4).
//!
//! Every act on an order's money ends here: a receipt, a correction, an amendment, evidence, a clawback. The statement is
//! a function of *sums*, so any split of the same use earns the same fen.

use super::cap::Slots;
use super::claim::{ClaimFound, ClaimSums};
use super::draft::Draft;
use super::moving::{Back, Mover, earned_period, period_of};
use super::order::{Claim, Order, Source, Sums};
use super::value::{Given, Limit, Valuation};
use crate::id::OrderId;
use crate::ledger::{ClaimIndex, nested_split};
use crate::money::Fen;
use crate::programme::Programme;
use crate::programme::schema::Known;
use crate::refusal::Refusal;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a statement found, claim by claim in stacking order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stated {
    /// The claims.
    pub claims: Vec<ClaimFound>,
}

/// A statement that is being made.
pub(super) struct Statement<'a, 'm> {
    draft: &'a mut Draft<'m>,
    at: Timestamp,
    /// The receipt that makes the order be stated anew, if one does.
    cause: Option<Cause>,
    id: OrderId,
    order: &'a Order,
    evidence: &'a Sums,
    programmes: Vec<&'m Programme>,
    /// The claims' sums as they stand after what is found so far.
    sums: Vec<ClaimSums>,
    found: Vec<ClaimFound>,
}

/// The receipt that makes an order be stated anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cause {
    /// The end of its span.
    pub(super) end: Timestamp,
    /// Whether an earlier receipt is corrected: less is then taken from its own period first.
    pub(super) corrects: bool,
}

impl<'a, 'm> Statement<'a, 'm> {
    pub(super) fn new(
        draft: &'a mut Draft<'m>,
        at: Timestamp,
        (id, order): (OrderId, &'a Order),
        evidence: &'a Sums,
    ) -> Result<Self, Refusal> {
        let programmes = draft.money.programmes_of(order)?;
        let sums = order
            .claims
            .iter()
            .map(|claim| claim.sums.clone())
            .collect();
        let found = (0_u8..).zip(&order.claims);
        let found = found
            .map(|(claim, _)| ClaimFound {
                claim,
                ..ClaimFound::default()
            })
            .collect();
        Ok(Self {
            draft,
            at,
            cause: None,
            id,
            order,
            evidence,
            programmes,
            sums,
            found,
        })
    }

    /// Names the receipt that makes the order be stated anew.
    pub(super) fn because(mut self, cause: Option<Cause>) -> Self {
        self.cause = cause;
        self
    }

    /// Takes over what the same entry has already found for some claims: top-ups, clawbacks.
    pub(super) fn start_with(&mut self, found: Vec<ClaimFound>) -> Result<(), Refusal> {
        for found in found {
            let index = usize::from(found.claim);
            if let (Some(sums), Some(slot)) = (self.sums.get_mut(index), self.found.get_mut(index))
            {
                // What was granted and forgone stays: only holds and denials move here.
                let stays = ClaimFound {
                    forgone: sums.layers.forgone()?,
                    ..found.clone()
                };
                let claim = self.order.claim(found.claim)?;
                let keys = settling_keys(self.draft, self.order, claim, self.at)?;
                sums.apply(&stays, keys.as_deref())?;
                *slot = found;
            }
        }
        Ok(())
    }

    /// States every claim and moves what differs.
    pub(super) fn run(mut self) -> Result<Vec<ClaimFound>, Refusal> {
        let programmes = self.programmes.clone();
        let mut valuation = Valuation::new(self.order.worth(), self.evidence, &programmes);
        let order = self.order;
        for (index, claim) in (0_u8..).zip(&order.claims) {
            let (given, room) = valuation.value(usize::from(index))?;
            self.state((index, claim), (given, room))?;
            let sums = self.sums.get(usize::from(index));
            let limit = sums.map(|sums| Limit::of(claim.source, sums)).transpose()?;
            if let Some(limit) = limit {
                valuation.limit(limit);
            }
        }
        Ok(self.found.into_iter().map(ClaimFound::tidy).collect())
    }

    fn state(
        &mut self,
        (index, claim): (ClaimIndex, &Claim),
        (given, room): (Given, Fen),
    ) -> Result<(), Refusal> {
        let place = usize::from(index);
        let (Some(sums), Some(programme)) = (self.sums.get(place), self.programmes.get(place))
        else {
            return Ok(());
        };
        let granted = sums.sum(|fund| fund.granted)?;
        let mut found = ClaimFound {
            claim: index,
            base: given.base,
            room,
            grant: granted,
            forgone: sums.layers.forgone()?,
            ..ClaimFound::default()
        };
        let keys = settling_keys(self.draft, self.order, claim, self.at)?;
        match given.want {
            Known::Unknown => found.manual = true,
            Known::Known(want) => {
                found.want = want;
                let target = want.min(room).minus(sums.denied)?.max(Fen::ZERO);
                let deltas = match claim.source {
                    Source::Voucher(_) | Source::Order => within_bounds(sums, target)?,
                    Source::Settlement => {
                        let slots =
                            Slots::issued(programme, &self.order.buyer, self.order.years(self.at))?;
                        let settled =
                            super::settle::settle(self.draft, programme, sums, &slots, target)?;
                        found.forgone = settled.forgone;
                        found.manual = settled.manual;
                        settled.deltas
                    }
                };
                self.transfer(claim, &mut found, &deltas)?;
            }
        }
        if let (Some(sums), Some(slot)) = (self.sums.get_mut(place), self.found.get_mut(place)) {
            sums.apply(&found, keys.as_deref())?;
            found.grant = sums.sum(|fund| fund.granted)?;
            found.delta = found.grant.minus(granted)?;
            found.held = std::mem::take(&mut slot.held);
            found.clawed = std::mem::take(&mut slot.clawed);
            found.drawn = found.drawn.plus(slot.drawn)?;
            add_lists(&mut found.recalled, &slot.recalled)?;
            *slot = found;
        }
        Ok(())
    }

    /// Moves the deltas of one claim, fund by fund, none against its sign.
    fn transfer(
        &mut self,
        claim: &Claim,
        found: &mut ClaimFound,
        deltas: &[Fen],
    ) -> Result<(), Refusal> {
        let place = usize::from(found.claim);
        let (Some(sums), Some(programme)) = (self.sums.get(place), self.programmes.get(place))
        else {
            return Ok(());
        };
        let (at, end) = (self.at, self.cause.map(|cause| cause.end));
        let corrected = self.cause.filter(|cause| cause.corrects);
        let mover = Mover {
            order: self.id,
            index: found.claim,
            programme: &claim.programme,
            payee: claim.payee,
            source: claim.source,
            back: Back::of(self.draft, self.order, claim, at),
            period: earned_period(self.draft, programme, claim.payee, at, end),
            corrected: corrected.map(|cause| period_of(programme, cause.end.after(-1))),
        };
        found.granted = deltas.to_vec();
        for (fund, delta) in sums.funds.iter().zip(deltas) {
            let moved = mover.by(self.draft, fund, *delta)?;
            found.released.push(moved.released);
            found.recalled.push(moved.recalled);
            found.drawn = found.drawn.plus(moved.drawn)?;
        }
        self.count(claim, found.claim, found.drawn)
    }

    /// Raises or lowers the counters by what left the funds or came back.
    fn count(&mut self, claim: &Claim, index: ClaimIndex, drawn: Fen) -> Result<(), Refusal> {
        if drawn.is_negative() {
            let draws = match claim.source {
                Source::Voucher(id) => Some(&self.draft.money.voucher(id)?.draws),
                Source::Order | Source::Settlement => {
                    self.sums.get(usize::from(index)).map(|sums| &sums.draws)
                }
            };
            let mut draws = draws.cloned().unwrap_or_default();
            for (key, by) in draws.lower(drawn.negated())? {
                self.draft.count(&key, by);
            }
        } else if !drawn.is_zero() {
            for key in settling_keys(self.draft, self.order, claim, self.at)?.unwrap_or_default() {
                self.draft.count(&key, drawn.get());
            }
        }
        Ok(())
    }
}

/// The counters of the year that a claim which commits at settlement draws on now; `None` for other claims.
pub(super) fn settling_keys(
    draft: &Draft<'_>,
    order: &Order,
    claim: &Claim,
    at: Timestamp,
) -> Result<Option<Vec<super::counter::CounterKey>>, Refusal> {
    if claim.source != Source::Settlement {
        return Ok(None);
    }
    let programme = draft
        .money
        .programme_version(&claim.programme, claim.version)?;
    Ok(Some(
        Slots::issued(programme, &order.buyer, order.years(at))?.keys(),
    ))
}

/// What each fund moves so that the claim is granted `target`, or as much of it as the holds bound.
fn within_bounds(sums: &ClaimSums, target: Fen) -> Result<Vec<Fen>, Refusal> {
    let bounds = sums.bounds()?;
    let bound = bounds.iter().copied().try_fold(Fen::ZERO, Fen::plus)?;
    let targets = nested_split(target.min(bound), &bounds)?;
    let mut deltas = Vec::with_capacity(targets.len());
    for (fund, target) in sums.funds.iter().zip(targets) {
        deltas.push(target.minus(fund.granted)?);
    }
    Ok(super::settle::one_sign(deltas)?)
}

fn add_lists(to: &mut Vec<Fen>, more: &[Fen]) -> Result<(), Refusal> {
    if to.is_empty() {
        to.extend_from_slice(more);
        return Ok(());
    }
    for (sum, fen) in to.iter_mut().zip(more) {
        *sum = sum.plus(*fen)?;
    }
    Ok(())
}
