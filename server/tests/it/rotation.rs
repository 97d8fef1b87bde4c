//! The log's key is rotated while the exchange serves: both keys sign in the overlap, only the new one after it, whoever audits
//! agrees, and what is missing on a server is said.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;
use server::config::{Asked, Config};
use server::rotation::{Fault, Plan, rotate};
use server::store::Address;
use verifier::audit::Verdict;
use verifier::trail::note::Note;
use verifier::trail::policy::Policy;
use verifier::trail::proof::Proof;

use crate::support::{Database, Exchange, Load, Server, Trail, folder, quan_verify};
use crate::witness::{Neighbour, get, wait_until};

on_both!(
    both_sign_in_the_overlap_and_the_new_one_after_it,
    a_server_without_the_new_key_waits_for_it,
    a_rotation_is_asked_once_and_of_its_own_exchange,
);

const OVERLAP: u32 = 3_600;

fn config(exchange: &Exchange) -> Config {
    let asked = Asked {
        data: Some(exchange.data()),
        origin: Some("exchange.test/quan".to_owned()),
        ..Asked::default()
    };
    asked.settle().unwrap()
}

fn plan(exchange: &Exchange, overlap_seconds: u32) -> Plan {
    Plan {
        overlap_seconds,
        server: Some(format!("http://{}", exchange.address())),
        prepare: false,
    }
}

fn policy(exchange: &Exchange) -> Policy {
    Policy::parse(&fs::read(exchange.data().join("policy.txt")).unwrap()).unwrap()
}

/// Waits until everything is published, and gives the note.
fn published(exchange: &Exchange) -> Note {
    let mut note = String::new();
    wait_until("published", || {
        let entries = exchange.nobody().get("/v1/exchange").body["entries"].clone();
        note = exchange.nobody().get("/checkpoint").text;
        note.lines().nth(1) == Some(&entries.to_string())
    });
    Note::parse(note.as_bytes()).unwrap()
}

/// The names of the log's keys that have signed, by the place of their lines in the policy.
fn signers(exchange: &Exchange) -> Vec<usize> {
    let (note, policy) = (published(exchange), policy(exchange));
    let verified = policy.check(&note).unwrap();
    let keys = policy.logs().iter().enumerate();
    let signed = keys.filter(|(_, log)| verified.signers().contains(&log.key));
    let places: Vec<_> = signed.map(|(place, _)| place).collect();
    assert_eq!(note.signatures().len(), places.len());
    places
}

/// The trail's files, copied between two checkpoints, are all of one: the exchange is stopped meanwhile.
fn audit_agrees(exchange: &mut Exchange) {
    exchange.stop();
    let mut trail = Trail::read(&exchange.data().join("trail"));
    let report = trail.audit(&policy(exchange));
    assert_eq!(report.verdict, Verdict::Agree, "{:#?}", report.differences);
    exchange.restart();
}

fn both_sign_in_the_overlap_and_the_new_one_after_it(database: &Database) {
    let mut exchange = Exchange::start(database);
    exchange.member(&["funder"]);
    assert_eq!(signers(&exchange), [0]);
    let said = rotate(&config(&exchange), &plan(&exchange, OVERLAP)).unwrap();
    assert!(
        said.starts_with("the log's key was rotated: from head 4 on"),
        "{said}"
    );
    assert_eq!(policy(&exchange).logs().len(), 2);
    assert_eq!(signers(&exchange), [0, 1]);
    let regulator = exchange.member(&["regulator"]);
    assert_eq!(signers(&exchange), [0, 1]);
    // Whoever has not heard of the new key still reads on.
    let old = format!("log {}\nquorum none\n", policy(&exchange).logs()[0].key);
    let old = Policy::parse(old.as_bytes()).unwrap();
    assert!(old.check(&published(&exchange)).is_ok());
    audit_agrees(&mut exchange);

    exchange.clock.advance(i64::from(OVERLAP));
    exchange.member(&["buyer"]);
    assert_eq!(signers(&exchange), [1]);
    assert!(old.check(&published(&exchange)).is_err());
    audit_agrees(&mut exchange);
    let regulator = exchange.keyed(&regulator.actor, "regulator");
    let proof = regulator.fetch("/v1/entries/3/proof", &[]);
    let proof = Proof::parse(&proof.bytes).unwrap();
    proof.verify_extra(&policy(&exchange)).unwrap();
    let shown = exchange.nobody().get("/v1/exchange").body;
    assert_eq!(shown["log_keys"][1]["from"], 4);

    // The old key's file has had its time.
    fs::remove_file(exchange.data().join("log.key")).unwrap();
    exchange.restart();
    exchange.member(&["buyer"]);
    assert_eq!(signers(&exchange), [1]);
    audit_agrees(&mut exchange);
}

