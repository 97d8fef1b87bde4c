//! What one programme gives for what one order's evidence shows: pure amounts (DESIGN §4.4, PROGRAMMES §1).
//!
//! Base: the least of the programme's bases, lines filtered inside each, then the seller's share, the floor, the part
//! of the contract's days. Want: a rate or bands of the base by tier, summed, one division at the end. Nothing here
//! knows holds, caps, funds or other programmes: that is [`crate::settlement`], which calls this for each claim.

use super::schema::{
    Band, Banding, BaseKind, DayCount, Known, Line, Programme, ProrateBy, RoundAfter, Scheme,
    Select, Tier, TierAmount, TierPer,
};
use crate::money::{BasisPoints, Fen, Overflow, Rounding};
use crate::time::LocalDay;
use serde::{Deserialize, Serialize};

/// Which tiers of a programme apply to a segment (or to the order), in the programme's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TierChoice {
    /// Those whose conditions all hold; none: nothing is given.
    Applicable(Vec<u8>),
    /// A fact is unknown, so that a person decides.
    Manual,
}

/// Money by line; every line once, at most eight.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lines(Vec<(Line, Fen)>);

impl Lines {
    /// Adds an amount to a line.
    /// # Errors
    /// [`Overflow`].
    pub fn add(&mut self, line: Line, fen: Fen) -> Result<(), Overflow> {
        match self.0.iter_mut().find(|(of, _)| *of == line) {
            Some((_, sum)) => *sum = sum.plus(fen)?,
            None => self.0.push((line, fen)),
        }
        Ok(())
    }

    /// Adds all lines of another.
    /// # Errors
    /// [`Overflow`].
    pub fn add_all(&mut self, more: &Self) -> Result<(), Overflow> {
        more.0
            .iter()
            .try_for_each(|(line, fen)| self.add(*line, *fen))
    }

    /// The sum of the lines that count for a programme.
    /// # Errors
    /// [`Overflow`].
    pub fn counted(&self, programme: &Programme) -> Result<Fen, Overflow> {
        let counted = self
            .0
            .iter()
            .filter(|(line, _)| programme.base.counts(*line));
        counted.map(|(_, fen)| *fen).try_fold(Fen::ZERO, Fen::plus)
    }
}

impl FromIterator<(Line, Fen)> for Lines {
    fn from_iter<I: IntoIterator<Item = (Line, Fen)>>(lines: I) -> Self {
        Self(lines.into_iter().collect())
    }
}

/// A span of local days as printed: the last day is named, not the first one after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The first day.
    pub from: LocalDay,
    /// The last day.
    pub to: LocalDay,
}

impl Span {
    fn within(self, from: Option<LocalDay>, to: Option<LocalDay>) -> Self {
        Self {
            from: from.map_or(self.from, |day| day.max(self.from)),
            to: to.map_or(self.to, |day| day.min(self.to)),
        }
    }

    const fn days(self, count: DayCount) -> i64 {
        let apart = self.to.number() - self.from.number();
        let days = match count {
            DayCount::Inclusive => apart + 1,
            DayCount::ExclusiveEnd => apart,
        };
        if days > 0 { days } else { 0 }
    }
}

/// What one amount of the evidence does to the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound<T> {
    /// It bounds the base.
    At(T),
    /// It is not known: a person decides.
    Unknown,
    /// It does not bound (a quote, for what only use or payment will show).
    None,
}

/// The sums of an order's evidence that a base can be taken of.
#[derive(Debug, Clone)]
pub struct Shown<'a> {
    /// What the order is for.
    pub scheme: Scheme,
    /// The charge of each segment so far.
    pub charges: &'a [Fen],
    /// Whether the charges bound the base; they do not in a quote without an end.
    pub charges_bound: bool,
    /// The contract's amount.
    pub contract: Bound<&'a Lines>,
    /// The amount that a case approved.
    pub approved: Bound<&'a Lines>,
    /// What was invoiced.
    pub invoiced: Bound<&'a Lines>,
    /// What was paid.
    pub paid: Bound<&'a Lines>,
    /// The price after acceptance, zero before (data).
    pub accepted: Bound<&'a Lines>,
    /// The contract's days.
    pub contract_days: Option<Span>,
    /// The days of service.
    pub service_days: Option<Span>,
}

