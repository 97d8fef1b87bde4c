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
