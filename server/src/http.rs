//! All routes in one table; each handler is one function beside it (DESIGN §7).
//!
//! HTTP parses, asks and writes: it decides nothing and writes no row of the log. Reads come from the book in memory, as fresh
//! as the last commit; lists over all of it from the projections behind it. Every answer says `as_of` which entry.

mod access;
mod case;
mod catalogue;
mod command;
mod dcat;
mod document;
mod download;
mod entry;
mod exchange;
mod find;
mod fund;
mod health;
mod hub;
mod keyring;
mod list;
mod listing;
mod me;
mod openapi;
mod order;
mod pack;
mod party;
mod problem;
mod programme;
mod quote;
mod read;
mod receipt;
mod reply;
mod review;
mod sample;
mod supply;
mod trail;
mod upload;
mod voucher;

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::Compress;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::watch;
use verifier::book::command::Kind;
use verifier::refusal::{Code, Refusal};
use verifier::time::Timestamp;

pub use access::{Caller, Sees, key_row};
pub use command::{COMMAND_BYTES_MAX, InFlight, req};
pub use list::List;
pub use problem::{PROBLEM_JSON, Problem};
pub use receipt::{BULK_BYTES_MAX, BULK_LINES_MAX};
pub use reply::{HEADER as REPLY_HEADER, Replies};
pub use trail::Part;

use crate::clock::Clock;
use crate::config::Config;
use crate::dataset::Parts;
use crate::dataset::preview::Previews;
use crate::metrics::Metrics;
use crate::objects::Objects;
use crate::sequencer::Desk;
use crate::store::Store;
use crate::witness::Standing;
use read::Read;
use reply::Asked;

/// What every handler needs: one for all threads.
#[derive(Debug)]
pub struct Shared {
    /// The settings.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// For API keys and stored entries.
    pub store: Arc<Store>,
    /// Who decides.
    pub desk: Desk,
    /// The trail's files.
    pub trail: Objects,
    /// How many entries the published checkpoint covers.
    pub published: watch::Receiver<u64>,
    /// How the witnesses stand.
    pub witnesses: watch::Receiver<Vec<Standing>>,
    /// How many entries the rows behind lists hold.
    pub projected: watch::Receiver<u64>,
    /// Keys that were used lately.
    pub access: access::Access,
    /// Keys that signed lately.
    keyring: keyring::Keyring,
    /// Commands being worked on.
    pub in_flight: InFlight,
    /// What signs answers to commands, and keeps refusals.
    pub replies: Replies,
    /// What is counted.
    pub metrics: Metrics,
    /// What the work on datasets needs.
    pub data: Parts,
    /// Rows that vendors show.
    previews: Previews,
    /// How many requests are being answered.
    pub under_way: watch::Sender<usize>,
}

/// What follows the log, how far it has come, and what signs for it.
#[derive(Debug)]
pub struct Followed {
    /// What signs answers to commands, and keeps refusals.
    pub replies: Replies,
    /// The trail's files.
    pub trail: Objects,
    /// How many entries the published checkpoint covers.
    pub published: watch::Receiver<u64>,
    /// How the witnesses stand.
    pub witnesses: watch::Receiver<Vec<Standing>>,
    /// How many entries the rows behind lists hold.
    pub projected: watch::Receiver<u64>,
    /// What the work on datasets needs.
    pub data: Parts,
}

impl Shared {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        config: Config,
        clock: Clock,
        store: Arc<Store>,
        desk: Desk,
        followed: Followed,
    ) -> Self {
        Self {
            config,
            clock,
            store,
            desk,
            trail: followed.trail,
            published: followed.published,
            witnesses: followed.witnesses,
            projected: followed.projected,
            access: access::Access::default(),
            keyring: keyring::Keyring::default(),
            in_flight: InFlight::default(),
            replies: followed.replies,
            metrics: Metrics::default(),
            data: followed.data,
            previews: Previews::default(),
            under_way: watch::Sender::new(0),
        }
    }

    fn now(&self) -> Result<Timestamp, Problem> {
        self.clock
            .now()
            .map_err(|fault| Problem::Internal(fault.to_string()))
    }
}

