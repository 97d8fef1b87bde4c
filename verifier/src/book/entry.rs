//! An entry of the trail: one accepted command, its decision, and what it moved, in one spelling (DESIGN §4.6).
//!
//! The stored bytes are the leaf of the tree. [`Entry::parse`] refuses any other spelling of the same content.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::book::Inconsistency;
use crate::book::command::{Command, Kind};
use crate::book::found::Found;
use crate::book::scope::Scope;
use crate::id::{ActorId, PartyId, Salt, Sha256Hash};
use crate::json;
use crate::ledger::Postings;
use crate::refusal::{Code, Refusal};
use crate::settlement::counter::CounterKey;
use crate::time::Timestamp;

/// The version of the entry's form.
pub const VERSION: u8 = 1;
/// The rules by which commands are decided now.
pub const RULES: u16 = 1;
/// The longest entry: a bundle frames it with a u16 (C2SP tlog-tiles).
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// One fact of the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 0, gapless.
    pub seq: u64,
    /// When it was decided; never before the entry ahead of it.
    pub at: Timestamp,
    /// The rules by which it was decided.
    pub rules: u16,
    /// Makes ids unguessable and leaves unlinkable.
    pub salt: Salt,
    /// SHA-256(party ‖ 0x0A ‖ idempotency key), where a key came.
    pub cmd: Option<Sha256Hash>,
    /// SHA-256 of the request, where one came.
    pub req: Option<Sha256Hash>,
    /// For whom it was asked.
    pub by: PartyId,
    /// By which credential.
    pub actor: ActorId,
    /// Who sees it, each with a gapless number from 0.
    pub scopes: Vec<(Scope, u64)>,
    /// The command as `decide` got it.
    pub asked: Command,
    /// What `decide` worked out.
    pub found: Found,
    /// What moved between accounts.
    pub postings: Postings,
    /// What moved in counters, sorted by key, no zero.
    pub counters: Vec<(CounterKey, i64)>,
}

#[derive(Serialize)]
struct Written<'a> {
    v: u8,
    seq: u64,
    at: Timestamp,
    rules: u16,
    #[serde(rename = "type")]
    kind: &'static str,
    salt: Salt,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd: Option<Sha256Hash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    req: Option<Sha256Hash>,
    by: PartyId,
    actor: ActorId,
    scopes: &'a [(Scope, u64)],
    asked: &'a Command,
    found: &'a Found,
    postings: &'a Postings,
    counters: &'a [(CounterKey, i64)],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read<'a> {
    v: u8,
    seq: u64,
    at: Timestamp,
    rules: u16,
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
    salt: Salt,
    #[serde(default)]
    cmd: Option<Sha256Hash>,
    #[serde(default)]
    req: Option<Sha256Hash>,
    by: PartyId,
    actor: ActorId,
    scopes: Vec<(Scope, u64)>,
    #[serde(borrow)]
    asked: &'a RawValue,
    found: Found,
    postings: Postings,
    counters: Vec<(CounterKey, i64)>,
}

impl Entry {
    /// What contradicts this entry, as the audit reports it.
    pub(in crate::book) fn contradicts(&self, what: &dyn std::fmt::Display) -> Inconsistency {
        Inconsistency {
            seq: self.seq,
            sentence: what.to_string(),
        }
    }

    /// Writes the one spelling.
    /// # Errors
    /// `entry.too-large` beyond [`ENTRY_BYTES_MAX`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, Refusal> {
        let bytes = json::write(&self.written())?;
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(Refusal::new(
                Code::EntryTooLarge,
                format!(
                    "the entry would have {} of at most {ENTRY_BYTES_MAX} bytes; send a smaller request",
                    bytes.len()
                ),
            ));
        }
        Ok(bytes)
    }

    fn written(&self) -> Written<'_> {
        Written {
            v: VERSION,
            seq: self.seq,
            at: self.at,
            rules: self.rules,
            kind: self.asked.kind().as_str(),
            salt: self.salt,
            cmd: self.cmd,
            req: self.req,
            by: self.by,
            actor: self.actor,
            scopes: &self.scopes,
            asked: &self.asked,
            found: &self.found,
            postings: &self.postings,
            counters: &self.counters,
        }
    }

    /// Reads stored bytes and refuses any but the one spelling.
    /// # Errors
    /// `entry.spelling`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(spelling("longer than an entry may be"));
        }
        let read = Self::read(bytes);
        if let Ok(entry) = &read
            && json::canonical_is(&entry.written(), bytes)
        {
            return read;
        }
        // It is refused: what for is said in this order.
        json::check(bytes).map_err(|fault| spelling(&fault.to_string()))?;
        let entry = read?;
        if entry.to_bytes()? != bytes {
            return Err(spelling(
                "the bytes are not the one spelling of what they say",
            ));
        }
        Ok(entry)
    }

    /// Reads bytes that this server itself has written: they are the one spelling, which is not proven again.
    /// # Errors
    /// `entry.spelling`.
    pub fn parse_own(bytes: &[u8]) -> Result<Self, Refusal> {
        Self::read(bytes)
    }

    fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let text = str::from_utf8(bytes).map_err(|fault| spelling(&fault.to_string()))?;
        let read: Read<'_> =
            serde_json::from_str(text).map_err(|fault| spelling(&fault.to_string()))?;
        if read.v != VERSION {
            return Err(spelling("an unknown version"));
        }
        let kind = Kind::parse(&read.kind).ok_or_else(|| spelling("an unknown type"))?;
        let asked = Command::from_json(kind, read.asked.get())
            .map_err(|fault| spelling(&fault.to_string()))?;
        Ok(Self {
            seq: read.seq,
            at: read.at,
            rules: read.rules,
            salt: read.salt,
            cmd: read.cmd,
            req: read.req,
            by: read.by,
            actor: read.actor,
            scopes: read.scopes,
            asked,
            found: read.found,
            postings: read.postings,
            counters: read.counters,
        })
    }
}

fn spelling(what: &str) -> Refusal {
    Refusal::new(Code::EntrySpelling, format!("not an entry: {what}"))
}
