//! A `.tlog-proof`: one file that shows offline that an entry is in a log (C2SP tlog-proof v1).

use super::note::{NOTE_BYTES_MAX, Note};
use super::policy::{Policy, VerifiedCheckpoint};
use super::tree::{self, PROOF_HASHES_MAX};
use super::{Flaw, FlawKind, Hash, NUMBER_MAX, decode_base64, parse_decimal};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::fmt;

/// Longest file in bytes: the longest note, and as much for an entry in base64 and the hashes.
pub const PROOF_BYTES_MAX: usize = 2 * NOTE_BYTES_MAX;
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A proof as read: nothing in it is checked. Printing gives the bytes read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    extra: Option<Vec<u8>>,
    index: u64,
    hashes: Vec<Hash>,
    checkpoint: Note,
}

impl Proof {
    /// Puts a proof together. `extra` is for the entry's own bytes: the file then needs no other.
    /// # Errors
    /// `trail.proof`: index or number of hashes that no tree has.
    pub fn new(
        extra: Option<Vec<u8>>,
        index: u64,
        hashes: Vec<Hash>,
        checkpoint: Note,
    ) -> Result<Self, Flaw> {
        if index > NUMBER_MAX || hashes.len() > PROOF_HASHES_MAX {
            return Err(Flaw::new(FlawKind::Proof, "no tree is so large"));
        }
        Ok(Self {
            extra,
            index,
            hashes,
            checkpoint,
        })
    }

