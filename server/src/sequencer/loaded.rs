//! The book in memory, with the edge of the tree over the same entries: filled from the log, and only from there.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, available_parallelism};

use tokio::sync::RwLock;
use verifier::book::Book;
use verifier::book::entry::Entry;
use verifier::book::snapshot;
use verifier::id::Sha256Hash;
use verifier::time::Timestamp;
use verifier::trail::Hash;
use verifier::trail::tree::{Frontier, leaf_hash};

use super::snapshot::{Snapshots, misled};
use super::{Committed, Fault};
use crate::store::log::{self, Head, Stored};
use crate::store::{Db, Store, StoreFault};

/// Entries that are read at once: of the longest, 17 MB.
const CHUNK: usize = 256;
/// Threads that read and parse at a start: applying, on one thread, is a third of the work.
const LANES_MAX: usize = 4;
/// From how many entries on a start is worth several threads.
const LANES_FROM: u64 = 2_000;

/// Where readers find the book: as of the last durable entry. Empty while it is loaded anew. The lock is fair: a busy writer
/// does not starve readers, nor they it.
pub(super) type Shelf = RwLock<Option<Loaded>>;

/// A book and its tree.
// INVARIANT: `edge` is over exactly the entries that `book` has applied.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) book: Book,
    edge: Frontier,
}

impl Loaded {
    /// A book of no entries.
    pub(super) fn empty() -> Self {
        Self {
            book: Book::new(),
            edge: Frontier::empty(),
        }
    }

    /// A book from a snapshot, with the edge that it was taken at.
    pub(super) const fn from(book: Book, edge: Frontier) -> Self {
        Self { book, edge }
    }

    /// The bytes of a snapshot.
    pub(super) fn pack(&self) -> Vec<u8> {
        snapshot::write(&self.book, &self.edge)
    }

    /// Takes the newest good snapshot and replays the rest; without one, or where it misleads, the whole log.
    pub(super) fn replay(store: &Store, db: &mut Db, snapshots: &Snapshots) -> Result<Self, Fault> {
        let head = log::head(db)?;
        if let Some(loaded) = snapshots.newest(db, head.size) {
            match loaded.replay_from(store, db, &head) {
                Ok(loaded) => return Ok(loaded),
                Err(fault) => misled(&fault),
            }
        }
        Self::empty().replay_from(store, db, &head)
    }

    /// Replays what the log holds beyond this: parsed on several threads, applied on this one.
    fn replay_from(mut self, store: &Store, db: &mut Db, head: &Head) -> Result<Self, Fault> {
        if head.size.saturating_sub(self.book.size) > LANES_FROM {
            self.replay_lanes(store, self.book.size..head.size)?;
        }
        self.catch_up(db, head)?;
        tracing::info!(entries = self.book.size, "the book is loaded");
        Ok(self)
    }

    /// Each lane reads every n-th chunk; taken in turn they are in order.
    fn replay_lanes(&mut self, store: &Store, range: Range<u64>) -> Result<(), Fault> {
        let count = available_parallelism().map_or(1, |cores| cores.get().min(LANES_MAX));
        let chunks = usize::try_from(range.end - range.start);
        let chunks = chunks.map_or(usize::MAX, |entries| entries.div_ceil(CHUNK));
        thread::scope(|scope| {
            let start = |lane| {
                let (send, receive) = sync_channel(1);
                scope.spawn(move || read_lane(store, lane..range.end, count, &send));
                receive
            };
            let firsts = (range.start..).step_by(CHUNK);
            let lanes: Vec<Receiver<_>> = firsts.take(count).map(start).collect();
            // An early end drops the receivers, which ends the lanes.
            for lane in lanes.iter().cycle().take(chunks) {
                let chunk: Result<Vec<Ready>, Fault> = lane.recv().unwrap_or(Err(Fault::Unloaded));
                chunk?.iter().try_for_each(|ready| self.take(ready))?;
            }
            Ok(())
        })
    }

    /// Applies what the log holds up to `head`, and compares the tree: a head that its own entries do not give is no head.
    pub(super) fn catch_up(&mut self, db: &mut Db, head: &Head) -> Result<(), Fault> {
        while self.book.size < head.size {
            let chunk = read(db, self.book.size, head.size)?;
            chunk.iter().try_for_each(|ready| self.take(ready))?;
        }
        let here = self.head();
        if here == *head {
            return Ok(());
        }
        let sentence = format!("the entries lead to {here:?}, the head is {head:?}");
        Err(Fault::Log(sentence))
    }

    /// Applies the next entry, with its leaf.
    fn take(&mut self, ready: &Ready) -> Result<(), Fault> {
        self.book.apply(&ready.entry).map_err(Fault::Inconsistent)?;
        self.edge.append(ready.leaf);
        Ok(())
    }

    /// Applies a new entry, and says the hash of its leaf.
    pub(super) fn append(&mut self, entry: &Entry, bytes: &[u8]) -> Result<Sha256Hash, Fault> {
        self.book.apply(entry).map_err(Fault::Inconsistent)?;
        let leaf = leaf_hash(bytes);
        self.edge.append(leaf);
        Ok(Sha256Hash::new(*leaf.as_bytes()))
    }

    /// The head over all that was applied.
    pub(super) fn head(&self) -> Head {
        Head {
            size: self.book.size,
            root: *self.edge.root().as_bytes(),
            edge: self.edge.to_bytes(),
            at: self.book.last_at.unwrap_or(Timestamp::EPOCH),
        }
    }
}

/// An entry read from the log, with its leaf: ready to be applied.
struct Ready {
    entry: Entry,
    leaf: Hash,
}

/// Reads the next chunk of the log, none of it missing.
fn read(db: &mut Db, first: u64, size: u64) -> Result<Vec<Ready>, Fault> {
    let last = size.min(first.saturating_add(CHUNK as u64));
    let stored = log::entries(db, first..last)?;
    if stored.len() as u64 != last - first {
        return Err(Fault::Log(format!(
            "an entry of {first} to {last} is missing"
        )));
    }
    let ready = |stored: Stored| {
        let entry = Entry::parse_own(&stored.bytes);
        let entry = entry.map_err(|refusal| Fault::Spelling(stored.seq, refusal))?;
        let leaf = leaf_hash(&stored.bytes);
        Ok(Ready { entry, leaf })
    };
    stored.into_iter().map(ready).collect()
}

/// Reads one chunk of every `count` on a connection of its own, until the end, a fault, or nobody listens.
fn read_lane(
    store: &Store,
    range: Range<u64>,
    count: usize,
    send: &SyncSender<Result<Vec<Ready>, Fault>>,
) {
    let mut db = match store.dedicated() {
        Ok(db) => db,
        Err(fault) => return drop(send.send(Err(fault.into()))),
    };
    for first in range.clone().step_by(CHUNK * count) {
        if send.send(read(&mut db, first, range.end)).is_err() {
            return;
        }
    }
}

/// Reads one entry that is known to be in the log.
pub(super) fn committed(db: &mut Db, seq: u64) -> Result<Committed, Fault> {
    let missing = || StoreFault::Inconsistent(format!("entry {seq} is missing"));
    let bytes = log::entry(db, seq)?.ok_or_else(missing)?;
    let entry = Entry::parse_own(&bytes).map_err(|refusal| Fault::Spelling(seq, refusal))?;
    let leaf_hash = Sha256Hash::new(*leaf_hash(&bytes).as_bytes());
    Ok(Committed { entry, leaf_hash })
}
