//! `GET /v1/datasets/review`: versions that wait for an assessment, with what the assessor needs to know of each.

use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use std::sync::Arc;
use verifier::book::command::Kind;
use verifier::refusal::Refusal;

use super::access::{self, Sees};
use super::download;
use super::problem::Problem;
use super::read;
use super::{Route, Shared, Verb, own};
use crate::dataset::review;

/// The route of the list.
#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    own(Verb::Get, "/v1/datasets/review", Sees::Party, |s, r, _| Box::pin(answer(s, r)), "Versions that wait for an assessment: reports, near duplicates, licences, personal data"),
];

async fn answer(shared: Arc<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = access::caller(&shared, &request).await?;
    access::permit(caller, Kind::AssessDataset)?;
    let page = read::page(request.query_string())?;
    read::seen(&shared, &request).await?;
    let base = download::base(&shared, &request);
    let read = shared.desk.read(|book| {
        access::stands(book, caller)?;
        Ok::<_, Refusal>((
            review::waiting(book, page.after.as_deref(), page.limit),
            book.size.saturating_sub(1),
        ))
    });
    let ((waiting, next), as_of) = read.await??;
    let items = shared
        .data
        .query(move |db| {
            waiting
                .iter()
                .map(|of| review::item(db, of, &base))
                .collect::<Result<Vec<Value>, _>>()
        })
        .await?;
    Ok(HttpResponse::Ok().json(json!({ "items": items, "next": next, "as_of": as_of })))
}
