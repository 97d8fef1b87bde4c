//! Which keys of the log have signed a checkpoint, held against those that the entries give it (TRAIL E8).
//!
//! The files are read ahead of the book, so a checkpoint waits here until its last entry has been decided.

use super::{Difference, Place};
use crate::book::log_key::{LogKey, LogKeys};
use crate::time::Timestamp;
use crate::trail::FlawKind;
use crate::trail::key::VerifierKey;
use crate::trail::note::Note;
use crate::trail::policy::VerifiedCheckpoint;

/// A checkpoint of the log whose signature holds, on its way to the book.
pub(super) struct Stated {
    at: Place,
    size: u64,
    note: Note,
    /// The log's keys that have signed, of those that the policy names.
    signers: Vec<VerifierKey>,
    source: Source,
}

/// From whom a checkpoint comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The log has published it: every key that it had then has signed.
    Log,
    /// Somebody has kept it, perhaps without the lines of keys that were unknown there: one of them has signed.
    Elsewhere,
}

/// What is known of the last entry under a checkpoint.
#[derive(Clone, Copy)]
pub(super) enum LastEntry {
    /// Its time; the empty tree has none.
    At(Option<Timestamp>),
    /// It is withheld.
    Withheld,
}

impl Stated {
    pub(super) fn new(
        at: Place,
        verified: &VerifiedCheckpoint,
        note: Note,
        source: Source,
    ) -> Self {
        Self {
            at,
            size: verified.checkpoint().size().get(),
            note,
            signers: verified.signers().to_vec(),
            source,
        }
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// What is wrong with its signatures, given the log's keys after its last entry.
    pub(super) fn judge(&self, keys: &LogKeys, last: LastEntry) -> Option<Difference> {
        let demanded: Vec<&LogKey> = match last {
            LastEntry::At(at) => keys.of_head(self.size, at).collect(),
            // Whether the old key still has to sign depends on the time; that the new one has to does not.
            LastEntry::Withheld => keys.sure_of_head(self.size).into_iter().collect(),
        };
        let mut signed = demanded.iter().map(|key| self.is_signed_by(&key.vkey));
        let holds = match self.source {
            Source::Log => signed.all(|signed| signed),
            Source::Elsewhere => demanded.is_empty() || signed.any(|signed| signed),
        };
        (!holds).then(|| self.difference(&demanded))
    }

    /// The policy may not name every key; the entries do.
    fn is_signed_by(&self, vkey: &str) -> bool {
        let Ok(key) = VerifierKey::parse(vkey) else {
            // Reported where it stands in an entry.
            return true;
        };
        let holds = |line| key.made(line) && key.verify(self.note.text(), line).is_ok();
        self.signers.contains(&key) || self.note.signatures().iter().any(holds)
    }

    fn difference(&self, demanded: &[&LogKey]) -> Difference {
        let joint = match self.source {
            Source::Log => " and ",
            Source::Elsewhere => " or ",
        };
        let names: Vec<_> = demanded.iter().map(|key| key.vkey.as_str()).collect();
        let signers: Vec<_> = self.signers.iter().map(ToString::to_string).collect();
        Difference {
            at: self.at.clone(),
            code: FlawKind::KeyRotated.as_str(),
            expected: format!(
                "over {} entries a signature by {}, as log_key.rotated settles it",
                self.size,
                names.join(joint)
            ),
            found: format!("one by {}", signers.join(" and ")),
        }
    }
}
