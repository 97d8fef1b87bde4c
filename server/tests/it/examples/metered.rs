//! Metered use: partial receipts, a change of price, two funds, a joint ceiling, caps (W3, W4, W7, W11).

use serde_json::{Value, json};
use verifier::id::OrderId;

use super::stage::{FEN_A_SECOND, MODEL, Stage, contract, fen};
use super::usage::{Receipted, Usage};
use crate::support::Database;

on_both!(
    w7_partial_receipts_a_price_change_an_overrun_and_a_correction,
    w3_two_funds_share_every_receipt_to_the_fen,
    w3_one_receipt_gives_the_same_fen,
    w4_city_and_district_together_pay_the_whole_rent,
    w4_one_receipt_pays_the_same_fen,
    w4_the_press_variant_leaves_a_fifth_to_the_buyer,
    w4_the_district_ends_after_a_year,
    w11_a_cap_is_consumed_by_holds_and_freed_by_releases,
);

fn w7_partial_receipts_a_price_change_an_overrun_and_a_correction(database: &Database) {
    let mut stage = Stage::open(database, "2026-01-01T00:00:00Z");
    stage.fund("w7-city", "f-finance");
    stage.enact("w7-deduct");
    // 30 % of a contract over 1,500 yuan.
    let contract = contract("w7", 150_000);
    let voucher = stage.voucher(&stage.buyer, "w7-deduct", &contract);
    assert_eq!(voucher.face, 45_000);
    let first = json!([{ "offer": stage.offer(1_337), "from": "2026-01-05T00:00:00Z", "to": "2026-01-12T00:00:00Z" }]);
    let claims = json!([{ "voucher": voucher.id, "hold_fen": 45_000 }]);
    let order = stage.order(&first, &claims, Some(&contract)).id;
    let (hold, spare) = (
        format!("hold/{order}/0/w7-city"),
        format!("voucher/{}/w7-city", voucher.id),
    );
    let earned = format!("earned/w7-deduct/{}/w7-city/2026-01", stage.provider.party);
    let receipt = |stage: &mut Stage, usage: &Usage, row: [i64; 3]| {
        let found = stage.used(order, usage);
        let claim = [found.of("base")[0], found.of("want")[0], found.deltas()[0]];
        assert_eq!(claim, row);
        found.entry()
    };
    let in_hour = Usage::hour;
    receipt(
        &mut stage,
        &in_hour("2026-01-05T00:00:00Z", 144_017),
        [53_486, 16_045, 16_045],
    );
    // Each receipt rounded by itself would give 22,461.
    receipt(
        &mut stage,
        &in_hour("2026-01-06T00:00:00Z", 201_601),
        [128_358, 38_507, 22_462],
    );
    let second = json!([{ "offer": stage.offer(1_199), "from": "2026-01-12T00:00:00Z", "to": "2026-01-19T00:00:00Z" }]);
    let amended = stage.buyer.client.done(
        "/v1/orders/amend",
        &json!({ "order": order, "segments": second }),
    );
    assert_eq!(Receipted(amended).deltas(), [0]);
    // 2,145 fen more are worth a subsidy; the hold has none left for them.
    receipt(
        &mut stage,
        &in_hour("2026-01-13T00:00:00Z", 86_459),
        [157_153, 47_145, 6_493],
    );
    stage.stands(&[(earned.clone(), 45_000), (hold.clone(), 0)]);
    let correction = in_hour("2026-01-06T00:00:00Z", 172_801).correcting(1);
    let entry = receipt(&mut stage, &correction, [146_457, 43_937, -1_063]);
    let hour = format!("site/{}/{MODEL}/2026-01-06T00Z", stage.site);
    assert_eq!(stage.counters(entry)[&hour], -28_800);
    stage.stands(&[(earned.clone(), 43_937), (hold.clone(), 1_063)]);
    stage
        .buyer
        .client
        .done("/v1/orders/close", &json!({ "order": order }));
    stage.stands(&[(earned, 43_937), (hold, 0), (spare, 1_063)]);
    stage.audit();
}

