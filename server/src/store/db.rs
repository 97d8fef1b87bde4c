//! One connection: where it leads, what a session sets, the transaction, the schema's migrations.

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
use std::fmt;
use std::path::PathBuf;

use super::StoreFault;

/// Where the database is. Its text forms never show a password.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// A file; it is made when missing.
    Sqlite(PathBuf),
    /// A connection URI of libpq.
    Postgres(String),
}

impl Address {
    /// Reads `sqlite:PATH` or `postgres://…`.
    /// # Errors
    /// [`StoreFault::Address`].
    pub fn parse(text: &str) -> Result<Self, StoreFault> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            _ => Err(StoreFault::Address(text.to_owned())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(uri) => {
                let place = uri
                    .rsplit_once('@')
                    .map_or(uri.as_str(), |(_, place)| place);
                let place = place.split('?').next().unwrap_or_default();
                write!(f, "postgres://{}", place.trim_start_matches("postgres://"))
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One connection.
#[derive(diesel::MultiConnection)]
pub enum Db {
    /// To a file.
    Sqlite(SqliteConnection),
    /// To a server.
    Postgres(PgConnection),
}

impl Db {
    /// Connects, and sets what a session needs for durable commits.
    /// # Errors
    /// [`StoreFault::Connect`], [`StoreFault::Query`].
    pub fn open(address: &Address) -> Result<Self, StoreFault> {
        match address {
            Address::Sqlite(path) => {
                let path = path.to_string_lossy();
                let mut conn = SqliteConnection::establish(&path).map_err(StoreFault::Connect)?;
                conn.batch_execute(SQLITE_SETTINGS)?;
                Ok(Self::Sqlite(conn))
            }
            Address::Postgres(uri) => {
                let mut conn = PgConnection::establish(uri).map_err(StoreFault::Connect)?;
                conn.batch_execute(POSTGRES_SETTINGS)?;
                Ok(Self::Postgres(conn))
            }
        }
    }

    /// Connects for rows that may be lost, because they are made again: a commit does not wait for the disk.
    /// # Errors
    /// [`StoreFault::Connect`], [`StoreFault::Query`].
    pub fn open_disposable(address: &Address) -> Result<Self, StoreFault> {
        let mut db = Self::open(address)?;
        match &mut db {
            Self::Sqlite(conn) => conn.batch_execute("PRAGMA synchronous = NORMAL")?,
            Self::Postgres(conn) => conn.batch_execute("SET synchronous_commit TO off")?,
        }
        Ok(db)
    }

    /// Runs `work` in one transaction: all of it is durable when this returns `Ok`, none of it if `work` fails.
    /// Where the fault comes from the commit itself, its outcome is unknown.
    /// # Errors
    /// What `work` returns, or the fault of beginning or committing.
    pub fn transaction<T, E: From<StoreFault>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let done = diesel::Connection::transaction(self, |tx| work(tx).map_err(Ended::Work));
        done.map_err(|ended| match ended {
            Ended::Work(fault) => fault,
            Ended::Database(fault) => StoreFault::Query(fault).into(),
        })
    }

    /// Copies SQLite's write-ahead log into its file as far as no reader or writer is in the way. Called in the background.
    /// # Errors
    /// [`StoreFault::Query`].
    pub fn checkpoint(&mut self) -> Result<(), StoreFault> {
        match self {
            Self::Sqlite(conn) => Ok(conn.batch_execute("PRAGMA wal_checkpoint(PASSIVE)")?),
            // PostgreSQL has a checkpointer of its own.
            Self::Postgres(_) => Ok(()),
        }
    }

    pub(super) fn migrate(&mut self) -> Result<(), StoreFault> {
        match self {
            Self::Sqlite(conn) => conn
                .run_pending_migrations(SQLITE_MIGRATIONS)
                .map(drop)
                .map_err(StoreFault::Migrate),
            Self::Postgres(conn) => {
                // Several servers may start at once: they wait in line on a number that nothing else uses.
                conn.batch_execute("SELECT pg_advisory_lock(7021604981)")?;
                let outcome = conn.run_pending_migrations(POSTGRES_MIGRATIONS).map(drop);
                conn.batch_execute("SELECT pg_advisory_unlock(7021604981)")?;
                outcome.map_err(StoreFault::Migrate)
            }
        }
    }
}

/// Why a transaction ended without a commit that is known.
enum Ended<E> {
    Work(E),
    Database(diesel::result::Error),
}

impl<E> From<diesel::result::Error> for Ended<E> {
    fn from(fault: diesel::result::Error) -> Self {
        Self::Database(fault)
    }
}

/// WAL and FULL: an acknowledged commit survives a loss of power (TRAIL D4). The log is checkpointed by
/// [`Db::checkpoint`] in the background; 10 000 pages (40 MB) are the bound if that falls behind.
const SQLITE_SETTINGS: &str = "\
    PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 10000;";

/// A commit is on disk when it is answered, and a server that hangs in a transaction does not hold the others for ever.
const POSTGRES_SETTINGS: &str = "\
    SET client_min_messages TO warning; SET idle_in_transaction_session_timeout TO '10s'; SET lock_timeout TO '30s'; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local');";

const SQLITE_MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations/sqlite");
const POSTGRES_MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations/postgres");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_never_shows_its_password() {
        let address = Address::parse("postgres://quan:s3cret@db.example/quan?sslmode=require");
        let shown = format!("{:?}", address.unwrap());
        assert_eq!(shown, "postgres://db.example/quan");
        assert_eq!(
            Address::parse("postgres://db/quan").unwrap().to_string(),
            "postgres://db/quan"
        );
    }

    #[test]
    fn an_address_without_a_scheme_is_refused() {
        for bad in ["", "quan.db", "sqlite:", "mysql://x", "/tmp/quan.db"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
