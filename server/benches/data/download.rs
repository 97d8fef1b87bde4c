//! `download_plain`, `download_sealed`: a file that was bought, whole, over loopback, beside actix-files serving the same file.
//!
//! The real program on SQLite, a vendor who uploads, an office, a buyer with an order; the client reads and throws away. Settings,
//! with defaults: QUAN_BENCH_DOWNLOAD_MIB 1024, QUAN_BENCH_DOWNLOAD_ROUNDS 5.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Instant, SystemTime};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use verifier::id::DocumentDigest;
use verifier::time::Timestamp;

use crate::market::Who;
use crate::quan::Quan;
use crate::report::{Row, processor_seconds, report, setting};

const NAME: &str = "corpus.bin";
const CARD: &str = include_str!("../../../fixtures/datasets/cards/dialogues.json");
/// What a buyer's voucher comes from.
const PROGRAMME: &str = include_str!("../../../fixtures/programmes/examples/w12-data.toml");
const PRICE_FEN: i64 = 50_000_000;
const MIB: usize = 1 << 20;
/// What the client reads at once.
const READ_BYTES: usize = 256 << 10;

pub(crate) fn plain() {
    run("download_plain", "false");
}

pub(crate) fn sealed() {
    run("download_sealed", "true");
}

fn run(name: &str, seal: &str) {
    let mib = setting("QUAN_BENCH_DOWNLOAD_MIB", 1_024);
    let rounds = setting("QUAN_BENCH_DOWNLOAD_ROUNDS", 5);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    let sum = write(&path, mib);
    let peer = Peer::start(folder.path());
    let quan = Quan::start(None, &["--seal-blobs", seal]);
    let ours = Shop::open(&quan).sell(&path);
    // The first one is not counted: all is read from memory from here on, on both sides.
    assert_eq!(ours.get(Some(Sha256::new())).1, Some(sum));
    assert_eq!(peer.from.get(Some(Sha256::new())).1, Some(sum));
    let round = |_| {
        let (ours, theirs) = (
            rate(&ours, quan.id(), mib),
            rate(&peer.from, peer.child.id(), mib),
        );
        println!("{name}: {ours:.0?} MiB a second and a processor second, beside {theirs:.0?}");
        (ours[0], theirs[0])
    };
    let rounds: Vec<_> = (0..rounds).map(round).collect();
    report(&Row {
        name,
        unit: "MiB/s",
        peer: "actix-files, the same file",
        rounds: &rounds,
    });
}

/// Writes a file of numbers that no packing makes shorter; returns its SHA-256.
fn write(path: &Path, mib: usize) -> [u8; 32] {
    let mut file = File::create(path).unwrap();
    let mut sum = Sha256::new();
    let mut state = 1_u64;
    for _ in 0..mib {
        let mut block = Vec::with_capacity(MIB);
        while block.len() < MIB {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend_from_slice(&state.to_le_bytes());
        }
        sum.update(&block);
        file.write_all(&block).unwrap();
    }
    file.sync_all().unwrap();
    sum.finalize().into()
}

/// MiB a second, by the clock and by the server's processor time.
fn rate(from: &From, server: u32, mib: usize) -> [f64; 2] {
    let (start, before) = (Instant::now(), processor_seconds(&server.to_string()));
    let (bytes, _) = from.get(None);
    let (seconds, after) = (
        start.elapsed().as_secs_f64(),
        processor_seconds(&server.to_string()),
    );
    assert_eq!(bytes, mib * MIB);
    [seconds, after - before].map(|seconds| mib as f64 / seconds)
}

/// Where a file is got.
struct From {
    address: SocketAddr,
    head: String,
}

