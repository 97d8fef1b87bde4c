//! `data-delivery-receipt+jwt`: a vendor, or the exchange's delivery key, says that a dataset was delivered (DESIGN §5).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

use super::{Jti, Link, Statement, Typ, seconds};
use crate::id::{DatasetId, DocumentDigest, NotAnId, OrderId, PartyId, Sha256Hash};
use crate::json::present;
use crate::money::INTEGER_MAX;
use crate::time::Timestamp;

/// The claims, in the order in which we write them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataDelivery {
    /// The vendor, or the exchange.
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
    /// The dataset.
    pub dataset: DatasetId,
    /// The name of its version.
    pub version: String,
    /// The manifest digest: what was ordered, exactly.
    pub digest: DocumentDigest,
    /// How much was served.
    #[serde(deserialize_with = "bytes")]
    pub bytes: u64,
    /// When the last byte was served.
    #[serde(with = "seconds")]
    pub delivered_at: Timestamp,
    /// The list of served ranges.
    pub ranges: DocumentDigest,
    /// Picks the chunks that the buyer must show to hold.
    pub nonce: Nonce,
    /// SHA-256 of the `possession` that the buyer's acceptance must name.
    pub possession_hash: Sha256Hash,
}

impl Statement for DataDelivery {
    const TYP: Typ = Typ::Delivery;
}

impl DataDelivery {
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
}

/// 16 bytes that nobody could foresee; as text base64url without padding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// Takes 16 bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for Nonce {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(NotAnId {
            expected: "16 bytes in base64url without padding",
        })
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Nonce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::json::text(deserializer)
    }
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let bytes = u64::deserialize(deserializer)?;
    if bytes > INTEGER_MAX.unsigned_abs() {
        return Err(serde::de::Error::custom("an integer above 2^53 - 1"));
    }
    Ok(bytes)
}
