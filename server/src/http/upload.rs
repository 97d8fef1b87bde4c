//! Uploads by tus 1.0.0 (core, creation, creation-with-upload, checksum, termination, expiration), and where one stands as JSON.
//!
//! A key comes first, then the protocol's version, then everything else; every answer names the version. An offset that is answered
//! is on disk. Who goes on with an upload asks HEAD first: a request that still writes it lets go then.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, HttpDate, LOCATION,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError as _, web};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use verifier::book::command::Kind;
use verifier::dataset::check_path;
use verifier::id::hex;
use verifier::refusal::{Code, Refusal};
use verifier::time::Timestamp;

use super::access::{self, Caller};
use super::{Problem, Route, Sees, Shared, Verb, own};
use crate::dataset::check::{self, Report};
use crate::dataset::spool::Turn;
use crate::dataset::tus::{self, Metadata, Sum};
use crate::dataset::upkeep;
use crate::dataset::{Parts, UploadId};
use crate::store::dataset::blob;
use crate::store::dataset::upload::{self, State, Upload};

/// Uploads that a party may have open: each is a file.
const OPEN_MAX: u64 = 1_000;
/// What is read of a body that is refused, so that its sender hears why instead of a broken connection.
const REFUSED_BODY_MAX: usize = 1 << 20;

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
const TUS_CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const UPLOAD_CHECKSUM: &str = "upload-checksum";
const OVERRIDE: &str = "x-http-method-override";

/// What uploads add to the table.
#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    own(Verb::Options, "/v1/uploads", Sees::Public, |s, _, _| Box::pin(async move { Ok(options(&s)) }), "What tus 1.0.0 can do here"),
    own(Verb::Post, "/v1/uploads", Sees::Party, |s, r, p| Box::pin(tus_answer(Asks::Create, s, r, p)), "Begin an upload (tus creation)"),
    own(Verb::Options, "/v1/uploads/{id}", Sees::Public, |s, _, _| Box::pin(async move { Ok(options(&s)) }), "What tus 1.0.0 can do here"),
    own(Verb::Head, "/v1/uploads/{id}", Sees::Party, |s, r, p| Box::pin(tus_answer(Asks::Offset, s, r, p)), "How far an upload is (tus)"),
    own(Verb::Patch, "/v1/uploads/{id}", Sees::Party, |s, r, p| Box::pin(tus_answer(Asks::Append, s, r, p)), "Continue an upload (tus)"),
    own(Verb::Delete, "/v1/uploads/{id}", Sees::Party, |s, r, p| Box::pin(tus_answer(Asks::End, s, r, p)), "End an upload (tus termination)"),
    own(Verb::Post, "/v1/uploads/{id}", Sees::Party, |s, r, p| Box::pin(tus_answer(Asks::Named, s, r, p)), "PATCH or DELETE named in X-HTTP-Method-Override (tus)"),
    own(Verb::Get, "/v1/uploads/{id}", Sees::Party, |s, r, _| Box::pin(show(s, r)), "Where an upload stands"),
];

/// What a request of tus asks for.
#[derive(Debug, Clone, Copy)]
enum Asks {
    Create,
    Offset,
    Append,
    End,
    /// What the header says over the method.
    Named,
}

fn options(shared: &Shared) -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((TUS_RESUMABLE, tus::VERSION))
        .insert_header((TUS_VERSION, tus::VERSION))
        .insert_header((TUS_EXTENSION, tus::EXTENSIONS))
        .insert_header((TUS_MAX_SIZE, shared.config.upload_bytes_max))
        .insert_header((TUS_CHECKSUM_ALGORITHM, tus::ALGORITHMS))
        .finish()
}

/// Answers, and names the version whatever the answer is.
async fn tus_answer(
    asks: Asks,
    shared: Arc<Shared>,
    request: HttpRequest,
    mut payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let answered = asked(asks, &shared, &request, &mut payload).await;
    let mut response = match answered {
        Ok(response) => response,
        Err(problem) => {
            drain(&mut payload).await;
            problem.error_response()
        }
    };
    let version = HeaderValue::from_static(tus::VERSION);
    response.headers_mut().insert(TUS_RESUMABLE, version);
    Ok(response)
}

async fn drain(payload: &mut web::Payload) {
    let mut read = 0;
    while read < REFUSED_BODY_MAX
        && let Some(Ok(bytes)) = payload.next().await
    {
        read = read.saturating_add(bytes.len());
    }
}

