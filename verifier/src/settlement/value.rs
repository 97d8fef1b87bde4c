//! What each claim of an order is worth on the evidence, and what others leave of it: nothing is moved here.
//!
//! A joint ceiling asks what earlier claims may yet earn *on this claim's evidence*: on the use that counts for both.

use super::order::{Order, Segment, Source, Sums};
use crate::money::{Fen, Overflow};
use crate::programme::schema::{Known, Programme, Scheme, StackMode};
use crate::programme::subsidy::{self, Bound, Lines, Shown, Span, TierChoice};
use crate::refusal::Refusal;
use std::collections::BTreeMap;

/// What a programme gives for an evidence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    /// What the rate is taken of; zero where it is unknown.
    pub(super) base: Fen,
    /// What is given in the end.
    pub(super) full: Known<Fen>,
    /// What is given as long as use is not proven.
    pub(super) want: Known<Fen>,
}

/// What a claim can be granted at most, whatever it is worth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    /// Before denials.
    pub(super) most: Fen,
    /// As it stands: what counts where the worth is unknown.
    pub(super) granted: Fen,
}

/// What the worth of claims depends on, besides the evidence.
pub(super) struct Worth<'a> {
    pub(super) scheme: Scheme,
    pub(super) segments: &'a [Segment],
    pub(super) contract_days: Option<Span>,
    pub(super) service_days: Option<Span>,
    /// By claim: the tiers that apply.
    pub(super) tiers: Vec<&'a [TierChoice]>,
}

impl Order {
    /// What the worth of its claims depends on.
    pub(super) fn worth(&self) -> Worth<'_> {
        Worth {
            scheme: self.scheme,
            segments: &self.segments,
            contract_days: self.contract_days,
            service_days: self.service_days,
            tiers: self
                .claims
                .iter()
                .map(|claim| claim.tiers.as_slice())
                .collect(),
        }
    }
}

/// An order's claims valued on one evidence.
pub(super) struct Valuation<'a> {
    worth: Worth<'a>,
    sums: &'a Sums,
    programmes: &'a [&'a Programme],
    /// A quote: the terms used in full, nothing held back, no limits.
    in_full: bool,
    /// Whether all use counts for all claims, so that every set of claims sees the same use.
    uniform: bool,
    limits: Vec<Limit>,
    /// What is accepted before the buyer has accepted.
    nothing: Lines,
    given: BTreeMap<(usize, u8), Given>,
}

