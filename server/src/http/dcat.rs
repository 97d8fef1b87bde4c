//! `GET /v1/catalogue.jsonld`: all listings in DCAT-AP 3.0.1, for whoever harvests catalogues.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse};
use std::sync::Arc;

use super::access::Sees;
use super::problem::Problem;
use super::{Route, Shared, Verb, download, own};
use crate::dataset::catalogue;

/// The media type of JSON-LD.
pub(super) const JSON_LD: &str = "application/ld+json";
/// A harvester may be a minute behind: prices in it are as of then.
const MINUTE: &str = "public, max-age=60";

/// The route of the catalogue.
#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    own(Verb::Get, "/v1/catalogue.jsonld", Sees::Public, |s, r, _| Box::pin(answer(s, r)), "Every listing by its newest version for sale, in DCAT-AP 3.0.1"),
];

async fn answer(shared: Arc<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    super::read::seen(&shared, &request).await?;
    let base = download::base(&shared, &request);
    let pieces = catalogue::written(shared.data.clone(), &shared.config.origin, base);
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, JSON_LD))
        .insert_header((CACHE_CONTROL, MINUTE))
        .streaming(pieces))
}
