//! JWS bytes in, verdict and claims out, one core, beside `jsonwebtoken` on aws-lc-rs (design/VERIFY.md).
//!
//! `verify_hot`: receipts of busy keys, as the server and the auditor check them, in chunks. `verify_bad_10` and
//! `verify_bad_100`: with so many of a hundred signatures broken, beside the good ones. `verify_cold`: keys that were never
//! used, beside `verify_strict` and parsing the same claims. Everything is measured by turns in each of several processes; the
//! ratio is the median over these.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench prints, and a step that fails ends it"
)]

#[path = "../../../verifier/benches/support/report.rs"]
mod report;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use report::{Row, report, thread_seconds};
use serde::Deserialize;
use verifier::id::{GpuModel, OrderId, PartyId, Salt, Sha256Hash, SiteId};
use verifier::money::GpuSeconds;
use verifier::receipt::{self, ComputeUsage, Job, Jti, Kind, Signed, UnverifiedReceipt, sign};
use verifier::signature::{Kid, PublicKey, Signer};
use verifier::time::Timestamp;

const PROCESSES: usize = 5;
const TURNS: usize = 5;
const KEYS: u8 = 20;
const RECEIPTS: usize = 4_000;
/// A piece of a bulk request.
const CHUNK: usize = 128;
const ORIGIN: &str = "localhost/bench";
/// In the order in which a process prints them: ours, then the peer's, in microseconds a receipt.
const NAMES: [&str; 4] = [
    "verify_hot",
    "verify_bad_10",
    "verify_bad_100",
    "verify_cold",
];
const PEERS: [&str; 4] = [
    "jsonwebtoken 11 on aws-lc-rs",
    "the same with good signatures only",
    "the same with good signatures only",
    "ed25519-dalek verify_strict, and parsing",
];

fn main() {
    if std::env::args().any(|argument| argument == "--one") {
        return one_process();
    }
    let mut rounds: [Vec<(f64, f64)>; 4] = Default::default();
    for _ in 0..PROCESSES {
        let own = std::env::current_exe().unwrap();
        let output = Command::new(own).arg("--one").output().unwrap();
        assert!(output.status.success());
        let lines: Vec<(f64, f64)> = serde_json::from_slice(&output.stdout).unwrap();
        for (all, line) in rounds.iter_mut().zip(lines) {
            all.push(line);
        }
    }
    for ((name, peer), rounds) in NAMES.iter().zip(PEERS).zip(&rounds) {
        let unit = "µs a receipt";
        report(&Row {
            name,
            unit,
            peer,
            rounds,
        });
    }
}

/// Measures everything by turns and prints the medians.
fn one_process() {
    let signers: Vec<_> = (0..KEYS).map(|n| Signer::from_seed(&[n; 32])).collect();
    let jws: Vec<_> = (0..RECEIPTS)
        .map(|n| one_receipt(n, &signers[n % signers.len()]))
        .collect();
    let [bad_10, bad_100] = [10, 1].map(|of| broken(&jws, of));
    let keys: Vec<_> = signers.iter().map(Signer::public).collect();
    let ring: BTreeMap<Kid, PublicKey> = keys.iter().map(|key| (key.kid(), key.clone())).collect();
    let theirs = Theirs::new(&keys);
    assert_eq!(ours(&jws, &ring), RECEIPTS);
    assert_eq!(ours(&bad_10, &ring), RECEIPTS - RECEIPTS / 10);
    assert_eq!(ours(&bad_100, &ring), 0);
    let mut turns: [Vec<(f64, f64)>; 4] = Default::default();
    for _ in 0..TURNS {
        let good = micros(|| ours(&jws, &ring));
        turns[0].push((good, micros(|| theirs.all(&jws))));
        turns[1].push((micros(|| ours(&bad_10, &ring)), good));
        turns[2].push((micros(|| ours(&bad_100, &ring)), good));
        let register = |n: usize| PublicKey::register(keys[n % keys.len()].to_bytes()).unwrap();
        let unused: Vec<_> = (0..RECEIPTS).map(register).collect();
        turns[3].push((
            micros(|| cold(&jws, &unused)),
            micros(|| strict(&jws, &keys)),
        ));
    }
    let medians = turns.map(|turns| {
        let of =
            |number: fn(&(f64, f64)) -> f64| report::median(turns.iter().map(number).collect());
        (of(|turn| turn.0), of(|turn| turn.1))
    });
    println!("{}", serde_json::to_string(&medians).unwrap());
}

/// Microseconds of processor time a receipt.
fn micros(all: impl FnOnce() -> usize) -> f64 {
    let begin = thread_seconds();
    black_box(all());
    (thread_seconds() - begin) * 1e6 / RECEIPTS as f64
}

