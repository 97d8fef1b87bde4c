//! `[instrument]` and `[window]`: who pays whom, against what, and when.

use std::cell::RefCell;

use super::rule::fact_of;
use crate::money::Fen;
use crate::programme::reader::{Count, Kind, LocalMoment, Notes, Positive, RuleId, Table};
use crate::programme::schema::*;
use crate::refusal::Refusal;
use crate::time::{PeriodLength, UtcOffset};

pub(super) fn instrument(file: &mut Table<'_>) -> Result<Instrument, Refusal> {
    // An absent table reads as an empty one, so that the rest of the file is checked all the same.
    let (nothing, unheard) = (toml::Table::new(), RefCell::new(Notes::default()));
    let mut table = match file.table("instrument")? {
        Some(table) => table,
        None => {
            file.unsettled("instrument");
            Table::new("instrument".into(), &nothing, &unheard)
        }
    };
    let (mode, payee) = sides(&mut table)?;
    let (issue, commit_at) = acts(&mut table)?;
    let instrument = Instrument {
        mode,
        payee,
        issue,
        commit_at,
        exhaustion: table
            .known("exhaustion", Kind::Late)?
            .unwrap_or(Known::Known(Exhaustion::FirstCome)),
        face: table.settled("face")?.unwrap_or(Face::Computed),
        denominations: table.list("denominations_fen")?,
        min_face: table.or("min_face_fen", Fen::ZERO)?,
        divisible: table.or("divisible", true)?,
        transferable: never_transferable(&mut table)?,
        valid: validity(&mut table)?,
        one_per: table.list("one_per")?,
        uniq_pool: table.opt::<RuleId>("uniq_pool")?.map(|id| id.0),
        settle_period: table
            .settled("settle_period")?
            .unwrap_or(PeriodLength::Month),
        dispute_days: table.or("dispute_days", Count(15))?.0,
        invoice: table.or("invoice", Invoice::None)?,
        sign: table.list("sign")?,
        overrun: table.or("overrun", Overrun::Cap)?,
        grace_days: table.or("grace_days", Count(30))?.0,
        priority: table
            .tables("priority")?
            .into_iter()
            .map(priority)
            .collect::<Result<_, _>>()?,
        recommend_to: table.list("recommend_to")?,
    };
    table.finish()?;
    Ok(instrument)
}

/// Who pays whom first, and who receives.
fn sides(table: &mut Table<'_>) -> Result<(Mode, Payee), Refusal> {
    let mode = match (table.has("mode"), table.settled("mode")?) {
        (_, Some(mode)) => mode,
        (true, None) => Mode::Deduct,
        (false, None) => {
            table.unsettled("mode");
            Mode::Deduct
        }
    };
    let payee = table.settled("payee")?.unwrap_or(match mode {
        Mode::Deduct | Mode::Advance | Mode::Award => Payee::Seller,
        Mode::Reimburse => Payee::Buyer,
    });
    Ok((mode, payee))
}

/// How a voucher comes to be, and which act takes money out of the fund.
fn acts(table: &mut Table<'_>) -> Result<(Issue, CommitAt), Refusal> {
    let (asked_issue, asked_commit) = (table.settled("issue")?, table.settled("commit_at")?);
    let issue = asked_issue.unwrap_or(Issue::Application);
    let commit_at = asked_commit.unwrap_or(match issue {
        Issue::None => CommitAt::Settlement,
        Issue::Application | Issue::Automatic => CommitAt::Issue,
    });
    if asked_issue == Some(Issue::None) && commit_at == CommitAt::Issue {
        return Err(table.fault(
            "commit_at",
            "without a voucher there is no issue; say order or settlement",
        ));
    }
    Ok((issue, commit_at))
}

fn never_transferable(table: &mut Table<'_>) -> Result<bool, Refusal> {
    if table.or("transferable", false)? {
        return Err(table.fault("transferable", "schema 1 knows no transfer of vouchers"));
    }
    Ok(false)
}

fn validity(table: &mut Table<'_>) -> Result<Option<Validity>, Refusal> {
    let months = table
        .settled::<Positive>("valid_months")?
        .map(|n| Validity::Months(n.0));
    let days = table
        .settled::<Positive>("valid_days")?
        .map(|n| Validity::Days(n.0));
    match (months, days) {
        (Some(_), Some(_)) => {
            Err(table.fault("valid_days", "stands beside valid_months; keep one"))
        }
        (months, days) => Ok(months.or(days)),
    }
}

fn priority(mut table: Table<'_>) -> Result<Priority, Refusal> {
    let (of, fact) = fact_of(&mut table, None)?;
    let priority = Priority {
        of,
        fact,
        rank: table.list("rank")?,
    };
    table.finish()?;
    Ok(priority)
}

pub(super) fn window(file: &mut Table<'_>, offset: UtcOffset) -> Result<Window, Refusal> {
    let Some(mut table) = file.table("window")? else {
        return Ok(Window::default());
    };
    let window = Window {
        apply: table
            .tables("apply")?
            .into_iter()
            .map(|table| moments(table, offset))
            .collect::<Result<_, _>>()?,
        recurring: table.opt("recurring")?,
        contract_signed: table.table("contract_signed")?.map(days).transpose()?,
        service: table.table("service")?.map(days).transpose()?,
        contract_max_days: table.settled::<Positive>("contract_max_days")?.map(|n| n.0),
        benefit_max_days: table.settled::<Positive>("benefit_max_days")?.map(|n| n.0),
        claim_within_days: table.settled::<Count>("claim_within_days")?.map(|n| n.0),
    };
    table.finish()?;
    Ok(window)
}

fn moments(mut table: Table<'_>, offset: UtcOffset) -> Result<Moments, Refusal> {
    let mut moment = |key| {
        table
            .must::<LocalMoment>(key)
            .map(|moment| moment.0.start(offset).after(moment.1))
    };
    let span = Moments {
        from: moment("from")?,
        to: moment("to")?,
    };
    if span.from >= span.to {
        return Err(table.fault("to", "lies at or before from"));
    }
    table.finish()?;
    Ok(span)
}

fn days(mut table: Table<'_>) -> Result<Days, Refusal> {
    let span = Days {
        from: table.opt("from")?,
        to: table.opt("to")?,
    };
    if let (Some(from), Some(to)) = (span.from, span.to)
        && from >= to
    {
        return Err(table.fault("to", "lies at or before from"));
    }
    table.finish()?;
    Ok(span)
}
