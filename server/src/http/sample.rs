//! Samples before a purchase: a buyer draws rows of a version, judges each, and has a sheet that anybody computes again.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use verifier::book::command::Kind;
use verifier::dataset::{Mark, SAMPLE_ROWS_MAX, Sheet};
use verifier::id::{DocumentDigest, Salt};
use verifier::json;
use verifier::refusal::{Code, Refusal};

use super::access::{self, Sees};
use super::download::parameter;
use super::problem::Problem;
use super::{Route, Shared, Verb, keyed_for, own};
use crate::dataset::sample::{self, Asked, ROWS, Sample, ShownRow};

/// Masked rows are for who drew them.
const UNKEPT: &str = "private, no-store";

/// The routes of samples.
#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    own(Verb::Post, "/v1/samples", Sees::Party, |s, r, p| Box::pin(draw(s, r, p)), "Draw rows of a version before buying it, masked; one draw a version and day"),
    own(Verb::Post, "/v1/samples/{id}/verdicts", Sees::Party, |s, r, p| Box::pin(judge(s, r, p)), "Judge every row of a sheet, once: good or not"),
    own(Verb::Get, "/v1/samples/{id}/sheet", Sees::Party, |s, r, _| Box::pin(sheet(s, r)), "A sheet's own bytes, as quan-verify sample takes them"),
    own(Verb::Get, "/v1/samples/{id}", Sees::Party, |s, r, _| Box::pin(show(s, r)), "A sample that one has drawn, with its rows"),
];

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Draw {
    manifest: DocumentDigest,
    nonce: Salt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<u32>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Verdicts {
    verdicts: Vec<(u64, Mark)>,
}

/// What is answered; the sheet's members stand in the order of its own bytes.
#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    sheet: &'a Sheet,
    rows: &'a [ShownRow],
}

#[derive(Serialize)]
struct Judged<'a> {
    id: &'a str,
    sheet: &'a Sheet,
    /// Of the sheet's bytes, a document here from now on.
    digest: DocumentDigest,
}

async fn draw(
    shared: Arc<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (caller, body) = keyed_for(Kind::PlaceOrder, &shared, &request, payload).await?;
    let asked: Draw = json::read(&body).map_err(Refusal::from)?;
    let wanted = asked.rows.unwrap_or(ROWS);
    if !(1..=SAMPLE_ROWS_MAX).contains(&wanted) {
        let sentence = format!("a sample has 1 to {SAMPLE_ROWS_MAX} rows");
        return Err(Refusal::new(Code::RequestMalformed, sentence).into());
    }
    let asked = Asked {
        party: caller.party,
        manifest: asked.manifest,
        nonce: asked.nonce,
        wanted,
        witnessed: !shared.witnesses.borrow().is_empty(),
    };
    let (id, sample) = sample::draw(&shared.data, asked).await?;
    Ok(shown(HttpResponse::Created(), &id, &sample))
}

async fn judge(
    shared: Arc<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (caller, body) = keyed_for(Kind::PlaceOrder, &shared, &request, payload).await?;
    let asked: Verdicts = json::read(&body).map_err(Refusal::from)?;
    let id = parameter(&request, "id");
    let judged = sample::judge(&shared.data, caller.party, &id, &asked.verdicts).await?;
    let (Sample { sheet, .. }, digest) = judged;
    Ok(HttpResponse::Created().json(Judged {
        id: &id,
        sheet: &sheet,
        digest,
    }))
}

async fn show(shared: Arc<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (id, sample) = mine(&shared, &request).await?;
    Ok(shown(HttpResponse::Ok(), &id, &sample))
}

async fn sheet(shared: Arc<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (_, sample) = mine(&shared, &request).await?;
    let bytes = sample.sheet.to_json().map_err(Refusal::from)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, UNKEPT))
        .body(bytes))
}

fn shown(mut response: actix_web::HttpResponseBuilder, id: &str, sample: &Sample) -> HttpResponse {
    response.insert_header((CACHE_CONTROL, UNKEPT)).json(Shown {
        id,
        sheet: &sample.sheet,
        rows: &sample.rows,
    })
}

async fn mine(shared: &Arc<Shared>, request: &HttpRequest) -> Result<(String, Sample), Problem> {
    let caller = access::caller(shared, request).await?;
    shared
        .desk
        .read(|book| access::stands(book, caller))
        .await??;
    let id = parameter(request, "id");
    let sample = sample::get(&shared.data, caller.party, &id).await?;
    Ok((id, sample))
}
