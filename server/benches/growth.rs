//! `settle_growth`: what a receipt costs with 10⁶ entries behind it, against 10⁴. `start`: a start by replay of that log,
//! `start_snapshot`: the same from a snapshot.
//!
//! The sequencer's own `step` on SQLite, durable, in this process, over receipts whose signatures were checked before, as
//! the server does on its HTTP threads. The peer of a start is reading the same rows and hashing each with SHA-256.
//! QUAN_BENCH_ENTRIES sets the length of the log (2 × 10⁵; the targets are for 10⁶).
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench prints, and a step that fails ends it"
)]

#[path = "../../verifier/benches/support/market.rs"]
mod market;
#[path = "../../verifier/benches/support/report.rs"]
mod report;

use std::sync::Arc;
use std::time::Instant;

use server::clock::Clock;
use server::faults::Faults;
use server::sequencer::{BATCH_MAX, BEHIND_MAX, IDLE_FROM, Outcome, Pace, Sequencer, Snapshots};
use server::store::{Address, Store, log};
use tokio::sync::watch;
use verifier::book::command::{AcceptReceipt, Command, OpenExchange};
use verifier::book::decide::Request;
use verifier::book::entry::Entry;
use verifier::book::found::Found;
use verifier::id::{ActorId, PartyId, Sha256Hash};
use verifier::receipt::{Signed, UnverifiedReceipt};
use verifier::signature::{PublicKey, Signer};
use verifier::time::{Timestamp, UtcOffset};

use market::{Exchange, Market, Who};
use report::{Row, processor_seconds, report, setting, thread_seconds};

const ORIGIN: &str = "localhost/bench";
const ORDERS: usize = 1_000;
/// 2026-11-23T08:00:00Z.
const NOW: i64 = 1_795_420_800;
/// Batches over which a cost is taken, and how many times.
const WINDOW: usize = 20;
const ROUNDS: usize = 9;
const EARLY: u64 = 10_000;

fn main() {
    let entries = setting("QUAN_BENCH_ENTRIES", 200_000) as u64;
    let folder = tempfile::tempdir().unwrap();
    let address = |name| Address::Sqlite(folder.path().join(name));
    let mut long = Run::open(&address("long.db"), entries);
    let mut short = Run::open(&address("short.db"), EARLY);
    // By turns: a machine that slows down slows both sides.
    let rounds: Vec<_> = (0..ROUNDS).map(|_| (long.cost(), short.cost())).collect();
    report(&Row {
        name: "settle_growth",
        unit: "µs of processor time a receipt",
        peer: &format!("the same at {EARLY} entries, not {entries}"),
        rounds: &rounds,
    });
    drop((long, short));
    start(&address("long.db"));
}

/// Starts anew on what the log holds.
fn start(address: &Address) {
    let store = Arc::new(Store::open(address.clone()).unwrap());
    let (read, entries) = read_all(&store);
    let (begin, spent) = (Instant::now(), processor_seconds("self"));
    let clock = Clock::fixed(Timestamp::new(NOW).unwrap());
    let sequencer = Sequencer::start(store, clock, Faults::none()).unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    let spent = processor_seconds("self") - spent;
    drop(sequencer);
    println!(
        "{:>24}  {entries} entries, {spent:.1} s of processor time",
        "a start over"
    );
    report(&Row {
        name: "start",
        unit: "s",
        peer: "reading the same rows, SHA-256 of each",
        rounds: &[(seconds, read)],
    });
    start_from_snapshot(address, seconds);
}

/// Starts from a snapshot that a stop wrote.
fn start_from_snapshot(address: &Address, replayed: f64) {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let store = Arc::new(Store::open(address.clone()).unwrap());
        let clock = Clock::fixed(Timestamp::new(NOW).unwrap());
        let snapshots = Snapshots::folder(folder.path(), IDLE_FROM).unwrap();
        Sequencer::resume(store, clock, Faults::none(), snapshots).unwrap()
    };
    let pace = Pace::new(watch::channel(0).1, BEHIND_MAX);
    let (desk, thread) = start().spawn(BATCH_MAX, pace).unwrap();
    let begin = Instant::now();
    desk.close();
    thread.join().unwrap().unwrap();
    let written = begin.elapsed().as_secs_f64();
    let bytes: u64 = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|item| item.unwrap().metadata().unwrap().len())
        .sum();
    println!(
        "{:>24}  {} MB in {written:.1} s",
        "a stop writes",
        bytes / 1_000_000
    );
    let rounds: Vec<_> = (0..5)
        .map(|_| {
            let begin = Instant::now();
            let sequencer = start();
            let seconds = begin.elapsed().as_secs_f64();
            drop(sequencer);
            (seconds, replayed)
        })
        .collect();
    report(&Row {
        name: "start_snapshot",
        unit: "s",
        peer: "the same start by replay",
        rounds: &rounds,
    });
}

