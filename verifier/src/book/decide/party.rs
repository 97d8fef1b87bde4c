//! Parties and their credentials: `exchange.opened`, `party.*`, `actor.*`.

use crate::book::command::{
    AdmitParty, OpenExchange, RegisterActor, RemoveActor, Role, SuspendParty, UpdateParty,
};
use crate::book::decide::{Case, Decision};
use crate::book::found::Found;
use crate::book::scope::Scope;
use crate::id::{ActorId, PartyId};
use crate::refusal::{Code, Refusal};
use crate::signature::PublicKey;

/// The longest origin (TRAIL A10: the ML-DSA form caps it there).
const ORIGIN_BYTES_MAX: usize = 255;

/// The most scopes that one credential is limited to.
const LIMIT_MAX: usize = 64;

/// Entry 0: the exchange's own party and first credential are drawn here.
pub(super) fn open_exchange(case: &Case<'_>, asked: &OpenExchange) -> Result<Decision, Refusal> {
    if case.book.size != 0 {
        return Err(Refusal::new(
            Code::ExchangeOpened,
            "the exchange is open already",
        ));
    }
    let good = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    if !(1..=ORIGIN_BYTES_MAX).contains(&asked.origin.len()) || !asked.origin.chars().all(good) {
        return Err(Refusal::new(
            Code::RequestMalformed,
            "the origin is 1 to 255 bytes without space and +, e.g. exchange.example/shanghai",
        ));
    }
    for x in [&asked.delivery_key, &asked.reply_key] {
        PublicKey::parse(x).map_err(|fault| Refusal::new(Code::KeyWeak, fault.to_string()))?;
    }
    let party = PartyId::draw(&case.env.salt, 0, 0);
    let actor = ActorId::draw(&case.env.salt, 0, 0);
    if (case.request.by, case.request.actor) != (party, actor) {
        return Err(Refusal::new(
            Code::AccessParty,
            "entry 0 is asked by the party and actor that its own salt draws",
        ));
    }
    Ok(Decision::common(Found {
        party: Some(party),
        actor: Some(actor),
        ..Found::default()
    }))
}

/// Admits a legal person.
pub(super) fn admit(case: &Case<'_>, asked: &AdmitParty) -> Result<Decision, Refusal> {
    distinct_roles(&asked.roles)?;
    if asked.roles.contains(&Role::Exchange) {
        return Err(Refusal::new(
            Code::AccessRole,
            "whoever runs the exchange was named in entry 0",
        ));
    }
    let party = PartyId::draw(&case.env.salt, case.book.size, 0);
    case.fresh(!case.book.parties.contains_key(&party))?;
    Ok(Decision::common(Found {
        party: Some(party),
        ..Found::default()
    }))
}

/// Changes roles or name.
pub(super) fn update(case: &Case<'_>, asked: &UpdateParty) -> Result<Decision, Refusal> {
    case.book.party(asked.party)?;
    let is_exchange = case.book.exchange()?.party == asked.party;
    if let Some(roles) = &asked.roles {
        distinct_roles(roles)?;
        // 所商分离: whoever runs the exchange is never a seller or buyer on it, and nobody else runs it.
        if roles.contains(&Role::Exchange) || is_exchange {
            return Err(Refusal::new(
                Code::AccessRole,
                "the role exchange is neither given nor taken",
            ));
        }
    }
    if asked.roles.is_none() && asked.name.is_none() {
        return Err(Refusal::new(
            Code::RequestMalformed,
            "nothing to change; give roles or name",
        ));
    }
    Ok(Decision::common(Found::default()))
}

/// Suspends or readmits a party.
pub(super) fn suspend(case: &Case<'_>, asked: &SuspendParty) -> Result<Decision, Refusal> {
    case.book.party(asked.party)?;
    if case.book.exchange()?.party == asked.party {
        return Err(Refusal::new(
            Code::AccessParty,
            "the exchange cannot suspend itself",
        ));
    }
    Ok(Decision::common(Found::default()))
}

/// Registers a credential in some of its party's roles.
pub(super) fn register_actor(case: &Case<'_>, asked: &RegisterActor) -> Result<Decision, Refusal> {
    distinct_roles(&asked.roles)?;
    if let Some(scopes) = &asked.scopes {
        check_limit(&asked.roles, scopes)?;
    }
    let party = case.book.party(asked.party)?;
    if let Some(role) = asked.roles.iter().find(|role| !party.roles.contains(role)) {
        return Err(Refusal::new(
            Code::AccessRole,
            format!(
                "the party has not the role {}; update the party first",
                role.as_str()
            ),
        ));
    }
    let actor = ActorId::draw(&case.env.salt, case.book.size, 0);
    case.fresh(!case.book.actors.contains_key(&actor))?;
    Ok(Decision::common(Found {
        actor: Some(actor),
        ..Found::default()
    }))
}

/// Removes a credential.
pub(super) fn remove_actor(case: &Case<'_>, asked: &RemoveActor) -> Result<Decision, Refusal> {
    let known = case
        .book
        .actors
        .get(&asked.actor)
        .filter(|actor| !actor.removed);
    known.ok_or_else(|| {
        Refusal::new(Code::ActorUnknown, "no such actor").with("actor", asked.actor)
    })?;
    if case.book.exchange()?.actor == asked.actor {
        return Err(Refusal::new(
            Code::AccessParty,
            "timers act by the first actor; it stays",
        ));
    }
    Ok(Decision::common(Found::default()))
}

/// Only a regulator is limited, by a credential that is nothing else: another role of it would see past the limit.
fn check_limit(roles: &[Role], scopes: &[Scope]) -> Result<(), Refusal> {
    if roles != [Role::Regulator] {
        return Err(Refusal::new(
            Code::AccessScope,
            "only a credential of the role regulator alone is limited to scopes",
        ));
    }
    let rises = scopes.is_sorted_by(|one, next| one < next);
    if scopes.is_empty() || scopes.len() > LIMIT_MAX || !rises {
        return Err(Refusal::new(
            Code::RequestMalformed,
            format!(
                "name 1 to {LIMIT_MAX} scopes, sorted, each once, e.g. fund/sh-2025 or region/310000"
            ),
        ));
    }
    Ok(())
}

fn distinct_roles(roles: &[Role]) -> Result<(), Refusal> {
    let distinct = roles
        .iter()
        .enumerate()
        .all(|(i, role)| !roles.iter().take(i).any(|r| r == role));
    if roles.is_empty() || !distinct {
        return Err(Refusal::new(
            Code::RequestMalformed,
            "name one or more roles, each once",
        ));
    }
    Ok(())
}
