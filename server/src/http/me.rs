//! What a party has, and what it is owed and when.

use serde_json::{Map, Value, json};
use verifier::id::PartyId;
use verifier::ledger::Account;
use verifier::time::DAY_SECONDS;

use super::problem::Problem;
use super::read::{Asking, object};

/// `GET /v1/me/balances`: every account in the party's name, and those of its vouchers and orders.
pub(super) fn balances(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let party = asking.party()?;
    let mine = asking
        .book
        .money
        .balances()
        .filter(|(account, _)| is_of(asking, account, party));
    let items = mine.map(|(account, fen)| {
        (
            account.to_string(),
            json!({ "account": account, "fen": fen }),
        )
    });
    Ok(asking.list(items))
}

fn is_of(asking: &Asking<'_>, account: &Account, party: PartyId) -> bool {
    match account {
        Account::Advance(of, _)
        | Account::Earned(_, of, _, _)
        | Account::Owed(of, _)
        | Account::Paid(of, _)
        | Account::Payable(of, _)
        | Account::Transit(_, of, _) => *of == party,
        Account::Voucher(voucher, _) => {
            let voucher = asking.book.money.voucher(*voucher);
            voucher.is_ok_and(|voucher| voucher.holder.party == party)
        }
        Account::Hold(order, _, _) | Account::Disputed(order, _, _) => asking
            .book
            .orders
            .get(order)
            .is_some_and(|order| order.buyer == party),
        Account::Fund(_) | Account::Treasury(..) => false,
    }
}

/// `GET /v1/me/owed`: what is still to come to the party, with the first day on which it may, and what it must give back.
pub(super) fn owed(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let party = asking.party()?;
    let mut coming: Vec<Value> = Vec::new();
    let mut owes: Vec<Value> = Vec::new();
    for (account, fen) in asking.book.money.balances() {
        match account {
            Account::Earned(programme, of, fund, period) if *of == party => {
                let instrument = asking.book.money.programme(programme)?;
                let days = instrument.instrument.dispute_days;
                let end = period.end(instrument.header.utc_offset);
                coming.push(json!({
                    "state": "earned", "fund": fund, "fen": fen, "programme": programme,
                    "period": period, "payable_from": end.after(days.saturating_mul(DAY_SECONDS)),
                }));
            }
            Account::Payable(of, fund) if *of == party => {
                coming.push(json!({ "state": "payable", "fund": fund, "fen": fen }));
            }
            Account::Transit(batch, of, fund) if *of == party => {
                coming
                    .push(json!({ "state": "transit", "fund": fund, "fen": fen, "batch": batch }));
            }
            Account::Owed(of, fund) if *of == party => {
                owes.push(json!({ "fund": fund, "fen": fen }))
            }
            Account::Advance(..)
            | Account::Disputed(..)
            | Account::Earned(..)
            | Account::Fund(_)
            | Account::Hold(..)
            | Account::Owed(..)
            | Account::Paid(..)
            | Account::Payable(..)
            | Account::Transit(..)
            | Account::Treasury(..)
            | Account::Voucher(..) => {}
        }
    }
    Ok(object(json!({ "coming": coming, "owes": owes })))
}
