//! What a witness is asked, what it decides, and how its answer is read (C2SP tlog-witness v1.0.0, `add-checkpoint`).
//!
//! Pure on both sides. The witness's desk (`quan-verify witness`) keeps [`Seen`] and stores the new one *before* it answers;
//! the exchange's publisher asks, and believes no line that it has not verified. The order of the checks is the protocol's.

use super::checkpoint::Checkpoint;
use super::cosignature::Cosigner;
use super::key::{Origin, VerifierKey};
use super::note::{NOTE_BYTES_MAX, Note, SignatureLine};
use super::policy::Policy;
use super::tree::{self, PROOF_HASHES_MAX};
use super::{Flaw, FlawKind, Hash, TreeSize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Below a witness's submission prefix: where checkpoints are sent.
pub const ADD_CHECKPOINT: &str = "add-checkpoint";
/// The media type of the one answer that states a size.
pub const SIZE_TYPE: &str = "text/x.tlog.size";
/// Longest request in bytes: the longest note, 63 hashes in base64 lines and the first line.
pub const REQUEST_BYTES_MAX: usize = NOTE_BYTES_MAX + PROOF_HASHES_MAX * 45 + 32;
/// Longest answer in bytes that is read: it is part of a note.
pub const ANSWER_BYTES_MAX: usize = NOTE_BYTES_MAX;

/// Where a witness shows the newest checkpoint of a log, below its monitoring prefix: `<hex SHA-256 of the origin>/checkpoint`.
#[must_use]
pub fn monitoring_path(origin: &Origin) -> String {
    format!("{}/checkpoint", origin_hex(origin))
}

/// The origin's SHA-256 in lower-case hex: a name that fits paths and files.
#[must_use]
pub fn origin_hex(origin: &Origin) -> String {
    let digest = Sha256::digest(origin.as_str().as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// "Cosign this checkpoint; the last one of mine that you cosigned had `old` entries." Printing gives the bytes read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    old: TreeSize,
    proof: Vec<Hash>,
    note: Note,
    checkpoint: Checkpoint,
}

impl AddCheckpoint {
    /// Puts a request together; `proof` shows that the tree of `old` entries is a prefix of the note's.
    /// # Errors
    /// `trail.witness-request`: more than 63 hashes, or a tree smaller than `old`; `trail.checkpoint`.
    pub fn new(old: TreeSize, proof: Vec<Hash>, note: Note) -> Result<Self, Flaw> {
        let flaw = |why: String| Flaw::new(FlawKind::WitnessRequest, why);
        if proof.len() > PROOF_HASHES_MAX {
            return Err(flaw(format!("more than {PROOF_HASHES_MAX} hashes")));
        }
        let checkpoint = Checkpoint::parse_any_root(note.text())?;
        if old > checkpoint.size() {
            let size = checkpoint.size();
            return Err(flaw(format!("old {old} is more than the size {size}")));
        }
        Ok(Self {
            old,
            proof,
            note,
            checkpoint,
        })
    }

    /// Reads a request in its one spelling: `old <size>`, the proof's hashes a line each, an empty line, the note.
    /// # Errors
    /// `trail.witness-request`, `trail.note`, `trail.checkpoint`
    pub fn parse(bytes: &[u8]) -> Result<Self, Flaw> {
        let flaw = |why| Flaw::new(FlawKind::WitnessRequest, why);
        if bytes.len() > REQUEST_BYTES_MAX {
            return Err(flaw("longer than any request"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| flaw("not UTF-8"))?;
        // As in a tlog-proof, and unlike in a note, it is the first empty line that separates.
        let (head, note) = text
            .split_once("\n\n")
            .ok_or_else(|| flaw("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old.and_then(TreeSize::parse);
        let old = old.ok_or_else(|| flaw("the first line is not `old <decimal>`"))?;
        let proof = lines
            .take(PROOF_HASHES_MAX + 1)
            .map(Hash::parse)
            .collect::<Option<_>>();
        let proof = proof.ok_or_else(|| flaw("a line of the proof is not 32 bytes of base64"))?;
        Self::new(old, proof, Note::parse(note.as_bytes())?)
    }

    /// What the witness is said to have cosigned last.
    #[must_use]
    pub const fn old(&self) -> TreeSize {
        self.old
    }

    /// What is to be cosigned.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof
            .iter()
            .try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.note)
    }
}

/// The largest tree of one log that a witness has cosigned: all it has to remember.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its size.
    pub size: TreeSize,
    /// Its root.
    pub root: Hash,
    /// When it was cosigned last, in Unix seconds.
    pub time: u64,
}

impl Seen {
    /// What a note kept by a witness says: only if the witness's own cosignature on it holds.
    /// # Errors
    /// `trail.checkpoint`, `trail.root`, `trail.signature`, `trail.cosignature`
    pub fn read(note: &Note, witness: &VerifierKey) -> Result<Self, Flaw> {
        let checkpoint = Checkpoint::parse(note.text())?;
        let verified = note.open([witness])?;
        let time = verified.first().and_then(|by| by.time).ok_or_else(|| {
            Flaw::new(FlawKind::Cosignature, "the note has no cosignature of ours")
        })?;
        let (size, root) = (checkpoint.size(), checkpoint.root());
        Ok(Self { size, root, time })
    }
}

/// Why a witness does not cosign. Each is one status of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The request cannot be read, or says that the tree shrinks.
    Malformed(Flaw),
    /// The policy knows no such log.
    UnknownLog(Flaw),
    /// No key of the log has signed, or a signature of one does not hold.
    Unsigned(Flaw),
    /// The last size cosigned is this one, not the one asked from.
    Conflict(TreeSize),
    /// The tree is not the one cosigned before, or does not continue it.
    Inconsistent(Flaw),
}

impl Refused {
    /// The status of the HTTP answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Unsigned(_) => 403,
            Self::UnknownLog(_) => 404,
            Self::Conflict(_) => 409,
            Self::Inconsistent(_) => 422,
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(flaw)
            | Self::UnknownLog(flaw)
            | Self::Unsigned(flaw)
            | Self::Inconsistent(flaw) => flaw.code(),
            Self::Conflict(_) => FlawKind::WitnessSize.as_str(),
        }
    }
}

