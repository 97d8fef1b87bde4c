//! Uploads by tuspy and tus-js-client: each pauses, goes on, and outlives a server that is killed twice.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Instant;
use verifier::id::Sha256Hash;

use crate::support::process::{A_MOMENT, PATIENCE};
use crate::support::{Client, Database, Foreign, Proxy, Server, folder};

/// Twelve requests of a mebibyte.
const BYTES: usize = 12 << 20;

#[test]
fn tuspy_goes_on_after_a_pause_and_two_deaths() {
    goes_on("tus.py");
}

#[test]
fn tus_js_client_goes_on_after_a_pause_and_two_deaths() {
    goes_on("tus.mjs");
}

fn goes_on(script: &str) {
    let (folder, database) = (folder(), Database::sqlite());
    let data = folder.path().join("data");
    let server = Server::start(&data, &database);
    let vendor = Client::operator_at(&server.address, &data).member(&["vendor"]);
    let way = Proxy::to(&server.address);
    way.open(usize::MAX);
    let path = folder.path().join("corpus.bin");
    let bytes: Vec<u8> = (0..BYTES)
        .map(|i| (i * 31 + i / 257).to_le_bytes()[0])
        .collect();
    fs::write(&path, &bytes).unwrap();
    let mut client = Foreign::script(script)
        .env("QUAN_URL", format!("http://{}", way.address))
        .env("QUAN_TOKEN", vendor.client.token())
        .env("QUAN_FILE", &path)
        .start();
    let paused = client.hears();
    let (at, offset) = paused.split_once(' ').unwrap();
    let offset: u64 = offset.parse().unwrap();
    assert!((1 << 20..6 << 20).contains(&offset), "{paused}");
    let id = at.rsplit('/').next().unwrap().to_owned();
    let spooled = data.join("uploads").join(&id);
    let server = again(server, &data, &database, &way);
    client.tell("go on");
    until("more of it", || came(&spooled) > offset + (1 << 20));
    let server = again(server, &data, &database, &way);
    assert_eq!(client.hears(), format!("done {BYTES}"));
    client.ends();
    let asked = ureq::get(format!("http://{}/v1/uploads/{id}", server.address));
    let token = format!("Bearer {}", vendor.client.token());
    let mut state = asked.header("authorization", token).call().unwrap();
    let state: Value = serde_json::from_slice(&state.body_mut().read_to_vec().unwrap()).unwrap();
    let hash = Sha256Hash::of(&bytes);
    let hex: String = hash.bytes().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(state["sha256"], hex.as_str(), "{state}");
    server.stop();
}

/// Kills it with SIGKILL, and another one serves at the address that the client knows.
fn again(server: Server, data: &Path, database: &Database, way: &Proxy) -> Server {
    server.kill();
    let server = Server::start(data, database);
    way.lead_to(&server.address);
    server
}

/// How much of it is in the spool; all of it, where it has left the spool.
fn came(spooled: &Path) -> u64 {
    fs::metadata(spooled).map_or(BYTES as u64, |file| file.len())
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} does not come");
        std::thread::sleep(A_MOMENT);
    }
}
