//! The book in memory, with the edge of the tree over the same entries: filled from the log, and only from there.

use tokio::sync::RwLock;
use verifier::book::Book;
use verifier::book::entry::Entry;
use verifier::id::Sha256Hash;
use verifier::time::Timestamp;
use verifier::trail::tree::{Frontier, leaf_hash};

use super::{Committed, Fault};
use crate::store::log::{self, Head};
use crate::store::{Db, StoreFault};

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

    /// Replays the whole log.
    pub(super) fn replay(db: &mut Db) -> Result<Self, Fault> {
        let mut loaded = Self::empty();
        let head = log::head(db)?;
        loaded.catch_up(db, &head)?;
        tracing::info!(entries = loaded.book.size, "the book is loaded");
        Ok(loaded)
    }

    /// Applies what the log holds up to `head`, and compares the tree: a head that its own entries do not give is no head.
    pub(super) fn catch_up(&mut self, db: &mut Db, head: &Head) -> Result<(), Fault> {
        while self.book.size < head.size {
            let chunk = log::entries(db, self.book.size..head.size)?;
            if chunk.is_empty() {
                return Err(Fault::Log(format!("entry {} is missing", self.book.size)));
            }
            for stored in chunk {
                let entry = Entry::parse_own(&stored.bytes)
                    .map_err(|refusal| Fault::Spelling(stored.seq, refusal))?;
                self.apply(&entry, &stored.bytes)?;
            }
        }
        let here = self.head();
        if here == *head {
            return Ok(());
        }
        let sentence = format!("the entries lead to {here:?}, the head is {head:?}");
        Err(Fault::Log(sentence))
    }

    /// Applies the next entry and takes its leaf.
    pub(super) fn apply(&mut self, entry: &Entry, bytes: &[u8]) -> Result<Sha256Hash, Fault> {
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

/// Reads one entry that is known to be in the log.
pub(super) fn committed(db: &mut Db, seq: u64) -> Result<Committed, Fault> {
    let missing = || StoreFault::Inconsistent(format!("entry {seq} is missing"));
    let bytes = log::entry(db, seq)?.ok_or_else(missing)?;
    let entry = Entry::parse_own(&bytes).map_err(|refusal| Fault::Spelling(seq, refusal))?;
    let leaf_hash = Sha256Hash::new(*leaf_hash(&bytes).as_bytes());
    Ok(Committed { entry, leaf_hash })
}