impl From {
    /// Gets it once over a connection of its own; how long it was, and its SHA-256 where that is wanted.
    fn get(&self, mut sum: Option<Sha256>) -> (usize, Option<[u8; 32]>) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(self.head.as_bytes()).unwrap();
        let mut stream = BufReader::with_capacity(READ_BYTES, stream);
        let (status, length) = head(&mut stream);
        assert_eq!(status, 200);
        let mut came = 0;
        while came < length {
            let block = stream.fill_buf().unwrap();
            assert!(!block.is_empty(), "it was cut after {came} bytes");
            if let Some(sum) = &mut sum {
                sum.update(block);
            }
            let read = block.len();
            stream.consume(read);
            came += read;
        }
        (came, sum.map(|sum| sum.finalize().into()))
    }
}

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::new(i64::try_from(now.unwrap().as_secs()).unwrap()).unwrap()
}

/// One from this year's first day to the next year's last.
fn contract() -> Value {
    let year: u32 = now().to_string()[..4].parse().unwrap();
    json!({
        "digest": DocumentDigest::of(b"contract"), "fen": PRICE_FEN, "signed_on": format!("{year}-01-01"),
        "from": format!("{year}-01-01"), "to": format!("{}-12-31", year + 1),
    })
}

/// An answer's status and the length of what follows.
fn head(stream: &mut BufReader<TcpStream>) -> (u16, usize) {
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            status = rest[..3].parse().unwrap();
        } else if let Some(rest) = line.strip_prefix("content-length: ") {
            length = rest.parse().unwrap();
        } else if line.is_empty() {
            return (status, length);
        }
    }
}

/// The peer: `benches/peers`, program `files`.
struct Peer {
    child: Child,
    from: From,
}

impl Peer {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(program())
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut says = BufReader::new(child.stdout.take().unwrap());
        says.read_line(&mut said).unwrap();
        let head = format!("GET /{NAME} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n");
        let from = From {
            address: said.trim().parse().unwrap(),
            head,
        };
        Self { child, from }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may be gone already.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// It lies where ours does: `make bench` builds both into one folder.
fn program() -> PathBuf {
    let ours = Path::new(env!("CARGO_BIN_EXE_quan"));
    let program = ours.with_file_name("files");
    assert!(
        program.is_file(),
        "{} is not there; run make bench, which builds it",
        program.display()
    );
    program
}

/// Everybody whom a sale takes, at a server.
struct Shop {
    agent: ureq::Agent,
    address: SocketAddr,
    operator: String,
    asked: std::cell::Cell<u32>,
}

impl Shop {
    fn open(quan: &Quan) -> Self {
        Self {
            agent: ureq::Agent::new_with_defaults(),
            address: quan.address,
            operator: quan.token(Who::Exchange).to_owned(),
            asked: std::cell::Cell::new(0),
        }
    }

    /// A vendor uploads and lists a file, an office assesses it, a buyer orders it: where the buyer gets it.
    fn sell(&self, file: &Path) -> From {
        let (vendor, seller) = self.member("vendor");
        let (office, _) = self.member("office");
        let (buyer, _) = self.member("buyer");
        self.ask(&vendor, "/v1/handles", &json!({ "handle": "bench" }));
        let licence = self.ask(&vendor, "/v1/documents", &json!({ "text": "a licence" }));
        let mut card: Value = serde_json::from_str(CARD).unwrap();
        card["preview"] = json!([]);
        card["licence"]["text"] = licence["digest"].clone();
        self.ask(
            &vendor,
            "/v1/listings",
            &json!({ "name": "corpus", "card": card }),
        );
        let upload = self.upload(&vendor, file);
        let attached = json!({ "upload": upload, "path": NAME });
        self.ask(&vendor, "/v1/listings/bench/corpus/files", &attached);
        let submitted = json!({ "version": "1.0.0", "price_fen": PRICE_FEN });
        self.ask(&vendor, "/v1/listings/bench/corpus/submit", &submitted);
        let mut datasets = self.read(&vendor, "/v1/datasets");
        let manifest = datasets["items"][0]["versions"][0]["manifest"].take();
        let report = DocumentDigest::of(b"report");
        let assessed = json!({ "manifest": manifest, "passed": true, "report": report });
        self.ask(&office, "/v1/datasets/assess", &assessed);
        let contract = contract();
        let voucher = self.voucher(&office, &buyer, &contract);
        let now = now();
        let order = json!({
            "seller": seller, "contract": contract, "claims": [voucher],
            "segments": [{ "dataset": manifest, "from": now.after(60), "to": now.after(30 * 86_400) }],
        });
        self.ask(&buyer, "/v1/orders", &order);
        let path = format!("/v1/files/{}/{NAME}", manifest.as_str().unwrap());
        From {
            address: self.address,
            head: format!(
                "GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\nauthorization: Bearer {buyer}\r\n\r\n"
            ),
        }
    }

