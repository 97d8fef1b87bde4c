//! Entries → tiles and bundles → checkpoint (TRAIL D1–D5, D10): a loop of its own, behind the commits.
//!
//! Every byte is a function of committed rows: a put twice, late or by another server is harmless, and a start after a
//! crash is the normal step, "put again from the published size". Rows come first: the head's row is committed before the
//! key is used on it, and the checkpoint's row before its copy in the bucket. Never two roots of one size, never back.

mod check;
mod clean;
mod cosigning;
mod fault;
mod run;
mod signing;
mod start;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};
use tokio::sync::watch;
use verifier::trail::bundle::{self, BundlePath};
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::growth::Growth;
use verifier::trail::key::{Origin, VerifierKey};
use verifier::trail::note::Note;
use verifier::trail::policy::Policy;
use verifier::trail::tile::{TilePath, WIDTH_FULL};
use verifier::trail::{Flaw, FlawKind, Hash, TreeSize, tree};

pub use check::{Checked, Finding, check};
pub use clean::{Cleaned, Mode, clean};
pub use fault::Fault;
pub(crate) use signing::settled as settled_keys;

use crate::faults::Faults;
use crate::keys::Keys;
use crate::objects::{Objects, wait};
use crate::store::heads::{self, Published, SignedHead};
use crate::store::log::{self, Stored};
use crate::store::{Db, Store, StoreFault};
use crate::witness::{Standing, Witnesses};
use signing::Signing;

/// The newest checkpoint's name in the bucket: the only object that is ever replaced.
pub const CHECKPOINT: &str = "checkpoint";
/// However often publishing is asked for, a disk needs some rest.
const EVERY_MIN: Duration = Duration::from_millis(10);
/// So many requests of a bucket are under way side by side.
const TOGETHER: usize = 16;
/// So many objects, or so many of their bytes, are put together: what a busy second brings, and few open files.
const BATCH: usize = 128;
const BATCH_BYTES: usize = 16 << 20;

/// What a publisher works with.
pub struct Parts {
    /// The database of the exchange.
    pub store: Arc<Store>,
    /// The bucket of the trail: `checkpoint` and `tile/…` lie at its top.
    pub objects: Objects,
    /// The keys; only those of the log are used.
    pub keys: Arc<Keys>,
    /// The log's origin, which is its key's name.
    pub origin: Origin,
    /// Where a test stops the process.
    pub faults: Faults,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The published checkpoint is that of the committed head.
    Idle,
    /// A checkpoint of this size was published.
    Published(u64),
    /// The signed head of this size waits for the policy's quorum of witnesses.
    Waiting(u64),
}

/// Publishes what is committed. Plain code on one thread; [`Publisher::run`] is its loop.
pub struct Publisher {
    parts: Parts,
    signing: Signing,
    /// Dropped after each fault: a lost connection is made anew.
    db: Option<Db>,
    /// Where the tiles stand. Dropped after each fault, made anew from the published size.
    growth: Option<Growth>,
    /// The note that was last put into, or found in, the bucket.
    in_bucket: Option<String>,
    witnesses: Witnesses,
    /// How many checkpoints of the history the bucket holds, as far as we know. Dropped after each fault.
    history: Option<u64>,
    published: watch::Sender<u64>,
}

impl Publisher {
    /// Compares the database with what the world has seen, before anything is written.
    /// # Errors
    /// [`Fault::Ahead`], [`Fault::Fork`], [`Fault::Foreign`], [`Fault::KeyMissing`]: do not start. Others as they come.
    pub fn open(parts: Parts) -> Result<Self, Fault> {
        let mut signing = Signing::new(Arc::clone(&parts.keys), &parts.origin)?;
        let mut db = parts.store.dedicated()?;
        let keys = signing::readable(&signing.keys(&mut db)?);
        start::is_here(&keys, &parts.origin)?;
        start::is_ours(&mut db, &keys, &parts.origin)?;
        start::compare(&mut db, &parts.objects, &keys)?;
        signing.is_able(&mut db)?;
        let alone = Policy::parse(start::policy_text(&keys).as_bytes())?;
        Ok(Self {
            parts,
            signing,
            db: Some(db),
            growth: None,
            in_bucket: None,
            witnesses: Witnesses::new(alone, Duration::MAX),
            history: None,
            published: watch::Sender::new(0),
        })
    }

