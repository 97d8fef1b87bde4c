//! Back-pressure: a log whose lists fall too far behind is written more slowly, until they come after (DESIGN §7, reads).
//!
//! Nothing is refused for it, and a dead projector stops no exchange: after a batch the sequencer pauses, at most [`PAUSE_MAX`].
//! Meanwhile commands wait in the queue, and only when that is full is a caller told to come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

/// Entries that the projector may be behind: one second or two of its work, so that a burst is not slowed.
pub const BEHIND_MAX: u64 = 50_000;
/// The longest pause after a batch: while the projector cannot write at all, ten batches a second still go through.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// How often a pause looks whether it may end.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How far the log may run ahead of the projector. A copy counts with the original.
#[derive(Debug, Clone)]
pub struct Pace {
    projected: watch::Receiver<u64>,
    behind_max: u64,
    pauses: Arc<AtomicU64>,
}

impl Pace {
    /// Keeps the log at most so many entries ahead of the `projected` ones, as well as pauses can.
    #[must_use]
    pub fn new(projected: watch::Receiver<u64>, behind_max: u64) -> Self {
        Self {
            projected,
            behind_max,
            pauses: Arc::default(),
        }
    }

    /// Whether a log of so many entries is too far ahead.
    #[must_use]
    pub fn is_slow(&self, entries: u64) -> bool {
        entries.saturating_sub(*self.projected.borrow()) > self.behind_max
    }

    /// After how many batches the sequencer has paused.
    #[must_use]
    pub fn pauses(&self) -> u64 {
        self.pauses.load(Ordering::Relaxed)
    }

    /// Pauses while a log of so many entries is too far ahead.
    pub(super) fn keep(&self, entries: u64) {
        if !self.is_slow(entries) {
            return;
        }
        self.pauses.fetch_add(1, Ordering::Relaxed);
        let mut paused = Duration::ZERO;
        while paused < PAUSE_MAX && self.is_slow(entries) {
            thread::sleep(LOOK_EVERY);
            paused = paused.saturating_add(LOOK_EVERY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_begins_one_entry_past_the_limit_and_ends_when_the_projector_comes_after() {
        let (sender, receiver) = watch::channel(10);
        let pace = Pace::new(receiver, BEHIND_MAX);
        pace.keep(10 + BEHIND_MAX);
        assert_eq!(pace.pauses(), 0);
        assert!(pace.is_slow(11 + BEHIND_MAX));
        // Nobody comes: the pause ends all the same.
        pace.keep(11 + BEHIND_MAX);
        assert_eq!(pace.pauses(), 1);
        sender.send_replace(11);
        pace.keep(11 + BEHIND_MAX);
        assert_eq!((pace.pauses(), pace.is_slow(11 + BEHIND_MAX)), (1, false));
    }
}
