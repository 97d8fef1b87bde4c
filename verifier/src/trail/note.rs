//! Signed notes and verifier keys (C2SP signed-note v1.0.0): a text, an empty line, signature lines.

use super::{Flaw, FlawKind, cosignature, decode_base64};
use crate::signature::{PublicKey, SIGNATURE_BYTES, Signer};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Longest note in bytes, as in Go's `x/mod/sumdb/note`.
pub const NOTE_BYTES_MAX: usize = 1_000_000;
/// Most signature lines of a note, as in Go's `x/mod/sumdb/note`.
pub const SIGNATURES_MAX: usize = 100;
/// Longest name of a key; the ML-DSA cosignature format writes the length in one byte.
pub const NAME_BYTES_MAX: usize = 255;
/// Em dash and space: every signature line starts so.
const LINE_START: &str = "— ";

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
        line.id == self.id && line.name == self.name
    }

    /// Checks one signature line over `text`. A cosignature's time, in seconds, is returned.
    /// # Errors
    /// `trail.signature`, `trail.cosignature`
    pub fn verify(&self, text: &str, line: &SignatureLine) -> Result<Option<u64>, Flaw> {
        match self.key_type {
            KeyType::Cosignature => cosignature::verify(self, text, line).map(Some),
            KeyType::Ed25519 => {
                let signature = <&[u8; SIGNATURE_BYTES]>::try_from(line.signature.as_slice());
                if signature.is_ok_and(|signature| self.public.verify(text.as_bytes(), signature)) {
                    return Ok(None);
                }
                Err(bad_signature(line))
            }
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

pub(super) fn bad_signature(line: &SignatureLine) -> Flaw {
    Flaw::new(
        FlawKind::Signature,
        format!("the signature by {} does not verify", line.name),
    )
}

/// One signature of a note, not yet checked: `— name base64(id ‖ signature)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    name: KeyName,
    id: KeyId,
    signature: Vec<u8>,
}

impl SignatureLine {
    pub(super) fn new(key: &VerifierKey, signature: Vec<u8>) -> Self {
        Self {
            name: key.name.clone(),
            id: key.id,
            signature,
        }
    }

    /// Reads lines, each with its line end, as a note has them and a witness answers them.
    /// # Errors
    /// `trail.note`: none, more than [`SIGNATURES_MAX`], or one that cannot be read.
    pub fn parse_all(lines: &str) -> Result<Vec<Self>, Flaw> {
        let flaw = |why| Flaw::new(FlawKind::Note, why);
        let lines = lines
            .strip_suffix('\n')
            .ok_or_else(|| flaw("the last line has no line end"))?;
        let parsed: Vec<_> = lines
            .split('\n')
            .take(SIGNATURES_MAX + 1)
            .map(Self::parse)
            .collect::<Option<_>>()
            .ok_or_else(|| flaw("a signature line is not `— name base64`"))?;
        if parsed.len() > SIGNATURES_MAX {
            return Err(flaw("more than 100 signatures"));
        }
        Ok(parsed)
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, payload) = line.strip_prefix(LINE_START)?.split_once(' ')?;
        let payload = decode_base64(payload)?;
        let (id, signature) = payload.split_first_chunk()?;
        if signature.is_empty() {
            return None;
        }
        Some(Self {
            name: KeyName::parse(name).ok()?,
            id: *id,
            signature: signature.to_vec(),
        })
    }

    /// The name of the key that is said to have signed.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The id of the key that is said to have signed.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// What follows the key's id.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

/// The line with its line end.
impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = [self.id.as_slice(), &self.signature].concat();
        writeln!(f, "{LINE_START}{} {}", self.name, STANDARD.encode(payload))
    }
}

/// A note as read: its text and signatures, of which none is checked. Printing gives the bytes read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

/// A signature that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'k> {
    /// Who signed.
    pub key: &'k VerifierKey,
    /// A cosignature's time in Unix seconds; `None` for other signatures.
    pub time: Option<u64>,
}

