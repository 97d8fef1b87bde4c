//! Parties with their keys and facts.

use serde_json::{Map, Value, json};
use verifier::book::command::Role;
use verifier::book::scope::Scope;
use verifier::book::state::fact::Subject;
use verifier::id::PartyId;
use verifier::refusal::Refusal;

use super::problem::Problem;
use super::read::{Asking, object};

/// `GET /v1/parties/{id}`: its own, and for those who admit, decide, pay or check.
pub(super) fn show(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let id = PartyId::parse(asking.id).map_err(Refusal::from)?;
    if asking
        .caller
        .is_none_or(|caller| caller.role != Role::Exchange)
    {
        asking.concerns(&[id], &[Scope::Common])?;
    }
    let party = asking.book.party(id)?;
    let actors: Vec<Value> = asking
        .book
        .actors
        .iter()
        .filter(|(_, actor)| actor.party == id)
        .map(|(id, actor)| {
            json!({
                "actor": id, "roles": actor.roles, "scopes": actor.scopes, "removed": actor.removed,
            })
        })
        .collect();
    let keys: Vec<Value> = asking
        .book
        .keys
        .iter()
        .filter(|(_, key)| key.party == id)
        .map(|(kid, key)| {
            json!({
                "kid": kid, "use": key.key_use, "valid_from": key.valid_from,
                "valid_to": key.valid_to, "revoked_at": key.revoked.map(|(at, _)| at),
                "reason": key.revoked.map(|(_, reason)| reason), "by_case": key.by_case,
            })
        })
        .collect();
    let facts: Vec<Value> = asking
        .book
        .facts
        .iter()
        .filter(|((subject, _), _)| *subject == Subject::Party(id))
        .flat_map(|((_, name), recorded)| recorded.iter().map(move |fact| (name, fact)))
        .map(|(name, fact)| {
            json!({
                "name": name, "value": fact.value, "valid_from": fact.valid_from,
                "valid_to": fact.valid_to, "seq": fact.seq,
            })
        })
        .collect();
    Ok(object(json!({
        "party": id, "roles": party.roles, "name": party.name, "uscc": party.uscc,
        "suspended": party.suspended, "actors": actors, "keys": keys, "facts": facts,
    })))
}
