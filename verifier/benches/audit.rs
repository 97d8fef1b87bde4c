//! `audit`: how fast `quan-verify audit` decides a trail of receipts again, and in how much memory.
//!
//! Both sides are measured in processor time: entries per second and core. The peer is the signature check alone, `ed25519_dalek::VerifyingKey::verify_strict` on one core over the very receipts of
//! the trail: a ratio of 1 would be an audit whose JSON, hashes, decisions and ledger cost nothing. QUAN_BENCH_AUDIT sets
//! the number of receipts (10⁵; the target of 400 MB is for 10⁶).
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench has a clock, files and a printer, and a step that fails ends it"
)]

#[path = "support/market.rs"]
mod market;
#[path = "support/report.rs"]
mod report;

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use verifier::book::Book;
use verifier::book::command::{AcceptReceipt, Command, OpenExchange};
use verifier::book::decide::{Env, Request, decide};
use verifier::book::entry::RULES;
use verifier::book::found::Found;
use verifier::id::{ActorId, PartyId, Salt};
use verifier::signature::Signer;
use verifier::time::{Timestamp, UtcOffset};
use verifier::trail::bundle;
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::growth::Growth;
use verifier::trail::key::{KeyName, KeyType, VerifierKey};
use verifier::trail::note::NoteSigner;
use verifier::trail::tile::TilePath;
use verifier::trail::{TreeSize, tree};

use market::{Exchange, Market, Who};
use report::{Row, processor_seconds, report, setting};

const ORIGIN: &str = "localhost/bench";
const ORDERS: usize = 1_000;
const ROUNDS: usize = 3;
/// 2026-11-23T08:00:00Z.
const NOW: i64 = 1_795_420_800;

fn main() {
    let receipts = setting("QUAN_BENCH_AUDIT", 100_000);
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path());
    let now = Timestamp::new(NOW).unwrap();
    let mut market = Market::open(&mut trail, ORDERS, receipts.div_ceil(ORDERS), now);
    let mut sample = Vec::new();
    for n in 0..receipts {
        let jws = market.receipt(n % ORDERS);
        if n % 10 == 0 {
            sample.push(jws.clone());
        }
        let jws = jws.parse().unwrap();
        trail.ask(Who::Provider, Command::AcceptReceipt(AcceptReceipt { jws }));
    }
    let entries = trail.finish();
    let mut rounds = Vec::new();
    let mut memory: u64 = 0;
    for _ in 0..ROUNDS {
        let peer = verify_alone(&sample);
        let (seconds, peak) = audit(folder.path());
        rounds.push((entries as f64 / seconds, peer));
        memory = memory.max(peak);
    }
    report(&Row {
        name: "audit",
        unit: "entries/s",
        peer: "ed25519-dalek verify_strict alone, one core",
        rounds: &rounds,
    });
    println!(
        "{:>24}  {} MB at {entries} entries",
        "its peak memory",
        memory / 1_000
    );
}

/// Receipts a second of the signature check alone.
fn verify_alone(receipts: &[String]) -> f64 {
    let key = Signer::from_seed(&[41; 32]).public().to_bytes();
    let key = ed25519_dalek::VerifyingKey::from_bytes(&key).unwrap();
    let parts: Vec<_> = receipts
        .iter()
        .map(|jws| {
            let (signed, signature) = jws.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            let signature = ed25519_dalek::Signature::from_slice(&signature).unwrap();
            (signed.as_bytes(), signature)
        })
        .collect();
    let start = processor_seconds("self");
    for (signed, signature) in &parts {
        key.verify_strict(signed, signature).unwrap();
    }
    parts.len() as f64 / (processor_seconds("self") - start)
}

