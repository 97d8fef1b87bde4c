//! Files of versions: whole, in ranges, by key or by a signed link; what went out for an order (DESIGN §7, RFC 9110).
//!
//! Whether one may have a file is asked once a request, at its start: a download that runs ends well whatever happens to its listing.

mod range;
mod sealed;

use actix_web::body::SizedStream;
use actix_web::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderName, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError as _, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use verifier::dataset::{FileLine, entitled};
use verifier::id::{DocumentDigest, OrderId, hex};
use verifier::json;
use verifier::refusal::{Code, Refusal};

use super::access::{self, Caller, Sees};
use super::command::{read_body, require_media_type};
use super::problem::Problem;
use super::{COMMAND_BYTES_MAX, Route, Shared, Verb, own};
use crate::address;
use crate::dataset::deliver::{self, Sending, Serves};
use crate::dataset::link::{LINK_SECONDS, Link, Links};
use crate::store::dataset::blob::{self, BlobRow, State};
use crate::store::dataset::file as files;
use range::{Conditions, Part, disposition};

const OCTETS: &str = "application/octet-stream";
/// Nobody between us and the buyer keeps or changes a file: its digest is what was bought.
const UNKEPT: &str = "private, no-transform";
/// The use of the sealing key's seed under which links are signed.
const LINK_SECRET: &str = "quan/link";
const FILE_PATH: &str = "/v1/files/{manifest}/{path:.*}";
const LINK_PATH: &str = "/v1/links/{token}/{path:.*}";

pub(super) const ROUTES: &[Route] = &[
    own(
        Verb::Get,
        FILE_PATH,
        Sees::Party,
        |s, r, _| Box::pin(file(s, r)),
        "A file of a version that one has bought, whole or a range of it; sealed for an age key with ?recipient=age1…",
    ),
    own(
        Verb::Head,
        FILE_PATH,
        Sees::Party,
        |s, r, _| Box::pin(file(s, r)),
        "Its length and digest",
    ),
    own(
        Verb::Get,
        LINK_PATH,
        Sees::Public,
        |s, r, _| Box::pin(linked(s, r)),
        "The same by a signed link, without a key",
    ),
    own(
        Verb::Head,
        LINK_PATH,
        Sees::Public,
        |s, r, _| Box::pin(linked(s, r)),
        "Its length and digest by a signed link",
    ),
    own(
        Verb::Post,
        "/v1/links",
        Sees::Party,
        |s, r, p| Box::pin(make_link(s, r, p)),
        "Make a signed link to a file, for minutes",
    ),
    own(
        Verb::Get,
        "/v1/orders/{id}/deliveries",
        Sees::Party,
        |s, r, _| Box::pin(deliveries(s, r)),
        "What went out for an order, and what the buyer must show to hold",
    ),
];

/// `GET|HEAD /v1/files/{manifest}/{path}`
async fn file(shared: Arc<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = access::caller(&shared, &request).await?;
    let manifest = parameter(&request, "manifest");
    let manifest = DocumentDigest::parse(&manifest).map_err(Refusal::from)?;
    let order = order_of(&shared, caller, manifest).await?;
    let path = parameter(&request, "path");
    send(
        &shared,
        &request,
        &Wanted {
            manifest,
            path,
            order,
        },
    )
    .await
}

/// `GET|HEAD /v1/links/{token}/{path}`
async fn linked(shared: Arc<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let path = parameter(&request, "path");
    let link = links(&shared).read(&parameter(&request, "token"), &path);
    let link = link.ok_or_else(|| {
        let sentence = "this link names no file of ours; ask POST /v1/links for another";
        Refusal::new(Code::ListingUnknown, sentence)
    })?;
    if link.is_dead_at(shared.now()?) {
        let sentence = "this link has ended; ask POST /v1/links for another";
        return Err(Refusal::new(Code::DeliveryLinkExpired, sentence).into());
    }
    still_holds(&shared, &link).await?;
    let wanted = Wanted {
        manifest: link.manifest,
        path,
        order: link.order,
    };
    send(&shared, &request, &wanted).await
}