/// Returns the base: the least of the programme's bases, after seller's share, floor, period and rounding.
///
/// [`Known::Unknown`] where an amount that bounds is not known, unless another one is already zero.
/// # Errors
/// [`Overflow`].
pub fn base(programme: &Programme, shown: &Shown<'_>) -> Result<Known<Fen>, Overflow> {
    let mut least: Option<Fen> = None;
    let mut unknown = false;
    for kind in programme.base.kinds(shown.scheme) {
        match amount(programme, shown, kind)? {
            Bound::At(fen) => least = Some(least.map_or(fen, |least| least.min(fen))),
            Bound::Unknown => unknown = true,
            Bound::None => {}
        }
    }
    match (least, unknown) {
        (Some(least), _) if least.is_zero() => Ok(Known::Known(Fen::ZERO)),
        (_, true) | (None, false) => Ok(Known::Unknown),
        (Some(least), false) => refine(programme, shown, least),
    }
}

fn amount(
    programme: &Programme,
    shown: &Shown<'_>,
    kind: BaseKind,
) -> Result<Bound<Fen>, Overflow> {
    let counted = |lines: Bound<&Lines>| match lines {
        Bound::At(lines) => lines.counted(programme).map(Bound::At),
        Bound::Unknown => Ok(Bound::Unknown),
        Bound::None => Ok(Bound::None),
    };
    match kind {
        BaseKind::Contract => counted(shown.contract),
        BaseKind::Approved => counted(shown.approved),
        BaseKind::Invoiced => counted(shown.invoiced),
        BaseKind::Paid => counted(shown.paid),
        BaseKind::Accepted => counted(shown.accepted),
        BaseKind::Metered if !shown.charges_bound => Ok(Bound::None),
        // Metered money is GPU rent.
        BaseKind::Metered if !programme.base.counts(Line::GpuRent) => Ok(Bound::At(Fen::ZERO)),
        BaseKind::Metered => {
            let mut charges = shown.charges.iter().copied();
            charges.try_fold(Fen::ZERO, Fen::plus).map(Bound::At)
        }
    }
}

fn refine(programme: &Programme, shown: &Shown<'_>, least: Fen) -> Result<Known<Fen>, Overflow> {
    let Known::Known(seller_share) = programme.base.seller_share else {
        return Ok(Known::Unknown);
    };
    let base = share(least, seller_share.complement())?;
    let base = round(programme, RoundAfter::Base, base)?;
    if base < programme.base.floor {
        return Ok(Known::Known(Fen::ZERO));
    }
    let Some(proration) = programme.base.period_proration else {
        return round(programme, RoundAfter::Period, base).map(Known::Known);
    };
    if proration.by == ProrateBy::None {
        return round(programme, RoundAfter::Period, base).map(Known::Known);
    }
    let Some(contract) = shown.contract_days else {
        return Ok(Known::Unknown);
    };
    let window = programme.window.service;
    let (first, last) = window.map_or((None, None), |days| (days.from, days.to));
    let service = shown.service_days.unwrap_or(contract);
    let service = service
        .within(Some(contract.from), Some(contract.to))
        .within(first, last);
    let whole = contract.days(proration.days);
    if whole == 0 {
        return Ok(Known::Unknown);
    }
    let days = i128::from(service.days(proration.days));
    let part = Fen::from_wide(base.wide() * days / i128::from(whole))?;
    round(programme, RoundAfter::Period, part).map(Known::Known)
}

