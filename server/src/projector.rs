//! Entries → `book_*` rows for lists and search, with a cursor (DESIGN §2.3, §7): a loop of its own, behind the commits.
//!
//! A row is a function of the entries, nothing else: whatever happens to the rows, they are made again from the log by this same
//! code, and money never depends on them. A row that many entries of a batch touch is written once; each batch is one
//! transaction with its cursor, so a crash anywhere goes on from the cursor. It never writes the log, and its faults stop no
//! exchange: lists are then older, and each says its `as_of`. Who calls: `serve`, `quan rebuild`.

mod batch;
pub(crate) mod objects;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use verifier::book::entry::Entry;
use verifier::id::Sha256Hash;
use verifier::trail::tree::leaf_hash;

use crate::cause::Whole;
use crate::store::log::{self, Stored};
use crate::store::project::{self, Cursor};
use crate::store::{Db, Store, StoreFault};
use batch::{Batch, Named};

/// Entries of one transaction at most.
pub const BATCH_MAX: u64 = 5_000;
/// How long entries are collected before they are written: a row that is touched again meanwhile is written once.
const COLLECT: Duration = Duration::from_millis(50);
/// How long it rests after a fault.
const REST: Duration = Duration::from_secs(1);

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The rows are as new as the log.
    Idle,
    /// The rows hold this many entries now.
    Projected(u64),
}

/// Writes the projections. Plain code on one thread; [`Projector::run`] is its loop.
pub struct Projector {
    store: Arc<Store>,
    /// The log and the rows. Dropped after each fault: a lost connection is made anew.
    connections: Option<Connections>,
    projected: watch::Sender<u64>,
}

struct Connections {
    log: Db,
    rows: Db,
}

impl Projector {
    /// Makes the tables where there are none, and empties them where they are of another log than this one, or ahead of it: a
    /// restored database, a file that was copied here.
    /// # Errors
    /// [`StoreFault`]
    pub fn open(store: Arc<Store>) -> Result<Self, StoreFault> {
        let (mut log, mut rows) = (store.dedicated()?, store.dedicated_lists()?);
        project::prepare(&mut rows)?;
        let mut cursor = project::cursor(&mut rows)?;
        if last(&mut log, cursor.size)? != cursor.last {
            tracing::warn!(
                entries = cursor.size,
                "the projections are not of this log; making them again"
            );
            project::reset(&mut rows)?;
            cursor = project::cursor(&mut rows)?;
        }
        Ok(Self {
            store,
            connections: Some(Connections { log, rows }),
            projected: watch::Sender::new(cursor.size),
        })
    }

    /// How many entries the rows hold, as it grows: for those who wait for one.
    #[must_use]
    pub fn projected(&self) -> watch::Receiver<u64> {
        self.projected.subscribe()
    }

    /// Drops every row and makes them again, up to the log's end; returns how many entries they hold.
    /// # Errors
    /// [`StoreFault`]: run it again.
    pub fn rebuild(&mut self) -> Result<u64, StoreFault> {
        project::reset(&mut self.store.dedicated_lists()?)?;
        while self.step()? != Step::Idle {}
        Ok(*self.projected.borrow())
    }

    /// Writes the next batch of entries, if there is one.
    /// # Errors
    /// [`StoreFault`]: nothing of the batch is written; the step may be tried again.
    pub fn step(&mut self) -> Result<Step, StoreFault> {
        let mut connections = match self.connections.take() {
            Some(connections) => connections,
            None => Connections {
                log: self.store.dedicated()?,
                rows: self.store.dedicated_lists()?,
            },
        };
        let (step, size) = connections.step(&self.store)?;
        self.projected.send_replace(size);
        self.connections = Some(connections);
        Ok(step)
    }

