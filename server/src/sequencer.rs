//! The one writer: collect, catch up, decide, append, commit, answer (DESIGN §2.2, §7).
//!
//! Every change of state is a command that comes through here, in batches of what is waiting. [`Sequencer::step`] is plain and
//! single-threaded: the crash test calls it. [`Sequencer::spawn`] feeds it from the [`Desk`], where HTTP and timers hand in
//! what they ask. Nothing here decides, that is `verifier`'s; nothing is answered before it is durable. Reads never come
//! through here: they look at the book between batches.

mod batch;
mod desk;
mod fault;
mod loaded;
mod pace;
mod queue;
mod snapshot;

pub use desk::{Committed, Desk, Outcome, Unanswered};
pub use fault::Fault;
pub use pace::{BEHIND_MAX, Pace};
pub use snapshot::{IDLE_FROM, Snapshots};

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{RwLockWriteGuard, watch};
use verifier::book::command::{Command, OpenExchange};
use verifier::book::decide::Request;
use verifier::book::log_key::LogKey;
use verifier::id::{ActorId, PartyId, Salt};
use verifier::refusal::Code;

use crate::cause::Whole;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::store::{Db, Store, log, log_keys};
use batch::{Answer, Batch};
use fault::Stop;
use loaded::{Loaded, Shelf};
use queue::{Next, Queue, answer_all};

/// Commands of one transaction at most: enough to share one flush of the disk, few enough to answer soon.
pub const BATCH_MAX: usize = 256;
/// How often an idle server takes over what other servers appended.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// The exchange itself, as its book has it.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Its origin now.
    pub origin: String,
    /// Whoever runs it, and its first credential.
    pub by: (PartyId, ActorId),
    /// The keys of its log.
    pub log_keys: Vec<LogKey>,
}

/// The writer of one server.
pub struct Sequencer {
    store: Arc<Store>,
    /// None after a fault: the next step opens another.
    db: Option<Db>,
    shelf: Arc<Shelf>,
    clock: Clock,
    faults: Faults,
    committed: watch::Sender<u64>,
    /// Whether the last batch, or the last look at the log, failed.
    failing: Arc<AtomicBool>,
    snapshots: Snapshots,
}

impl Sequencer {
    /// Loads the book by replaying the log, in whatever state the last process left it: a start and a recovery are the same.
    /// # Errors
    /// [`Fault`]: the database, or a log that contradicts the rules.
    pub fn start(store: Arc<Store>, clock: Clock, faults: Faults) -> Result<Self, Fault> {
        Self::resume(store, clock, faults, Snapshots::none())
    }

    /// Loads the book from the newest good snapshot and what the log holds after it. Snapshots are kept from here on.
    /// # Errors
    /// [`Fault`], as [`Sequencer::start`].
    pub fn resume(
        store: Arc<Store>,
        clock: Clock,
        faults: Faults,
        snapshots: Snapshots,
    ) -> Result<Self, Fault> {
        let mut sequencer = Self {
            store,
            db: None,
            shelf: Arc::new(Shelf::new(None)),
            clock,
            faults,
            committed: watch::Sender::new(0),
            failing: Arc::default(),
            snapshots,
        };
        sequencer.follow()?;
        Ok(sequencer)
    }

    /// Writes entry 0 if there is none, else compares the origin: one store is one log for ever (TRAIL D11).
    /// # Errors
    /// [`Fault::Origin`] where the store belongs to another origin, [`Fault::Unopened`] where entry 0 is refused.
    pub fn open(&mut self, asked: OpenExchange) -> Result<(), Fault> {
        let origin = asked.origin.clone();
        if self.origin().is_none() {
            let unknown = Salt::new([0; 16]);
            let request = Request {
                // Placeholders: a batch asks entry 0 by the ids that its own salt draws.
                by: PartyId::draw(&unknown, 0, 0),
                actor: ActorId::draw(&unknown, 0, 0),
                cmd: None,
                req: None,
                command: Command::OpenExchange(asked),
            };
            match self.step(&[request])?.pop() {
                // Where another server was faster its origin counts, below.
                Some(Outcome::Refused(refusal)) if refusal.code != Code::ExchangeOpened => {
                    return Err(Fault::Unopened(refusal));
                }
                _ => {}
            }
        }
        match self.origin() {
            Some(found) if found == origin => Ok(()),
            found => Err(Fault::Origin {
                found,
                asked: origin,
            }),
        }
    }

