//! Documents about listings: the page of one, what machines read of a version, rows to look at, documents behind digests.
//!
//! A version that passed an assessment is everybody's to read about, its vendor and whoever assesses see it before. What never
//! changes may be kept by whoever reads it; what tells a price is asked for again each time.

use actix_web::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;
use std::sync::Arc;
use verifier::book::command::Role;
use verifier::dataset::{State, entitled};
use verifier::id::{DocumentDigest, Sha256Hash};
use verifier::refusal::{Code, Refusal};

use super::access::{self, Caller, Sees};
use super::dcat::JSON_LD;
use super::download::{self, parameter};
use super::problem::Problem;
use super::{Route, Shared, Verb, own};
use crate::dataset::card::{self, CROISSANT_MEDIA, Listed};
use crate::dataset::{Fault, document, version};
use crate::store::dataset::listing::{self, Document};

const JSON: &str = "application/json";
/// Kept, and asked for again before it is used: it tells a price, or may end.
const AGAIN: &str = "public, no-cache";
/// For an hour: it says the same for ever, but a version may be recalled.
const HOUR: &str = "public, max-age=3600";
/// For whoever was let see it, and asked for again.
const OWN: &str = "private, no-cache";
/// A digest's bytes never change.
const EVER: &str = "private, max-age=31536000, immutable";

#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    of_version("/v1/listings/{handle}/{name}/{version}/croissant.json", |s, r, _| Box::pin(answer(s, r, Kind::Croissant)), "A version in Croissant 1.1 with RAI 1.0"),
    of_version("/v1/listings/{handle}/{name}/{version}/dcat.jsonld", |s, r, _| Box::pin(answer(s, r, Kind::Dcat)), "A version in DCAT-AP 3.0.1"),
    of_version("/v1/listings/{handle}/{name}/{version}/README.md", |s, r, _| Box::pin(answer(s, r, Kind::Readme)), "A version's README with front matter for the Hugging Face hub"),
    of_version("/v1/listings/{handle}/{name}/{version}/offer.jsonld", |s, r, _| Box::pin(answer(s, r, Kind::Offer)), "The offer of a version in ODRL 2.2"),
    of_version("/v1/listings/{handle}/{name}/{version}/label.json", |s, r, _| Box::pin(answer(s, r, Kind::Label)), "A version's provenance label: 22 fields and how many are filled"),
    of_version("/v1/listings/{handle}/{name}/{version}/report.json", |s, r, _| Box::pin(answer(s, r, Kind::Report)), "What the checks found in a version, file by file"),
    of_version("/v1/listings/{handle}/{name}/{version}/preview.json", |s, r, _| Box::pin(answer(s, r, Kind::Preview)), "Rows of a version that its vendor shows, masked"),
    own(Verb::Get, "/v1/documents/{digest}", Sees::Public, |s, r, _| Box::pin(by_digest(s, r)), "A document behind a digest: a licence on offer for everybody, others for whom they concern"),
];

const fn of_version(path: &'static str, handler: super::Handler, summary: &'static str) -> Route {
    own(Verb::Get, path, Sees::Public, handler, summary)
}

/// A document of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Croissant,
    Dcat,
    Readme,
    Offer,
    Label,
    Report,
    Preview,
}

impl Kind {
    const fn media(self) -> &'static str {
        match self {
            Self::Croissant => CROISSANT_MEDIA,
            Self::Dcat | Self::Offer => JSON_LD,
            Self::Readme => "text/markdown; charset=utf-8",
            Self::Label | Self::Report | Self::Preview => JSON,
        }
    }

    /// `main` is another version tomorrow.
    fn cache(self, revision: &str) -> &'static str {
        match self {
            Self::Croissant | Self::Dcat | Self::Offer | Self::Preview => AGAIN,
            Self::Readme | Self::Label | Self::Report if revision == "main" => AGAIN,
            Self::Readme | Self::Label | Self::Report => HOUR,
        }
    }
}

/// Who asks, if a key came.
async fn asked_by(shared: &Arc<Shared>, request: &HttpRequest) -> Result<Option<Caller>, Problem> {
    if !request.headers().contains_key(AUTHORIZATION) {
        return Ok(None);
    }
    let caller = access::caller(shared, request).await?;
    shared
        .desk
        .read(|book| access::stands(book, caller))
        .await??;
    Ok(Some(caller))
}

