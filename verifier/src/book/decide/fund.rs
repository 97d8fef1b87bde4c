//! Funds: opened by their funder, filled from the treasury, lapsed back to it (DESIGN §4.1).

use crate::book::command::{AppropriateFund, LapseFund, OpenFund};
use crate::book::decide::{Case, Decision};
use crate::book::found::Found;
use crate::book::scope::Scope;
use crate::book::state::fund::Fund;
use crate::id::FundId;
use crate::ledger::{Account, Postings};
use crate::money::Fen;
use crate::refusal::{Code, Refusal};
use crate::region::Region;

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
        scopes: case.fund_scopes(&asked.fund, asked.region),
        ..Decision::default()
    })
}

/// treasury → fund.
pub(super) fn appropriate(case: &Case<'_>, asked: &AppropriateFund) -> Result<Decision, Refusal> {
    let treasury = own_fund(case, &asked.fund, asked.fen)?;
    let postings = transfer(treasury, Account::Fund(asked.fund.clone()), asked.fen)?;
    case.moved(&asked.fund, postings)
}

/// fund → treasury, of what is free.
pub(super) fn lapse(case: &Case<'_>, asked: &LapseFund) -> Result<Decision, Refusal> {
    let treasury = own_fund(case, &asked.fund, asked.fen)?;
    let free = case.book.money.balance(&Account::Fund(asked.fund.clone()));
    if free < asked.fen {
        return Err(Refusal::new(
            Code::FundExhausted,
            format!(
                "{free} fen are free, {} cannot lapse; lapse at most what is free",
                asked.fen
            ),
        ));
    }
    let postings = transfer(Account::Fund(asked.fund.clone()), treasury, asked.fen)?;
    case.moved(&asked.fund, postings)
}

fn transfer(from: Account, to: Account, fen: Fen) -> Result<Postings, Refusal> {
    // Two legs of one fund that cancel: only their size can be wrong.
    Postings::sum([(from, fen.negated()), (to, fen)])
        .map_err(|fault| Refusal::new(Code::AmountOverflow, fault.to_string()))
}

fn own_fund(case: &Case<'_>, fund: &FundId, fen: Fen) -> Result<Account, Refusal> {
    let state = case.book.fund(fund)?;
    if state.owner != case.request.by {
        return Err(Refusal::new(
            Code::FundFunder,
            "only its funder moves a fund's appropriation",
        ));
    }
    if fen <= Fen::ZERO {
        return Err(Refusal::new(
            Code::RequestMalformed,
            "the amount is not above 0 fen",
        ));
    }
    Ok(Account::Treasury(state.funder.clone(), fund.clone()))
}

impl Case<'_> {
    fn moved(&self, fund: &FundId, postings: Postings) -> Result<Decision, Refusal> {
        let region = self.book.fund(fund)?.region;
        let scopes = self.fund_scopes(fund, region);
        Ok(Decision {
            found: Found::default(),
            postings,
            scopes,
            ..Decision::default()
        })
    }

    fn fund_scopes(&self, fund: &FundId, region: Option<Region>) -> Vec<Scope> {
        let mut scopes = vec![Scope::Fund(fund.clone())];
        scopes.extend(region.map(Scope::Region));
        scopes
    }
}
