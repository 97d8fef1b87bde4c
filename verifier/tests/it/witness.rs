//! The witness as a script over real HTTP: every answer of C2SP tlog-witness, with a restart and a kill in between.
#![expect(
    clippy::disallowed_methods,
    reason = "a test prepares the files of a witness"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use verifier::signature::Signer;
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::key::Origin;
use verifier::trail::note::{Note, NoteSigner};
use verifier::trail::policy::Policy;
use verifier::trail::{Hash, TreeSize};

const VECTORS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../fixtures/vectors/trail.json"
);
const ORIGIN: &str = "quan.example/shanghai";

fn vectors() -> Value {
    serde_json::from_slice(&std::fs::read(VECTORS).unwrap()).unwrap()
}

/// The request of the vectors that goes on from `old` to 600 entries.
fn request(old: u64) -> String {
    let vectors = vectors();
    let cases = vectors["add_checkpoint"].as_array().unwrap();
    let case = cases.iter().find(|case| case["old"] == old).unwrap();
    case["body"].as_str().unwrap().to_owned()
}

/// A note by the vectors' key `at`, under `origin`.
fn signed(at: usize, origin: &str, size: u64, root: Hash) -> Note {
    let seed = vectors()["keys"][at]["seed"].as_str().unwrap().to_owned();
    let seed: Vec<u8> = (0..64)
        .step_by(2)
        .map(|at| u8::from_str_radix(&seed[at..at + 2], 16).unwrap())
        .collect();
    let origin = Origin::parse(origin).unwrap();
    let signer = NoteSigner::new(origin.clone(), Signer::from_seed(&seed.try_into().unwrap()));
    let checkpoint = Checkpoint::new(origin, TreeSize::new(size).unwrap(), root);
    checkpoint.sign(&signer).unwrap()
}

/// `quan-verify witness`, running.
struct Witness {
    child: Child,
    line: String,
}