/// Runs the command; its processor seconds, and its peak resident memory in kB.
fn audit(folder: &Path) -> (f64, u64) {
    let mut child = Process::new(env!("CARGO_BIN_EXE_quan-verify"))
        .arg("audit")
        .arg(folder.join("trail"))
        .arg("--policy")
        .arg(folder.join("policy.txt"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let (mut seconds, mut peak) = (0.0_f64, 0);
    loop {
        seconds = seconds.max(processor_seconds(&child.id().to_string()));
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        peak = number.and_then(|kb| kb.parse().ok()).unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "the audit does not agree: {status}");
            return (seconds, peak);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A book in memory whose entries become a trail on disk as they come.
struct Trail<'a> {
    folder: &'a Path,
    book: Book,
    who: Vec<(Who, PartyId, ActorId)>,
    growth: Growth,
    /// Entries of the open bundle.
    open: Vec<Vec<u8>>,
    tick: u64,
}

fn log_signer() -> Signer {
    Signer::from_seed(&[1; 32])
}

fn log_key() -> VerifierKey {
    let name = KeyName::parse(ORIGIN).unwrap();
    VerifierKey::new(name, KeyType::Ed25519, log_signer().public())
}

impl<'a> Trail<'a> {
    fn open(folder: &'a Path) -> Self {
        let salt = Salt::new(salt(0));
        let (party, actor) = (PartyId::draw(&salt, 0, 0), ActorId::draw(&salt, 0, 0));
        let mut trail = Self {
            folder,
            book: Book::new(),
            who: vec![(Who::Exchange, party, actor)],
            growth: Growth::empty(),
            open: Vec::new(),
            tick: 0,
        };
        let x = Signer::from_seed(&[2; 32]).public().x();
        let open = Command::OpenExchange(OpenExchange {
            origin: ORIGIN.into(),
            log_vkey: log_key().to_string(),
            delivery_key: x.clone(),
            reply_key: x,
            utc_offset_min: UtcOffset::CHINA,
        });
        trail.ask(Who::Exchange, open);
        trail
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.folder.join("trail").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn append(&mut self, bytes: Vec<u8>) {
        let mut full = Vec::new();
        let Ok(()) = self
            .growth
            .push(tree::leaf_hash(&bytes), |path: TilePath, tile| {
                full.push((path, tile.to_vec()));
                Ok::<_, Infallible>(())
            });
        for (path, tile) in full {
            self.write(&path.to_string(), &tile);
        }
        self.open.push(bytes);
        if self.open.len() == 256 {
            self.flush();
        }
    }

    /// Writes the open bundle.
    fn flush(&mut self) {
        let to = self.growth.size().get();
        let from = TreeSize::new(to - self.open.len() as u64).unwrap();
        for path in bundle::bundles_between(from, self.growth.size()) {
            let bytes = bundle::encode(self.open.iter().map(Vec::as_slice)).unwrap();
            self.write(&path.to_string(), &bytes);
        }
        self.open.clear();
    }

    /// Writes what is open, the checkpoint and the policy.
    fn finish(mut self) -> u64 {
        if !self.open.is_empty() {
            self.flush();
        }
        let partial: Vec<_> = self.growth.partial_tiles().collect();
        for (path, bytes) in partial {
            self.write(&path.to_string(), bytes);
        }
        let name = KeyName::parse(ORIGIN).unwrap();
        let checkpoint = Checkpoint::new(name.clone(), self.growth.size(), self.growth.root());
        let note = checkpoint
            .sign(&NoteSigner::new(name, log_signer()))
            .unwrap();
        self.write("checkpoint", note.to_string().as_bytes());
        let policy = format!("log {}\nquorum none\n", log_key());
        fs::write(self.folder.join("policy.txt"), policy).unwrap();
        self.growth.size().get()
    }
}

/// Seeded: the same trail every time.
fn salt(tick: u64) -> [u8; 16] {
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&tick.to_be_bytes());
    salt
}

impl Exchange for Trail<'_> {
    fn origin(&self) -> &str {
        ORIGIN
    }

    fn hire(&mut self, who: Who, party: PartyId, actor: ActorId) {
        self.who.push((who, party, actor));
    }

    fn ask(&mut self, who: Who, command: Command) -> Found {
        let found = self.who.iter().find(|(of, ..)| *of == who).unwrap();
        let (_, by, actor) = *found;
        let env = Env {
            at: Timestamp::new(NOW).unwrap(),
            salt: Salt::new(salt(self.tick)),
            rules: RULES,
        };
        self.tick += 1;
        let request = Request {
            by,
            actor,
            cmd: None,
            req: None,
            command,
        };
        let entry = decide(&self.book, &request, &env).unwrap();
        self.append(entry.to_bytes().unwrap());
        self.book.apply(&entry).unwrap();
        entry.found
    }
}
