//! The trail as static files, and the proof of one entry (C2SP tlog-tiles, tlog-proof; TRAIL A4, D3, D13, D16).
//!
//! Hash tiles are public, so that anybody can check inclusion and consistency; bundles need a regulator's key. The
//! checkpoint is answered from its row, never from the bucket: there a late put of another server could be an older one.

use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Compress;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use verifier::book::command::Role;
use verifier::book::entry::Entry;
use verifier::refusal::{Code, Refusal};
use verifier::trail::bundle::BundlePath;
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::note::Note;
use verifier::trail::proof::Proof;
use verifier::trail::tile::{TilePath, Tiles, WIDTH_FULL};
use verifier::trail::{Flaw, tree};

use super::access::{self, Caller, store_fault};
use super::problem::Problem;
use super::{Shared, entry, no_such_path};
use crate::objects::Objects;
use crate::store::heads::{self, Published};
use crate::store::{Store, log};

const CHECKPOINT: &str = "/checkpoint";
const BUNDLE: &str = "/tile/entries/{place:.*}";
const TILE: &str = "/tile/{place:.*}";
const PROOF: &str = "/v1/entries/{seq}/proof";

/// A path's bytes are a function of committed rows: they never change.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// The same for one reader only: no shared cache may keep a bundle.
const PRIVATE: &str = "private, max-age=31536000, immutable";
const OCTETS: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";

/// The trail's bucket, as the handlers get it.
#[derive(Debug, Clone)]
pub struct Bucket(pub Objects);

/// Puts the trail's paths into the server; `app_data` must hold a [`Shared`] and a [`Bucket`].
pub fn configure(app: &mut web::ServiceConfig) {
    let only_get = || web::to(only_get);
    let bundles = web::resource(BUNDLE)
        .get(bundle)
        .default_service(only_get());
    app.service(
        web::resource(CHECKPOINT)
            .get(checkpoint)
            .default_service(only_get()),
    )
    // Compressed for who accepts it. Hashes are random: their tiles are not.
    .service(bundles.wrap(Compress::default()))
    .service(web::resource(TILE).get(tile).default_service(only_get()))
    .service(web::resource(PROOF).get(proof).default_service(only_get()));
}

async fn only_get(request: HttpRequest) -> HttpResponse {
    let sentence = format!("{} is not answered here; use GET", request.method());
    let mut response = Problem::from(Refusal::new(Code::RequestMethod, sentence)).error_response();
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static("GET"));
    response
}

/// Counts an answer, and keeps problems out of caches.
async fn counted(
    shared: &Shared,
    path: &'static str,
    answer: impl Future<Output = Result<HttpResponse, Problem>>,
) -> HttpResponse {
    let mut response = answer
        .await
        .unwrap_or_else(|problem| problem.error_response());
    shared.metrics.request(path, response.status().as_u16());
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

async fn checkpoint(shared: web::Data<Shared>) -> HttpResponse {
    let answer = async {
        let published = published(&shared).await?.ok_or(UNPUBLISHED)?;
        Ok(HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, TEXT))
            .body(published.note))
    };
    counted(&shared, CHECKPOINT, answer).await
}

/// Only before the first start has published the empty tree.
const UNPUBLISHED: Problem = Problem::Busy("nothing is published yet; try again");

async fn published(shared: &Shared) -> Result<Option<Published>, Problem> {
    let store = Arc::clone(&shared.store);
    web::block(move || heads::published(&mut *store.connection()?))
        .await
        .map_err(|fault| Problem::Internal(fault.to_string()))?
        .map_err(store_fault)
}

async fn tile(
    request: HttpRequest,
    shared: web::Data<Shared>,
    bucket: web::Data<Bucket>,
) -> HttpResponse {
    let answer = async {
        // The raw path: it must be the one spelling, so nothing is decoded and nothing else reaches the bucket.
        let path = request.path().strip_prefix('/').unwrap_or_default();
        match TilePath::parse(path) {
            Ok(tile) => stored(&bucket, &tile.to_string(), IMMUTABLE, &request).await,
            Err(_) => Ok(no_such_path(request.clone()).await),
        }
    };
    counted(&shared, TILE, answer).await
}