impl Note {
    /// Reads a note.
    /// # Errors
    /// `trail.note`
    pub fn parse(bytes: &[u8]) -> Result<Self, Flaw> {
        let flaw = |why| Flaw::new(FlawKind::Note, why);
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(flaw("more than 1 MB"));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| flaw("not UTF-8"))?;
        check_characters(note)?;
        // The text may have empty lines itself: the last one separates.
        let split = note
            .rfind("\n\n")
            .ok_or_else(|| flaw("no empty line before the signatures"))?;
        let (text, signatures) = note.split_at(split + 1);
        let signatures = signatures.strip_prefix('\n').unwrap_or(signatures);
        Ok(Self {
            text: text.to_owned(),
            signatures: SignatureLine::parse_all(signatures)?,
        })
    }

    /// Joins a text and signatures made over it.
    /// # Errors
    /// `trail.note`: the text is none of a note, or there is no signature or more than [`SIGNATURES_MAX`].
    pub fn new(text: String, signatures: Vec<SignatureLine>) -> Result<Self, Flaw> {
        check_text(&text)?;
        if signatures.is_empty() || signatures.len() > SIGNATURES_MAX {
            return Err(Flaw::new(FlawKind::Note, "a note has 1 to 100 signatures"));
        }
        Ok(Self { text, signatures })
    }

    /// What is signed, with its last line end.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines, as read.
    #[must_use]
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }

    /// Checks the signatures by `keys`; those by others are ignored, also where only name or id is known.
    ///
    /// A second line by the same key is dropped and never counts twice.
    /// # Errors
    /// `trail.signature`, `trail.cosignature`: a known key's signature does not hold, or no known key signed.
    pub fn open<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k VerifierKey> + Clone,
    ) -> Result<Vec<Verified<'k>>, Flaw> {
        let mut verified: Vec<Verified<'k>> = Vec::new();
        for line in &self.signatures {
            let Some(key) = keys.clone().into_iter().find(|key| key.made(line)) else {
                continue;
            };
            if verified.iter().any(|before| before.key.made(line)) {
                continue;
            }
            verified.push(Verified {
                key,
                time: key.verify(&self.text, line)?,
            });
        }
        if verified.is_empty() {
            return Err(Flaw::new(
                FlawKind::Signature,
                "no known key has signed the note",
            ));
        }
        Ok(verified)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|line| write!(f, "{line}"))
    }
}

fn check_characters(note: &str) -> Result<(), Flaw> {
    if note.bytes().all(|byte| byte >= 0x20 || byte == b'\n') {
        return Ok(());
    }
    Err(Flaw::new(
        FlawKind::Note,
        "a control character other than the line end",
    ))
}

fn check_text(text: &str) -> Result<(), Flaw> {
    check_characters(text)?;
    if text.ends_with('\n') {
        return Ok(());
    }
    Err(Flaw::new(
        FlawKind::Note,
        "the text does not end in a line end",
    ))
}

/// A log's secret key with its name: signs texts of notes (type 0x01).
pub struct NoteSigner {
    key: VerifierKey,
    signer: Signer,
}

impl NoteSigner {
    /// Names a secret key.
    #[must_use]
    pub fn new(name: KeyName, signer: Signer) -> Self {
        Self {
            key: VerifierKey::new(name, KeyType::Ed25519, signer.public()),
            signer,
        }
    }

    /// The key to check its signatures with.
    #[must_use]
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Signs the text of a note. For checkpoints: only a size and root already committed as signed (DESIGN §5).
    /// # Errors
    /// `trail.note`: the text is none of a note.
    pub fn sign(&self, text: &str) -> Result<SignatureLine, Flaw> {
        check_text(text)?;
        Ok(SignatureLine::new(
            &self.key,
            self.signer.sign(text.as_bytes()).to_vec(),
        ))
    }
}

#[cfg(test)]
#[expect(
    clippy::print_stdout,
    reason = "a test says how many vectors it has run"
)]
mod tests {
    use super::super::vectors::{bytes, list, number, section, text};
    use super::*;
    use proptest::prelude::*;

    fn signer(case: &serde_json::Value) -> Signer {
        Signer::from_seed(&bytes(&case["seed"]).try_into().unwrap())
    }

    fn key_of_the_log() -> VerifierKey {
        VerifierKey::parse(text(&list("keys")[0]["vkey"])).unwrap()
    }

