//! The words of tus 1.0.0 in headers: versions, lengths, checksums, metadata. Pure; `http::upload` reads requests by it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use verifier::refusal::{Code, Refusal};

/// The one version that is spoken.
pub const VERSION: &str = "1.0.0";
/// What is spoken beyond the core.
pub const EXTENSIONS: &str = "creation,creation-with-upload,checksum,termination,expiration";
/// What a chunk can be summed by.
pub const ALGORITHMS: &str = "sha1,sha256";
/// The media type of a chunk.
pub const CHUNK: &str = "application/offset+octet-stream";
/// The longest metadata: a path of 1 024 characters and a few words, in base64.
const METADATA_BYTES_MAX: usize = 8 << 10;

/// Reads a length or an offset: digits, nothing else.
/// # Errors
/// `request.malformed`
pub fn number(header: &'static str, text: &str) -> Result<u64, Refusal> {
    let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.ok_or_else(|| malformed(format!("{header}: {text:?} is no count of bytes")))
}

fn malformed(sentence: String) -> Refusal {
    Refusal::new(Code::RequestMalformed, sentence)
}

/// What a client says a chunk is summed to (tus, "Checksum").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sum {
    /// SHA-1, which the protocol asks every server to know: against slips, not against forgers.
    Sha1([u8; 20]),
    /// SHA-256.
    Sha256([u8; 32]),
}

impl Sum {
    /// Reads `Upload-Checksum: sha1|sha256 <base64>`.
    /// # Errors
    /// `request.malformed`
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let bad = || {
            malformed(format!(
                "Upload-Checksum: {text:?} is not one of {ALGORITHMS} with its digest in base64"
            ))
        };
        let (name, digest) = text.split_once(' ').ok_or_else(bad)?;
        let digest = STANDARD.decode(digest).map_err(|_| bad())?;
        match name {
            "sha1" => digest.try_into().map(Self::Sha1).map_err(|_| bad()),
            "sha256" => digest.try_into().map(Self::Sha256).map_err(|_| bad()),
            _ => Err(bad()),
        }
    }

    /// What sums the chunk.
    #[must_use]
    pub fn begin(self) -> Summing {
        match self {
            Self::Sha1(wanted) => Summing::Sha1(Sha1::new(), wanted),
            Self::Sha256(wanted) => Summing::Sha256(Box::new(Sha256::new()), wanted),
        }
    }
}

/// A chunk being summed.
#[derive(Debug)]
pub enum Summing {
    /// By SHA-1.
    Sha1(Sha1, [u8; 20]),
    /// By SHA-256.
    Sha256(Box<Sha256>, [u8; 32]),
}

impl Summing {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(sum, _) => sum.update(bytes),
            Self::Sha256(sum, _) => sum.update(bytes),
        }
    }

    /// Whether the chunk is what the client said.
    #[must_use]
    pub fn holds(self) -> bool {
        match self {
            Self::Sha1(sum, wanted) => sum.finalize()[..] == wanted,
            Self::Sha256(sum, wanted) => sum.finalize()[..] == wanted,
        }
    }
}

/// What a client says about the file (tus, "Upload-Metadata"): keys with base64 or without a value. Unknown keys are kept and echoed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// As it was given, for HEAD.
    pub text: String,
    /// Where the file stands in its dataset; empty where it is not said.
    pub filename: String,
    /// What the whole file must be.
    pub sha256: Option<[u8; 32]>,
    /// `handle/name` of a listing.
    pub listing: Option<String>,
}