fn a_server_without_the_new_key_waits_for_it(database: &Database) {
    let mut exchange = Exchange::start(database);
    published(&exchange);
    let config = config(&exchange);
    let prepared = Plan {
        prepare: true,
        ..plan(&exchange, 0)
    };
    let said = rotate(&config, &prepared).unwrap();
    assert!(said.starts_with("made "), "{said}");
    // Run again, it takes what it has made.
    assert_eq!(rotate(&config, &prepared).unwrap(), said);
    assert_eq!(policy(&exchange).logs().len(), 2);
    let is_new = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("log-")
    };
    let items = fs::read_dir(exchange.data()).unwrap();
    let mut files = items.map(|item| item.unwrap().path());
    let file = files.find(|path| is_new(path)).unwrap();
    let elsewhere = exchange.data().join("elsewhere");

    // Another server rotates; this one has not been given the file.
    rotate_without_file(&exchange, &config, &file, &elsewhere);
    let before = exchange.nobody().get("/checkpoint").text;
    let member = |exchange: &Exchange| exchange.member(&["buyer"]);
    member(&exchange);
    assert_eq!(exchange.nobody().get("/checkpoint").text, before);
    fs::rename(&elsewhere, &file).unwrap();
    assert_eq!(signers(&exchange), [1]);
    audit_agrees(&mut exchange);

    exchange.stop();
    fs::rename(&file, &elsewhere).unwrap();
    let refused = server::serve::start(
        Asked {
            database: Some(database.url()),
            ..asked(&exchange)
        }
        .settle()
        .unwrap(),
        exchange.clock.clone(),
        server::faults::Faults::none(),
    );
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("is not in this data folder; copy"),
        "{refused}"
    );
    fs::rename(&elsewhere, &file).unwrap();
    exchange.restart();
    member(&exchange);
    audit_agrees(&mut exchange);
}

fn asked(exchange: &Exchange) -> Asked {
    Asked {
        data: Some(exchange.data()),
        origin: Some("exchange.test/quan".to_owned()),
        listen: Some(([127, 0, 0, 1], 0).into()),
        ..Asked::default()
    }
}

/// The command goes in while the key's file is somewhere else.
fn rotate_without_file(exchange: &Exchange, config: &Config, file: &Path, elsewhere: &Path) {
    use server::keys;
    use verifier::book::log_key::rotation_text;
    let policy = policy(exchange);
    let [old, new] = [0, 1].map(|place| policy.logs()[place].key.clone());
    let [before, after] = [&old, &new].map(ToString::to_string);
    let text = rotation_text(&before, &after, 0);
    let lines = [&old, &new].map(|key| {
        let secret = keys::log_key(&config.data, key).unwrap().unwrap();
        secret.sign_line(key, &text).unwrap().to_string()
    });
    fs::rename(file, elsewhere).unwrap();
    let body =
        json!({ "old": before, "new": after, "overlap_seconds": 0, "signatures": lines.concat() });
    exchange.operator().done("/v1/log-keys", &body);
    // Only whoever runs the exchange may, and only from the newest key.
    exchange
        .operator()
        .refused("/v1/log-keys", &body, "log-key.other");
    let office = exchange.member(&["office"]);
    office.client.refused("/v1/log-keys", &body, "access.role");
}

fn a_rotation_is_asked_once_and_of_its_own_exchange(database: &Database) {
    let mut exchange = Exchange::start(database);
    published(&exchange);
    let config = config(&exchange);
    let other = Config {
        origin: "exchange.test/other".to_owned(),
        ..config.clone()
    };
    let refused = rotate(&other, &plan(&exchange, OVERLAP)).unwrap_err();
    assert!(matches!(refused, Fault::Origin(..)), "{refused}");
    rotate(&config, &plan(&exchange, OVERLAP)).unwrap();
    // A run whose answer was lost is run again.
    let said = rotate(&config, &plan(&exchange, OVERLAP)).unwrap();
    assert!(said.contains("was rotated already"), "{said}");
    assert_eq!(exchange.nobody().get("/v1/exchange").body["entries"], 2);
    // A key that somebody else may hold is succeeded all the same: the first one signs to the end of its overlap.
    rotate(&config, &plan(&exchange, 0)).unwrap();
    assert_eq!(signers(&exchange), [0, 2]);
    audit_agrees(&mut exchange);
    let silent = Plan {
        server: Some("http://127.0.0.1:1".to_owned()),
        ..plan(&exchange, 0)
    };
    let silent = rotate(&config, &silent).unwrap_err().to_string();
    assert!(silent.contains("Run this again"), "{silent}");
}

fn quan(arguments: &[&str], data: &Path, database: &Database) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quan"));
    command.args(arguments).arg("--data").arg(data);
    command.args(["--database", &database.url()]);
    command.output().unwrap()
}

