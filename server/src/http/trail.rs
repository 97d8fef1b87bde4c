//! The trail as static files, and the proof of one entry (C2SP tlog-tiles, tlog-proof; TRAIL A4, D3, D13, D16).
//!
//! Hash tiles are public, so that anybody can check inclusion and consistency; bundles need a regulator's key. The
//! checkpoint is answered from its row, never from the bucket: there a late put of another server could be an older one.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue, RETRY_AFTER,
};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use verifier::book::Book;
use verifier::book::access::Sight;
use verifier::book::command::Role;
use verifier::book::redacted::{self, RedactedPath};
use verifier::refusal::{Code, Refusal};
use verifier::trail::bundle::BundlePath;
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::history::{self, HistoryPath};
use verifier::trail::note::Note;
use verifier::trail::proof::Proof;
use verifier::trail::tile::{TilePath, Tiles, WIDTH_FULL};
use verifier::trail::{Flaw, TreeSize, tree};

use super::access::{self, store_fault};
use super::problem::Problem;
use super::{Shared, entry, no_such_path};
use crate::cause::Whole;
use crate::objects::Objects;
use crate::store::heads::{self, Published};
use crate::store::history as kept;

/// A path's bytes are a function of committed rows: they never change.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// What a key sees may change: what is cut to it is kept by nobody (TRAIL E1).
const UNKEPT: &str = "private, no-store";
/// The same for one reader only: no shared cache may keep a bundle.
const PRIVATE: &str = "private, max-age=31536000, immutable";
const OCTETS: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";
/// Seconds after which what is committed and not yet published is there: a checkpoint is signed every second.
const PUBLISHED_IN: &str = "1";

/// What is served of the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The newest signed checkpoint.
    Checkpoint,
    /// A hash tile.
    Tile,
    /// 256 entries, for regulators.
    Bundle,
    /// The same without what is out of a scope.
    Redacted,
    /// 256 cosigned checkpoints, or how many there are.
    History,
    /// The proof that one entry is in the trail.
    Proof,
}

impl Part {
    /// Whether it is answered without a key.
    #[must_use]
    pub const fn is_public(self) -> bool {
        match self {
            Self::Checkpoint | Self::Tile | Self::History => true,
            Self::Bundle | Self::Redacted | Self::Proof => false,
        }
    }

    /// The media type of what is answered.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Checkpoint | Self::Proof => TEXT,
            Self::Tile | Self::Bundle | Self::Redacted | Self::History => OCTETS,
        }
    }

    /// For how long, and by whom, an answer may be kept.
    #[must_use]
    pub const fn cache(self) -> &'static str {
        match self {
            // A newer one replaces a checkpoint every second, and a proof holds one.
            Self::Checkpoint | Self::Proof => "no-store",
            Self::Tile | Self::History => IMMUTABLE,
            Self::Bundle => PRIVATE,
            Self::Redacted => UNKEPT,
        }
    }

    fn found(self, body: impl Into<Bytes>) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, self.media_type()))
            .insert_header((CACHE_CONTROL, self.cache()))
            .body(body.into())
    }
}

/// Answers a part of the trail.
pub(super) async fn answer(
    shared: Arc<Shared>,
    part: Part,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    match part {
        Part::Checkpoint => {
            let published = published(&shared).await?.ok_or(UNPUBLISHED)?;
            Ok(part.found(published.note))
        }
        Part::Tile => tile(&shared, &request).await,
        Part::Bundle => bundle(&shared, &request).await,
        Part::Redacted => redacted(&shared, &request).await,
        Part::History => history(&shared, &request).await,
        Part::Proof => proof(&shared, &request).await,
    }
}

/// Only before the first start has published the empty tree.
const UNPUBLISHED: Problem = Problem::Busy("nothing is published yet; try again");

pub(super) async fn published(shared: &Shared) -> Result<Option<Published>, Problem> {
    let store = Arc::clone(&shared.store);
    web::block(move || heads::published(&mut *store.connection()?))
        .await
        .map_err(|fault| Problem::Internal(fault.to_string()))?
        .map_err(store_fault)
}

/// The raw path: it must be the one spelling, so nothing is decoded and nothing else reaches the bucket.
fn raw(request: &HttpRequest) -> &str {
    request.path().strip_prefix('/').unwrap_or_default()
}

