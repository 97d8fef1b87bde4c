//! Clients that ask at the same time, repeat with the same key until they are answered, and keep what they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use verifier::audit::Verdict;
use verifier::book::entry::Entry;
use verifier::id::Sha256Hash;
use verifier::trail::note::Note;
use verifier::trail::policy::Policy;
use verifier::trail::tree::{Frontier, leaf_hash};

use super::process::{A_MOMENT, PATIENCE, Server};
use super::{Database, Trail, replay};

/// Clients that ask at the same time.
const CLIENTS: u64 = 4;
/// Fewer checkpoints than this show nothing.
pub(crate) const SEEN_MIN: usize = 2;
/// The sentence of a 503 that leaves open whether it was done.
const UNKNOWN: &str = "it is unknown whether this was done";

/// What the clients share.
pub(crate) struct Load {
    token: String,
    /// Where the servers are, as far as anybody knows.
    addresses: Mutex<Vec<String>>,
    moved: Condvar,
    heard: Mutex<Heard>,
    told: Condvar,
    /// Reads the published checkpoint; and every one that was seen.
    checkpoint: Box<dyn Fn() -> Option<Vec<u8>> + Send + Sync>,
    seen: Mutex<BTreeSet<Vec<u8>>>,
    next: AtomicU64,
    done: AtomicBool,
}

/// What the clients were told.
#[derive(Default)]
struct Heard {
    /// The entries, by the number that a client gave its request.
    entries: BTreeMap<u64, u64>,
    /// Since the last entry: how often to come back, 503.
    come_back: u64,
    /// Of these, in all: how often that it is unknown whether it was done.
    unknown: u64,
}

impl Load {
    /// With the key that the first start has written.
    pub(crate) fn new(data: &Path) -> Self {
        let checkpoint = data.join("trail/checkpoint");
        Self::watching(data, move || fs::read(&checkpoint).ok())
    }

    /// The same of a trail that is published elsewhere.
    pub(crate) fn watching(
        data: &Path,
        checkpoint: impl Fn() -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let token = fs::read_to_string(data.join("operator.key")).unwrap();
        Self {
            token: token.trim().to_owned(),
            addresses: Mutex::default(),
            moved: Condvar::new(),
            heard: Mutex::default(),
            told: Condvar::new(),
            checkpoint: Box::new(checkpoint),
            seen: Mutex::default(),
            next: AtomicU64::new(0),
            done: AtomicBool::new(false),
        }
    }

