//! A transparency log of *opaque bytes*: tree, tiles, checkpoints, cosignatures, proofs (RFC 6962, C2SP, DESIGN §5).
//!
//! Knows nothing of vouchers and nothing of the rest of this crate but [`crate::signature`]. It never repairs:
//! bytes are read in one spelling only, and what does not hold is a [`Flaw`]. The server publishes with it, the
//! auditor checks with it. From the bottom: [`tree`], [`tile`] and [`bundle`], [`growth`] · [`key`], [`note`],
//! [`cosignature`], [`checkpoint`] · [`history`] · [`policy`], [`proof`], [`witness`]. The byte forms are in `FORMATS.md`.

pub mod bundle;
pub mod checkpoint;
pub mod cosignature;
pub mod growth;
pub mod history;
pub mod key;
pub mod note;
pub mod policy;
pub mod proof;
pub mod tile;
pub mod tree;
#[cfg(test)]
mod vectors;
pub mod witness;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::fmt;

/// Length of a SHA-256 hash in bytes.
pub const HASH_BYTES: usize = 32;
/// The largest number in any of the formats: 2⁶³ − 1, where Go and the cosignature format stop.
pub const NUMBER_MAX: u64 = (1 << 63) - 1;

/// A SHA-256 hash of a leaf, a node or a whole tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; HASH_BYTES]);

impl Hash {
    /// The root of the empty tree: SHA-256 of nothing (RFC 6962 §2.1).
    pub const EMPTY: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9,
        0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52,
        0xb8, 0x55,
    ]);

    /// Takes the bytes of a hash computed or stored elsewhere.
    #[must_use]
    pub const fn new(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }

    /// Reads standard base64, one spelling a hash; `None` for everything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        decode_base64(text)?.try_into().ok().map(Self)
    }
}

/// As in a checkpoint: standard base64 with padding, 44 characters.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// How many entries a tree has: 0 … 2⁶³ − 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeSize(u64);

impl TreeSize {
    /// The empty tree.
    pub const ZERO: Self = Self(0);

    /// Takes a number of entries; `None` above [`NUMBER_MAX`].
    #[must_use]
    pub const fn new(size: u64) -> Option<Self> {
        if size > NUMBER_MAX {
            None
        } else {
            Some(Self(size))
        }
    }

    /// Reads a decimal: no sign, no leading zero.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse_decimal(text, NUMBER_MAX).map(Self)
    }

    /// The number of entries.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What kind of thing does not hold. The text of [`FlawKind::as_str`] is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlawKind {
    /// A signed note that cannot be read.
    Note,
    /// A verifier key that cannot be read, or of a type we do not verify.
    Key,
    /// A checkpoint that cannot be read.
    Checkpoint,
    /// A checkpoint of a log that the policy does not know, or signed under another name than its origin.
    Origin,
    /// A known key's signature does not verify, or no known key signed.
    Signature,
    /// A cosignature that cannot be read or states no time.
    Cosignature,
    /// Too few witnesses for the policy.
    Quorum,
    /// No tile or bundle has this path.
    TilePath,
    /// A tile of another length or with other hashes than its place demands.
    Tile,
    /// An entry bundle that cannot be read.
    Bundle,
    /// A part of the history of checkpoints that cannot be read.
    History,
    /// A proof that cannot be read, or of another length than its tree demands.
    Proof,
    /// Two roots that have to be equal are not.
    Root,
    /// A stored right edge that fits no tree.
    Frontier,
    /// A policy that cannot be read.
    Policy,
    /// A checkpoint with extension lines: a finding, not a reason to refuse.
    Extension,
    /// A log that is shorter than somebody has seen it.
    Rollback,
    /// A log that is not the one which somebody has seen: two trees of one size, or a tree that is no prefix.
    Fork,
    /// A request to a witness that cannot be read.
    WitnessRequest,
    /// An answer of a witness that is none of the protocol's.
    WitnessAnswer,
    /// A witness does not cosign: it does not know the log or its key, or cannot.
    WitnessRefused,
    /// A witness has cosigned another size than it was told.
    WitnessSize,
    /// A witness has cosigned a larger tree than this one.
    WitnessAhead,
    /// A witness has cosigned a tree that this one does not continue.
    WitnessRoot,
    /// A cosignature from a time that the reader's clock has not reached.
    CosignatureFuture,
    /// A checkpoint that no witness has seen for long.
    Stale,
    /// A checkpoint that lacks the signature of a key that the log had when it grew to this size.
    KeyRotated,
    /// A log that goes on from another one whose first entries it is not shown to have.
    Past,
}

