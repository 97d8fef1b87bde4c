//! What the program stands on is lost under load and comes back: the database's server. No client is told a wrong thing
//! meanwhile, and the same process goes on by itself.

use crate::support::{Database, Load, Server, cluster, folder};

/// How often a database is lost.
const LOSSES: u64 = 3;
/// So many answers in a row that say "unknown": no request comes through any more.
const UNKNOWN: u64 = 30;

#[test]
fn a_server_goes_on_after_its_postgresql_was_lost_under_load() {
    let cluster = cluster::private();
    let (database, folder) = (Database::on(&cluster), folder());
    let data = folder.path().join("data");
    let mut servers = [Server::start(&data, &database)];
    let load = Load::new(&data);
    load.announce(&servers);
    load.during(|| {
        for _ in 0..LOSSES {
            load.wait_for(30, &mut servers);
            cluster.stop_at_once();
            load.wait_for_unknown(UNKNOWN, &mut servers);
            servers[0].says("nothing was written");
            servers[0].says("cannot reach the database");
            cluster.start_again();
        }
        load.wait_for(30, &mut servers);
    });
    servers.into_iter().for_each(Server::stop);
    load.look(&database, &data);
}
