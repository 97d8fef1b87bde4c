//! The entries of a trail, each proven from the tiles to a checkpoint that the policy takes. Tested with [`super`].

use super::{BROKEN, PROMISE_SECONDS, Stop, broken, open};
use crate::audit::{CHECKPOINT, Files};
use crate::book::command::Command;
use crate::book::entry::Entry;
use crate::receipt::{Reply, UnverifiedReceipt};
use crate::signature::PublicKey;
use crate::time::Timestamp;
use crate::trail::bundle::{self, BUNDLE_BYTES_MAX, BundlePath};
use crate::trail::note::{NOTE_BYTES_MAX, Note};
use crate::trail::policy::Policy;
use crate::trail::tile::{TILE_BYTES, TilePath, Tiles, WIDTH_FULL};
use crate::trail::{Hash, TreeSize, tree};

/// The entries of a trail, each proven to the checkpoint.
pub(super) struct Trail<'a, F> {
    pub(super) files: &'a mut F,
    pub(super) size: TreeSize,
    root: Hash,
    origin: String,
    /// When the newest of the policy's witnesses saw the checkpoint.
    cosigned: Option<Timestamp>,
    /// The bundle that was read last: lines of one request lie side by side.
    bundle: Option<(BundlePath, Vec<u8>)>,
}

impl<'a, F: Files> Trail<'a, F> {
    pub(super) fn open(files: &'a mut F, policy: &Policy) -> Result<Self, Stop<F::Fault>> {
        let note = files
            .read(CHECKPOINT, NOTE_BYTES_MAX)
            .map_err(Stop::Fault)?;
        let note = note.ok_or_else(|| open("the trail has no checkpoint"))?;
        let verified = policy.check(&Note::parse(&note)?)?;
        let checkpoint = verified.checkpoint();
        let times = verified.cosignatures().iter().map(|by| by.time);
        let newest = times.max().and_then(|time| i64::try_from(time).ok());
        Ok(Self {
            size: checkpoint.size(),
            root: checkpoint.root(),
            origin: checkpoint.origin().to_string(),
            cosigned: newest.and_then(|time| Timestamp::new(time).ok()),
            files,
            bundle: None,
        })
    }

    /// Checks the reply with the key that entry 0 names.
    pub(super) fn check_signature(
        &mut self,
        compact: &str,
        reply: &Reply,
    ) -> Result<(), Stop<F::Fault>> {
        if self.size == TreeSize::ZERO {
            return Err(open("the trail is empty; its entry 0 names the reply key"));
        }
        let entry = Entry::parse(&self.entry(0)?)?;
        let Command::OpenExchange(opened) = &entry.asked else {
            return Err(broken("entry.spelling", "entry 0 opens no exchange"));
        };
        // A log that goes on from another one begins under that one's name, and so did the replies of then.
        if reply.iss != opened.origin && reply.iss != self.origin {
            let sentence = format!(
                "the reply is by {}, the trail by {}",
                reply.iss, self.origin
            );
            return Err(broken("receipt.issuer", sentence));
        }
        let key = PublicKey::parse(&opened.reply_key)
            .map_err(|fault| broken("key.weak", fault.to_string()))?;
        UnverifiedReceipt::parse(compact)?.verify(&key)?;
        Ok(())
    }

    /// An entry that a reply promises. Where it is not there, the trail must be too old to hold it.
    pub(super) fn promised(&mut self, seq: u64, reply: &Reply) -> Result<Vec<u8>, Stop<F::Fault>> {
        if seq < self.size.get() {
            return self.entry(seq);
        }
        let newest = self.newest()?;
        let size = self.size;
        if newest > reply.iat.after(PROMISE_SECONDS) {
            let sentence = format!(
                "entry {seq} was promised at {}; the trail has {size} entries and is as new as {newest}",
                reply.iat
            );
            return Err(broken(BROKEN, sentence));
        }
        Err(open(format!(
            "the trail has {size} entries, the newest of {newest}: entry {seq} may still come"
        )))
    }

    /// How new the trail is: by its witnesses, else by its own last entry.
    pub(super) fn newest(&mut self) -> Result<Timestamp, Stop<F::Fault>> {
        if let Some(cosigned) = self.cosigned {
            return Ok(cosigned);
        }
        let last = self.size.get().saturating_sub(1);
        Ok(Entry::parse(&self.entry(last)?)?.at)
    }

    /// An entry, proven.
    pub(super) fn entry(&mut self, seq: u64) -> Result<Vec<u8>, Stop<F::Fault>> {
        let bytes = self.stored(seq)?;
        let files = &mut *self.files;
        let fetch = |path| tile(files, path);
        let hashes = Tiles::new(self.size, fetch).prove_inclusion(seq)?;
        tree::verify_inclusion(
            tree::leaf_hash(&bytes),
            seq,
            (self.size, self.root),
            &hashes,
        )?;
        Ok(bytes)
    }

    /// An entry as its bundle has it.
    fn stored(&mut self, seq: u64) -> Result<Vec<u8>, Stop<F::Fault>> {
        let full = u64::from(WIDTH_FULL);
        let (number, place) = (seq / full, seq % full);
        let width = self
            .size
            .get()
            .saturating_sub(number.saturating_mul(full))
            .min(full);
        let path = u16::try_from(width)
            .ok()
            .and_then(|width| BundlePath::new(number, width));
        let path = path.ok_or_else(|| open(format!("the trail has no entry {seq}")))?;
        if self.bundle.as_ref().is_none_or(|(kept, _)| *kept != path) {
            let bytes = self.files.read(&path.to_string(), BUNDLE_BYTES_MAX);
            let bytes = bytes.map_err(Stop::Fault)?;
            self.bundle = Some((
                path,
                bytes.ok_or_else(|| open(format!("the trail lacks {path}")))?,
            ));
        }
        let bytes = self.bundle.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        let entries = bundle::decode(bytes, path.width())?;
        let entry = usize::try_from(place)
            .ok()
            .and_then(|place| entries.get(place));
        Ok(entry.map(|entry| entry.to_vec()).unwrap_or_default())
    }
}

/// A tile, or the full one of its place: partial ones may be collected once the full one is there.
fn tile<F: Files>(files: &mut F, path: TilePath) -> Result<Vec<u8>, Stop<F::Fault>> {
    let full = TilePath::new(path.level(), path.number(), WIDTH_FULL);
    for path in [Some(path), full].into_iter().flatten() {
        let read = files.read(&path.to_string(), TILE_BYTES);
        if let Some(bytes) = read.map_err(Stop::Fault)? {
            return Ok(bytes);
        }
    }
    Err(open(format!("the trail lacks {path}")))
}
