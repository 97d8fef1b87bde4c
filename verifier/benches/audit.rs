//! How fast `quan-verify audit` decides a year's trail again, and in how much memory.
//!
//! The trail is a province's year (`support/year.rs`) of at least QUAN_BENCH_AUDIT entries (10⁶), and one of a tenth of them; both
//! are made by `decide` once and kept under `target/`. A row is the median of five process starts, each beside its
//! peer:
//!
//! - `audit`: entries per second of processor time, on one core. Its peer is the signature check alone,
//!   `ed25519_dalek::VerifyingKey::verify_strict` over receipts of the trail: a ratio of 1 would be an audit whose JSON, hashes,
//!   decisions and ledger cost nothing.
//! - `audit_two_cores`: entries per second of the clock, beside those on one core.
//! - `audit_trail_only`: entries per second of the clock. Its peer reads the same bundles and hashes their entries on one core.
//! - `audit_memory`: the peak in MB, beside that of the book alone; `audit_memory_flat`: what the audit takes beyond the book,
//!   beside the same of a trail a tenth as long.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench has a clock, files and a printer, and a step that fails ends it"
)]

#[path = "support/report.rs"]
mod report;
#[path = "support/trail.rs"]
mod trail;
#[path = "support/year.rs"]
mod year;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use verifier::book::Book;
use verifier::book::command::{AcceptReceipt, Command};
use verifier::book::entry::Entry;
use verifier::trail::bundle::{self, BundlePath};
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::note::Note;

use report::{Row, processor_seconds, report, setting};
use trail::Trail;

/// The command's own: beside it, a book of another allocator would say nothing of what an audit takes beyond its book.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 5;
/// Peaks hardly vary.
const MEMORY_ROUNDS: usize = 1;
/// Raised where the generator writes another year from the same number.
const GENERATOR: u32 = 1;
/// What the bench calls itself with, to measure the book alone.
const BOOK_ALONE: &str = "--book-alone";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some([flag, folder]) = arguments.get(1..3)
        && flag == BOOK_ALONE
    {
        println!("{}", book_alone(&Folder(folder.into())));
        return;
    }
    let entries = setting("QUAN_BENCH_AUDIT", 1_000_000) as u64;
    let (small, large) = (Folder::of(entries / 10), Folder::of(entries));
    speed(&large);
    trail_only(&large);
    memory(&small, &large);
}

/// Deciding again, on one core and on two.
fn speed(folder: &Folder) {
    let entries = folder.size() as f64;
    let sample = folder.sample();
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let peer = verify_alone(&sample);
        let alone = run(folder, "0", &[]);
        one.push((entries / alone.processor, peer));
        let both = run(folder, "0,1", &[]);
        two.push((entries / both.clock, entries / alone.clock));
    }
    report(&Row {
        name: "audit",
        unit: "entries/s",
        peer: "ed25519-dalek verify_strict alone, one core",
        rounds: &one,
    });
    report(&Row {
        name: "audit_two_cores",
        unit: "entries/s",
        peer: "the same on one core",
        rounds: &two,
    });
}

fn trail_only(folder: &Folder) {
    let entries = folder.size() as f64;
    let round = |_| {
        let hashed = Instant::now();
        let count = folder.hash_alone() as f64;
        let hashed = hashed.elapsed().as_secs_f64();
        let audit = run(folder, "0,1", &["--trail-only"]);
        (entries / audit.clock, count / hashed)
    };
    let rounds: Vec<_> = (0..ROUNDS).map(round).collect();
    report(&Row {
        name: "audit_trail_only",
        unit: "entries/s",
        peer: "sha2 over the same entries, read on one core",
        rounds: &rounds,
    });
}

fn memory(small: &Folder, large: &Folder) {
    let megabytes = |kb: u64| kb as f64 / 1_000.0;
    let (mut whole, mut flat) = (Vec::new(), Vec::new());
    for _ in 0..MEMORY_ROUNDS {
        let beyond = [small, large].map(|folder| {
            let peak = megabytes(run(folder, "0,1", &[]).peak);
            (peak, megabytes(folder.book_alone()))
        });
        let [(few, few_book), (many, many_book)] = beyond;
        whole.push((many, many_book));
        flat.push((many - many_book, few - few_book));
    }
    report(&Row {
        name: "audit_memory",
        unit: "MB",
        peer: "the book alone",
        rounds: &whole,
    });
    report(&Row {
        name: "audit_memory_flat",
        unit: "MB",
        peer: "the same of a tenth of the entries",
        rounds: &flat,
    });
}

