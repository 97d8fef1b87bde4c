//! `[base]`, `[rate]`, `[[cap]]`, `[stack]`, `[[rounding]]`: what money is computed from.

use std::cell::RefCell;

use super::rule::condition;
use crate::money::{BasisPoints, Fen, Rounding};
use crate::programme::reader::{Count, Kind, Many, Notes, RuleId, Table, is_unknown};
use crate::programme::schema::*;
use crate::refusal::Refusal;

pub(super) fn base(file: &mut Table<'_>) -> Result<Base, Refusal> {
    let (nothing, unheard) = (toml::Table::new(), RefCell::new(Notes::default()));
    let mut table = match file.table("base")? {
        Some(table) => table,
        None => {
            file.unsettled("base");
            Table::new("base".into(), &nothing, &unheard)
        }
    };
    let of = match (table.has("of"), table.settled::<Many<BaseKind>>("of")?) {
        (_, Some(of)) if of.0.is_empty() => return Err(table.fault("of", "is empty")),
        (_, Some(of)) => of.0,
        (true, None) => vec![BaseKind::Metered],
        (false, None) => {
            table.unsettled("of");
            vec![BaseKind::Metered]
        }
    };
    if of.contains(&BaseKind::Approved) {
        table.amount_open("of");
    }
    let base = Base {
        of,
        lines_excluded: table.list("lines_excluded")?,
        lines_included: table.list("lines_included")?,
        tax: table.settled("tax")?.unwrap_or(Tax::Gross),
        seller_share: table
            .known("seller_share_bp", Kind::Amount)?
            .unwrap_or(Known::Known(BasisPoints::WHOLE.complement())),
        floor: table.or("floor_fen", Fen::ZERO)?,
        period_proration: table
            .table("period_proration")?
            .map(proration)
            .transpose()?,
    };
    table.finish()?;
    Ok(base)
}

fn proration(mut table: Table<'_>) -> Result<Proration, Refusal> {
    let proration = Proration {
        by: table.or("by", ProrateBy::Days)?,
        days: table.or("days", DayCount::ExclusiveEnd)?,
        clip: table.or("clip", Clip::Service)?,
    };
    table.finish()?;
    Ok(proration)
}

pub(super) fn rate(file: &mut Table<'_>) -> Result<Rate, Refusal> {
    let Some(mut table) = file.table("rate")? else {
        file.unsettled("rate");
        return Ok(Rate {
            select: Select::Decision,
            banding: Banding::Whole,
            tier_per: TierPer::Order,
            tiers: Vec::new(),
        });
    };
    let rate = Rate {
        select: table.or("select", Select::First)?,
        banding: table.or("banding", Banding::Whole)?,
        tier_per: table.or("tier_per", TierPer::Order)?,
        tiers: table
            .tables("tier")?
            .into_iter()
            .map(tier)
            .collect::<Result<_, _>>()?,
    };
    match (rate.select, rate.tiers.is_empty()) {
        (Select::Decision, _) => table.amount_open("select"),
        (Select::First | Select::Best, true) => return Err(table.fault("tier", "is missing")),
        (Select::First | Select::Best, false) => {}
    }
    table.finish()?;
    Ok(rate)
}

fn tier(mut table: Table<'_>) -> Result<Tier, Refusal> {
    let id = table.must::<RuleId>("id")?.0;
    let when = table
        .tables("when")?
        .into_iter()
        .map(|t| condition(t, None))
        .collect::<Result<_, _>>()?;
    let rate = table.known("bp", Kind::Amount)?;
    let bands = bands(&mut table)?;
    let fixed = table.known("fixed_fen", Kind::Amount)?;
    let once = table.opt("once")?;
    let amount = match (rate, bands, fixed, once) {
        (Some(rate), None, None, None) => TierAmount::Rate(rate),
        (None, Some(bands), None, None) => TierAmount::Bands(bands),
        (None, None, Some(fen), Some(once)) => TierAmount::Fixed { fen, once },
        _ => {
            return Err(table.fault("bp", "a tier has one of bp, bands, or fixed_fen with once"));
        }
    };
    let tier = Tier {
        id,
        when,
        amount,
        cap: table.known("cap_fen", Kind::Amount)?,
    };
    table.finish()?;
    Ok(tier)
}