/// Henan's shape: a voucher of 7,000 yuan, half of it the province's, half the city's.
fn w3(database: &Database) -> (Stage, OrderId) {
    let stage = Stage::open(database, "2026-01-01T00:00:00Z");
    stage.fund("w3-province", "prov-finance");
    stage.fund("w3-city", "city-finance");
    stage.enact("w3-co-funding");
    let contract = contract("w3", 3_500_000);
    let voucher = stage.voucher(&stage.buyer, "w3-co-funding", &contract);
    assert_eq!(voucher.face, 700_000);
    let segments = json!([{ "offer": stage.offer(FEN_A_SECOND), "from": "2026-01-05T00:00:00Z", "to": "2026-02-05T00:00:00Z" }]);
    let claims = json!([{ "voucher": voucher.id, "hold_fen": 700_000 }]);
    let order = stage.order(&segments, &claims, Some(&contract)).id;
    for fund in ["w3-province", "w3-city"] {
        stage.stands(&[(format!("hold/{order}/0/{fund}"), 350_000)]);
    }
    (stage, order)
}

fn w3_earned(stage: &Stage) -> [i64; 2] {
    let party = &stage.provider.party;
    ["w3-province", "w3-city"]
        .map(|fund| stage.fen(&format!("earned/w3-co-funding/{party}/{fund}/2026-Q1")))
}

fn w3_two_funds_share_every_receipt_to_the_fen(database: &Database) {
    let (mut stage, order) = w3(database);
    for (start, charge, delta, earned) in [
        (
            "2026-01-05T00:00:00Z",
            1_111_113,
            222_222,
            [111_111, 111_111],
        ),
        (
            "2026-01-06T00:00:00Z",
            1_111_113,
            222_223,
            [222_222, 222_223],
        ),
        (
            "2026-01-07T00:00:00Z",
            1_111_112,
            222_222,
            [333_333, 333_334],
        ),
    ] {
        let found = stage.used(order, &Usage::hour(start, charge));
        assert_eq!(found.deltas(), [delta]);
        assert_eq!(w3_earned(&stage), earned);
    }
    stage.audit();
}

fn w3_one_receipt_gives_the_same_fen(database: &Database) {
    let (mut stage, order) = w3(database);
    let found = stage.used(order, &Usage::hour("2026-01-05T00:00:00Z", 3_333_338));
    assert_eq!(found.deltas(), [666_667]);
    assert_eq!(w3_earned(&stage), [333_333, 333_334]);
    stage.audit();
}

const W4_BOTH: &[&str] = &["w4-city", "w4-district"];

/// Rent paid by these programmes, each from the fund of its name; holds that are not in the way.
fn w4(database: &Database, programmes: &[&str]) -> (Stage, OrderId) {
    let stage = Stage::open(database, "2026-01-01T00:00:00Z");
    for (fund, funder) in [
        ("w4-city", "city-finance"),
        ("w4-press-city", "city-finance"),
        ("w4-district", "dist-finance"),
    ] {
        stage.fund(fund, funder);
    }
    programmes.iter().for_each(|name| stage.enact(name));
    let claims: Vec<Value> = programmes
        .iter()
        .map(|name| json!({ "programme": name, "hold_fen": 100_000_000 }))
        .collect();
    let segments = json!([{
        "offer": stage.offer(FEN_A_SECOND), "from": "2026-01-01T00:00:00Z", "to": "2027-02-01T00:00:00Z",
    }]);
    let order = stage.order(&segments, &json!(claims), None).id;
    (stage, order)
}

/// What is left to the buyer of the rent so far.
fn net(stage: &Stage, order: OrderId) -> i64 {
    let order = stage.buyer.client.get(&format!("/v1/orders/{order}")).body;
    let claims = order["claims"].as_array().unwrap().iter();
    let granted: i64 = claims.map(|claim| fen(&claim["granted_fen"])).sum();
    fen(&order["segments"][0]["charged_fen"]) - granted
}