    /// The key of the first start: until another one takes over, what to check this log with.
    #[must_use]
    pub const fn key(&self) -> &VerifierKey {
        self.signing.own()
    }

    /// How many entries the published checkpoint covers, as it grows.
    #[must_use]
    pub fn published(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }

    /// Has checkpoints cosigned by the witnesses of a policy, an unchanged one again after `again` (TRAIL D6). Those that
    /// answer are compared with the database first (TRAIL D4).
    /// # Errors
    /// [`Fault::WitnessAhead`], [`Fault::WitnessFork`]: do not start. Others as they come.
    pub fn witnessed_by(mut self, mut policy: Policy, again: Duration) -> Result<Self, Fault> {
        let mut db = self.parts.store.dedicated()?;
        let keys = signing::readable(&self.signing.keys(&mut db)?);
        keys.iter().for_each(|key| policy.trust(key.clone()));
        self.witnesses = Witnesses::new(policy, again);
        let shown = self.witnesses.shown(&keys);
        start::compare_witnesses(&mut db, &shown)?;
        Ok(self)
    }

    /// How the witnesses stand, as it changes.
    #[must_use]
    pub fn standings(&self) -> watch::Receiver<Vec<Standing>> {
        self.witnesses.standings()
    }

    /// Reads the policy file; where there is none, writes the one that trusts this log's keys and asks for no witness (C2SP
    /// tlog-policy).
    /// # Errors
    /// [`Fault::Policy`] if one is there that names none of these keys, [`Fault::File`].
    pub fn write_policy(&self, file: &std::path::Path) -> Result<Policy, Fault> {
        let mut db = self.parts.store.dedicated()?;
        let keys = self.signing.keys(&mut db)?;
        start::write_policy(file, &signing::readable(&keys))
    }

    /// Signs and publishes the committed head, if it is not published yet.
    ///
    /// A crash anywhere leaves either nothing, or a signed head that the next step publishes before any other.
    /// # Errors
    /// [`Fault`]; the step may be tried again where [`Fault::is_passing`].
    pub fn step(&mut self) -> Result<Step, Fault> {
        let outcome = self.step_once();
        if outcome.is_err() {
            (self.db, self.growth, self.in_bucket) = (None, None, None);
            self.history = None;
        }
        outcome
    }

    fn step_once(&mut self) -> Result<Step, Fault> {
        let mut db = match self.db.take() {
            Some(db) => db,
            None => self.parts.store.dedicated()?,
        };
        let step = match self.target(&mut db)? {
            Some(target) => self.publish(&mut db, &target)?,
            None => {
                self.mend(&mut db)?;
                self.cosign_again(&mut db)?;
                Step::Idle
            }
        };
        self.copy_checkpoint(&mut db)?;
        self.put_history(&mut db)?;
        self.db = Some(db);
        Ok(step)
    }

    /// The head to publish next: one signed before a crash, else the newest committed one; at first the empty tree, so
    /// that a checkpoint exists from the first start (TRAIL A3).
    fn target(&self, db: &mut Db) -> Result<Option<SignedHead>, Fault> {
        let published = heads::published(db)?.map(|published| published.size);
        let signed = heads::signed_head(db)?;
        let unpublished = signed.filter(|signed| published.is_none_or(|size| size < signed.size));
        if unpublished.is_some() {
            return Ok(unpublished);
        }
        let mut head = log::head(db)?;
        match published {
            Some(size) if size >= head.size => return Ok(None),
            Some(_) => {}
            // A log that goes on from another one has its first checkpoint when it does.
            None if self.signing.goes_on(db)? => {}
            None => (head.size, head.root) = (0, *Hash::EMPTY.as_bytes()),
        }
        // DURABLE: the row is committed before the key is used. A crash after it: the next step signs this same head.
        let now = log::now(db)?;
        let faults = &self.parts.faults;
        faults.around("sign the head", || {
            Ok(Some(heads::sign_head(db, &head, now)?))
        })
    }

