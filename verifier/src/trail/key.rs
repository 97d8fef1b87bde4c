//! Keys that signatures of notes are checked with, and their names (C2SP signed-note v1.0.0, verifier keys).

use super::note::SignatureLine;
use super::{Flaw, FlawKind, cosignature, decode_base64, note};
use crate::signature::PublicKey;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Longest name of a key; the ML-DSA cosignature format writes the length in one byte.
pub const NAME_BYTES_MAX: usize = 255;

/// The name of a key: 1 … 255 bytes, no white space of any kind, no `+`, no control character.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

/// A log's origin. It is the name of the log's key as well (C2SP tlog-checkpoint; here without exception).
pub type Origin = KeyName;

impl KeyName {
    /// Reads a name.
    /// # Errors
    /// `trail.key`
    pub fn parse(name: &str) -> Result<Self, Flaw> {
        // Unicode's White_Space, not only ASCII's: a key name must not look like two.
        let bad = |c: char| c.is_whitespace() || c < ' ' || c == '+';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(bad) {
            let sentence = format!(
                "{} bytes, or white space or `+`, make no key name",
                name.len()
            );
            return Err(Flaw::new(FlawKind::Key, sentence));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a key signs, and how: the type byte of its verifier key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyType {
    /// 0x01: Ed25519 over the note's text. Logs.
    Ed25519,
    /// 0x04: Ed25519 over a time and the text (`cosignature/v1`). Witnesses.
    Cosignature,
}

impl KeyType {
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::Cosignature => 4,
        }
    }
}

/// The first four bytes of SHA-256(name ‖ `\n` ‖ type ‖ public key). A hint, never proof of anything.
pub type KeyId = [u8; 4];

/// A key that signatures of notes are checked with (`vkey`): `name+id+base64(type ‖ public key)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    key_type: KeyType,
    public: PublicKey,
    id: KeyId,
}

impl VerifierKey {
    /// Puts a key together; the id follows from the rest.
    #[must_use]
    pub fn new(name: KeyName, key_type: KeyType, public: PublicKey) -> Self {
        let mut hasher = Sha256::new_with_prefix(name.0.as_bytes());
        hasher.update([b'\n', key_type.byte()]);
        hasher.update(public.to_bytes());
        let [a, b, c, d, ..] = <[u8; 32]>::from(hasher.finalize());
        Self {
            name,
            key_type,
            public,
            id: [a, b, c, d],
        }
    }

    /// Reads a verifier key in its one spelling, with the id it must have.
    /// # Errors
    /// `trail.key`
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let flaw =
            |why: &str| Flaw::new(FlawKind::Key, format!("{text:?} is no verifier key: {why}"));
        // Base64 may hold `+` itself: split at the first two only.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(flaw("it is not name+id+key"));
        };
        let name = KeyName::parse(name)?;
        let key = decode_base64(key).ok_or_else(|| flaw("the key is not base64"))?;
        let key_type = match key.first() {
            Some(1) => KeyType::Ed25519,
            Some(4) => KeyType::Cosignature,
            _ => return Err(flaw("only types 0x01 and 0x04 are verified here")),
        };
        let public = key.get(1..).and_then(|public| public.try_into().ok());
        let public = public.ok_or_else(|| flaw("a public key has 32 bytes"))?;
        let public = PublicKey::register(public).map_err(|fault| flaw(&fault.to_string()))?;
        let parsed = Self::new(name, key_type, public);
        if parsed.to_string() != text {
            return Err(flaw(&format!("the same key is written {parsed}")));
        }
        Ok(parsed)
    }

    /// The key's name; for a log its origin.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// What the key signs.
    #[must_use]
    pub const fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// The key itself.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The key's id on signature lines.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Whether a signature line claims to be by this key.
    #[must_use]
    pub fn made(&self, line: &SignatureLine) -> bool {
        line.id() == self.id && line.name() == &self.name
    }

    /// Checks one signature line over `text`. A cosignature's time, in seconds, is returned.
    /// # Errors
    /// `trail.signature`, `trail.cosignature`
    pub fn verify(&self, text: &str, line: &SignatureLine) -> Result<Option<u64>, Flaw> {
        match self.key_type {
            KeyType::Cosignature => cosignature::verify(self, text, line).map(Some),
            KeyType::Ed25519 => note::verify(self, text, line).map(|()| None),
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.key_type.byte()];
        key.extend_from_slice(&self.public.to_bytes());
        write!(
            f,
            "{}+{:08x}+{}",
            self.name,
            u32::from_be_bytes(self.id),
            STANDARD.encode(key)
        )
    }
}