impl Metadata {
    /// Reads the header; an empty one says nothing (tuspy sends that).
    /// # Errors
    /// `request.malformed`
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let bad = |why: &str| malformed(format!("Upload-Metadata: {why}"));
        if text.len() > METADATA_BYTES_MAX {
            return Err(bad("longer than 8 KiB"));
        }
        if !text.bytes().all(|c| (b' '..=b'~').contains(&c)) {
            return Err(bad("only ASCII may stand there; values are base64"));
        }
        let mut metadata = Self {
            text: text.to_owned(),
            ..Self::default()
        };
        let mut keys = Vec::new();
        if text.trim().is_empty() {
            return Ok(metadata);
        }
        for pair in text.split(',') {
            let (key, value) = pair.trim().split_once(' ').unwrap_or((pair.trim(), ""));
            if key.is_empty() || keys.contains(&key) {
                return Err(bad("each key stands once and has a name"));
            }
            keys.push(key);
            let value = STANDARD
                .decode(value)
                .map_err(|_| bad("a value is not base64"))?;
            metadata.take(key, value).map_err(bad)?;
        }
        Ok(metadata)
    }

    fn take(&mut self, key: &str, value: Vec<u8>) -> Result<(), &'static str> {
        let words = |value| String::from_utf8(value).map_err(|_| "a value is not UTF-8");
        match key {
            "filename" => self.filename = words(value)?,
            "listing" => self.listing = Some(words(value)?),
            "sha256" => self.sha256 = Some(digest(value).ok_or("sha256 is 64 hexadecimal digits")?),
            _ => {}
        }
        Ok(())
    }
}

/// 32 bytes, or 64 hexadecimal digits of them.
fn digest(value: Vec<u8>) -> Option<[u8; 32]> {
    let digits = match <[u8; 32]>::try_from(value) {
        Ok(bytes) => return Some(bytes),
        Err(digits) => <[u8; 64]>::try_from(digits).ok()?,
    };
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        let hexadecimal = pair.bytes().all(|c| c.is_ascii_hexdigit());
        *byte = u8::from_str_radix(pair, 16).ok().filter(|_| hexadecimal)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_digits() {
        assert_eq!(number("Upload-Length", "0"), Ok(0));
        assert_eq!(number("Upload-Length", "5368709120"), Ok(5_368_709_120));
        for bad in [
            "",
            "-1",
            "+1",
            "1.5",
            "0x1",
            " 1",
            "abc",
            "18446744073709551616",
        ] {
            let refused = number("Upload-Length", bad).unwrap_err();
            assert_eq!(refused.code, Code::RequestMalformed, "{bad}");
        }
    }

    #[test]
    fn a_checksum_is_of_a_known_name_and_length() {
        let mut sum = Sum::parse("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")
            .unwrap()
            .begin();
        sum.update(b"hello ");
        sum.update(b"world");
        assert!(sum.holds());
        let mut sum = Sum::parse("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")
            .unwrap()
            .begin();
        sum.update(b"hello World");
        assert!(!sum.holds());
        let sha256 = format!("sha256 {}", STANDARD.encode(Sha256::digest(b"x")));
        let mut sum = Sum::parse(&sha256).unwrap().begin();
        sum.update(b"x");
        assert!(sum.holds());
        for bad in [
            "",
            "sha1",
            "sha1 ",
            "md5 AAAA",
            "SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
            "sha1 AAAA",
            "sha256 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
            "sha1  Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
        ] {
            assert!(Sum::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn metadata_is_read_and_kept_as_it_was_given() {
        let sha = STANDARD.encode("ab".repeat(32));
        let text = format!(
            "filename {},is_secret,sha256 {sha},listing aC9u",
            STANDARD.encode("训练/a.jsonl")
        );
        let metadata = Metadata::parse(&text).unwrap();
        assert_eq!(metadata.text, text);
        assert_eq!(metadata.filename, "训练/a.jsonl");
        assert_eq!(metadata.sha256, Some([0xab; 32]));
        assert_eq!(metadata.listing.as_deref(), Some("h/n"));
        assert_eq!(Metadata::parse("").unwrap(), Metadata::default());
        let raw = format!("sha256 {}", STANDARD.encode([7; 32]));
        assert_eq!(Metadata::parse(&raw).unwrap().sha256, Some([7; 32]));
    }

    #[test]
    fn metadata_that_is_none_is_refused() {
        let long = format!("a {}", "A".repeat(METADATA_BYTES_MAX));
        for bad in [
            ",",
            "a b",
            "a !!!!",
            "a AA==,a AA==",
            "filename /w==",
            "a\u{7f}",
            "sha256 AAAA",
            "é",
            &long,
            "a AA== AA==",
        ] {
            assert!(Metadata::parse(bad).is_err(), "{bad}");
        }
    }
}