    /// Tiles and bundles first, then the checkpoint that needs them.
    fn publish(&mut self, db: &mut Db, target: &SignedHead) -> Result<Step, Fault> {
        let mut growth = match self.growth.take() {
            Some(growth) => growth,
            None => self.resume(db)?,
        };
        if growth.size().get() > target.size {
            // Another server published a larger tree after our target was read.
            self.growth = Some(growth);
            return Ok(Step::Idle);
        }
        self.grow(db, &mut growth, target)?;
        self.growth = Some(growth);
        let note = self.sign(db, target)?;
        let Some((note, cosigned_at)) = self.cosign(db, &note, target)? else {
            return Ok(Step::Waiting(target.size));
        };
        // DURABLE: only forward. A crash before it: the next step comes here with the same bytes.
        let row = Published {
            size: target.size,
            note: note.to_string(),
        };
        let faults = &self.parts.faults;
        faults.around("publish", || {
            heads::advance_published(db, &row).map_err(Fault::from)
        })?;
        self.keep(db, &row, cosigned_at)?;
        Ok(Step::Published(target.size))
    }

    /// With nothing new to publish, the first step looks whether what is published is still there: a folder that was
    /// lost, or restored from an older copy, is put again.
    fn mend(&mut self, db: &mut Db) -> Result<(), Fault> {
        if self.growth.is_some() {
            return Ok(());
        }
        let Some(published) = heads::published(db)? else {
            return Ok(());
        };
        let mut growth = self.resume(db)?;
        if growth.size().get() < published.size {
            let signed = heads::signed_at(db, published.size)?
                .ok_or_else(|| inconsistent(format!("{} was never signed", published.size)))?;
            self.grow(db, &mut growth, &signed)?;
        }
        self.growth = Some(growth);
        Ok(())
    }

    /// Continues from the published tiles; where they are lost, from the first entry: every put is idempotent.
    fn resume(&self, db: &mut Db) -> Result<Growth, Fault> {
        let Some(published) = heads::published(db)? else {
            return Ok(Growth::empty());
        };
        let checkpoint = Checkpoint::parse(Note::parse(published.note.as_bytes())?.text())?;
        let resumed = Growth::resume(checkpoint.size(), |path| self.published_tile(path));
        match resumed {
            Ok(growth) if growth.root() == checkpoint.root() => Ok(growth),
            Err(fault) if fault.is_passing() => Err(fault),
            Ok(_) | Err(_) => {
                tracing::warn!(
                    size = published.size,
                    "published tiles are missing or damaged; putting again from the first entry"
                );
                Ok(Growth::empty())
            }
        }
    }

    fn published_tile(&self, path: TilePath) -> Result<Vec<u8>, Fault> {
        let full = TilePath::new(path.level(), path.number(), WIDTH_FULL);
        for path in [Some(path), full].into_iter().flatten() {
            if let Some(bytes) = wait(self.parts.objects.get(&path.to_string()))? {
                return Ok(bytes.into());
            }
        }
        Err(Flaw::new(FlawKind::Tile, format!("{path} is missing")).into())
    }

    /// Puts every bundle and tile between the growth's size and the target's.
    fn grow(&self, db: &mut Db, growth: &mut Growth, target: &SignedHead) -> Result<(), Fault> {
        let from = growth.size();
        let to = TreeSize::new(target.size)
            .ok_or_else(|| inconsistent(format!("a signed size is {}", target.size)))?;
        let (mut puts, mut bytes_ready) = (Vec::new(), 0);
        for path in bundle::bundles_between(from, to) {
            let rows = self.parts.store.entries(db, numbers(path))?;
            let entries = whole_bundle(path, rows)?;
            let bytes = bundle::encode(entries.iter().map(Bytes::as_ref))?;
            bytes_ready += bytes.len();
            puts.push((path.to_string(), bytes.into()));
            let mut put_tile = |path, bytes: &[u8]| {
                puts.push(tile(path, bytes));
                Ok::<_, Fault>(())
            };
            let numbered = (path.first()..).zip(&entries);
            for (_, entry) in numbered.filter(|(seq, _)| *seq >= from.get()) {
                growth.push(tree::leaf_hash(entry), &mut put_tile)?;
            }
            if puts.len() >= BATCH || bytes_ready >= BATCH_BYTES {
                self.put_all(std::mem::take(&mut puts))?;
                bytes_ready = 0;
            }
        }
        let root = growth.root();
        if *root.as_bytes() != target.root {
            let signed = Hash::new(target.root);
            let what = format!("the entries below {to} give the root {root}, signed is {signed}");
            return Err(inconsistent(what));
        }
        let partial = growth.partial_tiles();
        puts.extend(partial.map(|(path, bytes)| tile(path, bytes)));
        self.put_all(puts)
    }