async fn asked(
    asks: Asks,
    shared: &Arc<Shared>,
    request: &HttpRequest,
    payload: &mut web::Payload,
) -> Result<HttpResponse, Problem> {
    let caller = vendor(shared, request).await?;
    if header(request, TUS_RESUMABLE.as_str()) != Some(tus::VERSION) {
        return Ok(HttpResponse::PreconditionFailed()
            .insert_header((TUS_VERSION, tus::VERSION))
            .finish());
    }
    match asks {
        Asks::Create => create(shared, caller, request, payload).await,
        Asks::Offset => offset(shared, caller, request).await,
        Asks::Append => append(shared, caller, request, payload).await,
        Asks::End => end(shared, caller, request).await,
        Asks::Named => match header(request, OVERRIDE) {
            Some("PATCH") => append(shared, caller, request, payload).await,
            Some("DELETE") => end(shared, caller, request).await,
            Some("HEAD") => offset(shared, caller, request).await,
            Some(_) | None => Err(malformed(
                "POST here needs X-HTTP-Method-Override: PATCH or DELETE",
            )),
        },
    }
}

/// Whoever may upload: who may publish datasets. Where a key is not of such a role, that is all that is said.
async fn vendor(shared: &Arc<Shared>, request: &HttpRequest) -> Result<Caller, Problem> {
    let caller = access::caller(shared, request).await?;
    shared
        .desk
        .read(move |book| access::stands(book, caller))
        .await??;
    access::permit(caller, Kind::PublishDataset)?;
    Ok(caller)
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    let value = request.headers().get(name)?;
    Some(value.to_str().unwrap_or("\u{fffd}"))
}

fn malformed(sentence: &str) -> Problem {
    Refusal::new(Code::RequestMalformed, sentence).into()
}

fn has_chunk(request: &HttpRequest) -> bool {
    header(request, CONTENT_TYPE.as_str()).is_some_and(|media| media.trim() == tus::CHUNK)
}

fn sum(request: &HttpRequest) -> Result<Option<Sum>, Problem> {
    let given = header(request, UPLOAD_CHECKSUM);
    Ok(given.map(Sum::parse).transpose()?)
}

/// When an upload that somebody goes on with now will end.
fn expiry(shared: &Shared) -> Result<Timestamp, Problem> {
    let keep = i64::try_from(shared.config.upload_keep.as_secs()).unwrap_or(i64::MAX);
    Ok(shared.now()?.after(keep))
}