    /// A voucher over a share of the contract, as a claim of an order.
    fn voucher(&self, office: &str, buyer: &str, contract: &Value) -> Value {
        let (funder, _) = self.member("funder");
        let fund = json!({ "fund": "w12-city", "funder": "f-finance" });
        self.ask(&funder, "/v1/funds", &fund);
        let filled = json!({ "fund": "w12-city", "fen": 100 * PRICE_FEN });
        self.ask(&funder, "/v1/funds/appropriate", &filled);
        let digest = DocumentDigest::of(PROGRAMME.as_bytes());
        let enacted = json!({ "toml": PROGRAMME, "digest": digest, "despite_status": true });
        self.ask(office, "/v1/programmes", &enacted);
        let application = json!({ "programme": "w12-data", "contract": contract });
        let applied = json!({ "subject": { "application": application } });
        let case = self.ask(buyer, "/v1/cases", &applied)["found"]["case"].take();
        let basis = DocumentDigest::of(b"basis");
        let decision = json!({ "case": case, "approved": true, "basis": basis });
        let granted = self.ask(office, "/v1/cases/decide", &decision);
        let found = &granted["found"];
        json!({ "voucher": found["voucher"], "hold_fen": found["issued"]["face"] })
    }

    /// Admits a party with an actor of a role; its key and its id.
    fn member(&self, role: &str) -> (String, String) {
        let admit = json!({ "roles": [role], "name": "A".repeat(43) });
        let party = self.ask(&self.operator, "/v1/parties", &admit)["found"]["party"].take();
        let register = json!({ "party": party, "roles": [role] });
        let actor = self.ask(&self.operator, "/v1/actors", &register)["found"]["actor"].take();
        let make = json!({ "actor": actor, "role": role, "label": "bench" });
        let key = self.ask(&self.operator, "/v1/api-keys", &make)["key"].take();
        let [key, party] = [key, party].map(|text| text.as_str().unwrap().to_owned());
        (key, party)
    }

    fn ask(&self, token: &str, path: &str, body: &Value) -> Value {
        let number = self.asked.replace(self.asked.get() + 1);
        let asked = self
            .agent
            .post(format!("http://{}{path}", self.address))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("idempotency-key", format!("bench-{number}"))
            .config()
            .http_status_as_error(false)
            .build()
            .send(body.to_string());
        let mut answer = asked.unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert!(answer.status().is_success(), "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    fn read(&self, token: &str, path: &str) -> Value {
        let asked = self
            .agent
            .get(format!("http://{}{path}", self.address))
            .header("authorization", format!("Bearer {token}"))
            .call();
        let text = asked.unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Uploads it in one request, and waits until it is stored.
    fn upload(&self, token: &str, path: &Path) -> String {
        let mut file = File::open(path).unwrap();
        let bytes = file.metadata().unwrap().len();
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "POST /v1/uploads HTTP/1.1\r\nhost: bench\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             tus-resumable: 1.0.0\r\nupload-length: {bytes}\r\ncontent-type: application/offset+octet-stream\r\n\
             upload-metadata: filename Y29ycHVzLmJpbg==\r\ncontent-length: {bytes}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        std::io::copy(&mut file, &mut stream).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let line = answer
            .lines()
            .find_map(|line| line.strip_prefix("location: "));
        let at = line.unwrap_or_else(|| panic!("{answer}")).trim();
        let start = Instant::now();
        while self.read(token, at)["stored"] != true {
            assert!(start.elapsed().as_secs() < 300, "the file is not stored");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        at.rsplit('/').next().unwrap().to_owned()
    }
}
