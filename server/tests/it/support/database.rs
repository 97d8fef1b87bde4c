//! An empty database of its own for each test.

use diesel::RunQueryDsl as _;
use server::store::{Address, Db, Store, StoreFault};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

use super::cluster::{self, Cluster};
use super::process::A_MOMENT;

/// A database that nobody else uses. An SQLite folder goes with it, a PostgreSQL one with the cluster.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) address: Address,
    _folder: Option<TempDir>,
}

impl Database {
    /// One that somebody else keeps.
    pub(crate) const fn at(address: Address) -> Self {
        Self {
            address,
            _folder: None,
        }
    }

    pub(crate) fn sqlite() -> Self {
        let folder = folder();
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

    /// One on a cluster that the test may stop.
    pub(crate) fn on(cluster: &Cluster) -> Self {
        cluster.execute("CREATE DATABASE quan");
        Self::at(Address::parse(&cluster.uri("quan")).unwrap())
    }

    /// A copy of one on PostgreSQL that nobody is connected to.
    pub(crate) fn copy(&self) -> Self {
        let url = self.url();
        let (_, name) = url.rsplit_once('/').unwrap();
        let cluster = cluster::shared();
        cluster.execute(&format!("CREATE DATABASE {name}_copy TEMPLATE {name}"));
        Self::at(Address::parse(&format!("{url}_copy")).unwrap())
    }

    /// The address as a setting.
    pub(crate) fn url(&self) -> String {
        match &self.address {
            Address::Sqlite(path) => format!("sqlite:{}", path.display()),
            Address::Postgres(uri) => uri.clone(),
        }
    }

    /// Opens it. A process that another test is just starting may hold a copy of a closed lock for a moment.
    pub(crate) fn store(&self) -> Store {
        for _ in 0..200 {
            let opened = Store::open(self.address.clone());
            if !matches!(opened, Err(StoreFault::InUse(_))) {
                return opened.unwrap();
            }
            std::thread::sleep(A_MOMENT);
        }
        Store::open(self.address.clone()).unwrap()
    }

    pub(crate) fn connect(&self) -> Db {
        Db::open(&self.address).unwrap()
    }

    /// Runs one statement behind the server's back.
    pub(crate) fn execute(&self, statement: &str) {
        Self::execute_at(&self.address, statement);
    }

    /// Runs one statement on the projections.
    pub(crate) fn execute_on_lists(&self, statement: &str) {
        Self::execute_at(&self.lists(), statement);
    }

    /// A connection to the projections.
    pub(crate) fn connect_to_lists(&self) -> Db {
        Db::open(&self.lists()).unwrap()
    }

    /// Deletes the projections, as an operator may: the file, or the tables.
    pub(crate) fn lose_lists(&self) {
        let Address::Sqlite(path) = self.lists() else {
            let tables = "entries links balances orders vouchers cases cursor";
            for table in tables.split(' ') {
                self.execute(&format!("DROP TABLE book_{table}"));
            }
            return;
        };
        for end in ["", "-wal", "-shm"] {
            let _gone = std::fs::remove_file(format!("{}{end}", path.display()));
        }
    }

    fn lists(&self) -> Address {
        match &self.address {
            Address::Sqlite(path) => Address::Sqlite(path.with_file_name("read.db")),
            Address::Postgres(_) => self.address.clone(),
        }
    }

    fn execute_at(address: &Address, statement: &str) {
        let done = match Db::open(address).unwrap() {
            Db::Sqlite(mut conn) => diesel::sql_query(statement).execute(&mut conn),
            Db::Postgres(mut conn) => diesel::sql_query(statement).execute(&mut conn),
        };
        done.unwrap();
    }
}

/// A folder of its own, in memory where the system has such a place: these tests end processes, never the machine, so what
/// is flushed to a disk does not matter to them, only that the flush is asked for in the right order.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}