async fn tile(shared: &Shared, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let Ok(tile) = TilePath::parse(raw(request)) else {
        return Ok(no_such_path(request.clone()).await);
    };
    match object(&shared.trail, &tile.to_string()).await? {
        Some(bytes) => Ok(Part::Tile.found(bytes)),
        None => absent(shared, request, |size| tile.is_new_after(size)).await,
    }
}

async fn bundle(shared: &Arc<Shared>, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    regulator(shared, request, |sight| match sight {
        Sight::All => Ok(()),
        Sight::Scopes(own) => {
            let own: Vec<String> = own.iter().map(ToString::to_string).collect();
            let sentence = format!(
                "these bundles hold every scope; this key's are at /redacted/<scope>/…, for {}",
                own.join(", ")
            );
            Err(Refusal::new(Code::AccessScope, sentence).with("scopes", own.join(",")))
        }
        Sight::Own => Err(access::unseen(sight)),
    })
    .await?;
    let Ok(bundle) = BundlePath::parse(raw(request)) else {
        return Ok(no_such_path(request.clone()).await);
    };
    match object(&shared.trail, &bundle.to_string()).await? {
        Some(bytes) => Ok(Part::Bundle.found(bytes)),
        None => absent(shared, request, |size| is_after(bundle, size)).await,
    }
}

/// `GET /redacted/<scope>/…`: for regulators that see the whole of that scope.
async fn redacted(shared: &Arc<Shared>, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let path = RedactedPath::parse(raw(request));
    regulator(shared, request, |sight| match &path {
        Ok(path) if !sight.sees_scope(&path.scope) => Err(access::unseen(sight)),
        Ok(_) | Err(_) => Ok(()),
    })
    .await?;
    let Ok(RedactedPath { scope, bundle }) = path else {
        return Ok(no_such_path(request.clone()).await);
    };
    let Some(bytes) = object(&shared.trail, &bundle.to_string()).await? else {
        return absent(shared, request, |size| is_after(bundle, size)).await;
    };
    let redacted = web::block(move || redacted::redact(&bytes, bundle.width(), &scope))
        .await
        .map_err(|fault| Problem::Internal(fault.to_string()))?;
    let redacted = redacted.map_err(|fault| Problem::Internal(fault.to_string()))?;
    Ok(Part::Redacted.found(redacted))
}

fn is_after(bundle: BundlePath, size: TreeSize) -> bool {
    bundle.first().saturating_add(bundle.width().into()) > size.get()
}

/// Lets regulators pass whose key stands and whose sight is wide enough.
async fn regulator(
    shared: &Arc<Shared>,
    request: &HttpRequest,
    check: impl Fn(Sight<'_>) -> Result<(), Refusal>,
) -> Result<(), Problem> {
    let caller = access::caller(shared, request).await?;
    let look = |book: &Book| {
        access::stands(book, caller)?;
        if caller.role == Role::Regulator {
            return check(access::sight(book, caller));
        }
        let sentence = "entry bundles are for keys of the role regulator; your own entries are at /v1/entries/{seq}";
        Err(Refusal::new(Code::AccessRole, sentence))
    };
    Ok(shared.desk.read(look).await??)
}

/// Answered from the rows, as the checkpoint is: any width that the history has, so that nobody meets a part that grows.
async fn history(shared: &Arc<Shared>, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let name = raw(request);
    let path = HistoryPath::parse(name).ok();
    if path.is_none() && name != history::COUNT {
        return Ok(no_such_path(request.clone()).await);
    }
    let store = Arc::clone(&shared.store);
    let read = move || {
        let mut db = store.connection()?;
        let count = kept::count(&mut db)?;
        let Some(path) = path else {
            return Ok((count, None));
        };
        let end = path.first().saturating_add(path.width().into());
        let notes = (end <= count).then(|| kept::notes(&mut db, path.first()..end));
        Ok((count, notes.transpose()?))
    };
    let (count, notes) = web::block(read)
        .await
        .map_err(|fault| Problem::Internal(fault.to_string()))?
        .map_err(store_fault)?;
    match (path, notes) {
        (None, _) => Ok(HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, TEXT))
            .insert_header((CACHE_CONTROL, Part::Checkpoint.cache()))
            .body(history::encode_count(count))),
        (Some(_), Some(notes)) => {
            let bytes = history::encode(notes.iter().map(String::as_str));
            let bytes = bytes.map_err(|flaw| Problem::Internal(flaw.to_string()))?;
            Ok(Part::History.found(bytes))
        }
        (Some(_), None) => Ok(again(no_such_path(request.clone()).await)),
    }
}

