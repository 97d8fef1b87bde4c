//! Entries of the trail as they are stored.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;
use std::sync::Arc;
use verifier::book::entry::Entry;
use verifier::id::PartyId;
use verifier::refusal::{Code, Refusal};

use super::Shared;
use super::access::{self, Caller, sees_all, store_fault};
use super::problem::Problem;
use crate::store::log;

/// `GET /v1/entries/{seq}`: for whoever sees all, and for the parties that the entry names or whose order it is
/// about.
pub(super) async fn answer(
    shared: Arc<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let caller = access::caller(&shared, &request).await?;
    super::read::seen(&shared, &request).await?;
    let seq = number(request.match_info().get("seq").unwrap_or_default())?;
    let size = shared
        .desk
        .read(|book| access::stands(book, caller).map(|()| book.size))
        .await??;
    let store = Arc::clone(&shared.store);
    let bytes = web::block(move || log::entry(&mut *store.connection()?, seq))
        .await
        .map_err(|fault| Problem::Internal(fault.to_string()))?
        .map_err(store_fault)?;
    let bytes = bytes.filter(|_| seq < size).ok_or_else(|| unknown(seq))?;
    let entry = Entry::parse_own(&bytes)?;
    if !trades(&shared, &entry, caller.party).await? {
        may_read(&entry, &bytes, Some(caller), caller.party)?;
    }
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|fault| Problem::Internal(fault.to_string()))?;
    Ok(HttpResponse::Ok().json(json!({ "entry": value, "as_of": size.saturating_sub(1) })))
}

/// Whether a party is a side of the order that an entry is about: a buyer reads the receipts on its order, which name only
/// their issuer.
async fn trades(shared: &Shared, entry: &Entry, party: PartyId) -> Result<bool, Problem> {
    let Some(order) = entry.found.order else {
        return Ok(false);
    };
    let order = shared.desk.read(|book| {
        let order = book.orders.get(&order);
        order.is_some_and(|order| order.buyer == party || order.seller == party)
    });
    Ok(order.await?)
}

/// Reads the number of an entry.
/// # Errors
/// `request.malformed`
pub(super) fn number(text: &str) -> Result<u64, Refusal> {
    let number = text
        .parse()
        .ok()
        .filter(|number: &u64| number.to_string() == text);
    number.ok_or_else(|| Refusal::new(Code::RequestMalformed, "an entry has a number from 0"))
}

/// There is no such entry.
pub(super) fn unknown(seq: u64) -> Refusal {
    Refusal::new(Code::EntryUnknown, format!("there is no entry {seq} yet"))
}

/// Lets those read an entry who see all, who asked it, or whom it names.
/// # Errors
/// `access.party`
pub(super) fn may_read(
    entry: &Entry,
    bytes: &[u8],
    caller: Option<Caller>,
    party: PartyId,
) -> Result<(), Refusal> {
    let everybody = caller.is_some_and(|caller| sees_all(caller.role));
    if everybody || entry.by == party || names(bytes, party) {
        return Ok(());
    }
    Err(Refusal::new(
        Code::AccessParty,
        "this entry concerns other parties",
    ))
}

/// Whether an entry's text holds a party's id: 80 random bits stand nowhere by chance.
fn names(bytes: &[u8], party: PartyId) -> bool {
    let id = party.to_string();
    bytes
        .windows(id.len())
        .any(|window| window == id.as_bytes())
}
