//! An empty database of its own for each test.

use diesel::RunQueryDsl as _;
use server::store::{Address, Db, Store};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

use super::cluster;

/// A database that nobody else uses. An SQLite folder goes with it, a PostgreSQL one with the cluster.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) address: Address,
    _folder: Option<TempDir>,
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            address: Address::Sqlite(folder.path().join("quan.db")),
            _folder: Some(folder),
        }
    }

    pub(crate) fn postgres() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let cluster = cluster::shared();
        let name = format!("quan{}", MADE.fetch_add(1, Ordering::SeqCst));
        cluster.execute(&format!("CREATE DATABASE {name}"));
        Self {
            address: Address::parse(&cluster.uri(&name)).unwrap(),
            _folder: None,
        }
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(self.address.clone()).unwrap()
    }

    pub(crate) fn connect(&self) -> Db {
        Db::open(&self.address).unwrap()
    }

    /// Runs one statement behind the server's back.
    pub(crate) fn execute(&self, statement: &str) {
        let done = match self.connect() {
            Db::Sqlite(mut conn) => diesel::sql_query(statement).execute(&mut conn),
            Db::Postgres(mut conn) => diesel::sql_query(statement).execute(&mut conn),
        };
        done.unwrap();
    }
}