    /// Lets the clients ask while `story` happens; also again, later.
    pub(crate) fn during(&self, story: impl FnOnce()) {
        self.done.store(false, Ordering::SeqCst);
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| self.ask_until_done());
            }
            scope.spawn(|| self.watch_until_done());
            // However this ends, also by a failed step, the clients end too: the scope waits for them.
            let _done = Done(self);
            story();
        });
    }

    /// Says where the servers are now.
    pub(crate) fn announce(&self, servers: &[Server]) {
        let addresses = servers.iter().map(|server| server.address.clone());
        *self.addresses.lock().unwrap() = addresses.collect();
        self.moved.notify_all();
    }

    /// Waits until the clients were told of so many more entries.
    pub(crate) fn wait_for(&self, more: u64, servers: &mut [Server]) {
        let goal = self.heard.lock().unwrap().entries.len() as u64 + more;
        let answered = |heard: &Heard| heard.entries.len() as u64 >= goal;
        self.wait_until(answered, servers, "the clients are not answered");
    }

    /// Waits until so many answers in a row, to whatever client, said to come back.
    pub(crate) fn wait_for_refusals(&self, in_a_row: u64, servers: &mut [Server]) {
        let refused = |heard: &Heard| heard.come_back >= in_a_row;
        self.wait_until(refused, servers, "the clients are answered all the time");
    }

    fn wait_until(&self, reached: impl Fn(&Heard) -> bool, servers: &mut [Server], else_say: &str) {
        let heard = self.heard.lock().unwrap();
        let (heard, waited) = self
            .told
            .wait_timeout_while(heard, PATIENCE, |heard| !reached(heard))
            .unwrap();
        drop(heard);
        servers.iter_mut().for_each(Server::is_alive);
        assert!(!waited.timed_out(), "{else_say}");
    }

    /// Waits until so many checkpoints were seen, on a slow machine or a bad bucket too.
    pub(crate) fn wait_for_checkpoints(&self, count: usize) {
        let since = Instant::now();
        while self.seen.lock().unwrap().len() < count {
            assert!(since.elapsed() < PATIENCE, "hardly anything is published");
            thread::sleep(A_MOMENT);
        }
    }

    /// Keeps every checkpoint that is published, as somebody does who copies them.
    fn watch_until_done(&self) {
        while !self.done.load(Ordering::SeqCst) {
            if let Some(note) = (self.checkpoint)() {
                self.seen.lock().unwrap().insert(note);
            }
            thread::sleep(A_MOMENT);
        }
    }

    /// Asks, and asks again with the same key until it is answered, then the next.
    fn ask_until_done(&self) {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .new_agent();
        while !self.done.load(Ordering::SeqCst) {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            let seq = loop {
                match self.ask(&agent, number) {
                    Some(seq) => break seq,
                    None if self.done.load(Ordering::SeqCst) => return,
                    None => self.wait_for_a_server(),
                }
            };
            let mut heard = self.heard.lock().unwrap();
            heard.entries.insert(number, seq);
            heard.come_back = 0;
            self.told.notify_all();
        }
    }

    fn ask(&self, agent: &ureq::Agent, number: u64) -> Option<u64> {
        let addresses = self.addresses.lock().unwrap().clone();
        let turn = usize::try_from(number).unwrap() % addresses.len().max(1);
        let address = addresses.get(turn)?;
        let answer = agent
            .post(format!("http://{address}/v1/parties"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .header("idempotency-key", key(number))
            .send(body(number))
            .ok()?;
        let status = answer.status().as_u16();
        let text = answer.into_body().read_to_string().ok()?;
        // No answer, busy, or unknown: again. Anything else is a fault of the program.
        assert!(matches!(status, 200 | 201 | 503), "{status}: {text}");
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        if status < 300 {
            return answer["trail"]["index"].as_u64();
        }
        assert_eq!(answer["code"], "exchange.busy", "{text}");
        let unknown = answer["detail"].as_str().unwrap().starts_with(UNKNOWN);
        let mut heard = self.heard.lock().unwrap();
        heard.come_back += 1;
        heard.unknown += u64::from(unknown);
        self.told.notify_all();
        None
    }

    /// Until a server is somewhere else, or for a moment.
    fn wait_for_a_server(&self) {
        let addresses = self.addresses.lock().unwrap();
        let _moved = self.moved.wait_timeout(addresses, A_MOMENT).unwrap();
    }

    /// Some client was told that nobody knows whether its request was done.
    pub(crate) fn was_cut_off(&self) {
        assert!(self.heard.lock().unwrap().unknown > 0);
    }

    /// Every acknowledged entry is in the log where its client was told; none is there twice; the published trail agrees.
    pub(crate) fn look(self, database: &Database, data: &Path) {
        let trail = Trail::read(&data.join("trail"));
        self.look_at(trail, database, data);
    }

    /// The same of a trail that is published elsewhere.
    pub(crate) fn look_at(self, mut trail: Trail, database: &Database, data: &Path) {
        let (entries, _) = replay::audit(&mut database.connect());
        let mut seqs = BTreeMap::new();
        for entry in &entries {
            if let Some(cmd) = entry.cmd {
                assert_eq!(
                    seqs.insert(cmd, entry.seq),
                    None,
                    "a command was done twice"
                );
            }
        }
        let exchange = entries.first().unwrap().by;
        for (number, seq) in self.heard.into_inner().unwrap().entries {
            let cmd = Sha256Hash::of(format!("{exchange}\n{}", key(number)).as_bytes());
            assert_eq!(seqs.get(&cmd), Some(&seq), "request {number}");
        }
        let policy = Policy::parse(&fs::read(data.join("policy.txt")).unwrap()).unwrap();
        are_prefixes(&self.seen.into_inner().unwrap(), &policy, &entries);
        let report = trail.audit(&policy);
        assert_eq!(report.verdict, Verdict::Agree, "{:?}", report.differences);
        assert_eq!(report.entries, entries.len() as u64);
    }
}

/// Every checkpoint that was ever seen is signed, and its root is that of so many of the entries.
fn are_prefixes(seen: &BTreeSet<Vec<u8>>, policy: &Policy, entries: &[Entry]) {
    let mut edge = Frontier::empty();
    let mut roots = vec![edge.root()];
    for entry in entries {
        edge.append(leaf_hash(&entry.to_bytes().unwrap()));
        roots.push(edge.root());
    }
    assert!(
        seen.len() >= SEEN_MIN,
        "only {} checkpoints were seen",
        seen.len()
    );
    for note in seen {
        let verified = policy.check(&Note::parse(note).unwrap()).unwrap();
        let checkpoint = verified.checkpoint();
        let size = usize::try_from(checkpoint.size().get()).unwrap();
        assert_eq!(roots.get(size), Some(&checkpoint.root()), "at {size}");
    }
}

fn key(number: u64) -> String {
    format!("party-{number:06}-of-this-test")
}

fn body(number: u64) -> String {
    let name = Sha256Hash::of(&number.to_be_bytes());
    serde_json::json!({ "roles": ["buyer"], "name": name }).to_string()
}

/// Tells the clients to end when it goes out of scope.
struct Done<'a>(&'a Load);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::SeqCst);
    }
}