/// Returns what the programme gives for a base that the order's charges make up.
///
/// A base below the charges is spread over the segments by prefix rounding. [`Known::Unknown`] where a tier, a rate or
/// a tier's cap is not known and there is something to give.
/// # Errors
/// [`Overflow`].
pub fn want(
    programme: &Programme,
    base: Fen,
    charges: &[Fen],
    choices: &[TierChoice],
) -> Result<Known<Fen>, Overflow> {
    let parts = parts(programme, base, charges)?;
    // What each tier is given of: its own segments' sum.
    let mut sums: Vec<(u8, Fen)> = Vec::new();
    for (index, part) in parts.iter().enumerate().filter(|(_, part)| !part.is_zero()) {
        let tier = match choices.get(index) {
            Some(TierChoice::Applicable(tiers)) => select(programme, tiers, *part)?,
            Some(TierChoice::Manual) | None => Known::Unknown,
        };
        match tier {
            Known::Unknown => return Ok(Known::Unknown),
            Known::Known(None) => {}
            Known::Known(Some(tier)) => match sums.iter_mut().find(|(of, _)| *of == tier) {
                Some((_, sum)) => *sum = sum.plus(*part)?,
                None => sums.push((tier, *part)),
            },
        }
    }
    let mut numerator: i128 = 0;
    for (tier, sum) in sums {
        match tier_numerator(programme, tier, sum) {
            Known::Known(share) => numerator += share,
            Known::Unknown => return Ok(Known::Unknown),
        }
    }
    let want = Fen::from_wide(numerator / BasisPoints::DIVISOR)?;
    round(programme, RoundAfter::Rate, want).map(Known::Known)
}

/// Returns what of `want` is earned before use is proven: ⌊want × (10000 − bp) ÷ 10000⌋ (data orders).
/// # Errors
/// [`Overflow`].
pub fn held_back(programme: &Programme, want: Fen) -> Result<Fen, Overflow> {
    share(want, programme.data.holdback.complement())
}

/// Returns ⌊amount × rate⌋.
/// # Errors
/// [`Overflow`].
pub fn share(amount: Fen, rate: BasisPoints) -> Result<Fen, Overflow> {
    Fen::from_wide(amount.wide() * rate.wide() / BasisPoints::DIVISOR)
}

fn round(programme: &Programme, after: RoundAfter, amount: Fen) -> Result<Fen, Overflow> {
    let rule = programme.rounding.iter().find(|round| round.after == after);
    rule.map_or(Ok(amount), |rule| rule.mode.to_unit(amount, rule.unit))
}

/// The base by what tiers are chosen for: the order as a whole, or its segments.
fn parts(programme: &Programme, base: Fen, charges: &[Fen]) -> Result<Vec<Fen>, Overflow> {
    let total: i128 = charges.iter().map(|charge| charge.wide()).sum();
    if programme.rate.tier_per == TierPer::Order || total == 0 {
        return Ok(vec![base]);
    }
    let mut parts = Vec::with_capacity(charges.len());
    let (mut charged, mut spread) = (0_i128, Fen::ZERO);
    for charge in charges {
        charged += charge.wide();
        let upto = Fen::from_wide(Rounding::Floor.divide(base.wide() * charged, total)?)?;
        parts.push(upto.minus(spread)?);
        spread = upto;
    }
    Ok(parts)
}

fn select(programme: &Programme, tiers: &[u8], part: Fen) -> Result<Known<Option<u8>>, Overflow> {
    match programme.rate.select {
        Select::First => Ok(Known::Known(tiers.first().copied())),
        Select::Decision => Ok(Known::Unknown),
        Select::Best => {
            let mut best: Option<(u8, i128)> = None;
            for tier in tiers {
                let Known::Known(gives) = tier_numerator(programme, *tier, part) else {
                    return Ok(Known::Unknown);
                };
                if best.is_none_or(|(_, most)| gives > most) {
                    best = Some((*tier, gives));
                }
            }
            Ok(Known::Known(best.map(|(tier, _)| tier)))
        }
    }
}

