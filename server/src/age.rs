//! The age v1 file format for X25519 recipients (C2SP age.md): how datasets lie at rest, and how they leave for a buyer's key.
//!
//! Streams only: a chunk of 64 KiB is in memory at a time, and a reader seeks by its number. What was cut, exchanged, or flipped is
//! refused, never given out. Passphrases, plugins and armour are not here. Who calls: `dataset::blob`, downloads. The format's own
//! test kit is in `fixtures/vectors/age`.

mod bech32;
mod header;
mod stream;

#[cfg(test)]
mod tests;

pub use header::sealed_bytes;
pub use stream::{CHUNK_BYTES, Reader, Writer};

use curve25519_dalek::montgomery::MontgomeryPoint;
use ring::hkdf;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::fmt;
use std::io;

/// Why a sealed file is not read, or not made.
#[derive(Debug)]
pub enum Fault {
    /// The bytes below could not be read or written.
    File(io::Error),
    /// The header is not one of age v1, or was changed.
    Header(&'static str),
    /// It is sealed, but not for this identity.
    NoMatch,
    /// The payload was cut, exchanged, or changed.
    Payload(&'static str),
    /// The operating system gave no randomness.
    NoRandom,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(_) => f.write_str("the bytes of an age file cannot be read or written"),
            Self::Header(why) => write!(f, "no age file, or one that was changed: {why}"),
            Self::NoMatch => f.write_str("the age file is sealed for somebody else"),
            Self::Payload(why) => write!(f, "the age file was cut or changed: {why}"),
            Self::NoRandom => f.write_str("the operating system gave no random bytes"),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(fault) => Some(fault),
            Self::Header(_) | Self::NoMatch | Self::Payload(_) | Self::NoRandom => None,
        }
    }
}

impl From<io::Error> for Fault {
    /// A fault of ours that came up through `Read` or `Write` is itself again.
    fn from(fault: io::Error) -> Self {
        match fault.downcast::<Self>() {
            Ok(ours) => ours,
            Err(theirs) => Self::File(theirs),
        }
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::File(fault) => fault,
            other @ (Fault::Header(_) | Fault::NoMatch | Fault::Payload(_) | Fault::NoRandom) => {
                Self::new(io::ErrorKind::InvalidData, other)
            }
        }
    }
}

/// The secret that opens. It has no `Debug`.
pub struct Identity([u8; 32]);

impl Identity {
    /// Takes 32 secret bytes; X25519 clamps them.
    #[must_use]
    pub const fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// Reads `AGE-SECRET-KEY-1…`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = bech32::decode("age-secret-key-", text)?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// Whom to seal for, so that this opens it.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        Recipient(MontgomeryPoint::mul_base_clamped(self.0).to_bytes())
    }

    /// What both sides of an exchange share; none where the other's half is of small order.
    fn shared_with(&self, half: &[u8; 32]) -> Option<[u8; 32]> {
        let shared = MontgomeryPoint(*half).mul_clamped(self.0).to_bytes();
        (shared != [0; 32]).then_some(shared)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity of {}", self.recipient())
    }
}

/// Whom to seal for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipient([u8; 32]);

impl Recipient {
    /// Reads `age1…`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = bech32::decode("age", text)?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bech32::encode("age", &self.0))
    }
}

/// The key of one file.
struct FileKey([u8; 16]);

fn random<const N: usize>() -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    let drawn = SystemRandom::new().fill(&mut bytes);
    drawn.map(|()| bytes).map_err(|_| Fault::NoRandom)
}

/// HKDF-SHA-256, 32 bytes (RFC 5869).
fn derived(secret: &[u8], salt: &[u8], info: &str) -> [u8; 32] {
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    let info = [info.as_bytes()];
    let mut key = [0; 32];
    let expanded = extracted.expand(&info, hkdf::HKDF_SHA256);
    let filled = expanded.and_then(|expanded| expanded.fill(&mut key));
    // INVARIANT: 32 bytes are one block of SHA-256; ring refuses only more than 255 of them.
    assert!(filled.is_ok());
    key
}
