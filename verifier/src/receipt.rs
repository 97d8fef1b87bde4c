//! Bytes → a receipt whose signature holds (DESIGN §5).
//!
//! A receipt is a compact JWS (RFC 7515; EdDSA RFC 8037 or Ed25519 RFC 9864) over strict claims. Text from outside becomes
//! an [`UnverifiedReceipt`]; only [`UnverifiedReceipt::verify`] makes the [`VerifiedReceipt`] that `book` decides on.
//! Nothing here knows a book: what needs one (keys, chains, capacity …) is `book/decide/receipt.rs`. Called by the server,
//! the auditor, the meter and `quan-verify receipt`.

mod acceptance;
mod capacity;
mod compute;
mod delivery;
mod jws;
mod order;
mod registration;
mod reply;

pub use acceptance::{DataAcceptance, Verdict};
pub use capacity::CapacityShare;
pub use compute::{ComputeUsage, JOBS_MAX, Job, Kind, PERIOD_SECONDS_MAX};
pub use delivery::{DataDelivery, Nonce};
pub use jws::{JWS_BYTES_MAX, Typ};
pub use order::OrderSignature;
pub use registration::{KeyRegistration, KeySuccession, KeyUse};
pub use reply::{Answered, Reply, req};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use crate::id::{NotAnId, OrderId, PartyId, Sha256Hash};
use crate::json::Object;
use crate::refusal::{Code, Refusal};
use crate::signature::{self, Check, Kid, PublicKey, SIGNATURE_BYTES, Signer};
use crate::time::Timestamp;

/// The checks of a receipt in their one order (DESIGN §5), for [`crate::report::Report`].
pub const CHECKS: &[Code] = &[
    Code::ReceiptMalformed,
    Code::ReceiptSignature,
    Code::ReceiptKeyUnknown,
    Code::ReceiptKeyNotValidThen,
    Code::ReceiptAudience,
    Code::ReceiptIssuer,
    Code::ReceiptOrder,
    Code::ReceiptOrderClosed,
    Code::ReceiptChain,
    Code::ReceiptPeriod,
    Code::ReceiptOverlap,
    Code::ReceiptModel,
    Code::ReceiptRate,
    Code::ReceiptJobs,
    Code::ReceiptCapacity,
    Code::ReceiptProvenance,
    Code::ReceiptQuantity,
    Code::ReceiptCorrection,
    Code::ReceiptDelivery,
    Code::ReceiptDigest,
];

/// How far a receipt's `iat` may lie ahead of the exchange's time: clocks differ.
pub const AHEAD_SECONDS_MAX: i64 = 300;

/// What a signed statement says, by its `typ`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claims {
    /// A provider metered use, or corrects what it metered.
    Usage(ComputeUsage),
    /// A vendor or the exchange delivered a dataset.
    Delivery(DataDelivery),
    /// A buyer accepts a dataset or reports a defect.
    Acceptance(DataAcceptance),
    /// A site gives hardware to this exchange.
    Capacity(CapacityShare),
    /// A party proves that it holds a key.
    Registration(KeyRegistration),
    /// A recovery key names the party's next key.
    Succession(KeySuccession),
    /// The exchange has answered a command.
    Reply(Reply),
    /// A buyer signs an order.
    Order(OrderSignature),
}

impl Claims {
    fn parse(typ: Typ, payload: &[u8]) -> Result<Self, Refusal> {
        let claims = match typ {
            Typ::Usage => Self::Usage(read(payload)?),
            Typ::Delivery => Self::Delivery(read(payload)?),
            Typ::Acceptance => Self::Acceptance(read(payload)?),
            Typ::Capacity => Self::Capacity(read(payload)?),
            Typ::Registration => Self::Registration(read(payload)?),
            Typ::Succession => Self::Succession(read(payload)?),
            Typ::Reply => Self::Reply(read(payload)?),
            Typ::Order => Self::Order(read(payload)?),
        };
        if let Some(link) = claims.link() {
            link.check()?;
        }
        if let Self::Usage(usage) = &claims {
            usage.check_kind()?;
        }
        if let Self::Reply(reply) = &claims {
            reply.check()?;
        }
        Ok(claims)
    }

    /// The claims that chain a statement to an order; capacity shares, statements on keys, replies and signed orders belong to none.
    #[must_use]
    pub fn link(&self) -> Option<Link<'_>> {
        match self {
            Self::Usage(usage) => Some(usage.link()),
            Self::Delivery(delivery) => Some(delivery.link()),
            Self::Acceptance(acceptance) => Some(acceptance.link()),
            Self::Capacity(_)
            | Self::Registration(_)
            | Self::Succession(_)
            | Self::Reply(_)
            | Self::Order(_) => None,
        }
    }
}

/// A statement that can be signed: the eight claim types.
pub trait Statement: Serialize {
    /// The `typ` of its header.
    const TYP: Typ;
}

