//! The desk in front of the sequencer: hand in commands, read the book. HTTP, timers and the console hold one each.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use verifier::book::Book;
use verifier::book::decide::Request;
use verifier::book::entry::Entry;
use verifier::id::Sha256Hash;
use verifier::refusal::Refusal;

use super::loaded::Shelf;
use super::pace::Pace;
use super::queue::Queue;

/// An entry that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The entry.
    pub entry: Entry,
    /// The hash of its leaf (RFC 6962 §2.1).
    pub leaf_hash: Sha256Hash,
}

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is this entry now.
    Accepted(Box<Committed>),
    /// It had become this entry before.
    Known(Box<Committed>),
    /// The rules say no; the book is unchanged.
    Refused(Refusal),
    /// It was not decided, or nobody knows.
    Failed(Unanswered),
}

/// Why there is no answer. The log has the details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// Too many commands wait, or the book is being loaded: come back. Nothing was done.
    Busy,
    /// This server stops: go to another one. Nothing was done.
    Stopping,
    /// It is unknown whether it is durable. Repeated with the same key, it is answered either way and done once.
    Lost,
    /// We broke over this very command. Nothing was done.
    Internal,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "too much is waiting; come back in a moment",
            Self::Stopping => "this server stops; come back or go to another one",
            Self::Lost => "it is unknown whether this was done; send it again with the same key",
            Self::Internal => "the exchange could not decide this",
        })
    }
}

impl std::error::Error for Unanswered {}

/// A way to the sequencer. A copy leads to the same one.
#[derive(Clone)]
pub struct Desk {
    queue: Arc<Queue>,
    shelf: Arc<Shelf>,
    committed: watch::Receiver<u64>,
    pace: Pace,
    failing: Arc<AtomicBool>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Desk({} waiting)", self.queue.waiting())
    }
}

impl Desk {
    pub(super) const fn new(
        queue: Arc<Queue>,
        shelf: Arc<Shelf>,
        committed: watch::Receiver<u64>,
        pace: Pace,
        failing: Arc<AtomicBool>,
    ) -> Self {
        Self {
            queue,
            shelf,
            committed,
            pace,
            failing,
        }
    }

    /// Hands in requests, and says what became of each, in their order. They are decided in this order too, but other
    /// callers' may lie between them. Dropped while it waits, it does not take them back.
    pub async fn submit(&self, requests: Vec<Request>) -> Vec<Outcome> {
        let count = requests.len();
        let parts = match self.queue.push(requests) {
            Ok(parts) => parts,
            Err(why) => return vec![Outcome::Failed(why); count],
        };
        let mut outcomes = Vec::with_capacity(count);
        for part in parts {
            // The sequencer died between taking it and answering: nobody knows.
            outcomes.extend(part.await.unwrap_or_default());
        }
        outcomes.resize(count, Outcome::Failed(Unanswered::Lost));
        outcomes
    }

    /// Hands in one request.
    pub async fn submit_one(&self, request: Request) -> Outcome {
        let outcome = self.submit(vec![request]).await.pop();
        outcome.unwrap_or(Outcome::Failed(Unanswered::Lost))
    }

    /// Looks at the book as of the last durable entry. Be short: the sequencer waits.
    /// # Errors
    /// [`Unanswered::Busy`] while the book is loaded anew after a fault.
    pub async fn read<T>(&self, look: impl FnOnce(&Book) -> T) -> Result<T, Unanswered> {
        let shelf = self.shelf.read().await;
        let loaded = shelf.as_ref().ok_or(Unanswered::Busy)?;
        Ok(look(&loaded.book))
    }

    /// The number of durable entries, as it grows: for the publisher, the projector and those who wait for one.
    #[must_use]
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.clone()
    }

    /// How far the log may run ahead of the projector, and how often it had to wait.
    #[must_use]
    pub const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Whether the sequencer could not write when it last tried.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// How many requests wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Takes no more requests from anybody. What waits is still decided; then the sequencer's thread ends.
    pub fn close(&self) {
        self.queue.close();
    }
}
