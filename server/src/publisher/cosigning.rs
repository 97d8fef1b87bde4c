//! What witnesses add to a signed head, and the history of what they have added (TRAIL D6, E3).
//!
//! Asked after the head is durable, signed and its tiles are put. With a quorum in the policy the published checkpoint waits;
//! commits and replies never do. Cosignatures that come later replace the published note by one of the same head.

use bytes::Bytes;
use verifier::trail::FlawKind;
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::history::{self as parts, HistoryPath};
use verifier::trail::note::Note;
use verifier::trail::tile::WIDTH_FULL;

use super::{Fault, Publisher, inconsistent};
use crate::objects::wait;
use crate::store::heads::{self, Published, SignedHead};
use crate::store::{Db, history, log};

impl Publisher {
    /// The note with the cosignatures at hand and the newest one's time; `None` while the quorum has not cosigned.
    pub(super) fn cosign(
        &mut self,
        db: &mut Db,
        note: &Note,
        target: &SignedHead,
    ) -> Result<Option<(Note, Option<u64>)>, Fault> {
        let note = self.ask(db, note)?;
        match self.witnesses.time(&note) {
            Ok(time) => Ok(Some((note, time))),
            Err(flaw) if flaw.kind() == FlawKind::Quorum => {
                tracing::warn!(size = target.size, %flaw, "the checkpoint waits for witnesses");
                Ok(None)
            }
            Err(flaw) => Err(flaw.into()),
        }
    }

    /// With nothing new to publish: lets those cosign that have not yet, or long ago.
    pub(super) fn cosign_again(&mut self, db: &mut Db) -> Result<(), Fault> {
        if !self.witnesses.has_any() {
            return Ok(());
        }
        let Some(published) = heads::published(db)? else {
            return Ok(());
        };
        let note = Note::parse(published.note.as_bytes())?;
        if !self.witnesses.is_due(&note) {
            return Ok(());
        }
        let cosigned = self.ask(db, &note)?;
        if cosigned == note {
            return Ok(());
        }
        // A policy that was changed may ask for more than this head has: it stays published as it is.
        let time = self.witnesses.time(&cosigned).unwrap_or_default();
        let row = Published {
            size: published.size,
            note: cosigned.to_string(),
        };
        // DURABLE: a crash before it: the next step asks again. Another server was faster: the next step looks again.
        if heads::recosign(db, &published, &row.note)? {
            self.keep(db, &row, time)?;
        }
        Ok(())
    }

    fn ask(&mut self, db: &mut Db, note: &Note) -> Result<Note, Fault> {
        if self.witnesses.is_due(note) {
            let checkpoint = Checkpoint::parse(note.text())?;
            let now = u64::try_from(log::now(db)?.unix()).unwrap_or_default();
            self.witnesses
                .ask(&self.parts.objects, note, &checkpoint, now);
            self.excuse_what_another_signed(db)?;
        }
        Ok(self.witnesses.cosigned(note)?)
    }

    /// Larger than what this server states may be what another one has signed on the same database.
    fn excuse_what_another_signed(&mut self, db: &mut Db) -> Result<(), Fault> {
        for size in self.witnesses.claimed() {
            if heads::signed_at(db, size.get())?.is_some() {
                self.witnesses.excuse(size);
            }
        }
        Ok(())
    }

    /// Keeps a published checkpoint in the history if it was cosigned and the newest one kept is old enough.
    pub(super) fn keep(
        &mut self,
        db: &mut Db,
        row: &Published,
        cosigned_at: Option<u64>,
    ) -> Result<(), Fault> {
        if let Some(time) = cosigned_at {
            history::keep(db, row.size, time, &row.note)?;
        }
        Ok(())
    }

    /// Puts the parts of the history that the bucket lacks, then their count. Comes after the checkpoint that is the last note.
    pub(super) fn put_history(&mut self, db: &mut Db) -> Result<(), Fault> {
        let count = history::count(db)?;
        if self.history == Some(count) || count == 0 {
            return Ok(());
        }
        let had = match self.history {
            Some(had) => had,
            None => self.history_in_bucket()?,
        };
        let had = had.min(count);
        for path in parts::parts_between(had, count) {
            let part = (path.to_string(), part_bytes(db, path)?);
            self.put_all(vec![part])?;
        }
        // DURABLE: the parts are there. A crash before it: they are put again, the same bytes.
        let text = Bytes::from(parts::encode_count(count));
        wait(self.parts.objects.replace(parts::COUNT, text))?;
        self.remove_partial(had, count)?;
        self.history = Some(count);
        Ok(())
    }

    /// Removes partial parts of counts before the last one, so that who has just read that one finds its part.
    fn remove_partial(&self, had: u64, count: u64) -> Result<(), Fault> {
        let stale = had.saturating_sub(1)..count.saturating_sub(1);
        // Made anew from nothing, the history left no partial parts.
        let fresh = stale.clone().count() > usize::from(WIDTH_FULL);
        for path in stale.filter(|_| !fresh).filter_map(partial) {
            wait(self.parts.objects.remove(&path.to_string()))?;
        }
        Ok(())
    }

    /// What the bucket says it holds; a count that is lost or damaged means nothing is there.
    fn history_in_bucket(&self) -> Result<u64, Fault> {
        let found = wait(self.parts.objects.get(parts::COUNT))?;
        let count = found.and_then(|bytes| parts::decode_count(&bytes).ok());
        Ok(count.unwrap_or(0))
    }
}

/// The partial part of a history of so many notes, if it ends in one.
fn partial(count: u64) -> Option<HistoryPath> {
    let full = u64::from(WIDTH_FULL);
    HistoryPath::new(count / full, u16::try_from(count % full).ok()?)
}

fn part_bytes(db: &mut Db, path: HistoryPath) -> Result<Bytes, Fault> {
    let end = path.first().saturating_add(u64::from(path.width()));
    let notes = history::notes(db, path.first()..end)?;
    if notes.len() == usize::from(path.width()) {
        let bytes = parts::encode(notes.iter().map(String::as_str))?;
        return Ok(bytes.into());
    }
    let what = format!("{path} has {} kept checkpoints", notes.len());
    Err(inconsistent(what))
}

#[cfg(test)]
mod tests;
