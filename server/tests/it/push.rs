//! `quan dataset push` and `accept`, the program itself, against an exchange on SQLite: they are clients, the database is not theirs.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;
use verifier::id::{Sha256Hash, hex};

use crate::support::process::{A_MOMENT, PATIENCE};

use crate::support::{Client, Database, Exchange, Proxy, Server, Vendor, card as a_card, folder};

const LISTING: &str = "city-data/dialogues";
const STATE: &str = ".quan-push.jsonl";

fn push(exchange: &Exchange, vendor: &Vendor, dir: &Path, more: &[&str]) -> Command {
    let address = exchange.address().to_string();
    push_as(&address, &vendor.client.token(), dir, more)
}

fn push_as(address: &str, token: &str, dir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quan"));
    command
        .args(["dataset", "push", "--listing", LISTING, "--server"])
        .arg(format!("http://{address}"))
        .args(more)
        .arg(dir)
        .env("QUAN_API_KEY", token)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[track_caller]
fn ran(mut command: Command, code: i32) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(code), "{said}");
    said
}

fn bytes(count: usize, seed: usize) -> Vec<u8> {
    let byte = |i: usize| ((i * 7 + i / 251) * seed).to_le_bytes()[0];
    (0..count).map(byte).collect()
}

fn draft(vendor: &Vendor, name: &str) {
    let mut card = a_card();
    card["licence"]["text"] = json!(vendor.licence);
    let draft = json!({ "name": name, "card": card });
    vendor.client.done("/v1/listings", &draft);
}

fn in_draft(vendor: &Vendor) -> Vec<(String, String)> {
    let shown = vendor.client.get(&format!("/v1/listings/{LISTING}")).body;
    let files = shown["files"].as_array().unwrap().iter();
    let text = |file: &Value, name: &str| file[name].as_str().unwrap().to_owned();
    files
        .map(|file| (text(file, "path"), text(file, "sha256")))
        .collect()
}

fn sum(bytes: &[u8]) -> String {
    hex(Sha256Hash::of(bytes).bytes())
}

#[test]
fn a_folder_becomes_a_version_by_one_command() {
    let database = Database::sqlite();
    let exchange = Exchange::start(&database);
    let vendor = Vendor::open(&exchange, "city-data");
    let (dir, cards) = (folder(), folder());
    let dir = dir.path();
    let rows = |from: u32| -> String {
        let row = |i: u32| format!("{{\"n\":{i},\"text\":\"row {i}\"}}\n");
        (from..from + 200).map(row).collect()
    };
    fs::create_dir_all(dir.join("train")).unwrap();
    fs::create_dir_all(dir.join(".git")).unwrap();
    fs::write(dir.join(".git/config"), "hidden").unwrap();
    fs::write(dir.join("train/a.jsonl"), rows(0)).unwrap();
    fs::write(dir.join("train/cafe\u{301}.jsonl"), rows(0)).unwrap();
    fs::write(dir.join("test.jsonl"), rows(500)).unwrap();
    let mut card = a_card();
    card["licence"]["text"] = json!(vendor.licence);
    let path = cards.path().join("card.json");
    fs::write(&path, card.to_string()).unwrap();
    let unknown = ran(push(&exchange, &vendor, dir, &[]), 1);
    assert!(unknown.contains("listing.unknown"), "{unknown}");
    assert!(unknown.contains("--card FILE"), "{unknown}");
    let card = path.to_str().unwrap();
    let more = ["--card", card, "--submit", "1.0.0", "--price", "120000"];
    let said = ran(push(&exchange, &vendor, dir, &more), 0);
    assert!(said.contains("left out: .git (hidden)"), "{said}");
    let sent = rows(0).len() + rows(500).len();
    let counted = format!("3 of 3 files ({} bytes)", sent + rows(0).len());
    assert!(said.contains(&counted), "{said}");
    // Two files of one content are sent once.
    assert!(said.contains(&format!("{sent} bytes were sent")), "{said}");
    assert!(said.contains("handed in as 1.0.0: entry "), "{said}");
    let (first, second) = (sum(rows(0).as_bytes()), sum(rows(500).as_bytes()));
    let expected = [
        ("test.jsonl".to_owned(), second),
        ("train/a.jsonl".to_owned(), first.clone()),
        ("train/caf\u{e9}.jsonl".to_owned(), first),
    ];
    assert_eq!(in_draft(&vendor), expected);
    let shown = vendor.client.get("/v1/datasets").body;
    assert_eq!(shown["items"][0]["versions"][0]["price_fen"], 120_000);
    // The very same again is refused by the exchange, in its words.
    let again = ran(push(&exchange, &vendor, dir, &more[2..]), 1);
    assert!(again.contains("3 were; 0 bytes were sent"), "{again}");
    assert!(again.contains("(dataset.duplicate)"), "{again}");
}