/// `GET /v1/listings/{handle}/{name}/{version}/…`
async fn answer(
    shared: Arc<Shared>,
    request: HttpRequest,
    kind: Kind,
) -> Result<HttpResponse, Problem> {
    let caller = asked_by(&shared, &request).await?;
    super::read::seen(&shared, &request).await?;
    let revision = parameter(&request, "version");
    let (handle, name) = (parameter(&request, "handle"), parameter(&request, "name"));
    let listed = version::listed(&shared.data, &handle, &name, &revision).await;
    let (listed, cache) = match (listed, caller) {
        (Err(Fault::Refused(refusal)), Some(caller)) if refusal.code == Code::ListingUnknown => {
            let listed = before_it_is_listed(&shared, &request, caller, refusal).await?;
            (listed, OWN)
        }
        (listed, _) => (listed?, kind.cache(&revision)),
    };
    let body = body(&shared, &request, kind, &listed).await?;
    Ok(written(&request, (kind.media(), cache), body))
}

/// A version that nobody has passed: for its vendor and whoever assesses it; for others it is not there.
async fn before_it_is_listed(
    shared: &Shared,
    request: &HttpRequest,
    caller: Caller,
    unknown: Refusal,
) -> Result<Listed, Problem> {
    let revision = parameter(request, "version");
    let (handle, name) = (parameter(request, "handle"), parameter(request, "name"));
    let found = shared
        .data
        .query(move |db| version::versions(db, &handle, &name));
    let versions = found
        .await?
        .map(|(_, versions)| versions)
        .unwrap_or_default();
    let Some(manifest) = version::chosen(&versions, &revision).map(|of| of.manifest) else {
        return Err(unknown.into());
    };
    let now = shared.now()?;
    let may = shared.desk.read(|book| {
        let at = book.last_at.map_or(now, |last| last.max(now));
        entitled(book, caller.party, manifest, at).is_ok()
    });
    if may.await? {
        return Ok(version::listed_of(&shared.data, manifest).await?);
    }
    Err(unknown.into())
}

async fn body(
    shared: &Shared,
    request: &HttpRequest,
    kind: Kind,
    listed: &Listed,
) -> Result<Vec<u8>, Problem> {
    let base = download::base(shared, request);
    let parts = &shared.data;
    let value = match kind {
        Kind::Croissant => card::croissant(listed, &base),
        Kind::Dcat => card::dcat_document(listed, &base),
        Kind::Readme => return Ok(card::readme(listed).into_bytes()),
        Kind::Offer => card::offer_document(listed),
        Kind::Label => {
            let before = document::day_before(parts, listed).await?;
            card::label(listed, &base, before.as_deref())
        }
        Kind::Report => document::report_document(parts, listed).await?,
        Kind::Preview => {
            if let State::Recalled(at) = listed.state {
                let sentence = format!("the version was recalled at {at}: none of it is shown");
                return Err(Refusal::new(Code::DatasetUnavailable, sentence).into());
            }
            let preview = shared.previews.of(parts, listed).await?;
            return bytes(&preview);
        }
    };
    bytes(&value)
}

fn bytes(value: &Value) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(value).map_err(|fault| Problem::Internal(fault.to_string()))
}

/// An answer with the strong tag of its bytes; who has just these is told so.
fn written(
    request: &HttpRequest,
    (media, cache): (&'static str, &'static str),
    body: Vec<u8>,
) -> HttpResponse {
    let tag = download::tag(Sha256Hash::of(&body).bytes());
    let known = has(request, &tag);
    let mut response = if known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header((ETAG, tag))
        .insert_header((CACHE_CONTROL, cache))
        .insert_header((VARY, "Authorization"));
    if known {
        return response.finish();
    }
    response.insert_header((CONTENT_TYPE, media)).body(body)
}

/// Whether whoever asks has an answer of this tag (RFC 9110 §13.1.2: compared weakly).
fn has(request: &HttpRequest, tag: &str) -> bool {
    let lines = request.headers().get_all(IF_NONE_MATCH);
    let mut tags = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|one| one.trim().trim_start_matches("W/"));
    tags.any(|one| one == tag || one == "*")
}