impl<'a> Valuation<'a> {
    pub(super) fn new(worth: Worth<'a>, sums: &'a Sums, programmes: &'a [&'a Programme]) -> Self {
        let all = (0..worth.tiers.len()).fold(0_u8, |mask, index| mask | bit(index));
        let uniform = sums
            .uses
            .iter()
            .flatten()
            .all(|(mask, units)| *mask == all || *units == 0);
        Self {
            worth,
            sums,
            programmes,
            in_full: false,
            uniform,
            limits: Vec::new(),
            nothing: Lines::default(),
            given: BTreeMap::new(),
        }
    }

    pub(super) fn in_full(mut self) -> Self {
        self.in_full = true;
        self
    }

    /// Notes what the next claim in stacking order may be granted at most.
    pub(super) fn limit(&mut self, limit: Limit) {
        self.limits.push(limit);
    }

    /// What a claim is worth on its own evidence, and its room there.
    pub(super) fn value(&mut self, claim: usize) -> Result<(Given, Fen), Refusal> {
        let set = self.set(claim);
        Ok((self.given(claim, set)?, self.room(claim, set)?))
    }

    fn given(&mut self, claim: usize, set: u8) -> Result<Given, Refusal> {
        if let Some(given) = self.given.get(&(claim, set)) {
            return Ok(*given);
        }
        let given = self.work_out(claim, set)?;
        self.given.insert((claim, set), given);
        Ok(given)
    }

    fn work_out(&self, index: usize, set: u8) -> Result<Given, Refusal> {
        let (Some(programme), Some(tiers)) =
            (self.programmes.get(index), self.worth.tiers.get(index))
        else {
            return Err(Overflow.into());
        };
        let charges = self.charges(set)?;
        let decided = self.sums.decided.get(index).copied().flatten();
        let base = subsidy::base(programme, &self.shown(index, &charges))?;
        // Where the base is what a case decides, so is its amount.
        let Some(base) = base.known().copied().or(decided) else {
            return Ok(Given {
                base: Fen::ZERO,
                full: Known::Unknown,
                want: Known::Unknown,
            });
        };
        let full = match subsidy::want(programme, base, &charges, tiers)? {
            Known::Unknown => decided.map_or(Known::Unknown, Known::Known),
            known @ Known::Known(_) => known,
        };
        let proven = self.sums.use_proven && self.sums.not_proven_for & bit(index) == 0;
        let held_back = self.worth.scheme == Scheme::Data && !proven && !self.in_full;
        let want = match full {
            Known::Known(full) if held_back => Known::Known(subsidy::held_back(programme, full)?),
            Known::Known(_) | Known::Unknown => full,
        };
        Ok(Given { base, full, want })
    }

    fn charges(&self, set: u8) -> Result<Vec<Fen>, Overflow> {
        let units = if self.in_full {
            self.worth
                .segments
                .iter()
                .map(|segment| segment.limit.unwrap_or(0))
                .collect()
        } else {
            self.sums.units(set)?
        };
        let charged = self.worth.segments.iter().zip(units);
        charged
            .map(|(segment, units)| segment.charge(units))
            .collect()
    }

    fn shown<'b>(&'b self, claim: usize, charges: &'b [Fen]) -> Shown<'b> {
        let sums = self.sums;
        let known = |lines: &'b Option<Lines>| lines.as_ref().map_or(Bound::Unknown, Bound::At);
        let so_far = |lines: &'b Lines| {
            if self.in_full {
                Bound::None
            } else {
                Bound::At(lines)
            }
        };
        let limited = self
            .worth
            .segments
            .iter()
            .all(|segment| segment.limit.is_some());
        let is_accepted = sums.accepted && sums.not_accepted_for & bit(claim) == 0;
        let accepted = match &sums.contract {
            _ if self.in_full => Bound::None,
            _ if !is_accepted => Bound::At(&self.nothing),
            Some(contract) => Bound::At(contract),
            None => Bound::Unknown,
        };
        Shown {
            scheme: self.worth.scheme,
            charges,
            charges_bound: !self.in_full || (limited && !self.worth.segments.is_empty()),
            contract: known(&sums.contract),
            approved: known(&sums.approved),
            invoiced: so_far(&sums.invoiced),
            paid: so_far(&sums.paid),
            accepted,
            contract_days: self.worth.contract_days,
            service_days: self.worth.service_days,
        }
    }

    /// What other claims leave: of the largest base up to this one, and of the joint ceiling on this claim's evidence.
    fn room(&mut self, claim: usize, set: u8) -> Result<Fen, Refusal> {
        let own = self.given(claim, set)?.base;
        let alone = self.set(claim);
        let (mut largest, mut all, mut same) = (own, Fen::ZERO, Fen::ZERO);
        for earlier in 0..claim {
            let both = if self.uniform { 0 } else { set | bit(earlier) };
            // A claim on its own evidence leaves what the others leave on theirs.
            let theirs = if set == alone {
                self.set(earlier)
            } else {
                both
            };
            largest = largest.max(self.given(earlier, theirs)?.base);
            all = all.plus(self.earns(earlier, theirs)?)?;
            if self.same_group(earlier, claim) {
                same = same.plus(self.earns(earlier, both)?)?;
            }
        }
        let mut room = largest.minus(all)?;
        if let Some(programme) = self.programmes.get(claim)
            && programme.stack.group.is_some()
            && programme.stack.mode == StackMode::AddToCeiling
        {
            room = room.min(subsidy::share(own, programme.stack.ceiling)?.minus(same)?);
        }
        Ok(room.max(Fen::ZERO))
    }

    /// The use that counts for one claim, as a set of claims.
    fn set(&self, claim: usize) -> u8 {
        if self.uniform { 0 } else { bit(claim) }
    }

    fn same_group(&self, a: usize, b: usize) -> bool {
        let group = |index| {
            self.programmes
                .get(index)
                .and_then(|p: &&Programme| p.stack.group.as_ref())
        };
        group(a).is_some() && group(a) == group(b)
    }

    /// What an earlier claim may yet earn, before its holdback and denials.
    fn earns(&mut self, claim: usize, set: u8) -> Result<Fen, Refusal> {
        let limit = self.limits.get(claim).copied();
        let limit = limit.unwrap_or(Limit {
            most: Fen::MAX,
            granted: Fen::ZERO,
        });
        match self.given(claim, set)?.full {
            Known::Unknown => Ok(limit.granted),
            Known::Known(full) => Ok(full
                .min(self.room(claim, set)?)
                .min(limit.most)
                .max(Fen::ZERO)),
        }
    }
}

impl Limit {
    /// The limit of a claim as its sums stand.
    pub(super) fn of(source: Source, sums: &super::claim::ClaimSums) -> Result<Self, Overflow> {
        let granted = sums.sum(|fund| fund.granted)?;
        let most = match source {
            Source::Voucher(_) | Source::Order => {
                sums.bounds()?.into_iter().try_fold(Fen::ZERO, Fen::plus)?
            }
            Source::Settlement => granted,
        };
        Ok(Self {
            most: most.plus(sums.denied)?,
            granted,
        })
    }
}

fn bit(claim: usize) -> u8 {
    // An order has at most eight claims.
    1_u8.checked_shl(u32::try_from(claim).unwrap_or(u32::MAX))
        .unwrap_or(0)
}