fn read_all(store: &Store) -> (f64, u64) {
    let begin = Instant::now();
    let mut db = store.connection().unwrap();
    let mut at = 0;
    loop {
        let rows = log::entries(&mut db, at..u64::MAX >> 1).unwrap();
        for row in &rows {
            std::hint::black_box(Sha256Hash::of(&row.bytes));
        }
        at += rows.len() as u64;
        if rows.is_empty() {
            return (begin.elapsed().as_secs_f64(), at);
        }
    }
}

/// An exchange and the receipts that are settled on it.
struct Run {
    own: Own,
    market: Market,
    next: usize,
}

impl Run {
    /// Opens one and settles receipts until its log has so many entries.
    fn open(address: &Address, entries: u64) -> Self {
        let mut own = Own::start(address);
        let receipts = usize::try_from(entries).unwrap() + ROUNDS * WINDOW * BATCH_MAX;
        let now = Timestamp::new(NOW).unwrap();
        let market = Market::open(&mut own, ORDERS, receipts.div_ceil(ORDERS) + 20, now);
        let mut run = Self {
            own,
            market,
            next: 0,
        };
        while run.own.size < entries {
            let left = usize::try_from(entries - run.own.size).unwrap();
            let batch = run.batch(left.min(BATCH_MAX));
            run.own.step(&batch);
        }
        run
    }

    /// The next receipts, verified.
    fn batch(&mut self, size: usize) -> Vec<Request> {
        let receipts = self.next..self.next + size;
        self.next += size;
        let request = |n: usize| {
            let jws = self.market.receipt(n % ORDERS);
            let jws = UnverifiedReceipt::parse(&jws)
                .unwrap()
                .verify(&self.own.key);
            let jws = Signed::Verified(jws.unwrap());
            let command = Command::AcceptReceipt(AcceptReceipt { jws });
            self.own.request(Who::Provider, command)
        };
        receipts.map(request).collect()
    }

    /// Microseconds of processor time a receipt.
    fn cost(&mut self) -> f64 {
        let batches: Vec<_> = (0..WINDOW).map(|_| self.batch(BATCH_MAX)).collect();
        let begin = thread_seconds();
        for batch in &batches {
            self.own.step(batch);
        }
        (thread_seconds() - begin) * 1e6 / (WINDOW * BATCH_MAX) as f64
    }
}

/// A sequencer of our own.
struct Own {
    sequencer: Sequencer,
    who: Vec<(Who, PartyId, ActorId)>,
    key: PublicKey,
    size: u64,
}

impl Own {
    fn start(address: &Address) -> Self {
        let store = Arc::new(Store::open(address.clone()).unwrap());
        let clock = Clock::fixed(Timestamp::new(NOW).unwrap());
        let mut sequencer = Sequencer::start(Arc::clone(&store), clock, Faults::none()).unwrap();
        let x = Signer::from_seed(&[2; 32]).public().x();
        let open = OpenExchange {
            origin: ORIGIN.into(),
            log_vkey: "localhost/bench+00000000+AA==".into(),
            delivery_key: x.clone(),
            reply_key: x,
            utc_offset_min: UtcOffset::CHINA,
        };
        sequencer.open(open).unwrap();
        let bytes = log::entry(&mut store.connection().unwrap(), 0)
            .unwrap()
            .unwrap();
        let opened = Entry::parse(&bytes).unwrap();
        Self {
            sequencer,
            who: vec![(Who::Exchange, opened.by, opened.actor)],
            key: Signer::from_seed(&[41; 32]).public(),
            size: 1,
        }
    }

    fn request(&self, who: Who, command: Command) -> Request {
        let found = self.who.iter().find(|(of, ..)| *of == who).unwrap();
        let (_, by, actor) = *found;
        let req = matches!(command, Command::AcceptReceipt(_)).then(|| Sha256Hash::of(b"bench"));
        Request {
            by,
            actor,
            cmd: None,
            req,
            command,
        }
    }

    fn step(&mut self, requests: &[Request]) -> Vec<Found> {
        let outcomes = self.sequencer.step(requests).unwrap();
        self.size += outcomes.len() as u64;
        let found = |outcome| match outcome {
            Outcome::Accepted(committed) => committed.entry.found,
            other @ (Outcome::Known(_) | Outcome::Refused(_) | Outcome::Failed(_)) => {
                unreachable!("{other:?}")
            }
        };
        outcomes.into_iter().map(found).collect()
    }
}

impl Exchange for Own {
    fn origin(&self) -> &str {
        ORIGIN
    }

    fn hire(&mut self, who: Who, party: PartyId, actor: ActorId) {
        self.who.push((who, party, actor));
    }

    fn ask(&mut self, who: Who, command: Command) -> Found {
        self.ask_all(who, vec![command]).pop().unwrap()
    }

    fn ask_all(&mut self, who: Who, commands: Vec<Command>) -> Vec<Found> {
        let requests: Vec<_> = commands
            .into_iter()
            .map(|command| self.request(who, command))
            .collect();
        requests
            .chunks(BATCH_MAX)
            .flat_map(|batch| self.step(batch))
            .collect()
    }
}
