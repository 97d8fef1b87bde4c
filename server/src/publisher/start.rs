//! Before the first write: is this database as new as what the world has seen? (TRAIL D4)

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use verifier::trail::Hash;
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::key::{Origin, VerifierKey};
use verifier::trail::note::Note;
use verifier::trail::policy::Policy;

use super::{CHECKPOINT, Fault, inconsistent};
use crate::objects::{Objects, wait};
use crate::store::{Db, heads, log};
use crate::witness::Shown;

/// Compares the bucket's checkpoint with the database: the only defence against a restored backup or a failover to a
/// replica that lags.
///
/// Other servers publish meanwhile, so what follows is read first: the bucket, then the published row, then the head.
pub(super) fn compare(db: &mut Db, objects: &Objects, keys: &[VerifierKey]) -> Result<(), Fault> {
    let in_bucket = wait(objects.get(CHECKPOINT))?;
    let published = heads::published(db)?;
    let head = log::head(db)?;
    if let Some(published) = published {
        signed_by(keys, published.note.as_bytes())?;
        if published.size > head.size {
            let what = format!("{} is published, {} committed", published.size, head.size);
            return Err(inconsistent(what));
        }
    }
    let Some(note) = in_bucket else {
        return Ok(());
    };
    let checkpoint = signed_by(keys, &note)?;
    let size = checkpoint.size().get();
    if size > head.size {
        return Err(Fault::Ahead {
            published: size,
            committed: head.size,
        });
    }
    // A head is signed only after its row is committed: without the row, it was signed from another database.
    let signed = heads::signed_at(db, size)?;
    if signed.is_some_and(|signed| Hash::new(signed.root) == checkpoint.root()) {
        Ok(())
    } else {
        Err(Fault::Fork { size })
    }
}

/// Compares what witnesses show with the database: a restored backup whose trail folder was restored with it is found here.
/// What they show was read before, so that other servers that publish meanwhile are no alarm.
pub(super) fn compare_witnesses(db: &mut Db, shown: &[Shown]) -> Result<(), Fault> {
    let head = log::head(db)?;
    for Shown {
        witness,
        size,
        root,
    } in shown
    {
        let (witness, size) = (witness.clone(), *size);
        if size > head.size {
            return Err(Fault::WitnessAhead {
                witness,
                cosigned: size,
                committed: head.size,
            });
        }
        let signed = heads::signed_at(db, size)?;
        if signed.is_none_or(|signed| Hash::new(signed.root) != *root) {
            return Err(Fault::WitnessFork { witness, size });
        }
    }
    Ok(())
}

/// The log has not left this origin for another one.
pub(super) fn is_here(keys: &[VerifierKey], origin: &Origin) -> Result<(), Fault> {
    let newest = keys.last().map(VerifierKey::name);
    let was_here = keys.iter().any(|key| key.name() == origin);
    match newest.filter(|newest| was_here && *newest != origin) {
        Some(newest) => Err(Fault::Moved(newest.to_string())),
        None => Ok(()),
    }
}

/// What is published is not of an origin that the log has left for this one.
pub(super) fn is_ours(db: &mut Db, keys: &[VerifierKey], origin: &Origin) -> Result<(), Fault> {
    let (Some(published), true) = (
        heads::published(db)?,
        keys.last().is_some_and(|newest| newest.name() == origin),
    ) else {
        return Ok(());
    };
    let checkpoint = Checkpoint::parse(Note::parse(published.note.as_bytes())?.text())?;
    let left = checkpoint.origin();
    if left != origin && keys.iter().any(|key| key.name() == left) {
        return Err(Fault::HalfMoved(left.to_string()));
    }
    Ok(())
}

/// Reads a checkpoint that must be by one of this log's keys.
fn signed_by(keys: &[VerifierKey], note: &[u8]) -> Result<Checkpoint, Fault> {
    let policy = Policy::parse(policy_text(keys).as_bytes())?;
    let note = Note::parse(note).map_err(Fault::Foreign)?;
    let verified = policy.check(&note).map_err(Fault::Foreign)?;
    Ok(verified.checkpoint().clone())
}

pub(super) fn policy_text(keys: &[VerifierKey]) -> String {
    let logs: String = keys.iter().map(|key| format!("log {key}\n")).collect();
    format!("{logs}quorum none\n")
}

pub(super) fn write_policy(file: &Path, keys: &[VerifierKey]) -> Result<Policy, Fault> {
    let fault = |error| Fault::File(file.to_owned(), error);
    match std::fs::read(file) {
        // The operator may have added witnesses: the file is theirs as long as it names this log.
        Ok(bytes) => {
            let policy = Policy::parse(&bytes).ok();
            let names_us =
                |policy: &Policy| policy.logs().iter().any(|log| keys.contains(&log.key));
            policy
                .filter(names_us)
                .ok_or_else(|| Fault::Policy(file.to_owned()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let (staged, text) = (file.with_extension("new"), policy_text(keys));
            let mut out = File::create(&staged).map_err(fault)?;
            out.write_all(text.as_bytes()).map_err(fault)?;
            out.sync_all().map_err(fault)?;
            std::fs::rename(&staged, file).map_err(fault)?;
            Ok(Policy::parse(text.as_bytes())?)
        }
        Err(error) => Err(fault(error)),
    }
}
