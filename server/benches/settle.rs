//! Receipts over HTTP to durable entries: `settle_bulk_*` a thousand a request, `settle_single_*` one a request.
//!
//! The real program on SQLite and on PostgreSQL; client and server share the cores. The peer is pgbench's TPC-B on the same
//! machine, run before each measurement. All receipts are signed beforehand; time runs from the first byte sent to the last
//! answer read, and every one must be accepted and counted in the server's durable entries. Settings, with defaults:
//! QUAN_BENCH_ROUNDS 3, QUAN_BENCH_BULK 60000 receipts a round, QUAN_BENCH_SINGLE 20000, QUAN_BENCH_PEER 6 seconds,
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
#[path = "../../verifier/benches/support/market.rs"]
mod market;
#[path = "support/pgbench.rs"]
mod pgbench;
#[path = "support/quan.rs"]
mod quan;
#[path = "../../verifier/benches/support/report.rs"]
mod report;

use std::time::{Duration, Instant, SystemTime};

use client::{Connection, post};
use cluster::Cluster;
use market::{Market, Who};
use pgbench::Peer;
use quan::Quan;
use report::{Row, report, setting};
use verifier::time::Timestamp;

const ORDERS: usize = 1_000;
/// Lines of a bulk request.
const LINES: usize = 1_000;
const BULK_CONNECTIONS: usize = 4;
const SINGLE_CONNECTIONS: usize = 256;
/// PostgreSQL as its package has it: fsync, synchronous commit.
const DURABLE: &[&str] = &[];

/// How much of everything.
struct Extent {
    rounds: usize,
    bulk: usize,
    single: usize,
    peer_seconds: usize,
}

fn main() {
    let extent = Extent {
        rounds: setting("QUAN_BENCH_ROUNDS", 3),
        bulk: setting("QUAN_BENCH_BULK", 60_000),
        single: setting("QUAN_BENCH_SINGLE", 20_000),
        peer_seconds: setting("QUAN_BENCH_PEER", 6),
    };
    let only = std::env::var("QUAN_BENCH_ON").ok();
    let cluster = Cluster::start(DURABLE);
    let peer = Peer::fill(&cluster);
    for database in ["sqlite", "postgres"] {
        if only.as_deref().is_some_and(|only| only != database) {
            continue;
        }
        let address = (database == "postgres").then(|| {
            cluster.execute("CREATE DATABASE quan");
            cluster.uri("quan")
        });
        measure(database, address, &peer, &extent);
    }
}

fn measure(database: &str, address: Option<String>, peer: &Peer<'_>, extent: &Extent) {
    let mut quan = Quan::start(address);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = Timestamp::new(i64::try_from(now.unwrap().as_secs()).unwrap()).unwrap();
    // Connections share the orders out unevenly: of those that have fewest, each gets the most receipts.
    let most = |count: usize, connections| count.div_ceil(ORDERS / connections * connections) + 1;
    let per_round = most(extent.bulk, BULK_CONNECTIONS) + most(extent.single, SINGLE_CONNECTIONS);
    let per_order = per_round * extent.rounds;
    let mut market = Market::open(&mut quan, ORDERS, per_order, now);
    let (mut bulk, mut single) = (Vec::new(), Vec::new());
    for _ in 0..extent.rounds {
        let many = lanes(&quan, &mut market, extent.bulk, BULK_CONNECTIONS, LINES);
        let ones = lanes(&quan, &mut market, extent.single, SINGLE_CONNECTIONS, 1);
        let peers = peer.tps(extent.peer_seconds);
        let bulked = settle(&quan, &many);
        let singled = settle(&quan, &ones);
        println!(
            "{database}: pgbench {peers:.0} tps, bulk {bulked:.0}/s, single {singled:.0}/s, server {} MB",
            memory(quan.id())
        );
        bulk.push((bulked, peers));
        single.push((singled, peers));
    }
    for (kind, rounds) in [("bulk", bulk), ("single", single)] {
        report(&Row {
            name: &format!("settle_{kind}_{database}"),
            unit: "receipts/s",
            peer: pgbench::NAME,
            rounds: &rounds,
        });
    }
}

/// A connection's requests, and how many receipts each holds.
type Lane = Vec<(Vec<u8>, usize)>;

/// The next `count` receipts as requests: each order's go over one connection, so that its chain keeps its order.
fn lanes(
    quan: &Quan,
    market: &mut Market,
    count: usize,
    connections: usize,
    lines: usize,
) -> Vec<Lane> {
    let token = quan.token(Who::Provider).to_owned();
    let kind = if lines == 1 {
        "application/jose"
    } else {
        "application/x-ndjson"
    };
    let orders = market.orders();
    let lane = |lane: usize| {
        let own: Vec<usize> = (lane..orders).step_by(connections).collect();
        let share = count / connections;
        let mut receipts = (0..share).map(|n| own[n % own.len()]);
        let mut requests = Lane::new();
        loop {
            let part: Vec<String> = receipts
                .by_ref()
                .take(lines)
                .map(|order| market.receipt(order))
                .collect();
            if part.is_empty() {
                return requests;
            }
            let body = part.join("\n");
            let request = post("/v1/receipts", &token, kind, None, body.as_bytes());
            requests.push((request, part.len()));
        }
    };
    (0..connections).map(lane).collect()
}

/// Sends everything; receipts a second. Each must be accepted and durable.
fn settle(quan: &Quan, lanes: &[Lane]) -> f64 {
    let before = quan.entries();
    let address = quan.address;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let elapsed = runtime.block_on(async {
        let opened = (0..lanes.len()).map(|_| Connection::open(address));
        let connections = futures_util::future::join_all(opened).await;
        let start = Instant::now();
        let work = connections
            .into_iter()
            .zip(lanes)
            .map(|(connection, lane)| send(connection.unwrap(), lane));
        futures_util::future::join_all(work).await;
        start.elapsed()
    });
    let sent: usize = lanes.iter().flatten().map(|(_, receipts)| receipts).sum();
    assert_eq!(
        quan.entries() - before,
        sent as u64,
        "every receipt is an entry"
    );
    sent as f64 / elapsed.as_secs_f64()
}

async fn send(mut connection: Connection, lane: &Lane) {
    for (request, receipts) in lane {
        loop {
            let answer = connection.send(request).await.unwrap();
            let text = String::from_utf8_lossy(&answer.body);
            if answer.status == 503 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            assert!(
                (200..300).contains(&answer.status),
                "{}: {text}",
                answer.status
            );
            if *receipts > 1 {
                let accepted = text
                    .lines()
                    .filter(|line| line.contains("\"accepted\""))
                    .count();
                assert_eq!(
                    accepted,
                    *receipts,
                    "{}",
                    text.lines().next().unwrap_or_default()
                );
            }
            break;
        }
    }
}

/// The resident memory of a process in MB.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1_000
}
