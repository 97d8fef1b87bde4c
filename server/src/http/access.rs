//! Who calls, and what they may ask and see: API key → actor → party and role, default deny (DESIGN §7).
//!
//! The key's role bounds what its actor may do by this key; `verifier::book::access` then asks the actor's and the party's own
//! roles again, under the sequencer's lock. Only hashes of keys are stored; no key is ever logged.

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use verifier::book::Book;
use verifier::book::access::{self, Sight, roles};
use verifier::book::command::{Kind, Role};
use verifier::id::{ActorId, PartyId, Sha256Hash};
use verifier::json;
use verifier::refusal::{Code, Refusal};
use verifier::time::Timestamp;

use super::Shared;
use super::problem::Problem;
use crate::cause::Whole;
use crate::keys::Token;
use crate::store::own::{self, ApiKey};
use crate::store::{Store, StoreFault};

/// How long a key's row is believed without asking again: a removed key dies within this time on every server.
const BELIEVED_SECONDS: i64 = 10;
/// Rows kept in memory; the whole table is forgotten at this size, so a flood of keys costs look-ups, not memory.
const BELIEVED_MAX: usize = 10_000;
/// The longest label of a key.
const LABEL_CHARS_MAX: usize = 64;

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The credential.
    pub actor: ActorId,
    /// For whom it acts.
    pub party: PartyId,
    /// What its key was made for.
    pub role: Role,
}

/// Who may see what a read answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees {
    /// Everybody, without a key: money, programmes, the catalogue (DESIGN §4.6, who sees them).
    Public,
    /// Whoever has a good key; the answer itself keeps to what concerns its party.
    Party,
}

/// Remembers the rows of keys that were used lately.
#[derive(Debug, Default)]
pub struct Access {
    believed: RwLock<HashMap<Sha256Hash, (Caller, Timestamp)>>,
}

impl Access {
    fn recall(&self, hash: &Sha256Hash, now: Timestamp) -> Option<Caller> {
        let believed = self.believed.read().unwrap_or_else(PoisonError::into_inner);
        let (caller, since) = believed.get(hash)?;
        (now < since.after(BELIEVED_SECONDS)).then_some(*caller)
    }

    fn believe(&self, hash: Sha256Hash, caller: Caller, now: Timestamp) {
        let mut believed = self
            .believed
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if believed.len() >= BELIEVED_MAX {
            believed.clear();
        }
        believed.insert(hash, (caller, now));
    }

    fn forget(&self, hash: &Sha256Hash) {
        self.believed
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(hash);
    }
}

/// Finds who calls by the request's key: as a bearer (RFC 6750 §2.1), or as the password of any user (RFC 7617).
/// # Errors
/// `access.unknown`, or a fault of the database.
pub(super) async fn caller(shared: &Arc<Shared>, request: &HttpRequest) -> Result<Caller, Problem> {
    let hash = bearer(request)?;
    let now = shared.now()?;
    if let Some(caller) = shared.access.recall(&hash, now) {
        return Ok(caller);
    }
    let store = Arc::clone(&shared.store);
    let row = web::block(move || own::key(&mut *store.connection()?, hash.bytes()))
        .await
        .map_err(|fault| Problem::Internal(fault.to_string()))?
        .map_err(store_fault)?;
    let row =
        row.ok_or_else(|| unknown("this API key is not known here; ask the exchange for one"))?;
    let caller = parse(&row)?;
    shared.access.believe(hash, caller, now);
    Ok(caller)
}

fn bearer(request: &HttpRequest) -> Result<Sha256Hash, Problem> {
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .ok_or_else(|| unknown("send an API key: Authorization: Bearer quan_…"))?;
    let text = header.to_str().unwrap_or_default();
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            Token::parse(token.trim())
        }
        Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => password(pair.trim()),
        Some(_) | None => None,
    };
    let token = token.ok_or_else(|| {
        unknown("the Authorization header holds no API key quan_…, or one with a slip of the pen")
    })?;
    Ok(token.hash())
}