async fn bundle(
    request: HttpRequest,
    shared: web::Data<Shared>,
    bucket: web::Data<Bucket>,
) -> HttpResponse {
    let answer = async {
        let caller = access::caller(&shared, &request).await?;
        shared
            .desk
            .read(|book| access::stands(book, caller))
            .await??;
        if caller.role != Role::Regulator {
            let sentence = "entry bundles are for keys of the role regulator; your own entries are at /v1/entries/{seq}";
            return Err(Refusal::new(Code::AccessRole, sentence).into());
        }
        let path = request.path().strip_prefix('/').unwrap_or_default();
        match BundlePath::parse(path) {
            Ok(bundle) => stored(&bucket, &bundle.to_string(), PRIVATE, &request).await,
            Err(_) => Ok(no_such_path(request.clone()).await),
        }
    };
    counted(&shared, BUNDLE, answer).await
}

async fn stored(
    bucket: &Bucket,
    name: &str,
    cache: &'static str,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    match object(&bucket.0, name).await? {
        Some(bytes) => Ok(HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, OCTETS))
            .insert_header((CACHE_CONTROL, cache))
            .body(bytes)),
        None => Ok(no_such_path(request.clone()).await),
    }
}

async fn object(objects: &Objects, name: &str) -> Result<Option<Bytes>, Problem> {
    objects.get(name).await.map_err(|fault| {
        tracing::error!(%fault, "the trail's bucket does not answer");
        Problem::Busy("the trail cannot be read right now; try again")
    })
}

async fn proof(
    request: HttpRequest,
    seq: web::Path<String>,
    shared: web::Data<Shared>,
    bucket: web::Data<Bucket>,
) -> HttpResponse {
    let answer = async {
        let caller = access::caller(&shared, &request).await?;
        shared
            .desk
            .read(|book| access::stands(book, caller))
            .await??;
        let seq = entry::number(&seq)?;
        let store = Arc::clone(&shared.store);
        let provable = web::block(move || provable(&store, seq, caller))
            .await
            .map_err(|fault| Problem::Internal(fault.to_string()))??;
        match provable {
            Provable::Now(bytes, published) => {
                let proof = prove(&bucket.0, seq, bytes, &published).await?;
                Ok(attached(seq, &proof))
            }
            Provable::Later => Ok(later(seq)),
        }
    };
    counted(&shared, PROOF, answer).await
}

enum Provable {
    Now(Vec<u8>, Published),
    /// Committed, and not yet under a published checkpoint.
    Later,
}

fn provable(store: &Store, seq: u64, caller: Caller) -> Result<Provable, Problem> {
    let mut db = store.connection().map_err(store_fault)?;
    let published = heads::published(&mut db).map_err(store_fault)?;
    let bytes = log::entry(&mut db, seq).map_err(store_fault)?;
    let bytes = bytes.ok_or_else(|| entry::unknown(seq))?;
    entry::may_read(
        &Entry::parse_own(&bytes)?,
        &bytes,
        Some(caller),
        caller.party,
    )?;
    Ok(match published.filter(|published| seq < published.size) {
        Some(published) => Provable::Now(bytes, published),
        None => Provable::Later,
    })
}

fn later(seq: u64) -> HttpResponse {
    let sentence =
        format!("entry {seq} is committed, and published within seconds; ask again then");
    let mut response = Problem::from(Refusal::new(Code::EntryUnknown, sentence)).error_response();
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn attached(seq: u64, proof: &Proof) -> HttpResponse {
    let disposition = format!("attachment; filename=\"{seq}.tlog-proof\"");
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, TEXT))
        .insert_header((CONTENT_DISPOSITION, disposition))
        .body(proof.to_string())
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
async fn prove(
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