/// What answers a route that is neither a command nor a read of the book: `|shared, request, payload| Box::pin(…)`.
pub type Handler = fn(Arc<Shared>, HttpRequest, web::Payload) -> Answering;
/// An answer in the making.
pub type Answering = Pin<Box<dyn Future<Output = Result<HttpResponse, Problem>>>>;

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The method.
    pub method: Verb,
    /// The path; `{…}` is a parameter.
    pub path: &'static str,
    /// What it is for, in a few words.
    pub summary: &'static str,
    /// What answers it.
    pub does: Does,
}

/// The methods: two for what asks and what only reads, the others for files on their way (tus, HTTP downloads).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Only reads.
    Get,
    /// Asks for something.
    Post,
    /// Reads the head alone.
    Head,
    /// Continues an upload.
    Patch,
    /// Ends an upload.
    Delete,
    /// Asks what can be asked.
    Options,
}

/// What answers a route.
#[derive(Debug, Clone, Copy)]
pub enum Does {
    /// The body is the payload of this kind of command.
    Command(Kind),
    /// The body is a signed statement of this kind of command; receipts also in bulk.
    Signed(Kind),
    /// Makes an API key.
    MakeKey,
    /// Removes an API key.
    RemoveKey,
    /// Reads the book.
    Read(Sees, Read),
    /// Lists or searches the projections.
    List(List),
    /// Another function of this floor, for everybody or for whoever has a key.
    Own(Sees, Handler),
    /// One entry of the trail, from the log.
    Entry,
    /// The trail's own files, and proofs from them.
    Trail(Part),
    /// The proof that a refusal is under a seal.
    RefusalProof,
    /// A programme with its file, from the log.
    Programme,
    /// Quotes an order.
    Quote,
    /// Says whether this server serves.
    Health,
    /// Counters for Prometheus.
    Metrics,
    /// This table as OpenAPI 3.1.
    OpenApi,
}

impl Route {
    /// The path with its parameters as OpenAPI names them: what may stand in one is the handler's to check.
    #[must_use]
    pub fn template(&self) -> String {
        self.path.replace(":.*}", "}")
    }

    /// Whether it is answered without a key.
    #[must_use]
    pub const fn is_public(&self) -> bool {
        match self.does {
            Does::Trail(part) => part.is_public(),
            Does::Read(Sees::Public, _)
            | Does::Programme
            | Does::Health
            | Does::Metrics
            | Does::Own(Sees::Public, _)
            | Does::OpenApi => true,
            Does::Command(_)
            | Does::Signed(_)
            | Does::Quote
            | Does::MakeKey
            | Does::RemoveKey
            | Does::Read(Sees::Party, _)
            | Does::Own(Sees::Party, _)
            | Does::List(_)
            | Does::RefusalProof
            | Does::Entry => false,
        }
    }
}

const fn asks(path: &'static str, kind: Kind, summary: &'static str) -> Route {
    Route {
        method: Verb::Post,
        path,
        summary,
        does: Does::Command(kind),
    }
}

const fn reads(path: &'static str, sees: Sees, read: Read, summary: &'static str) -> Route {
    Route {
        method: Verb::Get,
        path,
        summary,
        does: Does::Read(sees, read),
    }
}

/// A route of a handler of its own.
const fn own(
    method: Verb,
    path: &'static str,
    sees: Sees,
    handler: Handler,
    summary: &'static str,
) -> Route {
    Route {
        method,
        path,
        summary,
        does: Does::Own(sees, handler),
    }
}

/// The tables of all packages; within one, a path with more parameters stands before the shorter one that would match it too.
const TABLES: &[&[Route]] = &[
    CORE,
    listing::ROUTES,
    find::ROUTES,
    dcat::ROUTES,
    document::ROUTES,
    review::ROUTES,
    upload::ROUTES,
    download::ROUTES,
    hub::ROUTES,
    sample::ROUTES,
    pack::ROUTES,
];

/// Every route of the exchange: the server answers these, `/openapi.json` shows these, and nothing else exists.
pub const ROUTES: &[Route] = &joined::<{ count(TABLES) }>(TABLES);

#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "runs in the compiler alone: a slip does not compile"
)]
const fn count(tables: &[&[Route]]) -> usize {
    let (mut count, mut i) = (0, 0);
    while i < tables.len() {
        count += tables[i].len();
        i += 1;
    }
    count
}

