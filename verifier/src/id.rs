//! Ids: one grammar, one macro (DESIGN §4.6).
//!
//! A drawn id is a prefix, `-`, and 16 lower-case RFC 4648 base32 characters of the first 80 bits of
//! SHA-256(salt ‖ seq as u64 BE ‖ prefix ‖ n as u8): nobody chooses it, anybody recomputes it. A chosen id (programme,
//! fund, list …) is `[a-z0-9-]{3,48}`. No id holds a `/`, so ids can be joined into account and counter names.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAnId {
    /// What was expected, e.g. `pty-` and 16 characters of `a-z2-7`.
    pub expected: &'static str,
}

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.expected)
    }
}

impl std::error::Error for NotAnId {}

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// 16 random-looking bytes of the operating system's generator, one a command (DESIGN §4.6).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 16]);

impl Salt {
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

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// 32 bytes that are SHA-256 of something: base64url without padding in every text form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Hash([u8; 32]);

impl Sha256Hash {
    /// Takes 32 bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Hashes bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 43 characters of base64url without padding and without spare bits.
    /// # Errors
    /// [`NotAnId`].
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        decode_32(text).map(Self).ok_or(NotAnId {
            expected: "32 bytes in base64url without padding",
        })
    }
}

impl Sha256Hash {
    /// Hands over the text, which is made on the stack.
    pub(crate) fn with_text<T>(&self, then: impl FnOnce(&str) -> T) -> T {
        let mut text = [0; 43];
        // 32 bytes fill 43 characters.
        let length = URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).unwrap_or(0);
        let text = text.get(..length).unwrap_or_default();
        then(std::str::from_utf8(text).unwrap_or_default())
    }
}

/// 32 bytes from strict base64url. `URL_SAFE_NO_PAD` refuses padding, white space and spare bits.
pub(crate) fn decode_32(text: &str) -> Option<[u8; 32]> {
    // Room for the decoder's estimate, which exceeds what it writes.
    let mut buffer = [0; 36];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut buffer).ok()?;
    buffer.get(..length)?.try_into().ok()
}

/// Bytes in lower-case hexadecimal, where another's format wants them so: ours are base64url.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.write_str(text))
    }
}

impl fmt::Debug for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The digest of a document or manifest: `sha-256:` and 43 characters (RFC 9530 names the algorithm so).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentDigest(Sha256Hash);

impl DocumentDigest {
    /// Hashes a document.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256Hash::of(bytes))
    }

    /// The hash without its algorithm's name.
    #[must_use]
    pub const fn hash(&self) -> &Sha256Hash {
        &self.0
    }

    /// Reads `sha-256:…`.
    /// # Errors
    /// [`NotAnId`].
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        let rest = text.strip_prefix("sha-256:");
        let rest = rest.ok_or(NotAnId {
            expected: "sha-256: and a base64url hash",
        })?;
        Sha256Hash::parse(rest).map(Self)
    }
}

impl DocumentDigest {
    pub(crate) fn with_text<T>(&self, then: impl FnOnce(&str) -> T) -> T {
        const PREFIX: &[u8; 8] = b"sha-256:";
        self.0.with_text(|hash| {
            let mut text = [0; 51];
            let (prefix, rest) = text.split_at_mut(PREFIX.len());
            prefix.copy_from_slice(PREFIX);
            rest.copy_from_slice(hash.as_bytes());
            then(std::str::from_utf8(&text).unwrap_or_default())
        })
    }
}

impl fmt::Display for DocumentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.write_str(text))
    }
}

/// The 16 base32 characters of a drawn id.
type Drawn = [u8; 16];

fn draw(salt: &Salt, seq: u64, prefix: &str, n: u8) -> Drawn {
    let mut hasher = Sha256::new();
    hasher.update(salt.0);
    hasher.update(seq.to_be_bytes());
    hasher.update(prefix.as_bytes());
    hasher.update([n]);
    let digest: [u8; 32] = hasher.finalize().into();
    let bits = digest
        .iter()
        .take(10)
        .fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    std::array::from_fn(|i| {
        let index = (bits >> (75 - 5 * i)) & 31;
        // The index is below 32 by the mask.
        usize::try_from(index)
            .ok()
            .and_then(|i| BASE32.get(i))
            .copied()
            .unwrap_or(b'a')
    })
}

fn parse_drawn(text: &str, prefix: &str) -> Option<Drawn> {
    let rest = text.strip_prefix(prefix)?.strip_prefix('-')?;
    let drawn: Drawn = rest.as_bytes().try_into().ok()?;
    let base32 = |c: &u8| matches!(c, b'a'..=b'z' | b'2'..=b'7');
    drawn.iter().all(base32).then_some(drawn)
}

