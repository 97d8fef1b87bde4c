//! A regulator's copy of a trail that a real exchange serves: killed in the middle, refused without a key, brought up to date.

use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use crate::support::{
    Client, Database, Exchange, Proxy, Server, Trail, folder, text, verifier_program,
};

on_both!(
    a_copy_that_is_killed_on_the_way_comes_to_the_same_trail,
    a_server_that_is_killed_while_it_is_copied_is_copied_whole,
    a_limited_regulator_audits_an_address_whose_server_is_killed_meanwhile,
);

/// More than two bundles.
const PARTIES: usize = 560;

#[track_caller]
fn exits(output: &Output, code: i32) -> String {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

fn admit(operator: &Client, count: usize) {
    for _ in 0..count {
        let body = json!({ "roles": ["buyer"], "name": "A".repeat(43) });
        operator.done("/v1/parties", &body);
    }
}

fn a_copy_that_is_killed_on_the_way_comes_to_the_same_trail(database: &Database) {
    let mut exchange = Exchange::start(database);
    let regulator = exchange.member(&["regulator"]).client.token();
    let funder = exchange.member(&["funder"]).client.token();
    admit(&exchange.operator(), PARTIES);
    // A stop publishes what was committed.
    exchange.restart();
    let copy = exchange.data().join("copy");
    let policy = exchange.data().join("policy.txt");
    let fetch = |exchange: &Exchange, token: &str| {
        let url = format!("http://{}", exchange.address());
        let mut command = with(&["fetch", &url, "--token", token]);
        command.arg(&copy).arg("--policy").arg(&policy);
        command
    };
    for token in [funder.as_str(), "nobody"] {
        let said = exits(&fetch(&exchange, token).output().unwrap(), 2);
        assert!(said.contains("regulator's key"), "{said}");
    }
    for moment in 0..8 {
        let mut child = fetch(&exchange, &regulator);
        let mut child = child.stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(4 * moment));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    exits(&fetch(&exchange, &regulator).output().unwrap(), 0);
    let audit = || {
        let mut command = with(&["audit"]);
        command.arg(&copy).arg("--policy").arg(&policy);
        exits(&command.output().unwrap(), 0)
    };
    assert!(audit().starts_with("agree: exchange.test/quan, 56"));
    admit(&exchange.operator(), 20);
    exchange.restart();
    let said = exits(&fetch(&exchange, &regulator).output().unwrap(), 0);
    assert!(said.contains(" 20 of them new"), "{said}");
    assert!(audit().contains("held to 2 checkpoints"));
}

/// Whoever copies has begun: kills the server in the first answer, in a tile, in a bundle, and starts it anew each time.
fn killed_on_the_way(
    proxy: &Proxy,
    mut server: Server,
    (data, database): (&Path, &Database),
) -> Server {
    for next in [9_000, 20_000, usize::MAX] {
        proxy.wait_until_broken();
        server.kill();
        server = Server::start(data, database);
        proxy.lead_to(&server.address);
        proxy.open(next);
    }
    server
}

/// The program itself, killed with SIGKILL when so many bytes of its answers have come through, and started anew.
fn a_server_that_is_killed_while_it_is_copied_is_copied_whole(database: &Database) {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, database);
    let operator = Client::operator_at(&server.address, &data);
    let token = operator.member(&["regulator"]).client.token();
    admit(&operator, PARTIES);
    // A stop publishes what was committed.
    server.stop();
    let mut server = Server::start(&data, database);
    let proxy = Proxy::to(&server.address);
    let fetch = |into: &str| {
        let url = format!("http://{}", proxy.address);
        let mut command = with(&["fetch", &url, "--token", &token]);
        command.arg(folder.path().join(into));
        command.arg("--policy").arg(data.join("policy.txt"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    // It comes back while the fetch still asks.
    proxy.open(700);
    let child = fetch("patient").spawn().unwrap();
    server = killed_on_the_way(&proxy, server, (&data, database));
    exits(&child.wait_with_output().unwrap(), 0);
    // It does not: what is there is kept, and the next fetch goes on from it.
    proxy.open(20_000);
    let child = fetch("resumed").spawn().unwrap();
    proxy.wait_until_broken();
    server.kill();
    let said = exits(&child.wait_with_output().unwrap(), 2);
    assert!(said.contains("it goes on from here"), "{said}");
    let part = Trail::read(&folder.path().join("resumed")).0;
    assert!(!part.is_empty());
    let server = Server::start(&data, database);
    proxy.lead_to(&server.address);
    proxy.open(usize::MAX);
    exits(&fetch("resumed").output().unwrap(), 0);
    server.stop();
    is_whole(folder.path(), &part);
}

/// The same with redacted bundles, and the audit in one go.
fn a_limited_regulator_audits_an_address_whose_server_is_killed_meanwhile(database: &Database) {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, database);
    let operator = Client::operator_at(&server.address, &data);
    let regulator = operator.member(&["regulator"]);
    let limited =
        json!({ "party": regulator.party, "roles": ["regulator"], "scopes": ["fund/sh-2026"] });
    let actor = operator.done("/v1/actors", &limited)["found"]["actor"].clone();
    let token = operator.keyed(&text(&actor), "regulator").token();
    let funder = operator.member(&["funder"]).client;
    for fund in ["sh-2026", "pd-2026"] {
        funder.done("/v1/funds", &json!({ "fund": fund, "funder": "f-finance" }));
        funder.done(
            "/v1/funds/appropriate",
            &json!({ "fund": fund, "fen": 500 }),
        );
    }
    admit(&operator, PARTIES);
    // A stop states how many entries each scope has, and publishes.
    server.stop();
    let server = Server::start(&data, database);
    let proxy = Proxy::to(&server.address);
    let url = format!("http://{}", proxy.address);
    let mut audit = with(&[
        "audit",
        &url,
        "--scope",
        "fund/sh-2026",
        "--token",
        &token,
        "--into",
    ]);
    audit.arg(folder.path().join("copy"));
    audit.arg("--policy").arg(data.join("policy.txt"));
    proxy.open(700);
    let child = audit
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let server = killed_on_the_way(&proxy, server, (&data, database));
    let said = exits(&child.wait_with_output().unwrap(), 0);
    drop(server);
    assert!(said.contains("agree: localhost/quan, 57"), "{said}");
    // Two entries of the other fund.
    assert!(said.contains("withheld  2 entries"), "{said}");
    assert!(said.contains("fund sh-2026"), "{said}");
    assert!(!said.contains("fund pd-2026"), "{said}");
    let copied = Trail::read(&folder.path().join("copy")).0;
    assert!(
        copied
            .iter()
            .any(|(name, _)| name.starts_with("redacted/fund/sh-2026/"))
    );
    assert!(
        !copied
            .iter()
            .any(|(name, _)| name.starts_with("tile/entries/"))
    );
}

/// Both copies are the trail, byte by byte, and what was fetched before the kill was fetched once.
fn is_whole(folder: &Path, part: &[(String, Vec<u8>)]) {
    let files = |name: &str| -> BTreeMap<String, Vec<u8>> {
        let files = Trail::read(&folder.join(name)).0.into_iter();
        // How many checkpoints were seen on the way is each copy's own matter.
        files
            .filter(|(name, _)| !name.starts_with("known/"))
            .collect()
    };
    let (patient, resumed, trail) = (files("patient"), files("resumed"), files("data/trail"));
    assert_eq!(patient, resumed);
    for (name, bytes) in resumed.iter().filter(|(name, _)| name.starts_with("tile/")) {
        assert_eq!(trail.get(name), Some(bytes), "{name}");
    }
    for (name, bytes) in part.iter().filter(|(name, _)| name.starts_with("tile/")) {
        assert_eq!(resumed.get(name), Some(bytes), "{name}");
    }
    for name in ["patient", "resumed"] {
        let mut audit = with(&["audit"]);
        audit
            .arg(folder.join(name))
            .arg("--policy")
            .arg(folder.join("data/policy.txt"));
        let said = exits(&audit.output().unwrap(), 0);
        assert!(said.starts_with("agree: localhost/quan, 56"), "{said}");
    }
}

/// `quan-verify` with these words, as a regulator types them.
fn with(words: &[&str]) -> Command {
    let mut command = Command::new(verifier_program());
    command.args(words);
    command
}