/// The page of a listing, for everybody once a version of it passed an assessment.
/// # Errors
/// `listing.unknown`
pub(super) async fn public(
    shared: &Arc<Shared>,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    super::read::seen(shared, request).await?;
    let (handle, name) = (parameter(request, "handle"), parameter(request, "name"));
    let found = shared
        .data
        .query(move |db| version::versions(db, &handle, &name));
    let unknown = || {
        let sentence = "no listing of that name is shown; GET /v1/search finds what is sold";
        Refusal::new(Code::ListingUnknown, sentence)
    };
    let (_, versions) = found.await?.ok_or_else(unknown)?;
    let shown = shared
        .desk
        .read(|book| version::shown(book, &versions))
        .await?;
    let newest = shown.first().ok_or_else(unknown)?.manifest;
    let listed = version::listed_of(&shared.data, newest).await?;
    let base = download::base(shared, request);
    let page = document::page(&shared.data, &listed, shown, &base).await?;
    Ok(HttpResponse::Ok().json(page))
}

/// `GET /v1/documents/{digest}`
async fn by_digest(shared: Arc<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = asked_by(&shared, &request).await?;
    let digest = parameter(&request, "digest");
    let digest = DocumentDigest::parse(&digest).map_err(Refusal::from)?;
    let kept = shared
        .data
        .query(move |db| listing::document(db, digest))
        .await?;
    let is_licence = kept.as_ref().is_some_and(|kept| kept.kind == "licence");
    // The book is asked of a licence alone: nobody makes us look for what is none.
    let is_offered = is_licence
        && shared
            .desk
            .read(|book| document::is_offered(book, digest))
            .await?;
    if let Some(kept) = kept.as_ref().filter(|_| is_offered) {
        return Ok(sent(&request, kept));
    }
    let caller = match caller {
        Some(caller) => caller,
        // Says that a key is asked for.
        None => access::caller(&shared, &request).await?,
    };
    let kept = kept.ok_or_else(|| {
        let sentence = "no document with that digest is kept here";
        Refusal::new(Code::ListingUnknown, sentence)
    })?;
    let sees_all = matches!(caller.role, Role::Office | Role::Exchange);
    if sees_all || document::concerns(&shared.data, caller.party, &kept).await? {
        return Ok(sent(&request, &kept));
    }
    let sentence = "this document is about versions that you neither sell nor have ordered";
    Err(Refusal::new(Code::AccessParty, sentence).into())
}

/// A document as it was kept. A stranger's text is text, whatever it says.
fn sent(request: &HttpRequest, kept: &Document) -> HttpResponse {
    let media = match kept.kind.as_str() {
        "card" | "report" | "sheet" => JSON,
        _ => "text/plain; charset=utf-8",
    };
    written(request, (media, EVER), kept.body.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn who_has_these_bytes_is_told_so() {
        let answer = |tag: Option<&str>| {
            let mut request = TestRequest::default();
            if let Some(tag) = tag {
                request = request.insert_header((IF_NONE_MATCH, tag));
            }
            written(&request.to_http_request(), (JSON, AGAIN), b"{}".to_vec())
        };
        let first = answer(None);
        assert_eq!(first.status(), 200);
        let tag = first.headers().get(ETAG).unwrap().to_str().unwrap();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        for known in [tag.to_owned(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let again = answer(Some(&known));
            assert_eq!(again.status(), 304, "{known}");
            assert_eq!(again.headers().get(ETAG).unwrap(), tag);
            assert!(!again.headers().contains_key(CONTENT_TYPE));
        }
        assert_eq!(answer(Some("\"x\"")).status(), 200);
    }

    #[test]
    fn what_tells_a_price_is_asked_for_again() {
        for kind in [Kind::Croissant, Kind::Dcat, Kind::Offer, Kind::Preview] {
            assert_eq!(kind.cache("1.0.0"), AGAIN);
        }
        assert_eq!(Kind::Label.cache("1.0.0"), HOUR);
        assert_eq!(Kind::Label.cache("main"), AGAIN);
    }
}
