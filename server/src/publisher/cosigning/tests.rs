//! Witnesses over real HTTP: one that cosigns, and one for each way not to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use verifier::signature::Signer;
use verifier::trail::cosignature::Cosigner;
use verifier::trail::key::KeyName;
use verifier::trail::policy::Policy;
use verifier::trail::witness::{AddCheckpoint, Refused, Seen, decide};

use super::super::tests::Exchange;
use super::super::{Fault, Publisher, Step};
use super::*;
use crate::faults::Faults;
use crate::witness::Standing;

const AGAIN: Duration = Duration::from_secs(600);

/// What a witness does when it is asked.
#[derive(Clone, PartialEq)]
enum Mode {
    Cosigns,
    Stalls,
    /// Cosigns another tree than the one it was shown.
    Lies,
    /// Says it has cosigned so many entries.
    Ahead(u64),
    /// Has another root.
    OtherRoot,
    /// Answers with a clock that is an hour ahead.
    EarlyClock,
    /// Shows this note, whoever asks.
    Shows(String),
}

struct Fake {
    name: &'static str,
    cosigner: Cosigner,
    url: String,
    mode: Mutex<Mode>,
    policy: Mutex<Option<Policy>>,
    seen: Mutex<Option<Seen>>,
    /// How often it was asked to cosign.
    asked: AtomicU64,
}