/// What is behind the published size may come; what is not there although the tree is as large never does.
async fn absent(
    shared: &Shared,
    request: &HttpRequest,
    is_after: impl FnOnce(TreeSize) -> bool,
) -> Result<HttpResponse, Problem> {
    let response = no_such_path(request.clone()).await;
    let published = published(shared).await?;
    let size = published.and_then(|published| TreeSize::new(published.size));
    if is_after(size.unwrap_or(TreeSize::ZERO)) {
        return Ok(again(response));
    }
    Ok(response)
}

/// Says when to ask again (TRAIL D16).
fn again(mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static(PUBLISHED_IN));
    response
}

async fn object(objects: &Objects, name: &str) -> Result<Option<Bytes>, Problem> {
    objects.get(name).await.map_err(|fault| {
        tracing::error!(fault = %Whole(&fault), "the trail's bucket does not answer");
        Problem::Busy("the trail cannot be read right now; try again")
    })
}

/// `GET /v1/entries/{seq}/proof`: for whoever may read the entry.
async fn proof(shared: &Arc<Shared>, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let entry::Readable { seq, bytes, .. } = entry::readable(shared, request).await?;
    let published = published(shared).await?;
    let Some(published) = published.filter(|published| seq < published.size) else {
        return Ok(later(seq));
    };
    let proof = prove(&shared.trail, seq, bytes, &published).await?;
    let mut response = Part::Proof.found(proof.to_string());
    let disposition = format!("attachment; filename=\"{seq}.tlog-proof\"");
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        response
            .headers_mut()
            .insert(CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// Committed, and not yet under a published checkpoint.
fn later(seq: u64) -> HttpResponse {
    let sentence =
        format!("entry {seq} is committed, and published within seconds; ask again then");
    again(Problem::from(Refusal::new(Code::EntryUnknown, sentence)).error_response())
}

/// What a proof is made of is not all at hand yet.
enum Lacking {
    Tile(TilePath),
    Flaw(Flaw),
}

impl From<Flaw> for Lacking {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}

/// Proves an entry from the tiles, fetching each that turns out to be needed: at most two a level.
pub(super) async fn prove(
    objects: &Objects,
    seq: u64,
    bytes: Vec<u8>,
    published: &Published,
) -> Result<Proof, Problem> {
    let flawed = |flaw: Flaw| Problem::Internal(flaw.to_string());
    let note = Note::parse(published.note.as_bytes()).map_err(flawed)?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(flawed)?;
    let mut fetched: BTreeMap<TilePath, Bytes> = BTreeMap::new();
    let hashes = loop {
        let at_hand = |path| match fetched.get(&path) {
            Some(bytes) => Ok(bytes.to_vec()),
            None => Err(Lacking::Tile(path)),
        };
        match Tiles::new(checkpoint.size(), at_hand).prove_inclusion(seq) {
            Ok(hashes) => break hashes,
            Err(Lacking::Tile(path)) => {
                let bytes = fetch(objects, path).await?;
                fetched.insert(path, bytes);
            }
            Err(Lacking::Flaw(flaw)) => return Err(flawed(flaw)),
        }
    };
    // The tiles were believed until here; a damaged one must not become a proof that convinces nobody.
    let root = (checkpoint.size(), checkpoint.root());
    tree::verify_inclusion(tree::leaf_hash(&bytes), seq, root, &hashes).map_err(flawed)?;
    Proof::new(Some(bytes), seq, hashes, note).map_err(flawed)
}

/// A tile, or the full one of its place: partial ones may be collected once the full one is there.
async fn fetch(objects: &Objects, path: TilePath) -> Result<Bytes, Problem> {
    let full = TilePath::new(path.level(), path.number(), WIDTH_FULL);
    for path in [Some(path), full].into_iter().flatten() {
        if let Some(bytes) = object(objects, &path.to_string()).await? {
            return Ok(bytes);
        }
    }
    Err(Problem::Internal(format!(
        "{path} is published and missing"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_is_not_published_yet_is_asked_for_again() {
        let response = later(7);
        assert_eq!(response.status().as_u16(), 404);
        let again = response.headers().get(RETRY_AFTER);
        assert_eq!(again, Some(&HeaderValue::from_static("1")));
    }
}