/// A link ends with what it was made from: a recall, a cancelled order, the end of a withdrawn version's days.
async fn still_holds(shared: &Shared, link: &Link) -> Result<(), Problem> {
    let Some(order) = link.order else {
        return Ok(());
    };
    let now = shared.now()?;
    let entitlement = shared.desk.read(|book| {
        let at = book.last_at.map_or(now, |last| last.max(now));
        entitled(book, book.order(order)?.buyer, link.manifest, at)
    });
    entitlement.await??;
    Ok(())
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LinkAsked {
    manifest: DocumentDigest,
    path: String,
}

/// `POST /v1/links`
async fn make_link(
    shared: Arc<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let caller = access::caller(&shared, &request).await?;
    require_media_type(&request, "application/json")?;
    let body = read_body(payload, COMMAND_BYTES_MAX).await?;
    let asked: LinkAsked = json::read(&body).map_err(Refusal::from)?;
    let order = order_of(&shared, caller, asked.manifest).await?;
    stored(&shared, asked.manifest, &asked.path).await?;
    let ends = shared.now()?.after(LINK_SECONDS);
    let link = Link {
        manifest: asked.manifest,
        order,
        exp: ends.unix(),
    };
    let token = links(&shared).token(&link, &asked.path);
    let url = format!(
        "{}/v1/links/{token}/{}",
        base(&shared, &request),
        address::path(&asked.path)
    );
    Ok(HttpResponse::Created().json(json!({ "url": url, "expires_at": ends })))
}

fn links(shared: &Shared) -> Links {
    Links::new(&shared.data.keys.derived(LINK_SECRET))
}

/// What absolute links of an answer begin with.
pub(super) fn base(shared: &Shared, request: &HttpRequest) -> String {
    let set = shared.config.public_url.clone();
    set.unwrap_or_else(|| {
        let connection = request.connection_info();
        format!("{}://{}", connection.scheme(), connection.host())
    })
}

/// A parameter of the path. What the router leaves encoded (`%`, `+`, `/`) is decoded here, once.
pub(super) fn parameter(request: &HttpRequest, name: &str) -> String {
    address::decoded(request.match_info().get(name).unwrap_or_default())
}

/// By which order a caller may download a version; none for its vendor and whoever assesses it.
pub(super) async fn order_of(
    shared: &Shared,
    caller: Caller,
    manifest: DocumentDigest,
) -> Result<Option<OrderId>, Problem> {
    let now = shared.now()?;
    let entitlement = shared.desk.read(|book| {
        access::stands(book, caller)?;
        let at = book.last_at.map_or(now, |last| last.max(now));
        entitled(book, caller.party, manifest, at)
    });
    Ok(entitlement.await??.order)
}

/// A file that is to be sent, and for which order.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) manifest: DocumentDigest,
    pub(super) path: String,
    pub(super) order: Option<OrderId>,
}

impl Wanted {
    /// For which order what goes is kept.
    fn serves(&self) -> Option<Serves> {
        self.order.map(|order| Serves {
            order,
            manifest: self.manifest,
            path: self.path.clone(),
        })
    }
}

/// A file with its stored content.
async fn stored(
    shared: &Shared,
    manifest: DocumentDigest,
    path: &str,
) -> Result<(FileLine, BlobRow), Problem> {
    let name = path.to_owned();
    let found = shared.data.query(move |db| {
        let Some(file) = files::get(db, &manifest.to_string(), &name)? else {
            return Ok(None);
        };
        let blob = blob::get(db, &file.sha256)?;
        Ok(Some((file, blob)))
    });
    let Some((file, blob)) = found.await? else {
        let sentence = "that version has no such file here; its manifest lists them";
        return Err(Refusal::new(Code::ListingUnknown, sentence).into());
    };
    match blob {
        Some(blob) if blob.state == State::Stored => Ok((file, blob)),
        Some(_) | None => {
            let sentence =
                "the file's content does not open and is being restored; nothing is charged for it";
            Err(Refusal::new(Code::DatasetUnavailable, sentence).into())
        }
    }
}

