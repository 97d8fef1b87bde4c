//! A site of 64 cards shares 40 of them with this exchange (W13, the part that one exchange can see).

use serde_json::json;

use super::stage::{MODEL, Stage};
use super::usage::Usage;
use crate::support::Database;

on_both!(w13_an_hour_is_used_up_to_its_last_gpu_second);

fn w13_an_hour_is_used_up_to_its_last_gpu_second(database: &Database) {
    let mut stage = Stage::with_cards(database, "2026-01-05T00:00:00Z", (64, 40));
    stage.fund("w13-city", "f-finance");
    stage.enact("w13-capacity");
    let segments = json!([{
        "offer": stage.offer(1_000), "from": "2026-01-05T00:00:00Z", "to": "2026-01-06T00:00:00Z",
    }]);
    let claims = json!([{ "programme": "w13-capacity", "hold_fen": 1_000_000 }]);
    // The periods of one order share no second; those of two may share an hour.
    let (one, two) = (
        stage.order(&segments, &claims, None),
        stage.order(&segments, &claims, None),
    );
    let usage = |start, seconds, cards: u32| Usage {
        start,
        seconds,
        cards,
        gpu_seconds: i64::from(cards) * seconds,
        corrects: None,
        inputs: None,
    };
    let hour = format!("site/{}/{MODEL}/2026-01-05T00Z", stage.site);
    let first = stage.used(one.id, &usage("2026-01-05T00:00:00Z", 3_600, 32));
    assert_eq!(stage.counters(first.entry())[&hour], 115_200);
    let second = stage.used(two.id, &usage("2026-01-05T00:00:00Z", 1_800, 16));
    assert_eq!(stage.counters(second.entry())[&hour], 28_800);
    let refused = stage.try_use(two.id, &usage("2026-01-05T00:30:00Z", 1, 1));
    assert_eq!(refused.code(), "receipt.capacity", "{}", refused.text);
    assert_eq!(refused.body["values"]["occupied"], "144000");
    assert_eq!(refused.body["values"]["limit"], "144000");
    // The next hour is free.
    stage.used(two.id, &usage("2026-01-05T01:00:00Z", 1, 1));
    stage.audit();
}