#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "runs in the compiler alone: a slip does not compile"
)]
const fn joined<const N: usize>(tables: &[&[Route]]) -> [Route; N] {
    let mut all = [CORE[0]; N];
    let (mut at, mut i) = (0, 0);
    while i < tables.len() {
        let mut j = 0;
        while j < tables[i].len() {
            all[at] = tables[i][j];
            at += 1;
            j += 1;
        }
        i += 1;
    }
    all
}

/// The routes of money, programmes and the trail.
#[rustfmt::skip]
const CORE: &[Route] = &[
    asks("/v1/parties", Kind::AdmitParty, "Admit a party"),
    asks("/v1/parties/update", Kind::UpdateParty, "Change a party's roles or name"),
    asks("/v1/parties/suspend", Kind::SuspendParty, "Suspend a party or lift the suspension"),
    asks("/v1/actors", Kind::RegisterActor, "Register a credential of a party"),
    asks("/v1/actors/remove", Kind::RemoveActor, "Remove a credential"),
    asks("/v1/keys", Kind::RegisterKey, "Register a signing key"),
    asks("/v1/keys/revoke", Kind::RevokeKey, "Revoke a signing key"),
    asks("/v1/facts", Kind::RecordFact, "Record a fact"),
    asks("/v1/facts/withdraw", Kind::WithdrawFact, "Withdraw a fact"),
    asks("/v1/funds", Kind::OpenFund, "Open a fund"),
    asks("/v1/funds/appropriate", Kind::AppropriateFund, "Put money into a fund"),
    asks("/v1/funds/lapse", Kind::LapseFund, "Take free money back"),
    asks("/v1/orders", Kind::PlaceOrder, "Place an order"),
    asks("/v1/orders/amend", Kind::AmendOrder, "Add segments or money to an order"),
    asks("/v1/orders/cancel", Kind::CancelOrder, "Cancel an order"),
    asks("/v1/orders/close", Kind::CloseOrder, "Close an order that is done"),
    asks("/v1/orders/expire", Kind::ExpireOrder, "Close an order whose time is over"),
    Route { method: Verb::Post, path: "/v1/receipts", summary: "Enter signed usage and delivery receipts", does: Does::Signed(Kind::AcceptReceipt) },
    Route { method: Verb::Post, path: "/v1/acceptances", summary: "Enter a buyer's signed acceptance or defect", does: Does::Signed(Kind::GiveAcceptance) },
    asks("/v1/acceptances/deem", Kind::DeemAcceptance, "Accept by silence, after the programme's days"),
    asks("/v1/evidence", Kind::RecordEvidence, "State a contract, invoice, payment or other document"),
    asks("/v1/cases", Kind::OpenCase, "Open a case, e.g. an application"),
    asks("/v1/cases/decide", Kind::DecideCase, "Decide a case"),
    asks("/v1/cases/withdraw", Kind::WithdrawCase, "Withdraw a case"),
    asks("/v1/statements", Kind::CloseStatement, "Close a party's settlement period"),
    asks("/v1/payouts", Kind::InstructPayout, "Instruct the bank"),
    asks("/v1/payouts/execute", Kind::ExecutePayout, "Say that the bank has paid"),
    asks("/v1/payouts/return", Kind::ReturnPayout, "Say that the bank has sent it back"),
    asks("/v1/clawbacks", Kind::MakeClawback, "Take back what was paid without right"),
    asks("/v1/recoveries", Kind::ReceiveRecovery, "Enter cash that came back"),
    asks("/v1/writeoffs", Kind::WriteOff, "Give up a debt"),
    asks("/v1/seals", Kind::SealBook, "State how many entries each scope has"),
    asks("/v1/log-keys", Kind::RotateLogKey, "Put a new key of the log in the old one's place"),
    Route { method: Verb::Post, path: "/v1/quotes", summary: "Quote an order; nothing is written", does: Does::Quote },
    Route { method: Verb::Post, path: "/v1/api-keys", summary: "Make an API key", does: Does::MakeKey },
    Route { method: Verb::Post, path: "/v1/api-keys/remove", summary: "Remove an API key", does: Does::RemoveKey },
    asks("/v1/programmes", Kind::EnactProgramme, "Enact a programme file"),
    asks("/v1/programmes/amend", Kind::AmendProgramme, "Replace an enacted programme file"),
    asks("/v1/programmes/close", Kind::CloseProgramme, "Close a programme"),
    asks("/v1/lists", Kind::PublishProviderList, "Publish a part of a provider list"),
    asks("/v1/vouchers", Kind::IssueVoucher, "Issue a voucher without an application"),
    asks("/v1/vouchers/expire", Kind::ExpireVoucher, "Move the money of a voucher whose end has passed"),
    asks("/v1/vouchers/revoke", Kind::RevokeVoucher, "Take back what a voucher still holds"),
    asks("/v1/sites", Kind::RegisterSite, "Register hardware in one place"),
    asks("/v1/sites/update", Kind::UpdateSite, "Change a site's hardware"),
    asks("/v1/capacity-shares", Kind::ShareCapacity, "Share a site's capacity with this exchange"),
    asks("/v1/offers", Kind::PublishOffer, "Publish an offer of GPU time"),
    asks("/v1/offers/withdraw", Kind::WithdrawOffer, "Withdraw an offer"),
    asks("/v1/datasets", Kind::PublishDataset, "Publish a version of a dataset"),
    asks("/v1/datasets/assess", Kind::AssessDataset, "Assess a version of a dataset"),
    asks("/v1/datasets/price", Kind::PriceDataset, "Set another price of a version"),
    asks("/v1/datasets/withdraw", Kind::WithdrawDataset, "Withdraw a listing"),
    asks("/v1/datasets/recall", Kind::RecallDataset, "Recall a version"),
    reads("/v1/exchange", Sees::Public, exchange::show, "The exchange and its trail"),
    reads("/v1/parties/{id}", Sees::Party, party::show, "A party"),
    reads("/v1/funds", Sees::Public, fund::list, "Every fund with its balances by class"),
    reads("/v1/funds/{id}/trial-balance", Sees::Party, fund::trial_balance, "Every account of a fund"),
    reads("/v1/programmes", Sees::Public, programme::list, "Every enacted programme"),
    reads("/v1/catalogue", Sees::Public, catalogue::list, "Every programme file that ships, enacted or not"),
    Route { method: Verb::Get, path: "/v1/programmes/{id}", summary: "A programme's file and what the office set", does: Does::Programme },
    reads("/v1/offers", Sees::Public, supply::offers, "Open offers of GPU time"),
    reads("/v1/datasets", Sees::Public, supply::datasets, "Listed datasets"),
    reads("/v1/sites/{id}", Sees::Public, supply::site, "A site and its capacity"),
    reads("/v1/vouchers/{id}", Sees::Party, voucher::show, "A voucher"),
    reads("/v1/orders/{id}", Sees::Party, order::show, "An order and what it has earned"),
    reads("/v1/cases/{id}", Sees::Party, case::show, "A case"),
    reads("/v1/payouts/{id}", Sees::Party, case::payout, "A payout batch"),
    reads("/v1/me/vouchers", Sees::Party, voucher::mine, "My vouchers"),
    reads("/v1/me/orders", Sees::Party, order::mine, "My orders"),
    reads("/v1/me/balances", Sees::Party, me::balances, "My accounts"),
    reads("/v1/me/owed", Sees::Party, me::owed, "What I am owed and when"),
    Route { method: Verb::Get, path: "/v1/orders", summary: "Orders: mine, or all for whoever sees all", does: Does::List(List::Orders) },
    Route { method: Verb::Get, path: "/v1/vouchers", summary: "Vouchers: mine, or all for whoever sees all", does: Does::List(List::Vouchers) },
    Route { method: Verb::Get, path: "/v1/cases", summary: "Cases: mine, or all for whoever sees all", does: Does::List(List::Cases) },
    Route { method: Verb::Get, path: "/v1/entries", summary: "Search the trail by receipt, order, voucher, case, document, party or type", does: Does::List(List::Entries) },
    Route { method: Verb::Get, path: "/v1/entries/{seq}", summary: "An entry of the trail", does: Does::Entry },
    Route { method: Verb::Get, path: "/v1/entries/{seq}/proof", summary: "The proof that an entry is in the trail (C2SP tlog-proof)", does: Does::Trail(Part::Proof) },
    Route { method: Verb::Get, path: "/v1/refusals/{hash}/proof", summary: "The proof that a refusal is under a seal", does: Does::RefusalProof },
    Route { method: Verb::Get, path: "/checkpoint", summary: "The newest signed checkpoint (C2SP tlog-checkpoint)", does: Does::Trail(Part::Checkpoint) },
    Route { method: Verb::Get, path: "/history/{place:.*}", summary: "Checkpoints that witnesses have cosigned, and how many", does: Does::Trail(Part::History) },
    Route { method: Verb::Get, path: "/tile/entries/{place:.*}", summary: "Entries of the trail, for regulators (C2SP tlog-tiles)", does: Does::Trail(Part::Bundle) },
    Route { method: Verb::Get, path: "/redacted/{place:.*}", summary: "The same for regulators of one scope; what is withheld has length 0", does: Does::Trail(Part::Redacted) },
    Route { method: Verb::Get, path: "/tile/{place:.*}", summary: "Hashes of the trail (C2SP tlog-tiles)", does: Does::Trail(Part::Tile) },
    Route { method: Verb::Get, path: "/health", summary: "Whether this server serves", does: Does::Health },
    Route { method: Verb::Get, path: "/metrics", summary: "Counters", does: Does::Metrics },
    Route { method: Verb::Get, path: "/openapi.json", summary: "This interface", does: Does::OpenApi },
];