/// The key in the credentials of RFC 7617: for programs that know no bearer.
fn password(pair: &str) -> Option<Token> {
    let pair = String::from_utf8(STANDARD.decode(pair).ok()?).ok()?;
    Token::parse(pair.split_once(':')?.1)
}

fn parse(row: &ApiKey) -> Result<Caller, Problem> {
    let broken = || Problem::Internal("a row of own_keys is not readable".to_owned());
    let party = row.party.as_deref().ok_or_else(broken)?;
    Ok(Caller {
        actor: ActorId::parse(&row.actor).map_err(|_| broken())?,
        party: PartyId::parse(party).map_err(|_| broken())?,
        role: role(&row.role).ok_or_else(broken)?,
    })
}

fn role(word: &str) -> Option<Role> {
    Role::ALL.into_iter().find(|role| role.as_str() == word)
}

fn unknown(sentence: &str) -> Problem {
    Refusal::new(Code::AccessUnknown, sentence).into()
}

/// A fault of the store as the caller sees it.
pub(super) fn store_fault(fault: StoreFault) -> Problem {
    if matches!(fault, StoreFault::Pool(_) | StoreFault::Connect(_)) {
        tracing::error!(fault = %Whole(&fault), "the database cannot be reached");
        Problem::Busy("the database cannot be reached right now; try again")
    } else {
        Problem::Internal(Whole(&fault).to_string())
    }
}

/// Lets a caller ask a kind of command if its key's role is in the table.
/// # Errors
/// `access.role`
pub(super) fn permit(caller: Caller, kind: Kind) -> Result<(), Refusal> {
    let allowed = roles(kind);
    if allowed.contains(&caller.role) {
        return Ok(());
    }
    let names: Vec<_> = allowed.iter().map(|role| role.as_str()).collect();
    Err(Refusal::new(
        Code::AccessRole,
        format!(
            "{} needs a key of role {}; this one is of role {}",
            kind.as_str(),
            names.join(" or "),
            caller.role.as_str()
        ),
    ))
}

/// Lets a reader pass only while its actor is registered and its party admitted.
/// # Errors
/// `access.unknown`
pub(super) fn stands(book: &Book, caller: Caller) -> Result<(), Refusal> {
    let actor = book
        .actors
        .get(&caller.actor)
        .filter(|actor| !actor.removed);
    if actor.is_some_and(|actor| actor.party == caller.party && actor.roles.contains(&caller.role))
    {
        return Ok(());
    }
    Err(Refusal::new(
        Code::AccessUnknown,
        "the actor of this key was removed or lost the key's role; ask the exchange for another key",
    ))
}

/// What a caller reads: one rule for every route (`verifier::book::access`).
#[must_use]
pub(super) fn sight(book: &Book, caller: Caller) -> Sight<'_> {
    access::sight(book, caller.actor, caller.role)
}

