//! Entries of the trail as they are stored.

use serde_json::{Map, Value};
use verifier::book::entry::Entry;
use verifier::id::PartyId;
use verifier::refusal::{Code, Refusal};

use super::access::{sees_all, store_fault};
use super::problem::Problem;
use super::read::{Asking, object};
use crate::store::log;

/// `GET /v1/entries/{seq}`: for a regulator, and for the parties that the entry names.
pub(super) fn show(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let seq: u64 = asking
        .id
        .parse()
        .map_err(|_| Refusal::new(Code::RequestMalformed, "an entry has a number from 0"))?;
    let unknown = || Refusal::new(Code::EntryUnknown, format!("there is no entry {seq} yet"));
    if seq >= asking.book.size {
        return Err(unknown().into());
    }
    let mut db = asking.shared.store.connection().map_err(store_fault)?;
    let bytes = log::entry(&mut db, seq)
        .map_err(store_fault)?
        .ok_or_else(unknown)?;
    let entry = Entry::parse_own(&bytes)?;
    let mine = asking.party()?;
    let everybody = asking.caller.is_some_and(|caller| sees_all(caller.role));
    if !everybody && entry.by != mine && !names(&bytes, mine) {
        return Err(Refusal::new(Code::AccessParty, "this entry concerns other parties").into());
    }
    let value: Value =
        serde_json::from_slice(&bytes).map_err(|fault| Problem::Internal(fault.to_string()))?;
    Ok(object(serde_json::json!({ "entry": value })))
}

/// Whether an entry's text holds a party's id: 80 random bits stand nowhere by chance.
fn names(bytes: &[u8], party: PartyId) -> bool {
    let id = party.to_string();
    bytes
        .windows(id.len())
        .any(|window| window == id.as_bytes())
}