/// How many hold.
fn ours(jws: &[String], ring: &BTreeMap<Kid, PublicKey>) -> usize {
    let chunk = |chunk: &[String]| {
        let mut signed: Vec<Signed> = chunk.iter().map(|jws| jws.parse().unwrap()).collect();
        receipt::verify_all(signed.iter_mut(), |kid| ring.get(&kid).cloned());
        let holds = |signed: &&Signed| matches!(signed, Signed::Verified(_));
        signed.iter().filter(holds).count()
    };
    jws.chunks(CHUNK).map(chunk).sum()
}

/// Each by a registered key that was never used before.
fn cold(jws: &[String], unused: &[PublicKey]) -> usize {
    let check = |(jws, key): (&String, &PublicKey)| {
        UnverifiedReceipt::parse(jws).unwrap().verify(key).is_ok()
    };
    jws.iter()
        .zip(unused)
        .map(check)
        .filter(|holds| *holds)
        .count()
}

/// `verify_strict` by itself, and the claims parsed.
fn strict(jws: &[String], keys: &[PublicKey]) -> usize {
    let keys: Vec<_> = keys
        .iter()
        .map(|key| ed25519_dalek::VerifyingKey::from_bytes(&key.to_bytes()).unwrap())
        .collect();
    let check = |(n, jws): (usize, &String)| {
        let (input, signature) = jws.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let signature = ed25519_dalek::Signature::from_slice(&signature).unwrap();
        let parsed = UnverifiedReceipt::parse(jws).is_ok();
        let key = &keys[n % keys.len()];
        parsed && key.verify_strict(input.as_bytes(), &signature).is_ok()
    };
    jws.iter()
        .enumerate()
        .map(check)
        .filter(|holds| *holds)
        .count()
}

/// The peer: the key by the header's `kid`, then signature and claims.
struct Theirs {
    keys: BTreeMap<String, DecodingKey>,
    validation: Validation,
}

impl Theirs {
    fn new(keys: &[PublicKey]) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[ORIGIN]);
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        let key = |key: &PublicKey| {
            let decoding = DecodingKey::from_ed_components(&key.x()).unwrap();
            (key.kid().to_string(), decoding)
        };
        Self {
            keys: keys.iter().map(key).collect(),
            validation,
        }
    }

    fn all(&self, jws: &[String]) -> usize {
        let holds = |jws: &&String| {
            let kid = decode_header(jws.as_str()).unwrap().kid.unwrap();
            let key = self.keys.get(&kid).unwrap();
            decode::<PlainClaims>(jws.as_str(), key, &self.validation)
                .map(black_box)
                .is_ok()
        };
        let count = jws.iter().filter(holds).count();
        assert_eq!(count, jws.len());
        count
    }
}

/// A usage receipt's claims without our types.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read and dropped")]
struct PlainClaims {
    iss: String,
    aud: String,
    sub: String,
    seq: u32,
    prev: Option<String>,
    jti: String,
    iat: i64,
    kind: String,
    site: String,
    gpu_model: String,
    gpu_count: u32,
    start: i64,
    end: i64,
    gpu_seconds: i64,
    jobs: Vec<PlainJob>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read and dropped")]
struct PlainJob {
    run: String,
    state: String,
    gpu_seconds: i64,
}

fn one_receipt(n: usize, signer: &Signer) -> String {
    let salt = Salt::new([7; 16]);
    let seq = u32::try_from(n).unwrap();
    let sub = OrderId::draw(&salt, 0, 0);
    let start = Timestamp::new(1_795_420_800)
        .unwrap()
        .after(i64::from(seq) * 3_600);
    let gpu_seconds = GpuSeconds::new(8 * 3_600).unwrap();
    let claims = ComputeUsage {
        iss: PartyId::draw(&salt, 0, 0),
        aud: ORIGIN.into(),
        sub,
        seq,
        prev: (seq > 0).then(|| Sha256Hash::of(&seq.to_be_bytes())),
        jti: Jti { order: sub, seq },
        iat: start.after(3_600),
        kind: Kind::Usage,
        corrects: None,
        site: SiteId::draw(&salt, 0, 0),
        gpu_model: GpuModel::parse("h800").unwrap(),
        gpu_count: 8,
        start,
        end: start.after(3_600),
        gpu_seconds,
        jobs: vec![Job {
            run: format!("slurm:bench/{n}@{}", start.unix()),
            state: "COMPLETED".into(),
            gpu_seconds,
        }],
        inputs: None,
        export: None,
        energy_wh: None,
        util_bp: None,
        devices: None,
    };
    sign(&claims, signer)
}

/// The same with the signature of each `of`-th changed.
fn broken(jws: &[String], of: usize) -> Vec<String> {
    let change = |(n, jws): (usize, &String)| {
        let (input, signature) = jws.rsplit_once('.').unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        bytes[5] ^= u8::from(n % of == 0);
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes))
    };
    jws.iter().enumerate().map(change).collect()
}
