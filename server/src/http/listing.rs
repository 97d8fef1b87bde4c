//! Drafts of listings: a handle, a card, the files of uploads that are complete, and texts of licences.

use actix_web::http::header::AUTHORIZATION;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use verifier::book::command::{Command, Kind, PublishDataset};
use verifier::book::entry::Entry;
use verifier::dataset::{FileLine, check_path};
use verifier::id::{DocumentDigest, Sha256Hash, hex};
use verifier::json;
use verifier::money::Fen;
use verifier::refusal::{Code, Refusal};

use super::access::{self, Caller, Sees};
use super::document;
use super::download::parameter;
use super::problem::Problem;
use super::reply::{self, Asked};
use super::{Route, Shared, Verb, command, keyed_for, own};
use crate::dataset::card::Card;
use crate::dataset::submit;
use crate::store::dataset::listing::{self as rows, Document, Listing};
use crate::store::dataset::{file, upload};
use crate::store::log;

/// The routes of drafts.
#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    own(Verb::Post, "/v1/handles", Sees::Party, |s, r, p| Box::pin(take_handle(s, r, p)), "Take a name for my listings' addresses"),
    own(Verb::Post, "/v1/listings", Sees::Party, |s, r, p| Box::pin(draft(s, r, p)), "Draft a listing: its card"),
    own(Verb::Post, "/v1/documents", Sees::Party, |s, r, p| Box::pin(keep(s, r, p)), "Keep the text of a licence"),
    own(Verb::Post, "/v1/listings/{handle}/{name}/files", Sees::Party, |s, r, p| Box::pin(attach(s, r, p)), "Put an upload at a path of a draft"),
    own(Verb::Post, "/v1/listings/{handle}/{name}/submit", Sees::Party, |s, r, p| Box::pin(submit(s, r, p)), "Hand in a draft: it becomes a version of the trail"),
    own(Verb::Get, "/v1/listings/{handle}/{name}", Sees::Public, |s, r, _| Box::pin(show(s, r)), "A listing; with its vendor's key the draft and what it lacks"),
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
    let (caller, body) = keyed_for(Kind::PublishDataset, &shared, &request, payload).await?;
    let asked: Handle = json::read(&body).map_err(Refusal::from)?;
    check_name(&asked.handle)?;
    let (party, handle) = (caller.party.to_string(), asked.handle);
    let held = shared.data.query(move |db| {
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
    let (caller, body) = keyed_for(Kind::PublishDataset, &shared, &request, payload).await?;
    let asked: Draft = json::read(&body).map_err(Refusal::from)?;
    check_name(&asked.name)?;
    asked.card.check()?;
    let card = String::from_utf8(asked.card.text()?).unwrap_or_default();
    let salt = shared
        .clock
        .salt()
        .map_err(|fault| Problem::Internal(fault.to_string()))?;
    let id = hex(salt.bytes());
    let (party, changed) = (caller.party.to_string(), shared.now()?);
    let kept = shared.data.query(move |db| {
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
    let (caller, body) = keyed_for(Kind::PublishDataset, &shared, &request, payload).await?;
    let asked: Text = json::read(&body).map_err(Refusal::from)?;
    let digest = DocumentDigest::of(asked.text.as_bytes());
    let document = Document {
        digest: digest.to_string(),
        kind: "licence".to_owned(),
        party: Some(caller.party.to_string()),
        body: asked.text.into_bytes(),
    };
    shared
        .data
        .query(move |db| rows::keep_document(db, &document))
        .await?;
    Ok(HttpResponse::Created().json(json!({ "digest": digest })))
}

async fn attach(
    shared: Arc<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (caller, body) = keyed_for(Kind::PublishDataset, &shared, &request, payload).await?;
    let asked: Attached = json::read(&body).map_err(Refusal::from)?;
    let refused = |why| Refusal::new(Code::RequestMalformed, format!("path: {why}"));
    check_path(&asked.path).map_err(refused)?;
    let listing = my_listing(&shared, caller, &request).await?;
    let party = caller.party.to_string();
    let put = shared.data.query(move |db| {
        let found = upload::get(db, &asked.upload)?;
        let complete = found.filter(|of| of.party == party && of.state == upload::State::Complete);
        let Some((sha256, bytes)) = complete.and_then(|of| Some((of.sha256?, of.length))) else {
            return Ok(false);
        };
        let path = asked.path;
        file::put(
            db,
            &listing.id,
            &FileLine {
                sha256,
                bytes,
                path,
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

/// What a vendor says of a version beside the draft.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Submission {
    version: String,
    price_fen: Fen,
}

/// Hands in a draft. It is a command of the vendor's own, so it is answered and signed as every command is.
async fn submit(
    shared: Arc<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let mut reply = Asked::default();
    let answered = submitted(&shared, &request, payload, &mut reply).await;
    Ok(reply::signed(&shared, reply, answered).await)
}

async fn submitted(
    shared: &Arc<Shared>,
    request: &HttpRequest,
    payload: web::Payload,
    reply: &mut Asked,
) -> Result<HttpResponse, Problem> {
    let kind = Kind::PublishDataset;
    let handed = command::handed(shared, (request, payload), kind, reply).await?;
    let asked: Submission = json::read(&handed.body).map_err(Refusal::from)?;
    let _in_flight = shared.in_flight.enter(handed.cmd)?;
    let listing = my_listing(shared, handed.caller, request).await?;
    let id = listing.id.clone();
    let (published, version) = match known(shared, handed.cmd).await? {
        Some(published) => {
            let version = submit::kept(&shared.data, published.manifest, &id).await?;
            (published, version)
        }
        None => {
            let handed_in = submit::HandedIn {
                listing,
                version: asked.version,
                price_fen: asked.price_fen,
            };
            let (published, version) = submit::prepare(&shared.data, &handed_in).await?;
            (published, Some(version))
        }
    };
    let manifest = published.manifest;
    let answered = handed
        .submit(shared, Command::PublishDataset(published), reply)
        .await;
    match (&answered, version) {
        (Ok(_), Some(version)) => submit::settle(&shared.data, version).await?,
        (Err(Problem::Refused(_)), _) => submit::forget(&shared.data, manifest, &id).await?,
        // Settled before, or what became of it is not known: the next round of upkeep finds out.
        (Ok(_) | Err(_), _) => {}
    }
    answered
}

/// What was published by this very command before.
async fn known(shared: &Shared, cmd: Sha256Hash) -> Result<Option<PublishDataset>, Problem> {
    let seq = shared
        .desk
        .read(|book| book.commands.get(&cmd).map(|known| known.seq))
        .await?;
    let Some(seq) = seq else {
        return Ok(None);
    };
    let bytes = shared.data.query(move |db| log::entry(db, seq)).await?;
    let entry = bytes.map(|bytes| Entry::parse_own(&bytes)).transpose()?;
    Ok(entry.and_then(|entry| {
        if let Command::PublishDataset(published) = entry.asked {
            Some(published)
        } else {
            None
        }
    }))
}

async fn show(shared: Arc<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    if !request.headers().contains_key(AUTHORIZATION) {
        return document::public(&shared, &request).await;
    }
    let caller = access::caller(&shared, &request).await?;
    let listing = match my_listing(&shared, caller, &request).await {
        Err(Problem::Refused(refusal)) if refusal.code == Code::ListingUnknown => {
            return document::public(&shared, &request).await;
        }
        found => found?,
    };
    let card = Card::parse(listing.card.as_bytes())?;
    let id = listing.id.clone();
    let files = shared.data.query(move |db| file::all(db, &id)).await?;
    let files: Vec<Value> = files
        .iter()
        .map(|file| json!({ "path": file.path, "bytes": file.bytes, "sha256": hex(&file.sha256) }))
        .collect();
    Ok(HttpResponse::Ok().json(json!({
        "listing": listing.id, "handle": listing.handle, "name": listing.name, "state": "draft",
        "missing": card.missing(), "card": card, "files": files,
    })))
}

/// A vendor's draft, found by the names in the path; another's is as unknown as none.
async fn my_listing(
    shared: &Arc<Shared>,
    caller: Caller,
    request: &HttpRequest,
) -> Result<Listing, Problem> {
    let (handle, name) = (parameter(request, "handle"), parameter(request, "name"));
    let party = caller.party.to_string();
    let found = shared.data.query(move |db| {
        if rows::party_of(db, &handle)?.is_none_or(|of| of != party) {
            return Ok(None);
        }
        rows::listing(db, &handle, &name)
    });
    let unknown = || Refusal::new(Code::ListingUnknown, "you have no listing of that name").into();
    found.await?.ok_or_else(unknown)
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
