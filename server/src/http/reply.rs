//! Signs every answer to a command: the header `Quan-Reply` (DESIGN §6, TRAIL E4).
//!
//! One signature a response, over its body's hash and the request's. A refusal to a known caller goes out when it is durable, so
//! that it can be put under a seal. `GET /v1/refusals/{hash}/proof` shows that it was.

use actix_web::body::MessageBody as _;
use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use std::fmt;
use std::sync::Arc;
use verifier::audit::promise::{RefusalProof, refusal_leaf};
use verifier::book::Book;
use verifier::book::access::Sight;
use verifier::id::{PartyId, Sha256Hash};
use verifier::receipt::{Answered, Reply, sign_by};
use verifier::refusal::{Code, Refusal};
use verifier::signature::Kid;
use verifier::time::Timestamp;
use verifier::trail::Hash;

use super::Shared;
use super::access::{self, Caller, store_fault};
use super::problem::Problem;
use crate::keys::Keys;
use crate::refusals::{Allowance, Counts, Refusals, counts_text};
use crate::sequencer::Committed;
use crate::store::refusals::{self as rows, Refused};
use crate::store::{Store, StoreFault};

/// The header that holds a reply.
pub const HEADER: HeaderName = HeaderName::from_static("quan-reply");
/// Seconds after which a refusal that is not sealed yet may be asked for again.
const SEALED_IN: &str = "600";

/// What signs and keeps replies.
pub struct Replies {
    keys: Arc<Keys>,
    kid: Kid,
    /// Where refusals are kept.
    pub refusals: Refusals,
    /// How many of one party's.
    allowance: Allowance,
}

impl fmt::Debug for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replies({})", self.kid)
    }
}

impl Replies {
    /// Signs with the reply key.
    #[must_use]
    pub fn new(keys: Arc<Keys>, refusals: Refusals, allowance: Allowance) -> Self {
        Self {
            kid: keys.reply.public().kid(),
            keys,
            refusals,
            allowance,
        }
    }
}

/// What is known of a command by the time it is answered: each step on its way adds to it.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Who asks.
    pub(super) caller: Option<Caller>,
    /// The name of the request.
    pub(super) req: Option<Sha256Hash>,
    /// What became of it, where it was not refused as a whole.
    pub(super) done: Option<Done>,
}

/// What became of a command.
#[derive(Debug)]
pub(super) enum Done {
    /// It is this entry, now or since before.
    Entry {
        /// Whether it was before.
        known: bool,
        /// The entry.
        seq: u64,
        /// Its leaf.
        leaf_hash: Sha256Hash,
    },
    /// Many receipts: how many were refused, by code.
    Lines(Counts),
}

impl Done {
    pub(super) const fn entry(known: bool, committed: &Committed) -> Self {
        Self::Entry {
            known,
            seq: committed.entry.seq,
            leaf_hash: committed.leaf_hash,
        }
    }
}

/// Signs the answer to a command. Where a refusal cannot be kept, or not one more of this party's, the caller learns that instead:
/// it may ask again.
pub(super) async fn signed(
    shared: &Shared,
    asked: Asked,
    answered: Result<HttpResponse, Problem>,
) -> HttpResponse {
    let (reply, refused) = said(&asked, &answered);
    let response = answered.unwrap_or_else(|problem| problem.error_response());
    let (response, compact) = sign(shared, reply, response);
    let (Some(compact), Some(caller), false) = (compact, asked.caller, refused.is_empty()) else {
        return response;
    };
    let instead = match shared.replies.allowance.take(caller.party, compact.at) {
        Ok(()) if keep(shared, caller, compact, &refused).await => return response,
        Ok(()) => Problem::Busy("a refusal cannot be kept right now; send the request again"),
        Err(seconds) => Problem::Often(seconds.unsigned_abs()),
    };
    let response = instead.error_response();
    let (reply, _) = said(&asked, &Err(instead));
    sign(shared, reply, response).0
}

/// The reply, but for the exchange's part; and what is refused by it.
fn said(asked: &Asked, answered: &Result<HttpResponse, Problem>) -> (Reply, Counts) {
    let mut reply = Reply {
        iss: String::new(),
        sub: asked.caller.map(|caller| caller.party),
        iat: Timestamp::EPOCH,
        req: asked.req,
        answer: Sha256Hash::of(b""),
        outcome: Answered::Failed,
        code: None,
        seq: None,
        leaf_hash: None,
    };
    let mut refused = Counts::new();
    match (answered, &asked.done) {
        (Err(problem), _) => {
            reply.code = Some(problem.code().to_owned());
            if let Problem::Refused(refusal) | Problem::ReceiptRefused(refusal, _) = problem {
                reply.outcome = Answered::Refused;
                refused.insert(refusal.code, 1);
            }
        }
        (
            Ok(_),
            Some(Done::Entry {
                known,
                seq,
                leaf_hash,
            }),
        ) => {
            reply.outcome = if *known {
                Answered::Known
            } else {
                Answered::Accepted
            };
            reply.seq = Some(*seq);
            reply.leaf_hash = Some(*leaf_hash);
        }
        (Ok(_), Some(Done::Lines(counts))) => {
            reply.outcome = Answered::Lines;
            refused.clone_from(counts);
        }
        // An answer that no command gives: nothing is promised by it.
        (Ok(_), None) => reply.code = Some("internal".to_owned()),
    }
    (reply, refused)
}