/// The body of the HTTP answer: for a conflict the size and nothing else, otherwise a sentence for people.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(flaw)
            | Self::UnknownLog(flaw)
            | Self::Unsigned(flaw)
            | Self::Inconsistent(flaw) => writeln!(f, "{flaw}"),
            Self::Conflict(size) => writeln!(f, "{size}"),
        }
    }
}

/// A checkpoint that may be answered once it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// What to store and to show: the checkpoint with the log's own signatures and the witness's.
    pub note: Note,
    /// The answer.
    pub line: SignatureLine,
    /// What to remember.
    pub seen: Seen,
}

/// Decides a request, in the protocol's order; `last` is what this witness has cosigned of this log before, `now` in Unix
/// seconds. Whoever calls stores the note before it answers, and lets nobody decide between (compare-and-store).
/// # Errors
/// [`Refused`]
pub fn decide(
    policy: &Policy,
    cosigner: &Cosigner,
    last: Option<Seen>,
    request: &AddCheckpoint,
    now: u64,
) -> Result<Cosigned, Refused> {
    let checkpoint = &request.checkpoint;
    let by_log = signatures_by_log(policy, request)?;
    let (size, root) = (checkpoint.size(), checkpoint.root());
    let known = last.map_or(TreeSize::ZERO, |seen| seen.size);
    if request.old != known {
        return Err(Refused::Conflict(known));
    }
    checkpoint.check_empty().map_err(Refused::Inconsistent)?;
    // What never was cosigned is the empty tree, whose root is known to all.
    let old = (known, last.map_or(Hash::EMPTY, |seen| seen.root));
    tree::verify_consistency(old, (size, root), &request.proof).map_err(Refused::Inconsistent)?;
    // A clock that was set back must not deny what was said before.
    let time = last.map_or(now, |seen| now.max(seen.time));
    let line = cosigner
        .cosign(checkpoint, time)
        .map_err(Refused::Inconsistent)?;
    let signatures = by_log.into_iter().chain([line.clone()]).collect();
    let note = Note::new(checkpoint.to_string(), signatures).map_err(Refused::Malformed)?;
    let seen = Seen { size, root, time };
    Ok(Cosigned { note, line, seen })
}