/// Puts the table into the server.
pub fn configure(app: &mut web::ServiceConfig) {
    // A fixed path is tried before one with a parameter that would match it too.
    let (open, fixed): (Vec<&Route>, Vec<&Route>) =
        ROUTES.iter().partition(|route| route.path.contains('{'));
    let mut paths: Vec<&'static str> = Vec::new();
    for route in fixed.into_iter().chain(open) {
        if !paths.contains(&route.path) {
            paths.push(route.path);
        }
    }
    for path in paths {
        let resource = resource(path);
        if path.starts_with("/tile/entries/") || path.starts_with("/redacted/") {
            // Compressed for who accepts it (C2SP tlog-tiles). Hashes are random: their tiles are not.
            app.service(resource.wrap(Compress::default()));
        } else {
            app.service(resource);
        }
    }
    app.default_service(web::to(no_such_path));
}

fn resource(path: &'static str) -> actix_web::Resource {
    let mut resource = web::resource(path).default_service(web::to(no_such_method));
    for route in ROUTES.iter().filter(|route| route.path == path) {
        let verb = match route.method {
            Verb::Get => web::get(),
            Verb::Post => web::post(),
            Verb::Head => web::head(),
            Verb::Patch => web::patch(),
            Verb::Delete => web::delete(),
            Verb::Options => web::method(Method::OPTIONS),
        };
        let handler = move |request, payload, shared: web::Data<Shared>| async move {
            answer(route, shared.into_inner(), request, payload).await
        };
        resource = resource.route(verb.to(handler));
    }
    resource
}

