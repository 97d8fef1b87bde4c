//! Entries of the trail as they are stored.

use serde_json::{Map, Value};
use verifier::book::entry::Entry;
use verifier::id::PartyId;
use verifier::refusal::{Code, Refusal};

use super::access::{Caller, sees_all, store_fault};
use super::problem::Problem;
use super::read::{Asking, object};
use crate::store::log;

/// `GET /v1/entries/{seq}`: for a regulator, and for the parties that the entry names.
pub(super) fn show(asking: &Asking<'_>) -> Result<Map<String, Value>, Problem> {
    let seq = number(asking.id)?;
    if seq >= asking.book.size {
        return Err(unknown(seq).into());
    }
    let mut db = asking.shared.store.connection().map_err(store_fault)?;
    let bytes = log::entry(&mut db, seq)
        .map_err(store_fault)?
        .ok_or_else(|| unknown(seq))?;
    let entry = Entry::parse_own(&bytes)?;
    may_read(&entry, &bytes, asking.caller, asking.party()?)?;
    let value: Value =
        serde_json::from_slice(&bytes).map_err(|fault| Problem::Internal(fault.to_string()))?;
    Ok(object(serde_json::json!({ "entry": value })))
}

/// Reads the number of an entry.
/// # Errors
/// `request.malformed`
pub(super) fn number(text: &str) -> Result<u64, Refusal> {
    let number = text
        .parse()
        .ok()
        .filter(|number: &u64| number.to_string() == text);
    number.ok_or_else(|| Refusal::new(Code::RequestMalformed, "an entry has a number from 0"))
}

/// There is no such entry.
pub(super) fn unknown(seq: u64) -> Refusal {
    Refusal::new(Code::EntryUnknown, format!("there is no entry {seq} yet"))
}

/// Lets those read an entry who see all, who asked it, or whom it names.
/// # Errors
/// `access.party`
pub(super) fn may_read(
    entry: &Entry,
    bytes: &[u8],
    caller: Option<Caller>,
    party: PartyId,
) -> Result<(), Refusal> {
    let everybody = caller.is_some_and(|caller| sees_all(caller.role));
    if everybody || entry.by == party || names(bytes, party) {
        return Ok(());
    }
    Err(Refusal::new(
        Code::AccessParty,
        "this entry concerns other parties",
    ))
}

/// Whether an entry's text holds a party's id: 80 random bits stand nowhere by chance.
fn names(bytes: &[u8], party: PartyId) -> bool {
    let id = party.to_string();
    bytes
        .windows(id.len())
        .any(|window| window == id.as_bytes())
}