impl FlawKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Note,
        Self::Key,
        Self::Checkpoint,
        Self::Origin,
        Self::Signature,
        Self::Cosignature,
        Self::Quorum,
        Self::TilePath,
        Self::Tile,
        Self::Bundle,
        Self::History,
        Self::Proof,
        Self::Root,
        Self::Frontier,
        Self::Policy,
        Self::Extension,
        Self::Rollback,
        Self::Fork,
        Self::WitnessRequest,
        Self::WitnessAnswer,
        Self::WitnessRefused,
        Self::WitnessSize,
        Self::WitnessAhead,
        Self::WitnessRoot,
        Self::CosignatureFuture,
        Self::Stale,
        Self::KeyRotated,
        Self::Past,
    ];

    /// The stable code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "trail.note",
            Self::Key => "trail.key",
            Self::Checkpoint => "trail.checkpoint",
            Self::Origin => "trail.origin",
            Self::Signature => "trail.signature",
            Self::Cosignature => "trail.cosignature",
            Self::Quorum => "trail.quorum",
            Self::TilePath => "trail.tile-path",
            Self::Tile => "trail.tile",
            Self::Bundle => "trail.bundle",
            Self::History => "trail.history",
            Self::Proof => "trail.proof",
            Self::Root => "trail.root",
            Self::Frontier => "trail.frontier",
            Self::Policy => "trail.policy",
            Self::Extension => "trail.extension",
            Self::Rollback => "trail.rollback",
            Self::Fork => "trail.fork",
            Self::WitnessRequest => "trail.witness-request",
            Self::WitnessAnswer => "trail.witness-answer",
            Self::WitnessRefused => "trail.witness-refused",
            Self::WitnessSize => "trail.witness-size",
            Self::WitnessAhead => "trail.witness-ahead",
            Self::WitnessRoot => "trail.witness-root",
            Self::CosignatureFuture => "trail.cosignature-future",
            Self::Stale => "trail.stale",
            Self::KeyRotated => "trail.key-rotated",
            Self::Past => "trail.past",
        }
    }
}

/// Something in a trail that does not hold: a stable code and a sentence with the particulars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    kind: FlawKind,
    sentence: String,
}

impl Flaw {
    /// Names what does not hold.
    #[must_use]
    pub fn new(kind: FlawKind, sentence: impl Into<String>) -> Self {
        Self {
            kind,
            sentence: sentence.into(),
        }
    }

    /// What kind of thing does not hold.
    #[must_use]
    pub const fn kind(&self) -> FlawKind {
        self.kind
    }

    /// The stable code, such as `trail.note`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.kind.as_str()
    }

    /// What exactly, for a person.
    #[must_use]
    pub fn sentence(&self) -> &str {
        &self.sentence
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.sentence)
    }
}

impl std::error::Error for Flaw {}

/// Reads an ASCII decimal up to `max`. `u64::from_str` alone would take `+5` and `05`.
fn parse_decimal(text: &str, max: u64) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok().filter(|number| *number <= max)
}

/// Reads standard base64. `STANDARD` refuses missing padding, white space and spare bits (RFC 4648 §3.5).
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_has_one_spelling() {
        assert_eq!(parse_decimal("0", NUMBER_MAX), Some(0));
        assert_eq!(
            parse_decimal("9223372036854775807", NUMBER_MAX),
            Some(NUMBER_MAX)
        );
        let bad = [
            "",
            "+5",
            "-5",
            "05",
            "00",
            "5 ",
            " 5",
            "５",
            "1e3",
            "0x1",
            "9223372036854775808",
        ];
        for text in bad {
            assert_eq!(parse_decimal(text, NUMBER_MAX), None, "{text}");
        }
    }

    #[test]
    fn a_hash_has_one_spelling() {
        let good = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert_eq!(Hash::parse(good), Some(Hash::EMPTY));
        assert_eq!(Hash::EMPTY.to_string(), good);
        let bad = [
            "",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", // no padding
            "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=", // url-safe
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=", // spare bits
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFW=",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFX=",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= ", // white space
            "47DEQpj8HBSa+/TImW+5\nJCeuQeRkm5NMpJWZG3hSuFU=",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuA==", // 31 bytes
        ];
        for text in bad {
            assert_eq!(Hash::parse(text), None, "{text}");
        }
    }

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = FlawKind::ALL.iter().map(|kind| kind.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), FlawKind::ALL.len());
    }
}
