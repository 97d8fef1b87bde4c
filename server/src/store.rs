//! The database under the exchange: SQLite by default, PostgreSQL by the same code (DESIGN §7, STYLE §7).
//!
//! [`Db`] is one connection, [`Store`] the place it leads to: it migrates, locks and pools. Who calls: the sequencer
//! ([`log`]), the publisher ([`heads`]), the projector ([`project`]), lists ([`read`]), access ([`own`]), what is beside the trail
//! about datasets ([`dataset`]). Nothing here decides
//! anything.

pub mod dataset;
mod db;
pub mod heads;
pub mod history;
pub mod log;
pub mod log_keys;
pub mod own;
pub mod project;
pub mod read;
mod recent;
pub mod refusals;
mod schema;

pub use db::{Address, Db};
pub use recent::Recent;

use diesel::r2d2::{ManageConnection, Pool, PooledConnection, R2D2Connection as _};
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::cause::Whole;

/// Connections for readers. The sequencer and the publisher hold one of their own, see [`Store::dedicated`].
const POOL_MAX: u32 = 8;
/// The file of the projections, beside SQLite's: in one file the projector would starve the log.
const LISTS_FILE: &str = "read.db";
/// How often SQLite's write-ahead log is copied into its file.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(500);
/// How long a reader waits for a connection of the pool: long for a burst of readers, short for a caller whose key must be looked
/// up while the database is gone. The pool rests at most half of it between two tries to connect.
const POOL_WAIT: Duration = Duration::from_secs(2);

/// Runs one body once a backend where diesel cannot do it on the enum (batch inserts, upserts; STYLE §7).
macro_rules! on_backend {
    ($db:expr, $conn:ident => $body:expr) => {
        match $db {
            $crate::store::Db::Sqlite($conn) => $body,
            $crate::store::Db::Postgres($conn) => $body,
        }
    };
}
use on_backend;

/// What went wrong below the rules: disk, database, network, or a store that contradicts itself.
#[derive(Debug)]
pub enum StoreFault {
    /// The address of the database is not one of the two forms.
    Address(String),
    /// Another process serves this SQLite file.
    InUse(PathBuf),
    /// The lock file of SQLite cannot be made.
    Lock(PathBuf, std::io::Error),
    /// The database cannot be reached.
    Connect(diesel::ConnectionError),
    /// No connection of the pool came free, or none could be made.
    Pool(String),
    /// The schema could not be brought up to date.
    Migrate(Box<dyn std::error::Error + Send + Sync>),
    /// A statement or a commit failed; whether a commit took effect is unknown.
    Query(diesel::result::Error),
    /// The rows contradict each other: stop writing.
    Inconsistent(String),
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(text) => {
                write!(
                    f,
                    "{text}: expected sqlite:PATH or postgres://USER@HOST/DATABASE"
                )
            }
            Self::InUse(path) => write!(
                f,
                "another process serves {}; stop it first",
                path.display()
            ),
            Self::Lock(path, _) => write!(f, "cannot lock {}", path.display()),
            Self::Connect(_) => f.write_str("cannot reach the database"),
            Self::Pool(why) => write!(f, "no database connection: {why}"),
            Self::Migrate(_) => f.write_str("cannot bring the schema up to date"),
            Self::Query(_) => f.write_str("the database refused or lost a statement"),
            Self::Inconsistent(what) => write!(f, "the store contradicts itself: {what}"),
        }
    }
}

impl std::error::Error for StoreFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address(_) | Self::InUse(_) | Self::Pool(_) | Self::Inconsistent(_) => None,
            Self::Lock(_, fault) => Some(fault),
            Self::Connect(fault) => Some(fault),
            Self::Migrate(fault) => Some(fault.as_ref()),
            Self::Query(fault) => Some(fault),
        }
    }
}

impl From<diesel::result::Error> for StoreFault {
    fn from(fault: diesel::result::Error) -> Self {
        Self::Query(fault)
    }
}

/// Makes connections for the pool.
#[derive(Debug)]
pub struct Manager(Address);

