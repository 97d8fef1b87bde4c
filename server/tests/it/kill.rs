//! The real program under load, killed with SIGKILL a hundred times at moments that nobody chose: nothing acknowledged is
//! lost, nothing is done twice, and every checkpoint that anybody saw is one of the same tree. One server on SQLite, one on
//! PostgreSQL; two on one PostgreSQL, of which one at a time is killed. `make torture` kills a thousand times.

use std::path::PathBuf;

use crate::support::{Database, Load, Server, folder};

/// At most so many answers lie between two deaths.
const ANSWERS_MAX: u64 = 40;

/// Kills under load and starts again, then stops in order and looks at what is there.
fn kill_under_load(database: &Database, count: usize, deaths: u64) {
    let deaths = std::env::var("QUAN_DEATHS").map_or(deaths, |deaths| deaths.parse().unwrap());
    let folder = folder();
    let data: PathBuf = folder.path().join("data");
    let mut servers: Vec<_> = (0..count).map(|_| Server::start(&data, database)).collect();
    let load = Load::new(&data);
    load.announce(&servers);
    load.during(|| {
        for death in 0..deaths {
            let more = u64::from(std::process::id()).wrapping_mul(death + 7) % ANSWERS_MAX;
            load.wait_for(1 + more, &mut servers);
            servers.remove(0).kill();
            // The others go on; where there is none, the clients go on asking.
            load.announce(&servers);
            servers.push(Server::start(&data, database));
            load.announce(&servers);
        }
        load.wait_for(20, &mut servers);
    });
    servers.into_iter().for_each(Server::stop);
    load.look(database, &data);
}

#[test]
fn a_server_on_sqlite_is_killed_under_load() {
    kill_under_load(&Database::sqlite(), 1, 50);
}

#[test]
fn a_server_on_postgresql_is_killed_under_load() {
    kill_under_load(&Database::postgres(), 1, 25);
}

#[test]
fn one_of_two_servers_on_one_postgresql_is_killed_under_load() {
    kill_under_load(&Database::postgres(), 2, 25);
}
