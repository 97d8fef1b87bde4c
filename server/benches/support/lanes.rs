//! Signed receipts as requests over many connections, and what a server makes of them.

use std::time::{Duration, Instant, SystemTime};

use verifier::time::Timestamp;

use crate::client::{Connection, post};
use crate::market::{Market, Who};
use crate::quan::Quan;

/// Lines of a bulk request.
pub(crate) const LINES: usize = 1_000;

/// The time by this machine.
pub(crate) fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::new(i64::try_from(now.unwrap().as_secs()).unwrap()).unwrap()
}

/// A connection's requests, and how many receipts each holds.
pub(crate) type Lane = Vec<(Vec<u8>, usize)>;

/// The next `count` receipts as requests: each order's go over one connection, so that its chain keeps its order.
pub(crate) fn lanes(
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

/// Sends everything; receipts a second, of those that are answered after so long a time: what happens once a second happens by
/// then, too. Each must be accepted and durable.
pub(crate) fn settle(quan: &Quan, lanes: &[Lane], warm: Duration) -> f64 {
    let before = quan.entries();
    let address = quan.address;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (start, answers) = runtime.block_on(async {
        let opened = (0..lanes.len()).map(|_| Connection::open(address));
        let connections = futures_util::future::join_all(opened).await;
        let start = Instant::now();
        let work = connections
            .into_iter()
            .zip(lanes)
            .map(|(connection, lane)| send(connection.unwrap(), lane));
        let answers = futures_util::future::join_all(work).await.concat();
        (start, answers)
    });
    let sent: usize = lanes.iter().flatten().map(|(_, receipts)| receipts).sum();
    // The timers write an entry now and then, too.
    assert!(
        quan.entries() - before >= sent as u64,
        "every receipt is an entry"
    );
    // From one answer to another, so that no part of a request is counted by halves.
    let early = answers.iter().map(|(at, _)| *at);
    let early = early.filter(|at| *at - start <= warm).max();
    let early = early.unwrap_or(start);
    let late = answers.iter().filter(|(at, _)| *at > early);
    let (last, receipts) = late.fold((early, 0), |(last, receipts), (at, more)| {
        (last.max(*at), receipts + more)
    });
    receipts as f64 / (last - early).as_secs_f64()
}

/// When each request was answered, and how many receipts it held.
async fn send(mut connection: Connection, lane: &Lane) -> Vec<(Instant, usize)> {
    let mut answers = Vec::with_capacity(lane.len());
    for (request, receipts) in lane {
        loop {
            let answer = connection.send(request).await.unwrap();
            let text = String::from_utf8_lossy(&answer.body);
            if answer.status == 503 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            answers.push((Instant::now(), *receipts));
            is_accepted(answer.status, &text, *receipts);
            break;
        }
    }
    answers
}

fn is_accepted(status: u16, text: &str, receipts: usize) {
    assert!((200..300).contains(&status), "{status}: {text}");
    if receipts > 1 {
        let accepted = text
            .lines()
            .filter(|line| line.contains("\"accepted\""))
            .count();
        let first = text.lines().next().unwrap_or_default();
        assert_eq!(accepted, receipts, "{first}");
    }
}