/// The signatures by the keys that the policy names for this origin. What others have signed is not this witness's matter.
fn signatures_by_log(
    policy: &Policy,
    request: &AddCheckpoint,
) -> Result<Vec<SignatureLine>, Refused> {
    let origin = request.checkpoint.origin();
    let logs = policy.logs().iter().map(|log| &log.key);
    let keys: Vec<_> = logs.filter(|key| key.name() == origin).collect();
    if keys.is_empty() {
        let sentence = format!("the policy knows no log {origin}");
        return Err(Refused::UnknownLog(Flaw::new(FlawKind::Origin, sentence)));
    }
    let note = &request.note;
    let verified = note.open(keys.iter().copied()).map_err(Refused::Unsigned)?;
    // A second line by the same key was dropped unread: keep the first, which was verified.
    let line = |key: &VerifierKey| note.signatures().iter().find(|line| key.made(line));
    Ok(verified
        .iter()
        .filter_map(|by| line(by.key))
        .cloned()
        .collect())
}

/// What a witness has answered, as far as it is to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has cosigned: the line is verified.
    Cosigned {
        /// Its signature line.
        line: SignatureLine,
        /// The time that it states, in Unix seconds.
        time: u64,
    },
    /// It has cosigned this size before: ask again from there.
    Last(TreeSize),
    /// It says it has cosigned more than the request states: an alarm, unless another server of the log has asked meanwhile.
    Ahead(TreeSize),
}

/// Reads a witness's answer to a request: status, media type, body.
/// # Errors
/// `trail.witness-root`: it has seen another tree. `trail.witness-refused`: it does not know us.
/// `trail.witness-answer`, `trail.note`, `trail.signature`, `trail.cosignature`: it lies, or is no witness.
pub fn read_answer(
    witness: &VerifierKey,
    request: &AddCheckpoint,
    (status, media_type): (u16, Option<&str>),
    body: &[u8],
) -> Result<Answer, Flaw> {
    match status {
        200 => read_cosignature(witness, request, body),
        409 if media_type == Some(SIZE_TYPE) => read_size(request, body),
        422 => {
            let (size, said) = (request.checkpoint.size(), excerpt(body));
            let sentence = format!(
                "it has cosigned a tree that ours of {size} entries does not continue: {said}"
            );
            Err(Flaw::new(FlawKind::WitnessRoot, sentence))
        }
        400 | 403 | 404 => {
            let sentence = format!("it does not cosign ({status}): {}", excerpt(body));
            Err(Flaw::new(FlawKind::WitnessRefused, sentence))
        }
        _ => Err(no_answer(&format!("status {status}, {media_type:?}"))),
    }
}

fn read_cosignature(
    witness: &VerifierKey,
    request: &AddCheckpoint,
    body: &[u8],
) -> Result<Answer, Flaw> {
    let text = std::str::from_utf8(body).map_err(|_| no_answer("no UTF-8"))?;
    let lines = SignatureLine::parse_all(text)?;
    // It may have more keys than we know; those lines are ignored (C2SP tlog-witness).
    let line = lines.into_iter().find(|line| witness.made(line));
    let line = line.ok_or_else(|| no_answer("no line by the key of the policy"))?;
    let time = witness.verify(request.note.text(), &line)?;
    let time = time.ok_or_else(|| no_answer("a line without a time"))?;
    Ok(Answer::Cosigned { line, time })
}

fn read_size(request: &AddCheckpoint, body: &[u8]) -> Result<Answer, Flaw> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let size = text.strip_suffix('\n').and_then(TreeSize::parse);
    let size = size.ok_or_else(|| no_answer("a conflict without a size"))?;
    if size > request.checkpoint.size() {
        return Ok(Answer::Ahead(size));
    }
    if size == request.old {
        let sentence = format!("a conflict that names the size asked from, {size}");
        return Err(no_answer(&sentence));
    }
    Ok(Answer::Last(size))
}

fn no_answer(what: &str) -> Flaw {
    Flaw::new(
        FlawKind::WitnessAnswer,
        format!("no answer of a witness: {what}"),
    )
}

/// The begin of what a stranger says, fit for a log line.
fn excerpt(body: &[u8]) -> String {
    const CHARACTERS: usize = 200;
    let text = String::from_utf8_lossy(body);
    let shown = text.trim().chars().take(CHARACTERS);
    shown
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests;
