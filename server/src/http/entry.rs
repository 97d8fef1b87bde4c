//! Entries of the trail as they are stored.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;
use std::sync::Arc;
use verifier::book::Book;
use verifier::book::entry::Entry;
use verifier::book::scope::Scope;
use verifier::id::{CaseId, OrderId, PartyId, VoucherId};
use verifier::refusal::{Code, Refusal};

use super::Shared;
use super::access::{self, Caller, store_fault};
use super::problem::Problem;
use crate::projector::objects::objects;
use crate::store::log;

/// `GET /v1/entries/{seq}`: for whom it concerns.
pub(super) async fn answer(
    shared: Arc<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let Readable { bytes, size, .. } = readable(&shared, &request).await?;
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|fault| Problem::Internal(fault.to_string()))?;
    Ok(HttpResponse::Ok().json(json!({ "entry": value, "as_of": size.saturating_sub(1) })))
}

/// An entry that the caller may read.
pub(super) struct Readable {
    /// Its number.
    pub(super) seq: u64,
    /// Its bytes as they are stored: the leaf.
    pub(super) bytes: Vec<u8>,
    /// How many entries there are.
    pub(super) size: u64,
}

/// Finds the entry that a request names, for whom it concerns.
/// # Errors
/// `access.unknown` `access.party` `access.scope` `entry.unknown` `request.malformed`
pub(super) async fn readable(
    shared: &Arc<Shared>,
    request: &HttpRequest,
) -> Result<Readable, Problem> {
    let caller = access::caller(shared, request).await?;
    super::read::seen(shared, request).await?;
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
    let bytes = bytes
        .filter(|_| seq < size)
        .ok_or_else(|| Refusal::new(Code::EntryUnknown, format!("there is no entry {seq} yet")))?;
    let entry = Entry::parse_own(&bytes)?;
    shared
        .desk
        .read(|book| may_read(book, caller, &entry, &bytes))
        .await??;
    Ok(Readable { seq, bytes, size })
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

/// Lets those read an entry who see its scopes, who asked it, whom it names, who stand behind what it names, and whose fund it
/// reaches: the parties of DESIGN §4.6, who sees them.
fn may_read(book: &Book, caller: Caller, entry: &Entry, bytes: &[u8]) -> Result<(), Refusal> {
    let party = caller.party;
    let sight = access::sight(book, caller);
    let concerned = sight.sees(entry.scopes.iter().map(|(scope, _)| scope))
        || entry.by == party
        || entry
            .scopes
            .iter()
            .any(|(scope, _)| funds(book, scope, party))
        || objects(entry, bytes)
            .iter()
            .any(|object| stands_behind(book, object, party));
    if concerned {
        return Ok(());
    }
    Err(access::unseen(sight))
}

/// Whether a scope is a fund of the party's own.
fn funds(book: &Book, scope: &Scope, party: PartyId) -> bool {
    match scope {
        Scope::Fund(fund) => book.funds.get(fund).is_some_and(|fund| fund.owner == party),
        Scope::Common | Scope::Region(_) => false,
    }
}

/// Whether an object is the party itself, an order that it buys or sells, a voucher that it holds, or a case of its own. A
/// receipt names its issuer and its order: the buyer is the party of the order.
fn stands_behind(book: &Book, object: &str, party: PartyId) -> bool {
    if let Ok(order) = OrderId::parse(object) {
        let order = book.orders.get(&order);
        return order.is_some_and(|order| order.buyer == party || order.seller == party);
    }
    if let Ok(voucher) = VoucherId::parse(object) {
        let voucher = book.money.voucher(voucher);
        return voucher.is_ok_and(|voucher| voucher.holder.party == party);
    }
    if let Ok(case) = CaseId::parse(object) {
        return book
            .cases
            .get(&case)
            .is_some_and(|case| case.party == party);
    }
    PartyId::parse(object) == Ok(party)
}