/// The seven claims that every receipt of an order has: who says it to whom about what, and its place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link<'a> {
    /// Who signed.
    pub iss: PartyId,
    /// The exchange's origin.
    pub aud: &'a str,
    /// The order.
    pub sub: OrderId,
    /// 0, 1, 2 … over the accepted receipts of one (order, issuer).
    pub seq: u32,
    /// The hash of the previous accepted compact JWS; none at 0.
    pub prev: Option<Sha256Hash>,
    /// `<sub>.<seq>`.
    pub jti: Jti,
    /// When it was signed.
    pub iat: Timestamp,
}

impl Link<'_> {
    fn check(&self) -> Result<(), Refusal> {
        let expected = Jti {
            order: self.sub,
            seq: self.seq,
        };
        if self.jti == expected {
            return Ok(());
        }
        let sentence = format!("jti is {}; sub and seq make it {expected}", self.jti);
        Err(malformed(sentence))
    }

    /// Checks that the receipt was not signed in the future: `iat` ≤ `at` + 300.
    /// # Errors
    /// `receipt.period`
    pub fn check_issued_by(&self, at: Timestamp) -> Result<(), Refusal> {
        let ahead = self.iat.unix() - at.unix();
        if ahead <= AHEAD_SECONDS_MAX {
            return Ok(());
        }
        let sentence = format!(
            "iat lies {ahead} s ahead of the exchange, at most {AHEAD_SECONDS_MAX} s are allowed; set the signer's clock"
        );
        Err(Refusal::new(Code::ReceiptPeriod, sentence).with("at", at.unix()))
    }
}

/// A receipt's name, `<order>.<seq>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Jti {
    /// The order.
    pub order: OrderId,
    /// The place in the chain of the issuer.
    pub seq: u32,
}

impl FromStr for Jti {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let error = NotAnId {
            expected: "<order>.<seq>",
        };
        let (order, seq) = text.split_once('.').ok_or(error.clone())?;
        // One spelling: no sign, no leading zero.
        let canonical = seq == "0" || (!seq.starts_with('0') && !seq.starts_with('+'));
        let seq = seq.parse().ok().filter(|_| canonical).ok_or(error)?;
        Ok(Self {
            order: OrderId::parse(order)?,
            seq,
        })
    }
}

impl fmt::Display for Jti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.order, self.seq)
    }
}

impl Serialize for Jti {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Jti {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::json::text(deserializer)
    }
}

/// A well-formed signed statement: what was sent, taken apart once.
#[derive(Debug, PartialEq, Eq)]
pub struct Receipt {
    compact: Box<str>,
    hash: Sha256Hash,
    signing_bytes: usize,
    signature: [u8; SIGNATURE_BYTES],
    kid: Kid,
    typ: Typ,
    claims: Claims,
}

impl Receipt {
    /// The compact JWS, byte for byte as received.
    #[must_use]
    pub fn compact(&self) -> &str {
        &self.compact
    }

    /// SHA-256 of the compact JWS: the `prev` of the receipt after it.
    #[must_use]
    pub const fn hash(&self) -> Sha256Hash {
        self.hash
    }

    /// The key that the header names.
    #[must_use]
    pub const fn kid(&self) -> Kid {
        self.kid
    }

    /// The kind of statement.
    #[must_use]
    pub const fn typ(&self) -> Typ {
        self.typ
    }

    /// What is said.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What the signature is over: all before the second dot (RFC 7515 §5.2).
    fn signing_input(&self) -> &[u8] {
        let bytes = self.compact.as_bytes();
        bytes.get(..self.signing_bytes).unwrap_or(bytes)
    }
}

/// A receipt, said by whoever sent it. Copies share the bytes.
#[derive(Debug, Clone)]
pub struct UnverifiedReceipt(Arc<Receipt>);

impl UnverifiedReceipt {
    /// Reads a compact JWS with its claims, strictly.
    /// # Errors
    /// `receipt.malformed`
    pub fn parse(compact: &str) -> Result<Self, Refusal> {
        let jws = jws::split(compact)?;
        Ok(Self(Arc::new(Receipt {
            claims: Claims::parse(jws.typ, &jws.payload)?,
            compact: compact.into(),
            hash: Sha256Hash::of(compact.as_bytes()),
            signing_bytes: jws.signing_bytes,
            signature: jws.signature,
            kid: jws.kid,
            typ: jws.typ,
        })))
    }

    /// Checks the signature with the key that the header names (one verdict: [`PublicKey::verify`]).
    /// # Errors
    /// `receipt.signature`
    pub fn verify(self, key: &PublicKey) -> Result<VerifiedReceipt, Refusal> {
        let holds = key.verify(self.signing_input(), &self.signature);
        if holds && key.kid() == self.kid {
            return Ok(VerifiedReceipt(self.0));
        }
        let sentence = format!(
            "the signature is not one of key {} over this receipt; sign the exact bytes that you send",
            self.kid
        );
        Err(Refusal::new(Code::ReceiptSignature, sentence).with("kid", self.kid))
    }
}