macro_rules! drawn_id {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(Drawn);

        impl Ord for $name {
            /// As the bytes, in one comparison: maps of all that the exchange knows are searched by it.
            fn cmp(&self, other: &Self) -> Ordering {
                u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl $name {
            /// The prefix of this kind of id.
            pub const PREFIX: &'static str = $prefix;

            /// Draws the id number `n` of the entry `seq`.
            #[must_use]
            pub fn draw(salt: &Salt, seq: u64, n: u8) -> Self {
                Self(draw(salt, seq, $prefix, n))
            }

            /// Reads the prefix, `-` and 16 characters of `a-z2-7`.
            /// # Errors
            /// [`NotAnId`].
            pub fn parse(text: &str) -> Result<Self, NotAnId> {
                let expected = concat!($prefix, "- and 16 characters of a-z2-7");
                parse_drawn(text, $prefix).map(Self).ok_or(NotAnId { expected })
            }

            /// Hands over the text, which is made on the stack.
            pub(crate) fn with_text<T>(&self, then: impl FnOnce(&str) -> T) -> T {
                const HEAD: &str = concat!($prefix, "-");
                let mut text = [0; HEAD.len() + 16];
                let (head, drawn) = text.split_at_mut(HEAD.len());
                head.copy_from_slice(HEAD.as_bytes());
                drawn.copy_from_slice(&self.0);
                then(std::str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.with_text(|text| f.write_str(text))
            }
        }
        as_text!($name);
        packed_newtype!($name);
    )*};
}

macro_rules! chosen_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads `[a-z0-9-]{3,48}`.
            /// # Errors
            /// [`NotAnId`].
            pub fn parse(text: &str) -> Result<Self, NotAnId> {
                let good = (3..=48).contains(&text.len())
                    && text.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-'));
                if good { Ok(Self(text.into())) } else {
                    Err(NotAnId { expected: "3 to 48 characters of a-z, 0-9 and -" })
                }
            }

            /// The text of the id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub(crate) fn with_text<T>(&self, then: impl FnOnce(&str) -> T) -> T {
                then(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        as_text!($name);
        packed_newtype!($name);
    )*};
}

macro_rules! as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.with_text(|text| serializer.serialize_str(text))
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::json::text(deserializer)
            }
        }
        impl std::str::FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                Self::parse(text)
            }
        }
    };
}

macro_rules! debug_as_text {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

drawn_id! {
    /// A legal person on the exchange.
    PartyId = "pty";
    /// A credential of a person or service that acts for a party.
    ActorId = "act";
    /// A data centre's hardware in one place.
    SiteId = "sit";
    /// A published offer of a provider.
    OfferId = "off";
    /// An order.
    OrderId = "ord";
    /// A voucher.
    VoucherId = "vch";
    /// A case.
    CaseId = "cas";
    /// A listed dataset; its versions are named by manifest digests.
    DatasetId = "ds";
    /// A payout batch.
    BatchId = "bat";
}

chosen_id! {
    /// A programme, e.g. `henan-compute-2023`.
    ProgrammeId;
    /// A fund, e.g. `ha-province-2025`.
    FundId;
    /// Who fills a fund, e.g. `henan-finance`.
    FunderId;
    /// A provider list, e.g. `ha-2025`.
    ListId;
    /// An accelerator model, e.g. `nvidia-h100-sxm` (facts/metering.md §6).
    GpuModel;
}

debug_as_text!(
    PartyId, ActorId, SiteId, OfferId, OrderId, VoucherId, CaseId, DatasetId, BatchId
);
debug_as_text!(ProgrammeId, FundId, FunderId, ListId, GpuModel);
as_text!(Sha256Hash);
as_text!(DocumentDigest);
packed_newtype!(Salt, Sha256Hash, DocumentDigest);

impl Serialize for Salt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; 22];
        // 16 bytes fill 22 characters.
        let length = URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).unwrap_or(0);
        let text = text.get(..length).unwrap_or_default();
        serializer.serialize_str(std::str::from_utf8(text).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Salt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::json::text_by(deserializer, |text| {
            // Room for the decoder's estimate, which may exceed what it writes.
            let mut bytes = [0; 24];
            let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes);
            let bytes = length.ok().and_then(|length| bytes.get(..length));
            let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
            bytes.map(Self).ok_or("expected 16 bytes")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_recomputed_from_salt_seq_prefix_and_number() {
        let salt = Salt::new([7; 16]);
        let id = PartyId::draw(&salt, 41, 0);
        assert_eq!(id, PartyId::draw(&salt, 41, 0));
        assert_ne!(id.to_string(), PartyId::draw(&salt, 41, 1).to_string());
        assert_ne!(
            id.to_string().get(4..),
            OrderId::draw(&salt, 41, 0).to_string().get(4..)
        );
        assert_eq!(PartyId::parse(&id.to_string()), Ok(id));
        assert_eq!(id.to_string().len(), 20);
    }

    #[test]
    fn only_the_one_spelling_of_an_id_is_read() {
        for bad in [
            "pty-aaaaaaaaaaaaaaa",
            "pty-aaaaaaaaaaaaaaaa1",
            "ord-aaaaaaaaaaaaaaaa",
            "pty-AAAAAAAAAAAAAAAA",
            "pty-aaaaaaaaaaaaaa/a",
            "pty_aaaaaaaaaaaaaaaa",
            "",
        ] {
            assert!(PartyId::parse(bad).is_err(), "{bad}");
        }
        for bad in ["ab", "Ab-c", "a/b/c", "a b c", "a_b_c"] {
            assert!(FundId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hash_with_spare_bits_is_refused() {
        let text = Sha256Hash::of(b"").to_string();
        assert_eq!(
            Sha256Hash::parse(&text).map(|h| h.to_string()),
            Ok(text.clone())
        );
        let spare = format!("{}V", text.strip_suffix('U').unwrap());
        assert!(Sha256Hash::parse(&spare).is_err());
        assert!(Sha256Hash::parse(&format!("{text}=")).is_err());
    }
}