    #[test]
    fn keys_are_those_of_the_vectors() {
        let cases = list("keys");
        for case in &cases {
            let name = KeyName::parse(text(&case["name"])).unwrap();
            let signer = signer(case);
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
    fn the_example_of_the_specification_opens() {
        let case = section("spec_example_note");
        let key = VerifierKey::parse(text(&case["vkey"])).unwrap();
        let note = Note::parse(text(&case["note"]).as_bytes()).unwrap();
        assert_eq!(note.text(), "This is an example message.\n");
        assert_eq!(note.to_string(), text(&case["note"]));
        assert_eq!(
            note.open([&key]),
            Ok(vec![Verified {
                key: &key,
                time: None
            }])
        );
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

    #[test]
    fn bytes_that_are_no_note_are_refused() {
        let good = section("checkpoint");
        let good = text(&good["note"]);
        let line = text(&section("checkpoint")["log_line"]).to_owned();
        assert!(Note::parse(good.as_bytes()).is_ok());
        let bad = [
            String::new(),
            "\n".to_owned(),
            "\n\n".to_owned(),
            good.replace("\n\n", "\n"),
            good.trim_end().to_owned(),
            format!("{good}\n"),
            format!("{good}junk\n"),
            good.replace("600", "600\r"),
            good.replace("600", "600\t"),
            good.replace("600", "600\0"),
            good.replace('—', "-"),
            good.replace("— ", "—"),
            good.replace("ZuLFNX", "ZuLFNX\u{a0}"),
            good.replace("35AU=", "35AU"),
            good.replace("35AU=", "35AV="),
            good.replace("35AU=", "35AU= "),
            "text\n\n— name AAAAAA==\n".to_owned(), // an id and no signature
            format!("text\n\n{}", line.repeat(SIGNATURES_MAX + 1)),
        ];
        for note in &bad {
            assert_eq!(
                Note::parse(note.as_bytes()).unwrap_err().kind(),
                FlawKind::Note,
                "{note:?}"
            );
        }
        assert!(Note::parse(&[good.as_bytes(), &[0xff]].concat()).is_err());
        assert!(Note::parse(&vec![b'a'; NOTE_BYTES_MAX + 1]).is_err());
        let full = format!("text\n\n{}", line.repeat(SIGNATURES_MAX));
        assert!(Note::parse(full.as_bytes()).is_ok());
    }

    #[test]
    fn the_last_empty_line_separates() {
        let note = Note::parse("a\n\nb\n\n\n— n AAAAAAA=\n".as_bytes()).unwrap();
        assert_eq!(note.text(), "a\n\nb\n\n");
    }

    #[test]
    fn only_name_and_id_together_name_a_key() {
        let key = key_of_the_log();
        let name = KeyName::parse("other").unwrap();
        let signer = NoteSigner::new(name.clone(), signer(&list("keys")[0]));
        let other = signer.sign("text\n").unwrap();
        let forged = SignatureLine {
            name: key.name().clone(),
            ..other.clone()
        };
        let renamed = SignatureLine {
            id: key.id(),
            ..other.clone()
        };
        for line in [other, forged, renamed] {
            let note = Note::new("text\n".to_owned(), vec![line]).unwrap();
            assert_eq!(note.open([&key]).unwrap_err().kind(), FlawKind::Signature);
        }
    }

    #[test]
    fn a_bad_signature_by_a_known_key_spoils_the_note() {
        let key = key_of_the_log();
        let signer = NoteSigner::new(key.name().clone(), signer(&list("keys")[0]));
        let good = signer.sign("text\n").unwrap();
        let bad = signer.sign("test\n").unwrap();
        let stranger = SignatureLine {
            id: [0; 4],
            ..bad.clone()
        };
        let open = |lines: &[&SignatureLine]| {
            let lines = lines.iter().map(|line| (*line).clone()).collect();
            let note = Note::new("text\n".to_owned(), lines).unwrap();
            note.open([&key]).map(|verified| verified.len())
        };
        assert_eq!(open(&[&good]), Ok(1));
        assert_eq!(open(&[&stranger, &good]), Ok(1));
        assert_eq!(open(&[&good, &good]), Ok(1));
        assert!(open(&[&bad]).is_err());
        assert!(open(&[&bad, &good]).is_err());
        assert!(open(&[&stranger]).is_err());
    }

    #[test]
    fn a_text_that_could_not_be_read_again_is_not_signed() {
        let name = KeyName::parse("n").unwrap();
        let signer = NoteSigner::new(name, Signer::from_seed(&[1; 32]));
        for text in ["", "a", "a\r\n", "a\tb\n"] {
            assert_eq!(
                signer.sign(text).unwrap_err().kind(),
                FlawKind::Note,
                "{text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_note_read_is_the_note_printed(text in "[ -~\\n—上]{0,40}", lines in "(— [a-c] [A-D]{4,16}=?\\n){0,3}") {
            let note = format!("{text}\n\n{lines}");
            if let Ok(parsed) = Note::parse(note.as_bytes()) {
                prop_assert_eq!(parsed.to_string(), note);
            }
        }

        #[test]
        fn junk_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
            let _ = Note::parse(&bytes);
            let _ = SignatureLine::parse_all(&text);
            let _ = VerifierKey::parse(&text);
        }
    }
}
