//! A regulator's copy of a trail that a real exchange serves: killed in the middle, refused without a key, brought up to date.

use serde_json::json;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use crate::support::{Database, Exchange, verifier_program};

on_both!(a_copy_that_is_killed_on_the_way_comes_to_the_same_trail);

/// More than two bundles.
const PARTIES: usize = 560;

#[track_caller]
fn exits(output: &Output, code: i32) -> String {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

fn admit(exchange: &Exchange, count: usize) {
    let operator = exchange.operator();
    for _ in 0..count {
        let body = json!({ "roles": ["buyer"], "name": "A".repeat(43) });
        operator.done("/v1/parties", &body);
    }
}

fn a_copy_that_is_killed_on_the_way_comes_to_the_same_trail(database: &Database) {
    let mut exchange = Exchange::start(database);
    let regulator = exchange.member(&["regulator"]).client.token();
    let funder = exchange.member(&["funder"]).client.token();
    admit(&exchange, PARTIES);
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
    admit(&exchange, 20);
    exchange.restart();
    let said = exits(&fetch(&exchange, &regulator).output().unwrap(), 0);
    assert!(said.contains(" 20 of them new"), "{said}");
    assert!(audit().contains("held to 2 checkpoints"));
}

/// `quan-verify` with these words, as a regulator types them.
fn with(words: &[&str]) -> Command {
    let mut command = Command::new(verifier_program());
    command.args(words);
    command
}
