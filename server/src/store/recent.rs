//! The entries that this server's own sequencer committed last, in memory: whoever follows the log reads them here and leaves the
//! database to the writer (DESIGN §7).
//!
//! It is filled after a commit is known to have succeeded, never before, and emptied on any doubt. It holds a run of numbers without
//! a gap; what is not in it is read from the log, so that nobody depends on what it holds. Who calls: the sequencer fills it,
//! `Store::entries` reads it.

use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::log::{READ_MAX, Stored};

/// What the rows may weigh together: at 15,000 receipts a second, about three seconds, and the publisher comes by once in one.
const BYTES_MAX: usize = 64 << 20;
/// What a row weighs besides its bytes: its place here, and what the allocator adds.
const ROW_BYTES: usize = 64;

/// The newest rows known to be committed.
#[derive(Debug)]
pub struct Recent {
    run: Mutex<Run>,
    bytes_max: usize,
    /// How often somebody asked for rows that were not all here.
    missed: AtomicU64,
}

// INVARIANT: `rows` are the entries `first..first + rows.len()` of the log, and `weight` is what they weigh.
#[derive(Debug, Default)]
struct Run {
    first: u64,
    rows: VecDeque<Bytes>,
    weight: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self::holding(BYTES_MAX)
    }
}

impl Recent {
    /// One that holds so many bytes.
    pub(super) fn holding(bytes_max: usize) -> Self {
        Self {
            run: Mutex::default(),
            bytes_max,
            missed: AtomicU64::new(0),
        }
    }

    /// Takes rows that are known to be committed, the first of this number. Where another server wrote in between, the run begins
    /// anew with them.
    pub fn committed(&self, first: u64, new: Vec<Vec<u8>>) {
        // Boxed: what the writing left as spare room is given back.
        let boxed = new
            .into_iter()
            .map(|bytes| Bytes::from(bytes.into_boxed_slice()));
        let new: Vec<Bytes> = boxed.collect();
        let mut run = self.lock();
        if run.end() != first {
            *run = Run {
                first,
                ..Run::default()
            };
        }
        for bytes in new {
            run.weight = run.weight.saturating_add(weight(bytes.len()));
            run.rows.push_back(bytes);
        }
        while run.weight > self.bytes_max && !run.rows.is_empty() {
            run.forget_first();
        }
    }

    /// Forgets all: after a fault nobody knows what is committed but the database.
    pub fn clear(&self) {
        *self.lock() = Run::default();
    }

    /// How often somebody asked for rows that were not all here, and read them from the database.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// The rows of these numbers, at most [`READ_MAX`] of them, if all are here.
    pub(super) fn entries(&self, range: &Range<u64>) -> Option<Vec<Stored>> {
        let end = range.end.min(range.start.saturating_add(READ_MAX));
        let found = self.lock().slice(range.start, end);
        if found.is_none() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// A panic elsewhere under this lock leaves nobody the wiser: the rows are dropped.
    fn lock(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(|poisoned| {
            self.run.clear_poison();
            let mut run = PoisonError::into_inner(poisoned);
            *run = Run::default();
            run
        })
    }
}

impl Run {
    fn end(&self) -> u64 {
        self.first.saturating_add(self.rows.len() as u64)
    }

    fn forget_first(&mut self) {
        if let Some(bytes) = self.rows.pop_front() {
            self.first = self.first.saturating_add(1);
            self.weight = self.weight.saturating_sub(weight(bytes.len()));
        }
    }