async fn answer(
    route: &'static Route,
    shared: Arc<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let of = Arc::clone(&shared);
    let _under_way = UnderWay::new(&of.under_way);
    let answered = dispatch(route, shared, request, payload).await;
    let mut response = answered.unwrap_or_else(|problem| problem.error_response());
    let status = response.status().as_u16();
    of.metrics.request(route.path, status);
    // The route, never the path or the head: ids and keys stay out of the log.
    tracing::debug!(
        method = route.method.as_str(),
        route = route.path,
        status,
        "answered"
    );
    let headers = response.headers_mut();
    // What never changes says so itself.
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Counts a request until it is answered or its caller hangs up.
struct UnderWay<'a>(&'a watch::Sender<usize>);

impl<'a> UnderWay<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count = count.saturating_add(1));
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

async fn dispatch(
    route: &'static Route,
    shared: Arc<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    match route.does {
        Does::Command(kind) => {
            let (mut asked, of) = (Asked::default(), Arc::clone(&shared));
            let answered = command::answer(of, kind, request, payload, &mut asked).await;
            Ok(reply::signed(&shared, asked, answered).await)
        }
        Does::Signed(kind) => {
            let (mut asked, of) = (Asked::default(), Arc::clone(&shared));
            let answered = receipt::answer(of, kind, request, payload, &mut asked).await;
            Ok(reply::signed(&shared, asked, answered).await)
        }
        Does::MakeKey => {
            let (caller, body) = keyed(&shared, &request, payload).await?;
            let made = access::create_key(shared, caller, &body).await?;
            Ok(HttpResponse::Created().json(made))
        }
        Does::RemoveKey => {
            let (caller, body) = keyed(&shared, &request, payload).await?;
            Ok(HttpResponse::Ok().json(access::remove_key(shared, caller, &body).await?))
        }
        Does::Read(sees, read) => read::answer(shared, sees, read, request).await,
        Does::List(list) => list::answer(shared, list, request).await,
        Does::Quote => {
            let (caller, body) = keyed(&shared, &request, payload).await?;
            quote::answer(shared, caller, &body).await
        }
        Does::Own(_, handler) => handler(shared, request, payload).await,
        Does::Programme => programme::show(shared, request).await,
        Does::Entry => entry::answer(shared, request).await,
        Does::RefusalProof => reply::proof(shared, request).await,
        Does::Trail(part) => trail::answer(shared, part, request).await,
        Does::Health => health::health(&shared).await,
        Does::Metrics => health::metrics(&shared).await,
        Does::OpenApi => Ok(HttpResponse::Ok().json(openapi::document())),
    }
}

