//! `[[evidence]]`, `[[stage]]`, `[clawback]`, `[data]`: what people do, and data orders.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::money::BasisPoints;
use crate::programme::reader::{Count, Kind, Notes, Positive, RuleId, Table};
use crate::programme::schema::*;
use crate::refusal::Refusal;

pub(super) fn evidence(mut table: Table<'_>) -> Result<Evidence, Refusal> {
    let evidence = Evidence {
        stage: table.must("stage")?,
        kind: table.must("kind")?,
        issuer: table.opt::<RuleId>("issuer")?.map(|id| id.0),
        unique: table.or("unique", false)?,
        required: table.or("required", true)?,
    };
    table.finish()?;
    Ok(evidence)
}

pub(super) fn stage(mut table: Table<'_>) -> Result<Stage, Refusal> {
    let stage = Stage {
        id: table.must::<RuleId>("id")?.0,
        role: table.opt::<RuleId>("role")?.map(|id| id.0),
        does: table.must("does")?,
        four_eyes: table.or("four_eyes", false)?,
        documents: table
            .list::<RuleId>("documents")?
            .into_iter()
            .map(|id| id.0)
            .collect(),
        min_days: number(table.known("min_days", Kind::Late)?).unwrap_or(Known::Known(0)),
        max_days: number(table.known("max_days", Kind::Late)?),
        calendar: table.or("calendar", Calendar::Days)?,
        objection: table.or("objection", Objection::None)?,
    };
    table.finish()?;
    Ok(stage)
}

fn number(read: Option<Known<Count>>) -> Option<Known<i64>> {
    read.map(|known| match known {
        Known::Known(Count(n)) => Known::Known(n),
        Known::Unknown => Known::Unknown,
    })
}

pub(super) fn clawback(mut table: Table<'_>) -> Result<Clawback, Refusal> {
    let mut share = BTreeMap::new();
    if let Some(mut shares) = table.table("share_bp")? {
        for cause in Cause::ALL {
            if let Some(bp) = shares.known(cause.as_str(), Kind::Late)? {
                share.insert(*cause, bp);
            }
        }
        shares.finish()?;
    }
    let clawback = Clawback {
        causes: table.list("causes")?,
        share,
        interest_bp_year: number(table.known("interest_bp_year", Kind::Late)?)
            .unwrap_or(Known::Unknown),
        ban_days: number(table.known("ban_days", Kind::Late)?).unwrap_or(Known::Unknown),
        recovered_to: table
            .known("recovered_to", Kind::Late)?
            .unwrap_or(Known::Unknown),
        restore_cap: table.or("restore_cap", false)?,
        group_liability: table.or("group_liability", false)?,
    };
    table.finish()?;
    Ok(clawback)
}

pub(super) fn data(file: &mut Table<'_>, schemes: &[Scheme]) -> Result<Data, Refusal> {
    let nothing = toml::Table::new();
    let unheard = RefCell::new(Notes::default());
    let mut table = match file.table("data")? {
        Some(_) if !schemes.contains(&Scheme::Data) => {
            return Err(file.fault("data", "is for programmes of the scheme data"));
        }
        Some(table) => table,
        None => Table::new("data".into(), &nothing, &unheard),
    };
    let data = Data {
        acceptance: table.or("acceptance", AcceptanceRule::Signed)?,
        acceptance_days: table.opt::<Positive>("acceptance_days")?.map(|n| n.0),
        refund_days: table.opt::<Count>("refund_days")?.map(|n| n.0),
        retention_days: table.opt::<Count>("retention_days")?.map(|n| n.0),
        use_proof: table.or("use_proof", UseProof::None)?,
        holdback: table.or("holdback_bp", BasisPoints::WHOLE.complement())?,
        requires_assessment: table.or("requires_assessment", false)?,
    };
    if data.acceptance == AcceptanceRule::SignedOrDeemed && data.acceptance_days.is_none() {
        return Err(table.fault("acceptance_days", "is missing; deemed acceptance needs it"));
    }
    if data.holdback.get() > 0 && data.use_proof == UseProof::None {
        return Err(table.fault("holdback_bp", "is never released without use_proof"));
    }
    table.finish()?;
    Ok(data)
}