    /// What the book says of the exchange itself, once it is open.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        let shelf = self.shelf.blocking_read();
        let book = &shelf.as_ref()?.book;
        let exchange = book.exchange.as_ref()?;
        Some(Standing {
            origin: exchange.origin.clone(),
            by: (exchange.party, exchange.actor),
            log_keys: book.log_keys.all().to_vec(),
        })
    }

    fn origin(&self) -> Option<String> {
        let shelf = self.shelf.blocking_read();
        let exchange = shelf.as_ref()?.book.exchange.as_ref()?;
        Some(exchange.origin.clone())
    }

    /// Starts the thread that serves the desk until the desk is closed or the log contradicts itself. At most
    /// `waiting_max` commands wait; more are told to come back. It writes at the `pace` of the projector.
    /// # Errors
    /// The operating system gives no thread.
    pub fn spawn(
        self,
        waiting_max: usize,
        pace: Pace,
    ) -> io::Result<(Desk, JoinHandle<Result<(), Fault>>)> {
        let queue = Arc::new(Queue::new(waiting_max));
        let desk = Desk::new(
            Arc::clone(&queue),
            Arc::clone(&self.shelf),
            self.committed.subscribe(),
            pace.clone(),
            Arc::clone(&self.failing),
        );
        let thread = Builder::new()
            .name("sequencer".to_owned())
            .spawn(move || self.serve(&queue, &pace))?;
        Ok((desk, thread))
    }

    fn serve(mut self, queue: &Queue, pace: &Pace) -> Result<(), Fault> {
        // However this ends, nobody waits for an answer that does not come.
        let _closed = queue.close_when_dropped();
        let mut idle_since = Instant::now();
        loop {
            let outcome = match queue.next(BATCH_MAX, FOLLOW_EVERY) {
                Next::Batch { requests, replies } => {
                    let outcome = self.step(&requests);
                    let answered = answer_all(replies, outcome);
                    pace.keep(*self.committed.borrow());
                    idle_since = Instant::now();
                    answered
                }
                Next::Idle if self.failing.load(Ordering::Relaxed) => self.prove(),
                Next::Idle => {
                    let size = *self.committed.borrow();
                    self.snapshots.when_idle(&self.shelf, idle_since, size);
                    self.follow()
                }
                Next::Closed => {
                    let size = *self.committed.borrow();
                    self.snapshots.at_stop(&self.shelf, size);
                    return Ok(());
                }
            };
            self.failing.store(outcome.is_err(), Ordering::Relaxed);
            match outcome {
                Err(fault) if fault.stops_writing() => return Err(fault),
                Err(fault) => tracing::error!(
                    fault = %Whole(&fault),
                    "nothing was written"
                ),
                Ok(()) => {}
            }
        }
    }

    /// Decides a batch, makes what it comes to durable, and says what became of each request, in order.
    /// # Errors
    /// [`Fault`]: none of the batch is known to be durable and none of it may be answered. The book is loaded anew; a client
    /// that repeats its command is answered from there.
    pub fn step(&mut self, requests: &[Request]) -> Result<Vec<Outcome>, Fault> {
        let mut poison = BTreeSet::new();
        loop {
            match self.attempt(requests, &poison) {
                Ok(answers) | Err(Stop::Unchanged(answers)) => return Ok(self.outcomes(answers)),
                Err(Stop::Fault(fault)) => return Err(fault),
                // One poisonous command: its neighbours are decided anew, on a book loaded anew.
                Err(Stop::Poison { index, why }) => {
                    tracing::error!(why, "a decision could not be applied");
                    poison.insert(index);
                }
            }
        }
    }

    /// One batch, one transaction, from top to bottom.
    fn attempt(
        &mut self,
        requests: &[Request],
        poison: &BTreeSet<usize>,
    ) -> Result<Vec<Answer>, Stop> {
        // After a fault: another connection, and the book from the log. A crash leaves what the log says.
        let mut db = self.ready()?;
        let mut on_desk: Option<RwLockWriteGuard<'_, Option<Loaded>>> = None;
        let faults = &self.faults;

        let done = db.transaction(|tx| {
            // Lock the head by writing it: from here on no other server appends. A crash leaves nothing, the database gives
            // the lock back with the connection.
            let locked =
                faults.around("lock the head", || log::lock_head(tx).map_err(Stop::from))?;

            // From the first apply to the commit nobody reads the book: it holds what is not durable yet.
            let shelf = on_desk.insert(self.shelf.blocking_write());
            let loaded = shelf.as_mut().ok_or(Fault::Unloaded)?;

            // Apply what other servers appended. It is durable already: a crash loses nothing.
            loaded.catch_up(tx, &locked.head)?;

            // Decide each command and apply it, so that the next one sees it. Only memory changes: a crash leaves nothing.
            let batch = Batch::new(&self.clock, &locked)?.decide(loaded, requests, poison)?;
            if batch.new.is_empty() {
                return Err(Stop::Unchanged(batch.answers));
            }

            // Append the entries, the tree's edge and the head. A crash leaves nothing: the transaction is open.
            let to = loaded.head();
            faults.around("append", || {
                log::append(tx, &locked.head, &batch.new, &to)?;
                let mut turns = batch.turns.iter();
                turns
                    .try_for_each(|turn| log_keys::add(tx, turn))
                    .map_err(Stop::from)
            })?;

            // DURABLE: the commit. A crash before it leaves nothing, one after it leaves all: the entries, and in them each
            // command's key, by which a client that repeats is answered. In between nobody knows, and the next start sees.
            faults.point("commit")?;
            Ok((batch, (locked.head.size, to.size)))
        });
        let done = done.and_then(|all| faults.point("commit").map(|()| all).map_err(Stop::from));

        match done {
            // Whoever follows the log finds the entries in memory, and readers see the book again.
            Ok((batch, (first, size))) => {
                self.store.recent().committed(first, batch.new);
                self.committed.send_replace(size);
                self.db = Some(db);
                Ok(batch.answers)
            }
            Err(stop @ Stop::Unchanged(_)) => {
                self.db = Some(db);
                Err(stop)
            }
            // What was applied may not be durable: nobody sees or uses that book again. Where nothing was, it stays.
            Err(stop @ (Stop::Fault(_) | Stop::Poison { .. })) => {
                self.store.recent().clear();
                if let Some(mut shelf) = on_desk {
                    *shelf = None;
                }
                Err(stop)
            }
        }
    }

    /// A connection and a book: those of the last step, or, after a fault, both anew.
    fn ready(&mut self) -> Result<Db, Fault> {
        let mut db = match self.db.take() {
            Some(db) => db,
            None => {
                // It may lead to a database that lost what the last one had.
                self.store.recent().clear();
                self.store.dedicated()?
            }
        };
        if self.shelf.blocking_read().is_none() {
            // Readers are told to come back meanwhile: they do not wait for the replay.
            let loaded = Loaded::replay(&self.store, &mut db, &self.snapshots)?;
            *self.shelf.blocking_write() = Some(loaded);
        }
        Ok(db)
    }

    /// Takes over what other servers appended, without the lock: so that reads are fresh and the next step finds little to do.
    /// # Errors
    /// [`Fault`], as [`Sequencer::step`].
    pub fn follow(&mut self) -> Result<(), Fault> {
        let mut db = self.ready()?;
        let head = log::head(&mut db)?;
        let mut shelf = self.shelf.blocking_write();
        let caught = match shelf.as_mut() {
            Some(loaded) => loaded.catch_up(&mut db, &head),
            None => Err(Fault::Unloaded),
        };
        if caught.is_err() {
            *shelf = None;
        }
        drop(shelf);
        caught?;
        self.committed.send_replace(head.size);
        self.db = Some(db);
        Ok(())
    }

    /// After a fault, an idle server sees whether it could write again: it reads the log, takes the lock and commits that, and
    /// looks at the clocks. Nothing is appended.
    fn prove(&mut self) -> Result<(), Fault> {
        self.follow()?;
        let mut db = self.ready()?;
        let clock = &self.clock;
        db.transaction(|tx| Batch::new(clock, &log::lock_head(tx)?).map(drop))?;
        self.db = Some(db);
        Ok(())
    }

    /// What the callers are told. The entry of a known command is read from the log: an answer is a function of its entry.
    fn outcomes(&mut self, answers: Vec<Answer>) -> Vec<Outcome> {
        let mut db = self.db.as_mut();
        let outcome = |answer| match answer {
            Answer::Appended(committed) => Outcome::Accepted(committed),
            Answer::Refused(refusal) => Outcome::Refused(refusal),
            Answer::Poison => Outcome::Failed(Unanswered::Internal),
            Answer::Known(seq) => match db.as_deref_mut().map(|db| loaded::committed(db, seq)) {
                Some(Ok(committed)) => Outcome::Known(Box::new(committed)),
                Some(Err(fault)) => {
                    tracing::error!(
                        fault = %Whole(&fault),
                        seq,
                        "a known entry cannot be read"
                    );
                    Outcome::Failed(Unanswered::Lost)
                }
                None => Outcome::Failed(Unanswered::Lost),
            },
        };
        answers.into_iter().map(outcome).collect()
    }
}