    fn slice(&self, start: u64, end: u64) -> Option<Vec<Stored>> {
        if start < self.first || end > self.end() {
            return None;
        }
        let place = |seq: u64| usize::try_from(seq.checked_sub(self.first)?).ok();
        let (from, to) = (place(start)?, place(end.max(start))?);
        let rows = (start..).zip(self.rows.range(from..to));
        let stored = |(seq, bytes): (u64, &Bytes)| Stored {
            seq,
            bytes: bytes.clone(),
        };
        Some(rows.map(stored).collect())
    }
}

const fn weight(bytes: usize) -> usize {
    bytes.saturating_add(ROW_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows that each weigh 100 bytes.
    fn rows(range: Range<u64>) -> Vec<Vec<u8>> {
        range.map(row).collect()
    }

    fn row(seq: u64) -> Vec<u8> {
        format!("{seq:036}").into_bytes()
    }

    fn commit(recent: &Recent, range: Range<u64>) {
        recent.committed(range.start, rows(range));
    }

    /// The numbers of the rows found, each compared with its bytes.
    fn found(recent: &Recent, range: Range<u64>) -> Option<Range<u64>> {
        let found = recent.entries(&range)?;
        for (seq, stored) in (range.start..).zip(&found) {
            assert_eq!((stored.seq, &stored.bytes[..]), (seq, &row(seq)[..]));
        }
        Some(range.start..range.start + found.len() as u64)
    }

    #[test]
    fn rows_are_found_when_all_of_them_are_here() {
        let recent = Recent::holding(10_000);
        assert_eq!(found(&recent, 0..1), None);
        commit(&recent, 5..8);
        commit(&recent, 8..10);
        assert_eq!(found(&recent, 5..10), Some(5..10));
        assert_eq!(found(&recent, 7..9), Some(7..9));
        assert_eq!(found(&recent, 6..6), Some(6..6));
        assert_eq!((found(&recent, 4..6), found(&recent, 9..11)), (None, None));
        assert_eq!(found(&recent, 10..11), None);
        assert_eq!(recent.missed(), 4);
    }

    #[test]
    fn the_oldest_rows_make_room_for_new_ones() {
        let recent = Recent::holding(1_000);
        commit(&recent, 0..10);
        assert_eq!(found(&recent, 0..10), Some(0..10));
        commit(&recent, 10..13);
        assert_eq!(
            (found(&recent, 2..4), found(&recent, 3..13)),
            (None, Some(3..13))
        );
        commit(&recent, 13..40);
        assert_eq!(
            (found(&recent, 29..40), found(&recent, 30..40)),
            (None, Some(30..40))
        );
        // A row that is too long for it is not kept, nor what is before it.
        recent.committed(40, vec![vec![0; 1_000]]);
        assert_eq!(
            (found(&recent, 30..31), found(&recent, 40..41)),
            (None, None)
        );
        commit(&recent, 41..42);
        assert_eq!(found(&recent, 41..42), Some(41..42));
    }

    #[test]
    fn a_gap_begins_a_new_run() {
        let recent = Recent::holding(10_000);
        commit(&recent, 0..5);
        commit(&recent, 7..9);
        assert_eq!(
            (found(&recent, 0..5), found(&recent, 7..9)),
            (None, Some(7..9))
        );
        assert_eq!(found(&recent, 4..9), None);
        // Back, as after a restored database: what was here is of another history.
        commit(&recent, 3..4);
        assert_eq!(
            (found(&recent, 7..9), found(&recent, 3..4)),
            (None, Some(3..4))
        );
    }

    #[test]
    fn after_a_clearing_nothing_is_found_until_more_is_committed() {
        let recent = Recent::holding(1_000);
        commit(&recent, 0..10);
        recent.clear();
        assert_eq!(found(&recent, 0..10), None);
        commit(&recent, 10..20);
        assert_eq!(
            (found(&recent, 9..11), found(&recent, 10..20)),
            (None, Some(10..20))
        );
    }

    #[test]
    fn one_read_gives_no_more_rows_than_one_of_the_database() {
        let recent = Recent::default();
        commit(&recent, 0..READ_MAX + 1);
        assert_eq!(found(&recent, 0..u64::MAX), Some(0..READ_MAX));
        assert_eq!(found(&recent, 1..u64::MAX), Some(1..READ_MAX + 1));
        assert_eq!(found(&recent, 2..u64::MAX), None);
    }
}