/// SIGKILL in the middle of a file, and the next run sends what is missing, and nothing else.
#[test]
fn a_killed_push_goes_on_at_the_byte_that_the_exchange_has() {
    let database = Database::sqlite();
    let exchange = Exchange::start(&database);
    let vendor = Vendor::open(&exchange, "city-data");
    draft(&vendor, "dialogues");
    let dir = folder();
    let dir = dir.path();
    let (small, big) = (bytes(1_000, 3), bytes(100 << 20, 5));
    fs::write(dir.join("a.bin"), &small).unwrap();
    fs::write(dir.join("b.bin"), &big).unwrap();
    let mut first = push(&exchange, &vendor, dir, &["--jobs", "2"])
        .spawn()
        .unwrap();
    let spools = exchange.data().join("uploads");
    until(&mut first, || {
        lengths(&spools).iter().any(|length| *length > 40 << 20)
    });
    first.kill().unwrap();
    first.wait().unwrap();
    let kept = fs::read_to_string(dir.join(STATE)).unwrap();
    let (mut had, mut begun) = (0, Vec::new());
    for line in kept.lines().filter(|line| line.contains("\"upload\"")) {
        let line: Value = serde_json::from_str(line).unwrap();
        let at = line["upload"][1].as_str().unwrap().to_owned();
        let offset = offset(&exchange, &vendor, &at);
        assert!(offset < big.len() as u64, "it was not killed in the middle");
        had += offset;
        begun.push(at);
    }
    assert!(had >= 32 << 20, "{had}");
    let said = ran(push(&exchange, &vendor, dir, &[]), 0);
    let missing = (small.len() + big.len()) as u64 - had;
    assert!(said.contains("2 of 2 files"), "{said}");
    assert!(
        said.contains(&format!("{missing} bytes were sent")),
        "{said}"
    );
    let expected = [("a.bin", sum(&small)), ("b.bin", sum(&big))];
    assert_eq!(
        in_draft(&vendor),
        expected.map(|(path, sum)| (path.to_owned(), sum))
    );
    let kept = fs::read_to_string(dir.join(STATE)).unwrap();
    let uploads = kept.lines().filter(|line| line.contains("\"upload\""));
    assert_eq!(
        uploads.count(),
        begun.len().max(2),
        "no second upload is begun"
    );
    // What is there is not sent; what has changed is.
    fs::write(dir.join("a.bin"), bytes(1_000, 9)).unwrap();
    let said = ran(push(&exchange, &vendor, dir, &[]), 0);
    assert!(said.contains("1 were; 1000 bytes were sent"), "{said}");
}

/// SIGKILL to the exchange in the middle of a file: the push waits for it, asks how far it is and goes on.
#[test]
fn a_push_outlives_an_exchange_that_is_killed() {
    let (database, data, dir) = (Database::sqlite(), folder(), folder());
    let data = data.path().join("data");
    let server = Server::start(&data, &database);
    let vendor = Client::operator_at(&server.address, &data)
        .member(&["vendor"])
        .client;
    vendor.done("/v1/handles", &json!({ "handle": "city-data" }));
    let draft = json!({ "name": "dialogues", "card": {} });
    vendor.done("/v1/listings", &draft);
    let big = bytes(64 << 20, 11);
    fs::write(dir.path().join("b.bin"), &big).unwrap();
    let way = Proxy::to(&server.address);
    way.open(usize::MAX);
    let mut pushing = push_as(&way.address, &vendor.token(), dir.path(), &[])
        .spawn()
        .unwrap();
    let spools = data.join("uploads");
    until(&mut pushing, || {
        lengths(&spools).iter().any(|length| *length > 20 << 20)
    });
    server.kill();
    let server = Server::start(&data, &database);
    way.lead_to(&server.address);
    let Output { status, stdout, .. } = pushing.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&stdout);
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("1 of 1 files"), "{said}");
    assert!(said.contains("the card still lacks: title, "), "{said}");
    let vendor = Client::keyed_at(&server.address, &vendor.token());
    let shown = vendor.get(&format!("/v1/listings/{LISTING}")).body;
    assert_eq!(shown["files"][0]["sha256"], sum(&big).as_str());
    server.stop();
}

#[test]
fn a_push_without_a_key_or_an_exchange_says_so() {
    let dir = folder();
    fs::write(dir.path().join("a"), "a").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_quan"));
    command
        .args([
            "dataset",
            "push",
            "--listing",
            LISTING,
            "--server",
            "http://127.0.0.1:9",
        ])
        .arg(dir.path())
        .env_remove("QUAN_API_KEY");
    let said = ran(command, 2);
    assert!(
        said.contains("set QUAN_API_KEY or give --key-file"),
        "{said}"
    );
}

fn offset(exchange: &Exchange, vendor: &Vendor, at: &str) -> u64 {
    let request = ureq::head(format!("http://{}{at}", exchange.address()));
    let told = request
        .header("authorization", format!("Bearer {}", vendor.client.token()))
        .header("tus-resumable", "1.0.0")
        .call()
        .unwrap();
    let offset = told.headers().get("upload-offset").unwrap();
    offset.to_str().unwrap().parse().unwrap()
}

fn lengths(spools: &Path) -> Vec<u64> {
    let Ok(items) = fs::read_dir(spools) else {
        return Vec::new();
    };
    let length = |item: std::io::Result<fs::DirEntry>| item.ok()?.metadata().ok();
    items.filter_map(length).map(|file| file.len()).collect()
}

fn until(child: &mut Child, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "it does not come");
        assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
        std::thread::sleep(A_MOMENT);
    }
}