impl Deref for UnverifiedReceipt {
    type Target = Receipt;
    fn deref(&self) -> &Receipt {
        &self.0
    }
}

/// A receipt whose signature holds under the key that its header names. Copies share the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedReceipt(Arc<Receipt>);

impl Deref for VerifiedReceipt {
    type Target = Receipt;
    fn deref(&self) -> &Receipt {
        &self.0
    }
}

/// A receipt inside a command or entry: in JSON the compact JWS, byte for byte as received.
///
/// A server verifies before the sequencer, on many threads; an auditor lets `decide` verify. The verdict is the same.
#[derive(Debug, Clone)]
pub enum Signed {
    /// `decide` verifies it with the registered key.
    Unverified(UnverifiedReceipt),
    /// Verified with the key of its `kid`; `decide` only asks whether that key is registered and good.
    Verified(VerifiedReceipt),
}

impl Signed {
    /// The receipt, whoever said it.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        match self {
            Self::Unverified(receipt) => receipt,
            Self::Verified(receipt) => receipt,
        }
    }

    /// The receipt with its signature checked, now or before.
    /// # Errors
    /// `receipt.signature`
    pub fn verify(&self, key: &PublicKey) -> Result<VerifiedReceipt, Refusal> {
        match self {
            Self::Unverified(receipt) => receipt.clone().verify(key),
            Self::Verified(receipt) => Ok(receipt.clone()),
        }
    }
}

/// Verifies statements together, in less time than one by one (see [`signature::verify_all`]), as far as `key` knows their
/// keys. What does not hold, and what is by another key, stays unverified: `decide` says why.
pub fn verify_all<'a>(
    statements: impl Iterator<Item = &'a mut Signed>,
    key: impl Fn(Kid) -> Option<PublicKey>,
) {
    let known = statements.filter_map(|signed| {
        let Signed::Unverified(UnverifiedReceipt(receipt)) = &*signed else {
            return None;
        };
        let key = key(receipt.kid).filter(|key| key.kid() == receipt.kid)?;
        let receipt = Arc::clone(receipt);
        Some((signed, (receipt, key)))
    });
    let (statements, known): (Vec<_>, Vec<(Arc<Receipt>, PublicKey)>) = known.unzip();
    let checks = known.iter().map(|(receipt, key)| Check {
        key,
        message: receipt.signing_input(),
        signature: &receipt.signature,
    });
    let verdicts = signature::verify_all(&checks.collect::<Vec<_>>());
    let checked = statements.into_iter().zip(known).zip(verdicts);
    for ((signed, (receipt, _)), _) in checked.filter(|(_, holds)| *holds) {
        *signed = Signed::Verified(VerifiedReceipt(receipt));
    }
}

impl PartialEq for Signed {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.receipt(), other.receipt());
        // Copies share the bytes.
        std::ptr::eq(ours, theirs) || ours.compact == theirs.compact
    }
}

impl Eq for Signed {}

impl FromStr for Signed {
    type Err = Refusal;
    fn from_str(compact: &str) -> Result<Self, Refusal> {
        UnverifiedReceipt::parse(compact).map(Self::Unverified)
    }
}

impl Serialize for Signed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.receipt().compact)
    }
}

impl<'de> Deserialize<'de> for Signed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::json::text(deserializer)
    }
}

/// Signs a statement and returns the compact JWS, in the spelling that is read fastest.
#[must_use]
pub fn sign<S: Statement>(claims: &S, signer: &Signer) -> String {
    sign_by(claims, signer.public().kid(), |message| {
        signer.sign(message)
    })
}

/// Signs a statement as [`sign`] does, with the key `kid` wherever it is held.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "the claim types hold strings, integers and lists, which JSON can always write"
)]
pub fn sign_by<S: Statement>(
    claims: &S,
    kid: Kid,
    sign: impl FnOnce(&[u8]) -> [u8; SIGNATURE_BYTES],
) -> String {
    let payload = crate::json::write(claims).expect("claims are strings, integers and lists");
    jws::sign(S::TYP, &payload, kid, sign)
}

fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Refusal> {
    let text = std::str::from_utf8(payload).map_err(|_| malformed("the claims are not UTF-8"))?;
    // Derived structs refuse unknown and repeated members, and their integer types refuse fractions: one pass is enough.
    let claims = serde_json::from_str::<Object<T>>(text);
    claims
        .map(|Object(claims)| claims)
        .map_err(|fault| malformed(format!("the claims are not accepted: {fault}")))
}

fn malformed(sentence: impl Into<String>) -> Refusal {
    Refusal::new(Code::ReceiptMalformed, sentence)
}

/// Times in claims: whole UNIX seconds, as in RFC 7519 but never fractions.
mod seconds {
    use super::{Deserialize, Deserializer, Serializer, Timestamp};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.unix())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        Timestamp::new(i64::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
