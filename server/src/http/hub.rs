//! Listings as dataset repositories of the Hugging Face hub: what huggingface_hub and datasets ask of it (facts: huggingface_hub 2.4,
//! datasets 5.2), with an API key of ours as the bearer token.
//!
//! What a version is made of is public, once an assessor has passed it; its bytes are not: who has no order hears `GatedRepo`. The
//! README is made of the card; every key reads it.

mod body;
mod readme;

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, LINK};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use serde_json::Value;
use std::sync::Arc;
use verifier::dataset::FileLine;
use verifier::id::DocumentDigest;
use verifier::refusal::{Code, Refusal};
use verifier::time::Timestamp;

use super::access::{self, Caller, Sees};
use super::download::{self, Wanted, parameter};
use super::problem::Problem;
use super::read::QUERY_BYTES_MAX;
use super::{Route, Shared, Verb, own};
use crate::address;
use crate::dataset::version;
use crate::store::dataset::file;
use crate::store::dataset::version::Version;
use body::{Branch, Depth, Repository};

const INFO: &str = "/api/datasets/{handle}/{name}";
const REVISION: &str = "/api/datasets/{handle}/{name}/revision/{rev}";
const TREE: &str = "/api/datasets/{handle}/{name}/tree/{rev}";
const FOLDER: &str = "/api/datasets/{handle}/{name}/tree/{rev}/{path:.*}";
const RESOLVE: &str = "/datasets/{handle}/{name}/resolve/{rev}/{path:.*}";
const ERROR: HeaderName = HeaderName::from_static("x-error-code");
const MESSAGE: HeaderName = HeaderName::from_static("x-error-message");
const COMMIT: HeaderName = HeaderName::from_static("x-repo-commit");

#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    own(Verb::Get, FOLDER, Sees::Public, |s, r, _| Box::pin(tree(s, r)), "A folder of a version, as the Hugging Face hub lists it"),
    own(Verb::Get, TREE, Sees::Public, |s, r, _| Box::pin(tree(s, r)), "The files of a version, as the Hugging Face hub lists them"),
    own(Verb::Get, REVISION, Sees::Public, |s, r, _| Box::pin(info(s, r)), "A version of a listing, as the Hugging Face hub describes it"),
    own(Verb::Get, INFO, Sees::Public, |s, r, _| Box::pin(info(s, r)), "A listing, as the Hugging Face hub describes it"),
    own(Verb::Get, RESOLVE, Sees::Party, |s, r, _| Box::pin(resolve(s, r)), "A file of a version that one has bought, by the Hugging Face hub's path"),
    own(Verb::Head, RESOLVE, Sees::Party, |s, r, _| Box::pin(resolve(s, r)), "Its length and digest, by the Hugging Face hub's path"),
];

/// What a hub's client tells its user: `X-Error-Code` with the sentence beside it.
#[derive(Debug, Clone, Copy)]
enum HubError {
    NoRepository,
    NoRevision,
    NoEntry,
    Gated,
}

impl HubError {
    const fn as_str(self) -> &'static str {
        match self {
            Self::NoRepository => "RepoNotFound",
            Self::NoRevision => "RevisionNotFound",
            Self::NoEntry => "EntryNotFound",
            Self::Gated => "GatedRepo",
        }
    }

    /// A problem with the hub's headers.
    fn with(self, problem: &Problem) -> HttpResponse {
        let mut response = problem.error_response();
        let headers = response.headers_mut();
        headers.insert(ERROR, HeaderValue::from_static(self.as_str()));
        if let Ok(message) = HeaderValue::from_str(problem.sentence()) {
            headers.insert(MESSAGE, message);
        }
        response
    }

    fn found(self, sentence: &str) -> HttpResponse {
        self.with(&Refusal::new(Code::ListingUnknown, sentence).into())
    }
}

/// A version under its hub's name.
struct Found {
    id: String,
    changed: Timestamp,
    version: Version,
    files: Vec<FileLine>,
}

/// Finds the version that a request names, or what a hub's client is told.
async fn found(
    shared: &Shared,
    request: &HttpRequest,
) -> Result<Result<Found, HttpResponse>, Problem> {
    let (handle, name) = (parameter(request, "handle"), parameter(request, "name"));
    let id = format!("{handle}/{name}");
    let asked = shared
        .data
        .query(move |db| version::versions(db, &handle, &name));
    let Some((listing, versions)) = asked.await? else {
        let sentence = "there is no such listing; /v1/datasets lists what is sold";
        return Ok(Err(HubError::NoRepository.found(sentence)));
    };
    let shown = shared
        .desk
        .read(|book| version::shown(book, &versions))
        .await?;
    if shown.is_empty() {
        let sentence = "no version of this listing has been assessed yet";
        return Ok(Err(HubError::NoRepository.found(sentence)));
    }
    let revision = match parameter(request, "rev") {
        rev if rev.is_empty() => "main".to_owned(),
        rev => rev,
    };
    let Some(version) = version::chosen(&shown, &revision).cloned() else {
        let sentence = "the listing has no such version; main is its newest";
        return Ok(Err(HubError::NoRevision.found(sentence)));
    };
    let (manifest, changed) = (version.manifest, listing.changed);
    let files = shared
        .data
        .query(move |db| file::all(db, &manifest.to_string()))
        .await?;
    Ok(Ok(Found {
        id,
        changed,
        version,
        files,
    }))
}

