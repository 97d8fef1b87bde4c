//! What a signed reply is worth: an entry promised is in the trail, a refusal is under its seal (TRAIL E4, E5).
//!
//! Nothing of the trail is believed: each entry looked at is proven from the tiles to a checkpoint that the policy takes. What
//! is missing although the trail is newer than the promise allows is `trail.promise-broken`; what may still come is left open.

mod trail;

use serde::{Deserialize, Serialize};

use super::{Depth, Files, Verdict, audit};
use crate::book::command::{Command, SealRefusals};
use crate::book::entry::Entry;
use crate::id::Sha256Hash;
use crate::json;
use crate::receipt::{Answered, Claims, Reply, UnverifiedReceipt, req};
use crate::refusal::{Code, Refusal};
use crate::time::{HOUR_SECONDS, Timestamp};
use crate::trail::bundle::{self, BUNDLE_BYTES_MAX};
use crate::trail::policy::Policy;
use crate::trail::tree::{self, PROOF_HASHES_MAX, Subtree};
use crate::trail::{Flaw, FlawKind, Hash, TreeSize};
use trail::Trail;

/// An entry is published within this time of its reply (DESIGN §6).
pub const PROMISE_SECONDS: i64 = 60;
/// Refusals are sealed within this time of the end of their hour.
pub const SEAL_SECONDS: i64 = HOUR_SECONDS;
/// The stable code of a promise that was not kept.
pub const BROKEN: &str = "trail.promise-broken";
/// Where receipts are sent; each line of a bulk request is as if posted alone.
const RECEIPTS: &str = "/v1/receipts";
/// That a refusal is under a seal: what `GET /v1/refusals/{hash}/proof` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusalProof {
    /// The entry `refusals.sealed`.
    pub seal: u64,
    /// The reply's place under its root.
    pub index: u64,
    /// How many replies are under it.
    pub size: u64,
    /// The hashes of the inclusion proof (RFC 9162 §2.1.3.1).
    pub hashes: Vec<Sha256Hash>,
}

impl RefusalProof {
    /// Proves the place of a leaf among all leaves of a seal.
    /// # Errors
    /// `trail.proof` if there is no such place.
    pub fn make(seal: u64, index: u64, leaves: &[Hash]) -> Result<Self, Flaw> {
        let none = || Flaw::new(FlawKind::Proof, "no such place under the seal");
        let size = u64::try_from(leaves.len())
            .ok()
            .and_then(TreeSize::new)
            .ok_or_else(none)?;
        let read = |subtree: Subtree| {
            let from = usize::try_from(subtree.index << subtree.height).ok();
            let part = from.and_then(|from| leaves.get(from..)?.get(..1 << subtree.height));
            part.map(tree::root_of).ok_or_else(none)
        };
        let hashes = tree::prove_inclusion(index, size, read)?;
        let hashes = hashes.iter().map(|hash| Sha256Hash::new(*hash.as_bytes()));
        Ok(Self {
            seal,
            index,
            size: size.get(),
            hashes: hashes.collect(),
        })
    }

    /// Checks that a compact JWS is under a seal.
    /// # Errors
    /// `trail.proof`, `trail.root`
    fn verify(&self, compact: &str, seal: &SealRefusals) -> Result<(), Flaw> {
        let size = TreeSize::new(seal.size).filter(|_| self.size == seal.size);
        let size = size.filter(|_| self.hashes.len() <= PROOF_HASHES_MAX);
        let Some(size) = size else {
            let sentence = format!("the seal is over {} replies, not {}", seal.size, self.size);
            return Err(Flaw::new(FlawKind::Proof, sentence));
        };
        let hashes: Vec<_> = self
            .hashes
            .iter()
            .map(|hash| Hash::new(*hash.bytes()))
            .collect();
        let tree = (size, Hash::new(*seal.root.bytes()));
        tree::verify_inclusion(refusal_leaf(compact), self.index, tree, &hashes)
    }
}

/// The leaf of a refusal under its seal: of its compact JWS.
#[must_use]
pub fn refusal_leaf(compact: &str) -> Hash {
    tree::leaf_hash(compact.as_bytes())
}

/// What the holder of a reply has beside it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// The proof that a refusal is sealed.
    pub proof: Option<&'a [u8]>,
    /// The body of the request: needed for many receipts at once.
    pub request: Option<&'a [u8]>,
    /// The body of the answer.
    pub answer: Option<&'a [u8]>,
}

/// What was found out about a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It was kept.
    Kept(String),
    /// It does not hold, or was not kept: a stable code, and what shows it.
    Broken(&'static str, String),
    /// It cannot be told from what is here.
    Open(String),
}

/// Why the way to a finding ended early.
enum Stop<F> {
    Fault(F),
    Found(Finding),
}

