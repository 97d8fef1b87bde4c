//! `publish_lag_*`: from a command's answer until the published checkpoint covers its entry, the 99th percentile at 1,000
//! commands a second, against 100. `publish_cost_*`: receipts in bulk by a server as it is set by default, a checkpoint a second,
//! against one that publishes nothing meanwhile. `publish_work_*`: the processor time of those two for a receipt.
//! `publish_share_*`: of the first, the processor time of the thread that publishes, against that of the sequencer's.
//!
//! The real program on SQLite and on PostgreSQL, asked over HTTP; client and server share the cores. The two servers of
//! `publish_cost` are there side by side and loaded by turns, in pairs whose order changes. A turn's first second and a half does
//! not count: nothing is published in it yet, so that the rest is as in an endless load. A turn ends, and its processor time is
//! read, when all is projected and, by the one server, published; the database's own processes are not in it.
//! Settings, with defaults: QUAN_BENCH_LAG_SECONDS 20, QUAN_BENCH_COST_ROUNDS 15, QUAN_BENCH_BULK 60000 receipts a turn,
//! QUAN_BENCH_ON a database to leave it at (`sqlite`).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a bench prints, and a step that fails ends it"
)]

#[path = "support/client.rs"]
mod client;
#[path = "../tests/it/support/cluster.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod cluster;
#[path = "support/lanes.rs"]
mod lanes;
#[path = "../../verifier/benches/support/market.rs"]
mod market;
#[path = "support/quan.rs"]
mod quan;
#[path = "../../verifier/benches/support/report.rs"]
mod report;

use std::cell::Cell;
use std::time::{Duration, Instant};

use client::{Connection, get};
use cluster::Cluster;
use lanes::{LINES, Lane, lanes, now, settle};
use market::Market;
use quan::Quan;
use report::{Row, median, named_thread_seconds, processor_seconds, report, setting};
use serde_json::Value;

const ORDERS: usize = 200;
const PACED_CONNECTIONS: usize = 50;
const BULK_CONNECTIONS: usize = 4;
/// Commands a second.
const BUSY: usize = 1_000;
const QUIET: usize = 100;
/// No turn takes so long: what is published only so often is not published meanwhile.
const NEVER_MS: &str = "3600000";
/// How long a turn runs before it is measured: longer than the time between two checkpoints.
const WARM: Duration = Duration::from_millis(1_500);
/// How often the checkpoint is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How often is looked whether a turn has ended: seldom, so that looking is no work.
const REST: Duration = Duration::from_millis(50);
/// PostgreSQL as its package has it: fsync, synchronous commit.
const DURABLE: &[&str] = &[];

fn main() {
    let only = std::env::var("QUAN_BENCH_ON").ok();
    let cluster = Cluster::start(DURABLE);
    for database in ["sqlite", "postgres"] {
        if only.as_deref().is_some_and(|only| only != database) {
            continue;
        }
        let address = |name: &str| {
            (database == "postgres").then(|| {
                cluster.execute(&format!("CREATE DATABASE {name}"));
                cluster.uri(name)
            })
        };
        lag(database, address("lag"));
        cost(database, address("often"), address("seldom"));
    }
}

fn lag(database: &str, address: Option<String>) {
    let seconds = setting("QUAN_BENCH_LAG_SECONDS", 20);
    let mut quan = Quan::start(address, &[]);
    let per_order = (seconds * (BUSY + QUIET)).div_ceil(ORDERS) + 2 * PACED_CONNECTIONS;
    let mut market = Market::open(&mut quan, ORDERS, per_order, now());
    let mut paced = |rate: usize| {
        let requests = lanes(&quan, &mut market, seconds * rate, PACED_CONNECTIONS, 1);
        let mut lags = lags(&quan, &requests, rate);
        lags.sort();
        let at = |percent: usize| lags[lags.len() * percent / 100].as_secs_f64();
        println!(
            "{database}: {} commands at {rate}/s, published after {:.2} s (half), {:.2} s (99 %), {:.2} s (all)",
            lags.len(),
            at(50),
            at(99),
            lags[lags.len() - 1].as_secs_f64()
        );
        at(99)
    };
    let (busy, quiet) = (paced(BUSY), paced(QUIET));
    report(&Row {
        name: &format!("publish_lag_{database}"),
        unit: "ms until published, 99 %",
        peer: &format!("the same at {QUIET} commands a second, not {BUSY}"),
        rounds: &[(busy * 1e3, quiet * 1e3)],
    });
}

/// How long after each answer the published checkpoint covers its entry.
fn lags(quan: &Quan, lanes: &[Lane], rate: usize) -> Vec<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let wanted = Cell::new(None);
    let (answers, published) = runtime.block_on(async {
        let start = Instant::now();
        let every = Duration::from_secs_f64(lanes.len() as f64 / rate as f64);
        let lane = |(at, lane)| {
            let first = start + every.mul_f64(at as f64 / lanes.len() as f64);
            answers(quan, lane, first, every)
        };
        let asked = async {
            let answers = futures_util::future::join_all(lanes.iter().enumerate().map(lane)).await;
            let answers = answers.concat();
            wanted.set(answers.iter().map(|(_, seq)| *seq).max());
            answers
        };
        futures_util::future::join(asked, checkpoints(quan, &wanted)).await
    });
    let lag = |(answered, seq): (Instant, u64)| {
        let covering = published.partition_point(|(_, size)| *size <= seq);
        published[covering].0.saturating_duration_since(answered)
    };
    answers.into_iter().map(lag).collect()
}