    /// Reads a file in its one spelling.
    /// # Errors
    /// `trail.proof`, `trail.note`
    pub fn parse(bytes: &[u8]) -> Result<Self, Flaw> {
        let flaw = |why| Flaw::new(FlawKind::Proof, why);
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(flaw("more than 2 MB"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| flaw("not UTF-8"))?;
        // Here, unlike in a note, it is the first empty line that separates.
        let (head, note) = text
            .split_once("\n\n")
            .ok_or_else(|| flaw("no checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(flaw("the first line is not c2sp.org/tlog-proof@v1"));
        }
        let mut line = lines.next();
        let mut extra = None;
        if let Some(text) = line.and_then(|line| line.strip_prefix("extra ")) {
            extra = Some(decode_base64(text).ok_or_else(|| flaw("the extra data is not base64"))?);
            line = lines.next();
        }
        let index = line.and_then(|line| parse_decimal(line.strip_prefix("index ")?, NUMBER_MAX));
        let index = index.ok_or_else(|| flaw("no line `index <decimal>` where it belongs"))?;
        let hashes = lines
            .take(PROOF_HASHES_MAX + 1)
            .map(Hash::parse)
            .collect::<Option<_>>();
        let hashes = hashes.ok_or_else(|| flaw("a line of the proof is not 32 bytes of base64"))?;
        Self::new(extra, index, hashes, Note::parse(note.as_bytes())?)
    }

    /// The extra data. *Not* authenticated: show it to nobody before [`Proof::verify_extra`] has accepted it.
    #[must_use]
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// Which entry is claimed.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// The hashes, leaf's sibling first.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The checkpoint's note.
    #[must_use]
    pub const fn checkpoint(&self) -> &Note {
        &self.checkpoint
    }

    /// Checks that an entry with the hash `leaf` is in a log that `policy` trusts: origin and log signature,
    /// cosignatures, inclusion.
    /// # Errors
    /// As [`Policy::check`]; `trail.proof`, `trail.root`
    pub fn verify(&self, policy: &Policy, leaf: Hash) -> Result<VerifiedCheckpoint, Flaw> {
        let verified = policy.check(&self.checkpoint)?;
        let tree = (verified.checkpoint().size(), verified.checkpoint().root());
        tree::verify_inclusion(leaf, self.index, tree, &self.hashes)?;
        Ok(verified)
    }

    /// Checks that the extra data is the entry, and only then gives it out.
    /// # Errors
    /// As [`Proof::verify`]; `trail.proof` without extra data.
    pub fn verify_extra(&self, policy: &Policy) -> Result<(&[u8], VerifiedCheckpoint), Flaw> {
        let entry = self.extra().ok_or_else(|| {
            Flaw::new(
                FlawKind::Proof,
                "the file does not hold the entry; it is needed beside it",
            )
        })?;
        Ok((entry, self.verify(policy, tree::leaf_hash(entry))?))
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes
            .iter()
            .try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
#[expect(
    clippy::print_stdout,
    reason = "a test says how many vectors it has run"
)]
mod tests {
    use super::super::vectors::{from_leaves, leaves, list, policy, section, text};
    use super::*;
    use proptest::prelude::*;

    fn file(at: usize) -> String {
        text(&list("tlog_proof")[at]["file"]).to_owned()
    }

    fn kind(result: Result<impl Sized, Flaw>) -> Option<FlawKind> {
        result.err().map(|flaw| flaw.kind())
    }

    #[test]
    fn the_proofs_of_the_vectors_hold() {
        let cases = list("tlog_proof");
        for case in &cases {
            let (entry, file) = (text(&case["entry"]).as_bytes(), text(&case["file"]));
            let proof = Proof::parse(file.as_bytes()).unwrap();
            assert_eq!(proof.to_string(), file);
            assert!(proof.verify(&policy(), tree::leaf_hash(entry)).is_ok());
            let other = proof.verify(&policy(), tree::leaf_hash(b"entry 7"));
            assert_eq!(kind(other), Some(FlawKind::Root));
            if proof.extra().is_some() {
                assert_eq!(proof.verify_extra(&policy()).unwrap().0, entry);
            } else {
                assert_eq!(kind(proof.verify_extra(&policy())), Some(FlawKind::Proof));
            }
        }
        println!("tlog_proof: {} vectors", cases.len());
        assert_eq!(cases.len(), 2);
    }

    #[test]
    fn a_proof_made_here_is_that_of_the_vectors() {
        let note = section("checkpoint");
        let note = Note::parse(text(&note["note"]).as_bytes()).unwrap();
        let size = super::super::TreeSize::new(600).unwrap();
        let all = leaves(600);
        let read = from_leaves(&all);
        let read = |subtree| Ok::<_, Flaw>(read(subtree).unwrap_or_else(|never| match never {}));
        let hashes = tree::prove_inclusion(511, size, read).unwrap();
        let proof = Proof::new(Some(b"entry 511".to_vec()), 511, hashes, note).unwrap();
        assert_eq!(proof.to_string(), file(1));
    }

    #[test]
    fn any_bit_flipped_in_a_proof_file_is_refused() {
        let (policy, good) = (policy(), file(1));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone().into_bytes();
            bad[bit / 8] ^= 1 << (bit % 8);
            let held = Proof::parse(&bad).is_ok_and(|proof| proof.verify_extra(&policy).is_ok());
            assert!(!held, "bit {bit}: {}", String::from_utf8_lossy(&bad));
        }
    }

    #[test]
    fn a_file_in_another_spelling_is_refused() {
        let good = file(1);
        let extra = "extra ZW50cnkgNTEx\n";
        assert!(good.contains(extra));
        let bad = [
            String::new(),
            good.replace("@v1", "@v2"),
            good.replace("\n", "\r\n"),
            good.replace("\n\nquan", "\nquan"),
            good.replace(extra, "extra ZW50cnkgNTEx=\n"),
            good.replace(extra, "extra ZW50cnkgNTE\n"),
            good.replace(extra, "extra  ZW50cnkgNTEx\n"),
            good.replace(extra, "hint ZW50cnkgNTEx\n"),
            good.replace(extra, &extra.repeat(2)),
            good.replace(extra, "\n"),
            good.replace("index 511", "index 0511"),
            good.replace("index 511", "index +511"),
            good.replace("index 511", "index 511 "),
            good.replace("index 511", "index 9223372036854775808"),
            good.replace("index 511\n", ""),
            good.replace("index 511", "index 511\nindex 511"),
            good.replace("zmkMkpKI", "zmkMkpK"),
            format!("{good}\n"),
        ];
        for file in bad {
            let got = kind(Proof::parse(file.as_bytes()));
            assert!(
                matches!(got, Some(FlawKind::Proof | FlawKind::Note)),
                "{file}"
            );
        }
        let line = "zmkMkpKIoo7oaJBTDfL+7tiqI9x9LNur0KdnWH8C+TA=\n";
        let long = good.replace(line, &line.repeat(60));
        assert_eq!(kind(Proof::parse(long.as_bytes())), Some(FlawKind::Proof));
    }

    #[test]
    fn a_proof_of_another_length_or_index_is_refused() {
        let good = file(1);
        let line = "zmkMkpKIoo7oaJBTDfL+7tiqI9x9LNur0KdnWH8C+TA=\n";
        for (bad, expected) in [
            (good.replace(line, ""), FlawKind::Proof),
            (good.replace(line, &line.repeat(2)), FlawKind::Proof),
            (good.replace("index 511", "index 510"), FlawKind::Root),
            (good.replace("index 511", "index 600"), FlawKind::Proof),
            (good.replace("ZW50cnkgNTEx", ""), FlawKind::Root),
        ] {
            let proof = Proof::parse(bad.as_bytes()).unwrap();
            assert_eq!(kind(proof.verify_extra(&policy())), Some(expected), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_file_changed_anywhere_is_refused_or_prints_as_read(
            at: prop::sample::Index, cut in 0_usize..3, insert in "[ -~\n]{0,3}",
        ) {
            let good = file(1).into_bytes();
            let at = at.index(good.len());
            let after = good.get(at + cut..).unwrap_or_default();
            let changed = [&good[..at], insert.as_bytes(), after].concat();
            if let Ok(proof) = Proof::parse(&changed) {
                prop_assert_eq!(proof.to_string().into_bytes(), changed);
            }
        }

        #[test]
        fn junk_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Proof::parse(&bytes);
            let _ = Proof::parse(&[HEADER.as_bytes(), b"\n", &bytes].concat());
        }
    }
}