impl<F> From<Flaw> for Stop<F> {
    fn from(flaw: Flaw) -> Self {
        Self::Found(Finding::Broken(flaw.code(), flaw.sentence().to_owned()))
    }
}

impl<F> From<Refusal> for Stop<F> {
    fn from(refusal: Refusal) -> Self {
        Self::Found(Finding::Broken(refusal.code.as_str(), refusal.sentence))
    }
}

fn broken<F>(code: &'static str, sentence: impl Into<String>) -> Stop<F> {
    Stop::Found(Finding::Broken(code, sentence.into()))
}

fn open<F>(sentence: impl Into<String>) -> Stop<F> {
    Stop::Found(Finding::Open(sentence.into()))
}

/// Reads a reply; nothing of it is verified.
/// # Errors
/// `receipt.malformed`
pub fn read_reply(compact: &str) -> Result<Reply, Refusal> {
    match UnverifiedReceipt::parse(compact)?.claims() {
        Claims::Reply(reply) => Ok(reply.clone()),
        Claims::Usage(_)
        | Claims::Delivery(_)
        | Claims::Acceptance(_)
        | Claims::Capacity(_)
        | Claims::Registration(_)
        | Claims::Succession(_)
        | Claims::Order(_) => Err(Refusal::new(
            Code::ReceiptMalformed,
            "the statement is no reply+jwt; check a receipt with `quan-verify receipt`",
        )),
    }
}

/// Checks a reply against a trail.
/// # Errors
/// A file that is there and cannot be read.
pub fn check<F: Files>(
    files: &mut F,
    policy: &Policy,
    compact: &str,
    evidence: Evidence<'_>,
) -> Result<Finding, F::Fault> {
    match checked(files, policy, compact, evidence) {
        Ok(finding) | Err(Stop::Found(finding)) => Ok(finding),
        Err(Stop::Fault(fault)) => Err(fault),
    }
}

fn checked<F: Files>(
    files: &mut F,
    policy: &Policy,
    compact: &str,
    evidence: Evidence<'_>,
) -> Result<Finding, Stop<F::Fault>> {
    let reply = read_reply(compact)?;
    let mut trail = Trail::open(files, policy)?;
    trail.check_signature(compact, &reply)?;
    if let Some(answer) = evidence.answer
        && Sha256Hash::of(answer) != reply.answer
    {
        return Err(broken("reply.answer", "the answer is not the one signed"));
    }
    match reply.outcome {
        Answered::Accepted | Answered::Known => entered(&mut trail, &reply),
        Answered::Lines => lines(&mut trail, &reply, evidence),
        Answered::Refused => refused(trail, policy, (compact, &reply), evidence.proof),
        Answered::Failed => Ok(Finding::Kept(
            "the exchange could not answer: nothing is promised".to_owned(),
        )),
    }
}

/// One entry is promised.
fn entered<F: Files>(trail: &mut Trail<'_, F>, reply: &Reply) -> Result<Finding, Stop<F::Fault>> {
    let seq = reply.seq.unwrap_or_default();
    let entry = trail.promised(seq, reply)?;
    let leaf = tree::leaf_hash(&entry);
    if reply.leaf_hash != Some(Sha256Hash::new(*leaf.as_bytes())) {
        return Err(broken(
            BROKEN,
            format!("entry {seq} is another than the one promised"),
        ));
    }
    requested(seq, &entry, reply.req)?;
    Ok(Finding::Kept(format!("entry {seq} is the one promised")))
}

/// The entry must come from this very request.
fn requested<F>(seq: u64, entry: &[u8], req: Option<Sha256Hash>) -> Result<(), Stop<F>> {
    let entry = Entry::parse(entry)?;
    if entry.req == req {
        return Ok(());
    }
    let found = entry
        .req
        .map_or_else(|| "none".to_owned(), |req| req.to_string());
    let sentence = format!("entry {seq} comes from another request: {found}");
    Err(broken(BROKEN, sentence))
}

/// What the answer says of one receipt of many.
#[derive(Deserialize)]
struct Line {
    line: usize,
    #[serde(default)]
    seq: Option<u64>,
}

/// Each accepted line is promised.
fn lines<F: Files>(
    trail: &mut Trail<'_, F>,
    reply: &Reply,
    evidence: Evidence<'_>,
) -> Result<Finding, Stop<F::Fault>> {
    let (Some(request), Some(answer)) = (evidence.request, evidence.answer) else {
        return Err(open(
            "the reply is to many receipts at once; give the request's body and the answer's",
        ));
    };
    if reply.req != Some(req("POST", RECEIPTS, request)) {
        return Err(broken(
            "reply.request",
            "the request is not the one answered",
        ));
    }
    let sent: Vec<&[u8]> = request.split(|byte| *byte == b'\n').collect();
    let mut kept = 0_usize;
    for line in answer
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let unread = || broken("reply.answer", "the answer is not one outcome a line");
        let said: Line = serde_json::from_slice(line).map_err(|_| unread())?;
        let sent = sent.get(said.line).ok_or_else(unread)?;
        if let Some(seq) = said.seq {
            let entry = trail.promised(seq, reply)?;
            requested(seq, &entry, Some(req("POST", RECEIPTS, sent)))?;
            kept = kept.saturating_add(1);
        }
    }
    Ok(Finding::Kept(format!(
        "{kept} entries are the ones promised"
    )))
}

