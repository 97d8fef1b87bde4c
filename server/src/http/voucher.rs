//! Vouchers: what a holder may still draw.

use serde_json::{Map, Value, json};
use verifier::id::VoucherId;
use verifier::ledger::Account;
use verifier::money::Fen;
use verifier::refusal::Refusal;
use verifier::settlement::voucher::Voucher;

use super::problem::Problem;
use super::read::{Asking, object};

/// `GET /v1/vouchers/{id}`
pub(super) fn show(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let id = VoucherId::parse(asking.id).map_err(Refusal::from)?;
    let voucher = asking.book.money.voucher(id)?;
    asking.concerns(&[voucher.holder.party], &asking.book.voucher_scopes(id)?)?;
    Ok(object(written(asking, id, voucher)?))
}

/// `GET /v1/me/vouchers`
pub(super) fn mine(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let party = asking.party()?;
    let held = asking.book.money.vouchers_of(party);
    let held = held.map(|(id, voucher)| (id, (id, voucher)));
    Ok(asking.list_written(held, |(id, voucher)| written(asking, id, voucher))?)
}

fn written(asking: &Asking<'_>, id: VoucherId, voucher: &Voucher) -> Result<Value, Refusal> {
    let mut free = Fen::ZERO;
    for fund in &voucher.funds {
        let account = Account::Voucher(id, fund.clone());
        free = free.plus(asking.book.money.balance(&account))?;
    }
    let state = match (voucher.ended, voucher.is_dead_at(asking.at)) {
        (true, _) => "ended",
        // Deadlines bind by time alone, whether or not the entry is written yet (DESIGN §4).
        (false, true) => "expired",
        (false, false) => "live",
    };
    Ok(json!({
        "voucher": id, "programme": voucher.programme, "version": voucher.version + 1,
        "holder": voucher.holder.party, "state": state, "face_fen": voucher.face, "free_fen": free,
        "funds": voucher.funds, "expires_at": voucher.expires_at, "used": voucher.used,
    }))
}