impl ManageConnection for Manager {
    type Connection = Db;
    type Error = StoreFault;

    fn connect(&self) -> Result<Db, StoreFault> {
        Db::open(&self.0)
    }

    fn is_valid(&self, db: &mut Db) -> Result<(), StoreFault> {
        db.ping().map_err(StoreFault::Query)
    }

    fn has_broken(&self, db: &mut Db) -> bool {
        std::thread::panicking() || db.is_broken()
    }
}

/// A connection borrowed from the pool; it is a [`Db`].
pub type Pooled = PooledConnection<Manager>;

/// The database of one exchange.
pub struct Store {
    address: Address,
    pool: Pool<Manager>,
    /// Where the projections are: a file of their own, or the same database.
    lists: Address,
    lists_pool: Pool<Manager>,
    /// What this server committed last.
    recent: Recent,
    /// Ends the background work when the store is dropped.
    _background: Option<SyncSender<()>>,
    /// Held as long as the store lives; the operating system gives it back when the process dies in whatever way.
    _lock: Option<Lock>,
    /// Dropped last: who holds a weak one of it sees that all above is given back.
    held: Arc<()>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.address)
    }
}

impl Store {
    /// Locks (SQLite: one process a file), brings the schema up to date and opens the pool.
    /// # Errors
    /// [`StoreFault`], all but `Inconsistent`.
    pub fn open(address: Address) -> Result<Self, StoreFault> {
        let lock = match &address {
            Address::Sqlite(path) => Some(lock_beside(path)?),
            Address::Postgres(_) => None,
        };
        Db::open(&address)?.migrate()?;
        let pool = pool(&address)?;
        let (lists, lists_pool) = match &address {
            Address::Sqlite(path) => {
                let lists = Address::Sqlite(path.with_file_name(LISTS_FILE));
                let pool = self::pool(&lists)?;
                (lists, pool)
            }
            Address::Postgres(_) => (address.clone(), pool.clone()),
        };
        let background = match &address {
            Address::Sqlite(_) => Some(checkpoint_in_background(address.clone())?),
            Address::Postgres(_) => None,
        };
        Ok(Self {
            address,
            pool,
            lists,
            lists_pool,
            recent: Recent::default(),
            _background: background,
            _lock: lock,
            held: Arc::default(),
        })
    }

    /// Has a strong count of 0 once the store is dropped and everything in it given back.
    #[must_use]
    pub fn held(&self) -> Weak<()> {
        Arc::downgrade(&self.held)
    }

    /// Borrows a connection, for a reader.
    /// # Errors
    /// [`StoreFault::Pool`] after two seconds.
    pub fn connection(&self) -> Result<Pooled, StoreFault> {
        self.pool
            .get()
            .map_err(|fault| StoreFault::Pool(fault.to_string()))
    }

    /// Makes a connection outside the pool, for whoever keeps one: sequencer, publisher, projector.
    /// # Errors
    /// [`StoreFault::Connect`], [`StoreFault::Query`].
    pub fn dedicated(&self) -> Result<Db, StoreFault> {
        Db::open(&self.address)
    }

    /// Borrows a connection to the projections, for a reader of lists.
    /// # Errors
    /// [`StoreFault::Pool`] after two seconds.
    pub fn lists(&self) -> Result<Pooled, StoreFault> {
        self.lists_pool
            .get()
            .map_err(|fault| StoreFault::Pool(fault.to_string()))
    }

    /// Makes a connection to the projections, for the projector. What it commits may be lost with the power: it is made again.
    /// # Errors
    /// [`StoreFault::Connect`], [`StoreFault::Query`].
    pub fn dedicated_lists(&self) -> Result<Db, StoreFault> {
        Db::open_disposable(&self.lists)
    }

