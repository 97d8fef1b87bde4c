//! The exchange, parties, credentials, keys and facts.

use crate::book::apply::written;
use crate::book::command::{
    AdmitParty, ContinueTrail, OpenExchange, RecordFact, RegisterActor, RegisterKey, RemoveActor,
    Role, SuspendParty, UpdateParty,
};
use crate::book::entry::Entry;
use crate::book::log_key::LogKeys;
use crate::book::state::fact::Recorded;
use crate::book::state::key::Key;
use crate::book::state::party::{Actor, Party};
use crate::book::{Book, Exchange, Inconsistency};
use crate::id::Sha256Hash;
use crate::receipt::KeyUse;
use crate::signature::PublicKey;

pub(super) fn open_exchange(
    book: &mut Book,
    entry: &Entry,
    asked: &OpenExchange,
) -> Result<(), Inconsistency> {
    let party = written(entry, entry.found.party, "party")?;
    let actor = written(entry, entry.found.actor, "actor")?;
    let delivery = public_key(entry, &asked.delivery_key)?;
    let delivery_kid = delivery.kid();
    // The exchange's own receipt key: it signs deliveries, and is good for ever unless revoked.
    let key = Key {
        party,
        key_use: KeyUse::Receipt,
        public: delivery,
        valid_from: entry.at,
        valid_to: entry.at.after(i64::MAX),
        revoked: None,
        by_case: None,
    };
    book.keys.insert(delivery_kid, key);
    book.log_keys = LogKeys::first(asked.log_vkey.clone());
    book.exchange = Some(Exchange {
        origin: asked.origin.clone(),
        party,
        actor,
        delivery_kid,
        offset: asked.utc_offset_min,
    });
    let roles = vec![Role::Exchange];
    // The exchange's name is its origin: nothing to keep secret, nothing to erase.
    let name = Sha256Hash::of(asked.origin.as_bytes());
    book.parties.insert(
        party,
        Party {
            roles: roles.clone(),
            name,
            uscc: None,
            suspended: false,
        },
    );
    book.actors.insert(
        actor,
        Actor {
            party,
            roles,
            scopes: Vec::new(),
            removed: false,
        },
    );
    Ok(())
}

pub(super) fn succeed_log_key(
    book: &mut Book,
    entry: &Entry,
    vkey: &str,
) -> Result<(), Inconsistency> {
    let succession = written(entry, entry.found.succession.as_ref(), "succession")?;
    if succession.from != entry.seq.saturating_add(1) {
        return Err(entry.contradicts(&"a key takes over with the head that states it"));
    }
    let turn = (succession.from, succession.until);
    book.log_keys.succeed(vkey.to_owned(), turn);
    Ok(())
}

pub(super) fn continue_trail(
    book: &mut Book,
    entry: &Entry,
    asked: &ContinueTrail,
) -> Result<(), Inconsistency> {
    succeed_log_key(book, entry, &asked.log_vkey)?;
    let exchange = written(entry, book.exchange.as_mut(), "exchange")?;
    exchange.origin.clone_from(&asked.origin);
    Ok(())
}

pub(super) fn admit(
    book: &mut Book,
    entry: &Entry,
    asked: &AdmitParty,
) -> Result<(), Inconsistency> {
    let party = written(entry, entry.found.party, "party")?;
    let state = Party {
        roles: asked.roles.clone(),
        name: asked.name,
        uscc: asked.uscc,
        suspended: false,
    };
    book.parties.insert(party, state);
    Ok(())
}

pub(super) fn update(book: &mut Book, asked: &UpdateParty) {
    if let Some(party) = book.parties.get_mut(&asked.party) {
        if let Some(roles) = &asked.roles {
            party.roles.clone_from(roles);
        }
        if let Some(name) = asked.name {
            party.name = name;
        }
    }
}

pub(super) fn suspend(book: &mut Book, asked: &SuspendParty) {
    if let Some(party) = book.parties.get_mut(&asked.party) {
        party.suspended = asked.suspended;
    }
}

pub(super) fn register_actor(
    book: &mut Book,
    entry: &Entry,
    asked: &RegisterActor,
) -> Result<(), Inconsistency> {
    let actor = written(entry, entry.found.actor, "actor")?;
    let state = Actor {
        party: asked.party,
        roles: asked.roles.clone(),
        scopes: asked.scopes.clone().unwrap_or_default(),
        removed: false,
    };
    book.actors.insert(actor, state);
    Ok(())
}

pub(super) fn remove_actor(book: &mut Book, asked: &RemoveActor) {
    if let Some(actor) = book.actors.get_mut(&asked.actor) {
        actor.removed = true;
    }
}

pub(super) fn register_key(
    book: &mut Book,
    entry: &Entry,
    asked: &RegisterKey,
) -> Result<(), Inconsistency> {
    let key = Key {
        party: asked.party,
        key_use: asked.key_use,
        public: public_key(entry, &asked.jwk.x)?,
        valid_from: asked.valid_from,
        valid_to: asked.valid_to,
        revoked: None,
        by_case: asked.case,
    };
    book.keys.insert(asked.kid, key);
    Ok(())
}

pub(super) fn record_fact(book: &mut Book, entry: &Entry, asked: &RecordFact) {
    let fact = Recorded {
        value: asked.value.clone(),
        valid_from: asked.valid_from,
        valid_to: asked.valid_to,
        seq: entry.seq,
    };
    book.facts.record(asked.subject, asked.name, fact);
}

fn public_key(entry: &Entry, x: &str) -> Result<PublicKey, Inconsistency> {
    PublicKey::parse(x).map_err(|fault| Inconsistency {
        seq: entry.seq,
        sentence: fault.to_string(),
    })
}
