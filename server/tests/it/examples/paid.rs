//! What happens after money was paid: a correction and more use, a clawback from two funds (W9, W14).

use serde_json::json;

use super::stage::{Deal, FEN_A_SECOND, Stage, contract, example};
use super::usage::Usage;
use crate::support::Database;

on_both!(
    w14_a_correction_after_payout_is_owed_and_earned_again,
    w9_a_clawback_is_netted_inside_each_fund,
);

/// An order of four months, paid out of the funds when it is placed.
fn order_of(stage: &Stage, programme: &str, hold_fen: i64) -> Deal {
    let segments = json!([{
        "offer": stage.offer(FEN_A_SECOND), "from": "2026-01-05T00:00:00Z", "to": "2026-05-05T00:00:00Z",
    }]);
    let claims = json!([{ "programme": programme, "hold_fen": hold_fen }]);
    stage.order(&segments, &claims, None)
}

fn w14_a_correction_after_payout_is_owed_and_earned_again(database: &Database) {
    let mut stage = Stage::open(database, "2026-01-05T00:00:00Z");
    stage.fund("w14-city", "f-finance");
    stage.enact("w14-correction");
    let order = order_of(&stage, "w14-correction", 100_000);
    let all = Usage::hour("2026-01-05T00:00:00Z", 100_000);
    assert_eq!(stage.used(order.id, &all).deltas(), [100_000]);
    stage.on("2026-02-20T00:00:00Z");
    stage.close_period(&stage.provider, "2026-01");
    assert_eq!(stage.pay("w14-city", &stage.provider), 100_000);
    let [paid, owed, payable] =
        ["paid", "owed", "payable"].map(|kind| format!("{kind}/{}/w14-city", stage.provider.party));
    let less = Usage::hour("2026-01-05T00:00:00Z", 70_000).correcting(0);
    assert_eq!(stage.used(order.id, &less).deltas(), [-30_000]);
    stage.stands(&[(owed.clone(), 30_000), (paid.clone(), 70_000)]);
    let more = stage.used(order.id, &Usage::hour("2026-02-20T00:00:00Z", 25_000));
    assert_eq!(
        (more.of("want"), more.deltas()),
        (vec![95_000], vec![25_000])
    );
    stage.stands(&[(owed.clone(), 5_000), (paid.clone(), 95_000)]);
    // What another order earns later is netted: it goes to where the first one's money came from, not to the party.
    let close = json!({ "order": order.id });
    stage.buyer.client.done("/v1/orders/close", &close);
    let other = order_of(&stage, "w14-correction", 5_000);
    stage.used(other.id, &Usage::hour("2026-02-20T00:00:00Z", 5_000));
    let fund = stage.fen("fund/w14-city");
    stage.on("2026-03-20T00:00:00Z");
    let netted = stage.close_period(&stage.provider, "2026-02");
    assert_eq!(netted.netted, 5_000);
    stage.stands(&[
        (owed, 0),
        (paid, 100_000),
        (payable, 0),
        ("fund/w14-city".to_owned(), fund + 5_000),
    ]);
    stage.audit();
}

/// A programme that pays all use out of one of W9's funds: it stands for whatever else the party earns there.
fn enact_beside(stage: &Stage, id: &str, fund: &str, funder: &str) {
    let text = example("w14-correction")
        .replace("\"w14-correction\"", &format!("{id:?}"))
        .replace("\"w14-city\"", &format!("{fund:?}"))
        .replace("\"f-finance\"", &format!("{funder:?}"));
    stage.enact_text(&text);
}

fn w9_a_clawback_is_netted_inside_each_fund(database: &Database) {
    let mut stage = Stage::open(database, "2026-01-05T00:00:00Z");
    stage.fund("w9-province", "prov-finance");
    stage.fund("w9-city", "city-finance");
    stage.enact("w9-clawback");
    enact_beside(&stage, "w9-more-province", "w9-province", "prov-finance");
    enact_beside(&stage, "w9-more-city", "w9-city", "city-finance");
    let contract = contract("w9", 3_500_000);
    let voucher = stage.voucher(&stage.buyer, "w9-clawback", &contract);
    let segments = json!([{
        "offer": stage.offer(FEN_A_SECOND), "from": "2026-01-05T00:00:00Z", "to": "2026-05-05T00:00:00Z",
    }]);
    let claims = json!([{ "voucher": voucher.id, "hold_fen": 700_000 }]);
    let order = stage.order(&segments, &claims, Some(&contract));
    stage.used(order.id, &Usage::hour("2026-01-05T00:00:00Z", 3_333_338));
    stage.on("2026-02-20T00:00:00Z");
    let closed = stage.close_period(&stage.provider, "2026-01");
    assert_eq!(closed.amount, 666_667);
    assert_eq!(stage.pay("w9-province", &stage.provider), 333_333);
    assert_eq!(stage.pay("w9-city", &stage.provider), 333_334);
    let asked = json!({
        "order": order.id, "claim": 0, "cause": "relocation", "share_bp": 5_000, "basis": contract["digest"],
    });
    let clawed = stage.finance.done("/v1/clawbacks", &asked);
    assert_eq!(clawed["found"]["clawed_back"]["amount"], 333_333);
    let party = stage.provider.party.clone();
    let of = |kind: &str, fund: &str| format!("{kind}/{party}/{fund}");
    stage.stands(&[
        (of("owed", "w9-province"), 166_666),
        (of("owed", "w9-city"), 166_667),
        (of("paid", "w9-province"), 166_667),
        (of("paid", "w9-city"), 166_667),
    ]);
    for (programme, fen) in [("w9-more-province", 100_000), ("w9-more-city", 200_000)] {
        let more = order_of(&stage, programme, fen);
        let found = stage.used(more.id, &Usage::hour("2026-02-21T00:00:00Z", fen));
        assert_eq!(found.deltas(), [fen]);
    }
    stage.on("2026-03-20T00:00:00Z");
    stage.close_period(&stage.provider, "2026-02");
    // In one pot the city would have paid 33,333 fen of the province's money.
    stage.stands(&[
        (of("owed", "w9-province"), 66_666),
        (of("owed", "w9-city"), 0),
        (of("payable", "w9-province"), 0),
        (of("payable", "w9-city"), 33_333),
    ]);
    assert_eq!(stage.pay("w9-city", &stage.provider), 33_333);
    stage.audit();
}
