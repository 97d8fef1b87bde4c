//! What the program stands on is lost under load and comes back: the database's server, the room on its disk. No client is told
//! a wrong thing meanwhile, and the same process goes on by itself.

use std::path::Path;
use std::process::Command;

use server::store::Address;

use crate::support::disk::{self, Disk};
use crate::support::{Database, Load, Server, cluster, folder};

/// How often a database is lost.
const LOSSES: u64 = 2;
/// So many answers in a row that say to come back: no request comes through any more.
const REFUSALS: u64 = 12;
/// The room on the disk, in megabytes: enough for some hundred entries.
const ROOM: usize = 4;
/// The longest file where files may not grow, in bytes: the database is longer already.
const QUOTA: &str = "65536";

/// No request comes through any more, each is told so, and the server says why in its log, and that it cannot write.
fn is_lost(load: &Load, servers: &mut [Server], why: &str) {
    load.wait_for_refusals(REFUSALS, servers);
    servers[0].says("nothing was written");
    servers[0].says(why);
    assert_eq!(servers[0].health(), 503);
}

/// Clients are answered again, by the same process.
fn goes_on(load: &Load, servers: &mut [Server]) {
    load.wait_for(100, servers);
    assert_eq!(servers[0].health(), 200);
    load.was_cut_off();
}

#[test]
fn a_server_goes_on_after_its_postgresql_was_lost_under_load() {
    let cluster = cluster::private();
    let (database, folder) = (Database::on(&cluster), folder());
    let data = folder.path().join("data");
    let mut servers = [Server::start(&data, &database)];
    let load = Load::new(&data);
    load.announce(&servers);
    load.during(|| {
        load.wait_for(1, &mut servers);
        for _ in 0..LOSSES {
            cluster.stop_at_once();
            is_lost(&load, &mut servers, "cannot reach the database");
            cluster.start_again();
            goes_on(&load, &mut servers);
        }
    });
    // Also while nobody asks for anything.
    cluster.stop_at_once();
    servers[0].comes_to(503);
    cluster.start_again();
    servers[0].comes_to(200);
    servers.into_iter().for_each(Server::stop);
    load.look(&database, &data);
}

/// A server's files in a folder.
fn files(folder: &Path) -> Database {
    Database::at(Address::Sqlite(folder.join("quan.db")))
}

#[test]
#[expect(clippy::print_stderr, reason = "it says why it does nothing here")]
fn a_server_goes_on_after_its_disk_was_full() {
    let disk = match Disk::mount(ROOM) {
        Ok(disk) => disk,
        Err(why) => {
            eprintln!(
                "no disk can be mounted here ({why}): the test beside this one forbids files to grow"
            );
            return;
        }
    };
    let (data, database) = (disk.folder().join("data"), files(disk.folder()));
    let mut servers = [Server::start_under(&disk.beside(), &data, &database)];
    let load = Load::new(&disk.outside().join("data"));
    load.announce(&servers);
    load.during(|| {
        is_lost(&load, &mut servers, "database or disk is full");
        disk.make_room();
        goes_on(&load, &mut servers);
    });
    servers.into_iter().for_each(Server::stop);
    // SQLite looks through links, also those by which we see the disk.
    let copy = folder();
    let mut cp = Command::new("cp");
    cp.arg("-a").arg(disk.outside().join(".")).arg(copy.path());
    assert!(cp.status().unwrap().success());
    load.look(&files(copy.path()), &copy.path().join("data"));
}

/// The same without a disk of its own: the system forbids the server's files to grow, as a quota does.
#[test]
fn a_server_goes_on_after_its_files_could_not_grow() {
    let folder = folder();
    let (data, database) = (folder.path().join("data"), files(folder.path()));
    let mut servers = [Server::start_under(&disk::limited(), &data, &database)];
    let load = Load::new(&data);
    load.announce(&servers);
    load.during(|| {
        load.wait_for(50, &mut servers);
        disk::may_grow(&servers[0], QUOTA);
        is_lost(&load, &mut servers, "disk I/O error");
        disk::may_grow(&servers[0], "unlimited");
        goes_on(&load, &mut servers);
    });
    servers.into_iter().for_each(Server::stop);
    load.look(&database, &data);
}