/// Answers a request for a file that the caller may have.
pub(super) async fn send(
    shared: &Shared,
    request: &HttpRequest,
    wanted: &Wanted,
) -> Result<HttpResponse, Problem> {
    let recipient = sealed::recipient(request.query_string())?;
    let (file, blob) = stored(shared, wanted.manifest, &wanted.path).await?;
    if let Some(recipient) = recipient {
        return sealed::answer(shared, request, (wanted, blob), &recipient);
    }
    let conditions = conditions(request);
    let tag = tag(&file.sha256);
    let (mut response, range) = match head(&conditions.part(&tag, file.bytes), &file) {
        Ok(found) => found,
        Err(response) => return Ok(*response),
    };
    describe(&mut response, &file);
    let length = range.end.saturating_sub(range.start);
    if request.method() == Method::HEAD {
        return Ok(response.body(SizedStream::new(length, stream::empty::<Nothing>())));
    }
    let sending = Sending::new(&shared.data, blob, range, wanted.serves());
    Ok(response.body(SizedStream::new(length, sending)))
}

/// Answers with a text that is made here, as with a file; nobody's order is served by it.
pub(super) fn send_made(request: &HttpRequest, file: &FileLine, text: String) -> HttpResponse {
    let part = conditions(request).part(&tag(&file.sha256), file.bytes);
    let (mut response, range) = match head(&part, file) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    describe(&mut response, file);
    if request.method() == Method::HEAD {
        let length = range.end.saturating_sub(range.start);
        return response.body(SizedStream::new(length, stream::empty::<Nothing>()));
    }
    let [from, to] = [range.start, range.end].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
    let bytes = text.as_bytes().get(from..to).unwrap_or_default();
    response.body(bytes.to_vec())
}

type Nothing = Result<web::Bytes, crate::dataset::Fault>;

/// The status with the bytes that follow, or an answer that has none.
fn head(
    part: &Part,
    file: &FileLine,
) -> Result<(HttpResponseBuilder, std::ops::Range<u64>), Box<HttpResponse>> {
    match part {
        Part::Whole => Ok((HttpResponse::Ok(), 0..file.bytes)),
        Part::Bytes(range) => {
            let last = range.end.saturating_sub(1);
            let shown = format!("bytes {}-{last}/{}", range.start, file.bytes);
            let mut response = HttpResponse::PartialContent();
            response.insert_header((CONTENT_RANGE, shown));
            Ok((response, range.clone()))
        }
        Part::NotModified => Err(bare(StatusCode::NOT_MODIFIED, file).into()),
        Part::OtherContent => Err(bare(StatusCode::PRECONDITION_FAILED, file).into()),
        Part::Beyond => {
            let sentence = format!("the range begins behind the file's {} bytes", file.bytes);
            let refusal = Refusal::new(Code::DeliveryRange, sentence).with("bytes", file.bytes);
            let mut response = Problem::from(refusal).error_response();
            let shown = format!("bytes */{}", file.bytes);
            if let Ok(shown) = shown.parse() {
                response.headers_mut().insert(CONTENT_RANGE, shown);
            }
            Err(response.into())
        }
    }
}

fn bare(status: StatusCode, file: &FileLine) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((ETAG, tag(&file.sha256)))
        .insert_header((CACHE_CONTROL, UNKEPT))
        .finish()
}

fn describe(response: &mut HttpResponseBuilder, file: &FileLine) {
    let digest = format!("sha-256=:{}:", STANDARD.encode(file.sha256));
    response
        .insert_header((CONTENT_TYPE, OCTETS))
        .insert_header((ETAG, tag(&file.sha256)))
        .insert_header((ACCEPT_RANGES, "bytes"))
        .insert_header((CACHE_CONTROL, UNKEPT))
        .insert_header((CONTENT_DISPOSITION, disposition(&file.path)))
        .insert_header(("Repr-Digest", digest));
}