/// What a tier gives of a sum, × 10000; its cap applied before the one division.
fn tier_numerator(programme: &Programme, tier: u8, sum: Fen) -> Known<i128> {
    let Some(tier) = programme.rate.tiers.get(usize::from(tier)) else {
        return Known::Unknown;
    };
    let gives = match &tier.amount {
        TierAmount::Rate(Known::Known(bp)) => sum.wide() * bp.wide(),
        TierAmount::Bands(Known::Known(bands)) => banded(programme.rate.banding, bands, sum),
        TierAmount::Fixed {
            fen: Known::Known(fen),
            ..
        } => fen.wide() * BasisPoints::DIVISOR,
        TierAmount::Rate(Known::Unknown)
        | TierAmount::Bands(Known::Unknown)
        | TierAmount::Fixed {
            fen: Known::Unknown,
            ..
        } => return Known::Unknown,
    };
    capped(tier, gives)
}

const fn capped(tier: &Tier, gives: i128) -> Known<i128> {
    match tier.cap {
        None => Known::Known(gives),
        Some(Known::Unknown) => Known::Unknown,
        Some(Known::Known(cap)) => {
            let most = cap.wide() * BasisPoints::DIVISOR;
            Known::Known(if gives > most { most } else { gives })
        }
    }
}

fn banded(banding: Banding, bands: &[Band], sum: Fen) -> i128 {
    match banding {
        Banding::Whole => {
            let band = bands
                .iter()
                .find(|band| band.upto.is_none_or(|upto| sum <= upto));
            band.map_or(0, |band| sum.wide() * band.bp.wide())
        }
        Banding::Marginal => {
            let mut below = 0_i128;
            let mut gives = 0_i128;
            for band in bands {
                let upto = band
                    .upto
                    .map_or(sum.wide(), |upto| upto.wide().min(sum.wide()));
                gives += (upto - below).max(0) * band.bp.wide();
                below = below.max(upto);
            }
            gives
        }
    }
}

