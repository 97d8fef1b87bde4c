//! The real program under load, killed with SIGKILL a hundred times at moments that nobody chose: nothing acknowledged is
//! lost, nothing is done twice, and every checkpoint that anybody saw is one of the same tree. One server on SQLite, one on
//! PostgreSQL; two on one PostgreSQL, of which one at a time is killed; the same with a bucket that fails and a witness that dies
//! too. `make torture` kills a thousand times.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use verifier::trail::policy::Policy;

use crate::support::{Bucket, Database, Load, SEEN_MIN, Server, Trail, folder};
use crate::witness::{Neighbour, entries, published, wait_until};

/// At most so many answers lie between two deaths.
const ANSWERS_MAX: u64 = 40;

fn deaths(usual: u64) -> u64 {
    std::env::var("QUAN_DEATHS").map_or(usual, |deaths| deaths.parse().unwrap())
}

/// Kills under load and starts again, then goes on for a while. `between` is told of each death.
fn kill_and_start(
    load: &Load,
    mut servers: Vec<Server>,
    deaths: u64,
    start: impl Fn() -> Server,
    mut between: impl FnMut(u64),
) -> Vec<Server> {
    load.announce(&servers);
    load.during(|| {
        for death in 0..deaths {
            let more = u64::from(std::process::id()).wrapping_mul(death + 7) % ANSWERS_MAX;
            load.wait_for(1 + more, &mut servers);
            servers.remove(0).kill();
            // The others go on; where there is none, the clients go on asking.
            load.announce(&servers);
            between(death);
            servers.push(start());
            load.announce(&servers);
        }
        load.wait_for(20, &mut servers);
        load.wait_for_checkpoints(SEEN_MIN);
    });
    servers
}

/// So many servers on a folder; then they stop in order, and what is there is looked at.
fn kill_under_load(database: &Database, count: usize, usual: u64) {
    let folder = folder();
    let data: PathBuf = folder.path().join("data");
    let start = || Server::start(&data, database);
    let servers = (0..count).map(|_| start()).collect();
    let load = Load::new(&data);
    let servers = kill_and_start(&load, servers, deaths(usual), start, |_| {});
    servers.into_iter().for_each(Server::stop);
    load.look(database, &data);
}

/// The same on a bucket that delays each request and fails one of seven, half of these after they took effect; nothing is
/// published that a witness has not cosigned, and the witness is killed now and then as well.
fn kill_under_load_on_a_bad_bucket(database: &Database, count: usize, usual: u64) {
    let (folder, bucket) = (folder(), Bucket::start());
    let data: PathBuf = folder.path().join("data");
    let settings = bucket.settings("sh");
    let start = || Server::start_again_in(&settings, &data, database);
    // Keys and policy are there once it serves.
    start().kill();
    let log = fs::read_to_string(data.join("policy.txt")).unwrap();
    let log = log.lines().next().unwrap().to_owned();
    let home = folder.path().join("neighbour");
    let mut neighbour = Some(Neighbour::start(&home, &log, "127.0.0.1:0"));
    let line = &neighbour.as_ref().unwrap().line;
    let policy = format!("{log}\n{line}quorum neighbour\n");
    // What the first start published nobody had cosigned: nobody saw it either.
    bucket.forget("sh/checkpoint");
    fs::write(data.join("policy.txt"), &policy).unwrap();
    let policy = Policy::parse(policy.as_bytes()).unwrap();
    bucket.fails(7, Duration::from_millis(2));

    let servers = (0..count).map(|_| start()).collect();
    let load = Load::watching(&data, bucket.watcher("sh/checkpoint"));
    let servers = kill_and_start(&load, servers, deaths(usual), start, |death| {
        if death % 4 == 1 {
            let address = neighbour.take().unwrap().kill();
            neighbour = Some(Neighbour::start(&home, &log, &address));
        }
    });
    bucket.fails(0, Duration::ZERO);
    let last = &servers[0];
    wait_until("all is published", || {
        published(last, &policy) == entries(last)
    });
    servers.into_iter().for_each(Server::stop);
    assert!(!data.join("trail").exists());
    let objects = bucket.contents().into_iter();
    let trail = objects.map(|(name, bytes)| (name.trim_start_matches("sh/").to_owned(), bytes));
    load.look_at(Trail(trail.collect()), database, &data);
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

#[test]
fn a_server_on_sqlite_with_a_bad_bucket_and_a_witness_is_killed_under_load() {
    kill_under_load_on_a_bad_bucket(&Database::sqlite(), 1, 12);
}

#[test]
fn one_of_two_servers_with_a_bad_bucket_and_a_witness_is_killed_under_load() {
    kill_under_load_on_a_bad_bucket(&Database::postgres(), 2, 12);
}