    /// Steps when entries are committed, until `stop` says so, and to the log's end then. Faults are logged and tried again.
    /// # Errors
    /// [`StoreFault::Inconsistent`] where a step panicked.
    pub async fn run(
        mut self,
        mut committed: watch::Receiver<u64>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), StoreFault> {
        loop {
            // A sender that is gone cannot stop us later: stop now.
            let stopping = *stop.borrow_and_update() || stop.has_changed().is_err();
            committed.borrow_and_update();
            let stepped = tokio::task::spawn_blocking(move || {
                let outcome = self.catch_up();
                (self, outcome)
            });
            let outcome;
            (self, outcome) = match stepped.await {
                Ok(stepped) => stepped,
                Err(panicked) => return Err(StoreFault::Inconsistent(panicked.to_string())),
            };
            let wait = match outcome {
                // What is missing in the rows, the next start adds.
                _ if stopping => return Ok(()),
                Ok(()) => COLLECT,
                Err(fault) => {
                    tracing::error!(
                        fault = %Whole(&fault),
                        "nothing was projected; trying again"
                    );
                    committed.mark_changed();
                    REST
                }
            };
            tokio::select! {
                // With the sequencer gone nothing is committed any more: only `stop` can come.
                changed = committed.changed() => if changed.is_err() {
                    let _told = stop.changed().await;
                    continue;
                },
                _told = stop.changed() => continue,
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _told = stop.changed() => {}
            }
        }
    }

    fn catch_up(&mut self) -> Result<(), StoreFault> {
        while self.step()? != Step::Idle {}
        Ok(())
    }
}

impl Connections {
    /// What was done, and how many entries the rows hold.
    fn step(&mut self, store: &Store) -> Result<(Step, u64), StoreFault> {
        let size = log::head(&mut self.log)?.size;
        let here = project::cursor(&mut self.rows)?.size;
        if here >= size {
            return Ok((Step::Idle, here));
        }
        let log = &mut self.log;
        // DURABLE: rows and cursor together. A crash before the commit leaves both as they were.
        let size = self
            .rows
            .transaction(|tx| project_next(store, log, tx, size))?;
        Ok((Step::Projected(size), size))
    }
}

/// Writes the next batch of the `size` entries that the log has, and says how many entries the rows hold then.
fn project_next(store: &Store, log: &mut Db, tx: &mut Db, size: u64) -> Result<u64, StoreFault> {
    // Another server may have moved it meanwhile: then there is less to do, or nothing.
    let mut cursor = project::lock_cursor(tx)?;
    let end = size.min(cursor.size.saturating_add(BATCH_MAX));
    let mut batch = Batch::default();
    while cursor.size < end {
        let stored = store.entries(log, cursor.size..end)?;
        let missing = || StoreFault::Inconsistent(format!("entry {} is missing", cursor.size));
        let last = stored.last().ok_or_else(missing)?;
        cursor = Cursor {
            size: last.seq.saturating_add(1),
            last: Some(leaf(&last.bytes)),
        };
        let entries = stored.iter().map(named).collect::<Result<Vec<_>, _>>()?;
        batch.load(tx, &entries)?;
        entries
            .into_iter()
            .try_for_each(|named| batch.take(named))?;
    }
    project::write(tx, &batch.rows(), &cursor)?;
    Ok(cursor.size)
}

/// Reads an entry, with what it names.
fn named(stored: &Stored) -> Result<Named, StoreFault> {
    let unreadable = |why: &dyn std::fmt::Display| {
        StoreFault::Inconsistent(format!("entry {} is not readable: {why}", stored.seq))
    };
    let entry = Entry::parse_own(&stored.bytes).map_err(|refusal| unreadable(&refusal))?;
    let objects = objects::objects(&entry, &stored.bytes);
    Ok(Named { entry, objects })
}

/// The leaf hash of the last of so many entries; none of none, and none where the log is shorter.
fn last(log: &mut Db, size: u64) -> Result<Option<Sha256Hash>, StoreFault> {
    let Some(last) = size.checked_sub(1) else {
        return Ok(None);
    };
    Ok(log::entry(log, last)?.map(|bytes| leaf(&bytes)))
}

fn leaf(bytes: &[u8]) -> Sha256Hash {
    Sha256Hash::new(*leaf_hash(bytes).as_bytes())
}
