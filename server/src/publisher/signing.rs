//! Which keys sign a head, and with which secrets (TRAIL E8): a function of the committed rows, whichever server signs.
//!
//! The rule is the audit's own ([`LogKeys`]). A later key's secret is looked for when it is first needed, so that a rotation needs
//! no new start.

use std::sync::Arc;

use verifier::book::command::Command;
use verifier::book::entry::Entry;
use verifier::book::log_key::LogKeys;
use verifier::time::Timestamp;
use verifier::trail::key::{Origin, VerifierKey};
use verifier::trail::note::Note;

use super::{Fault, inconsistent};
use crate::keys::{self, Keys, SigningKey};
use crate::store::log::Head;
use crate::store::{Db, log, log_keys};

/// The secrets that this server has used.
pub(super) struct Signing {
    keys: Arc<Keys>,
    /// The key of the first start.
    own: VerifierKey,
    held: Vec<(VerifierKey, SigningKey)>,
}

impl Signing {
    pub(super) fn new(keys: Arc<Keys>, origin: &Origin) -> Result<Self, Fault> {
        let own = keys.log.verifier_key(origin)?;
        Ok(Self {
            keys,
            own,
            held: Vec::new(),
        })
    }

    /// The key of the first start.
    pub(super) const fn own(&self) -> &VerifierKey {
        &self.own
    }

    /// The log's keys; before its first entry, the one of the first start.
    pub(super) fn keys(&self, db: &mut Db) -> Result<LogKeys, Fault> {
        let first = first(db)?.unwrap_or_else(|| self.own.to_string());
        chain(db, first)
    }

    /// Whether this server could sign the committed head.
    pub(super) fn is_able(&mut self, db: &mut Db) -> Result<(), Fault> {
        let Head { size, at, .. } = log::head(db)?;
        for key in self.keys(db)?.of_head(size, Some(at)) {
            self.secret(&VerifierKey::parse(&key.vkey)?)?;
        }
        Ok(())
    }

    /// Who signs the head of a size that is committed.
    pub(super) fn signers(&self, db: &mut Db, size: u64) -> Result<Vec<VerifierKey>, Fault> {
        let keys = self.keys(db)?;
        let at = match keys.all() {
            [_] => None,
            _ => last_at(db, size)?,
        };
        let signers = keys.of_head(size, at);
        Ok(signers
            .map(|key| VerifierKey::parse(&key.vkey))
            .collect::<Result<_, _>>()?)
    }

    /// Whether the log goes on from another one: its first key was not there from the first entry on.
    pub(super) fn goes_on(&self, db: &mut Db) -> Result<bool, Fault> {
        let keys = self.keys(db)?;
        let name = |vkey: &str| VerifierKey::parse(vkey).ok().map(|key| key.name().clone());
        let own = self.own.name();
        let first = keys
            .all()
            .iter()
            .find(|key| name(&key.vkey).as_ref() == Some(own));
        Ok(first.is_some_and(|key| key.from > 0))
    }

    /// Signs a checkpoint's text by all of these, a line each.
    pub(super) fn sign(&mut self, signers: &[VerifierKey], text: &str) -> Result<Note, Fault> {
        let mut lines = Vec::new();
        for key in signers {
            lines.push(self.secret(key)?.sign_line(key, text)?);
        }
        Ok(Note::new(text.to_owned(), lines)?)
    }

    fn secret(&mut self, key: &VerifierKey) -> Result<&SigningKey, Fault> {
        if *key == self.own {
            return Ok(&self.keys.log);
        }
        let known = self.held.iter().position(|(held, _)| held == key);
        let place = match known {
            Some(place) => place,
            None => {
                let folder = self.keys.folder();
                let found = keys::log_key(folder, key).map_err(Fault::Keys)?;
                let missing = || Fault::KeyMissing(key.clone(), keys::log_file(folder, key));
                self.held.push((key.clone(), found.ok_or_else(missing)?));
                self.held.len().saturating_sub(1)
            }
        };
        let held = self.held.get(place).map(|(_, secret)| secret);
        held.ok_or_else(|| inconsistent("a key that was just read is gone".to_owned()))
    }
}

/// The log's keys as its entries settle them; none before entry 0.
pub(crate) fn settled(db: &mut Db) -> Result<Option<LogKeys>, Fault> {
    first(db)?.map(|first| chain(db, first)).transpose()
}

/// Those of the keys that can be read: all but in a test's entry 0.
pub(super) fn readable(keys: &LogKeys) -> Vec<VerifierKey> {
    let keys = keys.all().iter();
    keys.filter_map(|key| VerifierKey::parse(&key.vkey).ok())
        .collect()
}

fn chain(db: &mut Db, first: String) -> Result<LogKeys, Fault> {
    let mut keys = LogKeys::first(first);
    for turn in log_keys::all(db)? {
        keys.succeed(turn.vkey, (turn.seq.saturating_add(1), turn.until));
    }
    Ok(keys)
}

/// The first key, as entry 0 names it.
fn first(db: &mut Db) -> Result<Option<String>, Fault> {
    let Some(bytes) = log::entry(db, 0)? else {
        return Ok(None);
    };
    // A log of other entries has the key of its first start.
    let Ok(entry) = Entry::parse_own(&bytes) else {
        return Ok(None);
    };
    if let Command::OpenExchange(opened) = entry.asked {
        return Ok(Some(opened.log_vkey));
    }
    Err(inconsistent("entry 0 opens no exchange".to_owned()))
}

/// The time of the last entry under a head.
fn last_at(db: &mut Db, size: u64) -> Result<Option<Timestamp>, Fault> {
    let Some(last) = size.checked_sub(1) else {
        return Ok(None);
    };
    let missing = || inconsistent(format!("entry {last} is missing"));
    let bytes = log::entry(db, last)?.ok_or_else(missing)?;
    let entry = Entry::parse_own(&bytes).map_err(|refusal| inconsistent(refusal.to_string()))?;
    Ok(Some(entry.at))
}
