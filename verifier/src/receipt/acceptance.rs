//! `data-acceptance-receipt+jwt`: a buyer accepts a delivered dataset or reports a defect (DESIGN §5).

use serde::{Deserialize, Serialize};

use super::{Jti, Link, Statement, Typ, seconds};
use crate::id::{DocumentDigest, OrderId, PartyId, Sha256Hash};
use crate::json::present;
use crate::time::Timestamp;

/// The claims, in the order in which we write them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataAcceptance {
    /// The buyer.
    pub iss: PartyId,
    /// The exchange's origin.
    pub aud: String,
    /// The order.
    pub sub: OrderId,
    /// The place in the chain of (order, issuer).
    pub seq: u32,
    /// The hash of the compact JWS before it; absent at 0.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub prev: Option<Sha256Hash>,
    /// `<sub>.<seq>`.
    pub jti: Jti,
    /// When it was signed.
    #[serde(with = "seconds")]
    pub iat: Timestamp,
    /// The manifest digest of what was delivered.
    pub digest: DocumentDigest,
    /// Good or not.
    pub verdict: Verdict,
    /// SHA-256(nonce ‖ the chunks that the nonce picks): only who holds the bytes can say it.
    pub possession: Sha256Hash,
}

/// What the buyer says of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As ordered: the price is earned.
    Accepted,
    /// Not as ordered: a case decides.
    Defect,
}

packed_enum!(Verdict { 0 => Accepted, 1 => Defect });

impl Statement for DataAcceptance {
    const TYP: Typ = Typ::Acceptance;
}

impl DataAcceptance {
    /// The claims that chain it to its order.
    #[must_use]
    pub fn link(&self) -> Link<'_> {
        Link {
            iss: self.iss,
            aud: &self.aud,
            sub: self.sub,
            seq: self.seq,
            prev: self.prev,
            jti: self.jti,
            iat: self.iat,
        }
    }

    /// Whether the shown possession is the one that a delivery receipt committed to.
    #[must_use]
    pub fn possesses(&self, possession_hash: &Sha256Hash) -> bool {
        Sha256Hash::of(self.possession.bytes()) == *possession_hash
    }
}
