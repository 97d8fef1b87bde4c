//! `key-registration+jwt`: proof that a party holds the key it registers, signed by that key (DESIGN §5, RFC 7800 in spirit);
//! `key-succession+jwt`: that the party itself wants it, signed by its recovery key.

use serde::{Deserialize, Serialize};
use std::fmt;

use super::{Statement, Typ, seconds};
use crate::id::PartyId;
use crate::signature::Kid;
use crate::time::Timestamp;

/// The claims, in the order in which we write them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRegistration {
    /// The party that will sign with it.
    pub iss: PartyId,
    /// The exchange's origin.
    pub aud: String,
    /// What it will sign; a key has one use for ever.
    #[serde(rename = "use")]
    pub key_use: KeyUse,
    /// When the proof was made.
    #[serde(with = "seconds")]
    pub iat: Timestamp,
}

/// A recovery key's word for its party's next key, in the order in which we write the claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySuccession {
    /// The party whose keys they are.
    pub iss: PartyId,
    /// The exchange's origin.
    pub aud: String,
    /// What the next key will sign.
    #[serde(rename = "use")]
    pub key_use: KeyUse,
    /// The next key; it is registered once, so that this can be said once.
    pub kid: Kid,
    /// The key of the same party and use whose place it takes, if it takes one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Kid>,
    /// When it was said.
    #[serde(with = "seconds")]
    pub iat: Timestamp,
}

/// The one use of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyUse {
    /// Usage and delivery receipts.
    Receipt,
    /// A buyer's acceptances.
    Acceptance,
    /// A site's capacity shares.
    Capacity,
    /// Registers a successor.
    Recovery,
}

packed_enum!(KeyUse { 0 => Receipt, 1 => Acceptance, 2 => Capacity, 3 => Recovery });

impl fmt::Display for KeyUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Receipt => "receipt",
            Self::Acceptance => "acceptance",
            Self::Capacity => "capacity",
            Self::Recovery => "recovery",
        })
    }
}

impl Statement for KeyRegistration {
    const TYP: Typ = Typ::Registration;
}

impl Statement for KeySuccession {
    const TYP: Typ = Typ::Succession;
}