fn bands(tier: &mut Table<'_>) -> Result<Option<Known<Vec<Band>>>, Refusal> {
    if !tier.has("bands") {
        return Ok(None);
    }
    if tier.value("bands").is_some_and(is_unknown) {
        tier.amount_open("bands");
        return Ok(Some(Known::Unknown));
    }
    let mut bands: Vec<Band> = Vec::new();
    for mut table in tier.tables("bands")? {
        let band = Band {
            upto: table.opt("upto_fen")?,
            bp: table.must("bp")?,
        };
        if let Some(last) = bands.last()
            && (last.upto.is_none() || band.upto.is_some_and(|upto| Some(upto) <= last.upto))
        {
            return Err(table.fault(
                "upto_fen",
                "bands rise, and only the last one has no upper end",
            ));
        }
        table.finish()?;
        bands.push(band);
    }
    if bands.last().is_none_or(|last| last.upto.is_some()) {
        return Err(tier.fault("bands", "the last band has no upto_fen"));
    }
    Ok(Some(Known::Known(bands)))
}

pub(super) fn cap(mut table: Table<'_>) -> Result<Cap, Refusal> {
    let mut count: Vec<Counted> = table.list("count")?;
    if count.is_empty() {
        count.push(Counted::Issued);
    }
    let cap = Cap {
        id: table.must::<RuleId>("id")?.0,
        key: table.must("key")?,
        per: match (table.has("per"), table.settled("per")?) {
            (_, Some(per)) => per,
            (true, None) => CapPer::CalendarYear,
            (false, None) => return Err(table.fault("per", "is missing")),
        },
        year_of: table.or("year_of", YearOf::Issue)?,
        count,
        over: table.known("over", Kind::Late)?.unwrap_or(Known::Unknown),
        limit: table.known("limit_fen", Kind::Amount)?.ok_or_else(|| {
            table.fault(
                "limit_fen",
                "is missing; write \"unknown\" if the text gives none",
            )
        })?,
        soft_limit: table.known("soft_limit_fen", Kind::Amount)?,
        shared: table.opt::<RuleId>("shared")?.map(|id| id.0),
    };
    if table.has("over") && !cap.count.contains(&Counted::Redeemed) {
        return Err(table.fault("over", "is for caps that count what is redeemed"));
    }
    if let (Some(Known::Known(soft)), Known::Known(limit)) = (cap.soft_limit, cap.limit)
        && soft > limit
    {
        return Err(table.fault("soft_limit_fen", "lies above limit_fen"));
    }
    table.finish()?;
    Ok(cap)
}

pub(super) fn stack(file: &mut Table<'_>) -> Result<Stack, Refusal> {
    let Some(mut table) = file.table("stack")? else {
        return Ok(Stack {
            group: None,
            mode: StackMode::Exclusive,
            ceiling: BasisPoints::WHOLE,
            order: 100,
            with: Vec::new(),
        });
    };
    let stack = Stack {
        group: table.opt::<RuleId>("group")?.map(|id| id.0),
        mode: table.or("mode", StackMode::Exclusive)?,
        ceiling: table.or("ceiling_bp", BasisPoints::WHOLE)?,
        order: table.or("order", Count(100))?.0,
        with: table.list("with")?,
    };
    if (stack.mode == StackMode::Link) == stack.with.is_empty() {
        return Err(table.fault("with", "belongs to mode = \"link\", which needs it"));
    }
    if stack.mode == StackMode::AddToCeiling && stack.group.is_none() {
        return Err(table.fault("group", "is missing; add_to_ceiling needs it"));
    }
    table.finish()?;
    Ok(stack)
}

pub(super) fn rounding(file: &mut Table<'_>) -> Result<Vec<Round>, Refusal> {
    let mut rounding: Vec<Round> = Vec::new();
    for mut table in file.tables("rounding")? {
        let round = Round {
            after: table.must("after")?,
            unit: table.or("unit_fen", Fen::new(1)?)?,
            mode: table.or("mode", Rounding::Floor)?,
        };
        if round.unit.is_zero() {
            return Err(table.fault("unit_fen", "is zero"));
        }
        if rounding.iter().any(|earlier| earlier.after == round.after) {
            return Err(table.fault("after", "has a rounding already"));
        }
        table.finish()?;
        rounding.push(round);
    }
    Ok(rounding)
}
