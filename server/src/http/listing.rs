//! Drafts of listings: a handle, a card, the files of uploads that are complete, and texts of licences.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use verifier::dataset::check_path;
use verifier::id::DocumentDigest;
use verifier::json;
use verifier::refusal::{Code, Refusal};

use super::access::{self, Caller, Sees};
use super::problem::Problem;
use super::{Route, Shared, Verb, keyed};
use crate::dataset::card::Card;
use crate::store::dataset::listing::{self as rows, Document, File, Listing};
use crate::store::{Db, StoreFault};

/// The routes of drafts.
#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    Route { method: Verb::Post, path: "/v1/handles", summary: "Take a name for my listings' addresses", does: super::Does::Own(Sees::Party, |s, r, p| Box::pin(take_handle(s, r, p))) },
    Route { method: Verb::Post, path: "/v1/listings", summary: "Draft a listing: its card", does: super::Does::Own(Sees::Party, |s, r, p| Box::pin(draft(s, r, p))) },
    Route { method: Verb::Post, path: "/v1/documents", summary: "Keep the text of a licence", does: super::Does::Own(Sees::Party, |s, r, p| Box::pin(keep(s, r, p))) },
    Route { method: Verb::Post, path: "/v1/listings/{handle}/{name}/files", summary: "Put an upload at a path of a draft", does: super::Does::Own(Sees::Party, |s, r, p| Box::pin(attach(s, r, p))) },
    Route { method: Verb::Get, path: "/v1/listings/{handle}/{name}", summary: "My draft and what it lacks", does: super::Does::Own(Sees::Party, |s, r, _| Box::pin(show(s, r))) },
];

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Handle {
    handle: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    name: String,
    card: Card,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Attached {
    upload: String,
    path: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

async fn take_handle(
    shared: Arc<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (caller, body) = vendor(&shared, &request, payload).await?;
    let asked: Handle = json::read(&body).map_err(Refusal::from)?;
    check_name(&asked.handle)?;
    let (party, handle) = (caller.party.to_string(), asked.handle);
    let held = stored(&shared, move |db| {
        rows::take_handle(db, &handle, &party)?;
        Ok(rows::handle_of(db, &party)?.is_some_and(|held| held == handle))
    });
    if held.await? {
        return Ok(HttpResponse::Created().json(json!({ "party": caller.party })));
    }
    Err(Refusal::new(
        Code::ListingTaken,
        "the handle is another party's, or you have another one",
    )
    .into())
}

async fn draft(
    shared: Arc<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (caller, body) = vendor(&shared, &request, payload).await?;
    let asked: Draft = json::read(&body).map_err(Refusal::from)?;
    check_name(&asked.name)?;
    asked.card.check()?;
    let card = String::from_utf8(asked.card.text()?).unwrap_or_default();
    let salt = shared
        .clock
        .salt()
        .map_err(|fault| Problem::Internal(fault.to_string()))?;
    let id: String = salt
        .bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let (party, changed) = (caller.party.to_string(), shared.now()?.unix());
    let kept = stored(&shared, move |db| {
        let Some(handle) = rows::handle_of(db, &party)? else {
            return Ok(None);
        };
        let listing = Listing {
            id: format!("lst-{id}"),
            handle,
            name: asked.name,
            dataset: None,
            card,
            changed,
        };
        rows::keep_listing(db, &listing)?;
        rows::listing(db, &listing.handle, &listing.name)
    });
    let listing = kept.await?.ok_or_else(|| {
        Refusal::new(
            Code::ListingUnknown,
            "take a handle first: POST /v1/handles",
        )
    })?;
    let missing = asked.card.missing();
    Ok(HttpResponse::Created().json(json!({
        "listing": listing.id, "handle": listing.handle, "name": listing.name, "missing": missing,
    })))
}

async fn keep(
    shared: Arc<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (caller, body) = vendor(&shared, &request, payload).await?;
    let asked: Text = json::read(&body).map_err(Refusal::from)?;
    let digest = DocumentDigest::of(asked.text.as_bytes());
    let document = Document {
        digest: digest.to_string(),
        kind: "licence".to_owned(),
        party: Some(caller.party.to_string()),
        body: asked.text.into_bytes(),
    };
    stored(&shared, move |db| rows::keep_document(db, &document)).await?;
    Ok(HttpResponse::Created().json(json!({ "digest": digest })))
}

async fn attach(
    shared: Arc<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (caller, body) = vendor(&shared, &request, payload).await?;
    let asked: Attached = json::read(&body).map_err(Refusal::from)?;
    let refused = |why| Refusal::new(Code::RequestMalformed, format!("path: {why}"));
    check_path(&asked.path).map_err(refused)?;
    let listing = own(&shared, caller, &request).await?;
    let party = caller.party.to_string();
    let put = stored(&shared, move |db| {
        let Some((sha256, bytes)) = rows::complete_upload(db, &asked.upload, &party)? else {
            return Ok(false);
        };
        rows::put_file(
            db,
            &listing.id,
            &File {
                path: asked.path,
                sha256,
                bytes,
            },
        )?;
        Ok(true)
    });
    if put.await? {
        return Ok(HttpResponse::Created().json(json!({})));
    }
    Err(Refusal::new(
        Code::DatasetFile,
        "no upload of yours with that id is complete",
    )
    .into())
}

async fn show(shared: Arc<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = access::caller(&shared, &request).await?;
    let listing = own(&shared, caller, &request).await?;
    let card = Card::parse(listing.card.as_bytes())?;
    let id = listing.id.clone();
    let files = stored(&shared, move |db| rows::files(db, &id)).await?;
    let files: Vec<Value> = files
        .iter()
        .map(|file| json!({ "path": file.path, "bytes": file.bytes }))
        .collect();
    Ok(HttpResponse::Ok().json(json!({
        "listing": listing.id, "handle": listing.handle, "name": listing.name, "state": "draft",
        "missing": card.missing(), "card": card, "files": files,
    })))
}

/// A vendor's draft, found by the names in the path; another's is as unknown as none.
async fn own(
    shared: &Arc<Shared>,
    caller: Caller,
    request: &HttpRequest,
) -> Result<Listing, Problem> {
    let part = |name| {
        request
            .match_info()
            .get(name)
            .unwrap_or_default()
            .to_owned()
    };
    let (handle, name, party) = (part("handle"), part("name"), caller.party.to_string());
    let found = stored(shared, move |db| {
        if rows::party_of(db, &handle)?.is_none_or(|of| of != party) {
            return Ok(None);
        }
        rows::listing(db, &handle, &name)
    });
    let unknown = || Refusal::new(Code::ListingUnknown, "you have no listing of that name").into();
    found.await?.ok_or_else(unknown)
}

async fn vendor(
    shared: &Arc<Shared>,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<(Caller, web::Bytes), Problem> {
    let (caller, body) = keyed(shared, request, payload).await?;
    access::permit(caller, verifier::book::command::Kind::PublishDataset)?;
    shared
        .desk
        .read(|book| access::stands(book, caller))
        .await??;
    Ok((caller, body))
}

async fn stored<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&mut Db) -> Result<T, StoreFault> + Send + 'static,
) -> Result<T, Problem> {
    let store = Arc::clone(&shared.store);
    web::block(move || work(&mut *store.connection()?))
        .await
        .map_err(|fault| Problem::Internal(fault.to_string()))?
        .map_err(access::store_fault)
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let good = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if (3..=48).contains(&name.len()) && name.bytes().all(good) {
        return Ok(());
    }
    Err(Refusal::new(
        Code::RequestMalformed,
        "a handle or name is 3 to 48 characters of a-z, 0-9 and -",
    ))
}