/// Says that something is out of a caller's sight.
#[must_use]
pub(super) fn unseen(sight: Sight<'_>) -> Refusal {
    match sight {
        Sight::Scopes(own) => {
            let own: Vec<String> = own.iter().map(ToString::to_string).collect();
            let sentence = format!(
                "this key is limited to {}; this lies outside",
                own.join(", ")
            );
            Refusal::new(Code::AccessScope, sentence).with("scopes", own.join(","))
        }
        Sight::All | Sight::Own => Refusal::new(
            Code::AccessParty,
            "this concerns other parties; ask with a key of one of them",
        ),
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    actor: ActorId,
    role: Role,
    #[serde(default)]
    label: String,
}

/// Makes an API key for a registered actor; the answer is the only place that ever shows it.
/// # Errors
/// `request.malformed` `actor.unknown` `access.role`
pub(super) async fn create_key(
    shared: Arc<Shared>,
    caller: Caller,
    body: &[u8],
) -> Result<Value, Problem> {
    exchange_only(caller)?;
    let asked: NewKey = json::read(body).map_err(Refusal::from)?;
    if asked.label.chars().count() > LABEL_CHARS_MAX {
        let sentence = format!("a label has at most {LABEL_CHARS_MAX} characters");
        return Err(Refusal::new(Code::RequestMalformed, sentence).into());
    }
    let party = shared.desk.read(|book| owner(book, &asked)).await??;
    let (now, store) = (shared.now()?, Arc::clone(&shared.store));
    let owner = Caller {
        actor: asked.actor,
        party,
        role: asked.role,
    };
    let made = web::block(move || make_key(&store, owner, &asked.label, now))
        .await
        .map_err(|fault| Problem::Internal(fault.to_string()))??;
    Ok(json!({
        "key": made.expose(), "hash": made.hash(), "actor": owner.actor, "party": owner.party,
        "role": owner.role,
    }))
}

fn owner(book: &Book, asked: &NewKey) -> Result<PartyId, Refusal> {
    let actor = book.actors.get(&asked.actor).filter(|actor| !actor.removed);
    let actor = actor.ok_or_else(|| {
        Refusal::new(Code::ActorUnknown, "no such actor; register it first")
            .with("actor", asked.actor)
    })?;
    if actor.roles.contains(&asked.role) {
        return Ok(actor.party);
    }
    Err(Refusal::new(
        Code::AccessRole,
        format!(
            "the actor has not the role {}; register one that has",
            asked.role.as_str()
        ),
    ))
}

fn exchange_only(caller: Caller) -> Result<(), Refusal> {
    if caller.role == Role::Exchange {
        return Ok(());
    }
    Err(Refusal::new(
        Code::AccessRole,
        "API keys are made and removed by the role exchange",
    ))
}

fn make_key(store: &Store, owner: Caller, label: &str, now: Timestamp) -> Result<Token, Problem> {
    let token =
        Token::draw(owner.role.as_str()).map_err(|fault| Problem::Internal(fault.to_string()))?;
    let mut db = store.connection().map_err(store_fault)?;
    own::add_key(&mut db, &key_row(&token, owner, label, now)).map_err(store_fault)?;
    Ok(token)
}

/// What is stored of an API key.
#[must_use]
pub fn key_row(token: &Token, owner: Caller, label: &str, now: Timestamp) -> ApiKey {
    ApiKey {
        hash: *token.hash().bytes(),
        role: owner.role.as_str().to_owned(),
        party: Some(owner.party.to_string()),
        actor: owner.actor.to_string(),
        label: label.to_owned(),
        created: now,
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct OldKey {
    hash: Sha256Hash,
}

/// Removes an API key by its hash.
/// # Errors
/// `request.malformed` `access.role` `access.unknown`
pub(super) async fn remove_key(
    shared: Arc<Shared>,
    caller: Caller,
    body: &[u8],
) -> Result<Value, Problem> {
    exchange_only(caller)?;
    let OldKey { hash } = json::read(body).map_err(Refusal::from)?;
    let store = Arc::clone(&shared.store);
    let removed = web::block(move || own::remove_key(&mut *store.connection()?, hash.bytes()))
        .await
        .map_err(|fault| Problem::Internal(fault.to_string()))?
        .map_err(store_fault)?;
    shared.access.forget(&hash);
    Ok(json!({ "hash": hash, "removed": removed }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_asks_only_what_its_role_may_whatever_else_its_actor_is() {
        let caller = |role| Caller {
            actor: ActorId::draw(&verifier::id::Salt::new([0; 16]), 0, 0),
            party: PartyId::draw(&verifier::id::Salt::new([0; 16]), 0, 0),
            role,
        };
        for kind in Kind::ALL {
            for role in Role::ALL {
                let allowed = permit(caller(role), *kind).is_ok();
                assert_eq!(
                    allowed,
                    roles(*kind).contains(&role),
                    "{} {}",
                    kind.as_str(),
                    role.as_str()
                );
            }
            assert!(
                permit(caller(Role::Regulator), *kind).is_err(),
                "a regulator only reads"
            );
        }
    }
}
