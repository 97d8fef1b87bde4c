//! The claims of a compute-usage receipt and their signature (DESIGN §5; RFC 7515 compact, RFC 8037).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use verifier::id::{DocumentDigest, GpuModel, OrderId, PartyId, Sha256Hash, SiteId};
use verifier::signature::{Kid, PublicKey};

use super::merge::Job;
use crate::keys::SigningKey;

/// The `typ` of a compute-usage receipt.
pub const RECEIPT: &str = "compute-usage-receipt+jwt";
/// The `typ` of the proof that a party holds the key it registers.
pub const KEY_REGISTRATION: &str = "key-registration+jwt";

/// What a receipt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Use that was not stated before.
    Usage,
    /// The same period again, with other figures.
    Correction,
}

/// The claims, in the order in which they are written; absent ones are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The provider.
    pub iss: PartyId,
    /// The exchange's origin.
    pub aud: String,
    /// The order.
    pub sub: OrderId,
    /// 0, 1, 2 … over the accepted receipts of this order and issuer.
    pub seq: u64,
    /// SHA-256 of the compact JWS before this one; absent at 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Sha256Hash>,
    /// `<sub>.<seq>`.
    pub jti: String,
    /// When it was signed, UNIX seconds, at least `end − 5`.
    pub iat: i64,
    /// Usage or correction.
    pub kind: Kind,
    /// The `jti` that a correction is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<String>,
    /// Where.
    pub site: SiteId,
    /// On what.
    pub gpu_model: GpuModel,
    /// The most GPUs held at one moment of the period.
    pub gpu_count: u32,
    /// UNIX seconds.
    pub start: i64,
    /// UNIX seconds, exclusive.
    pub end: i64,
    /// Used.
    pub gpu_seconds: i64,
    /// By which runs.
    pub jobs: Vec<Job>,
    /// Manifest digests of the datasets that were read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<DocumentDigest>,
    /// Digest of the scheduler's export from which it re-computes (evidence level 2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<DocumentDigest>,
    /// Energy in watt-hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_wh: Option<i64>,
    /// Utilisation in basis points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub util_bp: Option<u16>,
    /// Digest of the devices' UUIDs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Sha256Hash>,
}

/// The claims of a `key-registration+jwt`.
#[derive(Debug, Serialize)]
pub struct KeyRegistration<'a> {
    /// The party that registers the key.
    pub iss: PartyId,
    /// The exchange's origin.
    pub aud: &'a str,
    /// `receipt`, `acceptance`, `capacity` or `recovery`.
    #[serde(rename = "use")]
    pub purpose: &'a str,
    /// When it was signed, UNIX seconds.
    pub iat: i64,
}

/// Exactly these three members, in this order (DESIGN §5).
#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    kid: Kid,
    typ: &'a str,
}

/// A key that signs receipts, with its public half.
pub struct Signer {
    key: SigningKey,
    public: PublicKey,
}

impl Signer {
    /// Takes a key whose public half an exchange would register.
    #[must_use]
    pub fn new(key: SigningKey) -> Option<Self> {
        let public = PublicKey::register(key.public()).ok()?;
        Some(Self { key, public })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs claims into a compact JWS.
    /// # Errors
    /// Claims that JSON cannot hold.
    pub fn sign<T: Serialize>(&self, typ: &str, claims: &T) -> Result<String, serde_json::Error> {
        let header = Header {
            alg: "EdDSA",
            kid: self.public.kid(),
            typ,
        };
        let encode = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
        let header = encode(serde_json::to_vec(&header)?);
        let input = format!("{header}.{}", encode(serde_json::to_vec(claims)?));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(input.as_bytes()));
        Ok(format!("{input}.{signature}"))
    }
}

/// Reads the claims back out of a JWS that this meter signed. Whether it verifies is not asked: the exchange does.
#[must_use]
pub fn read(jws: &str) -> Option<Claims> {
    let payload = jws.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}