fn rotate_by_program(server: &Server, data: &Path, database: &Database, hours: &str) -> String {
    let url = format!("http://{}", server.address);
    let arguments = [
        "key",
        "rotate-log",
        "--overlap-hours",
        hours,
        "--server",
        &url,
    ];
    let output = quan(&arguments, data, database);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn line(policy: &Path, place: usize) -> String {
    let text = fs::read_to_string(policy).unwrap();
    let mut logs = text.lines().filter(|line| line.starts_with("log "));
    logs.nth(place).unwrap().to_owned()
}

#[test]
fn a_key_is_rotated_under_load_and_the_neighbour_follows() {
    let folder = folder();
    let data = folder.path().join("data");
    let database = Database::at(Address::Sqlite(data.join("quan.db")));
    Server::start(&data, &database).kill();
    let policy = data.join("policy.txt");
    let log = line(&policy, 0);
    let home = folder.path().join("neighbour");
    let neighbour = Neighbour::start(&home, &log, "127.0.0.1:0");
    fs::write(
        &policy,
        format!("{log}\n{}quorum neighbour\n", neighbour.line),
    )
    .unwrap();

    let load = Load::new(&data);
    let mut servers = [Server::start(&data, &database)];
    load.announce(&servers);
    load.during(|| {
        load.wait_for(20, &mut servers);
        rotate_by_program(&servers[0], &data, &database, "1");
        load.wait_for(20, &mut servers);
    });
    let caught_up = |server: &Server| {
        let health: serde_json::Value = serde_json::from_str(&get(server, "/health")).unwrap();
        health["entries"] == health["published"]
    };
    // The neighbour knows the old key only, and cosigns what that one still signs.
    wait_until("published", || caught_up(&servers[0]));
    let note = get(&servers[0], "/checkpoint");
    assert_eq!(note.matches("— localhost/quan ").count(), 2, "{note}");
    let [server] = servers;
    server.kill();

    // Killed and started anew; then the newest key is given up at once, while that of the first start still has its time.
    let mut servers = [Server::start(&data, &database)];
    load.announce(&servers);
    load.during(|| {
        load.wait_for(10, &mut servers);
        rotate_by_program(&servers[0], &data, &database, "0");
        load.wait_for(10, &mut servers);
    });
    wait_until("published", || caught_up(&servers[0]));
    // The neighbour has both lines of now, and one state of the log.
    let address = neighbour.kill();
    let lines = format!("{log}\n{}", line(&policy, 2));
    let neighbour = Neighbour::start(&home, &lines, &address);
    load.during(|| load.wait_for(10, &mut servers));
    wait_until("published", || caught_up(&servers[0]));
    let [server] = servers;
    server.stop();
    drop(neighbour);
    let audit = quan_verify(&data.join("trail"), &policy);
    let said = String::from_utf8_lossy(&audit.stdout).into_owned();
    assert!(audit.status.success(), "{said}");
    let doctor = quan(&["doctor"], &data, &database);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.status.success(), "{said}");
    assert_eq!(
        said.matches("log key    localhost/quan+").count(),
        3,
        "{said}"
    );
}

#[test]
fn a_witness_without_the_new_line_is_named_once_the_old_key_has_ended() {
    let folder = folder();
    let data = folder.path().join("data");
    let database = Database::at(Address::Sqlite(data.join("quan.db")));
    Server::start(&data, &database).kill();
    let policy = data.join("policy.txt");
    let log = line(&policy, 0);
    let home = folder.path().join("neighbour");
    let neighbour = Neighbour::start(&home, &log, "127.0.0.1:0");
    fs::write(&policy, format!("{log}\n{}quorum none\n", neighbour.line)).unwrap();
    let server = Server::start(&data, &database);
    wait_until("cosigned", || {
        get(&server, "/checkpoint").contains("— neighbour ")
    });
    rotate_by_program(&server, &data, &database, "0");
    wait_until("named", || {
        get(&server, "/health").contains("trail.witness-refused")
    });
    let address = neighbour.kill();
    let neighbour = Neighbour::start(&home, &line(&policy, 1), &address);
    server.stop();
    let server = Server::start(&data, &database);
    wait_until("cosigned", || {
        let note = get(&server, "/checkpoint");
        note.contains("— neighbour ") && note.matches("— localhost/quan ").count() == 1
    });
    server.stop();
    drop(neighbour);
    let audit = quan_verify(&data.join("trail"), &policy);
    assert!(audit.status.success());
}

#[test]
fn two_servers_on_one_postgresql_rotate_under_load() {
    let (database, folder) = (Database::postgres(), folder());
    let data = folder.path().join("data");
    let mut servers = vec![
        Server::start(&data, &database),
        Server::start(&data, &database),
    ];
    let load = Load::new(&data);
    load.announce(&servers);
    load.during(|| {
        load.wait_for(10, &mut servers);
        rotate_by_program(&servers[0], &data, &database, "1");
        load.wait_for(10, &mut servers);
        servers.remove(0).kill();
        load.announce(&servers);
        servers.push(Server::start(&data, &database));
        load.announce(&servers);
        rotate_by_program(&servers[1], &data, &database, "0");
        load.wait_for(10, &mut servers);
    });
    servers.into_iter().for_each(Server::stop);
    load.look(&database, &data);
}
