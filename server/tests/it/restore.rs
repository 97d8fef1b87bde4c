//! Backup and restore as the README describes them, with the program itself: a copy that is older than what the world has seen is
//! refused, the newest one goes on, and a lost trail folder is made again.

use std::fs;
use std::path::Path;

use server::store::Address;

use crate::support::{Database, Load, Server, Trail, checkpoint, folder};

/// SQLite's files; all but the first may be absent.
const DATABASE: [&str; 3] = ["quan.db", "quan.db-wal", "quan.db-shm"];

/// A backup: the database and the key files, together.
struct Backup(tempfile::TempDir);

impl Backup {
    /// Of a server that serves: the database by SQLite, in one transaction, as `sqlite3 quan.db ".backup copy.db"` does.
    fn while_it_serves(data: &Path) -> Self {
        let backup = Self(folder());
        let copy = backup.0.path().join("quan.db");
        files(data).execute(&format!("VACUUM INTO '{}'", copy.display()));
        copy_keys(data, backup.0.path());
        backup
    }

    /// Of a server that was stopped: its files.
    fn after_a_stop(data: &Path) -> Self {
        let backup = Self(folder());
        copy(data, backup.0.path());
        copy_keys(data, backup.0.path());
        backup
    }

    fn put_back(&self, data: &Path) {
        for name in DATABASE {
            let _absent = fs::remove_file(data.join(name));
        }
        copy(self.0.path(), data);
        copy_keys(self.0.path(), data);
    }
}

fn copy(from: &Path, to: &Path) {
    for name in DATABASE.into_iter().filter(|name| from.join(name).exists()) {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

fn copy_keys(from: &Path, to: &Path) {
    for item in fs::read_dir(from).unwrap() {
        let file = item.unwrap().path();
        if file.extension().is_some_and(|end| end == "key") {
            fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
    }
}

fn files(data: &Path) -> Database {
    Database::at(Address::Sqlite(data.join("quan.db")))
}

/// A server's life under load, from a start to a stop in order.
fn live(load: &Load, server: Server, story: impl FnOnce(&mut [Server])) {
    let mut servers = [server];
    load.announce(&servers);
    load.during(|| story(&mut servers));
    servers.into_iter().for_each(Server::stop);
}

/// A database that is older than the published checkpoint: nothing is written, and the operator is told what to do.
fn is_refused(data: &Path, database: &Database) {
    let ((_, published), seen) = (checkpoint(data), Trail::read(&data.join("trail")));
    let said = Server::refuses(data, database);
    for part in [
        "trail.ahead".to_owned(),
        format!("the published checkpoint has {published} entries"),
        "Nothing was written. Restore the newest backup".to_owned(),
    ] {
        assert!(said.contains(&part), "{part}: {said}");
    }
    assert_eq!(Trail::read(&data.join("trail")).0, seen.0);
}

#[test]
fn an_older_backup_is_refused_and_the_newest_goes_on() {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, &files(&data));
    let load = Load::new(&data);
    let mut old = None;
    live(&load, server, |servers| {
        load.wait_for(40, servers);
        old = Some(Backup::while_it_serves(&data));
        load.wait_for(40, servers);
    });
    let newest = Backup::after_a_stop(&data);
    old.unwrap().put_back(&data);
    is_refused(&data, &files(&data));
    newest.put_back(&data);
    live(&load, Server::start(&data, &files(&data)), |servers| {
        load.wait_for(20, servers);
    });

    // The trail's folder and the projections are lost: both are made again from the database, whose history `look` compares.
    fs::remove_dir_all(data.join("trail")).unwrap();
    fs::remove_file(data.join("read.db")).unwrap();
    live(&load, Server::start(&data, &files(&data)), |servers| {
        load.wait_for(20, servers);
    });
    load.look(&files(&data), &data);
}

#[test]
fn a_replica_that_lags_is_refused() {
    let (database, folder) = (Database::postgres(), folder());
    let data = folder.path().join("data");
    let server = Server::start(&data, &database);
    let load = Load::new(&data);
    live(&load, server, |servers| load.wait_for(40, servers));
    let lagging = database.copy();
    let more = || {
        live(&load, Server::start(&data, &database), |servers| {
            load.wait_for(20, servers);
        });
    };
    more();
    is_refused(&data, &lagging);
    more();
    load.look(&database, &data);
}
