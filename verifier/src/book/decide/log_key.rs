//! `log_key.rotated`: a new key of the log takes over, and the old one says so. `trail.continued`: the log goes on under a new name,
//! where the old key cannot say anything any more (TRAIL E8).

use crate::book::command::{ContinuationReason, ContinueTrail, RotateLogKey};
use crate::book::decide::{Case, Decision};
use crate::book::found::{Found, Succession};
use crate::book::log_key::{continuation_text, rotation_text};
use crate::refusal::{Code, Refusal};
use crate::time::DAY_SECONDS;
use crate::trail::Hash;
use crate::trail::checkpoint::Checkpoint;
use crate::trail::key::{KeyName, KeyType, VerifierKey};
use crate::trail::note::{Note, SignatureLine};
use crate::trail::tree::PROOF_HASHES_MAX;

/// The longest overlap: whoever has not heard of a new key after a year does not listen.
const OVERLAP_SECONDS_MAX: i64 = 366 * DAY_SECONDS;

/// Rotates from the newest key to one that nobody has used before. Both have signed that they know.
pub(super) fn rotate(case: &Case<'_>, asked: &RotateLogKey) -> Result<Decision, Refusal> {
    let newest = case.book.log_keys.newest();
    let newest = newest.map_or("", |key| key.vkey.as_str());
    if asked.old != newest {
        let sentence = format!("the log's newest key is {newest}; rotate from that one");
        return Err(Refusal::new(Code::LogKeyOther, sentence).with("log_vkey", newest));
    }
    let overlap = i64::from(asked.overlap_seconds);
    if overlap > OVERLAP_SECONDS_MAX {
        let sentence = format!("an overlap has 0 to {OVERLAP_SECONDS_MAX} seconds");
        return Err(Refusal::new(Code::RequestMalformed, sentence));
    }
    let old = parse(&asked.old)?;
    let new = successor(case, &asked.new, old.name())?;
    let text = rotation_text(&asked.old, &asked.new, asked.overlap_seconds);
    signed_by(text, &asked.signatures, &[&old, &new])?;
    let until = case.env.at.after(overlap);
    Ok(Decision::common(Found {
        succession: Some(Succession {
            from: case.book.size.saturating_add(1),
            until,
        }),
        ..Found::default()
    }))
}

/// Goes on under a new origin with all entries so far. That they are the old log's is for its checkpoint to show, which whoever
/// holds the tree compares: here is no tree.
pub(super) fn go_on(case: &Case<'_>, asked: &ContinueTrail) -> Result<Decision, Refusal> {
    let old = &case.book.exchange()?.origin;
    let name = KeyName::parse(&asked.origin).map_err(|flaw| unfit(flaw.sentence()))?;
    let mut names = case
        .book
        .log_keys
        .all()
        .iter()
        .map(|key| name_of(&key.vkey));
    if names.any(|known| known == asked.origin) {
        return Err(unfit(&format!(
            "an origin has one log for ever; take a new one, e.g. {old}/2"
        )));
    }
    let newest = case.book.log_keys.newest();
    let newest = newest.map_or("", |key| key.vkey.as_str());
    let new = successor(case, &asked.log_vkey, &name)?;
    let text = continuation_text(newest, &asked.log_vkey);
    signed_by(text, &asked.signature, &[&new])?;
    let size = check_checkpoint(case, &asked.checkpoint)?;
    check_reason(case.book.size, size, asked)?;
    Ok(Decision::common(Found {
        succession: Some(Succession {
            from: case.book.size.saturating_add(1),
            until: case.env.at,
        }),
        ..Found::default()
    }))
}

fn name_of(vkey: &str) -> &str {
    vkey.split('+').next().unwrap_or_default()
}

