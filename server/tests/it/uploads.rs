//! Uploads by tus 1.0.0, as its own words have them, on both databases (facts §3.1 T1–T27).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use server::store::dataset::upload::{self, State, Upload};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Barrier;
use std::time::{Duration, Instant};
use verifier::id::Sha256Hash;
use verifier::time::Timestamp;

use crate::support::{Client, Database, Exchange, Server, folder, text};

on_both!(
    every_answer_names_the_version_and_another_one_is_not_served,
    an_upload_goes_on_from_its_offset_and_is_stored_once,
    a_request_that_is_not_as_tus_says_changes_nothing,
    an_upload_is_its_owners_alone_and_ends_once,
    a_quota_is_known_before_the_first_byte,
    the_last_room_is_given_once,
    an_abandoned_upload_is_swept_with_its_file,
    a_flipped_byte_on_disk_is_found_by_the_next_hashing,
    a_killed_server_goes_on_at_the_byte_on_disk,
);

/// What came back.
pub(crate) struct Told {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Told {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    pub(crate) fn code(&self) -> String {
        text(&self.json()["code"])
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A client of tus that can do what no good one does.
pub(crate) struct Tus {
    address: String,
    token: String,
}

impl Tus {
    pub(crate) fn of(exchange: &Exchange, client: &Client) -> Self {
        Self {
            address: exchange.address().to_string(),
            token: client.token(),
        }
    }

    fn begin(&self, line: &str, headers: &[(&str, &str)], length: usize) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let mut head = format!(
            "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n",
            self.token
        );
        if length > 0 {
            head += &format!("content-length: {length}\r\n");
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all((head + "\r\n").as_bytes()).unwrap();
        stream
    }