fn w4_city_and_district_together_pay_the_whole_rent(database: &Database) {
    let (mut stage, order) = w4(database, W4_BOTH);
    let mut used = |start, fen| stage.used(order, &Usage::hour(start, fen)).deltas();
    assert_eq!(
        used("2026-01-05T00:00:00Z", 60_000_000),
        [18_000_000, 42_000_000]
    );
    assert_eq!(
        used("2026-01-06T00:00:00Z", 40_000_001),
        [12_000_000, 28_000_001]
    );
    assert_eq!(net(&stage, order), 0);
    stage.audit();
}

fn w4_one_receipt_pays_the_same_fen(database: &Database) {
    let (mut stage, order) = w4(database, W4_BOTH);
    let all = Usage::hour("2026-01-05T00:00:00Z", 100_000_001);
    assert_eq!(stage.used(order, &all).deltas(), [30_000_000, 70_000_001]);
    assert_eq!(net(&stage, order), 0);
    stage.audit();
}

fn w4_the_press_variant_leaves_a_fifth_to_the_buyer(database: &Database) {
    let (mut stage, order) = w4(database, &["w4-press"]);
    let all = Usage::hour("2026-01-05T00:00:00Z", 100_000_001);
    assert_eq!(stage.used(order, &all).deltas(), [80_000_000]);
    assert_eq!(net(&stage, order), 20_000_001);
    stage.audit();
}

fn w4_the_district_ends_after_a_year(database: &Database) {
    let (mut stage, order) = w4(database, W4_BOTH);
    // Day 1, day 365 and day 366 at +08:00.
    for (start, district) in [
        ("2026-01-01T23:00:00Z", 700_000),
        ("2026-12-31T23:00:00Z", 700_000),
        ("2027-01-01T23:00:00Z", 0),
    ] {
        let found = stage.used(order, &Usage::hour(start, 1_000_000));
        assert_eq!(found.deltas(), [300_000, district], "{start}");
    }
    assert_eq!(net(&stage, order), 700_000);
    stage.audit();
}

fn w11_a_cap_is_consumed_by_holds_and_freed_by_releases(database: &Database) {
    let mut stage = Stage::open(database, "2026-01-05T00:00:00Z");
    stage.fund("w11-city", "f-finance");
    stage.enact("w11-caps");
    let count = format!("cap/w11-caps/{}/2026", stage.buyer.party);
    let offer = stage.offer(FEN_A_SECOND);
    let place = |hold_fen: i64| {
        let segments = json!([{ "offer": offer, "from": "2026-01-05T00:00:00Z", "to": "2026-03-05T00:00:00Z" }]);
        let claims = json!([{ "programme": "w11-caps", "hold_fen": hold_fen }]);
        let order = stage.order(&segments, &claims, None);
        (order.id, stage.counters(order.entry)[&count])
    };
    let (a, of_a) = place(80_000);
    let (b, of_b) = place(50_000);
    assert_eq!([of_a, of_b], [80_000, 20_000]);
    let used = stage.used(a, &Usage::hour("2026-01-05T00:00:00Z", 20_000));
    assert_eq!(used.deltas(), [10_000]);
    let cancel = json!({ "order": a });
    let cancelled = Receipted(stage.buyer.client.done("/v1/orders/cancel", &cancel));
    assert_eq!(stage.counters(cancelled.entry())[&count], -70_000);
    let used = stage.used(b, &Usage::hour("2026-01-06T00:00:00Z", 100_000));
    assert_eq!(
        (used.of("want"), used.of("grant")),
        (vec![50_000], vec![20_000])
    );
    let top_up = json!({ "order": b, "top_ups": [[0, 30_000]] });
    let amended = Receipted(stage.buyer.client.done("/v1/orders/amend", &top_up));
    assert_eq!(amended.of("grant"), [50_000]);
    assert_eq!(stage.counters(amended.entry())[&count], 30_000);
    stage.audit();
}