/// The size of a checkpoint that a key of the log so far has signed.
fn check_checkpoint(case: &Case<'_>, note: &str) -> Result<u64, Refusal> {
    let origin = &case.book.exchange()?.origin;
    let note = Note::parse(note.as_bytes()).map_err(|flaw| unfit(flaw.sentence()))?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(|flaw| unfit(flaw.sentence()))?;
    if checkpoint.origin().as_str() != origin {
        let sentence = format!(
            "the checkpoint is of {}, the log so far is {origin}",
            checkpoint.origin()
        );
        return Err(unfit(&sentence));
    }
    let keys = case.book.log_keys.all().iter();
    let keys: Vec<_> = keys
        .filter_map(|key| VerifierKey::parse(&key.vkey).ok())
        .filter(|key| key.name().as_str() == origin)
        .collect();
    note.open(&keys)
        .map_err(|flaw| unfit(&format!("the checkpoint: {}", flaw.sentence())))?;
    Ok(checkpoint.size().get())
}

/// A checkpoint of more entries than there are is what `behind-world` means, and only there is anything to prove.
fn check_reason(here: u64, size: u64, asked: &ContinueTrail) -> Result<(), Refusal> {
    let fits = match asked.reason {
        ContinuationReason::LostKey => size <= here && asked.consistency.is_none(),
        ContinuationReason::BehindWorld => size > here,
    };
    if !fits {
        return Err(unfit(&format!(
            "the checkpoint is of {size} entries, here are {here}: lost-key is for at most as many, behind-world for more"
        )));
    }
    let proof = asked.consistency.as_deref().unwrap_or_default();
    if proof.len() > PROOF_HASHES_MAX || proof.iter().any(|hash| Hash::parse(hash).is_none()) {
        return Err(unfit("the proof is at most 63 hashes in base64"));
    }
    Ok(())
}

fn unfit(sentence: &str) -> Refusal {
    Refusal::new(Code::TrailContinuation, sentence)
}

/// A key of the log that is to come: of this name, and new to everybody.
fn successor(case: &Case<'_>, vkey: &str, name: &KeyName) -> Result<VerifierKey, Refusal> {
    let key = parse(vkey)?;
    if key.name() != name {
        let sentence = format!("the key's name is {}, the log's {name}", key.name());
        return Err(Refusal::new(Code::LogKeyInvalid, sentence));
    }
    let of_log = case.book.log_keys.all().iter();
    let mut of_log = of_log.filter_map(|known| VerifierKey::parse(&known.vkey).ok());
    // A key id is short: two keys of one name and id could not be told apart on a line.
    let clash = |known: VerifierKey| {
        known.public() == key.public() || (known.id() == key.id() && known.name() == name)
    };
    if of_log.any(clash) || case.book.keys.contains_key(&key.public().kid()) {
        let sentence = "the new key serves already, or has served; make a fresh one";
        return Err(Refusal::new(Code::KeyTaken, sentence));
    }
    Ok(key)
}

fn parse(vkey: &str) -> Result<VerifierKey, Refusal> {
    let invalid = |sentence: String| Refusal::new(Code::LogKeyInvalid, sentence);
    let key = VerifierKey::parse(vkey).map_err(|flaw| invalid(flaw.sentence().to_owned()))?;
    match key.key_type() {
        KeyType::Ed25519 => Ok(key),
        KeyType::Cosignature => Err(invalid(format!(
            "{} is a witness's key, not a log's",
            key.name()
        ))),
    }
}

/// Whether exactly these keys have signed a text, in this order, a line each.
fn signed_by(text: String, lines: &str, keys: &[&VerifierKey]) -> Result<(), Refusal> {
    let unproven = |sentence: &str| Refusal::new(Code::KeyProof, sentence.to_owned());
    let lines = SignatureLine::parse_all(lines).map_err(|flaw| unproven(flaw.sentence()))?;
    let in_order = lines.iter().zip(keys).all(|(line, key)| key.made(line));
    if lines.len() != keys.len() || !in_order {
        return Err(unproven(
            "sign by the keys named, the old one's line first, a line each",
        ));
    }
    let note = Note::new(text, lines).map_err(|flaw| unproven(flaw.sentence()))?;
    note.open(keys.iter().copied())
        .map(drop)
        .map_err(|flaw| unproven(flaw.sentence()))
}