impl Witness {
    fn start(folder: &Path) -> Self {
        let policy = folder.join("policy.txt");
        let log = vectors()["keys"][0]["vkey"].as_str().unwrap().to_owned();
        std::fs::write(&policy, format!("log {log}\nquorum none\n")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_quan-verify"))
            .arg("witness")
            .args(["--listen", "127.0.0.1:0", "--name", "office.example/w"])
            .arg("--policy")
            .arg(&policy)
            .arg("--data")
            .arg(folder.join("data"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        Self { child, line }
    }

    fn address(&self) -> &str {
        self.line.trim_end().split_once("http://").unwrap().1
    }

    fn send(&self, head: &str, body: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        write!(
            stream,
            "{head} HTTP/1.1\r\nHost: w\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    fn add(&self, body: &str) -> (u16, String) {
        let (status, _, body) = self.send("POST /add-checkpoint", body);
        (status, body)
    }

    fn newest(&self, origin: &str) -> (u16, String) {
        let path = verifier::trail::witness::monitoring_path(&Origin::parse(origin).unwrap());
        let (status, _, body) = self.send(&format!("GET /{path}"), "");
        (status, body)
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// `old <n>`, no hashes, and a note.
fn plain(old: u64, note: &Note) -> String {
    format!("old {old}\n\n{note}")
}

#[test]
fn every_answer_of_the_protocol_is_given_and_outlives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let witness = Witness::start(folder.path());
    let line = witness.line.clone();
    assert!(line.starts_with("witness office.example/w office.example/w+"));
    assert_eq!(witness.newest(ORIGIN).0, 404, "nothing was cosigned yet");
    // 400: no request, and a tree that shrinks.
    for bad in ["", "old 0\n", &request(600).replace("old 600", "old 601")] {
        assert_eq!(witness.add(bad).0, 400, "{bad:?}");
    }
    // 404, 403: whom the policy does not name.
    let elsewhere = signed(0, "quan.example/elsewhere", 0, Hash::EMPTY);
    assert_eq!(witness.add(&plain(0, &elsewhere)).0, 404);
    let stranger = signed(1, ORIGIN, 0, Hash::EMPTY);
    let (status, said) = witness.add(&plain(0, &stranger));
    assert_eq!((status, said.starts_with("trail.signature")), (403, true));
    // 409 before anything was cosigned.
    let (status, head, body) = witness.send("POST /add-checkpoint", &request(256));
    assert_eq!((status, body.as_str()), (409, "0\n"));
    assert!(
        head.contains("content-type: text/x.tlog.size\r\n"),
        "{head}"
    );
    // 422: an empty tree with a root, and 200 for the real one.
    let bad = signed(0, ORIGIN, 0, Hash::new([7; 32]));
    assert_eq!(witness.add(&plain(0, &bad)).0, 422);
    assert_eq!(
        witness.add(&plain(0, &signed(0, ORIGIN, 0, Hash::EMPTY))).0,
        200
    );
    let (status, cosignature) = witness.add(&request(0));
    assert_eq!(status, 200, "{cosignature}");

    // Killed, and started again: the same key, and nothing forgotten.
    witness.kill();
    let witness = Witness::start(folder.path());
    let key = |line: &str| line.split(" http").next().unwrap().to_owned();
    assert_eq!(key(&witness.line), key(&line));
    assert_eq!(witness.add(&request(0)), (409, "600\n".to_owned()));
    assert_eq!(witness.add(&request(256)), (409, "600\n".to_owned()));
    assert_eq!(witness.add(&request(600)).0, 200, "the same tree again");
    let fork = signed(0, ORIGIN, 600, Hash::new([7; 32]));
    assert_eq!(witness.add(&plain(600, &fork)).0, 422);
    let ahead = signed(0, ORIGIN, 601, Hash::new([7; 32]));
    assert_eq!(witness.add(&plain(600, &ahead)).0, 422);

    // What it shows satisfies a policy that demands this witness.
    let (status, note) = witness.newest(ORIGIN);
    assert_eq!(status, 200);
    let log = vectors()["keys"][0]["vkey"].as_str().unwrap().to_owned();
    let policy = format!("log {log}\n{}quorum office.example/w\n", witness.line);
    let policy = Policy::parse(policy.as_bytes()).unwrap();
    let verified = policy
        .check(&Note::parse(note.as_bytes()).unwrap())
        .unwrap();
    assert_eq!(verified.checkpoint().size().get(), 600);
    assert_eq!(verified.cosignatures().len(), 1);
    // Only the two routes are there.
    assert_eq!(witness.send("GET /", "").0, 404);
    assert_eq!(witness.send("GET /add-checkpoint", "").0, 404);
    assert_eq!(witness.send("GET /../witness.key/checkpoint", "").0, 404);
}

#[test]
fn a_folder_has_one_witness_and_a_changed_note_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let first = Witness::start(folder.path());
    assert_eq!(first.add(&request(0)).0, 200);
    let second = Witness::start(folder.path());
    assert_eq!(second.line, "", "the folder is taken");
    drop(second);
    first.kill();
    let kept = folder.path().join("data/cosigned");
    let name = verifier::trail::witness::origin_hex(&Origin::parse(ORIGIN).unwrap());
    let note = std::fs::read_to_string(kept.join(&name)).unwrap();
    std::fs::write(kept.join(&name), note.replace("\n600\n", "\n500\n")).unwrap();
    let mut third = Witness::start(folder.path());
    assert_eq!(third.line, "");
    assert_eq!(third.child.wait().unwrap().code(), Some(2));
}

#[test]
fn of_two_requests_from_one_size_only_one_is_cosigned() {
    let folder = tempfile::tempdir().unwrap();
    let witness = Witness::start(folder.path());
    let empty = plain(0, &signed(0, ORIGIN, 0, Hash::EMPTY));
    assert_eq!(witness.add(&empty).0, 200);
    let trees: Vec<_> = (1..=8)
        .map(|size| plain(0, &signed(0, ORIGIN, size, Hash::new([7; 32]))))
        .collect();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let asked: Vec<_> = trees
            .iter()
            .map(|body| scope.spawn(|| witness.add(body).0))
            .collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let cosigned = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(cosigned, 1, "{statuses:?}");
}