    fn raw(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Told {
        let mut stream = self.begin(line, headers, body.len());
        stream.write_all(body).unwrap();
        told(&mut stream)
    }

    pub(crate) fn ask(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Told {
        let mut all = vec![("tus-resumable", "1.0.0")];
        all.extend(headers);
        let told = self.raw(line, &all, body);
        assert_eq!(told.header("tus-resumable"), Some("1.0.0"), "{line}");
        told
    }

    pub(crate) fn create(&self, length: usize, metadata: &str) -> String {
        let length = length.to_string();
        let headers = [
            ("upload-length", length.as_str()),
            ("upload-metadata", metadata),
        ];
        let made = self.ask("POST /v1/uploads", &headers, b"");
        assert_eq!(made.status, 201, "{}", made.body);
        made.header("location").unwrap().to_owned()
    }

    pub(crate) fn patch(
        &self,
        at: &str,
        offset: usize,
        more: &[(&str, &str)],
        body: &[u8],
    ) -> Told {
        let offset = offset.to_string();
        let mut headers = vec![
            ("content-type", "application/offset+octet-stream"),
            ("upload-offset", offset.as_str()),
        ];
        headers.extend(more);
        self.ask(&format!("PATCH {at}"), &headers, body)
    }

    /// Uploads a file, and says how it is once it is stored.
    pub(crate) fn stored(&self, path: &str, bytes: &[u8]) -> Value {
        let at = self.create(bytes.len(), &format!("filename {}", STANDARD.encode(path)));
        if !bytes.is_empty() {
            assert_eq!(self.patch(&at, 0, &[], bytes).status, 204);
        }
        until("the store", || self.state(&at)["stored"] == true);
        self.state(&at)
    }

    fn offset(&self, at: &str) -> Option<usize> {
        let told = self.ask(&format!("HEAD {at}"), &[], b"");
        told.header("upload-offset")
            .map(|offset| offset.parse().unwrap())
    }

    pub(crate) fn state(&self, at: &str) -> Value {
        self.raw(&format!("GET {at}"), &[], b"").json()
    }
}

fn told(stream: &mut TcpStream) -> Told {
    let mut bytes = Vec::new();
    let _closed_hard = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .parse()
        .unwrap_or_default();
    Told {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed().as_secs() < 60, "{what} does not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let hash = Sha256Hash::of(bytes);
    hash.bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let Ok(items) = std::fs::read_dir(folder) else {
        return found;
    };
    for item in items {
        let path = item.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path))
        } else {
            found.push(path)
        }
    }
    found
}

fn every_answer_names_the_version_and_another_one_is_not_served(database: &Database) {
    let exchange = Exchange::start(database);
    let tus = Tus::of(&exchange, &exchange.member(&["vendor"]).client);
    let options = tus.raw("OPTIONS /v1/uploads", &[("tus-resumable", "9")], b"");
    assert_eq!(options.status, 204);
    assert_eq!(options.header("tus-version"), Some("1.0.0"));
    assert_eq!(options.header("tus-max-size"), Some("1099511627776"));
    assert_eq!(
        options.header("tus-checksum-algorithm"),
        Some("sha1,sha256")
    );
    for headers in [&[][..], &[("tus-resumable", "0.2.2")]] {
        let refused = tus.raw(
            "POST /v1/uploads",
            &[&[("upload-length", "1")], headers].concat(),
            b"",
        );
        assert_eq!(refused.status, 412);
        assert_eq!(refused.header("tus-version"), Some("1.0.0"));
        assert_eq!(refused.header("tus-resumable"), Some("1.0.0"));
    }
    assert!(files(&exchange.data().join("uploads")).is_empty());
}

fn an_upload_goes_on_from_its_offset_and_is_stored_once(database: &Database) {
    let mut exchange = Exchange::start(database);
    let vendor = exchange.member(&["vendor"]).client;
    let bytes: Vec<u8> = (0..200_000u32)
        .map(|i| (i * 7 + i / 251).to_le_bytes()[0])
        .collect();
    let name = format!(
        "filename {},sha256 {}",
        STANDARD.encode("train/a.jsonl"),
        STANDARD.encode(hex(&bytes))
    );
    let tus = Tus::of(&exchange, &vendor);
    let at = tus.create(bytes.len(), &name);
    let head = tus.ask(&format!("HEAD {at}"), &[], b"");
    assert_eq!(
        (head.header("upload-offset"), head.header("upload-length")),
        (Some("0"), Some("200000"))
    );
    assert_eq!(head.header("upload-metadata"), Some(name.as_str()));
    assert_eq!(head.header("cache-control"), Some("no-store"));
    let first = tus.patch(&at, 0, &[], &bytes[..70_000]);
    assert_eq!(
        (first.status, first.header("upload-offset")),
        (204, Some("70000"))
    );
    assert!(first.header("upload-expires").unwrap().ends_with("GMT"));
    // A connection that breaks keeps what came.
    let mut cut = tus.begin(
        &format!("PATCH {at}"),
        &[
            ("tus-resumable", "1.0.0"),
            ("content-type", "application/offset+octet-stream"),
            ("upload-offset", "70000"),
        ],
        130_000,
    );
    cut.write_all(&bytes[70_000..100_000]).unwrap();
    drop(cut);
    until("what came", || tus.offset(&at) == Some(100_000));
    exchange.restart();
    let tus = Tus::of(&exchange, &vendor);
    assert_eq!(tus.offset(&at), Some(100_000));
    let last = tus.patch(&at, 100_000, &[], &bytes[100_000..]);
    assert_eq!(
        (last.status, last.header("upload-offset")),
        (204, Some("200000"))
    );
    until("the store", || tus.state(&at)["stored"] == true);
    assert_eq!(tus.state(&at)["sha256"], hex(&bytes).as_str());
    assert_eq!(tus.offset(&at), Some(200_000));
    anothers_is_no_second_blob(&exchange, &bytes);
    // Nothing at all is an upload too.
    let empty = tus.create(0, "");
    until("the store", || tus.state(&empty)["stored"] == true);
    assert_eq!(tus.offset(&empty), Some(0));
}

/// Another vendor, in one request, with the same content: one blob.
fn anothers_is_no_second_blob(exchange: &Exchange, bytes: &[u8]) {
    let other = Tus::of(exchange, &exchange.member(&["vendor"]).client);
    let headers = [
        ("upload-length", "200000"),
        ("content-type", "application/offset+octet-stream"),
    ];
    let made = other.ask("POST /v1/uploads", &headers, bytes);
    assert_eq!(
        (made.status, made.header("upload-offset")),
        (201, Some("200000"))
    );
    let theirs = made.header("location").unwrap();
    until("the store", || other.state(theirs)["stored"] == true);
    until("the spool", || {
        files(&exchange.data().join("uploads")).is_empty()
    });
    let blobs = files(&exchange.data().join("blobs"));
    assert_eq!(blobs.len(), 1);
    assert!(
        std::fs::read(&blobs[0])
            .unwrap()
            .starts_with(b"age-encryption.org/v1\n")
    );
}

fn a_request_that_is_not_as_tus_says_changes_nothing(database: &Database) {
    let exchange = Exchange::start(database);
    let tus = Tus::of(&exchange, &exchange.member(&["vendor"]).client);
    creations(&tus);
    patches(&tus);
    who_asks_takes_over(&exchange, &tus);
}

fn creations(tus: &Tus) {
    for (headers, status) in [
        (&[][..], 400),
        (&[("upload-length", "-1")], 400),
        (&[("upload-length", "x")], 400),
        (&[("upload-defer-length", "1")], 400),
        (&[("upload-length", "1099511627777")], 413),
        (&[("upload-length", "1"), ("upload-metadata", "a !!")], 400),
        (&[("upload-length", "18446744073709551616")], 400),
    ] {
        assert_eq!(
            tus.ask("POST /v1/uploads", headers, b"").status,
            status,
            "{headers:?}"
        );
    }
    for path in [
        "../x",
        "/etc/passwd",
        "a/../b",
        "a//b",
        "./a",
        "a\\b",
        "a\nb",
        "a\0b",
        &"x".repeat(1_025),
    ] {
        let name = format!("filename {}", STANDARD.encode(path));
        let headers = [("upload-length", "1"), ("upload-metadata", name.as_str())];
        let told = tus.ask("POST /v1/uploads", &headers, b"");
        assert_eq!(
            (told.status, told.code().as_str()),
            (400, "request.malformed"),
            "{path:?}"
        );
        assert!(
            told.json()["detail"]
                .as_str()
                .unwrap()
                .starts_with("the filename"),
            "{}",
            told.body
        );
    }
}

fn patches(tus: &Tus) {
    let at = tus.create(10, "");
    let patch = format!("PATCH {at}");
    assert_eq!(
        tus.ask(&patch, &[("upload-offset", "0")], b"12345").status,
        415
    );
    let elsewhere = tus.patch(&at, 1, &[], b"12345");
    assert_eq!(
        (elsewhere.status, elsewhere.code().as_str()),
        (409, "upload.offset")
    );
    let more = tus.patch(&at, 0, &[], b"12345678901");
    assert_eq!((more.status, more.code().as_str()), (413, "upload.length"));
    let summed = |sum: &str| {
        let sum = [("upload-checksum", sum)];
        tus.patch(&at, 0, &sum, b"12345")
    };
    let wrong = summed(&format!("sha1 {}", STANDARD.encode([0; 20])));
    assert_eq!(
        (wrong.status, wrong.code().as_str()),
        (460, "upload.checksum")
    );
    assert_eq!(summed("md5 AAAA").status, 400);
    assert_eq!(tus.offset(&at), Some(0));
    let right = STANDARD.encode(Sha256Hash::of(b"12345").bytes());
    assert_eq!(summed(&format!("sha256 {right}")).status, 204);
    let named = [
        ("x-http-method-override", "PATCH"),
        ("content-type", "application/offset+octet-stream"),
        ("upload-offset", "5"),
    ];
    assert_eq!(tus.ask(&format!("POST {at}"), &named, b"67890").status, 204);
    assert_eq!(tus.state(&at)["sha256"], hex(b"1234567890").as_str());
    // What was announced did not come.
    let at = tus.create(3, &format!("sha256 {}", STANDARD.encode([7; 32])));
    assert_eq!(tus.patch(&at, 0, &[], b"abc").status, 204);
    assert_eq!(tus.state(&at)["state"], "failed");
}

/// While one writes, another is told to wait; who asks how far it is takes over.
fn who_asks_takes_over(exchange: &Exchange, tus: &Tus) {
    let at = tus.create(1_000, "");
    let mut slow = tus.begin(
        &format!("PATCH {at}"),
        &[
            ("tus-resumable", "1.0.0"),
            ("content-type", "application/offset+octet-stream"),
            ("upload-offset", "0"),
        ],
        1_000,
    );
    slow.write_all(&[b'x'; 400]).unwrap();
    // It has the turn once its bytes are in the file.
    let spool = exchange.data().join("uploads");
    let spooled = spool.join(at.rsplit('/').next().unwrap());
    until("what came", || {
        std::fs::metadata(&spooled).unwrap().len() == 400
    });
    let waits = tus.patch(&at, 400, &[], b"x");
    assert_eq!(
        (waits.status, waits.code().as_str()),
        (423, "upload.locked")
    );
    until("what came", || tus.offset(&at) == Some(400));
    assert_eq!(tus.patch(&at, 400, &[], &[b'x'; 600]).status, 204);
}

fn an_upload_is_its_owners_alone_and_ends_once(database: &Database) {
    let exchange = Exchange::start(database);
    let tus = Tus::of(&exchange, &exchange.member(&["vendor"]).client);
    let other = Tus::of(&exchange, &exchange.member(&["vendor"]).client);
    let buyer = Tus::of(&exchange, &exchange.member(&["buyer"]).client);
    let at = tus.create(10, "");
    for method in ["HEAD", "DELETE"] {
        let told = other.ask(&format!("{method} {at}"), &[], b"");
        assert_eq!((told.status, told.header("upload-offset")), (404, None));
    }
    assert_eq!(
        buyer
            .ask("POST /v1/uploads", &[("upload-length", "1")], b"")
            .status,
        403
    );
    assert_eq!(tus.ask("HEAD /v1/uploads/upl-x", &[], b"").status, 404);
    assert_eq!(tus.ask(&format!("DELETE {at}"), &[], b"").status, 204);
    for method in ["HEAD", "DELETE"] {
        let told = tus.ask(&format!("{method} {at}"), &[], b"");
        assert_eq!((told.status, told.header("upload-offset")), (410, None));
    }
    let late = tus.patch(&at, 0, &[], b"x");
    assert_eq!((late.status, late.code().as_str()), (410, "upload.gone"));
    assert_eq!(other.state(&at)["code"], "upload.unknown");
    assert!(files(&exchange.data().join("uploads")).is_empty());
}

fn a_quota_is_known_before_the_first_byte(database: &Database) {
    let exchange = Exchange::start(database);
    let tus = Tus::of(&exchange, &exchange.member(&["vendor"]).client);
    let most = (1u64 << 40).to_string();
    for status in [201, 201, 413] {
        assert_eq!(
            tus.ask("POST /v1/uploads", &[("upload-length", &most)], b"")
                .status,
            status
        );
    }
    let refused = tus.ask("POST /v1/uploads", &[("upload-length", "1")], b"");
    assert_eq!(refused.json()["code"], "upload.quota");
    assert_eq!(refused.json()["values"]["left"], "0");
}

/// Two servers add for one party at once: never do both get what only one has room for.
fn the_last_room_is_given_once(database: &Database) {
    let _store = database.store();
    let add = |round: u32, server: u32, begin: &Barrier| {
        let mut db = server::store::Db::open(&database.address).unwrap();
        let upload = Upload {
            id: format!("upl-{round}-{server}"),
            party: format!("pty-{round}"),
            listing: None,
            path: String::new(),
            length: 6,
            wanted: None,
            metadata: String::new(),
            expires: Timestamp::new(0).unwrap(),
            state: State::Open,
            sha256: None,
            why: String::new(),
        };
        begin.wait();
        upload::add(&mut db, &upload, 10).unwrap()
    };
    for round in 0..20 {
        let begin = Barrier::new(2);
        let added = std::thread::scope(|scope| {
            let other = scope.spawn(|| add(round, 1, &begin));
            [add(round, 0, &begin), other.join().unwrap()]
        });
        assert!(added.contains(&Ok(())), "{added:?}");
        assert!(added.contains(&Err(4)), "{added:?}");
    }
}

fn an_abandoned_upload_is_swept_with_its_file(database: &Database) {
    let exchange = Exchange::with_timers(database, 20);
    let vendor = exchange.member(&["vendor"]).client;
    let tus = Tus::of(&exchange, &vendor);
    let at = tus.create(10, "");
    assert_eq!(tus.patch(&at, 0, &[], b"12345").status, 204);
    exchange.clock.advance(72 * 3_600 + 1);
    until("the sweep", || {
        files(&exchange.data().join("uploads")).is_empty()
    });
    assert_eq!(tus.ask(&format!("HEAD {at}"), &[], b"").status, 410);
}

fn a_flipped_byte_on_disk_is_found_by_the_next_hashing(database: &Database) {
    let exchange = Exchange::with_timers(database, 20);
    let tus = Tus::of(&exchange, &exchange.member(&["vendor"]).client);
    let at = tus.create(5, "");
    assert_eq!(tus.patch(&at, 0, &[], b"12345").status, 204);
    until("the store", || tus.state(&at)["stored"] == true);
    let blob = files(&exchange.data().join("blobs")).remove(0);
    let mut bytes = std::fs::read(&blob).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    exchange.clock.advance(31 * 86_400);
    let store = server::store::Db::open(&database.address).unwrap();
    let mut store = store;
    let sha256 = *Sha256Hash::of(b"12345").bytes();
    until("the finding", || {
        let found = server::store::dataset::blob::get(&mut store, &sha256)
            .unwrap()
            .unwrap();
        found.state == server::store::dataset::blob::State::Damaged
    });
}

/// The program itself, killed with SIGKILL between two requests and inside one.
fn a_killed_server_goes_on_at_the_byte_on_disk(database: &Database) {
    let folder = folder();
    let data = folder.path().join("data");
    let server = Server::start(&data, database);
    let token = Client::operator_at(&server.address, &data)
        .member(&["vendor"])
        .client
        .token();
    let at_server = |server: &Server| Tus {
        address: server.address.clone(),
        token: token.clone(),
    };
    let bytes: Vec<u8> = (0..1_000_000u32)
        .map(|i| (i * 13 + i / 253).to_le_bytes()[0])
        .collect();
    let tus = at_server(&server);
    let at = tus.create(
        bytes.len(),
        &format!("sha256 {}", STANDARD.encode(hex(&bytes))),
    );
    assert_eq!(tus.patch(&at, 0, &[], &bytes[..300_000]).status, 204);
    server.kill();
    let server = Server::start(&data, database);
    let tus = at_server(&server);
    assert_eq!(tus.offset(&at), Some(300_000));
    let mut cut = tus.begin(
        &format!("PATCH {at}"),
        &[
            ("tus-resumable", "1.0.0"),
            ("content-type", "application/offset+octet-stream"),
            ("upload-offset", "300000"),
        ],
        700_000,
    );
    cut.write_all(&bytes[300_000..600_000]).unwrap();
    let spooled = data.join("uploads").join(at.rsplit('/').next().unwrap());
    until("some of it", || {
        std::fs::metadata(&spooled).unwrap().len() > 300_000
    });
    server.kill();
    let server = Server::start(&data, database);
    let tus = at_server(&server);
    let offset = tus.offset(&at).unwrap();
    assert!((300_001..=600_000).contains(&offset), "{offset}");
    assert_eq!(tus.patch(&at, offset, &[], &bytes[offset..]).status, 204);
    assert_eq!(tus.state(&at)["state"], "complete");
    until("the store", || tus.state(&at)["stored"] == true);
    server.stop();
}

const MIB: usize = 1 << 20;

/// Uploads so many MiB that `block` makes one after the other, and waits until they are checked and stored.
fn land(tus: &Tus, (path, mib): (&str, usize), block: impl Fn(usize) -> Vec<u8>) {
    let at = tus.create(mib * MIB, &format!("filename {}", STANDARD.encode(path)));
    let headers = [
        ("tus-resumable", "1.0.0"),
        ("content-type", "application/offset+octet-stream"),
        ("upload-offset", "0"),
    ];
    let mut stream = tus.begin(&format!("PATCH {at}"), &headers, mib * MIB);
    for number in 0..mib {
        let block = block(number);
        assert_eq!(block.len(), MIB);
        stream.write_all(&block).unwrap();
    }
    assert_eq!(told(&mut stream).status, 204);
    let begun = Instant::now();
    while tus.state(&at)["stored"] != true {
        assert!(begun.elapsed().as_secs() < 600, "{path} is not stored");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(tus.state(&at)["report"]["broken"], Value::Null);
}

/// Bytes without a pattern, and rows with text, in one request each: the program's memory at its highest. QUAN_UPLOAD_MIB is how many
/// of the first, a sixteenth of it of the second; `make torture` sends 5 GiB.
#[test]
fn a_large_upload_costs_less_than_150_megabytes() {
    let mib = std::env::var("QUAN_UPLOAD_MIB").map_or(256, |mib| mib.parse().unwrap());
    let folder = folder();
    let data = folder.path().join("data");
    let database = Database::sqlite();
    let server = Server::start(&data, &database);
    let vendor = Client::operator_at(&server.address, &data).member(&["vendor"]);
    let tus = Tus {
        address: server.address.clone(),
        token: vendor.client.token(),
    };
    land(&tus, ("bytes.bin", mib), |number| {
        let word = |at: usize| (number * MIB + at) as u64;
        let words = (0..MIB / 8).map(|at| word(at).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        words.flat_map(u64::to_le_bytes).collect()
    });
    land(&tus, ("rows.jsonl", mib / 16), |number| {
        let row = |at: usize| {
            format!(
                "{{\"id\":{},\"text\":\"{}\"}}\n",
                number * MIB + at,
                "每天早上量血压 ".repeat(20)
            )
        };
        let mut block: String = (0..2_000).map(row).collect();
        block.truncate(block.len() - 1);
        block += &" ".repeat(MIB - 1 - block.len());
        (block + "\n").into_bytes()
    });
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 150_000_000 / 1024, "{kib} KiB");
    server.stop();
}