    /// The entries with numbers in `range`, at most [`log::READ_MAX`] of them, in order and without a gap, from memory where all of
    /// them are there, else from the database: for whoever follows the log. A caller asks below a head that it has read.
    /// # Errors
    /// As [`log::entries`].
    pub fn entries(&self, db: &mut Db, range: Range<u64>) -> Result<Vec<log::Stored>, StoreFault> {
        match self.recent.entries(&range) {
            Some(rows) => Ok(rows),
            None => log::entries(db, range),
        }
    }

    /// What this server committed last.
    #[must_use]
    pub const fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Where the database is.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }
}

fn pool(address: &Address) -> Result<Pool<Manager>, StoreFault> {
    Pool::builder()
        .max_size(POOL_MAX)
        .min_idle(Some(0))
        .connection_timeout(POOL_WAIT)
        .test_on_check_out(matches!(address, Address::Postgres(_)))
        .build(Manager(address.clone()))
        .map_err(|fault| StoreFault::Pool(fault.to_string()))
}

/// Copies the write-ahead log into the file every now and then, so that commits seldom have to. Ends when the sender is dropped.
fn checkpoint_in_background(address: Address) -> Result<SyncSender<()>, StoreFault> {
    let mut db = Db::open(&address)?;
    let (store, dropped) = sync_channel::<()>(0);
    let work = move || {
        while dropped.recv_timeout(CHECKPOINT_EVERY) == Err(RecvTimeoutError::Timeout) {
            if let Err(fault) = db.checkpoint() {
                tracing::warn!(
                    fault = %Whole(&fault),
                    "no checkpoint of the write-ahead log"
                );
            }
        }
    };
    let spawned = std::thread::Builder::new()
        .name("checkpoints".to_owned())
        .spawn(work);
    match spawned {
        Ok(_) => Ok(store),
        Err(fault) => Err(StoreFault::Pool(fault.to_string())),
    }
}

/// Locks a file beside the database, not the database: closing any handle of SQLite's own file would drop the locks that
/// SQLite holds on it (POSIX `fcntl` locks belong to the process).
fn lock_beside(path: &Path) -> Result<Lock, StoreFault> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(|fault| StoreFault::Lock(name.clone().into(), fault))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreFault::InUse(path.into())),
        Err(std::fs::TryLockError::Error(fault)) => Err(StoreFault::Lock(name.into(), fault)),
    }
}

/// A locked file. It is unlocked expressly: a child that was just made holds every file until it becomes another program.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        let _closed_anyway = self.0.unlock();
    }
}

/// A number of the store as the trail counts: from 0, in 64 bits.
fn unsigned(number: i64, what: &str) -> Result<u64, StoreFault> {
    u64::try_from(number).map_err(|_| StoreFault::Inconsistent(format!("{what} is {number}")))
}

/// A number of the trail as the store keeps it.
fn signed(number: u64, what: &str) -> Result<i64, StoreFault> {
    i64::try_from(number).map_err(|_| StoreFault::Inconsistent(format!("{what} is {number}")))
}

/// A hash of the store.
fn hash(bytes: Vec<u8>, what: &str) -> Result<[u8; 32], StoreFault> {
    bytes.try_into().map_err(|bytes: Vec<u8>| {
        StoreFault::Inconsistent(format!("{what} has {} bytes instead of 32", bytes.len()))
    })
}

/// A moment of the store.
fn moment(unix: i64, what: &str) -> Result<verifier::time::Timestamp, StoreFault> {
    verifier::time::Timestamp::new(unix)
        .map_err(|_| StoreFault::Inconsistent(format!("{what} is {unix} s")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_on_the_same_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::Sqlite(folder.path().join("quan.db"));
        let first = Store::open(address.clone()).unwrap();
        assert!(matches!(
            Store::open(address.clone()),
            Err(StoreFault::InUse(_))
        ));
        drop(first);
        Store::open(address).unwrap();
    }

    #[test]
    fn a_lock_is_given_back_while_a_new_child_still_holds_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quan.db");
        let lock = lock_beside(&path).unwrap();
        let childs = lock.0.try_clone().unwrap();
        drop(lock);
        lock_beside(&path).unwrap();
        drop(childs);
    }
}
