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
#[path = "support/lanes.rs"]
mod lanes;
#[path = "../../verifier/benches/support/market.rs"]
mod market;
#[path = "support/pgbench.rs"]
mod pgbench;
#[path = "support/quan.rs"]
mod quan;
#[path = "../../verifier/benches/support/report.rs"]
mod report;

use std::time::Duration;

use cluster::Cluster;
use lanes::{LINES, lanes, now, settle};
use market::Market;
use pgbench::Peer;
use quan::Quan;
use report::{Row, report, setting};

const ORDERS: usize = 1_000;
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
    let mut quan = Quan::start(address, &[]);
    // Connections share the orders out unevenly: of those that have fewest, each gets the most receipts.
    let most = |count: usize, connections| count.div_ceil(ORDERS / connections * connections) + 1;
    let per_round = most(extent.bulk, BULK_CONNECTIONS) + most(extent.single, SINGLE_CONNECTIONS);
    let per_order = per_round * extent.rounds;
    let mut market = Market::open(&mut quan, ORDERS, per_order, now());
    let (mut bulk, mut single) = (Vec::new(), Vec::new());
    for _ in 0..extent.rounds {
        let many = lanes(&quan, &mut market, extent.bulk, BULK_CONNECTIONS, LINES);
        let ones = lanes(&quan, &mut market, extent.single, SINGLE_CONNECTIONS, 1);
        let peers = peer.tps(extent.peer_seconds);
        let bulked = settle(&quan, &many, Duration::ZERO);
        let singled = settle(&quan, &ones, Duration::ZERO);
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

/// The resident memory of a process in MB.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1_000
}