/// Receipts a second of the signature check alone.
fn verify_alone(receipts: &[String]) -> f64 {
    let keys = year::receipt_keys().into_iter().map(|signer| {
        let key = signer.public().to_bytes();
        let key = ed25519_dalek::VerifyingKey::from_bytes(&key).unwrap();
        (signer.public().kid().to_string(), key)
    });
    let keys: BTreeMap<_, _> = keys.collect();
    let parts: Vec<_> = receipts
        .iter()
        .map(|jws| {
            let (signed, signature) = jws.rsplit_once('.').unwrap();
            let (header, _) = signed.split_once('.').unwrap();
            let header: serde_json::Value =
                serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
            let key = keys.get(header["kid"].as_str().unwrap()).unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            let signature = ed25519_dalek::Signature::from_slice(&signature).unwrap();
            (key, signed.as_bytes(), signature)
        })
        .collect();
    let start = processor_seconds("self");
    for (key, signed, signature) in &parts {
        key.verify_strict(signed, signature).unwrap();
    }
    parts.len() as f64 / (processor_seconds("self") - start)
}

/// What a run of the command took.
struct Taken {
    /// Seconds of processor time, over all threads.
    processor: f64,
    /// Seconds of the clock.
    clock: f64,
    /// Peak resident memory in kB.
    peak: u64,
}

/// Audits a folder on these cores.
fn run(folder: &Folder, cores: &str, flags: &[&str]) -> Taken {
    let start = Instant::now();
    let mut child = Process::new("taskset")
        .args(["--cpu-list", cores, env!("CARGO_BIN_EXE_quan-verify")])
        .arg("audit")
        .arg(folder.trail())
        .arg("--policy")
        .arg(folder.0.join("policy.txt"))
        .args(flags)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut taken = Taken {
        processor: 0.0,
        clock: 0.0,
        peak: 0,
    };
    loop {
        let id = child.id().to_string();
        taken.processor = processor_seconds(&id).max(taken.processor);
        taken.peak = peak(&id).max(taken.peak);
        if let Some(status) = child.try_wait().unwrap() {
            taken.clock = start.elapsed().as_secs_f64();
            let path = folder.0.display();
            assert!(
                status.success(),
                "the audit of {path} does not agree: {status}; delete the folder if the rules have changed"
            );
            return taken;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The peak resident memory of a process in kB; 0 where it is gone.
fn peak(process: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

/// Replays a trail without checking anything, one bundle in memory; the peak in kB.
fn book_alone(folder: &Folder) -> u64 {
    let mut book = Book::new();
    folder.each(|entry| book.apply(&Entry::parse_own(entry).unwrap()).unwrap());
    peak("self")
}

/// A year on disk.
struct Folder(PathBuf);

impl Folder {
    /// The year of so many entries, made where it is not there yet.
    fn of(entries: u64) -> Self {
        let name = format!("audit-year-{GENERATOR}-{entries}");
        let folder = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        if !folder.trail().join("checkpoint").exists() {
            let _none = fs::remove_dir_all(&folder.0);
            let mut trail = Trail::new(&folder.0);
            year::live(&mut trail, entries);
            trail.finish();
        }
        folder
    }

    fn trail(&self) -> PathBuf {
        self.0.join("trail")
    }

    fn size(&self) -> u64 {
        let note = fs::read(self.trail().join("checkpoint")).unwrap();
        let note = Note::parse(&note).unwrap();
        Checkpoint::parse(note.text()).unwrap().size().get()
    }

    /// Hands over every bundle.
    fn bundles(&self, mut take: impl FnMut(BundlePath, &[u8])) {
        let size = verifier::trail::TreeSize::new(self.size()).unwrap();
        for path in bundle::bundles_of(size) {
            let bytes = fs::read(self.trail().join(path.to_string())).unwrap();
            take(path, &bytes);
        }
    }

    /// Hands over every entry.
    fn each(&self, mut take: impl FnMut(&[u8])) {
        self.bundles(|path, bytes| {
            let entries = bundle::decode(bytes, path.width()).unwrap();
            entries.into_iter().for_each(&mut take);
        });
    }

    /// Hashes every entry as a leaf; says how many there are.
    fn hash_alone(&self) -> u64 {
        let (mut count, mut last) = (0, [0_u8; 32]);
        self.each(|entry| {
            last = Sha256::new_with_prefix([0])
                .chain_update(entry)
                .finalize()
                .into();
            count += 1;
        });
        assert_ne!(last, [0; 32]);
        count
    }

    /// Ten thousand receipts from all over the trail.
    fn sample(&self) -> Vec<String> {
        let step = self.size() / 10_000 + 1;
        let mut sample = Vec::new();
        let mut number = 0;
        self.each(|entry| {
            number += 1;
            if number % step != 0 {
                return;
            }
            if let Command::AcceptReceipt(AcceptReceipt { jws }) =
                Entry::parse_own(entry).unwrap().asked
            {
                sample.push(jws.receipt().compact().to_owned());
            }
        });
        sample
    }

    /// The peak of the book alone, in a process of its own, in kB.
    fn book_alone(&self) -> u64 {
        let own = std::env::current_exe().unwrap();
        let said = Process::new(own)
            .arg(BOOK_ALONE)
            .arg(&self.0)
            .output()
            .unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        said.trim().parse().unwrap()
    }
}