async fn keyed(
    shared: &Arc<Shared>,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<(Caller, web::Bytes), Problem> {
    let caller = access::caller(shared, request).await?;
    command::require_media_type(request, "application/json")?;
    Ok((
        caller,
        command::read_body(payload, COMMAND_BYTES_MAX).await?,
    ))
}

/// As [`keyed`], for a caller who may ask for commands of this kind.
async fn keyed_for(
    kind: Kind,
    shared: &Arc<Shared>,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<(Caller, web::Bytes), Problem> {
    let (caller, body) = keyed(shared, request, payload).await?;
    access::permit(caller, kind)?;
    shared
        .desk
        .read(|book| access::stands(book, caller))
        .await??;
    Ok((caller, body))
}

async fn no_such_path(request: HttpRequest) -> HttpResponse {
    let sentence = format!(
        "nothing is at {}; /openapi.json lists every path",
        shown(request.path())
    );
    Problem::from(Refusal::new(Code::RequestPath, sentence)).error_response()
}

async fn no_such_method(request: HttpRequest) -> HttpResponse {
    let sentence = format!(
        "{} is not answered here; /openapi.json lists every method",
        request.method()
    );
    let mut response = Problem::from(Refusal::new(Code::RequestMethod, sentence)).error_response();
    let path = request.match_pattern().unwrap_or_default();
    let allowed = ROUTES
        .iter()
        .filter(|route| route.path == path)
        .map(|route| route.method.as_str());
    let allowed = allowed.collect::<Vec<_>>().join(", ");
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        response
            .headers_mut()
            .insert(actix_web::http::header::ALLOW, allowed);
    }
    response
}

/// A path in a sentence: not longer than one.
fn shown(path: &str) -> String {
    path.chars().take(80).collect()
}

impl Verb {
    /// The method's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Head => "HEAD",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_of_command_has_one_path_but_entry_0_and_what_time_alone_asks() {
        let routed: Vec<Kind> = ROUTES
            .iter()
            .filter_map(|route| {
                if let Does::Command(kind) | Does::Signed(kind) = route.does {
                    Some(kind)
                } else {
                    None
                }
            })
            .collect();
        let distinct: BTreeSet<_> = routed.iter().collect();
        assert_eq!(distinct.len(), routed.len());
        let without: Vec<_> = Kind::ALL
            .iter()
            .filter(|kind| !routed.contains(kind))
            .map(|kind| kind.as_str())
            .collect();
        let by_hand = ["exchange.opened", "refusals.sealed", "trail.continued"];
        assert_eq!(without, by_hand);
    }

    #[test]
    fn no_two_routes_are_the_same() {
        let all: BTreeSet<_> = ROUTES
            .iter()
            .map(|route| (route.method.as_str(), route.path))
            .collect();
        assert_eq!(all.len(), ROUTES.len());
    }
}