/// Sends one request each time; when each was answered, and its entry.
async fn answers(quan: &Quan, lane: &Lane, first: Instant, every: Duration) -> Vec<(Instant, u64)> {
    let mut connection = Connection::open(quan.address).await.unwrap();
    let mut answers = Vec::with_capacity(lane.len());
    for (turn, (request, _)) in (0_u32..).zip(lane) {
        tokio::time::sleep_until((first + every * turn).into()).await;
        let answer = connection.send(request).await.unwrap();
        let said: Value = serde_json::from_slice(&answer.body).unwrap();
        let seq = said["seq"].as_u64();
        answers.push((Instant::now(), seq.unwrap_or_else(|| panic!("{said}"))));
    }
    answers
}

/// Looks at the checkpoint until it covers the wanted entry; when each size was first seen.
async fn checkpoints(quan: &Quan, wanted: &Cell<Option<u64>>) -> Vec<(Instant, u64)> {
    let mut connection = Connection::open(quan.address).await.unwrap();
    let mut seen: Vec<(Instant, u64)> = Vec::new();
    loop {
        let answer = connection.send(&get("/checkpoint")).await.unwrap();
        let note = String::from_utf8(answer.body).unwrap();
        let size: u64 = note.lines().nth(1).unwrap().parse().unwrap();
        if seen.last().is_none_or(|(_, last)| *last < size) {
            seen.push((Instant::now(), size));
        }
        if wanted.get().is_some_and(|wanted| wanted < size) {
            return seen;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn cost(database: &str, publishing: Option<String>, silent: Option<String>) {
    let rounds = setting("QUAN_BENCH_COST_ROUNDS", 15);
    let bulk = setting("QUAN_BENCH_BULK", 60_000);
    let mut publishing = Side::open(publishing, true, rounds, bulk);
    let mut silent = Side::open(silent, false, rounds, bulk);
    let mut round = |number: usize| {
        let turns = if number.is_multiple_of(2) {
            let first = publishing.turn(bulk);
            (first, silent.turn(bulk))
        } else {
            let first = silent.turn(bulk);
            (publishing.turn(bulk), first)
        };
        println!(
            "{database}: {} publishing, {} not: {:.3} ×",
            turns.0,
            turns.1,
            turns.0.rate / turns.1.rate
        );
        turns
    };
    let rounds: Vec<_> = (0..rounds).map(&mut round).collect();
    let of = |number: fn(&Turn) -> f64| -> Vec<_> {
        let pair = |(with, without): &(Turn, Turn)| (number(with), number(without));
        rounds.iter().map(pair).collect()
    };
    let work = of(|turn| turn.work);
    let added = median(work.iter().map(|(with, without)| with - without).collect());
    let own = median(work.iter().map(|(_, without)| *without).collect());
    println!(
        "{database}: publishing adds {added:.2} µs of processor time to the {own:.2} µs of a receipt, {:.1} %",
        100.0 * added / own
    );
    report(&Row {
        name: &format!("publish_cost_{database}"),
        unit: "receipts/s",
        peer: "the same server publishing nothing",
        rounds: &of(|turn| turn.rate),
    });
    report(&Row {
        name: &format!("publish_work_{database}"),
        unit: "µs of processor time a receipt",
        peer: "the same server publishing nothing",
        rounds: &work,
    });
    let threads = rounds
        .iter()
        .map(|(with, _)| (with.publisher, with.sequencer));
    report(&Row {
        name: &format!("publish_share_{database}"),
        unit: "µs of processor time a receipt",
        peer: "the sequencer's thread",
        rounds: &threads.collect::<Vec<_>>(),
    });
}

/// What a turn gave.
#[derive(Clone, Copy)]
struct Turn {
    /// Receipts a second.
    rate: f64,
    /// The server's processor time of one, in µs.
    work: f64,
    /// Of it, what the publisher's thread takes, and the sequencer's.
    publisher: f64,
    sequencer: f64,
}

impl std::fmt::Display for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.0}/s and {:.1} µs each", self.rate, self.work)
    }
}

/// A server, and the receipts for it.
struct Side {
    quan: Quan,
    market: Market,
    publishes: bool,
}

impl Side {
    fn open(database: Option<String>, publishes: bool, rounds: usize, bulk: usize) -> Self {
        let never = ["--publish-ms", NEVER_MS];
        let settings = if publishes { &[][..] } else { &never };
        let mut quan = Quan::start(database, settings);
        let per_order = (bulk.div_ceil(ORDERS) + 2) * rounds;
        let market = Market::open(&mut quan, ORDERS, per_order, now());
        Self {
            quan,
            market,
            publishes,
        }
    }

    fn turn(&mut self, bulk: usize) -> Turn {
        let requests = lanes(&self.quan, &mut self.market, bulk, BULK_CONNECTIONS, LINES);
        self.rest();
        let before = self.spent();
        let rate = settle(&self.quan, &requests, WARM);
        self.rest();
        let after = self.spent();
        let receipts: usize = requests
            .iter()
            .flatten()
            .map(|(_, receipts)| receipts)
            .sum();
        let each = |of: usize| (after[of] - before[of]) * 1e6 / receipts as f64;
        Turn {
            rate,
            work: each(0),
            publisher: each(1),
            sequencer: each(2),
        }
    }

    /// The seconds of processor time so far: the server's, its publisher's, its sequencer's.
    fn spent(&self) -> [f64; 3] {
        let process = self.quan.id().to_string();
        let thread = |name| named_thread_seconds(&process, name);
        [
            processor_seconds(&process),
            thread("publisher"),
            thread("sequencer"),
        ]
    }

    /// Waits until all is done that is to be done with what was written.
    fn rest(&self) {
        loop {
            let health = self.quan.health();
            let is_done = |follower: &str| health[follower] == health["entries"];
            if is_done("projected") && (!self.publishes || is_done("published")) {
                return;
            }
            std::thread::sleep(REST);
        }
    }
}
