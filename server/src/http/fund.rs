//! Funds and what stands in each of their accounts.

use serde_json::{Map, Value, json};
use verifier::id::FundId;
use verifier::ledger::Account;
use verifier::money::Fen;
use verifier::refusal::Refusal;

use super::problem::Problem;
use super::read::{Asking, object};

/// `GET /v1/funds`: every fund with its balances by class; the classes sum to zero.
pub(super) fn list(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let items = asking.book.funds.iter().map(|(id, fund)| {
        let classes = asking.book.money.classes(id);
        let item = json!({
            "fund": id, "funder": fund.funder, "owner": fund.owner, "year": fund.year, "region": fund.region,
            "balances": classes,
        });
        (id, item)
    });
    Ok(asking.list(items))
}

/// `GET /v1/funds/{id}/trial-balance`: every account of a fund, for its funder and whoever sees all.
pub(super) fn trial_balance(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let id = FundId::parse(asking.id).map_err(Refusal::from)?;
    let fund = asking.book.fund(&id)?;
    asking.concerns(&[fund.owner], &asking.book.fund_scopes(&id)?)?;
    let accounts: Vec<(&Account, Fen)> = asking
        .book
        .money
        .balances()
        .filter(|(account, _)| *account.fund() == id)
        .collect();
    let mut sum = Fen::ZERO;
    for (_, fen) in &accounts {
        sum = sum.plus(*fen).map_err(Refusal::from)?;
    }
    let classes = asking.book.money.classes(&id);
    let page = asking.list(accounts.into_iter().map(|(account, fen)| {
        (
            account.to_string(),
            json!({ "account": account, "fen": fen }),
        )
    }));
    let mut body = object(json!({ "fund": id, "balances": classes, "sum": sum }));
    body.extend(page);
    Ok(body)
}