fn date(at: Timestamp) -> String {
    let seconds = u64::try_from(at.unix()).unwrap_or_default();
    HttpDate::from(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

async fn create(
    shared: &Arc<Shared>,
    caller: Caller,
    request: &HttpRequest,
    payload: &mut web::Payload,
) -> Result<HttpResponse, Problem> {
    let parts = &shared.data;
    let found = asked_upload(shared, caller, request)?;
    let check = sum(request)?;
    let id =
        UploadId::parse(&found.id).ok_or_else(|| Problem::Internal("an upload id".to_owned()))?;
    make_room(shared, &id, &found).await?;
    let mut response = HttpResponse::Created();
    response.insert_header((LOCATION, format!("/v1/uploads/{}", found.id)));
    let turn = parts.spools.turn(&id)?;
    let offset = if has_chunk(request) {
        match take(parts, turn, &found, (payload, check)).await {
            Ok(offset) => offset,
            Err(problem) => {
                // Nobody was told of it.
                let (of, parts) = (found.id.clone(), parts.clone());
                parts.query(move |db| upload::end(db, &of)).await?;
                parts.spools.remove(&id)?;
                return Err(problem);
            }
        }
    } else {
        if found.length == 0 {
            upkeep::complete(parts, turn, &found).await?;
        }
        0
    };
    if has_chunk(request) {
        response.insert_header((UPLOAD_OFFSET, offset));
    }
    if offset < found.length {
        response.insert_header((UPLOAD_EXPIRES, date(found.expires)));
    }
    Ok(response.finish())
}

/// The upload that a creation asks for.
fn asked_upload(shared: &Shared, caller: Caller, request: &HttpRequest) -> Result<Upload, Problem> {
    let length = header(request, UPLOAD_LENGTH.as_str()).ok_or_else(|| {
        malformed("send Upload-Length: how many bytes the file has; it cannot be said later here")
    })?;
    let length = tus::number("Upload-Length", length)?;
    let most = shared.config.upload_bytes_max;
    if length > most {
        let why =
            format!("{length} bytes are more than the {most} that a file may have here; split it");
        return Err(Refusal::new(Code::UploadLength, why).into());
    }
    let metadata = Metadata::parse(header(request, UPLOAD_METADATA.as_str()).unwrap_or_default())?;
    if !metadata.filename.is_empty() {
        check_path(&metadata.filename)
            .map_err(|why| malformed(&format!("the filename {:?}: {why}", metadata.filename)))?;
    }
    let salt = shared
        .clock
        .salt()
        .map_err(|fault| Problem::Internal(fault.to_string()))?;
    Ok(Upload {
        id: UploadId::new(salt).as_str().to_owned(),
        party: caller.party.to_string(),
        listing: metadata.listing,
        path: metadata.filename,
        length,
        wanted: metadata.sha256,
        metadata: metadata.text,
        expires: expiry(shared)?,
        state: State::Open,
        sha256: None,
        why: String::new(),
    })
}

/// Makes file and row of a new upload, in this order, where its party has room for it.
async fn make_room(shared: &Shared, id: &UploadId, found: &Upload) -> Result<(), Problem> {
    let (parts, quota) = (&shared.data, shared.config.vendor_bytes_max);
    let party = found.party.clone();
    if parts
        .query(move |db| upload::open_count(db, &party))
        .await?
        >= OPEN_MAX
    {
        let why = format!("{OPEN_MAX} uploads of yours are open; finish or end some of them");
        return Err(Refusal::new(Code::UploadQuota, why).into());
    }
    let (spools, new) = (parts.spools.clone(), id.clone());
    web::block(move || spools.create(&new))
        .await
        .map_err(|fault| Problem::Internal(fault.to_string()))??;
    let row = found.clone();
    let Err(left) = parts.query(move |db| upload::add(db, &row, quota)).await? else {
        return Ok(());
    };
    parts.spools.remove(id)?;
    let why = format!(
        "{} bytes are more than the {left} that are left of your {quota}; end uploads that you do not need, or ask the exchange for more",
        found.length
    );
    Err(Refusal::new(Code::UploadQuota, why)
        .with("left", left)
        .into())
}

/// The caller's upload that is named in the path.
/// # Errors
/// `upload.unknown`, `upload.gone`
async fn named(
    shared: &Shared,
    caller: Caller,
    request: &HttpRequest,
) -> Result<(UploadId, Upload), Problem> {
    let unknown = || {
        Refusal::new(
            Code::UploadUnknown,
            "no upload of yours has this id; begin one with POST /v1/uploads",
        )
    };
    let id =
        UploadId::parse(request.match_info().get("id").unwrap_or_default()).ok_or_else(unknown)?;
    let of = id.clone();
    let found = shared
        .data
        .query(move |db| upload::get(db, of.as_str()))
        .await?;
    let found = found.filter(|found| found.party == caller.party.to_string());
    let found = found.ok_or_else(unknown)?;
    if found.state == State::Gone {
        let why = "this upload has ended, by its owner or by time; begin another one";
        return Err(Refusal::new(Code::UploadGone, why).into());
    }
    Ok((id, found))
}

/// How far an upload is; whoever writes it lets go.
/// # Errors
/// `upload.unknown` where its file is another server's.
async fn reached(parts: &Parts, id: &UploadId, found: &Upload) -> Result<u64, Problem> {
    if found.state != State::Open {
        return Ok(found.length);
    }
    let here = parts.spools.offset(id).await?;
    Ok(here.ok_or_else(elsewhere)?)
}

fn elsewhere() -> Refusal {
    let why = "this upload is on another server of the exchange; ask that one";
    Refusal::new(Code::UploadUnknown, why)
}

async fn offset(
    shared: &Shared,
    caller: Caller,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (id, found) = named(shared, caller, request).await?;
    let offset = reached(&shared.data, &id, &found).await?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((UPLOAD_OFFSET, offset))
        .insert_header((UPLOAD_LENGTH, found.length))
        .insert_header((CACHE_CONTROL, "no-store"));
    if !found.metadata.is_empty() {
        response.insert_header((UPLOAD_METADATA, found.metadata.as_str()));
    }
    expires(&mut response, &found);
    Ok(response.finish())
}

fn expires(response: &mut HttpResponseBuilder, found: &Upload) {
    if found.state == State::Open {
        response.insert_header((UPLOAD_EXPIRES, date(found.expires)));
    }
}

async fn append(
    shared: &Shared,
    caller: Caller,
    request: &HttpRequest,
    payload: &mut web::Payload,
) -> Result<HttpResponse, Problem> {
    let (id, mut found) = named(shared, caller, request).await?;
    if !has_chunk(request) {
        let why = format!("send Content-Type: {}", tus::CHUNK);
        return Err(Refusal::new(Code::RequestMediaType, why).into());
    }
    let asked = header(request, UPLOAD_OFFSET.as_str())
        .ok_or_else(|| malformed("send Upload-Offset: where these bytes begin"))?;
    let asked = tus::number("Upload-Offset", asked)?;
    let check = sum(request)?;
    let parts = &shared.data;
    let mut response = HttpResponse::NoContent();
    if found.state != State::Open {
        at(asked, found.length)?;
        if payload
            .next()
            .await
            .is_some_and(|piece| piece.is_ok_and(|bytes| !bytes.is_empty()))
        {
            return Err(Refusal::new(Code::UploadLength, "this upload has all its bytes").into());
        }
        return Ok(response
            .insert_header((UPLOAD_OFFSET, found.length))
            .finish());
    }
    let turn = parts.spools.turn(&id)?;
    at(asked, turn_offset(parts, &turn, &id)?)?;
    found.expires = expiry(shared)?;
    let (of, until) = (found.id.clone(), found.expires);
    parts
        .query(move |db| upload::put_off(db, &of, until))
        .await?;
    let offset = take(parts, turn, &found, (payload, check)).await?;
    response.insert_header((UPLOAD_OFFSET, offset));
    if offset < found.length {
        expires(&mut response, &found);
    }
    Ok(response.finish())
}

fn turn_offset(parts: &Parts, turn: &Turn, id: &UploadId) -> Result<u64, Problem> {
    if !parts.spools.path(id).exists() {
        return Err(elsewhere().into());
    }
    Ok(turn.offset()?)
}

fn at(asked: u64, offset: u64) -> Result<(), Refusal> {
    if asked == offset {
        return Ok(());
    }
    let why = format!("the upload is at byte {offset}, not {asked}; go on from there");
    Err(Refusal::new(Code::UploadOffset, why).with("offset", offset))
}

/// Appends a body, and completes the upload where it was the last.
async fn take(
    parts: &Parts,
    mut turn: Turn,
    found: &Upload,
    (payload, check): (&mut web::Payload, Option<Sum>),
) -> Result<u64, Problem> {
    let room = found.length.saturating_sub(turn.offset()?);
    turn.check(&found.path)?;
    let (turn, offset) = turn.append(payload, room, check).await?;
    if offset == found.length {
        upkeep::complete(parts, turn, found).await?;
    }
    Ok(offset)
}

async fn end(
    shared: &Shared,
    caller: Caller,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (id, found) = named(shared, caller, request).await?;
    let parts = &shared.data;
    // Whoever writes it lets go first.
    reached(parts, &id, &found).await?;
    let turn = parts.spools.turn(&id)?;
    parts.query(move |db| upload::end(db, &found.id)).await?;
    drop(turn);
    parts.spools.remove(&id)?;
    Ok(HttpResponse::NoContent().finish())
}

async fn show(shared: Arc<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = vendor(&shared, &request).await?;
    let (id, found) = named(&shared, caller, &request).await?;
    let offset = match found.state {
        State::Open => std::fs::metadata(shared.data.spools.path(&id)).map_or(0, |file| file.len()),
        State::Complete | State::Failed | State::Gone => found.length,
    };
    let sha256 = found.sha256;
    let kept = match sha256 {
        Some(sha256) => {
            let kept =
                move |db: &mut _| Ok((blob::get(db, &sha256)?, check::report_of(db, &sha256)?));
            shared.data.query(kept).await?
        }
        None => (None, None),
    };
    let (blob, report) = kept;
    let mut answer = json!({
        "id": found.id, "state": found.state.as_str(), "offset": offset, "length": found.length,
        "path": found.path, "listing": found.listing, "sha256": sha256.map(|sha256| hex(&sha256)),
        "stored": blob.is_some() && report.is_some(),
    });
    if let Some(members) = answer.as_object_mut() {
        if found.state == State::Open {
            members.insert("expires_at".to_owned(), json!(found.expires));
        }
        if !found.why.is_empty() {
            members.insert("why".to_owned(), json!(found.why));
        }
        if let Some(report) = report {
            members.insert("report".to_owned(), summary(&report));
        }
    }
    Ok(HttpResponse::build(StatusCode::OK).json(answer))
}

/// What a vendor looks for first in a report.
fn summary(report: &Report) -> Value {
    json!({
        "format": report.format, "packing": report.packing, "rows": report.rows, "columns": report.columns.len(),
        "personal": report.personal.len(), "flaws": report.flaws.len(), "broken": report.broken(),
    })
}