async fn info(shared: Arc<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let found = match found(&shared, &request).await? {
        Ok(found) => found,
        Err(response) => return Ok(response),
    };
    let mut paths: Vec<&str> = found.files.iter().map(|file| file.path.as_str()).collect();
    if readme::is_made(&found.files) {
        paths.push(readme::NAME);
        paths.sort_unstable();
    }
    Ok(HttpResponse::Ok().json(body::info(&Repository {
        id: &found.id,
        manifest: found.version.manifest,
        changed: found.changed,
        paths,
    })))
}

async fn tree(shared: Arc<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let asked = TreeAsked::parse(request.query_string())?;
    let found = match found(&shared, &request).await? {
        Ok(found) => found,
        Err(response) => return Ok(response),
    };
    let folder = parameter(&request, "path");
    let branch = Branch {
        folder: folder.trim_matches('/'),
        depth: asked.depth,
        after: asked.after.as_deref(),
    };
    let mut files = found.files;
    if branch.folder.is_empty() && readme::is_made(&files) {
        files.push(readme::of(&shared, found.version.manifest).await?.line);
    }
    let Some((items, next)) = body::tree(&files, &branch) else {
        let mut response = HubError::NoEntry.found("the version has no such folder");
        name_commit(&mut response, found.version.manifest);
        return Ok(response);
    };
    let mut response = HttpResponse::Ok();
    if let Some(next) = next {
        let recursive = asked.depth == Depth::All;
        let (base, path) = (download::base(&shared, &request), request.path());
        let next = address::name(&next);
        let link = format!(
            "<{base}{}?recursive={recursive}&cursor={next}>; rel=\"next\"",
            address::path(path)
        );
        response.insert_header((LINK, link));
    }
    Ok(response.json(Value::from(items)))
}

/// The query of a tree.
struct TreeAsked {
    depth: Depth,
    after: Option<String>,
}

impl TreeAsked {
    fn parse(query: &str) -> Result<Self, Refusal> {
        let malformed = || Refusal::new(Code::RequestMalformed, "the query is not name=value&…");
        if query.len() > QUERY_BYTES_MAX.saturating_mul(4) {
            return Err(malformed());
        }
        let pairs =
            web::Query::<Vec<(String, String)>>::from_query(query).map_err(|_| malformed())?;
        let mut asked = Self {
            depth: Depth::Folder,
            after: None,
        };
        // What a hub's client asks besides (`expand`, `limit`) is not needed to answer it.
        for (name, value) in pairs.into_inner() {
            match name.as_str() {
                "recursive" if value.eq_ignore_ascii_case("true") || value == "1" => {
                    asked.depth = Depth::All;
                }
                "cursor" => asked.after = Some(value),
                _ => {}
            }
        }
        Ok(asked)
    }
}

/// `GET|HEAD /datasets/{handle}/{name}/resolve/{rev}/{path}`
async fn resolve(shared: Arc<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = match access::caller(&shared, &request).await {
        Ok(caller) => caller,
        Err(problem) => return Ok(HubError::Gated.with(&problem)),
    };
    let found = match found(&shared, &request).await? {
        Ok(found) => found,
        Err(response) => return Ok(without_body(&request, response)),
    };
    let manifest = found.version.manifest;
    let mut response = file(&shared, &request, caller, &found).await?;
    name_commit(&mut response, manifest);
    Ok(without_body(&request, response))
}

/// One file of a version, or why not.
async fn file(
    shared: &Shared,
    request: &HttpRequest,
    caller: Caller,
    found: &Found,
) -> Result<HttpResponse, Problem> {
    let (manifest, path) = (found.version.manifest, parameter(request, "path"));
    if path == readme::NAME && readme::is_made(&found.files) {
        let readme = readme::of(shared, manifest).await?;
        return Ok(download::send_made(request, &readme.line, readme.text));
    }
    if found.files.iter().all(|file| file.path != path) {
        return Ok(HubError::NoEntry.found("the version has no such file"));
    }
    match download::order_of(shared, caller, manifest).await {
        Ok(order) => {
            let wanted = Wanted {
                manifest,
                path,
                order,
            };
            let sent = download::send(shared, request, &wanted).await;
            Ok(sent.unwrap_or_else(|problem| problem.error_response()))
        }
        Err(Problem::Refused(refusal)) => Ok(HubError::Gated.with(&refusal.into())),
        Err(problem) => Err(problem),
    }
}

fn name_commit(response: &mut HttpResponse, manifest: DocumentDigest) {
    if let Ok(commit) = HeaderValue::from_str(&version::commit(manifest)) {
        response.headers_mut().insert(COMMIT, commit);
    }
}

/// An error of a HEAD has its headers alone.
fn without_body(request: &HttpRequest, mut response: HttpResponse) -> HttpResponse {
    if request.method() == Method::HEAD && !response.status().is_success() {
        response.headers_mut().remove(CONTENT_LENGTH);
        return response.set_body(actix_web::body::BoxBody::new(()));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_of_a_tree_takes_what_a_hub_s_client_sends() {
        let asked = TreeAsked::parse("recursive=True&expand=False&cursor=a%2Fb").unwrap();
        assert_eq!(
            (asked.depth, asked.after.as_deref()),
            (Depth::All, Some("a/b"))
        );
        assert_eq!(
            TreeAsked::parse("recursive=false").unwrap().depth,
            Depth::Folder
        );
    }
}
