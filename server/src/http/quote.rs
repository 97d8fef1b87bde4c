//! Quotes: the net price of an order for a buyer, and why what does not apply does not. Nothing is written.

use actix_web::HttpResponse;
use serde_json::json;
use std::sync::Arc;
use verifier::book::command::Role;
use verifier::book::quote::{QuoteAsked, as_claims, quote};
use verifier::json;
use verifier::refusal::{Code, Refusal};

use super::Shared;
use super::access::{Caller, stands};
use super::problem::Problem;
use crate::dataset::sale;

/// Answers `POST /v1/quotes` for the party of the key.
pub(super) async fn answer(
    shared: Arc<Shared>,
    caller: Caller,
    body: &[u8],
) -> Result<HttpResponse, Problem> {
    if caller.role != Role::Buyer {
        return Err(Refusal::new(
            Code::AccessRole,
            "a quote is for a buyer; use a key of that role",
        )
        .into());
    }
    let asked: QuoteAsked = json::read(body).map_err(Refusal::from)?;
    let datasets = asked.segments.iter().filter_map(|segment| segment.dataset);
    sale::check(&shared.data, datasets.collect()).await?;
    let now = shared.now()?;
    let quoted = shared
        .desk
        .read(|book| {
            stands(book, caller)?;
            let at = book.last_at.map_or(now, |last| last.max(now));
            let quoted = quote(book, caller.party, at, &asked)?;
            Ok::<_, Refusal>((quoted, at, book.size.saturating_sub(1)))
        })
        .await??;
    let (quoted, at, as_of) = quoted;
    Ok(HttpResponse::Ok().json(json!({
        "quote": quoted, "order_claims": as_claims(&quoted), "at": at, "as_of": as_of,
    })))
}