#[cfg(test)]
#[expect(
    clippy::print_stdout,
    reason = "a test says how many vectors it has run"
)]
mod tests {
    use super::super::note::NoteSigner;
    use super::super::vectors::{bytes, list, number, text};
    use super::*;
    use crate::signature::Signer;
    use proptest::prelude::*;

    #[test]
    fn keys_are_those_of_the_vectors() {
        let cases = list("keys");
        for case in &cases {
            let name = KeyName::parse(text(&case["name"])).unwrap();
            let signer = Signer::from_seed(&bytes(&case["seed"]).try_into().unwrap());
            assert_eq!(
                signer.public().to_bytes().as_slice(),
                bytes(&case["public"])
            );
            let key = match number(&case["type"]) {
                1 => NoteSigner::new(name, signer).key().clone(),
                _ => cosignature::Cosigner::new(name, signer).key().clone(),
            };
            assert_eq!(key.id().as_slice(), bytes(&case["id"]));
            assert_eq!(key.to_string(), text(&case["vkey"]));
            assert_eq!(VerifierKey::parse(text(&case["vkey"])), Ok(key));
        }
        println!("keys: {} vectors", cases.len());
        assert_eq!(cases.len(), 4);
    }

    #[test]
    fn a_key_in_another_spelling_is_refused() {
        let good = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
        assert!(VerifierKey::parse(good).is_ok());
        let bad = [
            "",
            "example.com/foo",
            "example.com/foo+530d903a",
            "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", // upper case
            "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", // other id
            "example.com/foo+0530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", // longer id
            "example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", // other name
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",  // cut
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k=",
            "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", // type 0x02
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\n",
            "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        ];
        for text in bad {
            assert_eq!(
                VerifierKey::parse(text).unwrap_err().kind(),
                FlawKind::Key,
                "{text}"
            );
        }
    }

    #[test]
    fn a_weak_key_is_refused_though_its_id_is_right() {
        // The identity: for it R = identity, S = 0 signs any message.
        let public = [&[1_u8] as &[u8], &[1], &[0; 31]].concat();
        let mut hasher = Sha256::new_with_prefix(b"weak\n");
        hasher.update(&public);
        let id = hasher
            .finalize()
            .iter()
            .take(4)
            .fold(String::new(), |id, b| format!("{id}{b:02x}"));
        let flaw =
            VerifierKey::parse(&format!("weak+{id}+{}", STANDARD.encode(public))).unwrap_err();
        assert!(
            flaw.sentence().ends_with("the key is of small order"),
            "{flaw}"
        );
    }

    #[test]
    fn a_name_has_no_space_of_any_kind_and_no_plus() {
        assert!(KeyName::parse("quan.example/上海").is_ok());
        assert!(KeyName::parse(&"a".repeat(NAME_BYTES_MAX)).is_ok());
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        for bad in [
            "",
            "a b",
            "a\u{a0}b",
            "a\u{2003}b",
            "a\u{3000}b",
            "a+b",
            "a\nb",
            "a\0b",
            &long,
        ] {
            assert!(KeyName::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn junk_is_no_key_and_never_panics(text in "(\\PC{0,9}\\+[0-9a-f]{8}\\+A[A-Za-z0-9+/]{43}=?|\\PC{0,60})") {
            if let Ok(key) = VerifierKey::parse(&text) {
                prop_assert_eq!(key.to_string(), text);
            }
        }
    }
}