/// The strong entity tag of a content.
pub(super) fn tag(sha256: &[u8; 32]) -> String {
    format!("\"{}\"", hex(sha256))
}

fn conditions(request: &HttpRequest) -> Conditions {
    let joined = |name: HeaderName| {
        let lines: Vec<&str> = request
            .headers()
            .get_all(name)
            .filter_map(|line| line.to_str().ok())
            .collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    };
    let is_get = request.method() == Method::GET;
    Conditions {
        if_match: joined(IF_MATCH),
        if_none_match: joined(IF_NONE_MATCH),
        range: joined(RANGE).filter(|_| is_get),
        if_range: joined(IF_RANGE),
    }
}

/// `GET /v1/orders/{id}/deliveries`: for its buyer, its seller, and whoever sees all. What waits for our signature is signed now.
async fn deliveries(shared: Arc<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = access::caller(&shared, &request).await?;
    let id = OrderId::parse(&parameter(&request, "id")).map_err(Refusal::from)?;
    let manifests = shared.desk.read(|book| seen(book, caller, id)).await??;
    let mut items = Vec::new();
    for manifest in manifests {
        if let Err(fault) = deliver::settle(&shared.data, id, manifest).await {
            tracing::warn!(fault = %crate::cause::Whole(&fault), "a delivery is not signed yet");
        }
        items.push(written(&shared, id, manifest).await?);
    }
    Ok(HttpResponse::Ok().json(json!({ "order": id, "items": items })))
}

/// The versions of an order, for who may see it.
fn seen(
    book: &verifier::book::Book,
    caller: Caller,
    id: OrderId,
) -> Result<Vec<DocumentDigest>, Refusal> {
    use verifier::book::state::order::Goods;
    access::stands(book, caller)?;
    let order = book.order(id)?;
    let sight = access::sight(book, caller);
    let is_own = [order.buyer, order.seller].contains(&caller.party);
    if !is_own && !sight.sees(&book.order_scopes(id)?) {
        return Err(access::unseen(sight));
    }
    let mut manifests: Vec<DocumentDigest> = order
        .segments
        .iter()
        .filter_map(|segment| match segment.goods {
            Goods::Dataset { manifest, .. } => Some(manifest),
            Goods::Gpu { .. } => None,
        })
        .collect();
    manifests.dedup();
    Ok(manifests)
}

async fn written(
    shared: &Shared,
    order: OrderId,
    manifest: DocumentDigest,
) -> Result<Value, Problem> {
    let progress = deliver::progress(&shared.data, order, manifest).await?;
    let state = shared.desk.read(|book| {
        let dealings = book.dealings.get(&order);
        let delivered = dealings.and_then(|dealings| dealings.deliveries.get(&manifest))?;
        let state = match delivered.verdict {
            None => "delivered",
            Some(verdict) if verdict.is_accepted() => "accepted",
            Some(_) => "defect",
        };
        Some((state, delivered.entry))
    });
    let (state, entry) = state
        .await?
        .map_or((None, None), |(s, entry)| (Some(s), Some(entry)));
    let Some(progress) = progress else {
        let state = state.unwrap_or("outside");
        return Ok(json!({ "manifest": manifest, "state": state, "entry": entry }));
    };
    let kept = progress.delivery.as_ref();
    Ok(json!({
        "manifest": manifest, "version": progress.uploaded.version,
        "files": progress.manifest.text(),
        "bytes": progress.manifest.bytes(), "missing_bytes": progress.served.missing(),
        "state": state.unwrap_or("under-way"), "entry": entry,
        "ranges": progress.served.text(), "nonce": kept.map(|kept| kept.nonce),
        "delivered_ranges": kept.map(|kept| kept.ranges.as_str()),
        "receipt": kept.and_then(|kept| kept.jws.as_deref()),
    }))
}