packed_newtype!(Lines);
packed!(Span { from, to });
packed_enum!(TierChoice { 0 => Applicable(tiers), 1 => Manual });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programme::scenario;

    fn fen(n: i64) -> Fen {
        Fen::new(n).unwrap()
    }

    fn programme(rules: &str) -> Programme {
        let fund = r#"fund = [{ id = "one", funder = "one-finance", weight = 1 }]"#;
        let head = format!("id = \"test\"\nscheme = [\"compute\", \"data\"]\n{fund}\n");
        scenario::programme(&format!(
            "{head}instrument = {{ commit_at = \"issue\" }}\n{rules}"
        ))
    }

    fn given(rules: &str, base: i64, charges: &[i64], choices: &[TierChoice]) -> Option<i64> {
        let charges: Vec<_> = charges.iter().map(|charge| fen(*charge)).collect();
        let want = want(&programme(rules), fen(base), &charges, choices).unwrap();
        want.known().map(|want| want.get())
    }

    fn tiers(list: &[u8]) -> TierChoice {
        TierChoice::Applicable(list.to_vec())
    }

    #[test]
    fn a_band_ends_with_its_upper_amount_and_all_is_divided_once() {
        let bands = "[{ upto_fen = 1000, bp = 6000 }, { bp = 4000 }]";
        let rate = |banding: &str| {
            format!(
                "rate = {{ banding = \"{banding}\", tier = [{{ id = \"b\", bands = {bands} }}] }}"
            )
        };
        let of = |banding: &str, base| given(&rate(banding), base, &[], &[tiers(&[0])]);
        assert_eq!(of("whole", 1000), Some(600));
        assert_eq!(of("whole", 1001), Some(400));
        assert_eq!(of("marginal", 1000), Some(600));
        assert_eq!(of("marginal", 1003), Some(601));
    }

    #[test]
    fn best_takes_the_higher_amount_after_the_caps_of_tiers() {
        let rate = r#"rate = { select = "best", tier = [{ id = "a", bp = 9000, cap_fen = 400 }, { id = "b", bp = 5000 }, { id = "c", fixed_fen = 450, once = "life" }] }"#;
        assert_eq!(given(rate, 1000, &[], &[tiers(&[0, 1, 2])]), Some(500));
        assert_eq!(given(rate, 800, &[], &[tiers(&[0, 1, 2])]), Some(450));
        assert_eq!(given(rate, 1000, &[], &[tiers(&[0])]), Some(400));
        assert_eq!(given(rate, 1000, &[], &[tiers(&[])]), Some(0));
    }

    #[test]
    fn segments_share_a_smaller_base_by_prefix_and_a_tier_sums_its_own() {
        let rate = r#"rate = { tier_per = "segment", tier = [{ id = "a", bp = 3333 }, { id = "b", bp = 1000 }] }"#;
        let choices = [tiers(&[0]), tiers(&[1]), tiers(&[0])];
        // 100 over 10 + 10 + 10: 33, 33, 34.
        assert_eq!(
            given(rate, 100, &[10, 10, 10], &choices),
            Some((67 * 3333 + 33 * 1000) / 10_000)
        );
        assert_eq!(given(rate, 0, &[10, 10, 10], &choices), Some(0));
    }

    #[test]
    fn what_is_unknown_is_not_zero_unless_there_is_nothing_to_give() {
        let rate = r#"rate = { tier = [{ id = "a", bp = "unknown" }] }"#;
        assert_eq!(given(rate, 100, &[], &[tiers(&[0])]), None);
        assert_eq!(given(rate, 100, &[], &[TierChoice::Manual]), None);
        assert_eq!(given(rate, 0, &[], &[TierChoice::Manual]), Some(0));
        let capped = r#"rate = { tier = [{ id = "a", bp = 100, cap_fen = "unknown" }] }"#;
        assert_eq!(given(capped, 100, &[], &[tiers(&[0])]), None);
    }

    fn shown<'a>(charges: &'a [Fen], lines: &'a Lines) -> Shown<'a> {
        Shown {
            scheme: Scheme::Compute,
            charges,
            charges_bound: true,
            contract: Bound::At(lines),
            approved: Bound::Unknown,
            invoiced: Bound::At(lines),
            paid: Bound::At(lines),
            accepted: Bound::At(lines),
            contract_days: None,
            service_days: None,
        }
    }

    #[test]
    fn lines_are_filtered_inside_each_base_before_the_minimum() {
        let rules = r#"base = { of = ["contract", "metered"], lines_excluded = ["storage"] }
rate = { tier = [{ id = "a", bp = 5000 }] }"#;
        let lines = Lines::from_iter([(Line::GpuRent, fen(700)), (Line::Storage, fen(900))]);
        let base_of = |charge| base(&programme(rules), &shown(&[fen(charge)], &lines)).unwrap();
        assert_eq!(base_of(800), Known::Known(fen(700)));
        assert_eq!(base_of(600), Known::Known(fen(600)));
    }

    #[test]
    fn the_floor_is_a_threshold_after_the_sellers_share() {
        let rules = r#"base = { of = ["metered"], seller_share_bp = 1000, floor_fen = 90 }
rate = { tier = [{ id = "a", bp = 5000 }] }"#;
        let lines = Lines::default();
        let base_of = |charge| base(&programme(rules), &shown(&[fen(charge)], &lines)).unwrap();
        assert_eq!(base_of(100), Known::Known(fen(90)));
        assert_eq!(base_of(99), Known::Known(Fen::ZERO));
    }

    #[test]
    fn an_amount_that_nobody_recorded_makes_the_base_unknown_unless_another_is_zero() {
        let rules = r#"base = { of = ["approved", "metered"] }
rate = { tier = [{ id = "a", bp = 5000 }] }"#;
        let lines = Lines::default();
        let base_of = |charge| base(&programme(rules), &shown(&[fen(charge)], &lines)).unwrap();
        assert_eq!(base_of(100), Known::Unknown);
        assert_eq!(base_of(0), Known::Known(Fen::ZERO));
    }
}