/// A reply that was signed.
struct Compact {
    at: Timestamp,
    jws: String,
}

/// Puts the signed reply into the header. Without a clock nothing is signed.
fn sign(
    shared: &Shared,
    mut reply: Reply,
    response: HttpResponse,
) -> (HttpResponse, Option<Compact>) {
    let Ok(at) = shared.now() else {
        return (response, None);
    };
    let (head, body) = response.into_parts();
    let body = match body.try_into_bytes() {
        Ok(body) => body,
        // A stream: no command is answered by one.
        Err(body) => return (head.set_body(body), None),
    };
    reply.iss.clone_from(&shared.config.origin);
    reply.iat = at;
    reply.answer = Sha256Hash::of(&body);
    let replies = &shared.replies;
    let jws = sign_by(&reply, replies.kid, |message| {
        replies.keys.reply.sign(message)
    });
    let mut response = head.set_body(body).map_into_boxed_body();
    let Ok(value) = HeaderValue::from_str(&jws) else {
        return (response, None);
    };
    response.headers_mut().insert(HEADER, value);
    (response, Some(Compact { at, jws }))
}

async fn keep(shared: &Shared, caller: Caller, compact: Compact, refused: &Counts) -> bool {
    let row = Refused {
        hash: *Sha256Hash::of(compact.jws.as_bytes()).bytes(),
        leaf: *refusal_leaf(&compact.jws).as_bytes(),
        party: caller.party.to_string(),
        at: compact.at,
        counts: counts_text(refused),
        reply: compact.jws,
    };
    shared.replies.refusals.keep(row).await
}

/// `GET /v1/refusals/{hash}/proof`: for whoever was refused.
/// # Errors
/// `access.unknown` `access.party` `access.scope` `request.malformed` `refusal.unknown`
pub(super) async fn proof(
    shared: Arc<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let caller = access::caller(&shared, &request).await?;
    let hash = Sha256Hash::parse(request.match_info().get("hash").unwrap_or_default())
        .map_err(Refusal::from)?;
    let look = |book: &Book| {
        access::stands(book, caller)?;
        // What was refused reaches no scope: a regulator that is limited sees none of it.
        let unseen = match access::sight(book, caller) {
            Sight::All => None,
            sight @ (Sight::Scopes(_) | Sight::Own) => Some(access::unseen(sight)),
        };
        Ok::<_, Refusal>((book.seals.clone(), unseen))
    };
    let (seals, unseen) = shared.desk.read(look).await??;
    let unknown = || {
        let sentence = "no refusal of this hash is kept; it is the SHA-256 of the whole Quan-Reply";
        Refusal::new(Code::RefusalUnknown, sentence)
    };
    let store = Arc::clone(&shared.store);
    let found = web::block(move || find(&store, hash))
        .await
        .map_err(|fault| Problem::Internal(fault.to_string()))?
        .map_err(store_fault)?
        .ok_or_else(unknown)?;
    if let Some(unseen) = unseen.filter(|_| !found.party.contains(&caller.party)) {
        return Err(unseen.into());
    }
    let seal = found.seal.and_then(|number| {
        let number = usize::try_from(number).ok()?;
        seals.get(number)
    });
    let Some(seal) = seal else {
        return Ok(unsealed());
    };
    let leaves: Vec<Hash> = found
        .leaves
        .iter()
        .map(|(_, leaf)| Hash::new(*leaf))
        .collect();
    let index = found.leaves.iter().position(|(n, _)| *n == found.n);
    let index = index.and_then(|index| u64::try_from(index).ok());
    let index = index.ok_or_else(|| Problem::Internal("a refusal is not under its seal".into()))?;
    let proof = RefusalProof::make(seal.seq, index, &leaves)
        .map_err(|flaw| Problem::Internal(flaw.to_string()))?;
    Ok(HttpResponse::Ok().json(proof))
}

/// A refusal, with all that is under the same seal.
struct Found {
    party: Vec<PartyId>,
    n: i64,
    seal: Option<u64>,
    leaves: Vec<(i64, [u8; 32])>,
}

fn find(store: &Store, hash: Sha256Hash) -> Result<Option<Found>, StoreFault> {
    let mut db = store.connection()?;
    let Some(kept) = rows::find(&mut db, hash.bytes())? else {
        return Ok(None);
    };
    let leaves = match kept.seal {
        Some(number) => rows::leaves(&mut db, number)?,
        None => Vec::new(),
    };
    Ok(Some(Found {
        party: PartyId::parse(&kept.party).into_iter().collect(),
        n: kept.n,
        seal: kept.seal,
        leaves,
    }))
}

/// Kept, and not under a seal of the trail yet.
fn unsealed() -> HttpResponse {
    let sentence =
        "the refusal is kept; its hour is sealed soon after it has ended, ask again then";
    let refusal = Refusal::new(Code::RefusalUnsealed, sentence);
    let mut response = Problem::from(refusal).error_response();
    let later = HeaderValue::from_static(SEALED_IN);
    response.headers_mut().insert(RETRY_AFTER, later);
    response
}