impl Fake {
    fn start(name: &'static str, mode: Mode) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let seed = [u8::try_from(name.len()).unwrap(); 32];
        let fake = Arc::new(Self {
            name,
            cosigner: Cosigner::new(KeyName::parse(name).unwrap(), Signer::from_seed(&seed)),
            url: format!("http://{}", listener.local_addr().unwrap()),
            mode: Mutex::new(mode),
            policy: Mutex::default(),
            seen: Mutex::default(),
            asked: AtomicU64::new(0),
        });
        let serving = Arc::clone(&fake);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let fake = Arc::clone(&serving);
                thread::spawn(move || fake.serve(stream.unwrap()));
            }
        });
        fake
    }

    fn becomes(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut first, mut length) = (String::new(), 0);
        reader.read_line(&mut first).unwrap();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let mode = self.mode.lock().unwrap().clone();
        let (status, media_type, body) = if first.starts_with("GET") {
            if let Mode::Shows(note) = mode {
                (200, "text/plain", note)
            } else {
                (404, "text/plain", String::new())
            }
        } else {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.answer(&mode, &body)
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
        );
        // Whoever asked may have gone.
        let _sent = stream.write_all(format!("{head}{body}").as_bytes());
    }

    fn answer(&self, mode: &Mode, body: &[u8]) -> (u16, &'static str, String) {
        let request = AddCheckpoint::parse(body).unwrap();
        let (text, size) = ("text/plain", "text/x.tlog.size");
        match mode {
            Mode::Stalls => {
                thread::sleep(Duration::from_secs(3));
                (200, text, String::new())
            }
            Mode::Lies => {
                let other = Checkpoint::new(
                    request.checkpoint().origin().clone(),
                    request.checkpoint().size(),
                    verifier::trail::Hash::new([9; 32]),
                );
                let line = self.cosigner.cosign(&other, now()).unwrap();
                (200, text, line.to_string())
            }
            Mode::Ahead(claimed) => (409, size, format!("{claimed}\n")),
            Mode::OtherRoot => (422, text, "another root\n".to_owned()),
            Mode::EarlyClock => {
                let line = self.cosigner.cosign(request.checkpoint(), now() + 3600);
                (200, text, line.unwrap().to_string())
            }
            Mode::Cosigns | Mode::Shows(_) => {
                let mut seen = self.seen.lock().unwrap();
                let policy = self.policy.lock().unwrap().clone().unwrap();
                match decide(&policy, &self.cosigner, *seen, &request, now()) {
                    Ok(cosigned) => {
                        *seen = Some(cosigned.seen);
                        (200, text, cosigned.line.to_string())
                    }
                    Err(refused @ Refused::Conflict(_)) => (409, size, refused.to_string()),
                    Err(refused) => (refused.status(), text, refused.to_string()),
                }
            }
        }
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// A policy of these witnesses with this last line.
fn policy(publisher: &Publisher, fakes: &[&Arc<Fake>], last: &str) -> Policy {
    let mut text = format!("log {}\n", publisher.key());
    for fake in fakes {
        let line = format!(
            "witness {} {} {}/\n",
            fake.name,
            fake.cosigner.key(),
            fake.url
        );
        text.push_str(&line);
    }
    text.push_str(last);
    let policy = Policy::parse(text.as_bytes()).unwrap();
    for fake in fakes {
        *fake.policy.lock().unwrap() = Some(policy.clone());
    }
    policy
}

fn open(exchange: &Exchange, fakes: &[&Arc<Fake>], last: &str) -> Result<Publisher, Fault> {
    let publisher = exchange.publisher(Faults::none())?;
    let policy = policy(&publisher, fakes, last);
    publisher.witnessed_by(policy, AGAIN)
}

fn publish_all(publisher: &mut Publisher) {
    while publisher.step().unwrap() != Step::Idle {}
}

fn standing(publisher: &Publisher, name: &str) -> Standing {
    let standings = publisher.standings().borrow().clone();
    let found = standings.iter().find(|standing| standing.name == name);
    found.unwrap().clone()
}

/// The published note, with who of the policy has cosigned it.
fn published(
    exchange: &Exchange,
    publisher: &Publisher,
    fakes: &[&Arc<Fake>],
) -> (u64, Vec<String>) {
    let note = std::fs::read(exchange.trail().join("checkpoint")).unwrap();
    let policy = policy(publisher, fakes, "quorum none\n");
    let verified = policy.check(&Note::parse(&note).unwrap()).unwrap();
    let names = verified.cosignatures().iter().map(|by| by.witness.clone());
    (verified.checkpoint().size().get(), names.collect())
}

#[test]
fn a_checkpoint_is_cosigned_before_it_is_published_and_kept() {
    let (exchange, fake) = (Exchange::new(), Fake::start("w", Mode::Cosigns));
    let mut publisher = open(&exchange, &[&fake], "quorum w\n").unwrap();
    for size in [1, 255, 300, 600] {
        exchange.commit(size);
        publish_all(&mut publisher);
        let cosigned = published(&exchange, &publisher, &[&fake]);
        assert_eq!(cosigned, (size, vec!["w".to_owned()]));
    }
    // 0, 1, 255, 300 and 600 entries, each asked for once: the sizes were known.
    assert_eq!(fake.asked.load(Ordering::SeqCst), 5);
    assert_eq!(standing(&publisher, "w").size, Some(600));
    // All within a minute: the history has one of them.
    let mut db = exchange.store.dedicated().unwrap();
    assert_eq!(history::count(&mut db).unwrap(), 1);
    let part = std::fs::read(exchange.trail().join("history/000.p/1")).unwrap();
    let notes = parts::decode(&part, 1).unwrap();
    assert_eq!(notes[0].1.size().get(), 0);
    assert_eq!(
        std::fs::read(exchange.trail().join("history/count")).unwrap(),
        b"1\n"
    );
    // A restart knows nothing of the witness's size, and is told.
    let mut publisher = open(&exchange, &[&fake], "quorum w\n").unwrap();
    exchange.commit(700);
    publish_all(&mut publisher);
    assert_eq!(published(&exchange, &publisher, &[&fake]).0, 700);
}

#[test]
fn an_unchanged_head_is_cosigned_again_when_it_is_time() {
    let (exchange, fake) = (Exchange::new(), Fake::start("w", Mode::Cosigns));
    let publisher = exchange.publisher(Faults::none()).unwrap();
    let policy = policy(&publisher, &[&fake], "quorum none\n");
    let mut publisher = publisher.witnessed_by(policy, Duration::ZERO).unwrap();
    publish_all(&mut publisher);
    let asked = fake.asked.load(Ordering::SeqCst);
    publisher.step().unwrap();
    assert_eq!(fake.asked.load(Ordering::SeqCst), asked + 1);
    // And a witness that the policy did not have when the head was published cosigns it too.
    let late = Fake::start("late", Mode::Cosigns);
    let mut publisher = open(&exchange, &[&fake, &late], "quorum none\n").unwrap();
    assert_eq!(publisher.step().unwrap(), Step::Idle);
    let cosigned = published(&exchange, &publisher, &[&fake, &late]);
    assert_eq!(cosigned, (0, vec!["w".to_owned(), "late".to_owned()]));
}

#[test]
fn a_stalling_witness_costs_one_second_and_then_rests() {
    let (exchange, good) = (Exchange::new(), Fake::start("w", Mode::Cosigns));
    let stalls = Fake::start("stalls", Mode::Stalls);
    let mut publisher = open(&exchange, &[&stalls, &good], "quorum none\n").unwrap();
    exchange.commit(5);
    let begun = Instant::now();
    publish_all(&mut publisher);
    assert!(
        begun.elapsed() < Duration::from_millis(2_500),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(stalls.asked.load(Ordering::SeqCst), 1);
    let cosigned = published(&exchange, &publisher, &[&stalls, &good]);
    assert_eq!(cosigned, (5, vec!["w".to_owned()]));
    let standing = standing(&publisher, "stalls");
    assert_eq!(standing.code, Some("trail.witness-unreachable"));
}

#[test]
fn one_that_lies_is_ahead_or_has_another_root_is_named_and_not_followed() {
    for (mode, code) in [
        (Mode::Lies, "trail.signature"),
        (Mode::Ahead(7_000), "trail.witness-ahead"),
        (Mode::OtherRoot, "trail.witness-root"),
        (Mode::EarlyClock, "trail.cosignature"),
    ] {
        let (exchange, good) = (Exchange::new(), Fake::start("w", Mode::Cosigns));
        let bad = Fake::start("bad", mode);
        let mut publisher = open(&exchange, &[&bad, &good], "quorum none\n").unwrap();
        for size in [5, 9] {
            exchange.commit(size);
            publish_all(&mut publisher);
            let cosigned = published(&exchange, &publisher, &[&bad, &good]);
            assert_eq!(cosigned, (size, vec!["w".to_owned()]), "{code}");
        }
        assert_eq!(
            bad.asked.load(Ordering::SeqCst),
            1,
            "{code}: it was left alone"
        );
        assert_eq!(standing(&publisher, "bad").code, Some(code));
        assert_eq!(standing(&publisher, "w").code, None);
    }
}

#[test]
fn with_a_quorum_the_published_checkpoint_waits_and_commits_do_not() {
    let exchange = Exchange::new();
    let (good, other) = (
        Fake::start("w", Mode::Cosigns),
        Fake::start("two", Mode::Cosigns),
    );
    let both = "group g all w two\nquorum g\n";
    let mut publisher = open(&exchange, &[&good, &other], both).unwrap();
    publish_all(&mut publisher);
    other.becomes(Mode::Lies);
    exchange.commit(5);
    assert_eq!(publisher.step().unwrap(), Step::Waiting(5));
    exchange.commit(8);
    assert_eq!(publisher.step().unwrap(), Step::Waiting(5));
    assert_eq!(published(&exchange, &publisher, &[&good, &other]).0, 0);
    // A restart asks again at once; the witness has been mended.
    other.becomes(Mode::Cosigns);
    let mut publisher = open(&exchange, &[&good, &other], both).unwrap();
    publish_all(&mut publisher);
    let cosigned = published(&exchange, &publisher, &[&good, &other]);
    assert_eq!(cosigned, (8, vec!["w".to_owned(), "two".to_owned()]));
}

#[test]
fn a_witness_that_has_seen_more_or_another_tree_stops_the_start() {
    let (exchange, fake) = (Exchange::new(), Fake::start("w", Mode::Cosigns));
    let mut publisher = open(&exchange, &[&fake], "quorum none\n").unwrap();
    exchange.commit(5);
    publish_all(&mut publisher);
    let signed = |size: u64, root: [u8; 32]| {
        let checkpoint = Checkpoint::new(
            exchange.origin.clone(),
            verifier::trail::TreeSize::new(size).unwrap(),
            verifier::trail::Hash::new(root),
        );
        let text = checkpoint.to_string();
        let key = exchange.keys.log.verifier_key(&exchange.origin).unwrap();
        exchange.keys.log.sign_note(&key, text).unwrap().to_string()
    };
    let root = heads::signed_at(&mut exchange.store.dedicated().unwrap(), 5);
    let root = root.unwrap().unwrap().root;
    let opens = |mode: Mode| {
        fake.becomes(mode);
        open(&exchange, &[&fake], "quorum none\n").map(drop)
    };
    assert!(opens(Mode::Shows(signed(5, root))).is_ok());
    let ahead = opens(Mode::Shows(signed(6, [7; 32]))).unwrap_err();
    assert!(
        matches!(
            ahead,
            Fault::WitnessAhead {
                cosigned: 6,
                committed: 5,
                ..
            }
        ),
        "{ahead}"
    );
    assert!(ahead.to_string().starts_with("trail.ahead"));
    for size in [5, 3] {
        let fork = opens(Mode::Shows(signed(size, [7; 32]))).unwrap_err();
        assert!(matches!(fork, Fault::WitnessFork { .. }), "{fork}");
        assert!(fork.to_string().starts_with("trail.fork"));
    }
    // What does not carry our signature is nobody's word: any witness could stop us with it.
    let forged = signed(5, root).replace("\n5\n", "\n6\n");
    assert!(opens(Mode::Shows(forged)).is_ok());
    assert!(opens(Mode::Shows("junk".to_owned())).is_ok());
}
