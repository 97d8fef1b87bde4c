//! `reply+jwt`: what the exchange answered to a command, signed by the reply key that entry 0 names (DESIGN §6, TRAIL E4).
//!
//! An accepted command's reply is a promise that the entry is in the trail; a refused one's is a refusal that nobody can deny.
//! One reply an HTTP response, in the header `Quan-Reply`. What it is worth is checked by [`crate::audit::promise`].

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Statement, Typ, malformed, seconds};
use crate::id::{PartyId, Sha256Hash};
use crate::json::present;
use crate::money::INTEGER_MAX;
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// The longest code.
const CODE_BYTES_MAX: usize = 64;

/// The claims, in the order in which we write them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The exchange's origin.
    pub iss: String,
    /// The party that was answered; absent where the caller was unknown.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub sub: Option<PartyId>,
    /// When it was answered.
    #[serde(with = "seconds")]
    pub iat: Timestamp,
    /// SHA-256(method ‖ SP ‖ path ‖ 0x0A ‖ body) of the request; absent where its body was not read.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub req: Option<Sha256Hash>,
    /// SHA-256 of the answer's body.
    pub answer: Sha256Hash,
    /// What became of the command.
    pub outcome: Answered,
    /// Why not.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub code: Option<String>,
    /// The entry.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub seq: Option<u64>,
    /// The hash of its leaf (RFC 6962 §2.1).
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub leaf_hash: Option<Sha256Hash>,
}

/// What a reply says of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answered {
    /// It is the entry now.
    Accepted,
    /// It had become the entry before.
    Known,
    /// The rules, or the form of the request, say no.
    Refused,
    /// The exchange could not answer: nothing is promised and nothing refused.
    Failed,
    /// Many receipts at once: the answer's lines say it of each.
    Lines,
}

impl Statement for Reply {
    const TYP: Typ = Typ::Reply;
}

impl Reply {
    /// An entry has its place exactly where one is promised, and a reason stands exactly where something is refused.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let (entered, refused) = match self.outcome {
            Answered::Accepted | Answered::Known => (true, false),
            Answered::Refused | Answered::Failed => (false, true),
            Answered::Lines => (false, false),
        };
        let number = |seq| i64::try_from(seq).is_ok_and(|seq| seq <= INTEGER_MAX);
        let code = |code: &String| {
            let good = |c: u8| c.is_ascii_lowercase() || c == b'.' || c == b'-';
            (1..=CODE_BYTES_MAX).contains(&code.len()) && code.bytes().all(good)
        };
        let in_place = self.seq.is_some_and(number) && self.leaf_hash.is_some();
        let nowhere = self.seq.is_none() && self.leaf_hash.is_none();
        let placed = if entered { in_place } else { nowhere };
        let reasoned = self.code.is_some() == refused && self.code.iter().all(code);
        if placed && reasoned {
            return Ok(());
        }
        Err(malformed(
            "seq and leaf_hash belong to accepted and known, code to refused and failed",
        ))
    }
}

/// The name of a request: SHA-256(method ‖ SP ‖ path ‖ 0x0A ‖ body) (DESIGN §4.6).
#[must_use]
pub fn req(method: &str, path: &str, body: &[u8]) -> Sha256Hash {
    let line = format!("{method} {path}\n");
    let digest = Sha256::new()
        .chain_update(line.as_bytes())
        .chain_update(body);
    Sha256Hash::new(digest.finalize().into())
}
