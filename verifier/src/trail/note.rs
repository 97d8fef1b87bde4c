//! Signed notes (C2SP signed-note v1.0.0): a text, an empty line, signature lines.

use super::key::{KeyId, KeyName, KeyType, VerifierKey};
use super::{Flaw, FlawKind, decode_base64};
use crate::signature::{SIGNATURE_BYTES, Signer};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::fmt;

/// Longest note in bytes, as in Go's `x/mod/sumdb/note`.
pub const NOTE_BYTES_MAX: usize = 1_000_000;
/// Most signature lines of a note, as in Go's `x/mod/sumdb/note`.
pub const SIGNATURES_MAX: usize = 100;
/// Em dash and space: every signature line starts so.
const LINE_START: &str = "— ";

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
            name: key.name().clone(),
            id: key.id(),
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

/// Checks a signature of type 0x01: over the text as it is.
pub(super) fn verify(key: &VerifierKey, text: &str, line: &SignatureLine) -> Result<(), Flaw> {
    let signature = <&[u8; SIGNATURE_BYTES]>::try_from(line.signature.as_slice());
    if signature.is_ok_and(|signature| key.public().verify(text.as_bytes(), signature)) {
        return Ok(());
    }
    Err(bad_signature(line))
}

pub(super) fn bad_signature(line: &SignatureLine) -> Flaw {
    Flaw::new(
        FlawKind::Signature,
        format!("the signature by {} does not verify", line.name),
    )
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
mod tests {
    use super::super::vectors::{bytes, list, section, text};
    use super::*;
    use proptest::prelude::*;

    fn signer(case: &serde_json::Value) -> Signer {
        Signer::from_seed(&bytes(&case["seed"]).try_into().unwrap())
    }

    fn key_of_the_log() -> VerifierKey {
        VerifierKey::parse(text(&list("keys")[0]["vkey"])).unwrap()
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
        }
    }
}
