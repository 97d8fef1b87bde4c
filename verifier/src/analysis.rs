//! What a whole trail says taken together: use and money ([`stats`]), patterns worth a look ([`signals`]), one version of a
//! dataset ([`dataset`]), and what only several trails show ([`cross`]) (DESIGN §8, §9).
//!
//! All of it is a pure function of the entries. A [`Study`] applies them to a book of its own and keeps beside it the few
//! things that a book forgets. It decides nothing again: whoever shows a result audits the trail first, and compares
//! [`Study::root`] with the root that was audited.

pub mod cross;
pub mod dataset;
mod earned;
mod level;
mod seen;
pub mod signals;
pub mod stats;
mod week;

pub use earned::{Amount, Basis, Earned, Words};
pub use level::{ENERGY_HEADROOM_BP, Level};
pub use seen::{Document, Seen};
pub use week::IsoWeek;

use std::convert::Infallible;

use crate::book::Book;
use crate::book::entry::Entry;
use crate::id::DocumentDigest;
use crate::trail::Hash;
use crate::trail::growth::Growth;
use crate::trail::tree;

/// A trail as far as it could be read, applied to a book.
pub struct Study {
    book: Book,
    seen: Seen,
    earned: Earned,
    watch: Option<dataset::Watch>,
    growth: Growth,
    stopped: Option<Stopped>,
}

/// Where and why a study could not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// The first entry that was not taken.
    pub seq: u64,
    /// What is wrong with it.
    pub why: String,
}

impl Default for Study {
    fn default() -> Self {
        Self::new()
    }
}

impl Study {
    /// A study of no entries.
    #[must_use]
    pub fn new() -> Self {
        Self {
            book: Book::new(),
            seen: Seen::default(),
            earned: Earned::default(),
            watch: None,
            growth: Growth::empty(),
            stopped: None,
        }
    }

    /// A study of no entries that also keeps what is said of one version of a dataset.
    #[must_use]
    pub fn of_version(manifest: DocumentDigest) -> Self {
        Self {
            watch: Some(dataset::Watch::new(manifest)),
            ..Self::new()
        }
    }

    /// Takes the next entry of the trail. After one that cannot be applied the state is unknown: the rest is only hashed.
    pub fn take(&mut self, bytes: &[u8]) {
        let seq = self.growth.size().get();
        let Ok(()) = self
            .growth
            .push(tree::leaf_hash(bytes), |_, _| Ok::<_, Infallible>(()));
        if self.stopped.is_some() {
            return;
        }
        if let Err(why) = self.apply(bytes) {
            self.stopped = Some(Stopped { seq, why });
        }
    }

    fn apply(&mut self, bytes: &[u8]) -> Result<(), String> {
        // The audit has proven the spelling of these very bytes.
        let entry = Entry::parse_own(bytes).map_err(|refusal| refusal.to_string())?;
        self.book.apply(&entry).map_err(|fault| fault.to_string())?;
        self.seen.take(&self.book, &entry);
        self.earned.take(&self.book, &entry);
        if let Some(watch) = &mut self.watch {
            watch.take(&self.book, &entry);
        }
        Ok(())
    }

    /// The state after all entries that were taken.
    #[must_use]
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// What the book does not keep.
    #[must_use]
    pub const fn seen(&self) -> &Seen {
        &self.seen
    }

    /// What each claim of an order has earned, by what it rests on.
    #[must_use]
    pub const fn earned(&self) -> &Earned {
        &self.earned
    }

    /// The root over all entries that were handed over, taken or not.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.growth.root()
    }

    /// Where it had to stop, if it had to.
    #[must_use]
    pub const fn stopped(&self) -> Option<&Stopped> {
        self.stopped.as_ref()
    }
}

/// A part of a whole in basis points, rounded down; 0 of nothing.
fn share_bp(part: i64, whole: i64) -> i64 {
    if whole <= 0 {
        return 0;
    }
    let bp = i128::from(part) * 10_000 / i128::from(whole);
    i64::try_from(bp).unwrap_or(i64::MAX)
}