    /// Puts objects together; where one fails, the others may be there or not.
    fn put_all(&self, objects: Vec<(String, Bytes)>) -> Result<(), Fault> {
        let Parts {
            objects: bucket,
            faults,
            ..
        } = &self.parts;
        // DURABLE: the bytes, under nobody's names. A crash around it leaves files that the next start removes.
        let mut coming = faults.around("stage", || bucket.stage(objects).map_err(Fault::from))?;
        let puts = coming.iter_mut().map(Ok::<_, Fault>);
        wait(
            stream::iter(puts).try_for_each_concurrent(TOGETHER, |object| async move {
                let put = async { bucket.name(object).await.map_err(Fault::from) };
                // No checkpoint names this object yet. A crash around it: put again, the same bytes.
                faults.around_later("put", put).await
            }),
        )?;
        // DURABLE: the names, before any checkpoint needs them.
        faults.around("keep", || bucket.keep(&coming).map_err(Fault::from))
    }

    /// Signs by every key that the entries under this head demand (TRAIL E8).
    fn sign(&mut self, db: &mut Db, target: &SignedHead) -> Result<Note, Fault> {
        let size = TreeSize::new(target.size).unwrap_or(TreeSize::ZERO);
        let root = Hash::new(target.root);
        let text = Checkpoint::new(self.parts.origin.clone(), size, root).to_string();
        let signers = self.signing.signers(db, target.size)?;
        let elsewhere = signers.iter().find(|key| *key.name() != self.parts.origin);
        if let Some(key) = elsewhere {
            return Err(Fault::Moved(key.name().to_string()));
        }
        // The witnesses' policy may be older than a key that has taken over since.
        signers.iter().for_each(|key| self.witnesses.trust(key));
        let Self { parts, signing, .. } = self;
        parts
            .faults
            .around("sign", || signing.sign(&signers, &text))
    }

    /// Brings the bucket's copy to what the row says. The row may move meanwhile: another server publishes too.
    fn copy_checkpoint(&mut self, db: &mut Db) -> Result<(), Fault> {
        loop {
            let Some(row) = heads::published(db)? else {
                return Ok(());
            };
            self.published.send_replace(row.size);
            if self.in_bucket.as_ref() == Some(&row.note) {
                return Ok(());
            }
            // DURABLE: a crash around it leaves the older copy; the next start or step puts the row's again.
            let bytes = Bytes::from(row.note.clone());
            self.parts.faults.around("copy the checkpoint", || {
                wait(self.parts.objects.replace(CHECKPOINT, bytes)).map_err(Fault::from)
            })?;
            self.in_bucket = Some(row.note);
        }
    }
}

fn tile(path: TilePath, bytes: &[u8]) -> (String, Bytes) {
    (path.to_string(), Bytes::copy_from_slice(bytes))
}

/// The numbers of a bundle's entries.
fn numbers(path: BundlePath) -> Range<u64> {
    let end = path.first().saturating_add(u64::from(path.width()));
    path.first()..end
}

/// A bundle's entries, none of them missing.
fn whole_bundle(path: BundlePath, rows: Vec<Stored>) -> Result<Vec<Bytes>, Fault> {
    let entries: Vec<_> = rows.into_iter().map(|row| row.bytes).collect();
    if entries.len() == usize::from(path.width()) {
        return Ok(entries);
    }
    let what = format!("{path} has {} committed entries", entries.len());
    Err(inconsistent(what))
}

fn inconsistent(what: String) -> Fault {
    Fault::Store(StoreFault::Inconsistent(what))
}

#[cfg(test)]
mod tests;
