//! Funds: opened by their funder, filled from the treasury, lapsed back to it (DESIGN §4.1).

use crate::book::command::{AppropriateFund, LapseFund, OpenFund};
use crate::book::decide::{Case, Decision};
use crate::book::found::Found;
use crate::book::reach;
use crate::book::state::fund::Fund;
use crate::id::FundId;
use crate::refusal::{Code, Refusal};
use crate::settlement::Outcome;
use crate::settlement::fund::{FundMove, FundMoved};

/// Opens a fund of one's own.
pub(super) fn open(case: &Case<'_>, asked: &OpenFund) -> Result<Decision, Refusal> {
    if case.book.funds.contains_key(&asked.fund) {
        return Err(
            Refusal::new(Code::FundTaken, "the fund is open already").with("fund", &asked.fund)
        );
    }
    let foreign = |fund: &Fund| fund.funder == asked.funder && fund.owner != case.request.by;
    if case.book.funds.values().any(foreign) {
        return Err(Refusal::new(
            Code::FundFunder,
            "that funder is another party; use your own name",
        ));
    }
    if asked
        .year
        .is_some_and(|year| !(1970..=9999).contains(&year))
    {
        return Err(Refusal::new(
            Code::RequestMalformed,
            "the year is not one of 1970 to 9999",
        ));
    }
    Ok(Decision {
        scopes: reach::fund(&asked.fund, asked.region),
        ..Decision::default()
    })
}

/// treasury → fund.
pub(super) fn appropriate(case: &Case<'_>, asked: &AppropriateFund) -> Result<Decision, Refusal> {
    check_owner(case, &asked.fund)?;
    let ask = FundMove {
        fund: asked.fund.clone(),
        fen: asked.fen,
    };
    moved(case, &asked.fund, case.book.money.appropriate(&ask)?)
}

/// fund → treasury, of what is free.
pub(super) fn lapse(case: &Case<'_>, asked: &LapseFund) -> Result<Decision, Refusal> {
    check_owner(case, &asked.fund)?;
    let ask = FundMove {
        fund: asked.fund.clone(),
        fen: asked.fen,
    };
    moved(case, &asked.fund, case.book.money.lapse(&ask)?)
}

fn moved(case: &Case<'_>, fund: &FundId, outcome: Outcome<FundMoved>) -> Result<Decision, Refusal> {
    let scopes = case.book.fund_scopes(fund)?;
    let found = Found {
        fund_moved: Some(outcome.found),
        ..Found::default()
    };
    Ok(Decision {
        found,
        postings: outcome.postings,
        counters: outcome.counters,
        scopes,
    })
}

fn check_owner(case: &Case<'_>, fund: &FundId) -> Result<(), Refusal> {
    if case.book.fund(fund)?.owner == case.request.by {
        return Ok(());
    }
    Err(Refusal::new(
        Code::FundFunder,
        "only its funder moves a fund's appropriation",
    ))
}
