//! What a party has, and what it is owed and when.

use serde_json::{Map, Value, json};
use verifier::ledger::Account;
use verifier::time::DAY_SECONDS;

use super::problem::Problem;
use super::read::{Asking, object};

/// `GET /v1/me/balances`: every account in the party's name, those of its vouchers and of the orders that it buys, and what is
/// frozen of its own.
pub(super) fn balances(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let mine = asking.book.money.accounts_of(asking.party()?);
    let items = mine.map(|(account, fen)| {
        let item = json!({ "account": account, "fen": fen });
        (account, item)
    });
    Ok(asking.list(items))
}

/// `GET /v1/me/owed`: what is still to come to the party, with the first day on which it may, and what it must give back.
pub(super) fn owed(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let party = asking.party()?;
    let mut coming: Vec<Value> = Vec::new();
    let mut owes: Vec<Value> = Vec::new();
    for (account, fen) in asking.book.money.accounts_of(party) {
        match account {
            Account::Earned(programme, _, fund, period) => {
                let instrument = asking.book.money.programme(programme)?;
                let days = instrument.instrument.dispute_days;
                let end = period.end(instrument.header.utc_offset);
                coming.push(json!({
                    "state": "earned", "fund": fund, "fen": fen, "programme": programme,
                    "period": period, "payable_from": end.after(days.saturating_mul(DAY_SECONDS)),
                }));
            }
            Account::Payable(_, fund) => {
                coming.push(json!({ "state": "payable", "fund": fund, "fen": fen }));
            }
            Account::Transit(batch, _, fund) => {
                coming
                    .push(json!({ "state": "transit", "fund": fund, "fen": fen, "batch": batch }));
            }
            Account::Disputed(order, claim, fund) => {
                coming.push(json!({
                    "state": "frozen", "fund": fund, "fen": fen, "order": order, "claim": claim,
                }));
            }
            Account::Owed(_, fund) => owes.push(json!({ "fund": fund, "fen": fen })),
            Account::Advance(..)
            | Account::Fund(_)
            | Account::Hold(..)
            | Account::Paid(..)
            | Account::Treasury(..)
            | Account::Voucher(..) => {}
        }
    }
    Ok(object(json!({ "coming": coming, "owes": owes })))
}
