//! What falls due by time alone happens by itself.

use serde_json::Value;

use crate::support::{Database, Exchange, Market};

on_both!(an_order_ends_and_its_period_closes_by_time_alone);

const DAY: i64 = 86_400;

fn an_order_ends_and_its_period_closes_by_time_alone(database: &Database) {
    let mut market = Market::open(Exchange::with_timers(database, 10));
    let jws = market.receipt(0, 8);
    assert_eq!(market.send(&jws).status, 201);
    let order = format!("/v1/orders/{}", market.order);
    assert_eq!(
        market.buyer.client.get(&order).body["closed_at"],
        Value::Null
    );
    // The last segment's end and the days of grace, then the month and the dispute days.
    market.exchange.clock.advance(60 * DAY);
    until(|| market.buyer.client.get(&order).body["closed_at"].is_string());
    let owed = || market.provider.client.get("/v1/me/owed").body["coming"][0].clone();
    until(|| owed()["state"] == "payable");
    assert_eq!(owed()["fen"], 800);
    // All that was held and not earned is free again.
    let funds = market.exchange.nobody().get("/v1/funds").body;
    assert_eq!(funds["items"][0]["balances"]["fund"], 100_000_000 - 800);
}

/// Asks again and again, for at most so long as a machine under load may need.
pub(crate) fn until(mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed().as_secs() < 60, "it does not come");
        std::thread::yield_now();
    }
}