/// A refusal has to be sealed soon after its hour.
fn refused<F: Files>(
    mut trail: Trail<'_, F>,
    policy: &Policy,
    (compact, reply): (&str, &Reply),
    proof: Option<&[u8]>,
) -> Result<Finding, Stop<F::Fault>> {
    let code = reply.code.as_deref().unwrap_or_default();
    if reply.sub.is_none() {
        return Ok(Finding::Kept(format!(
            "refused: {code}; what is refused to an unknown caller is not sealed"
        )));
    }
    if let Some(proof) = proof {
        return sealed(&mut trail, (compact, reply), proof);
    }
    let newest = trail.newest()?;
    let Some(seal) = first_seal_after(trail.files, policy, reply.iat)? else {
        let hour_ends = reply.iat.hour().next().start();
        if newest >= hour_ends.after(SEAL_SECONDS) {
            let sentence = format!(
                "no seal is over the refusals of {}, and the trail is as new as {newest}",
                reply.iat
            );
            return Err(broken(BROKEN, sentence));
        }
        return Err(open(format!(
            "refused: {code}; its hour is not sealed yet, the trail ends at {newest}"
        )));
    };
    Err(open(format!(
        "refused: {code}; its hour is sealed by entry {seal} or a later one: ask the exchange for the proof of this reply and give it too"
    )))
}

fn sealed<F: Files>(
    trail: &mut Trail<'_, F>,
    (compact, reply): (&str, &Reply),
    proof: &[u8],
) -> Result<Finding, Stop<F::Fault>> {
    let flawed = |why: String| Flaw::new(FlawKind::Proof, why);
    let proof: RefusalProof =
        json::read(proof).map_err(|fault| flawed(format!("no proof of a refusal: {fault}")))?;
    if proof.seal >= trail.size.get() {
        return Err(open(format!(
            "the trail does not reach entry {} yet",
            proof.seal
        )));
    }
    let entry = Entry::parse(&trail.entry(proof.seal)?)?;
    let Command::SealRefusals(seal) = &entry.asked else {
        return Err(flawed(format!("entry {} seals no refusals", proof.seal)).into());
    };
    if reply.iat >= seal.to {
        return Err(flawed(format!("entry {} seals earlier hours", proof.seal)).into());
    }
    proof.verify(compact, seal)?;
    let code = reply.code.as_deref().unwrap_or_default();
    Ok(Finding::Kept(format!(
        "refused: {code}; it is number {} of {} under the seal in entry {}",
        proof.index, proof.size, proof.seal
    )))
}

/// The first seal that could be over a moment, in a trail whose every file holds.
fn first_seal_after<F: Files>(
    files: &mut F,
    policy: &Policy,
    at: Timestamp,
) -> Result<Option<u64>, Stop<F::Fault>> {
    let report = audit(files, policy, Depth::Trail).map_err(Stop::Fault)?;
    if let Some(difference) = report
        .differences
        .first()
        .filter(|_| report.verdict != Verdict::Agree)
    {
        let sentence = format!("the trail itself differs at {}; audit it", difference.at);
        return Err(broken(difference.code, sentence));
    }
    let size = report
        .size
        .and_then(TreeSize::new)
        .unwrap_or(TreeSize::ZERO);
    for path in bundle::bundles_of(size) {
        let bytes = files
            .read(&path.to_string(), BUNDLE_BYTES_MAX)
            .map_err(Stop::Fault)?;
        let bytes = bytes.unwrap_or_default();
        let entries = bundle::decode(&bytes, path.width())?;
        let seals = (path.first()..)
            .zip(entries)
            .filter(|(_, bytes)| is_seal(bytes));
        for (seq, bytes) in seals {
            if let Command::SealRefusals(seal) = Entry::parse(bytes)?.asked
                && at < seal.to
            {
                return Ok(Some(seq));
            }
        }
    }
    Ok(None)
}

/// Whether it is worth parsing: the type stands in the first bytes, behind the rules.
fn is_seal(entry: &[u8]) -> bool {
    let kind = br#""type":"refusals.sealed""#;
    entry.windows(kind.len()).take(256).any(|part| part == kind)
}
